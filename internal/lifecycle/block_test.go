package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestBlock_EachReasonHasItsGate restates the table of chapter 10, section 3.6, and W15: the public state is derived.
func TestBlock_EachReasonHasItsGate(t *testing.T) {
	now := t0 + 9_000
	for reason, c := range map[ff.BlockingReason]struct {
		gate   ff.Eligibility
		public ff.PublicState
	}{
		"waiting_for_budget":         {"blocked_by_budget", "rate_limited"},
		"waiting_for_quota":          {"blocked_by_quota", "rate_limited"},
		"waiting_for_capable_worker": {"blocked_by_route", "waiting"},
		"paused_by_operator":         {"blocked_by_operator", "waiting"},
		"paused_by_policy":           {"blocked_by_lane_state", "waiting"},
	} {
		e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_retry_attempt")
		ch, err := Block(e, &ff.Block{Reason: reason, Detail: "later", Actor: "ops"}, now)
		noError(t, err)
		equal(t, string(reason), ch.Execution, changed(e, func(n *record.Execution) {
			n.State.Eligibility, n.State.BlockingReason, n.BlockingDetail = c.gate, reason, "later"
			n.Public, n.Ready = c.public, false
			n.LastTransitionAt, n.LastMutationAt, n.LastOperatorAt = now, now, now
		}))
		equal(t, "details", detailsOf(t, ch), map[string]any{"reason": string(reason), "detail": "later", "actor": "ops"})

		again, err := Block(ch.Execution, &ff.Block{Reason: reason, Detail: "other words"}, now+1)
		noError(t, err)
		equal(t, "repeated", again, Change{})

		back, err := Unblock(ch.Execution, &ff.Unblock{ExpectedReason: reason, Actor: "ops"}, now+2)
		noError(t, err)
		equal(t, "unblocked", back.Execution, changed(e, func(n *record.Execution) {
			n.LastTransitionAt, n.LastMutationAt, n.LastOperatorAt = now+2, now+2, now+2
		}))
		equal(t, "details", detailsOf(t, back), map[string]any{"reason": string(reason), "actor": "ops"})
		_, err = Unblock(back.Execution, &ff.Unblock{ExpectedReason: reason}, now+3)
		wantCode(t, err, ff.CodeExecutionNotEligible)
	}
}

func TestBlock_AnotherReasonReplacesTheFirst(t *testing.T) {
	e := inState(t, "runnable unowned blocked_by_budget waiting_for_budget none attempt_interrupted")
	ch, err := Block(e, &ff.Block{Reason: ff.PausedByOperator}, t0)
	noError(t, err)
	if got, want := ch.Execution.State, vector(t, "runnable unowned blocked_by_operator paused_by_operator none attempt_interrupted"); got != want {
		t.Errorf("it is %s", got)
	}
	_, err = Unblock(ch.Execution, &ff.Unblock{ExpectedReason: ff.WaitingForBudget}, t0)
	wantCode(t, err, ff.CodeExecutionNotEligible)
}

// TestW16_EveryBlockCanBeUnblocked goes through every reason that may stand behind a gate.
func TestW16_EveryBlockCanBeUnblocked(t *testing.T) {
	for v, l := range legalVectors(t) {
		if l.row != 14 {
			continue
		}
		e := base()
		e.State = v
		ch, err := Unblock(e, &ff.Unblock{ExpectedReason: v.BlockingReason}, t0)
		if err != nil || !ch.Execution.Ready || ch.Execution.State.AttemptState != v.AttemptState || ch.Execution.State.Eligibility != "eligible_now" {
			t.Errorf("%s becomes %+v, %v", v, ch.Execution, err)
		}
	}
}

// TestUnblock_TheDelayGoesOn is I22 for a block in the middle of a delay.
func TestUnblock_TheDelayGoesOn(t *testing.T) {
	for from, want := range map[string]string{
		"runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt":         "runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt",
		"runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt": "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt",
		"runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted":           "runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted",
		"runnable unowned not_eligible_until_time waiting_for_resume_delay none attempt_interrupted":    "runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted",
	} {
		e := inState(t, from) // until t0 + 10 s
		ch, err := Block(e, &ff.Block{Reason: ff.PausedByOperator}, t0)
		noError(t, err)
		if ch.Execution.DueAt != 0 {
			t.Errorf("blocked, it is due at %d", ch.Execution.DueAt)
		}
		early, err := Unblock(ch.Execution, &ff.Unblock{ExpectedReason: ff.PausedByOperator}, t0+9_999)
		noError(t, err)
		if n := early.Execution; n.State != vector(t, want) || n.Ready || n.DueAt != t0+10_000 || n.BlockingDetail != "delayed until 1700000010000" {
			t.Errorf("%s, unblocked early, becomes %+v", from, n)
		}
		late, err := Unblock(ch.Execution, &ff.Unblock{ExpectedReason: ff.PausedByOperator}, t0+10_000)
		noError(t, err)
		if n := late.Execution; !n.Ready || n.BlockingDetail != "" {
			t.Errorf("%s, unblocked late, becomes %+v", from, n)
		}
	}
}

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

