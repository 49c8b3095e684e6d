package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var timeoutTests = []behaviour{
	{"W03_AttemptTimeoutTakesEffect", testAttemptTimeout},
	{"W03_DeadlineTakesEffect", testDeadline},
	{"W13_DeadlineClosesAPausedAttempt", testDeadlineOfPaused},
	{"W24_AReclaimHasTheWholeTime", testTimeoutOfReclaim},
	{"W24_AReplayHasTheWholeTime", testDeadlineOfReplay},
	{"W39_AnAttemptTimeoutMayRetry", testAttemptTimeoutRetries},
	{"DeadlineEndsEveryPhase", testDeadlinePhases},
	{"DeadlineOfASubmissionMustBeToCome", testDeadlinePast},
	{"DeadlineOfARepeatIsNotAsked", testDeadlineRepeat},
	{"PausesDoNotUseUpTheAttempt", testTimeoutPauses},
	{"LeasesEndWithTheAttempt", testTimeoutLease},
	{"NoAnswerDependsOnWhoLooksFirst", testTimeoutUnnoticed},
}

const (
	expired      = "terminal/unowned/not_applicable/none/expired/attempt_terminal"      // 17
	neverStarted = "terminal/unowned/not_applicable/none/expired/pending_first_attempt" // 18
)

func withTimeout(attempt, deadline time.Duration, action ff.TimeoutAction) *ff.Policy {
	return &ff.Policy{Timeouts: &ff.TimeoutPolicy{
		AttemptTimeoutMS: attempt.Milliseconds(), ExecutionDeadlineMS: deadline.Milliseconds(), OnAttemptTimeout: action,
	}}
}

func testAttemptTimeout(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(15*time.Second, 0, "")})
	id, began := c.ExecutionID, e.pace.now()
	e.equal("end of the attempt", e.describe(id).Lease.AttemptEndsAt, began+15_000)
	e.advance(8 * time.Second)
	at, err := e.renew(c, leaseTTL)
	e.ok(err)
	e.equal("renewed until", at, began+15_000)
	e.advance(7*time.Second - time.Millisecond)
	e.inState(id, running)
	e.advance(time.Millisecond)
	s := e.inState(id, expired)
	e.equal("public state", s.PublicState, ff.PublicExpired)
	e.equal("failure", []string{s.FailureReason, string(s.FailureCategory)}, []string{"attempt_timeout", "timeout"})
	e.equal("result", e.result(id).Outcome, ff.OutcomeExpired)
	e.equal("attempts", states(e.attempts(id)), []ff.AttemptLifecycle{"ended_failure"})
	e.equal("events", e.events(id), []told{{"lease", "acquired", 1, ""}, {byHolder, "expired", 1, "expired:attempt_timeout"}})
	e.refused("a late complete", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: c.Fence}), ff.CodeExecutionNotActive)
	e.nothingClaimable("after the end")
}

func testDeadline(e *env) {
	for name, cmd := range map[string]ff.Submit{
		"of the policy":         {Policy: withTimeout(0, time.Minute, "")},
		"of the submission":     {Deadline: e.pace.now() + 60_000},
		"the earlier of policy": {Deadline: e.pace.now() + 70_000, Policy: withTimeout(0, time.Minute, "")},
		"the earlier of submit": {Deadline: e.pace.now() + 60_000, Policy: withTimeout(0, time.Hour, "")},
	} {
		cmd.Kind = name
		id := e.submit(cmd)
		e.equal(name, e.describe(id).DeadlineAt, e.pace.now()+60_000)
		e.cancel(id, "seen")
	}
	id := e.submit(ff.Submit{Policy: withTimeout(0, time.Minute, "")})
	e.advance(time.Minute - time.Millisecond)
	e.inState(id, newReady)
	e.advance(time.Millisecond)
	s := e.inState(id, neverStarted)
	e.equal("failure", []string{s.FailureReason, string(s.FailureCategory)}, []string{"execution_deadline", "timeout"})
	e.equal("events", e.events(id), []told{{"completion", "expired", 0, ""}})
	e.nothingClaimable("after the end")
}

