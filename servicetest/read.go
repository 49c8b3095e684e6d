package servicetest

import (
	"context"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var readTests = []behaviour{
	{"WaitTellsAtOnceWhatHasEnded", testWaitEnded},
	{"WaitIsWokenByTheEnd", testWaitForEnd},
	{"WaitEndsWithoutAnEnd", testWaitInVain},
	{"WaitIsCancelled", testWaitIsCancelled},
	{"WaitSeesAnotherEnginesEnd", testWaitElsewhere},
	{"AttemptsComeInPages", testAttemptPages},
	{"NoAttempts", testNoAttempts},
	{"DescribeTellsTheLatestAttempt", testDescribeAttempt},
}

func testWaitEnded(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	r, err := e.svc.Wait(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("outcome", r.Outcome, ff.OutcomeSuccess)
	live := e.submit(ff.Submit{})
	r, err = e.svc.Wait(e.Context(), live, 0)
	e.ok(err)
	e.equal("outcome of one that lives", r, ff.Result{Outcome: "none"})
}

// waitFor starts a Wait that runs beside the test.
func (e *env) waitFor(ctx context.Context, svc ff.Executions, id ff.ExecutionID) func() (ff.Result, error) {
	var r ff.Result
	var err error
	done := make(chan struct{})
	go func() {
		r, err = svc.Wait(ctx, id, time.Minute)
		close(done)
	}()
	return func() (ff.Result, error) {
		<-done
		return r, err
	}
}

func testWaitForEnd(e *env) {
	for name, finish := range map[ff.Outcome]func(c ff.Claimed){
		"success":   e.complete,
		"failed":    func(c ff.Claimed) { e.fail(c, "permanent") },
		"cancelled": func(c ff.Claimed) { e.cancel(c.ExecutionID, "") },
	} {
		c := e.running(ff.Submit{})
		first, second := e.waitFor(e.Context(), e.svc, c.ExecutionID), e.waitFor(e.Context(), e.svc, c.ExecutionID)
		finish(c)
		for _, wait := range []func() (ff.Result, error){first, second} {
			r, err := wait()
			e.ok(err)
			e.equal("outcome", r.Outcome, name)
		}
	}
}

func testWaitInVain(e *env) {
	id := e.submit(ff.Submit{})
	wait := e.waitFor(e.Context(), e.svc, id)
	done := make(chan struct{})
	go func() {
		r, err := wait()
		if err != nil || r.Outcome != ff.OutcomeNone {
			e.Errorf("%+v, %v", r, err)
		}
		close(done)
	}()
	e.eventually("the wait ends", func() bool {
		e.pace.Advance(time.Second)
		e.pace.nudge()
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

func testWaitIsCancelled(e *env) {
	id := e.submit(ff.Submit{})
	ctx, cancel := context.WithCancel(e.Context())
	wait := e.waitFor(ctx, e.svc, id)
	cancel()
	_, err := wait()
	e.refused("wait", err, ff.CodeTimeout)
}

func testWaitElsewhere(e *env) {
	c := e.running(ff.Submit{})
	wait := e.waitFor(e.Context(), e.engine(), c.ExecutionID)
	e.complete(c)
	done := make(chan struct{})
	go func() {
		r, err := wait()
		if err != nil || r.Outcome != ff.OutcomeSuccess {
			e.Errorf("%+v, %v", r, err)
		}
		close(done)
	}()
	e.eventually("the end is seen", func() bool {
		e.pace.nudge()
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

// testAttemptPages reads five attempts, the last one running, in pages of every size.
func testAttemptPages(e *env) {
	id := e.submit(ff.Submit{Policy: ff.Retry(9, ff.FixedBackoff(0))})
	for range 4 {
		e.fail(e.claim(), "transient")
		e.advance(0)
	}
	for _, open := range []bool{false, true} {
		total := 4
		if open {
			e.claim()
			total = 5
		}
		for limit := 1; limit <= 6; limit++ {
			var indexes []int
			q := ff.ListAttempts{ExecutionID: id, Limit: limit}
			for {
				page, err := e.svc.Attempts(e.Context(), q)
				e.ok(err)
				if len(page.Items) > limit || len(page.Items) == 0 {
					e.Fatalf("a page of %d attempts, limit %d", len(page.Items), limit)
				}
				for _, a := range page.Items {
					indexes = append(indexes, a.Index)
				}
				if q.After = page.Next; page.Next == "" {
					break
				}
			}
			e.equal("indexes", indexes, []int{0, 1, 2, 3, 4}[:total])
		}
	}
}

func testNoAttempts(e *env) {
	id := e.submit(ff.Submit{})
	page, err := e.svc.Attempts(e.Context(), ff.ListAttempts{ExecutionID: id})
	e.ok(err)
	e.equal("page", page, ff.Page[ff.AttemptSnapshot]{})
	e.equal("attempt", e.describe(id).Attempt, (*ff.AttemptSnapshot)(nil))
}

func testDescribeAttempt(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(9, ff.FixedBackoff(time.Hour))})
	e.fail(c, "transient")
	a := e.describe(c.ExecutionID).Attempt
	e.equal("during the backoff", []any{a.Index, a.State, a.AttemptID}, []any{0, ff.AttemptEndedFailure, c.Fence.AttemptID})
	e.advance(time.Hour)
	c = e.claim()
	a = e.describe(c.ExecutionID).Attempt
	e.equal("during the retry", []any{a.Index, a.State, a.AttemptID}, []any{1, ff.AttemptStarted, c.Fence.AttemptID})
	e.complete(c)
	a = e.describe(c.ExecutionID).Attempt
	e.equal("at the end", []any{a.Index, a.State, a.AttemptID}, []any{1, ff.AttemptEndedSuccess, c.Fence.AttemptID})
}
