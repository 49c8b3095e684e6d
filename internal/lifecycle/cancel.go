package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Cancel ends an execution that has not ended (chapter 30, section 30.5). Cancelling a cancelled one writes nothing: the
// first reason and the first canceller stay. att is the stored record of the current attempt, if there is one.
//
// A holder that cancels its own execution (source worker) ends it in phase terminal with its epoch unchanged; anybody
// else's cancel ends it in phase cancelled, the engine's own of a sibling that is not needed in phase terminal, and raises
// the epoch of a lease it breaks.
func Cancel(e *record.Execution, att *record.Attempt, cmd *ff.Cancel, now ff.Timestamp) (Change, error) {
	if e.State.Finished() {
		if e.State.Outcome == ff.OutcomeCancelled {
			return Change{}, nil
		}
		return Change{}, &ff.Error{Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("the execution has ended: it is %s", PublicState(e.State))}
	}
	// A fence that is given must hold, whatever the phase: who lost the lease has no say any more (I6, I7).
	if !privileged(cmd.Source) && (e.State.Phase == ff.PhaseActive || !cmd.Fence.IsZero()) {
		if err := checkFence(e, cmd.Fence, cmd.Source, now); err != nil {
			return Change{}, err
		}
	}
	on := OnCancel
	if cmd.Source == ff.SourceEngine {
		on = OnSiblingCancel
	}
	if e.State.Ownership == ff.Leased && cmd.Source == ff.SourceWorker {
		on = OnWorkerCancel
	}
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	end(n, now)
	n.CancellationReason, n.CancelledBy = cmd.Reason, cmd.Source
	ch := Change{
		Execution: n,
		Attempt:   closeAttempt(e, att, ending{ff.AttemptEndedCancelled, record.AttemptCancelled, "cancelled: " + cmd.Reason, ff.FailureCancelled}, now),
	}
	switch {
	case on == OnWorkerCancel:
		ch.Events = []record.Event{completionOfLease(e, n, "cancelled", now)}
	case e.State.Ownership == ff.Leased: // duties T2 and T3: nobody who knows the old epoch may go on
		n.Epoch++
		ch.Attempt.LeaseEpoch = n.Epoch
		ch.Events = []record.Event{leaseEvent(e, eventRevoked, "cancelled", now), completionEvent(n, now)}
	default:
		ch.Events = []record.Event{completionEvent(n, now)}
	}
	settle(n, now)
	if cmd.Source == ff.SourceOperatorOverride {
		n.LastOperatorAt = now
		ch.Events = append(ch.Events, operatorEvent(n, eventCancelled, map[string]any{"reason": cmd.Reason, "actor": cmd.Actor}, now))
	}
	return ch, nil
}

// privileged sources need no fence.
func privileged(s ff.Source) bool {
	switch s {
	case ff.SourceOperatorOverride, ff.SourceFlowCascade, ff.SourceSystemTimeout, ff.SourceEngine, ff.SourceCancelFlow, ff.SourceCancelFlowHeader:
		return true
	default:
		return false
	}
}
