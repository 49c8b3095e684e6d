package servicetest

import (
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var cancelTests = []behaviour{
	{"InEveryPhase", testCancelPhases},
	{"OfALeasedExecutionBreaksTheLease", testCancelLeased},
	{"ByItsWorker", testCancelByWorker},
	{"WithoutPrivilegeNeedsTheFence", testCancelFence},
	{"OfACancelledOneChangesNothing", testCancelAgain},
	{"OfAnEndedOneIsRefused", testCancelEnded},
	{"AnyoneMayWhileNobodyHoldsIt", testCancelUnheld},
}

// scene is an execution brought into a state.
type scene struct {
	state string
	id    ff.ExecutionID
	claim ff.Claimed // the latest, if there was one
}

// scenes makes an execution in each state that can be reached without flows, budgets and signals, each anew.
func (e *env) scenes() map[string]func() scene {
	retrying := ff.Submit{Policy: ff.Retry(3, ff.FixedBackoff(time.Hour))}
	claimed := func(state string, then func(c ff.Claimed)) func() scene {
		return func() scene {
			c := e.running(retrying)
			then(c)
			return scene{state: state, id: c.ExecutionID, claim: c}
		}
	}
	release := func(c ff.Claimed) {
		e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	}
	return map[string]func() scene{
		"new":     func() scene { return scene{state: newReady, id: e.submit(ff.Submit{})} },
		"delayed": func() scene { return scene{state: newDelayed, id: e.submit(ff.Submit{Delay: 12 * time.Hour})} },
		"running": claimed(running, func(ff.Claimed) {}),
		"lost":    claimed(leaseRanOut, func(ff.Claimed) { e.advance(leaseTTL) }),
		"backoff": claimed(retryBackoff, func(c ff.Claimed) { e.fail(c, "transient") }),
		"retry due": claimed(retryDue, func(c ff.Claimed) {
			e.fail(c, "transient")
			e.advance(time.Hour)
		}),
		"self-delayed": claimed(selfDelayed, func(c ff.Claimed) {
			_, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: 12 * time.Hour})
			e.ok(err)
		}),
		"released": claimed(mayContinue, release),
		"revoked": claimed(mayContinue, func(c ff.Claimed) {
			_, err := e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})
			e.ok(err)
		}),
		"replayed": claimed(replayQueued, func(c ff.Claimed) {
			e.complete(c)
			e.replay(c.ExecutionID)
		}),
		"succeeded": claimed(succeeded, e.complete),
		"failed":    claimed(failed, func(c ff.Claimed) { e.fail(c, "permanent") }),
		"cancelled": claimed(cancelled, func(c ff.Claimed) { e.cancel(c.ExecutionID, "first") }),
		"cancelled before any attempt": func() scene {
			id := e.submit(ff.Submit{})
			e.cancel(id, "first")
			return scene{state: neverBegan, id: id}
		},
	}
}

// live are the scenes whose execution has not ended.
var live = []string{"new", "delayed", "running", "lost", "backoff", "retry due", "self-delayed", "released", "revoked", "replayed"}

// ended are those whose execution has.
var ended = []string{"succeeded", "failed", "cancelled", "cancelled before any attempt"}

// scene brings an execution into a state and makes sure of it.
func (e *env) scene(name string) scene {
	e.Helper()
	s := e.scenes()[name]()
	e.inState(s.id, s.state)
	return s
}

// leave ends a scene, so that the next one has the lane for itself.
func (e *env) leave(s scene, name string) {
	e.Helper()
	if slices.Contains(live, name) {
		e.cancel(s.id, "left")
	}
}

func (e *env) cancel(id ff.ExecutionID, reason string) {
	e.Helper()
	res, err := e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: id, Reason: reason})
	e.ok(err)
	e.equal("answer to cancel", res, ff.CancelResult{ExecutionID: id, PublicState: "cancelled"})
}

