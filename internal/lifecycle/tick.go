package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// reclaimLimitReason is the failure reason of an execution that was lost too often.
const reclaimLimitReason = "max_reclaims_exceeded"

// Due reports whether time alone has something to do to e.
func Due(e *record.Execution, now ff.Timestamp) bool { return e.DueAt != 0 && now >= e.DueAt }

// Tick does what time alone does to an execution once its due time has come: its deadline passes or its attempt runs too
// long (chapter 10, section 3.18), a lease runs out (3.13), a suspension reaches its deadline (chapter 40, section 10), a
// delay ends (chapter 10, section 3.2), waiting raises its place in the claim order. The due time is checked again here: an execution that was renewed or moved on meanwhile is left alone. att is the
// current attempt as stored, if [NeedsAttempt].
func Tick(e *record.Execution, att *record.Attempt, now ff.Timestamp) (Change, error) {
	s := SituationOf(e.State)
	leased := e.State.Ownership == ff.Leased
	switch {
	case s == nil: // written by hand: nothing can be done with it until an operator does something
		n := *e
		n.Ready, n.Boost, n.DueAt = false, 0, 0
		return Change{Execution: &n}, nil
	case overdue(e, now):
		return expire(e, att, executionDeadline, now)
	case leased && ranTooLong(e, now):
		return timeOutAttempt(e, now)
	case leased && now >= e.LeaseExpiresAt:
		return expireLease(e, now)
	case suspensionOver(e, now):
		return timeOutSuspension(e, now)
	case s.waitsForDelay && now >= e.DelayUntil:
		n, err := transition(e, OnDelayOver, now)
		if err != nil {
			return Change{}, err
		}
		settle(n, now) // DelayUntil stays until the claim: a repeated fail or delay must get its first answer
		return Change{Execution: n}, nil
	}
	n := *e
	if settle(&n, now); n.Ready != e.Ready || n.DueAt != e.DueAt || n.Boost != e.Boost {
		return Change{Execution: &n}, nil // it has waited long enough, or an index entry did not follow from the state
	}
	return Change{}, nil
}

// expireLease makes an execution whose worker lost it claimable again, or fails it when that has happened too often.
// Validity of a lease never depends on this (F5).
func expireLease(e *record.Execution, now ff.Timestamp) (Change, error) {
	if uint64(e.ReclaimCount) >= uint64(e.Policy.MaxReclaimsOrDefault()) {
		n, err := transition(e, OnReclaimLimit, now)
		if err != nil {
			return Change{}, err
		}
		end(n, now)
		n.FailureReason, n.FailureCategory = reclaimLimitReason, ff.FailureInfraCrash
		settle(n, now)
		return Change{
			Execution: n,
			Attempt:   endAttempt(e, lostAttempt(ff.LeaseExpiredReclaimable), now),
			Events:    []record.Event{leaseEvent(e, eventExpired, "", now), completionEvent(n, now)},
		}, nil
	}
	if e.AwaitsUpstream {
		n, err := loseBehind(e, now)
		if err != nil {
			return Change{}, err
		}
		return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventExpired, "", now)}}, nil
	}
	n, err := transition(e, OnLeaseExpired, now)
	if err != nil {
		return Change{}, err
	}
	n.AttemptEndsAt = 0
	n.BlockingDetail = "lease expired, awaiting reclaim"
	n.LastTransitionAt = e.LastTransitionAt // a mark, not a transition of the user's work (chapter 10, section 3.0)
	settle(n, now)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventExpired, "", now)}}, nil
}

// lostAttempt is how an attempt ends whose lease ended without it.
func lostAttempt(lease ff.Ownership) ending {
	return ending{ff.AttemptInterruptedReclaimed, record.AttemptReclaimed, "lease_" + string(lease), ff.FailureInfraCrash}
}
