package bench

import (
	"context"
	"time"
)

func (r *run) submit(ctx context.Context, b *bed) error {
	r.res.Executions, r.res.Callers, r.res.Bulk, r.res.PayloadBytes = r.opts.Executions, r.opts.Callers, r.opts.Bulk, r.opts.PayloadBytes
	return r.metered(b.db, r.opts.Executions, func() error {
		times, err := r.timedLoad(ctx, b, r.opts.Executions)
		r.res.percentiles(times)
		return err
	})
}

// timedLoad is load that sets the rate of submission.
func (r *run) timedLoad(ctx context.Context, b *bed, n int) ([]time.Duration, error) {
	start := r.clock.Now()
	times, err := r.load(ctx, b, n)
	r.res.SubmitPerS = perSecond(n, r.clock.Now().Sub(start))
	return times, err
}

func (r *run) throughput(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	if _, err := r.timedLoad(ctx, b, n); err != nil {
		return err
	}
	return r.metered(b.db, n, func() error {
		took, err := r.drain(ctx, b, n)
		r.res.EndToEndPerS = perSecond(n, took)
		return err
	})
}

func (r *run) lifecycle(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	r.res.Callers, r.res.Bulk = r.opts.Callers, r.opts.Bulk
	return r.metered(b.db, n, func() error {
		start := r.clock.Now()
		if _, err := r.timedLoad(ctx, b, n); err != nil {
			return err
		}
		_, err := r.drain(ctx, b, n)
		r.res.EndToEndPerS = perSecond(n, r.clock.Now().Sub(start))
		return err
	})
}

// backlog measures the same drain twice: with few executions waiting behind those it completes, and with many.
func (r *run) backlog(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.Backlog, r.res.PayloadBytes = n, r.opts.Workers, r.opts.Backlog, r.opts.PayloadBytes
	small, err := r.drainBefore(ctx, b, SmallBacklog)
	if err != nil {
		return err
	}
	smallCPU := r.res.CPUUsPerExecution
	large, err := r.drainBefore(ctx, b, r.opts.Backlog-SmallBacklog)
	if err != nil {
		return err
	}
	r.res.SmallBacklogPerS, r.res.LargeBacklogPerS, r.res.EndToEndPerS = small, large, large
	r.res.BacklogRatio = large / small
	if r.res.CPUUsPerExecution > 0 {
		r.res.BacklogCPURatio = smallCPU / r.res.CPUUsPerExecution
	}
	return nil
}

// drainBefore adds executions, of which more are left behind when those that are measured are completed, and returns the
// rate.
func (r *run) drainBefore(ctx context.Context, b *bed, more int) (perS float64, err error) {
	n := r.opts.Executions
	if _, err := r.timedLoad(ctx, b, more+n); err != nil {
		return 0, err
	}
	err = r.metered(b.db, n, func() error {
		took, err := r.drain(ctx, b, n)
		perS = perSecond(n, took)
		return err
	})
	return perS, err
}
