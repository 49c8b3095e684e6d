package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
)

// kind is that of all executions.
const kind = "noop"

// load submits n executions in calls of r.opts.Bulk, by r.opts.Callers at once, and returns how long each call took.
func (r *run) load(ctx context.Context, b *bed, n int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := flowfabric.Submit{Lane: r.lane, Kind: kind, Payload: payload(r.opts.PayloadBytes), Policy: r.policy}
	var (
		wg    sync.WaitGroup
		left  atomic.Int64
		times = make([][]time.Duration, r.opts.Callers)
	)
	left.Store(int64(n))
	for i := range times {
		wg.Go(func() {
			for ctx.Err() == nil {
				count := take(&left, r.opts.Bulk)
				if count == 0 {
					return
				}
				start := r.clock.Now()
				if err := submitCall(ctx, b, cmd, count, r.opts.Bulk > 1); err != nil {
					cancel(err)
					return
				}
				times[i] = append(times[i], r.clock.Now().Sub(start))
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}
	var all []time.Duration
	for _, list := range times {
		all = append(all, list...)
	}
	return all, nil
}

// take claims up to most of what is left.
func take(left *atomic.Int64, most int) int {
	before := left.Add(-int64(most)) + int64(most)
	return int(max(0, min(before, int64(most))))
}

// submitCall creates n executions in one call.
func submitCall(ctx context.Context, b *bed, cmd flowfabric.Submit, n int, many bool) error {
	if !many {
		_, err := b.svc.Submit(ctx, cmd)
		return err
	}
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = cmd
	}
	results, err := b.svc.SubmitMany(ctx, cmds)
	for _, res := range results {
		if res.Err != nil {
			return res.Err
		}
	}
	return err
}

// payload is a JSON string of size bytes.
func payload(size int) []byte {
	return []byte(`"` + strings.Repeat("x", size-2) + `"`)
}