func testDeadlineOfPaused(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(0, time.Minute, "")})
	_, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: time.Hour})
	e.ok(err)
	e.advance(time.Minute)
	e.inState(c.ExecutionID, expired)
	e.equal("attempts", states(e.attempts(c.ExecutionID)), []ff.AttemptLifecycle{"ended_failure"})
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {"lease", "released", 1, "worker_delay"}, {"completion", "expired", 1, ""},
	})
}

func testTimeoutOfReclaim(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(15*time.Second, 0, "")})
	e.advance(leaseTTL + time.Minute)
	again := e.claim()
	e.equal("type", again.AttemptType, ff.AttemptReclaim)
	e.equal("end of the attempt", e.describe(c.ExecutionID).Lease.AttemptEndsAt, e.pace.now()+15_000)
	e.complete(again)
}

func testDeadlineOfReplay(e *env) {
	absolute := e.pace.now() + 90_000
	id := e.submit(ff.Submit{Policy: withTimeout(0, time.Minute, "")})
	other := e.submit(ff.Submit{Deadline: absolute})
	e.advance(time.Minute)
	e.inState(id, neverStarted)
	e.replay(id)
	e.equal("the policy's, counted anew", e.describe(id).DeadlineAt, e.pace.now()+60_000)
	e.cancel(other, "to replay it")
	e.replay(other)
	e.equal("an instant to come", e.describe(other).DeadlineAt, absolute)
	e.advance(30 * time.Second)
	e.inState(other, "terminal/unowned/not_applicable/none/expired/attempt_terminal")
	e.replay(other)
	e.equal("an instant that has passed", e.describe(other).DeadlineAt, ff.Timestamp(0))
	e.advance(30 * time.Second)
	e.inState(id, expired)
	e.cancel(other, "left")
}

func testAttemptTimeoutRetries(e *env) {
	p := withTimeout(5*time.Second, 0, ff.TimeoutRetries)
	p.Retry = &ff.RetryPolicy{MaxRetries: new(uint32(1)), Backoff: ff.FixedBackoff(time.Second)}
	c := e.running(ff.Submit{Policy: p})
	id := c.ExecutionID
	e.advance(5 * time.Second)
	s := e.inState(id, retryBackoff)
	e.equal("failure", []string{s.FailureReason, string(s.FailureCategory)}, []string{"attempt_timeout", "timeout"})
	e.advance(time.Second)
	again := e.claim()
	e.equal("type", again.AttemptType, ff.AttemptRetry)
	e.equal("end of the attempt", e.describe(id).Lease.AttemptEndsAt, e.pace.now()+5_000)
	e.advance(5 * time.Second)
	e.inState(id, failed)
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""},
		{"lease", "released", 1, "failed_retry_scheduled"},
		{"lease", "acquired", 2, ""},
		{byHolder, "failed", 2, "failed_terminal"},
	})
}

// testDeadlinePhases brings an execution into each phase that it can wait in and lets its deadline, a day ahead, come.
func testDeadlinePhases(e *env) {
	day := 24 * time.Hour
	p := ff.Retry(3, ff.FixedBackoff(2*day))
	p.Timeouts = &ff.TimeoutPolicy{ExecutionDeadlineMS: day.Milliseconds()}
	for name, bring := range map[string]func(c ff.Claimed){
		"self-delayed": func(c ff.Claimed) {
			e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: 2 * day})))
		},
		"backoff": func(c ff.Claimed) { e.fail(c, "transient") },
		"lost":    func(ff.Claimed) { e.advance(leaseTTL) },
		"replayed": func(c ff.Claimed) {
			e.complete(c)
			e.replay(c.ExecutionID)
		},
		"blocked": func(c ff.Claimed) {
			e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
			e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: c.ExecutionID}))
		},
	} {
		c := e.running(ff.Submit{Policy: p})
		bring(c)
		e.advance(day)
		e.equal(name, e.describe(c.ExecutionID).State.String(), expired)
	}
}

func testDeadlinePast(e *env) {
	for name, at := range map[string]ff.Timestamp{"the past": e.pace.now() - 1, "now": e.pace.now(), "long ago": 1} {
		_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{Deadline: at, IdempotencyKey: e.Name()}))
		e.refused(name, err, ff.CodeInvalidInput)
		many, err := e.svc.SubmitMany(e.Context(), []ff.Submit{e.command(ff.Submit{Deadline: at}), e.command(ff.Submit{Deadline: e.pace.now() + 1})})
		e.ok(err)
		e.equal(name+", outcomes", []ff.SubmitOutcome{many[0].Outcome, many[1].Outcome}, []ff.SubmitOutcome{"rejected", "created"})
		e.refused(name+", one of many", many[0].Err, ff.CodeInvalidInput)
		e.cancel(many[1].ID, "left")
	}
	e.submit(ff.Submit{IdempotencyKey: e.Name()}) // nobody has the key
}

