package lifecycle

import (
	"testing"

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