// testCancelPhases is I27, with W13: no attempt stays open.
func testCancelPhases(e *env) {
	for _, name := range live {
		s := e.scene(name)
		e.cancel(s.id, "not wanted")
		want := cancelled
		if name == "new" || name == "delayed" {
			want = neverBegan
		}
		got := e.inState(s.id, want)
		e.equal(name+": why and by whom", got.CancellationReason+" "+string(got.CancelledBy), "not wanted operator_override")
		e.equal(name+": public state", got.PublicState, ff.PublicCancelled)
		e.equal(name+": completed", got.CompletedAt, e.pace.now())
		e.equal(name+": delayed until", got.DelayUntil, ff.Timestamp(0))
		for _, a := range e.attempts(s.id) {
			if a.EndedAt == 0 {
				e.Errorf("%s: attempt %d is left %q", name, a.Index, a.State)
			}
		}
		log := e.events(s.id)
		last := log[len(log)-2:]
		last[0].Epoch = 0
		e.equal(name+": last events", last, []told{{"completion", "cancelled", 0, ""}, {"operator", "cancelled", 0, ""}})
		e.nothingClaimable("after the cancel of one that was " + name)
		e.unchanged("the time that follows", s.id, func() { e.advance(13 * time.Hour) })
	}
}

func testCancelLeased(e *env) {
	c := e.running(ff.Submit{})
	e.cancel(c.ExecutionID, "not wanted")
	e.inState(c.ExecutionID, cancelled)
	e.equal("attempts", e.attempts(c.ExecutionID), []ff.AttemptSnapshot{{
		AttemptID: c.Fence.AttemptID, Type: "initial", State: "ended_cancelled", LeaseEpoch: 2, WorkerID: "worker", WorkerInstanceID: "worker-1",
		StartedAt: e.pace.now(), EndedAt: e.pace.now(), FailureReason: "cancelled: not wanted", FailureCategory: "cancelled",
	}})
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""},
		{"lease", "revoked", 1, "cancelled"},
		{"completion", "cancelled", 2, ""},
		{"operator", "cancelled", 0, ""},
	})
	e.refused("renew", errOf(e.renew(c, leaseTTL)), ff.CodeExecutionNotActive)
	e.refused("complete", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}), ff.CodeExecutionNotActive)
}

func errOf[T any](_ T, err error) error { return err }

func testCancelByWorker(e *env) {
	c := e.running(ff.Submit{})
	_, err := e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Fence: c.Fence, Source: ff.SourceWorker, Reason: "gave up"})
	e.ok(err)
	s := e.inState(c.ExecutionID, selfCancelled)
	e.equal("why and by whom", s.CancellationReason+" "+string(s.CancelledBy), "gave up worker")
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {byHolder, "cancelled", 1, "cancelled"},
	})
}

func testCancelFence(e *env) {
	for _, source := range []ff.Source{"worker", "lease_holder", "someone"} {
		c := e.running(ff.Submit{})
		cancel := func(f ff.Fence) error {
			return errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: source, Fence: f}))
		}
		stale := c.Fence
		stale.Epoch++
		e.unchanged("refused cancels", c.ExecutionID, func() {
			e.refused("no fence", cancel(ff.Fence{}), ff.CodeFenceRequired)
			e.refused("partial fence", cancel(ff.Fence{Epoch: 1}), ff.CodePartialFence)
			e.refused("stale fence", cancel(stale), ff.CodeStaleLease)
		})
		e.ok(cancel(c.Fence))
	}
	for _, source := range []ff.Source{"operator_override", "flow_cascade", "system_timeout"} {
		c := e.running(ff.Submit{})
		e.ok(errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: source})))
		e.equal("by whom", e.inState(c.ExecutionID, cancelled).CancelledBy, source)
	}
}

// testCancelAgain is O8 and O9: first reason and first canceller stay.
func testCancelAgain(e *env) {
	for _, name := range []string{"cancelled", "cancelled before any attempt"} {
		s := e.scene(name)
		e.unchanged("another cancel", s.id, func() {
			e.cancel(s.id, "second")
			e.ok(errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: s.id, Source: "someone"})))
		})
	}
}

func testCancelEnded(e *env) {
	for _, name := range []string{"succeeded", "failed"} {
		s := e.scene(name)
		e.unchanged("a cancel", s.id, func() {
			for _, source := range []ff.Source{"operator_override", "someone"} {
				err := errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: s.id, Source: source}))
				e.refused(fmt.Sprintf("%s by %s", name, source), err, ff.CodeInvalidInput)
			}
		})
	}
}

func testCancelUnheld(e *env) {
	for _, name := range []string{"new", "delayed", "backoff", "released", "replayed"} {
		s := e.scene(name)
		e.ok(errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: s.id, Source: "someone"})))
		e.equal(name, e.describe(s.id).CancelledBy, ff.Source("someone"))
	}
}
