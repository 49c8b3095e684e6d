package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// sizes are how much a round does.
type sizes struct {
	submits int // by one caller, and by 16
	bulk    int // in calls of bulkCall
	jobs    int // drained by each number of slots
	idle    int // submitted one at a time to idle workers
	limit   time.Duration
}

const bulkCall = 1000

// slots are the numbers of slots of a drain.
var slots = []int{16, 100, 2000}

// figures are what a round measures, by column.
type figures map[column]float64

// column names a figure.
type column string

// Columns of the table: a second, but for the last two.
const (
	submitOne  column = "submit, 1 caller"
	submitMany column = "submit, 16 callers"
	submitBulk column = "bulk of 1,000"
	cpuPerJob  column = "CPU a job, µs"
	latency    column = "latency p50, ms"
)

func drainOf(slots int) column { return column(fmt.Sprintf("drain, %d slots", slots)) }

var columns = []column{submitOne, submitMany, submitBulk, drainOf(16), drainOf(100), drainOf(2000), cpuPerJob, latency}

// errTooSlow ends a drain that takes too long to wait for.
var errTooSlow = errors.New("not done in time")

// measure runs one round of one peer, each part on a database of its own.
func measure(ctx context.Context, e entrant, n sizes) (figures, error) {
	f := make(figures)
	parts := []func(context.Context, peer, figures, sizes) error{measureSubmits, measureLatency}
	for _, s := range slots {
		parts = append(parts, func(ctx context.Context, p peer, f figures, n sizes) error { return measureDrain(ctx, p, f, n, s) })
	}
	for _, part := range parts {
		if err := withPeer(ctx, e, func(p peer) error { return part(ctx, p, f, n) }); err != nil {
			return f, fmt.Errorf("%s on %s: %w", e.name, e.store, err)
		}
	}
	return f, nil
}

func withPeer(ctx context.Context, e entrant, fn func(peer) error) error {
	if e.needs == postgresURL {
		ctx = context.WithValue(ctx, onPostgres{}, true)
	}
	p, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	return fn(p)
}

func measureSubmits(ctx context.Context, p peer, f figures, n sizes) error {
	for callers, name := range map[int]column{1: submitOne, 16: submitMany} {
		per := n.submits * min(callers, 4) / callers
		took, err := timed(func() error {
			return sideBySide(callers, func() error {
				for range per {
					if err := p.Submit(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		f[name] = float64(per*callers) / took.Seconds()
	}
	took, err := timed(func() error { return preload(ctx, p, n.bulk, false) })
	if errors.Is(err, errUnsupported) {
		return nil
	}
	f[submitBulk] = float64(n.bulk) / took.Seconds()
	return err
}

// preload submits jobs in bulk or, if the peer cannot and may, by 16 callers.
func preload(ctx context.Context, p peer, n int, singly bool) error {
	for done := 0; done < n; done += bulkCall {
		err := p.SubmitMany(ctx, min(bulkCall, n-done))
		if errors.Is(err, errUnsupported) && singly {
			return sideBySide(16, func() error {
				for range n / 16 {
					if err := p.Submit(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// measureDrain runs jobs that are there before the first slot is, to the last and until the peer has written that.
func measureDrain(ctx context.Context, p peer, f figures, n sizes, slots int) error {
	total := n.jobs / 16 * 16
	if err := preload(ctx, p, total, true); err != nil {
		return err
	}
	var done atomic.Int64
	all := make(chan struct{})
	cpu := machine.ProcessCPU() + p.CPU()
	inTime := true
	took, err := timed(func() error {
		stop, err := p.Start(ctx, slots, func() {
			if done.Add(1) == int64(total) {
				close(all)
			}
		})
		if err != nil {
			return err
		}
		limit := clock.Real().NewTimer(n.limit)
		defer limit.Stop()
		select {
		case <-all:
		case <-limit.C:
			inTime = false
		}
		stop()
		return nil
	})
	if err != nil {
		return err
	}
	if done.Load() == 0 {
		return fmt.Errorf("drain with %d slots: %w", slots, errTooSlow)
	}
	ran := min(done.Load(), int64(total))
	f[drainOf(slots)] = float64(ran) / took.Seconds()
	if slots == 100 && inTime {
		f[cpuPerJob] = float64((machine.ProcessCPU() + p.CPU() - cpu).Microseconds()) / float64(ran)
	}
	return nil
}

// measureLatency submits a job at a time to workers that have nothing else to do.
func measureLatency(ctx context.Context, p peer, f figures, n sizes) error {
	began := make(chan time.Time, 1)
	stop, err := p.Start(ctx, 16, func() { began <- clock.Real().Now() })
	if err != nil {
		return err
	}
	defer stop()
	var times []time.Duration
	for range n.idle {
		from := clock.Real().Now()
		if err := p.Submit(ctx); err != nil {
			return err
		}
		times = append(times, (<-began).Sub(from))
	}
	slices.Sort(times)
	f[latency] = float64(times[len(times)/2].Microseconds()) / 1000
	return nil
}

func timed(fn func() error) (time.Duration, error) {
	from := clock.Real().Now()
	err := fn()
	return clock.Real().Now().Sub(from), err
}

// sideBySide runs fn in n goroutines and returns the first error.
func sideBySide(n int, fn func() error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
