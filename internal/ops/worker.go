package ops

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"unicode"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Types of worker events (chapter 10, section 3.22).
const (
	eventRegistered = "registered"
	eventMarkedDead = "marked_dead"
	eventTTLSwept   = "ttl_swept"
)

// workerDead is the reason with which the leases of a dead worker are revoked.
const workerDead = "worker_dead"

const maxDeadReasonBytes = 256

// workerKey names the record of a worker instance. It lives by the hash of the instance id.
func (r Rules) workerKey(ns ff.Namespace, id ff.WorkerInstanceID) record.WorkerKey {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	home := ff.Partition{Family: ff.FamilyFlow, Index: uint16(h.Sum64() % uint64(r.Partitions.Flow))}
	return record.WorkerKey{Home: home, Namespace: ns, WorkerInstanceID: id}
}

// live reports whether a registration, which may be nil, counts at now.
func live(w *record.Worker, now ff.Timestamp) bool { return w != nil && now < w.ExpiresAt }

// onWorker is an operation on one registration.
func (r Rules) onWorker(name string, key record.WorkerKey, decide func(tx *store.Tx, w *record.Worker) error) *Op {
	op := &Op{name: name}
	op.Partition, op.Reads.Records = key.Home, []record.Key{key} // one order for all: signs of life come together
	op.Decide = func(tx *store.Tx) error { return decide(tx, store.Get[*record.Worker](tx, key)) }
	return op
}

// RegisterWorker announces an instance or refreshes it.
func (r Rules) RegisterWorker(cmd ff.RegisterWorker, res *ff.RegisterResult) (*Op, error) {
	if err := checkRegister(&cmd); err != nil {
		return nil, named("register worker", err)
	}
	key := r.workerKey(cmd.Namespace, cmd.WorkerInstanceID)
	return r.onWorker("register worker", key, func(tx *store.Tx, old *record.Worker) error {
		now := tx.Now()
		w := &record.Worker{
			WorkerKey: key, WorkerID: cmd.WorkerID, Lanes: cmd.Lanes, Capabilities: cmd.Capabilities, LivenessTTL: cmd.LivenessTTL,
			RegisteredAt: now, LastHeartbeatAt: now, ExpiresAt: now.Add(cmd.LivenessTTL),
		}
		*res = ff.RegisterResult{Outcome: ff.WorkerRegistered, ExpiresAt: w.ExpiresAt}
		switch {
		case !live(old, now):
			tx.Append(workerEvent(w, eventRegistered, "", now))
		case old.WorkerID != cmd.WorkerID:
			return invalid("instance_id", fmt.Sprintf("reassigned: %q is live under worker %q; give every process an instance id of its own",
				cmd.WorkerInstanceID, old.WorkerID))
		default:
			w.RegisteredAt, res.Outcome = old.RegisteredAt, ff.WorkerRefreshed
		}
		tx.Put(w)
		return nil
	}), nil
}

// HeartbeatWorker prolongs a registration. It never makes one.
func (r Rules) HeartbeatWorker(cmd ff.HeartbeatWorker, res *ff.HeartbeatResult) (*Op, error) {
	cmd.Namespace = cmp.Or(cmd.Namespace, ff.DefaultNamespace)
	if err := firstError(cmd.WorkerInstanceID.Validate(), cmd.Namespace.Validate()); err != nil {
		return nil, named("heartbeat worker", err)
	}
	return r.onWorker("heartbeat worker", r.workerKey(cmd.Namespace, cmd.WorkerInstanceID), func(tx *store.Tx, old *record.Worker) error {
		*res = ff.HeartbeatResult{}
		if !live(old, tx.Now()) {
			return nil
		}
		w := *old
		w.LastHeartbeatAt, w.ExpiresAt = tx.Now(), tx.Now().Add(w.LivenessTTL)
		tx.Put(&w)
		*res = ff.HeartbeatResult{Registered: true, ExpiresAt: w.ExpiresAt}
		return nil
	}), nil
}

// MarkWorkerDead ends a registration. With reclaim, the record stays until [Rules.ForgetWorker], and is due at once, so
// that whoever comes next knows that there may be leases to revoke.
func (r Rules) MarkWorkerDead(cmd ff.MarkWorkerDead, reclaim bool, res *ff.MarkDeadResult) (*Op, error) {
	cmd.Namespace = cmp.Or(cmd.Namespace, ff.DefaultNamespace)
	if err := firstError(cmd.WorkerInstanceID.Validate(), cmd.Namespace.Validate(), checkDeadReason(cmd.Reason)); err != nil {
		return nil, named("mark worker dead", err)
	}
	key := r.workerKey(cmd.Namespace, cmd.WorkerInstanceID)
	return r.onWorker("mark worker dead", key, func(tx *store.Tx, old *record.Worker) error {
		*res = ff.MarkDeadResult{Marked: live(old, tx.Now())}
		if !res.Marked {
			return nil
		}
		tx.Append(workerEvent(old, eventMarkedDead, cmd.Reason, tx.Now()))
		if !reclaim {
			tx.Delete(key)
			return nil
		}
		w := *old
		w.LivenessTTL, w.ExpiresAt = marked, tx.Now()
		tx.Put(&w)
		return nil
	}), nil
}

// marked is the LivenessTTL of a registration that was ended, and not by time.
const marked = 0

