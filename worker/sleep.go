package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// holdFor is how long a sleep may keep its slot and lease. Parking costs more than so short a wait.
const holdFor = time.Second

// Sleep waits until d has passed since it was first called, by the storage clock, never less. The time is recorded, so a crash
// does not begin it anew. The last second is waited for here; if more is left, Sleep returns an error, [ErrParked], that the handler
// must return, however wrapped: the slot is free then, and when the time has come the handler runs again, from its beginning, and
// Sleep returns nil. A handler that swallows the error and returns nil has completed.
//
// d is at most [flowfabric.MaxSpanMS] milliseconds, is rounded up to whole ones, and is no wait if it is not positive. Sleep
// fails like [Step].
func Sleep(ctx context.Context, name string, d time.Duration) error {
	c, err := begin(ctx, name, nil)
	if err != nil || d <= 0 {
		return err
	}
	until, err := c.timer(ctx, d)
	if err != nil {
		return err
	}
	left := until.Sub(c.memos.now())
	if left > holdFor {
		return &delayed{d: left, until: until}
	}
	if left > 0 && !loop.Sleep(ctx, c.memos.task.session.clock, left, nil) {
		return fmt.Errorf("sleep %q: %w", name, context.Cause(ctx))
	}
	return nil
}

// timer returns the instant d after the first time it was asked for.
func (c call) timer(ctx context.Context, d time.Duration) (flowfabric.Timestamp, error) {
	memo, found, err := c.memos.find(ctx, c.id, isTimer)
	if err == nil && !found {
		cmd := c.record()
		cmd.For, cmd.Encoding = roundUp(d), string(isTimer)
		memo, err = c.memos.record(ctx, cmd)
	}
	return memo.Until, err
}

// roundUp is d in whole milliseconds, no fewer: the storage clock knows no others.
func roundUp(d time.Duration) time.Duration {
	if rest := d % time.Millisecond; rest > 0 {
		d += min(time.Millisecond-rest, 1<<63-1-d)
	}
	return d
}
