package client

import (
	"context"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Describe implements [flowfabric.Executions].
func (c *Client) Describe(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.ExecutionSnapshot, error) {
	return call(ctx, c, wire.Describe, wire.OfExecution{ExecutionID: id})
}

// Result implements [flowfabric.Executions].
func (c *Client) Result(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.Result, error) {
	return call(ctx, c, wire.GetResult, wire.OfExecution{ExecutionID: id})
}

// Attempts implements [flowfabric.Executions].
func (c *Client) Attempts(ctx context.Context, q flowfabric.ListAttempts) (flowfabric.Page[flowfabric.AttemptSnapshot], error) {
	return call(ctx, c, wire.Attempts, q)
}

// Cancel implements [flowfabric.Executions].
func (c *Client) Cancel(ctx context.Context, cmd flowfabric.Cancel) (flowfabric.CancelResult, error) {
	return call(ctx, c, wire.Cancel, cmd)
}

// SetTags implements [flowfabric.Executions].
func (c *Client) SetTags(ctx context.Context, cmd flowfabric.SetTags) error {
	_, err := call(ctx, c, wire.SetTags, cmd)
	return err
}

// List implements [flowfabric.Executions].
func (c *Client) List(ctx context.Context, q flowfabric.ListExecutions) (flowfabric.Page[flowfabric.ExecutionSummary], error) {
	return call(ctx, c, wire.List, q)
}

// ListPartition implements [flowfabric.Executions].
func (c *Client) ListPartition(ctx context.Context, q flowfabric.ListPartition) (flowfabric.Page[flowfabric.ExecutionID], error) {
	return call(ctx, c, wire.ListOne, q)
}

// Explain implements [flowfabric.Explainer].
func (c *Client) Explain(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.Explanation, error) {
	return call(ctx, c, wire.Explain, wire.OfExecution{ExecutionID: id})
}

// ExplainFlow implements [flowfabric.Explainer].
func (c *Client) ExplainFlow(ctx context.Context, id flowfabric.FlowID) (flowfabric.FlowExplanation, error) {
	return call(ctx, c, wire.ExplainFlow, wire.OfFlow{FlowID: id})
}

// RecordStep implements [flowfabric.Steps].
func (c *Client) RecordStep(ctx context.Context, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	return c.step.do(ctx, cmd)
}

// ListSteps implements [flowfabric.Steps].
func (c *Client) ListSteps(ctx context.Context, q flowfabric.ListSteps) (flowfabric.Page[flowfabric.StepMemo], error) {
	return call(ctx, c, wire.ListSteps, q)
}

// Submit implements [flowfabric.Executions].
func (c *Client) Submit(ctx context.Context, cmd flowfabric.Submit) (flowfabric.SubmitResult, error) {
	if err := c.mintExecution(ctx, &cmd); err != nil {
		return flowfabric.SubmitResult{}, err
	}
	return call(ctx, c, wire.Submit, cmd)
}

// SubmitMany implements [flowfabric.Executions].
func (c *Client) SubmitMany(ctx context.Context, cmds []flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	cmds = slices.Clone(cmds)
	for i := range cmds {
		if err := c.mintExecution(ctx, &cmds[i]); err != nil {
			return nil, err
		}
	}
	res, err := call(ctx, c, wire.SubmitAll, wire.SubmitMany{Executions: cmds})
	return res.Results, err
}

// mintExecution gives a submission an id, so that it can be told from its repeat.
func (c *Client) mintExecution(ctx context.Context, cmd *flowfabric.Submit) error {
	if !cmd.ID.IsZero() {
		return nil
	}
	partitions, err := c.minted(ctx)
	if err == nil {
		cmd.ID = flowfabric.SoloExecutionID(cmd.Lane, partitions)
	}
	return err
}

// Wait implements [flowfabric.Executions].
func (c *Client) Wait(ctx context.Context, id flowfabric.ExecutionID, wait time.Duration) (flowfabric.Result, error) {
	return callFor(ctx, c, wire.Wait, wire.WaitExecution{ExecutionID: id, Wait: wait}, wait, true)
}

// Ledger implements [flowfabric.Budgets].
func (c *Client) Ledger(ctx context.Context, id flowfabric.ExecutionID) ([]flowfabric.LedgerEntry, error) {
	res, err := call(ctx, c, wire.ReadLedger, wire.OfExecution{ExecutionID: id})
	return res.Entries, err
}
