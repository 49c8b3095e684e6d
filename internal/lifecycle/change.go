package lifecycle

import (
	"fmt"
	"time"

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
	holdBack(&n)
	n.LastTransitionAt, n.LastMutationAt = now, now
	return &n, nil
}

// settle derives what follows from the state and the time: the public state, the place in the indexes, what waiting has
// added to the priority, and the due time, which is the earliest of all that time alone can do. Every rule ends with it.
func settle(e *record.Execution, now ff.Timestamp) {
	e.Public = PublicState(e.State)
	s := SituationOf(e.State)
	e.Ready = s != nil && s.claimable && !e.AwaitsUpstream
	e.Boost, e.DueAt = aging(e, now)
	if e.State.Ownership == ff.Leased {
		e.DueAt = earliest(e.DueAt, e.LeaseExpiresAt, e.AttemptEndsAt)
	} else {
		e.Slot = false
	}
	if s != nil && s.waitsForDelay {
		e.DueAt = earliest(e.DueAt, e.DelayUntil)
	}
	if e.State.Phase == ff.PhaseSuspended {
		e.DueAt = earliest(e.DueAt, e.SuspendedUntil)
	}
	if !e.State.Finished() {
		e.DueAt = earliest(e.DueAt, e.DeadlineAt)
	}
	limits(e)
}

// earliest is the first of some instants, of which 0 means never.
func earliest(instants ...ff.Timestamp) ff.Timestamp {
	var first ff.Timestamp
	for _, t := range instants {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
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
	e.AttemptEndsAt = 0
}

// ending says how an attempt ends.
type ending struct {
	state    ff.AttemptLifecycle
	outcome  record.AttemptOutcome
	reason   string
	category ff.FailureCategory
}

// endAttempt makes the record of the attempt that is open on e.
func endAttempt(e *record.Execution, how ending, now ff.Timestamp) *record.Attempt {
	return &record.Attempt{
		ExecutionID: e.ID, Index: e.AttemptIndex, AttemptID: e.AttemptID, Type: e.AttemptType, State: how.state,
		LeaseEpoch: e.Epoch, WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID,
		StartedAt: e.AttemptStartedAt, EndedAt: now, Outcome: how.outcome, FailureReason: how.reason, FailureCategory: how.category,
	}
}

// closeAttempt is the last attempt as the end of the execution leaves it: ended if it was open; if the execution waited for
// its next attempt the last one has ended already (I10), unless a replay had cleared it: att, as it is stored.
func closeAttempt(e *record.Execution, att *record.Attempt, how ending, now ff.Timestamp) *record.Attempt {
	switch {
	case AttemptOpen(e):
		return endAttempt(e, how, now)
	case e.State.AttemptState == ff.PendingFirstAttempt:
		return nil
	case att != nil && att.EndedAt == 0:
		a := *att
		a.State, a.Outcome, a.EndedAt = how.state, how.outcome, now
		a.FailureReason, a.FailureCategory = how.reason, how.category
		return &a
	default:
		return nil
	}
}

// NeedsAttempt reports whether a rule that may end e must be given its current attempt as it is stored: a replay has
// cleared it, and it is closed with e.
func NeedsAttempt(e *record.Execution) bool {
	return e.State.AttemptState == ff.PendingReplayAttempt && e.TotalAttempts > 0
}

// AttemptOpen reports whether e has an attempt that began and has not ended.
func AttemptOpen(e *record.Execution) bool {
	return e.State.AttemptState == ff.RunningAttempt || e.State.AttemptState == ff.AttemptInterrupted
}

// end puts a finished execution's common fields in place; the state is already set.
func end(e *record.Execution, now ff.Timestamp) {
	clearLease(e)
	clearSuspension(e)
	e.AttemptLeftMS, e.DelayUntil, e.LeaseRevokeReason = 0, 0, ""
	e.AwaitsUpstream = false
	e.CompletedAt = now
}

// Retain completes a change that ended its execution: the execution is kept for what its policy says, standard if that
// says nothing, and may be removed then (chapter 10, section 3.21). A member of a flow is kept until it leaves that:
// others may yet read its result.
func Retain(ch *Change, standard time.Duration) {
	if e := ch.Execution; e != nil && e.State.Finished() && e.FlowID.IsZero() {
		retain(e, standard)
	}
}

func retain(e *record.Execution, standard time.Duration) {
	if e.RetainUntil == 0 && e.CompletedAt != 0 {
		e.RetainUntil = e.CompletedAt.Add(e.Policy.RetentionOr(standard))
	}
}
