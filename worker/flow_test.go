package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func TestAwaitChildren_EndsTheRunWithTheFence(t *testing.T) {
	nodes := []ff.FlowNode{{Name: "c", Submit: ff.Submit{Lane: "mail", Kind: "part"}}}
	f := one(t, config(), `{}`, failing(worker.AwaitChildren(ff.GroupPolicy{Kind: ff.AllOf}, nodes...)))
	if len(f.awaited) != 1 || len(f.failed)+len(f.completed) != 0 {
		t.Fatalf("heard %+v, %d failures, %d completions; want one wait", f.awaited, len(f.failed), len(f.completed))
	}
	c := f.awaited[0]
	if c.Fence != task(1, "", "").Fence || c.Policy.Kind != ff.AllOf || len(c.Children) != 1 || c.Children[0].Name != "c" {
		t.Errorf("waits by %+v", c)
	}
}

// TestAwaitChildren_RefusedIsAFailure: a wait that can never be accepted must not be repeated for ever.
func TestAwaitChildren_RefusedIsAFailure(t *testing.T) {
	for _, code := range []ff.Code{ff.CodeInvalidInput, ff.CodeFlowAlreadyTerminal} {
		var f *fake
		synctest.Test(t, func(t *testing.T) {
			f = newFake(task(1, "send", "{}"))
			f.onWait = coded(code)
			w := worker.New(f, config())
			failing(worker.AwaitChildren(ff.GroupPolicy{}))(w)
			start(w).stopClean(t)
		})
		if len(f.failed) != 1 || f.failed[0].Category != ff.FailurePermanent {
			t.Errorf("%s: failures %+v, want one that is permanent", code, f.failed)
		}
	}
}

func TestOutput_ReadsNodesOfTheFlow(t *testing.T) {
	flow := ff.NewFlowID()
	claimed := task(1, "send", "{}")
	claimed.FlowID = flow
	node := func(name string) ff.ExecutionID { return ff.NodeIDOn(claimed.ExecutionID.Partition(), flow, name) }
	errs := make(map[string]error)
	var got mail
	synctest.Test(t, func(t *testing.T) {
		f := newFake(claimed, task(2, "solo", "{}"))
		f.results = map[ff.ExecutionID]ff.Result{
			node("good"):    {Outcome: ff.OutcomeSuccess, Payload: []byte(`{"to":"ada"}`)},
			node("odd"):     {Outcome: ff.OutcomeSuccess, Payload: []byte(`[]`)},
			node("failed"):  {Outcome: ff.OutcomeFailed, FailureReason: "no"},
			node("running"): {Outcome: ff.OutcomeNone},
		}
		cfg := config()
		cfg.Concurrency = 1 // both write to errs
		w := worker.New(f, cfg)
		worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			got, errs["good"] = worker.Output[mail](ctx, t, "good")
			for _, name := range []string{"odd", "failed", "running", "absent"} {
				_, errs[name] = worker.Output[mail](ctx, t, name)
			}
			return struct{}{}, nil
		})
		worker.Handle(w, "solo", func(ctx context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			_, errs["solo"] = worker.Output[mail](ctx, t, "good")
			return struct{}{}, nil
		})
		start(w).stopClean(t)
	})
	if got.To != "ada" || errs["good"] != nil {
		t.Errorf("read %+v, error %v", got, errs["good"])
	}
	for name, want := range map[string]error{
		"failed": worker.ErrEndedBadly, "running": worker.ErrNotEnded, "absent": ff.ErrExecutionNotFound, "solo": worker.ErrNotInFlow,
	} {
		if !errors.Is(errs[name], want) {
			t.Errorf("%s: error %v, want %v", name, errs[name], want)
		}
	}
	if errs["odd"] == nil {
		t.Error("what cannot be decoded was accepted")
	}
}
