package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
)

// usage has Callers report on one budget at once, Executions times in all, and checks the sum.
func (r *run) usage(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Callers = n, r.opts.Callers
	const tokens = "total_tokens"
	id, _, err := b.svc.CreateBudget(ctx, flowfabric.CreateBudget{Hard: flowfabric.Amounts{tokens: flowfabric.MaxAmount}})
	if err != nil {
		return err
	}
	err = r.metered(b.db, n, func() error {
		var left atomic.Int64
		left.Store(int64(n))
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var callers sync.WaitGroup
		start := r.clock.Now()
		for range r.opts.Callers {
			callers.Go(func() {
				for ctx.Err() == nil && take(&left, 1) > 0 {
					if _, err := b.svc.ReportUsage(ctx, flowfabric.ReportUsage{BudgetID: id, Amounts: flowfabric.Amounts{tokens: 3}}); err != nil {
						cancel(err)
					}
				}
			})
		}
		callers.Wait()
		r.res.ReportsPerS = perSecond(n, r.clock.Now().Sub(start))
		return context.Cause(ctx)
	})
	if err != nil {
		return err
	}
	s, err := b.svc.DescribeBudget(ctx, id)
	if err == nil && s.Usage[tokens] != 3*int64(n) {
		err = fmt.Errorf("%d reports of 3 make %d", n, s.Usage[tokens])
	}
	return err
}

// limits drains executions without limits, and as many under a quota and a budget with an estimate each, which never hold
// anything back, in turns, and compares.
func (r *run) limits(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	budget, _, err := b.svc.CreateBudget(ctx, flowfabric.CreateBudget{Hard: flowfabric.Amounts{"total_tokens": flowfabric.MaxAmount}})
	if err != nil {
		return err
	}
	quota, _, err := b.svc.CreateQuota(ctx, flowfabric.CreateQuota{MaxConcurrent: flowfabric.MaxQuotaConcurrency})
	if err != nil {
		return err
	}
	limited := &flowfabric.Policy{Limits: &flowfabric.Limits{
		Budgets: []flowfabric.BudgetUse{{ID: budget, Estimate: flowfabric.Amounts{"total_tokens": 1000}}},
		Quotas:  []flowfabric.QuotaUse{{ID: quota, Key: "bench"}},
	}}
	var took [2]time.Duration
	const turns = 2
	for range turns {
		for i, policy := range []*flowfabric.Policy{nil, limited} {
			r.policy = policy
			if _, err := r.timedLoad(ctx, b, n/turns); err != nil {
				return err
			}
			if err := r.metered(b.db, n/turns, func() error {
				d, err := r.drain(ctx, b, n/turns)
				took[i] += d
				return err
			}); err != nil {
				return err
			}
		}
	}
	r.res.EndToEndPerS = perSecond(n/turns*turns, took[1])
	r.res.LimitsRatio = took[0].Seconds() / took[1].Seconds()
	return nil
}
