package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Normalize reads a stored execution into today's vocabulary. Rows written by the engine are returned as they are; rows
// written by hand or by the reference system may use older literals and leave dimensions open (chapter 20, section
// 20.3). att is the current attempt, if it was read: it can tell how such an execution ended.
func Normalize(e *record.Execution, att *record.Attempt) *record.Execution {
	if e == nil || SituationOf(e.State) != nil {
		return e
	}
	n := *e
	v := &n.State
	v.Phase = translate(v.Phase, map[ff.Phase]ff.Phase{"pending": ff.PhaseRunnable, "eligible": ff.PhaseRunnable, "blocked": ff.PhaseRunnable})
	v.Ownership = translate(v.Ownership, map[ff.Ownership]ff.Ownership{"released": ff.Unowned})
	v.Eligibility = translate(v.Eligibility, map[ff.Eligibility]ff.Eligibility{
		"cancelled": ff.EligibilityNotApplicable, "pending_claim": ff.EligibleNow, "blocked": ff.BlockedByDependencies,
	})
	v.AttemptState = translate(v.AttemptState, map[ff.AttemptState]ff.AttemptState{
		"pending": ff.PendingFirstAttempt, "pending_claim": ff.PendingFirstAttempt, "running": ff.RunningAttempt,
		"cancelled": ff.AttemptTerminal, "terminated": ff.AttemptTerminal, "terminal_failed": ff.AttemptTerminal,
	})
	if v.Outcome == "" {
		v.Outcome = ff.OutcomeNone
	}
	if v.BlockingReason == "" {
		v.BlockingReason = ff.ReasonNone
	}
	switch {
	case v.Finished():
		v.Ownership, v.Eligibility, v.BlockingReason = ff.Unowned, ff.EligibilityNotApplicable, ff.ReasonNone
		if v.Outcome == ff.OutcomeNone {
			v.Outcome = storedOutcome(e, att)
		}
	case v.Phase == ff.PhaseActive:
		v.Eligibility = ff.EligibilityNotApplicable
	case v.Phase == ff.PhaseRunnable && v.BlockingReason == ff.ReasonNone:
		v.BlockingReason = reasonFor(v.Eligibility, v.AttemptState)
	}
	return &n
}

func translate[T comparable](v T, old map[T]T) T {
	if now, ok := old[v]; ok {
		return now
	}
	return v
}

// storedOutcome finds out how a finished execution without an outcome ended.
func storedOutcome(e *record.Execution, att *record.Attempt) ff.Outcome {
	if e.State.Phase == ff.PhaseCancelled {
		return ff.OutcomeCancelled
	}
	byPublic := map[ff.PublicState]ff.Outcome{
		ff.PublicCompleted: ff.OutcomeSuccess, "success": ff.OutcomeSuccess, ff.PublicFailed: ff.OutcomeFailed,
		ff.PublicCancelled: ff.OutcomeCancelled, ff.PublicExpired: ff.OutcomeExpired, ff.PublicSkipped: ff.OutcomeSkipped,
	}
	if o, ok := byPublic[e.Public]; ok {
		return o
	}
	if att != nil {
		switch o := ff.Outcome(att.Outcome); o {
		case ff.OutcomeSuccess, ff.OutcomeFailed, ff.OutcomeCancelled, ff.OutcomeExpired, ff.OutcomeSkipped:
			return o
		default: // an attempt may end in words of its own
		}
	}
	return ff.OutcomeNone
}

// reasonFor is the blocking reason that goes with an eligibility when none was stored (chapter 10, section 2.4).
func reasonFor(el ff.Eligibility, at ff.AttemptState) ff.BlockingReason {
	switch el {
	case ff.EligibleNow:
		return ff.WaitingForWorker
	case ff.NotEligibleUntilTime:
		if at == ff.PendingRetryAttempt {
			return ff.WaitingForRetryBackoff
		}
		return ff.WaitingForDelay
	case ff.BlockedByDependencies:
		return ff.WaitingForChildren
	case ff.BlockedByBudget:
		return ff.WaitingForBudget
	case ff.BlockedByQuota:
		return ff.WaitingForQuota
	case ff.BlockedByRoute:
		return ff.WaitingForCapableWorker
	case ff.BlockedByOperator:
		return ff.PausedByOperator
	case ff.BlockedByLaneState:
		return ff.PausedByPolicy
	default:
		return ff.ReasonNone
	}
}
