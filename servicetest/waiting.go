package servicetest

import (
	"context"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var waitingTests = []behaviour{
	{"EndsEmpty", testWaitEmpty},
	{"ASubmitWakesIt", testWaitSubmit},
	{"TheEndOfADelayWakesIt", testWaitDelay},
	{"ALostLeaseWakesIt", testWaitLostLease},
	{"ARevokedLeaseWakesIt", testWaitRevoke},
	{"AReplayWakesIt", testWaitReplay},
	{"AnotherEnginesSubmitIsFound", testWaitOtherEngine},
	{"ACancelledOneTakesNothing", testWaitCancelled},
	{"ACallThatIsCancelledGivesBack", testWaitGivesBack},
	{"FirstComeFirstServed", testWaitOrder},
}

// waitingClaim is a claim that runs beside the test.
type waitingClaim struct {
	got  []ff.Claimed
	err  error
	done chan struct{}
}

// claimWait is how long waiting claims wait; only theirs are timers of that length.
const claimWait = 50 * time.Second

// waiting starts a claim and returns once it waits.
func (e *env) waiting(ctx context.Context, svc ff.Workers, cmd ff.Claim) *waitingClaim {
	e.Helper()
	cmd.Wait = claimWait
	w := &waitingClaim{done: make(chan struct{})}
	before := e.pace.made(claimWait)
	go func() {
		w.got, w.err = svc.Claim(ctx, cmd)
		close(w.done)
	}()
	e.eventually("a claim waits", func() bool { return e.pace.made(claimWait) > before })
	return w
}

// answered waits for a claim's answer: the ids it got.
func (e *env) answered(w *waitingClaim) []ff.ExecutionID {
	e.Helper()
	e.eventually("a claim is answered", w.isDone)
	e.ok(w.err)
	var ids []ff.ExecutionID
	for _, c := range w.got {
		ids = append(ids, c.ExecutionID)
	}
	return ids
}

func (w *waitingClaim) isDone() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func testWaitEmpty(e *env) {
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.advance(claimWait - time.Millisecond)
	e.equal("answered early", w.isDone(), false)
	e.advance(time.Millisecond)
	e.equal("answer", e.answered(w), []ff.ExecutionID{})
}

func testWaitSubmit(e *env) {
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	id := e.submit(ff.Submit{})
	e.equal("answer", e.answered(w), []ff.ExecutionID{id})
}

func testWaitDelay(e *env) {
	id := e.submit(ff.Submit{Delay: time.Second})
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.advance(time.Second)
	e.equal("answer", e.answered(w), []ff.ExecutionID{id})
}

func testWaitLostLease(e *env) {
	c := e.running(ff.Submit{})
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.advance(leaseTTL)
	e.equal("answer", e.answered(w), []ff.ExecutionID{c.ExecutionID})
	e.equal("type", w.got[0].AttemptType, ff.AttemptReclaim)
}

func testWaitRevoke(e *env) {
	c := e.running(ff.Submit{})
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	_, err := e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.equal("answer", e.answered(w), []ff.ExecutionID{c.ExecutionID})
}

func testWaitReplay(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.replay(c.ExecutionID)
	e.equal("answer", e.answered(w), []ff.ExecutionID{c.ExecutionID})
}

// testWaitOtherEngine: a store that tells of other engines' commits wakes the claim, else its poll finds the work.
func testWaitOtherEngine(e *env) {
	w := e.waiting(e.Context(), e.engine(), e.wants(1))
	id := e.submit(ff.Submit{})
	e.eventually("the other engine finds it", func() bool {
		e.pace.Advance(100 * time.Millisecond) // not past claimWait: a poll is at most 5 s
		return w.isDone()
	})
	e.equal("answer", e.answered(w), []ff.ExecutionID{id})
}

func testWaitCancelled(e *env) {
	ctx, cancel := context.WithCancel(e.Context())
	w := e.waiting(ctx, e.svc, e.wants(1))
	cancel()
	e.eventually("the cancelled claim is answered", w.isDone)
	e.refused("cancelled", w.err, ff.CodeTimeout)
	id := e.submit(ff.Submit{})
	if e.through { // who asks for what was granted, to give it back, may take it for a moment
		e.equal("claimed", e.soonClaims(1)[0].ExecutionID, id)
		return
	}
	c := e.claim()
	e.equal("claimed", c.ExecutionID, id)
	e.equal("epoch", c.Fence.Epoch, uint64(1))
}

// testWaitGivesBack cancels claims while work comes: whatever the race, the work is not lost until a lease runs out.
func testWaitGivesBack(e *env) {
	for range 20 {
		ctx, cancel := context.WithCancel(e.Context())
		w := e.waiting(ctx, e.svc, e.wants(1))
		id := e.submit(ff.Submit{})
		cancel()
		e.eventually("the cancelled claim is answered", w.isDone)
		if w.err == nil {
			e.complete(w.got[0])
			continue
		}
		e.refused("cancelled", w.err, ff.CodeTimeout)
		e.eventually("it can be claimed again", func() bool {
			got := e.claimUpTo(1)
			if len(got) == 1 {
				e.equal("claimed", got[0].ExecutionID, id)
				e.complete(got[0])
			}
			return len(got) == 1
		})
	}
}

func testWaitOrder(e *env) {
	first, second := e.waiting(e.Context(), e.svc, e.wants(1)), e.waiting(e.Context(), e.svc, e.wants(1))
	one := e.submit(ff.Submit{})
	e.equal("first", e.answered(first), []ff.ExecutionID{one})
	e.equal("second is answered", second.isDone(), false)
	two := e.submit(ff.Submit{})
	e.equal("second", e.answered(second), []ff.ExecutionID{two})
}
