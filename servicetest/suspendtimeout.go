package servicetest

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var suspendTimeoutTests = []behaviour{
	{"I19_ADeadlineEndsTheExecution", testSuspensionTimeout},
	{"FIX_S25_TheWorkerIsToldOfADeadline", testSuspensionAutoResume},
	{"AnEscalatedOneWaitsForAnOperator", testSuspensionEscalate},
	{"NoAnswerDependsOnWhoLooksFirst", testSuspensionUnnoticed},
	{"TheDeadlineOfTheExecutionRunsOn", testSuspensionDeadline},
	{"ACancelClosesEverything", testSuspensionCancel},
	{"TheFlowsCancelClosesEverything", testSuspensionFlowCancel},
	{"ASiblingsSuccessClosesEverything", testSuspensionSiblings},
	{"TheSkipOfASuspendedMemberClosesEverything", testSuspensionSkip},
}

// testSuspensionTimeout: chapter 40, section 10.
func testSuspensionTimeout(e *env) {
	for behavior, want := range map[ff.TimeoutBehavior]struct {
		state   string
		attempt ff.AttemptLifecycle
		reason  string
		closed  string
		event   string
	}{
		"":       {failed, ff.AttemptEndedFailure, "suspension_timeout:fail", "timed_out_fail", "failed"},
		"fail":   {failed, ff.AttemptEndedFailure, "suspension_timeout:fail", "timed_out_fail", "failed"},
		"cancel": {selfCancelled, ff.AttemptEndedCancelled, "suspension_timeout:cancel", "timed_out_cancel", "cancelled"},
		"expire": {expired, ff.AttemptEndedFailure, "suspension_timeout:expire", "timed_out_expire", "expired"},
	} {
		c := e.running(ff.Submit{})
		points := e.suspend(c, ff.Suspend{
			Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "b"), Timeout: time.Minute, TimeoutBehavior: behavior,
		}).Waitpoints
		e.advance(time.Minute - time.Millisecond)
		e.inState(c.ExecutionID, parkedState)
		e.advance(time.Millisecond)
		s := e.inState(c.ExecutionID, want.state)
		e.equal("reason", []any{s.FailureReason, s.CompletedAt}, []any{want.reason, e.pace.now()})
		e.equal("attempt", e.attempts(c.ExecutionID)[0].State, want.attempt)
		e.closed(c.ExecutionID, want.closed, points...)
		e.equal("what the worker would be told", e.resumeSignals(c.ExecutionID), want.closed)
		log := e.events(c.ExecutionID)
		e.equal("event", log[len(log)-1], told{"completion", want.event, 1, ""})
		e.unchanged("what comes later", c.ExecutionID, func() {
			e.refused("signal", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[0], "go"))), "target_not_signalable")
			e.refused("resume", errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})), "execution_not_suspended")
		})
	}
}

func testSuspensionAutoResume(e *env) {
	c := e.running(ff.Submit{})
	p := e.suspend(c, ff.Suspend{
		Condition: ff.OnCount(2, ff.DistinctSignals, approvalKey), Timeout: time.Minute, TimeoutBehavior: ff.TimeoutResumes, ResumeDelay: time.Hour,
	}).Waitpoints[0]
	e.deliver(signal(c.ExecutionID, p, "one"))
	e.advance(time.Minute)
	e.equal("public state", e.inState(c.ExecutionID, mayContinue).PublicState, ff.PublicWaiting)
	e.closed(c.ExecutionID, "timed_out_auto_resume", p)
	s := e.suspension(c.ExecutionID)
	e.equal("by", []any{s.Trigger, s.TimeoutAt}, []any{ff.TriggerAutoResume, s.SuspendedAt + 60_000})
	again := e.claim()
	e.equal("attempt", []any{again.Fence.AttemptID, again.Fence.Epoch}, []any{c.Fence.AttemptID, uint64(2)})
	e.equal("what the worker is told", e.resumeSignals(c.ExecutionID), "timed_out_auto_resume")
	e.complete(again)
}

