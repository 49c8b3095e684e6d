package bench

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench/internal/place"
)

// cold measures from nothing but an empty database to the first durable completion, on a new database each time.
func (r *run) cold(ctx context.Context) error {
	r.res.Executions, r.res.PayloadBytes = r.opts.Executions, r.opts.PayloadBytes
	times := make([]time.Duration, r.opts.Executions)
	for i := range times {
		last := i == len(times)-1
		err := r.withPlace(ctx, r.opts.Keep && last, func(db place.Place) error {
			if err := db.Settle(ctx); err != nil {
				return err
			}
			return r.metered(db, 0, func() (err error) {
				times[i], err = r.firstExecution(ctx, db)
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	r.res.percentiles(times)
	return nil
}

// firstExecution migrates and opens db, runs one execution and returns how long it took until that was completed.
func (r *run) firstExecution(ctx context.Context, db place.Place) (took time.Duration, err error) {
	start := r.clock.Now()
	if err := db.Migrate(ctx); err != nil {
		return 0, err
	}
	err = r.withBed(ctx, db, func(b *bed) error {
		completed := make(chan struct{}, 1)
		w := r.newWorker(b.svc, 1, func() {}, func() { completed <- struct{}{} })
		return r.beside(ctx, w, func(ctx context.Context) error {
			if _, err := b.svc.Submit(ctx, flowfabric.Submit{Lane: r.lane, Kind: kind, Payload: payload(r.opts.PayloadBytes)}); err != nil {
				return err
			}
			select {
			case <-completed:
				took = r.clock.Now().Sub(start)
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	return took, err
}
