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
	Slot             bool // the lease counts against the concurrency of its lane
}

// Claimable reports whether e may be claimed now by a worker with the sorted capabilities.
func Claimable(e *record.Execution, capabilities []string, now ff.Timestamp) bool {
	return claimableByAnyone(e, now) && Covers(capabilities, e.Capabilities)
}

func claimableByAnyone(e *record.Execution, now ff.Timestamp) bool {
	s := SituationOf(e.State)
	return s != nil && s.claimable && !e.AwaitsUpstream && !overdue(e, now)
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
	resumed := Resumes(e)
	switch {
	case Lost(e):
		how := ff.LeaseExpiredReclaimable
		if e.State.Ownership == ff.LeaseRevoked {
			how = ff.LeaseRevoked
		}
		ch.Attempt = endAttempt(e, lostAttempt(how), now)
		openAttempt(n, g.AttemptID, n.TotalAttempts, ff.AttemptReclaim, now)
		n.ReclaimCount++
		typ = eventReclaimed
	case resumed:
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
	startClock(n, resumed, now)
	n.LeaseAcquiredAt, n.LeaseRenewedAt, n.LeaseExpiresAt = now, now, leaseUntil(n, now.Add(g.TTL))
	n.Slot = g.Slot
	n.LeaseRevokeReason = ""
	n.DelayUntil = 0
	if n.StartedAt == 0 {
		n.StartedAt = now
	}
	settle(n, now)
	ch.Execution = n
	ch.Events = []record.Event{leaseEvent(n, typ, reason, now)}
	return ch, nil
}

// Resumes reports whether a claim of e would continue an attempt that was paused or revoked.
func Resumes(e *record.Execution) bool {
	return e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.AttemptInterrupted && !Lost(e)
}

// openAttempt begins an attempt. What an earlier one reported of its progress is not true of this one.
func openAttempt(e *record.Execution, id ff.AttemptID, index int, typ ff.AttemptType, now ff.Timestamp) {
	e.AttemptID, e.AttemptIndex, e.AttemptType, e.AttemptStartedAt = id, index, typ, now
	e.ProgressPercent, e.ProgressMessage, e.ProgressDetails, e.ProgressUpdatedAt = nil, "", nil, 0
}
