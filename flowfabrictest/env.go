package flowfabrictest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

// Lane is the lane of everything an Env submits.
const Lane flowfabric.LaneID = "test"

// LeaseTTL is for how long a worker that has crashed keeps what it had.
const LeaseTTL = 30 * time.Second

// Env is an engine in memory and a worker. Its methods must be called from the goroutine of the test, and fail the test
// when something goes wrong.
type Env struct {
	testing.TB
	// Engine is the engine itself, for all that has no short form here.
	Engine   *engine.Engine
	handlers []func(*worker.Worker)
	line     *line // of the worker that runs; nil for none
	closing  chan struct{}
	workers  []running // all that were started
}

// running is a worker that was started.
type running struct {
	stop  context.CancelFunc
	ended chan error
}

// Run runs a test in a bubble of its own, with an Env that is closed at its end. The test must use the t it is given, whose
// context is of the bubble.
func Run(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, New(t)) })
}

// New makes an Env. The caller must be in a bubble of [synctest.Test]; [Run] makes one. It is closed when the test ends.
func New(t testing.TB) *Env {
	t.Helper()
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{DuePoll: time.Minute, ClaimPoll: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{TB: t, Engine: eng, closing: make(chan struct{})}
	t.Cleanup(env.close)
	return env
}

func (env *Env) close() {
	close(env.closing)
	for _, w := range env.workers {
		w.stop()
	}
	for _, w := range env.workers {
		if err := <-w.ended; err != nil && !errors.Is(err, errCrashed) {
			env.Logf("a worker has ended: %v", err)
		}
	}
	if err := env.Engine.Close(context.WithoutCancel(env.Context())); err != nil {
		env.Error(err)
	}
}

// Handle registers the handler of a kind, for the worker that runs and for those that follow it.
func Handle[In, Out any](env *Env, kind string, fn func(ctx context.Context, t *worker.Task, in In) (Out, error)) {
	env.handlers = append(env.handlers, func(w *worker.Worker) { worker.Handle(w, kind, fn) })
	if env.line != nil {
		env.Fatal("register handlers before the first call that runs them")
	}
}

// Submit submits an execution of a kind with a JSON payload and returns its id.
func (env *Env) Submit(kind string, payload any) flowfabric.ExecutionID {
	env.Helper()
	return env.SubmitCommand(flowfabric.Submit{Kind: kind, Payload: env.encode(payload)})
}

// SubmitCommand submits an execution; the lane is [Lane].
func (env *Env) SubmitCommand(cmd flowfabric.Submit) flowfabric.ExecutionID {
	env.Helper()
	cmd.Lane = Lane
	res, err := env.Engine.Submit(env.Context(), cmd)
	if err != nil {
		env.Fatalf("submit: %v", err)
	}
	return res.ID
}

func (env *Env) encode(v any) []byte {
	env.Helper()
	if b, ok := v.([]byte); ok || v == nil {
		return b
	}
	text, err := json.Marshal(v)
	if err != nil {
		env.Fatalf("encode: %v", err)
	}
	return text
}

// RunUntilIdle lets the worker do all there is to do now, until what is left waits for time or for a signal.
func (env *Env) RunUntilIdle() {
	env.Helper()
	if env.line == nil {
		env.start(nil)
	}
	env.settle()
}

// settle waits until nothing runs, and lets a worker that has died meanwhile be followed by another.
func (env *Env) settle() {
	env.line.inOrder()
	synctest.Wait()
	if env.line.dead() {
		env.replace()
	}
}

// Advance lets time go on, and all that is due by it be done.
func (env *Env) Advance(d time.Duration) {
	env.Helper()
	env.RunUntilIdle()
	env.line.inOrder()
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
	env.settle()
}

// start starts a worker, which crashes as told.
func (env *Env) start(c *crash) {
	ctx, stop := context.WithCancel(context.WithoutCancel(env.Context()))
	env.line = &line{Service: env.Engine, crash: c, stop: stop, closing: env.closing, cut: make(chan struct{})}
	w := worker.New(env.line, worker.Config{Lanes: []flowfabric.LaneID{Lane}, LeaseTTL: LeaseTTL, DrainTimeout: -1})
	for _, register := range env.handlers {
		register(w)
	}
	ended := make(chan error, 1)
	env.workers = append(env.workers, running{stop, ended})
	go func() { ended <- w.Run(ctx) }()
}

// CrashWorker lets the worker die as a killed process does: it hears and says nothing any more, what it does is lost, and
// its leases run out. When CrashWorker returns that has happened, and another worker has taken its place.
func (env *Env) CrashWorker() {
	env.Helper()
	if env.line == nil {
		env.Fatal("no worker runs; call RunUntilIdle before")
	}
	env.line.kill()
	env.replace()
}

// KillAfterStep lets the worker die as soon as the n-th step from now is recorded, counted from 1: it is, but the worker
// does not learn of it. RunUntilIdle runs up to there, and beyond, by another worker.
func (env *Env) KillAfterStep(n int) {
	env.Helper()
	env.stopWorker()
	env.start(&crash{after: n})
}

// stopWorker stops the worker, if one runs, without a crash.
func (env *Env) stopWorker() {
	if env.line != nil {
		env.line.stop()
		synctest.Wait()
	}
}

// replace starts a worker in the place of one that is dead, once its leases have run out.
func (env *Env) replace() {
	env.start(nil)
	time.Sleep(LeaseTTL + 2*time.Second) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
}

// Signal sends a signal to the waitpoint of an execution that has a key, once everything has come to rest: to the one
// [worker.WaitSignal] of that name waits on.
func (env *Env) Signal(id flowfabric.ExecutionID, key, name string, payload any) flowfabric.SignalResult {
	env.Helper()
	return env.SignalFrom(id, key, name, "", payload)
}

// SignalFrom is Signal with the identity of a sender.
func (env *Env) SignalFrom(id flowfabric.ExecutionID, key, name, source string, payload any) flowfabric.SignalResult {
	env.Helper()
	env.RunUntilIdle()
	point := env.waitpoint(id, key)
	token, err := env.Engine.WaitpointToken(env.Context(), id, point)
	if err != nil {
		env.Fatalf("signal: %v", err)
	}
	res, err := env.Engine.DeliverSignal(env.Context(), flowfabric.Signal{
		ExecutionID: id, WaitpointID: point, Token: token, Name: name, SourceIdentity: source, Payload: env.encode(payload),
	})
	if err != nil {
		env.Fatalf("signal: %v", err)
	}
	env.settle()
	return res
}

// waitpoint finds the waitpoint of a key.
func (env *Env) waitpoint(id flowfabric.ExecutionID, key string) flowfabric.WaitpointID {
	env.Helper()
	q := flowfabric.ListPendingWaitpoints{ExecutionID: id}
	page, err := env.Engine.ListPendingWaitpoints(env.Context(), q)
	if err != nil {
		env.Fatalf("signal: %v", err)
	}
	var keys []string
	for _, w := range page.Items {
		if w.Key == key {
			return w.WaitpointID
		}
		keys = append(keys, w.Key)
	}
	env.Fatalf("signal: %s waits on no waitpoint %q; it has %q", id, key, keys)
	return flowfabric.WaitpointID{}
}

// State tells the state of an execution, once everything has come to rest.
func (env *Env) State(id flowfabric.ExecutionID) flowfabric.PublicState {
	env.Helper()
	env.RunUntilIdle()
	s, err := env.Engine.Describe(env.Context(), id)
	if err != nil {
		env.Fatalf("describe: %v", err)
	}
	return s.PublicState
}

// Result wants an execution to have ended with success, and decodes its result into what out points to; nil: it is not
// looked at.
func (env *Env) Result(id flowfabric.ExecutionID, out any) {
	env.Helper()
	env.RunUntilIdle()
	res, err := env.Engine.Result(env.Context(), id)
	if err != nil {
		env.Fatalf("result: %v", err)
	}
	if res.Outcome != flowfabric.OutcomeSuccess {
		env.Fatalf("result: the execution has the outcome %s: %s", res.Outcome, res.FailureReason)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(res.Payload, out); err != nil {
		env.Fatalf("result: %v", err)
	}
}

// errCrashed is what a worker that has crashed would hear, if it heard anything.
var errCrashed = errors.New("flowfabrictest: the worker has crashed")
