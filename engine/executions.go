package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Submit implements [flowfabric.Executions].
func (e *Engine) Submit(ctx context.Context, cmd flowfabric.Submit) (flowfabric.SubmitResult, error) {
	cmd.TraceParent = cmp.Or(cmd.TraceParent, tracing.ParentOf(ctx))
	sub, err := e.rules.NewSubmission(cmd)
	if err != nil {
		return flowfabric.SubmitResult{}, err
	}
	if _, err := e.intake.admit(ctx, []flowfabric.Submit{cmd}); err != nil {
		return flowfabric.SubmitResult{}, err
	}
	if err := e.scope(ctx, []*ops.Submission{sub}); err != nil {
		return flowfabric.SubmitResult{}, err
	}
	if err := e.submit(ctx, []*ops.Submission{sub}); err != nil {
		return flowfabric.SubmitResult{}, err
	}
	if err := sub.Result.Err; err != nil {
		return flowfabric.SubmitResult{}, err
	}
	return sub.Result, nil
}

// SubmitMany implements [flowfabric.Executions].
func (e *Engine) SubmitMany(ctx context.Context, cmds []flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	if len(cmds) > flowfabric.MaxSubmitMany {
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: "submit many",
			Detail: fmt.Sprintf("%d commands in one call; at most %d are allowed", len(cmds), flowfabric.MaxSubmitMany),
		}
	}
	subs := make([]*ops.Submission, len(cmds))
	within := tracing.ParentOf(ctx)
	for i, cmd := range cmds {
		cmd.TraceParent = cmp.Or(cmd.TraceParent, within)
		sub, err := e.rules.NewSubmission(cmd)
		if err != nil {
			return nil, fmt.Errorf("command %d: %w", i, err)
		}
		subs[i] = sub
	}
	if i, err := e.intake.admit(ctx, cmds); err != nil {
		return nil, fmt.Errorf("command %d: %w", i, err)
	}
	if err := e.scope(ctx, subs); err != nil {
		return nil, err
	}
	if err := e.submit(ctx, subs); err != nil {
		return nil, err
	}
	results := make([]flowfabric.SubmitResult, len(subs))
	for i, sub := range subs {
		results[i] = sub.Result
	}
	return results, nil
}

// scope looks up the budgets and quotas of the scopes that submissions are in.
func (e *Engine) scope(ctx context.Context, subs []*ops.Submission) error {
	if !e.rules.OneShard {
		return nil
	}
	drafts := make([]*record.Execution, len(subs))
	for i, sub := range subs {
		drafts[i] = sub.Draft()
	}
	known, err := e.scopes.of(ctx, drafts)
	for _, sub := range subs {
		sub.Scoped = known
	}
	return err
}

// submit commits submissions. A key whose record lives on another shard than its execution takes a commit of its own,
// first.
func (e *Engine) submit(ctx context.Context, subs []*ops.Submission) error {
	var apart []*ops.Op // reservations on another shard
	var creating, following []*ops.Submission
	for _, sub := range subs {
		at, keyed := sub.Keyed(e.rules.Partitions)
		if keyed && e.st.Shard(at) != e.st.Shard(sub.ID().Partition()) {
			apart = append(apart, e.rules.ReserveKey(sub))
			following = append(following, sub)
			continue
		}
		creating = append(creating, sub)
	}
	if err := e.doAll(ctx, apart); err != nil {
		return err
	}
	var second []*ops.Submission
	for _, sub := range following {
		if sub.Result.Outcome != flowfabric.Rejected {
			sub.FollowKey()
			second = append(second, sub)
		}
	}
	return e.doAll(ctx, append(e.creations(creating, true), e.creations(second, false)...))
}

// creations cuts submissions into units, a few for each queue that commits.
func (e *Engine) creations(subs []*ops.Submission, withKeys bool) []*ops.Op {
	const most = 250 // executions of one unit
	byShard := make([][]*ops.Submission, len(e.st.Shards()))
	for _, sub := range subs {
		i := e.st.Shard(sub.ID().Partition())
		byShard[i] = append(byShard[i], sub)
	}
	var list []*ops.Op
	for _, group := range byShard {
		lanes := max(1, e.st.Lanes())
		size := min(most, (len(group)+lanes-1)/lanes)
		for n := uint64(0); len(group) > 0; n++ {
			cut := min(size, len(group))
			op := e.rules.Submit(group[:cut], withKeys, e.sched.Known)
			if len(subs) > 1 {
				op.Order = n
			}
			list = append(list, op)
			group = group[cut:]
		}
	}
	return list
}

