package observe_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// traced is a service, and the spans of all that is done with it.
type traced struct {
	*testing.T
	svc      flowfabric.Service
	provider *sdk.TracerProvider
	exporter *tracetest.InMemoryExporter
}

// eachWay runs a test on an engine in the process, and on one behind HTTP.
func eachWay(t *testing.T, test func(t *traced)) {
	t.Helper()
	start := func(t *testing.T) (*traced, *engine.Engine) {
		exporter := tracetest.NewInMemoryExporter()
		provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(eng.Close(context.Background()), provider.Shutdown(context.Background())); err != nil {
				t.Error(err)
			}
		})
		return &traced{T: t, provider: provider, exporter: exporter}, eng
	}
	t.Run("embedded", func(t *testing.T) {
		tr, eng := start(t)
		tr.svc = observe.Service(eng, observe.Config{TracerProvider: tr.provider})
		test(tr)
	})
	t.Run("HTTP", func(t *testing.T) {
		tr, eng := start(t)
		s, err := server.New(eng, server.Config{TracerProvider: tr.provider})
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewServer(s)
		t.Cleanup(front.Close)
		c, err := client.New(front.URL, client.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		tr.svc = c
		test(tr)
	})
}

// work runs a worker with a handler for each kind until the test ends.
func (t *traced) work(handlers map[string]worker.Handler) {
	t.Helper()
	w := worker.New(t.svc, worker.Config{Lanes: []flowfabric.LaneID{"mail"}, TracerProvider: t.provider, PollWait: time.Second})
	for kind, h := range handlers {
		worker.Handle(w, kind, func(ctx context.Context, task *worker.Task, _ []byte) ([]byte, error) { return h(ctx, task) })
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// within runs do in a span of the caller's own.
func (t *traced) within(name string, do func(ctx context.Context)) {
	ctx, span := t.provider.Tracer("app").Start(t.Context(), name)
	do(ctx)
	span.End()
}

func (t *traced) wait(id flowfabric.ExecutionID) {
	t.Helper()
	for range 20 {
		res, err := t.svc.Wait(t.Context(), id, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if res.Outcome != flowfabric.OutcomeNone {
			return
		}
	}
	t.Fatalf("%s has not ended", id)
}

// spans are those of a name that were ended, by a value of an attribute if that is given. It waits until there are n: the last
// of an execution ends after the execution.
func (t *traced) spans(n int, name string, want ...attribute.KeyValue) tracetest.SpanStubs {
	t.Helper()
	for tries := 0; ; tries++ {
		var found tracetest.SpanStubs
		for _, s := range t.exporter.GetSpans() {
			all := !slices.ContainsFunc(want, func(kv attribute.KeyValue) bool { return !slices.Contains(s.Attributes, kv) })
			if s.Name == name && all {
				found = append(found, s)
			}
		}
		if len(found) == n {
			slices.SortFunc(found, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
			return found
		}
		if tries == 5000 {
			t.Fatalf("there are %d spans %s %v, want %d", len(found), name, want, n)
		}
		<-clock.Real().NewTimer(time.Millisecond).C
	}
}

func (t *traced) child(what string, s, parent tracetest.SpanStub) {
	t.Helper()
	if s.SpanContext.TraceID() != parent.SpanContext.TraceID() || s.Parent.SpanID() != parent.SpanContext.SpanID() || len(s.Links) != 0 {
		t.Errorf("%s: %s is not a child of %s: parent %s, links %v", what, s.Name, parent.Name, s.Parent.SpanID(), s.Links)
	}
}

func (t *traced) linked(what string, s, to tracetest.SpanStub) {
	t.Helper()
	if s.Parent.IsValid() || s.SpanContext.TraceID() == to.SpanContext.TraceID() {
		t.Errorf("%s: %s is no trace of its own", what, s.Name)
	}
	if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != to.SpanContext.SpanID() || s.Links[0].SpanContext.TraceID() != to.SpanContext.TraceID() {
		t.Errorf("%s: %s is linked to %v, want %s", what, s.Name, s.Links, to.SpanContext.SpanID())
	}
}

// TestTrace_FollowsAnExecution: from the submit to the first attempt, its step, the retry, and what that submits.
func TestTrace_FollowsAnExecution(t *testing.T) {
	eachWay(t, func(t *traced) {
		next := make(chan flowfabric.ExecutionID, 1)
		t.work(map[string]worker.Handler{
			"order": func(ctx context.Context, task *worker.Task) ([]byte, error) {
				if _, err := worker.Step(ctx, "charge", func(context.Context) (int, error) { return 1, nil }); err != nil {
					return nil, err
				}
				if task.RetryCount() == 0 {
					return nil, errors.New("the mail server is down")
				}
				res, err := t.svc.Submit(ctx, flowfabric.Submit{Lane: "mail", Kind: "receipt"})
				next <- res.ID
				return nil, err
			},
			"receipt": func(context.Context, *worker.Task) ([]byte, error) { return nil, nil },
		})
		var id flowfabric.ExecutionID
		t.within("checkout", func(ctx context.Context) {
			res, err := t.svc.Submit(ctx, flowfabric.Submit{Lane: "mail", Kind: "order", Policy: flowfabric.Retry(1, flowfabric.FixedBackoff(time.Millisecond))})
			if err != nil {
				t.Fatal(err)
			}
			id = res.ID
		})
		t.wait(id)
		downstream := <-next
		t.wait(downstream)

		checkout := t.spans(1, "checkout")[0]
		tasks := t.spans(2, "ff.task", attribute.String("execution_id", id.String()))
		later := t.spans(1, "ff.task", attribute.String("execution_id", downstream.String()))[0]
		step := t.spans(1, "ff.step", attribute.String("step", "charge"))[0]
		submits := t.spans(2, "ff.submit")
		above := []tracetest.SpanStub{checkout, tasks[1]} // of the two submits
		if requests := t.exporter.GetSpans(); slices.ContainsFunc(requests, func(s tracetest.SpanStub) bool { return s.SpanKind == trace.SpanKindServer }) {
			for i, request := range t.spans(2, "POST /v1/calls/submit") {
				t.child("a request", request, above[i])
				above[i] = request
			}
		}
		t.child("the submit", submits[0], above[0])
		t.child("the first attempt", tasks[0], submits[0])
		t.child("the step", step, tasks[0])
		t.linked("the retry", tasks[1], submits[0])
		t.child("what the handler submits", submits[1], above[1])
		t.child("the attempt of that", later, submits[1])
		if tasks[0].Status.Description != "transient" || tasks[1].Status.Description != "" {
			t.Errorf("the attempts ended as %q and %q", tasks[0].Status.Description, tasks[1].Status.Description)
		}
		s, err := t.svc.Describe(t.Context(), id)
		if err != nil || string(s.TraceParent) != "00-"+submits[0].SpanContext.TraceID().String()+"-"+submits[0].SpanContext.SpanID().String()+"-01" {
			t.Errorf("the execution is of the span %q, %v", s.TraceParent, err)
		}
	})
}

// TestTrace_MembersOfAFlowLinkToIt: to its submit, whatever released them.
func TestTrace_MembersOfAFlowLinkToIt(t *testing.T) {
	eachWay(t, func(t *traced) {
		done := func(context.Context, *worker.Task) ([]byte, error) { return nil, nil }
		t.work(map[string]worker.Handler{"build": done, "deploy": done})
		var flow flowfabric.FlowID
		t.within("release", func(ctx context.Context) {
			var err error
			flow, err = t.svc.SubmitFlow(ctx, flowfabric.SubmitFlow{Nodes: []flowfabric.FlowNode{
				{Name: "build", Submit: flowfabric.Submit{Lane: "mail", Kind: "build"}},
				{Name: "deploy", Submit: flowfabric.Submit{Lane: "mail", Kind: "deploy"}, After: []string{"build"}},
			}})
			if err != nil {
				t.Fatal(err)
			}
		})
		t.wait(flowfabric.NodeID(flow, "deploy", flowfabric.DefaultPartitions()))
		submit := t.spans(1, "ff.submit_flow")[0]
		for _, kind := range []string{"build", "deploy"} {
			task := t.spans(1, "ff.task", attribute.String("kind", kind), attribute.String("flow_id", flow.String()))[0]
			t.linked(kind, task, submit)
		}
	})
}

// TestTrace_ADelayEndsTheTrace: what runs after it is linked to the submit.
func TestTrace_ADelayEndsTheTrace(t *testing.T) {
	eachWay(t, func(t *traced) {
		t.work(map[string]worker.Handler{"nap": func(_ context.Context, task *worker.Task) ([]byte, error) {
			if !task.Resumed() {
				return nil, worker.Delay(20 * time.Millisecond)
			}
			return nil, nil
		}})
		var id flowfabric.ExecutionID
		t.within("app", func(ctx context.Context) {
			res, err := t.svc.Submit(ctx, flowfabric.Submit{Lane: "mail", Kind: "nap"})
			if err != nil {
				t.Fatal(err)
			}
			id = res.ID
		})
		t.wait(id)
		submit := t.spans(1, "ff.submit")[0]
		tasks := t.spans(2, "ff.task", attribute.String("execution_id", id.String()))
		t.child("before the nap", tasks[0], submit)
		t.linked("after the nap", tasks[1], submit)
	})
}

// TestTrace_PollingBeginsNone: a worker that waits makes no spans in its process.
func TestTrace_PollingBeginsNone(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	svc := observe.Service(eng, observe.Config{TracerProvider: provider})
	claim := flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1"}
	if _, err := svc.Claim(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if got := exporter.GetSpans(); len(got) != 0 {
		t.Errorf("%d spans", len(got))
	}
	ctx, span := provider.Tracer("app").Start(t.Context(), "app")
	if _, err := svc.Claim(ctx, claim); err != nil {
		t.Fatal(err)
	}
	span.End()
	if got := exporter.GetSpans(); len(got) != 2 || got[0].Name != "ff.claim" {
		t.Errorf("as part of a trace: %v", got)
	}
	if err := eng.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
