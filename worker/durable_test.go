package worker_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

// tap is an engine that a test listens to, and may make deaf.
type tap struct {
	*engine.Engine
	mu   sync.Mutex
	log  heard
	says says
}

// heard is what an engine was asked.
type heard struct {
	lists, looks int // calls of ListSteps and of DescribeWaitpoint
	recorded     []ff.RecordStep
	suspends     []ff.Suspend
	appended     []ff.AppendFrames
	reported     []ff.ReportUsage
}

// says is what an engine answers.
type says struct {
	// record, if set, answers RecordStep instead of the engine, which it may ask.
	record func(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error)
	// appends, if set, answers AppendFrames instead of the engine, which it may ask.
	appends func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error)
	// reports, if set, answers ReportUsage instead of the engine, which it may ask.
	reports func(ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error)
	// unheard is how many answers to Suspend get lost.
	unheard int
}

// heard returns what the engine was asked so far.
func (e *tap) heard() heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log
}

// say sets what the engine answers from now on.
func (e *tap) say(s says) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.says = s
}

func (e *tap) RecordStep(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
	e.mu.Lock()
	e.log.recorded = append(e.log.recorded, cmd)
	record := e.says.record
	e.mu.Unlock()
	if record != nil {
		return record(ctx, cmd)
	}
	return e.Engine.RecordStep(ctx, cmd)
}

func (e *tap) ListSteps(ctx context.Context, q ff.ListSteps) (ff.Page[ff.StepMemo], error) {
	e.mu.Lock()
	e.log.lists++
	e.mu.Unlock()
	return e.Engine.ListSteps(ctx, q)
}

func (e *tap) DescribeWaitpoint(ctx context.Context, id ff.ExecutionID, w ff.WaitpointID) (ff.WaitpointSignals, error) {
	e.mu.Lock()
	e.log.looks++
	e.mu.Unlock()
	return e.Engine.DescribeWaitpoint(ctx, id, w)
}

func (e *tap) Suspend(ctx context.Context, cmd ff.Suspend) (ff.Suspended, error) {
	e.mu.Lock()
	e.log.suspends = append(e.log.suspends, cmd)
	lost := e.says.unheard > 0
	e.says.unheard--
	e.mu.Unlock()
	res, err := e.Engine.Suspend(ctx, cmd)
	if lost {
		return ff.Suspended{}, coded(ff.CodeUnavailable)
	}
	return res, err
}

// names are those of the steps that were recorded, in order.
func (e *tap) names() (names []string) {
	for _, cmd := range e.heard().recorded {
		names = append(names, cmd.Name)
	}
	return names
}

// bed is an engine in memory and a worker, in a bubble.
type bed struct {
	*testing.T
	*tap
	id ff.ExecutionID
}

// durably runs one execution of kind "send" by a handler and lets a test look at it once everything rests.
func durably(t *testing.T, handler func(ctx context.Context, t *worker.Task) (any, error), look func(b *bed)) {
	t.Helper()
	durablyWith(t, config(), &ff.Policy{Retry: &ff.RetryPolicy{}}, handler, look)
}

func durablyWith(t *testing.T, cfg worker.Config, policy *ff.Policy, handler func(ctx context.Context, t *worker.Task) (any, error), look func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := eng.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		b := &bed{T: t, tap: &tap{Engine: eng}}
		w := worker.New(b.tap, cfg)
		worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, _ struct{}) (any, error) {
			b.heard() // after what the test has read: see pass
			return handler(ctx, t)
		})
		r := start(w)
		defer r.stopClean(t) // before the engine is closed, and if the test fails
		res, err := eng.Submit(t.Context(), ff.Submit{Lane: "mail", Kind: "send", Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		b.id = res.ID
		synctest.Wait()
		look(b)
	})
}

// pass lets time go by until everything rests. Handlers that begin meanwhile may write what the test has read.
func (b *bed) pass(d time.Duration) {
	b.heard()
	pass(d)
}

// result wants the execution to have completed and returns its result.
func (b *bed) result() string {
	b.Helper()
	r, err := b.Result(b.Context(), b.id)
	if err != nil || r.Outcome != ff.OutcomeSuccess {
		b.Fatalf("outcome %q, reason %q, error %v; want success", r.Outcome, r.FailureReason, err)
	}
	return string(r.Payload)
}

// failure wants the execution to have failed and returns why.
func (b *bed) failure() (reason string, category ff.FailureCategory) {
	b.Helper()
	r, err := b.Result(b.Context(), b.id)
	if err != nil || r.Outcome != ff.OutcomeFailed {
		b.Fatalf("outcome %q, error %v; want a failure", r.Outcome, err)
	}
	return r.FailureReason, r.FailureCategory
}

func (b *bed) wantState(want ff.PublicState) {
	b.Helper()
	s, err := b.Describe(b.Context(), b.id)
	if err != nil || s.PublicState != want {
		b.Fatalf("state %q (%s), error %v; want %q", s.PublicState, s.BlockingDetail, err, want)
	}
}

// signal sends a signal to the waitpoint of a key.
func (b *bed) signal(key, name, source string, payload any) {
	b.Helper()
	page, err := b.ListPendingWaitpoints(b.Context(), ff.ListPendingWaitpoints{ExecutionID: b.id})
	if err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(page.Items, func(w ff.WaitpointSnapshot) bool { return w.Key == key })
	if at < 0 {
		b.Fatalf("no waitpoint %q among %+v", key, page.Items)
	}
	b.signalTo(page.Items[at].WaitpointID, name, source, payload)
	synctest.Wait()
}

func (b *bed) signalTo(point ff.WaitpointID, name, source string, payload any) {
	b.Helper()
	token, err := b.WaitpointToken(b.Context(), b.id, point)
	if err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		b.Fatal(err)
	}
	_, err = b.DeliverSignal(b.Context(), ff.Signal{
		ExecutionID: b.id, WaitpointID: point, Token: token, Name: name, SourceIdentity: source, Payload: text,
	})
	if err != nil {
		b.Fatal(err)
	}
}

// replay replays the execution and lets it run.
func (b *bed) replay(keep ff.StepRetention) {
	b.Helper()
	if _, err := b.Replay(b.Context(), ff.Replay{ExecutionID: b.id, Steps: keep}); err != nil {
		b.Fatal(err)
	}
	b.pass(time.Second)
}
