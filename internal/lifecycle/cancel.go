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
// else's cancel ends it in phase cancelled and raises the epoch of a lease it breaks.
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
	if e.State.Ownership == ff.Leased && cmd.Source == ff.SourceWorker {
		on = OnWorkerCancel
	}
	if e.State.AttemptState == ff.PendingFirstAttempt {
		return finishCancel(e, nil, cmd, on, now)
	}
	return finishCancel(e, cancelledAttempt(e, att, cmd.Reason, now), cmd, on, now)
}

func finishCancel(e *record.Execution, att *record.Attempt, cmd *ff.Cancel, on Trigger, now ff.Timestamp) (Change, error) {
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	if e.State.AttemptState == ff.PendingFirstAttempt { // row 14 holds executions with and without an attempt
		n.State.AttemptState = ff.PendingFirstAttempt
	}
	end(n, now)
	n.CancellationReason, n.CancelledBy = cmd.Reason, cmd.Source
	ch := Change{Execution: n, Attempt: att}
	leased := e.State.Ownership == ff.Leased
	if leased && on == OnWorkerCancel {
		settle(n)
		ch.Events = []record.Event{completionByHolder(e, n, "cancelled", now)}
		return ch, nil
	}
	if leased {
		n.Epoch++
		ch.Events = append(ch.Events, leaseEvent(e, eventRevoked, "cancelled", now))
	}
	settle(n)
	ch.Events = append(ch.Events, completionEvent(n, now))
	return ch, nil
}

// cancelledAttempt is the last attempt as a cancel leaves it: ended if it was open; if the execution waited for its next
// attempt the last one has ended already, unless a replay had cleared it.
func cancelledAttempt(e *record.Execution, att *record.Attempt, reason string, now ff.Timestamp) *record.Attempt {
	switch {
	case AttemptOpen(e):
		return endAttempt(e, ff.AttemptEndedCancelled, record.AttemptCancelled, "cancelled: "+reason, ff.FailureCancelled, now)
	case att != nil && att.EndedAt == 0:
		a := *att
		a.State, a.Outcome, a.EndedAt, a.FailureReason = ff.AttemptEndedCancelled, record.AttemptCancelled, now, "cancelled: "+reason
		return &a
	default:
		return nil
	}
}

// privileged sources need no fence.
func privileged(s ff.Source) bool {
	return s == ff.SourceOperatorOverride || s == ff.SourceFlowCascade || s == ff.SourceSystemTimeout
}
