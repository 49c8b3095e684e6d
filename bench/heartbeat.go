package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// heartbeat counts what it costs to keep leases while their handlers do nothing.
func (r *run) heartbeat(ctx context.Context, b *bed) error {
	r.res.Workers, r.res.PayloadBytes = r.opts.Workers, r.opts.PayloadBytes
	if _, err := r.load(ctx, b, r.opts.Workers); err != nil {
		return err
	}
	h := &holding{Service: b.svc, most: int64(r.opts.Workers), allHeld: make(chan struct{}), release: make(chan struct{})}
	return r.beside(ctx, h.worker(r.lane), func(ctx context.Context) error {
		defer close(h.release)
		select {
		case <-h.allHeld:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		start := r.clock.Now()
		err := r.countStatements(ctx, b)
		r.res.RenewalsPerS = perSecond(int(h.renewed.Load()), r.clock.Now().Sub(start))
		if lost := h.lost.Load(); err == nil && lost > 0 {
			return fmt.Errorf("%d of %d leases were lost", lost, h.most)
		}
		return err
	})
}

// holding is the service of a worker whose handlers hold their leases until they are released.
type holding struct {
	flowfabric.Service
	most    int64
	held    atomic.Int64
	renewed atomic.Int64 // since all are held
	lost    atomic.Int64
	allHeld chan struct{}
	release chan struct{}
}

func (h *holding) worker(lane flowfabric.LaneID) *worker.Worker {
	w := worker.New(h, worker.Config{Lanes: []flowfabric.LaneID{lane}, Concurrency: int(h.most), Prefetch: -1})
	worker.Handle(w, kind, func(ctx context.Context, _ *worker.Task, _ string) (struct{}, error) {
		if h.held.Add(1) == h.most {
			close(h.allHeld)
		}
		select {
		case <-h.release:
			return struct{}{}, nil
		case <-ctx.Done():
			h.lost.Add(1)
			return struct{}{}, context.Cause(ctx)
		}
	})
	return w
}

// RenewMany implements [flowfabric.Workers]; it counts the leases renewed.
func (h *holding) RenewMany(ctx context.Context, cmds []flowfabric.Renew) ([]flowfabric.RenewResult, error) {
	results, err := h.Service.RenewMany(ctx, cmds)
	if h.held.Load() < h.most {
		return results, err
	}
	for _, res := range results {
		if res.Err == nil {
			h.renewed.Add(1)
		}
	}
	return results, err
}
