package lifecycle

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Suspension is what an execution is parked for. What it waits for, and whether that has come, says package waitpoint.
type Suspension struct {
	ID        ff.SuspensionID
	Waitpoint ff.WaitpointID // the primary one
	Reason    ff.WaitReason
	Until     ff.Timestamp // 0 for no deadline
	OnTimeout ff.TimeoutBehavior
}

// blockingReasons are the reasons in the state that do not read like their wait reason (chapter 40, section 1.3).
var blockingReasons = map[ff.WaitReason]ff.BlockingReason{
	ff.WaitForSignal:         ff.WaitingForSignal,
	ff.WaitForApproval:       ff.WaitingForApproval,
	ff.WaitForCallback:       ff.WaitingForCallback,
	ff.WaitForToolResult:     ff.WaitingForToolResult,
	ff.WaitForOperatorReview: ff.PausedByOperator,
	ff.WaitPausedByPolicy:    ff.PausedByPolicy,
	ff.WaitPausedByBudget:    ff.WaitingForBudget,
	ff.WaitAtStepBoundary:    ff.WaitingForSignal,
	ff.WaitManualPause:       ff.PausedByOperator,
}

// CheckHolder fails unless f is the fence of the lease e is under (chapter 10, section 4.1).
func CheckHolder(e *record.Execution, f ff.Fence, now ff.Timestamp) error {
	err := checkFence(e, f, ff.SourceLeaseHolder, now)
	if err != nil && e.State.Phase == ff.PhaseSuspended && sameAttempt(e, f) {
		return &ff.Error{Code: ff.CodeAlreadySuspended, Detail: fmt.Sprintf("by suspension %s", e.SuspensionID)}
	}
	return err
}

// Suspend parks an execution; its lease ends, its attempt stays open (chapter 40, section 5.1). The caller has checked the
// fence with [CheckHolder].
func Suspend(e *record.Execution, s Suspension, now ff.Timestamp) (Change, error) {
	n, err := transition(e, OnSuspend, now)
	if err != nil {
		return Change{}, err
	}
	if reason, ok := blockingReasons[s.Reason]; ok {
		n.State.BlockingReason = reason
	}
	stopClock(n, now)
	clearLease(n)
	n.BlockingDetail = fmt.Sprintf("suspended: waitpoint %s awaiting %s", s.Waitpoint, s.Reason)
	n.SuspensionID, n.WaitpointID = s.ID, s.Waitpoint
	n.SuspendedUntil, n.SuspensionTimeout = s.Until, s.OnTimeout
	settle(n, now)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventReleased, "suspend", now)}}, nil
}

func clearSuspension(e *record.Execution) {
	e.SuspensionID, e.WaitpointID = ff.SuspensionID{}, ff.WaitpointID{}
	e.SuspendedUntil, e.SuspensionTimeout = 0, ""
}

// Resume lets a suspended execution go on after a delay, for a cause (chapter 40, section 8.4). It fails with
// [ff.ErrExecutionNotSuspended].
func Resume(e *record.Execution, delay time.Duration, cause string, now ff.Timestamp) (Change, error) {
	if e.State.Phase != ff.PhaseSuspended {
		return Change{}, &ff.Error{Code: ff.CodeExecutionNotSuspended, Detail: fmt.Sprintf("the execution is %s", PublicState(e.State))}
	}
	on := OnResume
	if delay > 0 {
		on = OnResumeDelayed
	}
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	clearSuspension(n)
	if delay > 0 {
		n.DelayUntil = now.Add(delay)
		n.BlockingDetail = strings.TrimSpace(fmt.Sprintf("resume delay %dms %s", delay.Milliseconds(), cause))
	}
	settle(n, now)
	return Change{Execution: n}, nil
}

// Resumed reports an operator's resume.
func Resumed(e *record.Execution, cmd *ff.ResumeExecution, now ff.Timestamp) record.Event {
	return operatorEvent(e, eventResumed, map[string]any{
		"trigger": string(cmd.Trigger), "actor": cmd.Actor, "reason": cmd.Reason, "delay_ms": cmd.Delay.Milliseconds(),
	}, now)
}

// Signalled reports a signal that was accepted (chapter 50, section 7.3).
func Signalled(e *record.Execution, s *record.Signal) record.Event {
	ev := event(e, record.FamilySignal, string(s.Effect), s.AcceptedAt)
	ev.Details = details(map[string]any{
		"signal_id": s.SignalID.String(), "waitpoint_id": s.WaitpointID.String(), "source_identity": s.SourceIdentity,
	})
	return ev
}

func suspensionOver(e *record.Execution, now ff.Timestamp) bool {
	return e.State.Phase == ff.PhaseSuspended && e.SuspendedUntil != 0 && now >= e.SuspendedUntil
}

// timeOutSuspension does to an execution what its suspension says of its deadline (chapter 40, section 10).
func timeOutSuspension(e *record.Execution, now ff.Timestamp) (Change, error) {
	switch e.SuspensionTimeout {
	case ff.TimeoutResumes:
		return Resume(e, 0, "", now)
	case ff.TimeoutEscalate:
		n, err := transition(e, OnEscalate, now)
		if err != nil {
			return Change{}, err
		}
		n.BlockingDetail = fmt.Sprintf("suspension escalated: timeout at %d", e.SuspendedUntil)
		n.SuspendedUntil = 0
		settle(n, now)
		return Change{Execution: n}, nil
	case ff.TimeoutExpired:
		return expire(e, nil, suspensionTimeout+string(ff.TimeoutExpired), now)
	case ff.TimeoutCancels:
		return endSuspended(e, OnSuspensionEnds, ending{ff.AttemptEndedCancelled, record.AttemptCancelled, suspensionTimeout + "cancel", ff.FailureTimeout}, now)
	default:
		return endSuspended(e, OnSuspensionFails, ending{ff.AttemptEndedFailure, record.AttemptFailed, suspensionTimeout + "fail", ff.FailureTimeout}, now)
	}
}

// suspensionTimeout begins the failure reason of an execution that a suspension's deadline has ended.
const suspensionTimeout = "suspension_timeout:"

func endSuspended(e *record.Execution, on Trigger, how ending, now ff.Timestamp) (Change, error) {
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	end(n, now)
	n.FailureReason, n.FailureCategory = how.reason, how.category
	if on == OnSuspensionEnds {
		n.CancellationReason, n.CancelledBy = how.reason, ff.SourceSystemTimeout
	}
	settle(n, now)
	return Change{Execution: n, Attempt: endAttempt(e, how, now), Events: []record.Event{completionEvent(n, now)}}, nil
}

// CloseReason says why the suspension of an execution is over that was suspended before and is not after (chapter 40,
// section 1.2). Empty: it is not over.
func CloseReason(before, after *record.Execution) string {
	if before.State.Phase != ff.PhaseSuspended || after.State.Phase == ff.PhaseSuspended {
		return ""
	}
	behavior, timedOut := strings.CutPrefix(after.FailureReason, suspensionTimeout)
	switch {
	case !after.State.Finished():
		return ff.ClosedAutoResume // signals and operators close the suspension before they resume the execution
	case timedOut && after.FailureReason != before.FailureReason:
		return "timed_out_" + behavior
	case after.State.Outcome == ff.OutcomeExpired:
		return "expired:" + after.FailureReason
	default:
		return ff.ClosedCancelled
	}
}
