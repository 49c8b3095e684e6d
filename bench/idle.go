package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/worker"
)

// settling is how long workers are left alone before they are counted, so that their first claims are over.
const settling = 500 * time.Millisecond

func (r *run) idle(ctx context.Context, b *bed) error {
	r.res.Workers = r.opts.Workers
	workers := make([]*worker.Worker, r.opts.Workers)
	for i := range workers {
		svc, stop, err := b.another()
		if err != nil {
			return err
		}
		defer stop()
		if b.remote() {
			svc = &outOfStep{svc, rand.N(outOfStepBy)}
		}
		workers[i] = r.newWorker(svc, 1, func() {}, func() {})
	}
	return besideAll(ctx, workers, func(ctx context.Context) error { return r.countStatements(ctx, b) })
}

// outOfStepBy is less than the pause between signs of life, so that none is late.
const outOfStepBy = 15 * time.Second

// outOfStep is a service of a worker as a process of its own would have it: workers of one process give their signs of life at
// one moment, processes do not.
type outOfStep struct {
	flowfabric.Service
	by time.Duration
}

// HeartbeatWorker implements [flowfabric.Registry].
func (o *outOfStep) HeartbeatWorker(ctx context.Context, cmd flowfabric.HeartbeatWorker) (flowfabric.HeartbeatResult, error) {
	loop.Sleep(ctx, clock.Real(), o.by, nil)
	return o.Service.HeartbeatWorker(ctx, cmd)
}

// countStatements lets pass what is under way, then counts for the run's duration.
func (r *run) countStatements(ctx context.Context, b *bed) error {
	if !loop.Sleep(ctx, r.clock, settling, nil) {
		return context.Cause(ctx)
	}
	before, counter, err := b.db.Statements(ctx)
	if err != nil {
		return err
	}
	err = r.metered(b.db, 0, func() error {
		if !loop.Sleep(ctx, r.clock, r.opts.Duration, nil) {
			return context.Cause(ctx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if counter == "" {
		r.res.note("statements are not counted on " + string(r.kind))
		return nil
	}
	after, _, err := b.db.Statements(ctx)
	r.res.StatementsPerS = float64(after-before) / r.res.DurationS
	r.res.note("statements counted by " + counter)
	return err
}
