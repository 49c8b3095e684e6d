package flowfabrictest

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
)

// line is what a worker reaches the engine by. Once it is cut, nothing that the worker says arrives, and nothing comes back.
type line struct {
	flowfabric.Service
	stop    context.CancelFunc
	closing chan struct{} // of the env: those who wait may go
	cut     chan struct{}
	once    sync.Once

	mu    sync.Mutex
	crash *crash // when to be cut; nil for never
	steps int    // recorded over the line
}

// crash says when a worker dies.
type crash struct {
	after  int  // so many steps are recorded,
	before bool // … or just before that of the last of them
}

func (l *line) kill() { l.once.Do(func() { close(l.cut) }) }

func (l *line) dead() bool {
	select {
	case <-l.cut:
		return true
	default:
		return false
	}
}

// call makes a call unless the line is cut, and does not return when it is cut meanwhile.
//
// What the test did before it let the worker go on has happened before what the worker does then, also for the race
// detector, which does not take the passing of time for an order: so a handler may use a variable of the test.
func call[R any](l *line, do func() (R, error)) (R, error) {
	if !l.dead() {
		r, err := do()
		l.inOrder()
		if !l.dead() {
			return r, err
		}
	}
	<-l.closing
	var none R
	return none, errCrashed
}

// inOrder orders what was done before it in one goroutine before what is done after it in another.
func (l *line) inOrder() {
	l.mu.Lock()
	defer l.mu.Unlock()
}

// RecordStep implements [flowfabric.Steps]. It is where a worker dies that is to die at a step: its goroutine ends.
func (l *line) RecordStep(ctx context.Context, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	l.mu.Lock()
	l.steps++
	dies := l.crash != nil && l.steps == l.crash.after
	l.mu.Unlock()
	if dies && l.crash.before {
		l.kill()
		runtime.Goexit()
	}
	memo, err := call(l, func() (flowfabric.StepMemo, error) { return l.Service.RecordStep(ctx, cmd) })
	if dies {
		l.kill()
		runtime.Goexit()
	}
	return memo, err
}

// Claim implements [flowfabric.Workers].
func (l *line) Claim(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	return call(l, func() ([]flowfabric.Claimed, error) {
		ctx, stop := l.within(ctx)
		defer stop()
		return l.Service.Claim(ctx, cmd)
	})
}

// within is a context that ends when the line is cut: a claim that waits must not be granted anything then.
func (l *line) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-l.cut:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// Renew implements [flowfabric.Workers].
func (l *line) Renew(ctx context.Context, cmd flowfabric.Renew) (flowfabric.Timestamp, error) {
	return call(l, func() (flowfabric.Timestamp, error) { return l.Service.Renew(ctx, cmd) })
}

// RenewMany implements [flowfabric.Workers].
func (l *line) RenewMany(ctx context.Context, cmds []flowfabric.Renew) ([]flowfabric.RenewResult, error) {
	return call(l, func() ([]flowfabric.RenewResult, error) { return l.Service.RenewMany(ctx, cmds) })
}

// UpdateProgress implements [flowfabric.Workers].
func (l *line) UpdateProgress(ctx context.Context, cmd flowfabric.UpdateProgress) error {
	return l.tell(func() error { return l.Service.UpdateProgress(ctx, cmd) })
}

