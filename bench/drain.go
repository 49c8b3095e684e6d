package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// observed is a service that tells of every completion that was acknowledged.
type observed struct {
	flowfabric.Service
	completed func()
}

// Complete implements [flowfabric.Workers].
func (o observed) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	err := o.Service.Complete(ctx, cmd)
	if err == nil {
		o.completed()
	}
	return err
}

// newWorker returns a worker whose handler does nothing but call entered, and which tells of acknowledged completions.
func (r *run) newWorker(svc flowfabric.Service, slots int, entered, completed func()) *worker.Worker {
	w := worker.New(observed{svc, completed}, worker.Config{Lanes: []flowfabric.LaneID{r.lane}, Concurrency: slots})
	worker.Handle(w, kind, func(context.Context, *worker.Task, json.RawMessage) (struct{}, error) {
		entered()
		return struct{}{}, nil
	})
	return w
}

// drain lets one worker run until n executions are durably completed, and returns how long that took.
func (r *run) drain(ctx context.Context, b *bed, n int) (time.Duration, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	start := r.clock.Now()
	end := start
	w := r.newWorker(b.svc, r.opts.Workers, func() {}, func() {
		if done.Add(1) == int64(n) {
			end = r.clock.Now()
			stop()
		}
	})
	if err := w.Run(ctx); err != nil {
		return 0, err
	}
	if got := done.Load(); got < int64(n) {
		return 0, fmt.Errorf("%d of %d executions were completed: %w", got, n, context.Cause(ctx))
	}
	return end.Sub(start), nil
}
