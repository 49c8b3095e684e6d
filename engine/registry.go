package engine

import (
	"cmp"
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
)

// RegisterWorker implements [flowfabric.Registry].
func (e *Engine) RegisterWorker(ctx context.Context, cmd flowfabric.RegisterWorker) (flowfabric.RegisterResult, error) {
	var res flowfabric.RegisterResult
	op, err := e.rules.RegisterWorker(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.RegisterResult{}, err
	}
	e.due.Hint(res.ExpiresAt)
	return res, nil
}

// HeartbeatWorker implements [flowfabric.Registry].
func (e *Engine) HeartbeatWorker(ctx context.Context, cmd flowfabric.HeartbeatWorker) (flowfabric.HeartbeatResult, error) {
	var res flowfabric.HeartbeatResult
	op, err := e.rules.HeartbeatWorker(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.HeartbeatResult{}, err
	}
	return res, nil
}

// MarkWorkerDead implements [flowfabric.Registry].
func (e *Engine) MarkWorkerDead(ctx context.Context, cmd flowfabric.MarkWorkerDead) (flowfabric.MarkDeadResult, error) {
	var res flowfabric.MarkDeadResult
	op, err := e.rules.MarkWorkerDead(cmd, e.reclaimDead, &res)
	if err != nil {
		return res, err
	}
	if cmp.Or(cmd.Namespace, flowfabric.DefaultNamespace) == flowfabric.DefaultNamespace {
		e.presence.forget(cmd.WorkerInstanceID)
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.MarkDeadResult{}, err
	}
	if res.Marked && e.reclaimDead {
		e.due.Hint(0) // it is due now
	}
	return res, nil
}

// ListWorkers implements [flowfabric.Registry].
func (e *Engine) ListWorkers(ctx context.Context, q flowfabric.ListWorkers) (flowfabric.Page[flowfabric.WorkerSnapshot], error) {
	if err := e.open("list workers"); err != nil {
		return flowfabric.Page[flowfabric.WorkerSnapshot]{}, err
	}
	page, err := e.rules.ListWorkers(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ListExpiredLeases implements [flowfabric.Registry].
func (e *Engine) ListExpiredLeases(ctx context.Context, q flowfabric.ListExpiredLeases) (flowfabric.Page[flowfabric.ExpiredLease], error) {
	if err := e.open("list expired leases"); err != nil {
		return flowfabric.Page[flowfabric.ExpiredLease]{}, err
	}
	page, err := e.rules.ListExpiredLeases(ctx, e.st, q)
	return page, commit.Coded(err)
}
