package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var replayTests = []behaviour{
	{"OnlyOfEndedExecutions", testReplayGate},
	{"RunsAgainInPlace", testReplayInPlace},
	{"AfterAnyEnd", testReplayEnds},
	{"UpToTheLimit", testReplayLimit},
	{"RetryBudgetIsFresh", testReplayRetries},
	{"ReclaimBudgetIsFresh", testReplayReclaims},
	{"OfOneThatNeverBegan", testReplayNeverBegan},
	{"CancelledBeforeItRuns", testReplayCancelled},
	{"LastAttemptAlone", testReplayLastAttempt},
}

func (e *env) replay(id ff.ExecutionID) {
	e.Helper()
	res, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: id, Actor: "ops", Reason: "again"})
	e.ok(err)
	e.equal("answer to replay", res, ff.ReplayResult{PublicState: "waiting"})
}

func testReplayGate(e *env) {
	for _, name := range live {
		s := e.scene(name)
		e.unchanged("a replay of one that is "+name, s.id, func() {
			e.refused(name, errOf(e.svc.Replay(e.Context(), ff.Replay{ExecutionID: s.id})), ff.CodeExecutionNotTerminal)
		})
		e.leave(s, name)
	}
}

// testReplayInPlace: chapter 30, section 30.4: the attempt index is kept, the epoch rises, the past is cleared.
func testReplayInPlace(e *env) {
	c := e.running(ff.Submit{Payload: []byte("in"), Priority: 3})
	id := c.ExecutionID
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: c.Fence, Result: []byte("out")}))
	e.advance(time.Minute)
	before := e.describe(id)
	e.replay(id)
	s := e.inState(id, replayQueued)
	e.equal("public state", s.PublicState, ff.PublicWaiting)
	e.equal("completed", s.CompletedAt, ff.Timestamp(0))
	e.equal("kept", []any{s.CreatedAt, s.StartedAt, s.Priority, s.TotalAttempts}, []any{before.CreatedAt, before.StartedAt, 3, 1})
	e.equal("replays", s.ReplayCount, 1)
	e.equal("result", e.result(id), ff.Result{Outcome: "none"})
	e.refused("a late complete", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: c.Fence}), ff.CodeExecutionNotActive)

	again := e.claim()
	e.equal("type", again.AttemptType, ff.AttemptReplay)
	e.equal("resumed", again.Resumed, false)
	e.equal("index", again.Fence.AttemptIndex, 0)
	e.equal("payload", string(again.Payload), "in")
	if again.Fence.Epoch <= c.Fence.Epoch+1 || again.Fence.AttemptID == c.Fence.AttemptID {
		e.Errorf("fences are %+v and %+v", c.Fence, again.Fence)
	}
	e.equal("running attempts", e.attempts(id), []ff.AttemptSnapshot{{
		AttemptID: again.Fence.AttemptID, Type: "replay", State: "started", LeaseEpoch: again.Fence.Epoch, WorkerID: "worker",
		WorkerInstanceID: "worker-1", StartedAt: e.pace.now(),
	}})
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: again.Fence, Result: []byte("again")}))
	e.equal("result", string(e.result(id).Payload), "again")
	e.equal("types", types(e.attempts(id)), []ff.AttemptType{"replay"})
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""},
		{byHolder, "success", 1, "completed"},
		{"operator", "replayed", 0, ""},
		{"lease", "acquired", 3, ""},
		{byHolder, "success", 3, "completed"},
	})
}

func testReplayEnds(e *env) {
	for _, name := range ended {
		s := e.scene(name)
		e.replay(s.id)
		got := e.inState(s.id, replayQueued)
		e.equal(name+": traces of the end", []any{got.FailureReason, got.FailureCategory, got.CancellationReason, got.CancelledBy},
			[]any{"", ff.FailureCategory(""), "", ff.Source("")})
		e.complete(e.claim())
		e.inState(s.id, succeeded)
	}
}

func testReplayLimit(e *env) {
	for _, limit := range []*uint32{new(uint32(2)), new(uint32(0)), nil} {
		c := e.running(ff.Submit{Policy: &ff.Policy{MaxReplays: limit}})
		e.complete(c)
		most := 10
		if limit != nil {
			most = int(*limit)
		}
		for range most {
			e.replay(c.ExecutionID)
			e.complete(e.claim())
		}
		e.unchanged("one replay too many", c.ExecutionID, func() {
			e.refused("replay", errOf(e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID})), ff.CodeMaxReplaysExhausted)
		})
		e.equal("replays", e.describe(c.ExecutionID).ReplayCount, most)
	}
}

// testReplayRetries is W25.
func testReplayRetries(e *env) {
	id := e.submit(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	for generation := range 2 {
		if generation > 0 {
			e.replay(id)
			e.equal("retries after the replay", e.describe(id).RetryCount, 0)
		}
		e.equal("first failure", e.fail(e.claim(), "transient").Retrying, true)
		e.advance(0)
		e.equal("second failure", e.fail(e.claim(), "transient").Retrying, false)
	}
	e.inState(id, failed)
	e.equal("types", types(e.attempts(id)), []ff.AttemptType{"initial", "replay", "retry"})
}

func testReplayReclaims(e *env) {
	id := e.submit(ff.Submit{Policy: &ff.Policy{MaxReclaims: new(uint32(1))}})
	for generation := range 2 {
		if generation > 0 {
			e.replay(id)
			e.equal("reclaims after the replay", e.describe(id).ReclaimCount, 0)
		}
		for range 2 {
			e.claim()
			e.advance(leaseTTL)
		}
		e.inState(id, failed)
	}
}

func testReplayNeverBegan(e *env) {
	s := e.scene("cancelled before any attempt")
	e.replay(s.id)
	e.equal("attempts", len(e.attempts(s.id)), 0)
	c := e.claim()
	e.equal("index", c.Fence.AttemptIndex, 0)
	e.equal("type", c.AttemptType, ff.AttemptReplay)
	e.complete(c)
	e.replay(s.id)
	e.cancel(s.id, "")
}

// testReplayCancelled: the attempt a replay cleared is closed again when the execution is cancelled before it runs.
func testReplayCancelled(e *env) {
	s := e.scene("succeeded")
	for range 3 {
		e.replay(s.id)
		e.cancel(s.id, "never mind")
		e.inState(s.id, cancelled)
		e.equal("states", states(e.attempts(s.id)), []ff.AttemptLifecycle{"ended_cancelled"})
	}
}

// testReplayLastAttempt: of several attempts the last one is run again, the others stay (O4, I10).
func testReplayLastAttempt(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	e.fail(c, "transient")
	e.advance(0)
	e.fail(e.claim(), "transient")
	first := e.attempts(c.ExecutionID)[0]
	e.replay(c.ExecutionID)
	again := e.claim()
	e.equal("index", again.Fence.AttemptIndex, 1)
	e.complete(again)
	list := e.attempts(c.ExecutionID)
	e.equal("attempts", len(list), 2)
	e.equal("first attempt", list[0], first)
	e.equal("second attempt", list[1].State, ff.AttemptEndedSuccess)
}
