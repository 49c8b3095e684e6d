package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store/record"
)

// CreateBudget implements [flowfabric.Budgets].
func (e *Engine) CreateBudget(ctx context.Context, cmd flowfabric.CreateBudget) (flowfabric.BudgetID, flowfabric.CreateResult, error) {
	if cmd.BudgetID.IsZero() {
		cmd.BudgetID = flowfabric.NewBudgetID()
	}
	var res flowfabric.CreateResult
	err := e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CreateBudget(cmd, &res) })
	if err != nil {
		return flowfabric.BudgetID{}, "", err
	}
	e.scopes.forget()
	return cmd.BudgetID, res, nil
}

// UpdateBudget implements [flowfabric.Budgets].
func (e *Engine) UpdateBudget(ctx context.Context, cmd flowfabric.UpdateBudget) (res flowfabric.BudgetStatus, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.UpdateBudget(cmd, &res) })
	return res, err
}

// DeleteBudget implements [flowfabric.Budgets].
func (e *Engine) DeleteBudget(ctx context.Context, id flowfabric.BudgetID) error {
	const op = "delete budget"
	if err := e.open(op); err != nil {
		return err
	}
	b, err := e.rules.Budget(ctx, e.st, id)
	if err != nil {
		return called(op, err)
	}
	defer e.scopes.forget()
	return e.do(ctx, e.rules.DeleteBudget(b))
}

// ResetBudget implements [flowfabric.Budgets].
func (e *Engine) ResetBudget(ctx context.Context, id flowfabric.BudgetID) (res flowfabric.BudgetStatus, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.ResetBudget(id, &res) })
	return res, err
}

// DescribeBudget implements [flowfabric.Budgets].
func (e *Engine) DescribeBudget(ctx context.Context, id flowfabric.BudgetID) (flowfabric.BudgetStatus, error) {
	if err := e.open("describe budget"); err != nil {
		return flowfabric.BudgetStatus{}, err
	}
	b, err := e.rules.DescribeBudget(ctx, e.st, id)
	return b, commit.Coded(err)
}

// ListBudgets implements [flowfabric.Budgets].
func (e *Engine) ListBudgets(ctx context.Context, q flowfabric.ListBudgets) (flowfabric.Page[flowfabric.BudgetStatus], error) {
	if err := e.open("list budgets"); err != nil {
		return flowfabric.Page[flowfabric.BudgetStatus]{}, err
	}
	page, err := e.rules.ListBudgets(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ReportUsage implements [flowfabric.Budgets].
func (e *Engine) ReportUsage(ctx context.Context, cmd flowfabric.ReportUsage) (flowfabric.UsageResult, error) {
	var res flowfabric.UsageResult
	if err := e.open("report usage"); err != nil {
		return res, err
	}
	op, err := e.rules.ReportUsage(cmd, &res)
	if err != nil {
		return res, err
	}
	if cmd.ExecutionID.IsZero() {
		err = e.do(ctx, op)
	} else {
		err = e.doHeld(ctx, cmd.ExecutionID, op)
	}
	if err != nil {
		return flowfabric.UsageResult{}, err
	}
	return res, nil
}

// ReleaseBudget implements [flowfabric.Budgets].
func (e *Engine) ReleaseBudget(ctx context.Context, id flowfabric.BudgetID, execution flowfabric.ExecutionID) error {
	return e.doOp(ctx, func() (*ops.Op, error) { return e.rules.ReleaseBudget(id, execution) })
}

// Ledger implements [flowfabric.Budgets].
func (e *Engine) Ledger(ctx context.Context, id flowfabric.ExecutionID) ([]flowfabric.LedgerEntry, error) {
	if err := e.open("ledger"); err != nil {
		return nil, err
	}
	list, err := e.rules.Ledger(ctx, e.st, id)
	return list, commit.Coded(err)
}

// CreateQuota implements [flowfabric.Quotas].
func (e *Engine) CreateQuota(ctx context.Context, cmd flowfabric.CreateQuota) (flowfabric.QuotaID, flowfabric.CreateResult, error) {
	if cmd.QuotaID.IsZero() {
		cmd.QuotaID = flowfabric.NewQuotaID()
	}
	var res flowfabric.CreateResult
	err := e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CreateQuota(cmd, &res) })
	if err != nil {
		return flowfabric.QuotaID{}, "", err
	}
	e.scopes.forget()
	return cmd.QuotaID, res, nil
}

// UpdateQuota implements [flowfabric.Quotas].
func (e *Engine) UpdateQuota(ctx context.Context, cmd flowfabric.UpdateQuota) (flowfabric.QuotaStatus, error) {
	const op = "update quota"
	if err := e.open(op); err != nil {
		return flowfabric.QuotaStatus{}, err
	}
	uses, err := e.waitedFor(ctx, cmd.QuotaID)
	if err != nil {
		return flowfabric.QuotaStatus{}, called(op, err)
	}
	var res flowfabric.QuotaStatus
	update, err := e.rules.UpdateQuota(cmd, uses, &res)
	if err != nil {
		return res, err
	}
	return res, e.do(ctx, update)
}

// waitedFor are the keys of a quota that somebody waits for.
func (e *Engine) waitedFor(ctx context.Context, id flowfabric.QuotaID) (keys []record.Key, err error) {
	for after := ""; ; {
		uses, err := e.rules.QuotaUses(ctx, e.st, id, after, flowfabric.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, u := range uses {
			if u.Waiting > 0 {
				keys = append(keys, u.QuotaUseKey)
			}
			after = u.UseKey
		}
		if len(uses) < flowfabric.MaxPage {
			return keys, nil
		}
	}
}

// DeleteQuota implements [flowfabric.Quotas].
func (e *Engine) DeleteQuota(ctx context.Context, id flowfabric.QuotaID) error {
	const op = "delete quota"
	if err := e.open(op); err != nil {
		return err
	}
	q, err := e.rules.Quota(ctx, e.st, id)
	if err != nil {
		return called(op, err)
	}
	uses, err := e.waitedFor(ctx, id)
	if err != nil {
		return called(op, err)
	}
	defer e.scopes.forget()
	return e.do(ctx, e.rules.DeleteQuota(q, uses))
}

// DescribeQuota implements [flowfabric.Quotas].
func (e *Engine) DescribeQuota(ctx context.Context, id flowfabric.QuotaID) (flowfabric.QuotaStatus, error) {
	if err := e.open("describe quota"); err != nil {
		return flowfabric.QuotaStatus{}, err
	}
	q, err := e.rules.DescribeQuota(ctx, e.st, id)
	return q, commit.Coded(err)
}

// ListQuotas implements [flowfabric.Quotas].
func (e *Engine) ListQuotas(ctx context.Context, q flowfabric.ListQuotas) (flowfabric.Page[flowfabric.QuotaStatus], error) {
	if err := e.open("list quotas"); err != nil {
		return flowfabric.Page[flowfabric.QuotaStatus]{}, err
	}
	page, err := e.rules.ListQuotas(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ListQuotaKeys implements [flowfabric.Quotas].
func (e *Engine) ListQuotaKeys(ctx context.Context, q flowfabric.ListQuotaKeys) (flowfabric.Page[flowfabric.QuotaKeyStatus], error) {
	if err := e.open("list quota keys"); err != nil {
		return flowfabric.Page[flowfabric.QuotaKeyStatus]{}, err
	}
	page, err := e.rules.ListQuotaKeys(ctx, e.st, q)
	return page, commit.Coded(err)
}
