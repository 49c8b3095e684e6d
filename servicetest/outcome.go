package servicetest

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var outcomeTests = []behaviour{
	{"CompleteEndsIt", testComplete},
	{"CompleteWithoutResult", testCompleteEmpty},
	{"FailWithoutRetryEndsIt", testFailFinal},
	{"FailWithRetrySchedulesOne", testFailRetry},
	{"RetriesEnd", testFailUntilUsedUp},
	{"BackoffGrows", testFailBackoff},
	{"PermanentFailuresAreNotRetried", testFailPermanent},
	{"CategoriesDecide", testFailCategories},
	{"SuccessForgetsEarlierFailures", testCompleteAfterRetry},
	{"DelayPausesTheAttempt", testDelay},
	{"DelayUntilThePastContinuesAtOnce", testDelayPast},
	{"ReleaseContinuesAtOnce", testRelease},
	{"PausesUseUpNothing", testPausesAreFree},
}

func (e *env) complete(c ff.Claimed) {
	e.Helper()
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
}

func (e *env) fail(c ff.Claimed, category ff.FailureCategory) ff.FailResult {
	e.Helper()
	res, err := e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "it broke", Category: category})
	e.ok(err)
	return res
}

func (e *env) result(id ff.ExecutionID) ff.Result {
	e.Helper()
	r, err := e.svc.Result(e.Context(), id)
	e.ok(err)
	return r
}

func testComplete(e *env) {
	c := e.running(ff.Submit{})
	e.advance(time.Second)
	before, now := e.describe(c.ExecutionID), e.pace.now()
	e.ok(e.svc.Complete(e.Context(), ff.Complete{
		ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte("\x00done\xff"), ResultEncoding: "text",
	}))
	s := e.inState(c.ExecutionID, succeeded)
	want := before
	want.State, want.PublicState, want.Lease = s.State, "completed", nil
	want.CompletedAt, want.LastTransitionAt, want.LastMutationAt, want.RetainUntil = now, now, now, now+24*3_600_000
	attempt := *before.Attempt
	attempt.State, attempt.EndedAt = "ended_success", now
	want.Attempt = &attempt
	e.equal("execution", s, want)
	e.equal("attempts", e.attempts(c.ExecutionID), []ff.AttemptSnapshot{attempt})
	e.equal("result", e.result(c.ExecutionID), ff.Result{Outcome: "success", Payload: []byte("\x00done\xff"), Encoding: "text", CompletedAt: now})
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {byHolder, "success", 1, "completed"},
	})
	e.advance(time.Hour)
	e.inState(c.ExecutionID, succeeded)
	e.nothingClaimable("after the end")
}

func testCompleteEmpty(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	e.equal("result", e.result(c.ExecutionID), ff.Result{Outcome: "success", Encoding: "json", CompletedAt: e.pace.now()})
}

func testFailFinal(e *env) {
	c := e.running(ff.Submit{})
	e.equal("answer", e.fail(c, "transient"), ff.FailResult{})
	s, now := e.inState(c.ExecutionID, failed), e.pace.now()
	e.equal("public state", s.PublicState, ff.PublicFailed)
	e.equal("failure", []string{s.FailureReason, string(s.FailureCategory)}, []string{"it broke", "transient"})
	e.equal("completed", s.CompletedAt, now)
	e.equal("attempts", e.attempts(c.ExecutionID), []ff.AttemptSnapshot{{
		AttemptID: c.Fence.AttemptID, Type: "initial", State: "ended_failure", LeaseEpoch: 1, WorkerID: "worker", WorkerInstanceID: "worker-1",
		StartedAt: now, EndedAt: now, FailureReason: "it broke", FailureCategory: "transient",
	}})
	e.equal("result", e.result(c.ExecutionID), ff.Result{Outcome: "failed", FailureReason: "it broke", FailureCategory: "transient", CompletedAt: now})
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {byHolder, "failed", 1, "failed_terminal"},
	})
}

func testFailRetry(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(5*time.Second))})
	id, now := c.ExecutionID, e.pace.now()
	e.equal("answer", e.fail(c, "transient"), ff.FailResult{Retrying: true, DelayUntil: now + 5000, NextAttemptIndex: 1})
	s := e.inState(id, retryBackoff)
	e.equal("public state", s.PublicState, ff.PublicDelayed)
	e.equal("delayed until", s.DelayUntil, now+5000)
	e.equal("detail", s.BlockingDetail, fmt.Sprintf("retry backoff until %d (attempt 0 failed: it broke)", now+5000))
	e.equal("counts", []int{s.TotalAttempts, s.RetryCount}, []int{1, 1})
	e.equal("state of the attempt", s.Attempt.State, ff.AttemptEndedFailure)
	e.equal("result", e.result(id), ff.Result{Outcome: "none"})
	e.advance(5*time.Second - time.Millisecond)
	e.nothingClaimable("before the backoff is over")
	e.advance(time.Millisecond)
	e.inState(id, retryDue)
	second := e.claim()
	e.equal("type", second.AttemptType, ff.AttemptRetry)
	e.equal("retries", second.RetryCount, 1)
	e.equal("resumed", second.Resumed, false)
	e.equal("epoch and index", []int{int(second.Fence.Epoch), second.Fence.AttemptIndex}, []int{2, 1})
	s = e.describe(id)
	e.equal("first claim", s.StartedAt, now)
	e.equal("states of attempts", states(e.attempts(id)), []ff.AttemptLifecycle{"ended_failure", "started"})
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""}, {"lease", "released", 1, "failed_retry_scheduled"}, {"lease", "acquired", 2, ""},
	})
}

