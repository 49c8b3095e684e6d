package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestFail_RetriesUsedUpMayPause: the policy keeps the execution for an operator, whose unblock grants one more attempt.
func TestFail_RetriesUsedUpMayPause(t *testing.T) {
	e, now := running4(t), t0+9_000
	e.Policy = ff.Retry(2, nil)
	e.Policy.Retry.OnExhausted = ff.ExhaustedPauses
	e.RetryCount, e.DelayUntil = 2, t0
	cmd := &ff.Fail{Fence: holder, Reason: "busy", Category: "transient"}
	ch, res, err := Fail(e, cmd, now)
	noError(t, err)
	equal(t, "answer", res, ff.FailResult{Paused: true, NextAttemptIndex: 1})
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned blocked_by_operator paused_by_operator none pending_retry_attempt")
		n.Public, n.CompletedAt, n.DelayUntil, n.AttemptID = "waiting", 0, 0, ff.AttemptID{}
		n.BlockingDetail = "retries used up (attempt 0 failed: busy)"
		n.FailureReason, n.FailureCategory = "busy", "transient"
	}))
	want := endedAttempt(now)
	want.State, want.Outcome, want.FailureReason, want.FailureCategory = "ended_failure", "failed", "busy", "transient"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{lease("released", 3, "failed_paused")})

	again, res, err := Fail(ch.Execution, cmd, now+1)
	noError(t, err)
	equal(t, "repeated: answer", res, ff.FailResult{Paused: true, NextAttemptIndex: 1})
	equal(t, "repeated: change", again, Change{})

	free, err := Unblock(ch.Execution, &ff.Unblock{ExpectedReason: ff.PausedByOperator}, now+2)
	noError(t, err)
	more, err := Claim(free.Execution, grant, now+3)
	noError(t, err)
	if n := more.Execution; n.AttemptType != "retry" || n.AttemptIndex != 1 || n.RetryCount != 2 {
		t.Errorf("the attempt that was granted is %+v", n)
	}
	if _, res, err = Fail(more.Execution, &ff.Fail{Fence: fenceOf(more.Execution), Category: "transient"}, now+4); err != nil || !res.Paused {
		t.Errorf("its failure gives %+v, %v", res, err)
	}
	if _, res, err = Fail(more.Execution, &ff.Fail{Fence: fenceOf(more.Execution), Category: "permanent"}, now+4); err != nil || res != (ff.FailResult{}) {
		t.Errorf("a permanent failure gives %+v, %v", res, err)
	}
}

// TestClaim_ProgressIsOfTheAttempt: a new attempt begins without what another reported; one that goes on keeps it.
func TestClaim_ProgressIsOfTheAttempt(t *testing.T) {
	half := 50
	for state, kept := range map[string]bool{
		"runnable unowned eligible_now waiting_for_worker none attempt_interrupted":                   true,
		"runnable unowned eligible_now waiting_for_worker none pending_retry_attempt":                 false,
		"runnable unowned eligible_now waiting_for_worker none pending_replay_attempt":                false,
		"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted": false,
	} {
		e := inState(t, state)
		e.ProgressPercent, e.ProgressMessage, e.ProgressDetails, e.ProgressUpdatedAt = &half, "half", []byte("x"), t0
		ch, err := Claim(e, grant, t0+9_000)
		noError(t, err)
		n := ch.Execution
		if (n.ProgressPercent != nil) != kept || (n.ProgressMessage != "") != kept || (n.ProgressDetails != nil) != kept || (n.ProgressUpdatedAt != 0) != kept {
			t.Errorf("%s: progress is %v, %q, %q, %d", state, n.ProgressPercent, n.ProgressMessage, n.ProgressDetails, n.ProgressUpdatedAt)
		}
	}
}

// TestOperator_RepeatWithoutFence: an operator's report is recognised by what it says, as a holder's is by its fence.
func TestOperator_RepeatWithoutFence(t *testing.T) {
	const operator = ff.SourceOperatorOverride
	e, now := running4(t), t0+9_000
	done := &ff.Complete{Source: operator, Result: []byte("x"), ResultEncoding: "text"}
	ch, err := Complete(e, done, now)
	noError(t, err)
	again, err := Complete(ch.Execution, done, now+1)
	noError(t, err)
	equal(t, "completed again", again, Change{})
	_, err = Complete(ch.Execution, &ff.Complete{Source: operator, Result: []byte("y"), ResultEncoding: "text"}, now+1)
	wantCode(t, err, ff.CodeExecutionNotActive)
	_, err = Complete(ch.Execution, &ff.Complete{Source: ff.SourceLeaseHolder, Result: []byte("x"), ResultEncoding: "text"}, now+1)
	wantCode(t, err, ff.CodeFenceRequired)

	e.Policy = ff.Retry(1, ff.FixedBackoff(time.Second))
	for retries, want := range []ff.FailResult{{Retrying: true, DelayUntil: now + 1_000, NextAttemptIndex: 1}, {}} {
		e.RetryCount = retries
		broke := &ff.Fail{Source: operator, Reason: "broke", Category: "transient"}
		ch, res, err := Fail(e, broke, now)
		noError(t, err)
		equal(t, "first answer", res, want)
		again, res, err := Fail(ch.Execution, broke, now+1)
		noError(t, err)
		equal(t, "second answer", res, want)
		equal(t, "failed again", again, Change{})
		_, _, err = Fail(ch.Execution, &ff.Fail{Source: operator, Reason: "something else", Category: "transient"}, now+1)
		wantCode(t, err, ff.CodeExecutionNotActive)
	}
}

// TestFence_CancelOfARevokedExecutionIsItsEnd: its old holder is told that it ended, not that its lease was revoked.
func TestFence_CancelOfARevokedExecutionIsItsEnd(t *testing.T) {
	ch, _, err := RevokeLease(running4(t), nil, &ff.RevokeLease{Reason: "hung"}, t0+9_000)
	noError(t, err)
	_, err = Complete(ch.Execution, &ff.Complete{Fence: holder}, t0+9_001)
	wantCode(t, err, ff.CodeLeaseRevoked)
	ch, err = Cancel(ch.Execution, nil, &ff.Cancel{Source: ff.SourceOperatorOverride}, t0+9_002)
	noError(t, err)
	_, err = Complete(ch.Execution, &ff.Complete{Fence: holder}, t0+9_003)
	wantCode(t, err, ff.CodeExecutionNotActive)
}
