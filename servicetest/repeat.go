package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var repeatTests = []behaviour{
	{"Complete", testRepeatComplete},
	{"FailWithoutRetry", testRepeatFail},
	{"FailWithRetry", testRepeatFailRetry},
	{"Delay", testRepeatDelay},
	{"Release", testRepeatRelease},
	{"WorkersCancel", testRepeatCancel},
	{"OnlyTheSameCallIsARepeat", testRepeatOther},
	{"ThroughAnotherEngine", testRepeatElsewhere},
}

// The tests of this concern are I24: a call repeated by the same holder gets the same answer and changes nothing, however
// often and late.

func testRepeatComplete(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	e.unchanged("repeats", c.ExecutionID, func() {
		e.complete(c)
		e.advance(time.Hour)
		e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte("another")}))
	})
	e.equal("result", len(e.result(c.ExecutionID).Payload), 0)
}

func testRepeatFail(e *env) {
	c := e.running(ff.Submit{})
	first := e.fail(c, "permanent")
	e.unchanged("repeats", c.ExecutionID, func() {
		e.equal("answer", e.fail(c, "permanent"), first)
		e.advance(time.Hour)
		e.equal("answer", e.fail(c, "permanent"), first)
	})
}

func testRepeatFailRetry(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(3, ff.FixedBackoff(time.Second))})
	first := e.fail(c, "transient")
	e.unchanged("a repeat during the backoff", c.ExecutionID, func() {
		e.equal("answer", e.fail(c, "transient"), first)
	})
	e.advance(time.Second)
	e.unchanged("a repeat after the backoff", c.ExecutionID, func() {
		e.equal("answer", e.fail(c, "transient"), first)
	})
	next := e.claim()
	e.allRefused("the fence of the attempt before", c.ExecutionID, c.Fence, ff.CodeStaleLease)
	e.complete(next)
}

func testRepeatDelay(e *env) {
	c := e.running(ff.Submit{})
	delay := func() ff.Timestamp {
		until, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: time.Second})
		e.ok(err)
		return until
	}
	first := delay()
	e.unchanged("a repeat during the delay", c.ExecutionID, func() { e.equal("until", delay(), first) })
	e.advance(time.Second)
	e.unchanged("a repeat after the delay", c.ExecutionID, func() { e.equal("until", delay(), first) })
}

func testRepeatRelease(e *env) {
	c := e.running(ff.Submit{})
	release := func() { e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence})) }
	release()
	e.unchanged("a repeat", c.ExecutionID, release)
	e.complete(e.claim())
}

func testRepeatCancel(e *env) {
	c := e.running(ff.Submit{})
	cancel := func() {
		res, err := e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Fence: c.Fence, Source: ff.SourceWorker})
		e.ok(err)
		e.equal("answer", res, ff.CancelResult{ExecutionID: c.ExecutionID, PublicState: "cancelled"})
	}
	cancel()
	e.unchanged("a repeat", c.ExecutionID, cancel)
}

func testRepeatOther(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	e.unchanged("other calls", c.ExecutionID, func() {
		for name, call := range e.holderCalls(c.ExecutionID, c.Fence) {
			want := ff.CodeExecutionNotActive
			switch name {
			case "complete":
				want = ""
			case "cancel", "worker's cancel":
				want = ff.CodeInvalidInput
			}
			e.refused(name+" after complete", call(), want)
		}
	})
}

func testRepeatElsewhere(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	other := e.engine()
	e.unchanged("a repeat through another engine", c.ExecutionID, func() {
		e.ok(other.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	})
}
