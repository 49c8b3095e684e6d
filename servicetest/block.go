package servicetest

import (
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var blockTests = []behaviour{
	{"W15_PublicStateIsDerived", testBlockPublic},
	{"W16_EveryBlockIsUndone", testBlockUndone},
	{"OnlyOfWaitingExecutions", testBlockGate},
	{"UnblockOnlyForTheReason", testUnblockGate},
	{"BadReasonsAreRefused", testBlockReasons},
	{"TheDelayGoesOn", testBlockDelay},
	{"AgainChangesNothing", testBlockAgain},
	{"EachWritesOneEvent", testBlockEvents},
	{"RetriesUsedUpMayPause", testExhaustedPauses},
}

func blockedFor(gate ff.Eligibility, reason ff.BlockingReason, attempt ff.AttemptState) string {
	return ff.StateVector{
		Phase: "runnable", Ownership: "unowned", Eligibility: gate, BlockingReason: reason, Outcome: "none", AttemptState: attempt,
	}.String()
}

// blocks are the reasons of chapter 10, section 3.6 with their gates and what is publicly seen of them.
var blocks = map[ff.BlockingReason]struct {
	gate   ff.Eligibility
	public ff.PublicState
}{
	"waiting_for_budget":         {"blocked_by_budget", "rate_limited"},
	"waiting_for_quota":          {"blocked_by_quota", "rate_limited"},
	"waiting_for_capable_worker": {"blocked_by_route", "waiting"},
	"paused_by_operator":         {"blocked_by_operator", "waiting"},
	"paused_by_policy":           {"blocked_by_lane_state", "waiting"},
}

func (e *env) block(id ff.ExecutionID) {
	e.Helper()
	e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id}))
}

func testBlockPublic(e *env) {
	for reason, want := range blocks {
		id := e.submit(ff.Submit{})
		e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Reason: reason, Detail: "see ticket"}))
		s := e.inState(id, blockedFor(want.gate, reason, "pending_first_attempt"))
		e.equal(string(reason), []string{string(s.PublicState), s.BlockingDetail}, []string{string(want.public), "see ticket"})
		e.nothingClaimable("while it is blocked")
	}
}

// testBlockUndone: from every state that can be blocked, the execution goes on as if nothing had been.
func testBlockUndone(e *env) {
	for reason := range blocks {
		for _, name := range []string{"new", "retry due", "released", "revoked", "replayed"} {
			s := e.scene(name)
			e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: s.id, Reason: reason}))
			e.nothingClaimable(name)
			e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: s.id, ExpectedReason: reason}))
			e.inState(s.id, s.state)
			c := e.claim()
			e.equal(name, c.ExecutionID, s.id)
			e.complete(c)
		}
	}
}

func testBlockGate(e *env) {
	for name, want := range map[string]ff.Code{
		"running": "execution_not_eligible", "lost": "execution_not_eligible", "succeeded": "execution_not_active",
		"failed": "execution_not_active", "cancelled": "execution_not_active", "cancelled before any attempt": "execution_not_active",
	} {
		s := e.scene(name)
		e.unchanged("a block of one that is "+name, s.id, func() {
			e.refused(name, e.svc.Block(e.Context(), ff.Block{ExecutionID: s.id}), want)
		})
		e.leave(s, name)
	}
}

func testUnblockGate(e *env) {
	for name := range e.scenes() {
		s := e.scene(name)
		e.unchanged("an unblock of one that is "+name, s.id, func() {
			e.refused(name, e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: s.id}), ff.CodeExecutionNotEligible)
		})
		e.leave(s, name)
	}
	id := e.submit(ff.Submit{})
	e.block(id)
	for reason := range blocks {
		if reason == ff.PausedByOperator {
			continue
		}
		e.unchanged("an unblock for another reason", id, func() {
			e.refused(string(reason), e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id, ExpectedReason: reason}), ff.CodeExecutionNotEligible)
		})
	}
}

func testBlockReasons(e *env) {
	id := e.submit(ff.Submit{})
	e.unchanged("bad reasons", id, func() {
		for _, reason := range []ff.BlockingReason{
			"none", "waiting_for_worker", "waiting_for_delay", "waiting_for_children", "waiting_for_signal", "nonsense", "\xff",
			ff.BlockingReason(strings.Repeat("x", 1000)),
		} {
			e.refused("block", e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Reason: reason}), ff.CodeInvalidBlockReason)
			e.refused("unblock", e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id, ExpectedReason: reason}), ff.CodeInvalidBlockReason)
		}
		for _, cmd := range []ff.Block{{ExecutionID: id, Detail: strings.Repeat("d", 4097)}, {ExecutionID: id, Actor: strings.Repeat("a", 257)}, {ExecutionID: id, Detail: "\x00"}} {
			e.refused("block", e.svc.Block(e.Context(), cmd), ff.CodeInvalidInput)
		}
	})
	e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Detail: strings.Repeat("d", 4096), Actor: strings.Repeat("a", 256)}))
}

// testBlockDelay is I22: a block in the middle of a delay does not end it.
func testBlockDelay(e *env) {
	id := e.submit(ff.Submit{Delay: time.Hour})
	e.block(id)
	e.advance(time.Minute)
	e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id}))
	e.inState(id, newDelayed)
	e.advance(59*time.Minute - time.Millisecond)
	e.nothingClaimable("a millisecond before the end of the delay")
	e.advance(time.Millisecond)
	e.equal("claimed", e.claim().ExecutionID, id)
}

func testBlockAgain(e *env) {
	id := e.submit(ff.Submit{})
	e.block(id)
	e.unchanged("the same block", id, func() {
		e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Detail: "in other words"}))
	})
	e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Reason: ff.WaitingForQuota}))
	e.inState(id, blockedFor("blocked_by_quota", "waiting_for_quota", "pending_first_attempt"))
}

func testBlockEvents(e *env) {
	id := e.submit(ff.Submit{})
	e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Detail: "why", Actor: "ops"}))
	e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id, Actor: "ops"}))
	e.equal("events", e.events(id), []told{{"operator", "blocked", 0, ""}, {"operator", "unblocked", 0, ""}})
	e.equal("details", e.operatorDetails(id), []map[string]any{
		{"reason": "paused_by_operator", "detail": "why", "actor": "ops"}, {"reason": "paused_by_operator", "actor": "ops"},
	})
}

// testExhaustedPauses: an operator's unblock grants one more attempt at a time.
func testExhaustedPauses(e *env) {
	p := ff.Retry(1, ff.FixedBackoff(0))
	p.Retry.OnExhausted = ff.ExhaustedPauses
	c := e.running(ff.Submit{Policy: p})
	id := c.ExecutionID
	e.equal("first failure", e.fail(c, "transient").Retrying, true)
	e.advance(0)
	for attempt := 1; attempt < 3; attempt++ {
		c = e.claim()
		e.equal("attempt", c.Fence.AttemptIndex, attempt)
		want := ff.FailResult{Paused: true, NextAttemptIndex: attempt + 1}
		e.equal("answer", e.fail(c, "transient"), want)
		e.unchanged("the same failure again", id, func() { e.equal("answer", e.fail(c, "transient"), want) })
		s := e.inState(id, blockedFor("blocked_by_operator", "paused_by_operator", "pending_retry_attempt"))
		e.equal("retries", s.RetryCount, 1)
		e.nothingClaimable("paused")
		e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id}))
		e.inState(id, retryDue)
	}
	e.equal("a permanent failure", e.fail(e.claim(), "permanent"), ff.FailResult{})
	e.inState(id, failed)
}
