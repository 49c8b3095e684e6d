package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
)

// Explain implements [flowfabric.Explainer].
func (e *Engine) Explain(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.Explanation, error) {
	if err := e.open("explain"); err != nil {
		return flowfabric.Explanation{}, err
	}
	x, err := e.rules.Explain(ctx, e.st, id)
	return x, commit.Coded(err)
}

// ExplainFlow implements [flowfabric.Explainer].
func (e *Engine) ExplainFlow(ctx context.Context, id flowfabric.FlowID) (flowfabric.FlowExplanation, error) {
	if err := e.open("explain flow"); err != nil {
		return flowfabric.FlowExplanation{}, err
	}
	x, err := e.rules.ExplainFlow(ctx, e.st, id)
	return x, commit.Coded(err)
}