func testSuspensionEscalate(e *env) {
	escalated := func() (ff.Claimed, ff.WaitpointGrant) {
		c, p := e.parked(ff.Suspend{Timeout: time.Minute, TimeoutBehavior: ff.TimeoutEscalate, Reason: ff.WaitForCallback})
		until := e.pace.now() + 60_000
		e.advance(time.Minute)
		s := e.inState(c.ExecutionID, parkedOperator)
		e.equal("detail", s.BlockingDetail, fmt.Sprintf("suspension escalated: timeout at %d", until))
		told := e.suspension(c.ExecutionID)
		e.equal("suspension", []any{told.Reason, told.TimeoutAt, told.ClosedAt}, []any{ff.WaitForOperatorReview, ff.Timestamp(0), ff.Timestamp(0)})
		e.advance(48 * time.Hour)
		e.inState(c.ExecutionID, parkedOperator)
		return c, p
	}
	c, p := escalated()
	e.equal("a late signal", e.deliver(signal(c.ExecutionID, p, "go")), ff.EffectResumed)
	e.closed(c.ExecutionID, "resumed", p)
	e.complete(e.claim())
	c, p = escalated()
	e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID, Actor: "ops"})))
	e.closed(c.ExecutionID, "resumed", p)
	e.complete(e.claim())
}

// testSuspensionUnnoticed: an engine that does not look at what is due answers as one that has.
func testSuspensionUnnoticed(e *env) {
	for behavior, want := range map[ff.TimeoutBehavior]ff.Code{
		ff.TimeoutFails: "target_not_signalable", ff.TimeoutResumes: "target_not_signalable", ff.TimeoutEscalate: "",
	} {
		c, p := e.parked(ff.Suspend{Timeout: time.Minute, TimeoutBehavior: behavior})
		e.pace.Advance(time.Minute)
		e.refused("signal, "+string(behavior), errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), want)
		e.advance(0)
		e.drain()
	}
}

func testSuspensionDeadline(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(0, time.Minute, "")})
	p := e.suspend(c, ff.Suspend{Timeout: time.Hour, TimeoutBehavior: ff.TimeoutResumes}).Waitpoints[0]
	e.advance(time.Minute)
	e.equal("reason", e.inState(c.ExecutionID, expired).FailureReason, "execution_deadline")
	e.closed(c.ExecutionID, "expired:execution_deadline", p)
}

// cancelledWaits fails the test unless an execution and all it waited for are cancelled (chapter 40, section 13).
func (e *env) cancelledWaits(id ff.ExecutionID, p ff.WaitpointGrant) {
	e.Helper()
	e.closed(id, "cancelled", p)
	e.refused("a late signal", errOf(e.svc.DeliverSignal(e.Context(), signal(id, p, "go"))), "target_not_signalable")
}

func testSuspensionCancel(e *env) {
	c, p := e.parked(ff.Suspend{Timeout: time.Hour})
	e.cancel(c.ExecutionID, "enough")
	e.inState(c.ExecutionID, cancelled)
	e.equal("attempt", e.attempts(c.ExecutionID)[0].State, ff.AttemptEndedCancelled)
	e.cancelledWaits(c.ExecutionID, p)
	e.advance(2 * time.Hour)
	e.inState(c.ExecutionID, cancelled)
}

func testSuspensionFlowCancel(e *env) {
	g := e.flow("a", "b < a")
	g.start("a")
	p := e.suspend(g.held["a"], ff.Suspend{}).Waitpoints[0]
	e.ok(errOf(e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id})))
	g.become("a=cancelled b=cancelled")
	e.cancelledWaits(g.node("a"), p)
}

func testSuspensionSiblings(e *env) {
	g := e.flow("a", "b", "c < any a b")
	g.start("a", "b")
	p := e.suspend(g.held["a"], ff.Suspend{}).Waitpoints[0]
	g.end("success", "b")
	g.become("a=cancelled b=completed")
	e.cancelledWaits(g.node("a"), p)
	g.end("success", "c")
}

// testSuspensionSkip: an edge may be applied to a member that is suspended, and fail.
func testSuspensionSkip(e *env) {
	g := e.emptyFlow("up", "down")
	g.start("down")
	p := e.suspend(g.held["down"], ff.Suspend{}).Waitpoints[0]
	edge, err := g.stage("up", "down")
	e.ok(err)
	e.ok(errOf(e.svc.ApplyEdge(e.Context(), ff.ApplyEdge{FlowID: g.id, EdgeID: edge, Upstream: g.node("up"), Downstream: g.node("down")})))
	e.equal("state", g.states("down"), "down=suspended")
	g.end("failed", "up")
	g.become("down=skipped")
	e.cancelledWaits(g.node("down"), p)
}
