package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Change is what a rule decided: the execution to write, the attempt to write with it, the events to append. The zero
// Change writes nothing: what was asked for is already so.
type Change struct {
	Execution *record.Execution
	Attempt   *record.Attempt
	Events    []record.Event
}

// transition returns a copy of e after on, stamped. The caller fills in the rest and then calls settle.
func transition(e *record.Execution, on Trigger, now ff.Timestamp) (*record.Execution, error) {
	to, ok := next(e.State, on)
	if !ok {
		return nil, &ff.Error{Code: ff.CodeCorruption, Detail: fmt.Sprintf("%s is in state %s, which %q does not lead from", e.ID, e.State, on)}
	}
	n := *e
	n.State = to
	n.BlockingDetail = ""
	n.LastTransitionAt, n.LastMutationAt = now, now
	return &n, nil
}

// settle derives what follows from the state: the public state, the place in the ready index and the due time. Every
// rule ends with it.
func settle(e *record.Execution) {
	e.Public = PublicState(e.State)
	s := SituationOf(e.State)
	e.Ready = s != nil && s.claimable
	switch {
	case e.State.Ownership == ff.Leased:
		e.DueAt = e.LeaseExpiresAt
	case s != nil && s.waitsForDelay:
		e.DueAt = e.DelayUntil
	default:
		e.DueAt = 0
	}
}

// PublicState derives the public state from the stored dimensions (chapter 10, section 2.2). It is defined for every
// vector, legal or not.
func PublicState(v ff.StateVector) ff.PublicState {
	switch v.Phase {
	case ff.PhaseCancelled:
		return ff.PublicCancelled
	case ff.PhaseTerminal:
		switch v.Outcome {
		case ff.OutcomeSuccess:
			return ff.PublicCompleted
		case ff.OutcomeCancelled:
			return ff.PublicCancelled
		case ff.OutcomeExpired:
			return ff.PublicExpired
		case ff.OutcomeSkipped:
			return ff.PublicSkipped
		default:
			return ff.PublicFailed
		}
	case ff.PhaseSuspended:
		return ff.PublicSuspended
	case ff.PhaseActive:
		return ff.PublicActive
	case ff.PhaseRunnable:
		switch v.Eligibility {
		case ff.NotEligibleUntilTime:
			return ff.PublicDelayed
		case ff.BlockedByDependencies:
			return ff.PublicWaitingChildren
		case ff.BlockedByBudget, ff.BlockedByQuota:
			return ff.PublicRateLimited
		default:
			return ff.PublicWaiting
		}
	default:
		return ff.PublicWaiting
	}
}

// clearLease takes the lease off an execution. The epoch stays.
func clearLease(e *record.Execution) {
	e.LeaseID = ff.LeaseID{}
	e.WorkerID, e.WorkerInstanceID = "", ""
	e.LeaseAcquiredAt, e.LeaseRenewedAt, e.LeaseExpiresAt = 0, 0, 0
}

// endAttempt makes the record of the attempt that is open on e.
func endAttempt(e *record.Execution, state ff.AttemptLifecycle, outcome record.AttemptOutcome, reason string, category ff.FailureCategory, now ff.Timestamp) *record.Attempt {
	return &record.Attempt{
		ExecutionID: e.ID, Index: e.AttemptIndex, AttemptID: e.AttemptID, Type: e.AttemptType, State: state,
		LeaseEpoch: e.Epoch, WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID,
		StartedAt: e.AttemptStartedAt, EndedAt: now, Outcome: outcome, FailureReason: reason, FailureCategory: category,
	}
}

// AttemptOpen reports whether e has an attempt that began and has not ended.
func AttemptOpen(e *record.Execution) bool {
	return e.State.AttemptState == ff.RunningAttempt || e.State.AttemptState == ff.AttemptInterrupted
}

// end puts a finished execution's common fields in place; the state is already set.
func end(e *record.Execution, now ff.Timestamp) {
	clearLease(e)
	e.DelayUntil = 0
	e.CompletedAt = now
}