// SweepWorkers forgets up to limit instances of a shard that gave no sign of life in time. handled gets how many it was.
func (r Rules) SweepWorkers(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "sweep workers"}
	op.Partition, op.Order = shard, order
	op.Reads.DueRecords = []store.DueRecordsQuery{{Family: record.Workers, Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.DueRecords(0)
		*handled = len(due)
		for _, rec := range due {
			forget(tx, rec.(*record.Worker))
		}
		return nil
	}
	return op
}

// ForgetWorker ends the registration of one instance, if it is still dead.
func (r Rules) ForgetWorker(key record.WorkerKey) *Op {
	return r.onWorker("sweep workers", key, func(tx *store.Tx, w *record.Worker) error {
		if w != nil {
			forget(tx, w)
		}
		return nil
	})
}

func forget(tx *store.Tx, w *record.Worker) {
	if live(w, tx.Now()) {
		return
	}
	tx.Delete(w.Key())
	if w.LivenessTTL != marked {
		tx.Append(workerEvent(w, eventTTLSwept, "no sign of life for "+w.LivenessTTL.String(), tx.Now()))
	}
}

// RevokeDead takes the lease of an execution from a worker that is dead, if it is still the lease that was seen.
func (r Rules) RevokeDead(seen *record.Execution) *Op {
	cmd := ff.RevokeLease{
		ExecutionID: seen.ID, Reason: workerDead, WorkerInstanceID: seen.WorkerInstanceID, ExpectedLeaseID: seen.LeaseID.String(),
	}
	return r.onExecution("reclaim dead worker", seen.ID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.RevokeDead(e, att, &cmd, now)
	})
}

// workerEvent is of no execution; it lives where the registration does.
func workerEvent(w *record.Worker, typ, reason string, now ff.Timestamp) record.Event {
	return record.Event{
		Family: record.FamilyWorker, Type: typ, ExecutionID: record.NoExecution(w.Home), Namespace: w.Namespace, At: now,
		WorkerID: w.WorkerID, WorkerInstanceID: w.WorkerInstanceID, Reason: reason,
	}
}

// checkRegister validates a registration and brings it into the form it is kept in.
func checkRegister(c *ff.RegisterWorker) error {
	c.Namespace = cmp.Or(c.Namespace, ff.DefaultNamespace)
	c.LivenessTTL = cmp.Or(c.LivenessTTL, ff.DefaultLivenessTTL)
	if len(c.Lanes) < 1 || len(c.Lanes) > ff.MaxClaimLanes {
		return invalid("lanes", fmt.Sprintf("has %d entries; it must have between 1 and %d", len(c.Lanes), ff.MaxClaimLanes))
	}
	for _, lane := range c.Lanes {
		if err := lane.Validate(); err != nil {
			return err
		}
	}
	c.Lanes = slices.Compact(slices.Sorted(slices.Values(c.Lanes)))
	offered, err := ff.NormalizeCapabilities("worker", c.Capabilities)
	if err != nil {
		return err
	}
	c.Capabilities = offered
	return firstError(
		c.WorkerID.Validate(), c.WorkerInstanceID.Validate(), c.Namespace.Validate(),
		checkSpan("liveness_ttl", c.LivenessTTL, ff.MinLivenessTTL, ff.MaxLeaseTTL),
	)
}

func checkDeadReason(reason string) error {
	if err := ff.ValidateText("reason", reason, maxDeadReasonBytes); err != nil {
		return err
	}
	for _, c := range reason {
		if unicode.IsControl(c) {
			return invalid("reason", "contains a control character")
		}
	}
	return nil
}

// ListWorkers lists the live instances of a namespace.
func (r Rules) ListWorkers(ctx context.Context, st store.Store, q ff.ListWorkers) (ff.Page[ff.WorkerSnapshot], error) {
	var page ff.Page[ff.WorkerSnapshot]
	ns, limit := cmp.Or(q.Namespace, ff.DefaultNamespace), cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(ns.Validate(), checkLimit(limit), ff.ValidateText("after", q.After, ff.MaxNameBytes)); err != nil {
		return page, named("list workers", err)
	}
	tx, err := st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
	if err != nil {
		return page, named("list workers", err)
	}
	after := record.WorkerKey{Namespace: ns, WorkerInstanceID: ff.WorkerInstanceID(q.After)}
	for {
		found, err := st.Records(ctx, store.RecordQuery{Family: record.Workers, After: after, Prefix: 1, Limit: ff.MaxPage})
		if err != nil {
			return page, named("list workers", err)
		}
		for _, rec := range found {
			w := rec.(*record.Worker)
			after = w.WorkerKey
			if !live(w, tx.Now()) {
				continue
			}
			if len(page.Items) == limit {
				page.Next = string(page.Items[limit-1].WorkerInstanceID)
				return page, nil
			}
			page.Items = append(page.Items, workerSnapshot(w))
		}
		if len(found) < ff.MaxPage {
			return page, nil
		}
	}
}

func workerSnapshot(w *record.Worker) ff.WorkerSnapshot {
	return ff.WorkerSnapshot{
		WorkerID: w.WorkerID, WorkerInstanceID: w.WorkerInstanceID, Namespace: w.Namespace, Lanes: w.Lanes,
		Capabilities: w.Capabilities, LivenessTTL: w.LivenessTTL, RegisteredAt: w.RegisteredAt,
		LastHeartbeatAt: w.LastHeartbeatAt, ExpiresAt: w.ExpiresAt,
	}
}