// TestW35_WaitingRaisesThePlaceInTheClaimOrder: by a step for every whole period, up to the highest priority, and at the
// instants the due time names.
func TestW35_WaitingRaisesThePlaceInTheClaimOrder(t *testing.T) {
	e := Submit(&ff.Submit{ID: execID, Priority: 8_000, Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 1000, Step: 400}}}, t0)
	for _, c := range []struct {
		at         ff.Timestamp
		boost      int
		due        ff.Timestamp
		unmodified bool
	}{
		{t0, 0, t0 + 1000, true},
		{t0 + 999, 0, t0 + 1000, true},
		{t0 + 1000, 400, t0 + 2000, false},
		{t0 + 2999, 800, t0 + 3000, false},
		{t0 + 3000, 1000, 0, false}, // not 1200
		{t0 + 9_000_000, 1000, 0, true},
	} {
		ch, err := Tick(e, nil, c.at)
		noError(t, err)
		if (ch.Execution == nil) != c.unmodified {
			t.Errorf("at %d it is written: %t", c.at, ch.Execution != nil)
		}
		if ch.Execution != nil {
			e = ch.Execution
		}
		if e.Boost != c.boost || e.DueAt != c.due || e.Priority != 8_000 || e.LastMutationAt != t0 {
			t.Errorf("at %d the boost is %d, due at %d, priority %d", c.at, e.Boost, e.DueAt, e.Priority)
		}
	}
	ch, _, err := ChangePriority(e, &ff.ChangePriority{NewPriority: 7_000}, t0+3_500)
	noError(t, err)
	if n := ch.Execution; n.Boost != 1200 || n.DueAt != t0+4_000 {
		t.Errorf("after a change of the priority the boost is %d, due at %d", n.Boost, n.DueAt)
	}
	claimed, err := Claim(ch.Execution, grant, t0+3_600)
	noError(t, err)
	if n := claimed.Execution; n.Boost != 0 {
		t.Errorf("claimed, the boost is %d", n.Boost)
	}
	lost, err := Tick(claimed.Execution, nil, t0+33_600)
	noError(t, err)
	if n := lost.Execution; !n.Ready || n.Boost != 0 || n.DueAt != t0+34_600 {
		t.Errorf("when its worker was lost: ready %t, boost %d, due at %d", n.Ready, n.Boost, n.DueAt)
	}
}

func TestSetTags_AddsAndOverwrites(t *testing.T) {
	for _, state := range []string{
		"active leased not_applicable none none running_attempt", "terminal unowned not_applicable none success attempt_terminal",
	} {
		e := inState(t, state)
		e.Tags = map[string]string{"a.a": "1", "a.b": "2"}
		ch, err := SetTags(e, &ff.SetTags{Tags: map[string]string{"a.b": "3", "a.c": "4"}}, t0+9_000)
		noError(t, err)
		equal(t, state, ch.Execution, changed(e, func(n *record.Execution) {
			n.Tags, n.LastMutationAt = map[string]string{"a.a": "1", "a.b": "3", "a.c": "4"}, t0+9_000
		}))
		equal(t, "events", len(ch.Events), 0)
		again, err := SetTags(ch.Execution, &ff.SetTags{Tags: map[string]string{"a.c": "4"}}, t0+9_001)
		noError(t, err)
		equal(t, "repeated", again, Change{})
	}
}

// TestClaimByOperator_TakesWhatAWorkerMight: whatever capabilities it needs; W9: nothing that is not claimable.
func TestClaimByOperator_TakesWhatAWorkerMight(t *testing.T) {
	now := t0 + 40_000
	for state, reason := range map[string]string{
		"runnable unowned eligible_now waiting_for_worker none pending_first_attempt":                 "issue_grant_and_claim",
		"runnable unowned eligible_now waiting_for_worker none attempt_interrupted":                   "issue_grant_and_claim_resumed",
		"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted": "issue_grant_and_claim",
	} {
		e := inState(t, state)
		e.Capabilities = []string{"gpu"}
		ch, err := ClaimByOperator(e, grant, "ops", now)
		noError(t, err)
		if n := ch.Execution; n.LeaseID != newLease || n.LeaseExpiresAt != now.Add(30*time.Second) || n.LastOperatorAt != now {
			t.Errorf("%s: %+v", state, n)
		}
		if ch.Events[0].Reason != reason || len(ch.Events) != 2 || ch.Events[1].Type != "claimed" {
			t.Errorf("%s: events are %v", state, eventsOf(ch))
		}
	}
	late := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	late.DeadlineAt = now
	_, err := ClaimByOperator(late, grant, "ops", now)
	wantCode(t, err, ff.CodeExecutionNotEligible)
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
