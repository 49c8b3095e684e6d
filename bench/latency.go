package bench

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// rest is the pause between two executions of [Latency], so that the system is at rest when the next is submitted.
const rest = 5 * time.Millisecond

func (r *run) latency(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	entered, completed := make(chan time.Time, 1), make(chan struct{}, 1)
	w := r.newWorker(b.svc, r.opts.Workers, func() { entered <- r.clock.Now() }, func() { completed <- struct{}{} })
	return r.beside(ctx, w, func(ctx context.Context) error {
		cmd := flowfabric.Submit{Lane: r.lane, Kind: kind, Payload: payload(r.opts.PayloadBytes)}
		if _, err := r.once(ctx, b, cmd, entered, completed); err != nil { // the first meets cold caches
			return err
		}
		times := make([]time.Duration, n)
		return r.metered(b.db, n, func() error {
			for i := range times {
				if !loop.Sleep(ctx, r.clock, loop.Jitter(rest), nil) {
					return context.Cause(ctx)
				}
				took, err := r.once(ctx, b, cmd, entered, completed)
				if err != nil {
					return err
				}
				times[i] = took
			}
			r.res.percentiles(times)
			return nil
		})
	})
}

// once submits one execution, waits until it is completed and returns the time from submit to handler.
func (r *run) once(ctx context.Context, b *bed, cmd flowfabric.Submit, entered <-chan time.Time, completed <-chan struct{}) (time.Duration, error) {
	start := r.clock.Now()
	if _, err := b.svc.Submit(ctx, cmd); err != nil {
		return 0, err
	}
	var at time.Time
	for range 2 {
		select {
		case at = <-entered:
		case <-completed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return at.Sub(start), nil
}