func states(list []ff.AttemptSnapshot) []ff.AttemptLifecycle {
	var out []ff.AttemptLifecycle
	for _, a := range list {
		out = append(out, a.State)
	}
	return out
}

func types(list []ff.AttemptSnapshot) []ff.AttemptType {
	var out []ff.AttemptType
	for _, a := range list {
		out = append(out, a.Type)
	}
	return out
}

func testFailUntilUsedUp(e *env) {
	id := e.submit(ff.Submit{Policy: ff.Retry(2, ff.FixedBackoff(0))})
	for n := range 3 {
		res := e.fail(e.claim(), "transient")
		e.equal("retrying", res.Retrying, n < 2)
		e.advance(0)
	}
	s := e.inState(id, failed)
	e.equal("counts", []int{s.TotalAttempts, s.RetryCount}, []int{3, 2})
	e.equal("types", types(e.attempts(id)), []ff.AttemptType{"initial", "retry", "retry"})
}

func testFailBackoff(e *env) {
	id := e.submit(ff.Submit{Policy: ff.Retry(9, ff.ExponentialBackoff(100*time.Millisecond, time.Second, 3))})
	var waits []ff.Timestamp
	for range 5 {
		res := e.fail(e.claim(), "timeout")
		waits = append(waits, res.DelayUntil-e.pace.now())
		e.advance(time.Second)
	}
	e.equal("waits", waits, []ff.Timestamp{100, 300, 900, 1000, 1000})
	e.inState(id, retryDue)
}

func testFailPermanent(e *env) {
	for _, category := range []ff.FailureCategory{"permanent", "cancelled", "budget_exceeded"} {
		c := e.running(ff.Submit{Policy: ff.Retry(9, nil)})
		e.equal("answer to "+string(category), e.fail(c, category), ff.FailResult{})
		e.inState(c.ExecutionID, failed)
	}
}

func testFailCategories(e *env) {
	policy := ff.Retry(9, nil)
	policy.Retry.RetryableCategories = []string{"timeout", "smtp_busy"}
	for category, want := range map[ff.FailureCategory]bool{"timeout": true, "smtp_busy": true, "transient": false, "": false, "infra_crash": false} {
		c := e.running(ff.Submit{Policy: policy})
		e.equal("retrying "+string(category), e.fail(c, category).Retrying, want)
	}
	c := e.running(ff.Submit{})
	e.fail(c, "")
	e.equal("default category", e.describe(c.ExecutionID).FailureCategory, ff.FailureTransient)
}

func testCompleteAfterRetry(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	e.fail(c, "transient")
	e.advance(0)
	e.complete(e.claim())
	s := e.inState(c.ExecutionID, succeeded)
	e.equal("failure", s.FailureReason+string(s.FailureCategory), "")
	e.equal("failure of the first attempt", e.attempts(c.ExecutionID)[0].FailureReason, "it broke")
}

func testDelay(e *env) {
	c := e.running(ff.Submit{})
	id, now := c.ExecutionID, e.pace.now()
	until, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: id, Fence: c.Fence, For: time.Minute})
	e.ok(err)
	e.equal("until", until, now+60_000)
	s := e.inState(id, selfDelayed)
	e.equal("state of the attempt", s.Attempt.State, ff.AttemptSuspended)
	e.equal("lease", s.Lease, (*ff.LeaseSnapshot)(nil))
	e.advance(time.Minute - time.Millisecond)
	e.nothingClaimable("before the delay is over")
	e.advance(time.Millisecond)
	e.inState(id, mayContinue)
	again := e.claim()
	e.equal("resumed", again.Resumed, true)
	e.equal("type", again.AttemptType, ff.AttemptInitial)
	e.equal("attempt", again.Fence.AttemptID, c.Fence.AttemptID)
	e.equal("epoch and index", []int{int(again.Fence.Epoch), again.Fence.AttemptIndex}, []int{2, 0})
	e.equal("attempts", len(e.attempts(id)), 1)
	e.equal("start of the attempt", e.attempts(id)[0].StartedAt, now)
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""}, {"lease", "released", 1, "worker_delay"}, {"lease", "acquired", 2, "claim_resumed"},
	})
}

func testDelayPast(e *env) {
	for _, until := range []ff.Timestamp{1, e.pace.now() - 1, e.pace.now()} {
		c := e.running(ff.Submit{})
		got, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, Until: until})
		e.ok(err)
		e.equal("until", got, until)
		e.inState(c.ExecutionID, mayContinue)
		e.complete(e.claim())
	}
}

func testRelease(e *env) {
	c := e.running(ff.Submit{})
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	e.inState(c.ExecutionID, mayContinue)
	again := e.claim()
	e.equal("resumed", again.Resumed, true)
	e.equal("attempt", again.Fence.AttemptID, c.Fence.AttemptID)
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {"lease", "released", 1, "worker_release"}, {"lease", "acquired", 2, "claim_resumed"},
	})
}

func testPausesAreFree(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{MaxReclaims: new(uint32(0))}})
	for range 5 {
		e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
		c = e.claim()
	}
	s := e.describe(c.ExecutionID)
	e.equal("counts", []int{s.TotalAttempts, s.RetryCount, s.ReclaimCount}, []int{1, 0, 0})
	e.equal("epoch", c.Fence.Epoch, uint64(6))
	e.complete(c)
}
