package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an engine that hands out what it was given and writes down what it is told. The on… functions, when set,
// decide the answer of a call before anything is written down.
type fake struct {
	ff.Service

	onClaim    func(ctx context.Context, cmd ff.Claim) error
	onComplete func(ctx context.Context, cmd ff.Complete) error
	onFail     func(ctx context.Context, cmd ff.Fail) error
	onRenew    func(ctx context.Context, cmd ff.Renew) error
	onRenewals func(ctx context.Context, cmds []ff.Renew) error
	onWait     error
	results    map[ff.ExecutionID]ff.Result
	awaited    []ff.WaitChildren

	mu      sync.Mutex
	start   time.Time
	ready   []ff.Claimed
	arrived chan struct{}
	claims  []ff.Claim
	calls   []string        // "complete 1", in order
	renewed []time.Duration // when RenewMany was called, since the start
	renews  [][]ff.Renew

	completed []ff.Complete
	failed    []ff.Fail
	delayed   []ff.Delay
	cancelled []ff.Cancel
	progress  []ff.UpdateProgress

	onRegister  func(ctx context.Context) error
	onHeartbeat func() (ff.HeartbeatResult, error)
	registry    []string // "register 1m0s", "heartbeat", "dead shutdown"; in order
	signs       []time.Duration
}

func newFake(tasks ...ff.Claimed) *fake {
	return &fake{ready: tasks, arrived: make(chan struct{}, 1), start: now()}
}

// now is the time of the test's bubble.
func now() time.Time { return clock.Real().Now() }

func after(d time.Duration) <-chan time.Time { return clock.Real().NewTimer(d).C }

// pass lets time go by in the test's bubble until everything rests.
func pass(d time.Duration) {
	<-after(d)
	synctest.Wait()
}

// task is the nth execution.
func task(n int, kind, payload string) ff.Claimed {
	id := uuid.UUID{15: byte(n), 14: byte(n >> 8)}
	return ff.Claimed{
		ExecutionID: ff.ExecutionIDFrom(7, id),
		Fence:       ff.Fence{LeaseID: ff.LeaseID(id), Epoch: 1, AttemptID: ff.AttemptID(id)},
		Lane:        "mail", Kind: kind, Namespace: "default", Payload: []byte(payload), PayloadEncoding: "json",
		AttemptType: ff.AttemptInitial, LeaseExpiresAt: 30_000, LeaseTTL: 30 * time.Second,
	}
}

func tasks(n int, kind string) []ff.Claimed {
	all := make([]ff.Claimed, n)
	for i := range all {
		all[i] = task(i+1, kind, "{}")
	}
	return all
}

// number is the inverse of task.
func number(id ff.ExecutionID) int {
	u := id.UUID()
	return int(u[14])<<8 | int(u[15])
}

func (f *fake) add(tasks ...ff.Claimed) {
	f.mu.Lock()
	f.ready = append(f.ready, tasks...)
	f.mu.Unlock()
	select {
	case f.arrived <- struct{}{}:
	default:
	}
}

func (f *fake) Claim(ctx context.Context, cmd ff.Claim) ([]ff.Claimed, error) {
	f.mu.Lock()
	f.claims = append(f.claims, cmd)
	f.mu.Unlock()
	if f.onClaim != nil {
		if err := f.onClaim(ctx, cmd); err != nil {
			return nil, err
		}
	}
	timeout := clock.Real().NewTimer(cmd.Wait)
	defer timeout.Stop()
	for {
		if got := f.take(cmd.Max); len(got) > 0 {
			return got, nil
		}
		select {
		case <-f.arrived:
		case <-timeout.C:
			return nil, nil
		case <-ctx.Done():
			return nil, &ff.Error{Code: ff.CodeTimeout, Err: ctx.Err()}
		}
	}
}

func (f *fake) take(n int) []ff.Claimed {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = min(n, len(f.ready))
	got := f.ready[:n:n]
	f.ready = f.ready[n:]
	return got
}

func (f *fake) Renew(context.Context, ff.Renew) (ff.Timestamp, error) {
	panic("a worker renews its leases together")
}

