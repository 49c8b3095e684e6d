package servicetest

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// weaknessTests show, by their numbers in chapter 10, section 8.1, weaknesses of the reference that this engine does not
// have and that no other concern names.
var weaknessTests = []behaviour{
	{"W01_ALostWorkersWorkIsClaimable", testW01},
	{"W02_ManyLostLeasesHideNoOther", testW02},
	{"W06_APastDelayStrandsNothing", testW06},
	{"W08_ARevocationLeavesNothingBehind", testW08},
	{"W10_TheReclaimLimitIsAWholeEnd", testExpiryLimit},
	{"W11_CapabilitiesAreComparedAtTheClaim", testCapabilitySubset},
	{"W12_AnUnfencedCancelIsRefused", testW12},
	{"W13_ACancelClosesThePausedAttempt", testW13},
	{"W17_TwoHalvesOfAWorkerWakeNothing", testW17},
	{"W18_AWrongWorkerHidesNothing", testCapabilityNoBlocking},
	{"W19_EveryEndIsOnRecord", testW19},
	{"W20_AKeyCountsOnEveryPartition", testW20},
	{"W21_BytesArriveAsTheyWere", testW21},
	{"W22_WhatIsNotHonouredIsRefused", testW22},
	{"W23_OneReclaimLimit", testW23},
	{"W25_AReplayBeginsAfresh", testW25},
	{"W26_BackoffIsOfWholeMilliseconds", testW26},
	{"W29_UnknownPartitionsAreRefused", testInputIDs},
	{"W31_AMissingFenceIsAMistakeOfTheCaller", testW31},
	{"W32_AbsentProgressStays", testW32},
	{"W35_WaitingLowPrioritiesGetTheirTurn", testW35},
	{"W35_PrioritiesOutOfRangeAreRefused", testW35Range},
	{"W38_LostWorkIsInOneSet", testW38},
}

func testW01(e *env) {
	c := e.running(ff.Submit{})
	e.advance(leaseTTL)
	again := e.claim()
	e.equal("claimed", again.ExecutionID, c.ExecutionID)
	e.complete(again)
}

// testW02: marked leases leave the head of the due times, so that the loop sees what is behind them.
func testW02(e *env) {
	e.submitMany(make([]ff.Submit, 120))
	e.equal("claimed", len(e.claimUpTo(1000)), 120)
	e.advance(leaseTTL / 2)
	c := e.running(ff.Submit{})
	e.advance(leaseTTL / 2)
	e.inState(c.ExecutionID, running)
	e.advance(leaseTTL / 2)
	e.inState(c.ExecutionID, leaseRanOut)
}

func testW06(e *env) {
	for _, until := range []ff.Timestamp{1, e.pace.now() - 1, e.pace.now()} {
		id := e.submit(ff.Submit{DelayUntil: until})
		e.equal("claimed", e.claim().ExecutionID, id)
	}
}

// testW08: revoked, cancelled, replayed, claimed: the lease renews like any other.
func testW08(e *env) {
	c := e.running(ff.Submit{})
	e.revoke(ff.RevokeLease{ExecutionID: c.ExecutionID})
	e.cancel(c.ExecutionID, "enough")
	e.refused("the old holder", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}), ff.CodeExecutionNotActive)
	e.replay(c.ExecutionID)
	again := e.claim()
	for range 3 {
		e.advance(leaseTTL - time.Millisecond)
		_, err := e.renew(again, leaseTTL)
		e.ok(err)
	}
	e.complete(again)
}

func testW12(e *env) {
	c := e.running(ff.Submit{})
	for _, source := range []ff.Source{ff.SourceWorker, ff.SourceLeaseHolder, "anybody"} {
		e.unchanged("an unfenced cancel", c.ExecutionID, func() {
			e.refused("no fence", errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: source})), ff.CodeFenceRequired)
		})
		stale := c.Fence
		stale.AttemptID = ff.NewAttemptID()
		e.unchanged("another attempt's cancel", c.ExecutionID, func() {
			err := errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: source, Fence: stale}))
			e.refused("another attempt", err, ff.CodeStaleLease)
		})
	}
}

func testW13(e *env) {
	for _, name := range []string{"self-delayed", "released", "revoked", "lost", "running"} {
		s := e.scene(name)
		e.cancel(s.id, "enough")
		e.equal(name, states(e.attempts(s.id)), []ff.AttemptLifecycle{"ended_cancelled"})
	}
}