// tell is [call] for what has no answer.
func (l *line) tell(do func() error) error {
	_, err := call(l, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Complete implements [flowfabric.Workers].
func (l *line) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	return l.tell(func() error { return l.Service.Complete(ctx, cmd) })
}

// Fail implements [flowfabric.Workers].
func (l *line) Fail(ctx context.Context, cmd flowfabric.Fail) (flowfabric.FailResult, error) {
	return call(l, func() (flowfabric.FailResult, error) { return l.Service.Fail(ctx, cmd) })
}

// Delay implements [flowfabric.Workers].
func (l *line) Delay(ctx context.Context, cmd flowfabric.Delay) (flowfabric.Timestamp, error) {
	return call(l, func() (flowfabric.Timestamp, error) { return l.Service.Delay(ctx, cmd) })
}

// Release implements [flowfabric.Workers].
func (l *line) Release(ctx context.Context, cmd flowfabric.Release) error {
	return l.tell(func() error { return l.Service.Release(ctx, cmd) })
}

// Cancel implements [flowfabric.Executions].
func (l *line) Cancel(ctx context.Context, cmd flowfabric.Cancel) (flowfabric.CancelResult, error) {
	return call(l, func() (flowfabric.CancelResult, error) { return l.Service.Cancel(ctx, cmd) })
}

// Result implements [flowfabric.Executions].
func (l *line) Result(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.Result, error) {
	return call(l, func() (flowfabric.Result, error) { return l.Service.Result(ctx, id) })
}

// Wait implements [flowfabric.Executions].
func (l *line) Wait(ctx context.Context, id flowfabric.ExecutionID, wait time.Duration) (flowfabric.Result, error) {
	return call(l, func() (flowfabric.Result, error) { return l.Service.Wait(ctx, id, wait) })
}

// WaitChildren implements [flowfabric.Flows].
func (l *line) WaitChildren(ctx context.Context, cmd flowfabric.WaitChildren) error {
	return l.tell(func() error { return l.Service.WaitChildren(ctx, cmd) })
}

// Suspend implements [flowfabric.Suspensions].
func (l *line) Suspend(ctx context.Context, cmd flowfabric.Suspend) (flowfabric.Suspended, error) {
	return call(l, func() (flowfabric.Suspended, error) { return l.Service.Suspend(ctx, cmd) })
}

// CreateWaitpoint implements [flowfabric.Suspensions].
func (l *line) CreateWaitpoint(ctx context.Context, cmd flowfabric.CreateWaitpoint) (flowfabric.WaitpointGrant, error) {
	return call(l, func() (flowfabric.WaitpointGrant, error) { return l.Service.CreateWaitpoint(ctx, cmd) })
}

// DescribeWaitpoint implements [flowfabric.Suspensions].
func (l *line) DescribeWaitpoint(ctx context.Context, id flowfabric.ExecutionID, point flowfabric.WaitpointID) (flowfabric.WaitpointSignals, error) {
	return call(l, func() (flowfabric.WaitpointSignals, error) { return l.Service.DescribeWaitpoint(ctx, id, point) })
}

// ListSteps implements [flowfabric.Steps].
func (l *line) ListSteps(ctx context.Context, q flowfabric.ListSteps) (flowfabric.Page[flowfabric.StepMemo], error) {
	return call(l, func() (flowfabric.Page[flowfabric.StepMemo], error) { return l.Service.ListSteps(ctx, q) })
}

// AppendFrames implements [flowfabric.Streams].
func (l *line) AppendFrames(ctx context.Context, cmd flowfabric.AppendFrames) (flowfabric.Appended, error) {
	return call(l, func() (flowfabric.Appended, error) { return l.Service.AppendFrames(ctx, cmd) })
}

// ReportUsage implements [flowfabric.Budgets].
func (l *line) ReportUsage(ctx context.Context, cmd flowfabric.ReportUsage) (flowfabric.UsageResult, error) {
	return call(l, func() (flowfabric.UsageResult, error) { return l.Service.ReportUsage(ctx, cmd) })
}

// DescribeBudget implements [flowfabric.Budgets].
func (l *line) DescribeBudget(ctx context.Context, id flowfabric.BudgetID) (flowfabric.BudgetStatus, error) {
	return call(l, func() (flowfabric.BudgetStatus, error) { return l.Service.DescribeBudget(ctx, id) })
}

// Ledger implements [flowfabric.Budgets].
func (l *line) Ledger(ctx context.Context, id flowfabric.ExecutionID) ([]flowfabric.LedgerEntry, error) {
	return call(l, func() ([]flowfabric.LedgerEntry, error) { return l.Service.Ledger(ctx, id) })
}

// RegisterWorker implements [flowfabric.Registry].
func (l *line) RegisterWorker(ctx context.Context, cmd flowfabric.RegisterWorker) (flowfabric.RegisterResult, error) {
	return call(l, func() (flowfabric.RegisterResult, error) { return l.Service.RegisterWorker(ctx, cmd) })
}

// HeartbeatWorker implements [flowfabric.Registry].
func (l *line) HeartbeatWorker(ctx context.Context, cmd flowfabric.HeartbeatWorker) (flowfabric.HeartbeatResult, error) {
	return call(l, func() (flowfabric.HeartbeatResult, error) { return l.Service.HeartbeatWorker(ctx, cmd) })
}

// MarkWorkerDead implements [flowfabric.Registry].
func (l *line) MarkWorkerDead(ctx context.Context, cmd flowfabric.MarkWorkerDead) (flowfabric.MarkDeadResult, error) {
	return call(l, func() (flowfabric.MarkDeadResult, error) { return l.Service.MarkWorkerDead(ctx, cmd) })
}
