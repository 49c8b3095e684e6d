package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// reclaimLimitReason is the failure reason of an execution that was lost too often.
const reclaimLimitReason = "max_reclaims_exceeded"

// Tick does what time alone does to an execution once its due time has come: a delay ends (chapter 10, section 3.2), a
// lease runs out (3.13). The due time is checked again here: an execution that was renewed or moved on meanwhile is left
// alone.
func Tick(e *record.Execution, now ff.Timestamp) (Change, error) {
	s := SituationOf(e.State)
	switch {
	case s == nil: // written by hand: nothing can be done with it until an operator does something
		n := *e
		n.Ready, n.DueAt = false, 0
		return Change{Execution: &n}, nil
	case e.State.Ownership == ff.Leased && now >= e.LeaseExpiresAt:
		return expireLease(e, now)
	case s.waitsForDelay && now >= e.DelayUntil:
		n, err := transition(e, OnDelayOver, now)
		if err != nil {
			return Change{}, err
		}
		settle(n) // DelayUntil stays until the claim: a repeated fail or delay must get its first answer
		return Change{Execution: n}, nil
	}
	n := *e
	if settle(&n); n.Ready != e.Ready || n.DueAt != e.DueAt {
		return Change{Execution: &n}, nil // an index entry that did not follow from the state
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
		settle(n)
		return Change{
			Execution: n,
			Attempt:   endAttempt(e, ff.AttemptInterruptedReclaimed, record.AttemptReclaimed, "lease_lease_expired_reclaimable", ff.FailureInfraCrash, now),
			Events:    []record.Event{leaseEvent(e, eventExpired, "", now), completionEvent(n, now)},
		}, nil
	}
	n, err := transition(e, OnLeaseExpired, now)
	if err != nil {
		return Change{}, err
	}
	n.BlockingDetail = "lease expired, awaiting reclaim"
	n.LastTransitionAt = e.LastTransitionAt // a mark, not a transition of the user's work (chapter 10, section 3.0)
	settle(n)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventExpired, "", now)}}, nil
}