// testDeadlineRepeat: what got through in time stays a duplicate for ever, or its submitter would think it was lost.
func testDeadlineRepeat(e *env) {
	cmd := e.command(ff.Submit{
		ID: ff.SoloExecutionID(e.lane, ff.DefaultPartitions()), Deadline: e.pace.now() + 1000, IdempotencyKey: e.Name(),
	})
	e.submit(cmd)
	e.advance(time.Minute)
	for _, key := range []string{e.Name(), ""} {
		cmd.IdempotencyKey = key
		res, err := e.svc.Submit(e.Context(), cmd)
		e.ok(err)
		e.equal("repeated", res, ff.SubmitResult{ID: cmd.ID, Outcome: ff.Duplicate})
	}
}

// testTimeoutPauses: an attempt of 15 s works for 5 s, three times.
func testTimeoutPauses(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(15*time.Second, 0, "")})
	id := c.ExecutionID
	e.advance(5 * time.Second)
	_, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: id, Fence: c.Fence, For: time.Hour})
	e.ok(err)
	e.advance(time.Hour)
	c = e.claim()
	e.equal("after a delay", e.describe(id).Lease.AttemptEndsAt, e.pace.now()+10_000)
	e.advance(5 * time.Second)
	e.revoke(ff.RevokeLease{ExecutionID: id})
	e.advance(time.Hour)
	c = e.claim()
	e.equal("after a revocation", e.describe(id).Lease.AttemptEndsAt, e.pace.now()+5_000)
	e.equal("attempt", c.Fence.AttemptIndex, 0)
	e.advance(5 * time.Second)
	e.inState(id, expired)
}

func testTimeoutLease(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(4*time.Second, 0, "")})
	e.equal("end of the attempt", c.LeaseExpiresAt, e.pace.now()+4_000)
	e.complete(c)
	c = e.running(ff.Submit{Policy: withTimeout(0, 5*time.Second, "")})
	e.equal("deadline", c.LeaseExpiresAt, e.pace.now()+5_000)
	at, err := e.renew(c, time.Hour)
	e.ok(err)
	e.equal("renewed", at, e.pace.now()+5_000)
	e.complete(c)
}

// testTimeoutUnnoticed moves the clock without letting the due loop look: the call finds out itself.
func testTimeoutUnnoticed(e *env) {
	for name, c := range map[string]struct {
		policy *ff.Policy
		after  time.Duration
		want   string
	}{
		"attempt timeout":   {withTimeout(4*time.Second, 0, ""), 4 * time.Second, expired},
		"deadline":          {withTimeout(0, 4*time.Second, ""), 4 * time.Second, expired},
		"lost, too late":    {withTimeout(0, 20*time.Second, ""), 20 * time.Second, expired},
		"timeout, to retry": {&ff.Policy{Retry: &ff.RetryPolicy{}, Timeouts: &ff.TimeoutPolicy{AttemptTimeoutMS: 4000, OnAttemptTimeout: "retry"}}, 4 * time.Second, retryBackoff},
	} {
		claimed := e.running(ff.Submit{Policy: c.policy})
		e.pace.Advance(c.after)
		err := e.svc.Complete(e.Context(), ff.Complete{ExecutionID: claimed.ExecutionID, Fence: claimed.Fence})
		e.refused(name, err, ff.CodeExecutionNotActive)
		e.inState(claimed.ExecutionID, c.want)
		e.advance(0)
		if c.want == retryBackoff {
			e.cancel(claimed.ExecutionID, "left")
		}
	}
	id := e.submit(ff.Submit{Policy: withTimeout(0, time.Second, "")})
	e.pace.Advance(time.Second)
	e.nothingClaimable("after the deadline")
	err := errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: id}))
	e.refused("cancel after the deadline", err, ff.CodeInvalidInput)
	e.inState(id, neverStarted)
}
