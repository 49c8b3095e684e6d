// Package obstest does a bit of everything with a service, for tests of what is recorded of it.
package obstest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// Lane is where the work is done.
const Lane flowfabric.LaneID = "mail"

// Workload does a bit of everything, once: executions that succeed, fail, are retried, cancelled, run too long, lose their worker
// once or for good; flows; limits; signals; frames; a reader of events that lags. It takes some seconds, which tests should let
// pass in a bubble of testing/synctest.
func Workload(ctx context.Context, svc flowfabric.Service) error {
	w := &workload{ctx: ctx, svc: svc}
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"attempts", w.attempts},
		{"leases", w.leases},
		{"flows", w.flows},
		{"limits", w.limits},
		{"signals", w.signals},
		{"streams", w.streams},
		{"registry", w.registry},
	} {
		if part.do(); w.err != nil {
			return fmt.Errorf("%s: %w", part.name, w.err)
		}
	}
	return nil
}

type workload struct {
	ctx context.Context
	svc flowfabric.Service
	err error // the first
}

func (w *workload) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *workload) submit(s flowfabric.Submit) flowfabric.ExecutionID {
	s.Lane, s.Kind = Lane, "send"
	res, err := w.svc.Submit(w.ctx, s)
	w.note(err)
	return res.ID
}

// claim claims what there is, waiting a second for the first.
func (w *workload) claim(ttl time.Duration) []flowfabric.Claimed {
	got, err := w.svc.Claim(w.ctx, flowfabric.Claim{
		Lanes: []flowfabric.LaneID{Lane}, WorkerID: "w", WorkerInstanceID: "w-1", Max: 10, Wait: time.Second, LeaseTTL: ttl,
	})
	w.note(err)
	return got
}

// one claims one execution.
func (w *workload) one(ttl time.Duration) flowfabric.Claimed {
	got := w.claim(ttl)
	if len(got) != 1 {
		w.note(fmt.Errorf("%d executions were claimed, want 1", len(got)))
		return flowfabric.Claimed{}
	}
	return got[0]
}