func (f *fake) RenewMany(ctx context.Context, cmds []ff.Renew) ([]ff.RenewResult, error) {
	f.mu.Lock()
	f.renewed = append(f.renewed, now().Sub(f.start))
	f.renews = append(f.renews, cmds)
	f.mu.Unlock()
	if f.onRenewals != nil {
		if err := f.onRenewals(ctx, cmds); err != nil {
			return nil, err
		}
	}
	results := make([]ff.RenewResult, len(cmds))
	for i, cmd := range cmds {
		results[i].LeaseExpiresAt = ff.Timestamp(now().Sub(f.start).Milliseconds()) + 30_000
		if f.onRenew != nil {
			results[i].Err = f.onRenew(ctx, cmd)
		}
	}
	return results, nil
}

func (f *fake) UpdateProgress(_ context.Context, cmd ff.UpdateProgress) error {
	return write(f, "progress", cmd.ExecutionID, &f.progress, cmd)
}

func (f *fake) Complete(ctx context.Context, cmd ff.Complete) error {
	if f.onComplete != nil {
		if err := f.onComplete(ctx, cmd); err != nil {
			return err
		}
	}
	return write(f, "complete", cmd.ExecutionID, &f.completed, cmd)
}

func (f *fake) Fail(ctx context.Context, cmd ff.Fail) (ff.FailResult, error) {
	if f.onFail != nil {
		if err := f.onFail(ctx, cmd); err != nil {
			return ff.FailResult{}, err
		}
	}
	return ff.FailResult{}, write(f, "fail", cmd.ExecutionID, &f.failed, cmd)
}

func (f *fake) Delay(_ context.Context, cmd ff.Delay) (ff.Timestamp, error) {
	return 1, write(f, "delay", cmd.ExecutionID, &f.delayed, cmd)
}

func (f *fake) WaitChildren(_ context.Context, cmd ff.WaitChildren) error {
	f.mu.Lock()
	f.awaited = append(f.awaited, cmd)
	f.mu.Unlock()
	return f.onWait
}

func (f *fake) Result(_ context.Context, id ff.ExecutionID) (ff.Result, error) {
	r, ok := f.results[id]
	if !ok {
		return ff.Result{}, coded(ff.CodeExecutionNotFound)
	}
	return r, nil
}

func (f *fake) Cancel(_ context.Context, cmd ff.Cancel) (ff.CancelResult, error) {
	return ff.CancelResult{}, write(f, "cancel", cmd.ExecutionID, &f.cancelled, cmd)
}

func (f *fake) Release(_ context.Context, cmd ff.Release) error {
	return write(f, "release", cmd.ExecutionID, &[]ff.Release{}, cmd)
}

func (f *fake) RegisterWorker(ctx context.Context, cmd ff.RegisterWorker) (ff.RegisterResult, error) {
	f.sign("register " + cmd.LivenessTTL.String())
	if f.onRegister != nil {
		return ff.RegisterResult{}, f.onRegister(ctx)
	}
	return ff.RegisterResult{Outcome: ff.WorkerRegistered}, nil
}

func (f *fake) HeartbeatWorker(context.Context, ff.HeartbeatWorker) (ff.HeartbeatResult, error) {
	f.sign("heartbeat")
	if f.onHeartbeat != nil {
		return f.onHeartbeat()
	}
	return ff.HeartbeatResult{Registered: true}, nil
}

func (f *fake) MarkWorkerDead(_ context.Context, cmd ff.MarkWorkerDead) (ff.MarkDeadResult, error) {
	f.sign("dead " + cmd.Reason)
	return ff.MarkDeadResult{Marked: true}, nil
}

func (f *fake) sign(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registry = append(f.registry, what)
	f.signs = append(f.signs, now().Sub(f.start))
}

func write[C any](f *fake, verb string, id ff.ExecutionID, list *[]C, cmd C) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf("%s %d", verb, number(id)))
	*list = append(*list, cmd)
	return nil
}

// heard returns the calls so far, in order.
func (f *fake) heard() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, ", ")
}

// asked returns how many claims were made.
func (f *fake) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.claims)
}

func (f *fake) renewals() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Duration(nil), f.renewed...)
}

// run is a worker at work in a bubble.
type run struct {
	cancel context.CancelFunc
	done   chan error
}

func start(w *worker.Worker) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- w.Run(ctx) }()
	synctest.Wait()
	return r
}

// stop ends the worker and returns what Run says.
func (r *run) stop() error {
	r.cancel()
	return <-r.done
}

func (r *run) stopClean(t *testing.T) {
	t.Helper()
	if err := r.stop(); err != nil {
		t.Errorf("Run: %v; want a clean drain", err)
	}
}

func config() worker.Config { return worker.Config{Lanes: []ff.LaneID{"mail"}} }

func coded(code ff.Code) error { return &ff.Error{Code: code} }