// testW17: a worker that offers the one half and a worker that offers the other are not a worker that offers both.
func testW17(e *env) {
	id := e.submit(ff.Submit{Policy: requiring("cuda", "gpu")})
	for range 3 {
		e.equal("the one half", len(e.offering(e.svc, 1, "cuda")), 0)
		e.equal("the other half", len(e.offering(e.svc, 1, "gpu", "linux")), 0)
	}
	e.unchanged("looks of those who cannot", id, func() { e.offering(e.svc, 1, "gpu") })
	e.equal("the whole", e.offering(e.svc, 1, "gpu", "linux", "cuda")[0].ExecutionID, id)
}

func testW19(e *env) {
	ends := map[string]func(c ff.Claimed){
		"success": e.complete, "failed": func(c ff.Claimed) { e.fail(c, "permanent") },
		"cancelled": func(c ff.Claimed) { e.cancel(c.ExecutionID, "enough") },
		"expired":   func(ff.Claimed) { e.advance(time.Minute) },
	}
	for outcome, end := range ends {
		c := e.running(ff.Submit{Policy: withTimeout(time.Second, 0, "")})
		end(c)
		var told []string
		for _, ev := range e.dump().Events {
			if ev.ExecutionID == c.ExecutionID && ev.Family == record.FamilyCompletion {
				told = append(told, ev.Type)
			}
		}
		e.equal("completions", told, []string{outcome})
	}
}

func testW20(e *env) {
	cmd := e.command(ff.Submit{IdempotencyKey: e.Name(), Payload: []byte("one")})
	id := e.submit(cmd)
	for n := range 8 { // ids of other partitions
		cmd.ID = ff.ExecutionIDFrom(uint16(n*31), ff.SoloExecutionID(e.lane, ff.DefaultPartitions()).UUID())
		res, err := e.svc.Submit(e.Context(), cmd)
		e.ok(err)
		e.equal("the same", res, ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
	}
	cmd.Payload = []byte("two")
	e.refused("another payload", errOf(e.svc.Submit(e.Context(), cmd)), ff.CodeIdempotencyConflict)
}

func testW21(e *env) {
	odd := []byte("\x00\xff\xfe not text \xc3\x28")
	c := e.running(ff.Submit{Payload: odd, PayloadEncoding: "raw"})
	e.equal("payload", []string{string(c.Payload), c.PayloadEncoding}, []string{string(odd), "raw"})
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: odd, ResultEncoding: "raw"}))
	r := e.result(c.ExecutionID)
	e.equal("result", []string{string(r.Payload), r.Encoding}, []string{string(odd), "raw"})
}

func testW22(e *env) {
	p := ff.Retry(1, &ff.Backoff{Type: ff.BackoffFixed, DelayMS: 10_000, Jitter: true})
	p.Retry.RetryableCategories = []string{"busy"}
	c := e.running(ff.Submit{Policy: p})
	res := e.fail(c, "busy")
	if wait := res.DelayUntil.Sub(e.pace.now()); wait < 5*time.Second || wait > 10*time.Second {
		e.Errorf("with jitter the retry waits %s", wait)
	}
	e.equal("another category", e.fail(e.running(ff.Submit{Policy: p}), "broken").Retrying, false)
	for name, bad := range map[string]*ff.Policy{
		"backoff":      {Retry: &ff.RetryPolicy{Backoff: &ff.Backoff{Type: "linear"}}},
		"no maximum":   {Retry: &ff.RetryPolicy{Backoff: &ff.Backoff{Type: "exponential", InitialDelayMS: 1, Multiplier: 2}}},
		"on exhausted": {Retry: &ff.RetryPolicy{OnExhausted: "shrug"}},
		"on timeout":   {Timeouts: &ff.TimeoutPolicy{OnAttemptTimeout: "shrug"}},
		"aging":        {Aging: &ff.AgingPolicy{}},
		"retention":    {RetentionMS: new(int64(-1))},
		"window":       {DedupWindowMS: new(int64(0))},
	} {
		e.refused(name, errOf(e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: bad}))), ff.CodeInvalidPolicy)
	}
}

// testW23: the default is 100, for an execution without a policy as for one whose policy does not say.
func testW23(e *env) {
	without, with := e.submit(ff.Submit{}), e.submit(ff.Submit{Policy: ff.Retry(1, nil)})
	for n := range 101 {
		e.equal(fmt.Sprintf("claim %d", n), len(e.claimUpTo(2)), 2)
		e.advance(leaseTTL)
	}
	for _, id := range []ff.ExecutionID{without, with} {
		e.equal("reclaims", e.inState(id, failed).ReclaimCount, 100)
	}
}

