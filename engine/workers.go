package engine

import (
	"context"
	"fmt"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// Claim implements [flowfabric.Workers].
func (e *Engine) Claim(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	if err := e.rules.CheckClaim(&cmd); err != nil {
		return nil, err
	}
	defer e.presence.begin(&cmd)()
	return e.sched.Claim(ctx, &cmd)
}

// Renew implements [flowfabric.Workers].
func (e *Engine) Renew(ctx context.Context, cmd flowfabric.Renew) (flowfabric.Timestamp, error) {
	var at flowfabric.Timestamp
	op, err := e.rules.Renew(cmd, &at)
	if err != nil {
		return 0, err
	}
	err = e.doHeld(ctx, cmd.ExecutionID, op)
	e.recorded.LeaseRenewals.Inc(obs.Outcome(err))
	if err != nil {
		return 0, err
	}
	return at, nil
}

// RenewMany implements [flowfabric.Workers].
func (e *Engine) RenewMany(ctx context.Context, cmds []flowfabric.Renew) ([]flowfabric.RenewResult, error) {
	if len(cmds) > flowfabric.MaxRenewMany {
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: "renew many",
			Detail: fmt.Sprintf("%d commands in one call; at most %d are allowed", len(cmds), flowfabric.MaxRenewMany),
		}
	}
	results := make([]flowfabric.RenewResult, len(cmds))
	list := make([]*ops.Op, len(cmds))
	units := make([]*store.Unit, 0, len(cmds))
	for i, cmd := range cmds {
		op, err := e.rules.Renew(cmd, &results[i].LeaseExpiresAt)
		if err != nil {
			results[i].Err = err
			continue
		}
		op.Assume = e.held.lookup
		list[i] = op
		units = append(units, &op.Unit)
	}
	if len(units) == 0 {
		return results, nil
	}
	if err := e.commit.Do(ctx, units...); err != nil {
		return nil, err
	}
	for i, op := range list {
		if op == nil {
			continue
		}
		err := op.Outcome()
		e.recorded.LeaseRenewals.Inc(obs.Outcome(err))
		if err != nil {
			results[i] = flowfabric.RenewResult{Err: err}
			e.held.forget(cmds[i].ExecutionID)
		}
	}
	return results, nil
}

// UpdateProgress implements [flowfabric.Workers].
func (e *Engine) UpdateProgress(ctx context.Context, cmd flowfabric.UpdateProgress) error {
	op, err := e.rules.UpdateProgress(cmd)
	if err != nil {
		return err
	}
	return e.doHeld(ctx, cmd.ExecutionID, op)
}

// Complete implements [flowfabric.Workers].
func (e *Engine) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	op, err := e.rules.Complete(cmd)
	if err != nil {
		return err
	}
	return e.doHeld(ctx, cmd.ExecutionID, op)
}

// Fail implements [flowfabric.Workers].
func (e *Engine) Fail(ctx context.Context, cmd flowfabric.Fail) (flowfabric.FailResult, error) {
	var res flowfabric.FailResult
	op, err := e.rules.Fail(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.FailResult{}, err
	}
	return res, nil
}

// Delay implements [flowfabric.Workers].
func (e *Engine) Delay(ctx context.Context, cmd flowfabric.Delay) (flowfabric.Timestamp, error) {
	var until flowfabric.Timestamp
	op, err := e.rules.Delay(cmd, &until)
	if err != nil {
		return 0, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return 0, err
	}
	return until, nil
}

// Release implements [flowfabric.Workers].
func (e *Engine) Release(ctx context.Context, cmd flowfabric.Release) error {
	op, err := e.rules.Release(cmd)
	if err != nil {
		return err
	}
	return e.doHeld(ctx, cmd.ExecutionID, op)
}
