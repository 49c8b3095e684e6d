package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
)

// ChangePriority implements [flowfabric.Operator].
func (e *Engine) ChangePriority(ctx context.Context, cmd flowfabric.ChangePriority) (flowfabric.ChangePriorityResult, error) {
	var res flowfabric.ChangePriorityResult
	op, err := e.rules.ChangePriority(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.ChangePriorityResult{}, err
	}
	return res, nil
}

// Replay implements [flowfabric.Operator].
func (e *Engine) Replay(ctx context.Context, cmd flowfabric.Replay) (flowfabric.ReplayResult, error) {
	var res flowfabric.ReplayResult
	op, err := e.rules.Replay(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.dropSteps(ctx, cmd); err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.ReplayResult{}, err
	}
	return res, nil
}

// RevokeLease implements [flowfabric.Operator].
func (e *Engine) RevokeLease(ctx context.Context, cmd flowfabric.RevokeLease) (flowfabric.RevokeResult, error) {
	var res flowfabric.RevokeResult
	op, err := e.rules.RevokeLease(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.RevokeResult{}, err
	}
	return res, nil
}

// ClaimExecution implements [flowfabric.Operator].
func (e *Engine) ClaimExecution(ctx context.Context, cmd flowfabric.ClaimExecution) (flowfabric.Claimed, error) {
	var res flowfabric.Claimed
	op, err := e.rules.ClaimExecution(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.do(ctx, op); err != nil {
		return flowfabric.Claimed{}, err
	}
	return res, nil
}

// Block implements [flowfabric.Operator].
func (e *Engine) Block(ctx context.Context, cmd flowfabric.Block) error {
	op, err := e.rules.Block(cmd)
	if err != nil {
		return err
	}
	return e.do(ctx, op)
}

// Unblock implements [flowfabric.Operator].
func (e *Engine) Unblock(ctx context.Context, cmd flowfabric.Unblock) error {
	op, err := e.rules.Unblock(cmd)
	if err != nil {
		return err
	}
	return e.do(ctx, op)
}
