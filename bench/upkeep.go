package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// trimCounter counts the finished executions that the engine's trimmer removes.
type trimCounter struct {
	store.Store
	removed atomic.Int64
}

// Trim implements [store.Catalog].
func (c *trimCounter) Trim(ctx context.Context, t store.Trim) (store.Trimmed, error) {
	done, err := c.Store.Trim(ctx, t)
	c.removed.Add(int64(done.Executions))
	return done, err
}

// upkeep samples sizes while [Steady] runs, and what the engine removes.
type upkeep struct {
	*steadyRun
	growth  *growth
	began   time.Duration // the first sample's time, and
	removed int64         // what was removed until then
}

// withUpkeep runs fn, and the upkeep until fn returns.
func (s *steadyRun) withUpkeep(ctx context.Context, fn func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	u := &upkeep{steadyRun: s, growth: newGrowth(s.start)}
	finished, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := u.run(ctx, finished)
		if err != nil {
			stop(err) // fn's context ends, and its error is this one
		}
		ended <- err
	}()
	err := fn(ctx)
	close(finished)
	if upkeepErr := <-ended; upkeepErr != nil {
		return upkeepErr
	}
	return err
}

// run returns when finished is closed; its last sample is of the end.
func (u *upkeep) run(ctx context.Context, finished <-chan struct{}) error {
	pause := u.r.opts.Duration / sampleShare
	for {
		if !loop.Sleep(ctx, u.r.clock, pause, finished) {
			return nil // the run has failed, and says why
		}
		if err := u.sample(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-finished:
			u.tell()
			return nil
		default:
		}
	}
}

func (u *upkeep) sample(ctx context.Context) error {
	if !u.recorded(u.now()) {
		return nil
	}
	if u.began == 0 {
		u.began, u.removed = u.now(), u.trimmed()
	}
	return u.growth.sample(ctx, u.b.db, u.r.clock.Now())
}

// tell adds to the result what was removed and what grew.
func (u *upkeep) tell() {
	res := &u.r.res
	u.growth.tell(res)
	if u.began > 0 {
		res.TrimmedPerS = perSecond(int(u.trimmed()-u.removed), u.now()-u.began)
	}
}

// trimmed is what the engine has removed so far, if it is one of this process.
func (u *upkeep) trimmed() int64 {
	if u.b.remote() {
		return 0
	}
	return u.b.trims.removed.Load()
}