// doAll commits operations and returns the first error among their outcomes.
func (e *Engine) doAll(ctx context.Context, list []*ops.Op) error {
	if len(list) == 0 {
		return nil
	}
	units := make([]*store.Unit, len(list))
	for i, op := range list {
		units[i] = &op.Unit
	}
	if err := e.commit.Do(ctx, units...); err != nil {
		return err
	}
	for _, op := range list {
		if err := op.Outcome(); err != nil {
			return err
		}
	}
	return nil
}

// Describe implements [flowfabric.Executions].
func (e *Engine) Describe(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.ExecutionSnapshot, error) {
	if err := e.open("describe"); err != nil {
		return flowfabric.ExecutionSnapshot{}, err
	}
	s, err := e.rules.Describe(ctx, e.st, id)
	return s, commit.Coded(err)
}

// Result implements [flowfabric.Executions].
func (e *Engine) Result(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.Result, error) {
	if err := e.open("result"); err != nil {
		return flowfabric.Result{}, err
	}
	r, err := e.rules.Result(ctx, e.st, id)
	return r, commit.Coded(err)
}

// Wait implements [flowfabric.Executions]. An end that another process commits is noticed within a second.
func (e *Engine) Wait(ctx context.Context, id flowfabric.ExecutionID, wait time.Duration) (flowfabric.Result, error) {
	return waitFor(ctx, e, "wait", id, wait, func() (flowfabric.Result, bool, error) {
		r, err := e.Result(ctx, id)
		return r, r.Outcome != flowfabric.OutcomeNone, err
	})
}

// waitFor asks again and again, and when this engine commits the end of id, until done or for as long as wait.
func waitFor[T any](
	ctx context.Context, e *Engine, op string, id flowfabric.ExecutionID, wait time.Duration, ask func() (answer T, done bool, err error),
) (answer T, err error) {
	if wait < 0 || wait > flowfabric.MaxClaimWait {
		return answer, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: op, Detail: fmt.Sprintf("wait is %s; it must be between 0 and %s", wait, flowfabric.MaxClaimWait),
		}
	}
	const longest = time.Second
	pause := 20 * time.Millisecond
	deadline := e.clock.Now().Add(wait)
	for {
		ended, stop := e.finished.watch(id)
		answer, done, err := ask()
		left := deadline.Sub(e.clock.Now())
		if err != nil || done || left <= 0 {
			stop()
			return answer, err
		}
		t := e.clock.NewTimer(min(pause, left))
		select {
		case <-ended:
		case <-t.C:
		case <-ctx.Done():
			err = &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: op, Err: context.Cause(ctx)}
		case <-e.closing:
			err = closed(op)
		}
		t.Stop()
		stop()
		if err != nil {
			var none T
			return none, err
		}
		pause = min(2*pause, longest)
	}
}

// Attempts implements [flowfabric.Executions].
func (e *Engine) Attempts(ctx context.Context, q flowfabric.ListAttempts) (flowfabric.Page[flowfabric.AttemptSnapshot], error) {
	if err := e.open("attempts"); err != nil {
		return flowfabric.Page[flowfabric.AttemptSnapshot]{}, err
	}
	page, err := e.rules.Attempts(ctx, e.st, q)
	return page, commit.Coded(err)
}

// Cancel implements [flowfabric.Executions].
func (e *Engine) Cancel(ctx context.Context, cmd flowfabric.Cancel) (flowfabric.CancelResult, error) {
	var res flowfabric.CancelResult
	op, err := e.rules.Cancel(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.CancelResult{}, err
	}
	return res, nil
}

// SetTags implements [flowfabric.Executions].
func (e *Engine) SetTags(ctx context.Context, cmd flowfabric.SetTags) error {
	op, err := e.rules.SetTags(cmd)
	if err != nil {
		return err
	}
	return e.do(ctx, op)
}

// List implements [flowfabric.Executions].
func (e *Engine) List(ctx context.Context, q flowfabric.ListExecutions) (flowfabric.Page[flowfabric.ExecutionSummary], error) {
	if err := e.open("list"); err != nil {
		return flowfabric.Page[flowfabric.ExecutionSummary]{}, err
	}
	page, err := e.rules.List(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ListPartition implements [flowfabric.Executions].
func (e *Engine) ListPartition(ctx context.Context, q flowfabric.ListPartition) (flowfabric.Page[flowfabric.ExecutionID], error) {
	return list(e, "list partition", func(st store.Store) (flowfabric.Page[flowfabric.ExecutionID], error) {
		return e.rules.ListPartition(ctx, st, q)
	})
}
