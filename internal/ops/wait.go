package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/internal/waitpoint"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Whatever ends a suspension, what was waited for is closed in the same commit (chapter 40, I4 and I5, FIX-S0). Signals and
// operators do it on their way; all else, time, cancels, flows, in [apply].

func suspensionKey(id ff.ExecutionID) record.SuspensionKey {
	return record.SuspensionKey{ExecutionID: id}
}

// leaving are executions that changes take out of their suspension, or whose lease held something of budgets and quotas.
func leaving(tx *store.Tx, changes []lifecycle.Change) (list []*record.Execution) {
	for _, ch := range changes {
		if ch.Execution == nil {
			continue
		}
		before := tx.Execution(ch.Execution.ID)
		if before != nil && (lifecycle.CloseReason(before, ch.Execution) != "" || releases(before, ch.Execution) || leavesGate(before, ch.Execution)) {
			list = append(list, before)
		}
	}
	return list
}

// needWaits asks for what those of the executions wait for that are suspended, and for the limits of those that were
// admitted.
func needWaits(tx *store.Tx, list []*record.Execution) error {
	var need store.Reads
	var suspended []record.Key
	for _, e := range list {
		if e.State.Phase == ff.PhaseSuspended {
			suspended = append(suspended, suspensionKey(e.ID))
		}
		if e.Limits != nil && e.Limits.Admitted {
			need.Records = append(need.Records, admission.Keys(limitsHome, e)...)
		}
		if e.Limits != nil && e.Limits.Gate != "" {
			at, place := gateKeys(e)
			need.Records = append(need.Records, place)
			if at != nil {
				need.Records = append(need.Records, at)
			}
		}
	}
	need.Records = append(need.Records, suspended...)
	if missing, any := tx.Missing(need); any {
		return tx.Need(missing)
	}
	var points store.Reads
	for _, key := range suspended {
		points.Records = append(points.Records, waitpointKeys(store.Get[*record.Suspension](tx, key))...)
	}
	if missing, any := tx.Missing(points); any {
		return tx.Need(missing)
	}
	return nil
}

// waitpointKeys are the keys of a suspension's waitpoints; none if it is closed.
func waitpointKeys(s *record.Suspension) (keys []record.Key) {
	if s.Open() {
		for _, id := range s.Waitpoints {
			keys = append(keys, record.WaitpointKey{ExecutionID: s.ExecutionID, WaitpointID: id})
		}
	}
	return keys
}

// closeWaits closes what an execution waited for, if it was suspended before and is not after.
func closeWaits(tx *store.Tx, before, after *record.Execution) {
	if before == nil {
		return
	}
	reason := lifecycle.CloseReason(before, after)
	if reason == "" {
		return
	}
	c := waitpoint.Closing{Reason: reason}
	if reason == ff.ClosedAutoResume {
		c.Trigger = ff.TriggerAutoResume
	}
	s := store.Get[*record.Suspension](tx, suspensionKey(after.ID))
	if s.Open() { // not if it was written by hand
		closeSuspension(tx, s, c)
	}
}

// closeSuspension writes a suspension and its waitpoints as closed. They have been read.
func closeSuspension(tx *store.Tx, s *record.Suspension, c waitpoint.Closing) {
	var points []*record.Waitpoint
	for _, key := range waitpointKeys(s) {
		if w := store.Get[*record.Waitpoint](tx, key); w != nil {
			points = append(points, w)
		}
	}
	n, closed := waitpoint.Close(s, points, c, tx.Now())
	tx.Put(n)
	for _, w := range closed {
		tx.Put(w)
	}
}

// SweepWaits closes up to limit pending waitpoints of a shard that nobody waited for in time, and removes up to limit
// remembered answers whose time is over. handled gets how many were due.
func (r Rules) SweepWaits(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "sweep waits"}
	op.Partition, op.Order = shard, order
	op.Reads.DueRecords = []store.DueRecordsQuery{{Family: record.Waitpoints, Limit: limit}, {Family: record.Replies, Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		points, replies := tx.DueRecords(0), tx.DueRecords(1)
		*handled = len(points) + len(replies)
		for _, rec := range points {
			// It may have been bound since: then its due time is gone (FIX-S12).
			if w := rec.(*record.Waitpoint); waitpoint.Expired(w, tx.Now()) {
				tx.Put(waitpoint.Expire(w, tx.Now()))
			}
		}
		for _, rec := range replies {
			if rec.DueTime() <= tx.Now() {
				tx.Delete(rec.Key())
			}
		}
		return nil
	}
	return op
}
