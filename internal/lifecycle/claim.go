package lifecycle

import (
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Grant is a lease about to be given.
type Grant struct {
	WorkerID         ff.WorkerID
	WorkerInstanceID ff.WorkerInstanceID
	Capabilities     []string // sorted
	LeaseID          ff.LeaseID
	AttemptID        ff.AttemptID // used when the claim opens an attempt
	TTL              time.Duration
}

// Claimable reports whether e may be claimed by a worker with the sorted capabilities.
func Claimable(e *record.Execution, capabilities []string) bool {
	s := SituationOf(e.State)
	return s != nil && s.claimable && Covers(capabilities, e.Capabilities)
}

// Covers reports whether every required token is offered. Both are sorted.
func Covers(offered, required []string) bool {
	for _, token := range required {
		if _, ok := slices.BinarySearch(offered, token); !ok {
			return false
		}
	}
	return true
}

// Claim gives a lease on e (chapter 10, sections 3.5, 3.8 and 3.16). What the claim begins follows from the state: the
// first attempt, a retry, a replay in place, a reclaim of an attempt whose worker lost its lease, or the continuation of
// a paused one. The caller has made sure with [Claimable] that e may be claimed.
func Claim(e *record.Execution, g Grant, now ff.Timestamp) (Change, error) {
	n, err := transition(e, OnClaim, now)
	if err != nil {
		return Change{}, err
	}
	var ch Change
	typ, reason := eventAcquired, ""
	switch {
	case e.State.Phase == ff.PhaseActive: // its worker lost it
		cause := "lease_" + string(e.State.Ownership)
		ch.Attempt = endAttempt(e, ff.AttemptInterruptedReclaimed, record.AttemptReclaimed, cause, ff.FailureInfraCrash, now)
		openAttempt(n, g.AttemptID, n.TotalAttempts, ff.AttemptReclaim, now)
		n.ReclaimCount++
		typ = eventReclaimed
	case e.State.AttemptState == ff.AttemptInterrupted:
		reason = "claim_resumed"
		if n.AttemptID.IsZero() { // written by hand
			n.AttemptID = g.AttemptID
		}
	case e.State.AttemptState == ff.PendingReplayAttempt:
		openAttempt(n, g.AttemptID, n.AttemptIndex, ff.AttemptReplay, now)
	case e.State.AttemptState == ff.PendingRetryAttempt:
		openAttempt(n, g.AttemptID, n.TotalAttempts, ff.AttemptRetry, now)
	default:
		openAttempt(n, g.AttemptID, n.TotalAttempts, ff.AttemptInitial, now)
	}
	n.TotalAttempts = max(n.TotalAttempts, n.AttemptIndex+1)
	n.Epoch++
	n.LeaseID, n.WorkerID, n.WorkerInstanceID = g.LeaseID, g.WorkerID, g.WorkerInstanceID
	n.LeaseAcquiredAt, n.LeaseRenewedAt, n.LeaseExpiresAt = now, now, now.Add(g.TTL)
	n.LeaseRevokeReason = ""
	n.DelayUntil = 0
	if n.StartedAt == 0 {
		n.StartedAt = now
	}
	settle(n)
	ch.Execution = n
	ch.Events = []record.Event{leaseEvent(n, typ, reason, now)}
	return ch, nil
}

func openAttempt(e *record.Execution, id ff.AttemptID, index int, typ ff.AttemptType, now ff.Timestamp) {
	e.AttemptID, e.AttemptIndex, e.AttemptType, e.AttemptStartedAt = id, index, typ, now
}
