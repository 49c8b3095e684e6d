package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/worker"
)

// Parts of the duration of [Steady].
const (
	retentionShare = 12 // of it what is finished is kept
	loadShare      = 4  // of it callers first submit all they can, until as much is removed as comes;
	gaugeShare     = 12 // then the capacity is measured for so long
	warmUpShare    = 4  // of it nothing is recorded: what is kept is constant by then
	sampleShare    = 120

	steadyLoad = .8 // of the capacity
	// perSlot is how many executions may be under way for each slot while the capacity is measured, so that slots have
	// work all the time and none waits for long.
	perSlot = 4
)

// retention is how long [Steady] keeps what is finished. Less than a second cannot be configured.
func (r *run) retention() time.Duration { return max(time.Second, r.opts.Duration/retentionShare) }

// steady measures at a constant rate, which it finds first.
func (r *run) steady(ctx context.Context, b *bed) error {
	r.res.Workers, r.res.Callers = r.opts.Workers, r.opts.Callers
	s := &steadyRun{r: r, b: b, start: r.clock.Now(), underWay: make(chan struct{}, perSlot*r.opts.Workers)}
	return r.beside(ctx, s.worker(), func(ctx context.Context) error {
		return s.withUpkeep(ctx, func(ctx context.Context) error {
			if err := s.gauge(ctx); err != nil {
				return fmt.Errorf("measure the capacity: %w", err)
			}
			return s.paced(ctx)
		})
	})
}

// steadyRun is [Steady] under way. The payload of an execution is the nanosecond after start at which it was submitted.
type steadyRun struct {
	r          *run
	b          *bed
	start      time.Time
	underWay   chan struct{} // holds one for each execution under way while the capacity is measured
	recordFrom atomic.Int64  // what was submitted earlier is not recorded; 0: record nothing
	waits      histogram     // from submit to handler
	completed  atomic.Int64
}

// recorded reports whether something of a moment is recorded.
func (s *steadyRun) recorded(at time.Duration) bool {
	from := s.recordFrom.Load()
	return from > 0 && int64(at) >= from
}

func (s *steadyRun) now() time.Duration { return s.r.clock.Now().Sub(s.start) }

func (s *steadyRun) worker() *worker.Worker {
	w := worker.New(observed{s.b.svc, s.done}, worker.Config{
		Lanes: []flowfabric.LaneID{s.r.lane}, Concurrency: s.r.opts.Workers,
	})
	worker.Handle(w, kind, func(_ context.Context, _ *worker.Task, submitted int64) (struct{}, error) {
		if s.recorded(time.Duration(submitted)) {
			s.waits.add(s.now() - time.Duration(submitted))
		}
		return struct{}{}, nil
	})
	return w
}

func (s *steadyRun) done() {
	s.completed.Add(1)
	select {
	case <-s.underWay:
	default:
	}
}

func (s *steadyRun) submit(ctx context.Context, at time.Duration) error {
	_, err := s.b.svc.Submit(ctx, flowfabric.Submit{Lane: s.r.lane, Kind: kind, Payload: fmt.Append(nil, int64(at))})
	return err
}

// callers runs fn on as many goroutines as there are callers, until each has returned or one has failed.
func (s *steadyRun) callers(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range s.r.opts.Callers {
		wg.Go(func() {
			if err := fn(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// gauge measures the capacity: callers that submit again at once, as long as slots keep up.
func (s *steadyRun) gauge(ctx context.Context) error {
	from := s.now() + s.r.opts.Duration/loadShare
	to := from + s.r.opts.Duration/gaugeShare
	var before atomic.Int64
	var once sync.Once
	err := s.callers(ctx, func(ctx context.Context) error {
		for {
			now := s.now()
			if now >= from {
				once.Do(func() { before.Store(s.completed.Load()) })
			}
			if now >= to {
				return nil
			}
			select {
			case s.underWay <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := s.submit(ctx, now); err != nil {
				return err
			}
		}
	})
	s.r.res.CapacityPerS = perSecond(int(s.completed.Load()-before.Load()), s.now()-from)
	if err != nil {
		return err
	}
	return s.settle(ctx)
}

// settle waits until nothing is under way: until it has every place for itself.
func (s *steadyRun) settle(ctx context.Context) error {
	for range cap(s.underWay) {
		select {
		case s.underWay <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// paced submits at its share of the capacity for the run's duration, while what is finished is removed.
func (s *steadyRun) paced(ctx context.Context) error {
	res, duration := &s.r.res, s.r.opts.Duration
	res.OfferedPerS = max(1, steadyLoad*res.CapacityPerS)
	begin := s.now()
	s.recordFrom.Store(int64(begin + duration/warmUpShare))
	n := int(res.OfferedPerS * duration.Seconds())
	before := s.completed.Load()
	if err := s.r.metered(s.b.db, n, func() error { return s.arrivals(ctx, begin, n) }); err != nil {
		return err
	}
	res.Executions = n
	res.SubmitPerS = float64(n) / res.DurationS
	res.EndToEndPerS = float64(s.completed.Load()-before) / res.DurationS
	ms := func(share float64) float64 { return float64(s.waits.at(share)) / float64(time.Millisecond) }
	res.P50MS, res.P95MS, res.P99MS = ms(.50), ms(.95), ms(.99)
	if res.EndToEndPerS < .98*res.OfferedPerS {
		res.note("the engine did not keep up with what was offered")
	}
	return nil
}

// arrivals submits n executions evenly spaced. A caller that is late counts the wait from when it should have submitted:
// otherwise a stall would keep those from being counted whom it hits.
func (s *steadyRun) arrivals(ctx context.Context, begin time.Duration, n int) error {
	var next atomic.Int64
	return s.callers(ctx, func(ctx context.Context) error {
		for {
			i := next.Add(1) - 1
			if i >= int64(n) {
				return nil
			}
			at := begin + time.Duration(float64(i)/s.r.res.OfferedPerS*float64(time.Second))
			if ahead := at - s.now(); ahead > 0 {
				if !loop.Sleep(ctx, s.r.clock, ahead, nil) {
					return context.Cause(ctx)
				}
				at = s.now() // a timer that is late is not the engine's delay
			}
			if err := s.submit(ctx, at); err != nil {
				return err
			}
		}
	})
}
