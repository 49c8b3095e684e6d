package client

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// UpdateBudget implements [flowfabric.Budgets].
func (c *Client) UpdateBudget(ctx context.Context, cmd flowfabric.UpdateBudget) (flowfabric.BudgetStatus, error) {
	return call(ctx, c, wire.UpdateBudget, cmd)
}

// DeleteBudget implements [flowfabric.Budgets].
func (c *Client) DeleteBudget(ctx context.Context, id flowfabric.BudgetID) error {
	_, err := call(ctx, c, wire.DeleteBudget, wire.OfBudget{BudgetID: id})
	return err
}

// ResetBudget implements [flowfabric.Budgets].
func (c *Client) ResetBudget(ctx context.Context, id flowfabric.BudgetID) (flowfabric.BudgetStatus, error) {
	return call(ctx, c, wire.ResetBudget, wire.OfBudget{BudgetID: id})
}

// DescribeBudget implements [flowfabric.Budgets].
func (c *Client) DescribeBudget(ctx context.Context, id flowfabric.BudgetID) (flowfabric.BudgetStatus, error) {
	return call(ctx, c, wire.DescribeBudget, wire.OfBudget{BudgetID: id})
}

// ListBudgets implements [flowfabric.Budgets].
func (c *Client) ListBudgets(ctx context.Context, q flowfabric.ListBudgets) (flowfabric.Page[flowfabric.BudgetStatus], error) {
	return call(ctx, c, wire.ListBudgets, q)
}

// ReportUsage implements [flowfabric.Budgets].
func (c *Client) ReportUsage(ctx context.Context, cmd flowfabric.ReportUsage) (flowfabric.UsageResult, error) {
	return c.usage.do(ctx, cmd)
}

// ReleaseBudget implements [flowfabric.Budgets].
func (c *Client) ReleaseBudget(ctx context.Context, id flowfabric.BudgetID, execution flowfabric.ExecutionID) error {
	_, err := call(ctx, c, wire.GiveBack, wire.ReleaseBudget{BudgetID: id, ExecutionID: execution})
	return err
}

// UpdateQuota implements [flowfabric.Quotas].
func (c *Client) UpdateQuota(ctx context.Context, cmd flowfabric.UpdateQuota) (flowfabric.QuotaStatus, error) {
	return call(ctx, c, wire.UpdateQuota, cmd)
}

// DeleteQuota implements [flowfabric.Quotas].
func (c *Client) DeleteQuota(ctx context.Context, id flowfabric.QuotaID) error {
	_, err := call(ctx, c, wire.DeleteQuota, wire.OfQuota{QuotaID: id})
	return err
}

// DescribeQuota implements [flowfabric.Quotas].
func (c *Client) DescribeQuota(ctx context.Context, id flowfabric.QuotaID) (flowfabric.QuotaStatus, error) {
	return call(ctx, c, wire.DescribeQuota, wire.OfQuota{QuotaID: id})
}

// ListQuotas implements [flowfabric.Quotas].
func (c *Client) ListQuotas(ctx context.Context, q flowfabric.ListQuotas) (flowfabric.Page[flowfabric.QuotaStatus], error) {
	return call(ctx, c, wire.ListQuotas, q)
}

// ListQuotaKeys implements [flowfabric.Quotas].
func (c *Client) ListQuotaKeys(ctx context.Context, q flowfabric.ListQuotaKeys) (flowfabric.Page[flowfabric.QuotaKeyStatus], error) {
	return call(ctx, c, wire.ListQuotaKeys, q)
}

// CreateBudget implements [flowfabric.Budgets].
func (c *Client) CreateBudget(ctx context.Context, cmd flowfabric.CreateBudget) (flowfabric.BudgetID, flowfabric.CreateResult, error) {
	if cmd.BudgetID.IsZero() {
		cmd.BudgetID = flowfabric.NewBudgetID()
	}
	res, err := call(ctx, c, wire.CreateBudget, cmd)
	return res.BudgetID, res.Result, err
}

// CreateQuota implements [flowfabric.Quotas].
func (c *Client) CreateQuota(ctx context.Context, cmd flowfabric.CreateQuota) (flowfabric.QuotaID, flowfabric.CreateResult, error) {
	if cmd.QuotaID.IsZero() {
		cmd.QuotaID = flowfabric.NewQuotaID()
	}
	res, err := call(ctx, c, wire.CreateQuota, cmd)
	return res.QuotaID, res.Result, err
}