func (w *workload) complete(c flowfabric.Claimed) {
	w.note(w.svc.Complete(w.ctx, flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
}

func (w *workload) fail(c flowfabric.Claimed, category flowfabric.FailureCategory) {
	_, err := w.svc.Fail(w.ctx, flowfabric.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: category})
	w.note(err)
}

func (w *workload) cancel(id flowfabric.ExecutionID) {
	_, err := w.svc.Cancel(w.ctx, flowfabric.Cancel{ExecutionID: id, Source: flowfabric.SourceOperatorOverride, Reason: "no more"})
	w.note(err)
}

// pass lets time pass.
func (w *workload) pass(d time.Duration) {
	select {
	case <-clock.Real().NewTimer(d).C:
	case <-w.ctx.Done():
		w.note(w.ctx.Err())
	}
}

// attempts: one that succeeds after a renewal, one that is retried and fails, one that is cancelled, one that runs too long.
func (w *workload) attempts() {
	w.submit(flowfabric.Submit{})
	c := w.one(time.Minute)
	_, err := w.svc.Renew(w.ctx, flowfabric.Renew{ExecutionID: c.ExecutionID, Fence: c.Fence})
	w.note(err)
	stale := c.Fence
	stale.Epoch++
	if _, err := w.svc.Renew(w.ctx, flowfabric.Renew{ExecutionID: c.ExecutionID, Fence: stale}); !errors.Is(err, flowfabric.ErrStaleLease) {
		w.note(fmt.Errorf("a stale renewal: %w", err))
	}
	w.complete(c)

	w.submit(flowfabric.Submit{Policy: flowfabric.Retry(1, flowfabric.FixedBackoff(10*time.Millisecond))})
	w.fail(w.one(time.Minute), flowfabric.FailureTransient)
	w.fail(w.one(time.Minute), flowfabric.FailureTransient)

	w.submit(flowfabric.Submit{})
	w.cancel(w.one(time.Minute).ExecutionID)

	w.submit(flowfabric.Submit{Policy: &flowfabric.Policy{Timeouts: &flowfabric.TimeoutPolicy{AttemptTimeoutMS: 100}}})
	w.one(time.Minute)
	w.pass(3 * time.Second)
}

// leases: one is lost and reclaimed, one is lost for good.
func (w *workload) leases() {
	w.submit(flowfabric.Submit{})
	w.one(100 * time.Millisecond)
	w.pass(3 * time.Second)
	w.complete(w.one(time.Minute))

	w.submit(flowfabric.Submit{Policy: &flowfabric.Policy{MaxReclaims: new(uint32)}})
	w.one(100 * time.Millisecond)
	w.pass(3 * time.Second)
}

// flows: the first of two is enough, and the other is cancelled.
func (w *workload) flows() {
	node := func(name string, after ...string) flowfabric.FlowNode {
		return flowfabric.FlowNode{Name: name, Submit: flowfabric.Submit{Lane: Lane, Kind: "send"}, After: after}
	}
	last := node("c", "a", "b")
	last.Policy = flowfabric.GroupPolicy{Kind: flowfabric.AnyOf}
	_, err := w.svc.SubmitFlow(w.ctx, flowfabric.SubmitFlow{Nodes: []flowfabric.FlowNode{node("a"), node("b"), last}})
	w.note(err)
	got := w.claim(time.Minute)
	if len(got) != 2 {
		w.note(fmt.Errorf("%d members were claimed", len(got)))
		return
	}
	w.complete(got[0])
	w.pass(3 * time.Second)
	w.complete(w.one(time.Minute))
}

// limits: a quota by its rate, one by its concurrency, a budget.
func (w *workload) limits() {
	rate, _, err := w.svc.CreateQuota(w.ctx, flowfabric.CreateQuota{Rate: 1, Window: time.Hour})
	w.note(err)
	room, _, err := w.svc.CreateQuota(w.ctx, flowfabric.CreateQuota{MaxConcurrent: 1})
	w.note(err)
	for _, id := range []flowfabric.QuotaID{rate, room} {
		under := &flowfabric.Policy{Limits: &flowfabric.Limits{Quotas: []flowfabric.QuotaUse{{ID: id}}}}
		first := w.submit(flowfabric.Submit{Policy: under})
		second := w.submit(flowfabric.Submit{Policy: under})
		w.one(time.Minute)
		w.cancel(second)
		w.cancel(first)
	}
	budget, _, err := w.svc.CreateBudget(w.ctx, flowfabric.CreateBudget{Hard: flowfabric.Amounts{"tokens": 1}})
	w.note(err)
	w.cancel(w.submit(flowfabric.Submit{Policy: &flowfabric.Policy{Limits: &flowfabric.Limits{
		Budgets: []flowfabric.BudgetUse{{ID: budget, Estimate: flowfabric.Amounts{"tokens": 2}}},
	}}}))
}

// signals: one resumes what waits for it.
func (w *workload) signals() {
	w.submit(flowfabric.Submit{})
	c := w.one(time.Minute)
	res, err := w.svc.Suspend(w.ctx, flowfabric.Suspend{ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: flowfabric.OnSignal("wpk:go")})
	w.note(err)
	if len(res.Waitpoints) != 1 {
		w.note(fmt.Errorf("%d waitpoints", len(res.Waitpoints)))
		return
	}
	point := res.Waitpoints[0]
	_, err = w.svc.DeliverSignal(w.ctx, flowfabric.Signal{ExecutionID: c.ExecutionID, WaitpointID: point.WaitpointID, Token: point.Token, Name: "go"})
	w.note(err)
	w.complete(w.one(time.Minute))
}

func (w *workload) streams() {
	w.submit(flowfabric.Submit{})
	c := w.one(time.Minute)
	_, err := w.svc.AppendFrames(w.ctx, flowfabric.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: []flowfabric.Frame{
		{Payload: []byte("a")}, {Payload: []byte("b")}, {Payload: []byte("c"), Mode: flowfabric.FrameLive, Live: flowfabric.LiveFrame{TTL: time.Minute}},
	}})
	w.note(err)
	w.complete(c)
}

// registry: a worker that is alive, and a reader of events that has read one.
func (w *workload) registry() {
	_, err := w.svc.RegisterWorker(w.ctx, flowfabric.RegisterWorker{WorkerID: "w", WorkerInstanceID: "w-1", Lanes: []flowfabric.LaneID{Lane}, LivenessTTL: time.Hour})
	w.note(err)
	page, err := w.svc.ReadEvents(w.ctx, flowfabric.ReadEvents{Family: flowfabric.EventsCompletion, After: flowfabric.EventsFromOldest, Limit: 1})
	w.note(err)
	_, err = w.svc.AckEvents(w.ctx, flowfabric.AckEvents{Name: "billing", Family: flowfabric.EventsCompletion, Cursor: page.Next, Rewind: true})
	w.note(err)
}
