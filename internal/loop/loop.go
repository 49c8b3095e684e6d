// Package loop owns the life of background work: a [Group] starts components and waits for them, [Every] repeats a step,
// [Wakeup] carries hints between them.
package loop

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// Group runs components until it is closed. Close cancels their context and waits for all. It is safe for concurrent use.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		closed bool
	}
}

// NewGroup returns an empty group whose components run under a context derived from ctx.
func NewGroup(ctx context.Context) *Group {
	ctx, cancel := context.WithCancel(ctx)
	return &Group{ctx: ctx, cancel: cancel}
}

// Go starts a component, which must return soon after its context ends. In a closed group it starts nothing and returns
// false.
func (g *Group) Go(run func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return false
	}
	g.wg.Go(func() { run(g.ctx) })
	return true
}

// Close ends all components and waits for them. It may be called again.
func (g *Group) Close() {
	g.mu.Lock()
	g.mu.closed = true // nobody may be added to what is being waited for
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}

// Wakeup is a hint that coalesces: any number of Wake calls before a receive on C are one.
type Wakeup struct {
	c chan struct{}
}

// NewWakeup returns a wake-up with no hint pending.
func NewWakeup() *Wakeup { return &Wakeup{c: make(chan struct{}, 1)} }

// Wake leaves a hint. It never blocks.
func (w *Wakeup) Wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// C delivers the hint.
func (w *Wakeup) C() <-chan struct{} { return w.c }

// Jitter returns d spread evenly over its last fifth, so that many processes do not act in step.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

// Every calls step again and again until ctx ends. step returns how long to wait before the next call, which wake (may
// be nil) cuts short. An error is logged as name and followed by a pause that doubles from 100 ms to 5 s.
func Every(ctx context.Context, c clock.Clock, log *slog.Logger, name string, wake *Wakeup, step func(context.Context) (time.Duration, error)) {
	const first, longest = 100 * time.Millisecond, 5 * time.Second
	pause := first
	var hint <-chan struct{}
	if wake != nil {
		hint = wake.C()
	}
	for ctx.Err() == nil {
		wait, err := step(ctx)
		waitHint := hint
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			log.WarnContext(ctx, "background step did not succeed; it will be tried again", "step", name, "error", err, "pause", pause)
			wait, pause, waitHint = Jitter(pause), min(2*pause, longest), nil
		} else {
			pause = first
		}
		if wait <= 0 {
			continue
		}
		if !Sleep(ctx, c, wait, waitHint) {
			return
		}
	}
}

// Sleep waits for d, for a receive on hint (nil: never), or for ctx to end, which it reports as false.
func Sleep(ctx context.Context, c clock.Clock, d time.Duration, hint <-chan struct{}) bool {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-hint:
	case <-t.C:
	}
	return true
}
