package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// upkeep removes what is finished and samples sizes while [Steady] runs. The engine's own trimmer rests a minute when it
// has caught up, so that what is kept would rise for a minute and then fall, and a short run would take that for growth;
// upkeep calls the same of the store more often.
type upkeep struct {
	*steadyRun
	growth  *growth
	trimmed int           // executions since the warm-up
	batched int           // of them in calls after which more was left, and
	busy    time.Duration // how long those calls took
	ended   time.Duration
}

// Of the engine's trimmer.
const (
	trimBatch = 1000
	trimShare = .1 // of one connection
)

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
	u.tell()
	return err
}

// run returns when finished is closed; its last sample is of the end.
func (u *upkeep) run(ctx context.Context, finished <-chan struct{}) error {
	pause := u.r.opts.Duration / sampleShare
	for {
		if !loop.Sleep(ctx, u.r.clock, pause, finished) {
			return nil // the run has failed, and says why
		}
		if err := u.trim(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("trim: %w", err)
		}
		if u.recorded(u.now()) {
			if err := u.growth.sample(ctx, u.b.db, u.r.clock.Now()); err != nil && ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-finished:
			u.ended = u.now()
			return nil
		default:
		}
	}
}

// trim removes all that is to be kept no longer.
func (u *upkeep) trim(ctx context.Context) error {
	for {
		tx, err := u.b.st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
		if err != nil {
			return err
		}
		before := u.now()
		done, err := u.b.st.Trim(ctx, store.Trim{EventsBefore: max(1, tx.Now().Add(-u.r.retention())), Limit: trimBatch})
		if err != nil {
			return err
		}
		more := max(done.Executions, done.Events, done.Keys) == trimBatch
		if u.recorded(before) {
			u.trimmed += done.Executions
			if more {
				u.batched += done.Executions
				u.busy += u.now() - before
			}
		}
		if !more {
			return nil
		}
	}
}

// tell adds to the result what was removed and what grew.
func (u *upkeep) tell() {
	res := &u.r.res
	u.growth.tell(res)
	if u.recorded(u.ended) {
		res.TrimmedPerS = perSecond(u.trimmed, u.ended-time.Duration(u.recordFrom.Load()))
	}
	if u.batched > 0 {
		res.TrimPacePerS = trimShare * perSecond(u.batched, u.busy)
		if res.TrimPacePerS < res.OfferedPerS {
			res.note("the engine's own trimmer, which takes a tenth of a connection, would not keep up with this rate")
		}
	}
}
