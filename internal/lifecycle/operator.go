package lifecycle

import (
	"fmt"
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// ChangePriority moves an eligible execution within its lane (chapter 30, section 30.3). The new value is clamped;
// setting the value it has is a change too.
func ChangePriority(e *record.Execution, cmd *ff.ChangePriority, now ff.Timestamp) (Change, ff.ChangePriorityResult, error) {
	if e.State.Phase != ff.PhaseRunnable || e.State.Eligibility != ff.EligibleNow {
		return Change{}, ff.ChangePriorityResult{}, &ff.Error{
			Code:   ff.CodeExecutionNotEligible,
			Detail: fmt.Sprintf("only a runnable, eligible execution can be re-ordered; this one is %s, %s", e.State.Phase, e.State.Eligibility),
		}
	}
	n := *e
	n.Priority = min(max(cmd.NewPriority, ff.MinPriority), ff.MaxPriority)
	n.LastMutationAt, n.LastOperatorAt = now, now
	settle(&n, now)
	ev := operatorEvent(&n, eventPriorityChanged, map[string]any{
		"old_priority": e.Priority, "new_priority": n.Priority, "actor": cmd.Actor,
	}, now)
	return Change{Execution: &n, Events: []record.Event{ev}},
		ff.ChangePriorityResult{ExecutionID: e.ID, OldPriority: e.Priority, NewPriority: n.Priority}, nil
}

// Replay makes a finished execution runnable again (chapter 30, section 30.4). The attempt index is kept: the current
// attempt, att if it is stored, is cleared in place and the next claim continues it under a new epoch. The counters of the
// policy's limits start afresh. A [SkippedMember] waits for its upstreams again; groups says how many groups of edges were
// re-opened for it.
func Replay(e *record.Execution, att *record.Attempt, groups int, cmd *ff.Replay, now ff.Timestamp) (Change, error) {
	if !e.State.Finished() {
		return Change{}, &ff.Error{Code: ff.CodeExecutionNotTerminal, Detail: fmt.Sprintf("the execution is %s; only a finished one can be replayed", e.State.Phase)}
	}
	if limit := e.Policy.MaxReplaysOrDefault(); uint64(e.ReplayCount) >= uint64(limit) {
		return Change{}, &ff.Error{Code: ff.CodeMaxReplaysExhausted, Detail: fmt.Sprintf("it was replayed %d times; the policy allows %d", e.ReplayCount, limit)}
	}
	on, branch := OnReplay, map[string]any{"branch": "normal"}
	if SkippedMember(e, att) {
		on, branch = OnReplaySkipped, map[string]any{"branch": "skipped_flow_member", "groups_reset": groups}
	}
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	n.AwaitsUpstream = on == OnReplaySkipped
	var ch Change
	n.Epoch++
	if att != nil {
		a := *att
		n.Epoch = max(e.Epoch, att.LeaseEpoch) + 1
		a.LeaseEpoch = n.Epoch
		a.State, a.Outcome, a.EndedAt, a.FailureReason, a.FailureCategory = "", "", 0, "", ""
		a.WorkerID, a.WorkerInstanceID, a.LeaseExpiresAt = "", "", 0
		ch.Attempt = &a
		n.TotalAttempts = max(n.TotalAttempts, a.Index+1)
	}
	n.ReplayCount++
	n.RetryCount, n.ReclaimCount = 0, 0
	n.CompletedAt, n.RetainUntil, n.DelayUntil = 0, 0, 0
	n.DeadlineAt = deadlineOfReplay(e, now)
	n.Result, n.ResultEncoding = nil, ""
	n.FailureReason, n.FailureCategory, n.CancellationReason, n.CancelledBy, n.LeaseRevokeReason = "", "", "", "", ""
	n.LastOperatorAt = now
	settle(n, now)
	ch.Execution = n
	details := map[string]any{
		"replay_count": n.ReplayCount, "actor": cmd.Actor, "reason": cmd.Reason,
		"previous_outcome": string(e.State.Outcome), "previous_completed_at_ms": int64(e.CompletedAt),
		"previous_epoch": max(e.Epoch, n.Epoch-1), "previous_failure_reason": e.FailureReason,
	}
	maps.Copy(details, branch)
	ch.Events = []record.Event{operatorEvent(n, eventReplayed, details, now)}
	return ch, nil
}

// RevokeLease takes the lease from its holder (chapter 30, section 30.6). An active execution becomes runnable and
// eligible; its attempt continues with the next claim. att is the stored record of the current attempt, if any: in rows
// written by hand it may be the only place that names a holder.
func RevokeLease(e *record.Execution, att *record.Attempt, cmd *ff.RevokeLease, now ff.Timestamp) (Change, ff.RevokeResult, error) {
	held := e.State.Phase == ff.PhaseActive && e.State.Ownership == ff.Leased && e.WorkerInstanceID != ""
	h := *e // e with the lease that is to be revoked
	if !held && att != nil && att.WorkerInstanceID != "" && att.EndedAt == 0 {
		held = true
		h.WorkerID, h.WorkerInstanceID, h.Epoch = att.WorkerID, att.WorkerInstanceID, max(e.Epoch, att.LeaseEpoch)
	}
	name := fmt.Sprintf("pg:%s:%d:%d", e.ID.UUID(), h.AttemptIndex, h.Epoch)
	satisfied := func(reason string) (Change, ff.RevokeResult, error) {
		return Change{}, ff.RevokeResult{Outcome: ff.AlreadySatisfied, Reason: reason}, nil
	}
	switch {
	case !held:
		return satisfied("no_active_lease")
	case cmd.WorkerInstanceID != "" && cmd.WorkerInstanceID != h.WorkerInstanceID:
		return satisfied("different_worker_instance_id")
	case cmd.ExpectedLeaseID != "" && cmd.ExpectedLeaseID != name && (h.LeaseID.IsZero() || cmd.ExpectedLeaseID != h.LeaseID.String()):
		return satisfied("lease_id_mismatch")
	}
	n := &h
	if e.State.Phase == ff.PhaseActive {
		var err error
		if n, err = transition(&h, OnRevoke, now); err != nil {
			return Change{}, ff.RevokeResult{}, err
		}
	}
	n.Epoch = h.Epoch + 1
	n.LeaseRevokeReason = cmd.Reason
	n.LastMutationAt, n.LastOperatorAt = now, now
	ch := Change{Execution: n, Events: []record.Event{
		leaseEvent(&h, eventRevoked, cmd.Reason, now),
		operatorEvent(&h, eventLeaseRevoked, map[string]any{"lease_id": name, "reason": cmd.Reason, "actor": cmd.Actor}, now),
	}}
	stopClock(n, now)
	clearLease(n)
	settle(n, now)
	if att != nil {
		a := *att
		a.WorkerID, a.WorkerInstanceID, a.LeaseExpiresAt, a.LeaseEpoch = "", "", 0, n.Epoch
		ch.Attempt = &a
	}
	return ch, ff.RevokeResult{Outcome: ff.Revoked, LeaseID: name, Epoch: n.Epoch}, nil
}
