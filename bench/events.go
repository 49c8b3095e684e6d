package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
)

// events drains executions as [Throughput] does, then reads their completions from the oldest, by the largest pages. There must
// be one of each.
func (r *run) events(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	if _, err := r.load(ctx, b, n); err != nil {
		return err
	}
	if _, err := r.drain(ctx, b, n); err != nil {
		return err
	}
	return r.metered(b.db, n, func() error {
		seen, took, err := r.readCompletions(ctx, b.svc)
		if err == nil && seen != n {
			err = fmt.Errorf("%d completions of %d executions were read", seen, n)
		}
		r.res.EventsPerS = perSecond(seen, took)
		return err
	})
}

// patience is for how long nothing must have come when all has been read: the last commits may not be seen at once.
const patience = 500 * time.Millisecond

// readCompletions reads to the end of the log, and tells how many there are and how long it took until the last came.
func (r *run) readCompletions(ctx context.Context, svc flowfabric.Events) (seen int, took time.Duration, err error) {
	q := flowfabric.ReadEvents{
		Family: flowfabric.EventsCompletion, After: flowfabric.EventsFromOldest, Limit: flowfabric.MaxPage, Wait: patience,
	}
	for start := r.clock.Now(); ; took = r.clock.Now().Sub(start) {
		page, err := svc.ReadEvents(ctx, q)
		if err != nil || len(page.Events) == 0 {
			return seen, took, err
		}
		seen, q.After = seen+len(page.Events), page.Next
	}
}
