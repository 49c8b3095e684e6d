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
	if _, err := r.timedLoad(ctx, b, SmallBacklog+n); err != nil {
		return err
	}
	took, err := r.drain(ctx, b, n)
	if err != nil {
		return err
	}
	r.res.SmallBacklogPerS = perSecond(n, took)
	if _, err := r.timedLoad(ctx, b, r.opts.Backlog-SmallBacklog+n); err != nil {
		return err
	}
	return r.metered(b.db, n, func() error {
		took, err := r.drain(ctx, b, n)
		r.res.LargeBacklogPerS = perSecond(n, took)
		r.res.EndToEndPerS = r.res.LargeBacklogPerS
		r.res.BacklogRatio = r.res.LargeBacklogPerS / r.res.SmallBacklogPerS
		return err
	})
}
