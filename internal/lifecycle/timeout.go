package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Reasons of an execution that took too long (chapter 10, section 3.18).
const (
	attemptTimeout    = "attempt_timeout"
	executionDeadline = "execution_deadline"
)

// deadlineOf is when an execution that is submitted now has to have ended: at the earlier of what the submission and what
// its policy says.
func deadlineOf(cmd *ff.Submit, now ff.Timestamp) ff.Timestamp {
	at := cmd.Deadline
	if span := cmd.Policy.ExecutionDeadline(); span > 0 {
		at = earliest(at, now.Add(span))
	}
	return at
}

// deadlineOfReplay is when an execution that is replayed now has to have ended. What its policy says counts anew. An
// instant of the submission's own, which can be told by being earlier than the policy's was, stays if it is still to come.
func deadlineOfReplay(e *record.Execution, now ff.Timestamp) ff.Timestamp {
	at, span := e.DeadlineAt, e.Policy.ExecutionDeadline()
	if at <= now || span > 0 && at >= e.CreatedAt.Add(span) {
		at = 0
	}
	if span > 0 {
		at = earliest(at, now.Add(span))
	}
	return at
}

// overdue reports whether e should have ended by now.
func overdue(e *record.Execution, now ff.Timestamp) bool {
	return e.DeadlineAt != 0 && now >= e.DeadlineAt && !e.State.Finished()
}

// startClock arms the timeout of the attempt that n's lease is for: in full for one that begins, with what was left of it
// for one that goes on. A lease never outlasts its attempt or its execution, so that its holder knows.
func startClock(n *record.Execution, resumed bool, now ff.Timestamp) {
	n.AttemptEndsAt = 0
	if limit := n.Policy.AttemptTimeout(); limit > 0 {
		n.AttemptEndsAt = now.Add(limit)
		if resumed && n.AttemptLeftMS > 0 {
			n.AttemptEndsAt = now + ff.Timestamp(n.AttemptLeftMS)
		}
	}
	n.AttemptLeftMS = 0
}

// stopClock keeps what is left of the attempt's time, at least a millisecond, while the attempt is paused.
func stopClock(n *record.Execution, now ff.Timestamp) {
	if n.AttemptEndsAt != 0 {
		n.AttemptLeftMS = int64(max(n.AttemptEndsAt-now, 1))
	}
	n.AttemptEndsAt = 0
}

// leaseUntil is when a lease on e that should last until t ends: no lease lasts beyond its attempt's time or the deadline.
func leaseUntil(e *record.Execution, t ff.Timestamp) ff.Timestamp {
	return earliest(t, e.AttemptEndsAt, e.DeadlineAt)
}

// ranTooLong reports whether the attempt that holds the lease has used up its time. One whose lease ran out before that
// was lost, not slow.
func ranTooLong(e *record.Execution, now ff.Timestamp) bool {
	return e.AttemptEndsAt != 0 && now >= e.AttemptEndsAt && e.AttemptEndsAt <= e.LeaseExpiresAt
}

// timeOutAttempt ends an attempt that has used up its time, the way the policy says (W39): with the execution, or like a
// failure of category timeout.
func timeOutAttempt(e *record.Execution, now ff.Timestamp) (Change, error) {
	if e.Policy.OnAttemptTimeoutOrDefault() == ff.TimeoutRetries {
		ch, _, err := failAttempt(e, failure{reason: attemptTimeout, category: ff.FailureTimeout}, now)
		return ch, err
	}
	return expire(e, nil, attemptTimeout, now)
}

// expire ends an execution that took too long, whatever it was doing (chapter 10, section 3.18). att is its current
// attempt as stored, if [NeedsAttempt].
func expire(e *record.Execution, att *record.Attempt, reason string, now ff.Timestamp) (Change, error) {
	n, err := transition(e, OnExpire, now)
	if err != nil {
		return Change{}, fmt.Errorf("expire for %s: %w", reason, err)
	}
	end(n, now)
	n.FailureReason, n.FailureCategory = reason, ff.FailureTimeout
	settle(n, now)
	ch := Change{
		Execution: n,
		Attempt:   closeAttempt(e, att, ending{ff.AttemptEndedFailure, record.AttemptRanTooLong, reason, ff.FailureTimeout}, now),
	}
	if e.State.Ownership == ff.Leased {
		ch.Events = []record.Event{completionOfLease(e, n, "expired:"+reason, now)}
	} else {
		ch.Events = []record.Event{completionEvent(n, now)}
	}
	return ch, nil
}
