package servicetest

import (
	"context"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var closeTests = []behaviour{
	{"CallsAfterItFail", testCloseCalls},
	{"WaitingClaimsAreAnswered", testCloseClaims},
	{"WaitingForAnEndIsAnswered", testCloseWait},
	{"MayBeCalledAgain", testCloseTwice},
	{"CallsDuringItAreAnswered", testCloseRace},
	{"AnotherEngineCarriesOn", testCloseCarriesOn},
}

func testCloseCalls(e *env) {
	eng := e.engine()
	id := e.submit(ff.Submit{})
	e.ok(eng.Close(e.Context()))
	for name, call := range calls(eng, id) {
		e.refused(name, call(e.Context()), ff.CodeUnavailable)
	}
	_, err := eng.Submit(e.Context(), e.command(ff.Submit{}))
	e.refused("submit", err, ff.CodeUnavailable)
	_, err = eng.SubmitMany(e.Context(), []ff.Submit{e.command(ff.Submit{})})
	e.refused("submit many", err, ff.CodeUnavailable)
	for _, wait := range []time.Duration{0, time.Minute} {
		cmd := e.wants(1)
		cmd.Wait = wait
		_, err = eng.Claim(e.Context(), cmd)
		e.refused("claim", err, ff.CodeUnavailable)
	}
	e.equal("left alone", e.claim().ExecutionID, id)
}

func testCloseClaims(e *env) {
	eng := e.engine()
	w := e.waiting(e.Context(), eng, e.wants(1))
	e.ok(eng.Close(e.Context()))
	<-w.done
	e.refused("waiting claim", w.err, ff.CodeUnavailable)
}

func testCloseWait(e *env) {
	eng := e.engine()
	id := e.submit(ff.Submit{})
	wait := e.waitFor(e.Context(), eng, id)
	e.ok(eng.Close(e.Context()))
	_, err := wait()
	e.refused("wait", err, ff.CodeUnavailable)
}

func testCloseTwice(e *env) {
	eng := e.engine()
	together(3, func(int) {
		if err := eng.Close(e.Context()); err != nil {
			e.Error(err)
		}
	})
	e.ok(eng.Close(e.Context()))
}

// testCloseRace closes an engine under load: every call has an answer, and what was answered with success is stored.
func testCloseRace(e *env) {
	eng := e.engine()
	ids := make([]ff.ExecutionID, 30)
	together(len(ids)+1, func(i int) {
		if i == len(ids) {
			if err := eng.Close(context.Background()); err != nil {
				e.Error(err)
			}
			return
		}
		res, err := eng.Submit(e.Context(), e.command(ff.Submit{}))
		switch codeOf(err) {
		case "":
			ids[i] = res.ID
		case ff.CodeUnavailable:
		default:
			e.Errorf("submit: %v", err)
		}
		if got, err := eng.Claim(e.Context(), e.wants(1)); err == nil {
			for _, c := range got {
				_ = eng.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}) // may be too late
			}
		} else {
			e.refused("claim", err, ff.CodeUnavailable)
		}
	})
	for _, id := range ids {
		if !id.IsZero() {
			e.describe(id)
		}
	}
}

func testCloseCarriesOn(e *env) {
	first := e.engine()
	policy := ff.Retry(1, ff.FixedBackoff(time.Second))
	retrying, delayed, held := e.running(ff.Submit{Policy: policy}), e.submit(ff.Submit{Delay: time.Second}), e.running(ff.Submit{})
	_, err := first.Fail(e.Context(), ff.Fail{ExecutionID: retrying.ExecutionID, Fence: retrying.Fence})
	e.ok(err)
	e.ok(first.Close(e.Context()))
	e.advance(leaseTTL)
	e.inState(retrying.ExecutionID, retryDue)
	e.inState(delayed, newReady)
	e.inState(held.ExecutionID, leaseRanOut)
	for _, c := range e.claimUpTo(3) {
		e.complete(c)
		e.inState(c.ExecutionID, succeeded)
	}
}