func testW25(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	id := c.ExecutionID
	for range 2 {
		e.fail(c, "transient")
		e.advance(0)
		if e.describe(id).PublicState == ff.PublicWaiting {
			c = e.claim()
		}
	}
	e.inState(id, failed)
	e.replay(id)
	s := e.describe(id)
	e.equal("failure", []any{s.FailureReason, s.FailureCategory, s.RetryCount}, []any{"", ff.FailureCategory(""), 0})
	e.equal("event", e.operatorDetails(id)[0]["reason"], any("again"))
	e.equal("event", e.operatorDetails(id)[0]["actor"], any("ops"))
	e.equal("retries again", e.fail(e.claim(), "transient").Retrying, true)
}

func testW26(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(3, ff.ExponentialBackoff(time.Millisecond, time.Minute, 1.5))})
	for _, want := range []ff.Timestamp{1, 1, 2} { // 1, 1.5, 2.25
		res := e.fail(c, "transient")
		e.equal("pause", res.DelayUntil-e.pace.now(), want)
		e.advance(10 * time.Millisecond)
		c = e.claim()
	}
}

func testW31(e *env) {
	c := e.running(ff.Submit{})
	for want, f := range map[ff.Code]ff.Fence{
		"fence_required": {}, "partial_fence_triple": {LeaseID: c.Fence.LeaseID, Epoch: 1},
	} {
		for name, call := range e.holderCalls(c.ExecutionID, f) {
			err := call()
			e.refused(name, err, want)
			if family := want.Lookup().Family; family != ff.FamilyValidation {
				e.Errorf("%s is of family %s", want, family)
			}
		}
	}
	e.complete(c)
}

func testW32(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	message := "half"
	e.report(c, ff.Progress{Percent: new(50)})
	e.report(c, ff.Progress{Message: &message})
	p := e.describe(c.ExecutionID).Progress
	e.equal("progress", []any{*p.Percent, p.Message}, []any{50, "half"})
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	c = e.claim()
	e.equal("of the attempt that goes on", e.describe(c.ExecutionID).Progress, p)
	e.fail(c, "transient")
	e.advance(0)
	c = e.claim()
	e.equal("of the next attempt", e.describe(c.ExecutionID).Progress, ff.ProgressSnapshot{})
	e.complete(c)
}

// testW35: what waits overtakes what is newer and more important, step by step.
func testW35(e *env) {
	low := e.submit(ff.Submit{Priority: 10, Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 60_000, Step: 20}}})
	e.advance(time.Minute)
	high := e.submit(ff.Submit{Priority: 50})
	c := e.claim()
	e.equal("after a minute the other is first", c.ExecutionID, high)
	e.complete(c)
	e.advance(time.Minute - time.Millisecond)
	high = e.submit(ff.Submit{Priority: 49})
	c = e.claim()
	e.equal("a millisecond before the second step", c.ExecutionID, high)
	e.complete(c)
	e.advance(time.Millisecond)
	e.submit(ff.Submit{Priority: 49})
	c = e.claim()
	e.equal("after it", []any{c.ExecutionID, c.Priority}, []any{low, 10})
	e.equal("the priority stays", e.describe(low).Priority, 10)
}

func testW35Range(e *env) {
	for _, p := range []int{-1, 9001, -1 << 31, 1<<31 - 1} {
		e.refused(fmt.Sprint(p), errOf(e.svc.Submit(e.Context(), e.command(ff.Submit{Priority: p}))), ff.CodeInvalidInput)
	}
	for _, p := range []int{0, 9000} {
		e.equal("kept", e.describe(e.submit(ff.Submit{Priority: p})).Priority, p)
	}
}

// testW38: work is claimable the same way whether its lease ran out or was revoked.
func testW38(e *env) {
	lost := e.running(ff.Submit{})
	e.advance(leaseTTL)
	revoked := e.submit(ff.Submit{Priority: 1})
	e.equal("claimed", e.claim().ExecutionID, revoked)
	e.revoke(ff.RevokeLease{ExecutionID: revoked})
	got := e.claimUpTo(5)
	e.equal("both", []ff.ExecutionID{got[0].ExecutionID, got[1].ExecutionID}, []ff.ExecutionID{revoked, lost.ExecutionID})
}
