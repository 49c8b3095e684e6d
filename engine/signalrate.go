package engine

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// signalRate bounds how often signals may be sent to one waitpoint, so that whoever knows an id, or holds a token, cannot
// keep the store busy with it (chapter 40, FIX-S30). It is the generic cell rate algorithm: of each waitpoint it knows one
// instant, until when the signals so far have used up the rate.
type signalRate struct {
	clock    clock.Clock
	interval time.Duration // between signals in the long run
	burst    time.Duration // how far ahead of that they may be
	seed     maphash.Seed
	mu       struct {
		sync.Mutex
		spent, before map[uint64]time.Time // two generations: what is not used moves to the second, and then out
	}
}

const (
	// signalBurst is for how many seconds' worth of signals may come at once: by default twice what a pending waitpoint keeps.
	signalBurst = 20 * time.Second
	// maxSignalTargets is how many waitpoints a generation has. One is forgotten, and may be sent a burst again, when so many
	// others were sent signals since it was.
	maxSignalTargets = 10_000
)

func newSignalRate(c clock.Clock, perSecond int) *signalRate {
	r := &signalRate{clock: c, interval: time.Second / time.Duration(perSecond), burst: signalBurst, seed: maphash.MakeSeed()}
	r.mu.spent = make(map[uint64]time.Time)
	return r
}

// waitpointTarget is what a signal with a token is sent to.
type waitpointTarget struct {
	execution flowfabric.ExecutionID
	waitpoint flowfabric.WaitpointID
}

// toWaitpoint takes in one signal to a waitpoint, or fails with [flowfabric.ErrResourceExhausted].
func (r *signalRate) toWaitpoint(id flowfabric.ExecutionID, w flowfabric.WaitpointID) error {
	return r.take(maphash.Comparable(r.seed, waitpointTarget{id, w}))
}

// byLink takes in one signal by a link.
func (r *signalRate) byLink(l flowfabric.SignalLink) error {
	return r.take(maphash.Comparable(r.seed, l))
}

func (r *signalRate) take(target uint64) error {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	until, known := r.mu.spent[target]
	if !known {
		until = r.mu.before[target]
	}
	if until.Before(now) {
		until = now
	}
	if wait := until.Add(r.interval).Sub(now) - r.burst; wait > 0 {
		return &flowfabric.Error{
			Code:   flowfabric.CodeResourceExhausted,
			Detail: fmt.Sprintf("too many signals to one waitpoint; try again in %s", wait.Round(time.Millisecond)),
			Attrs:  map[string]string{"pool": "waitpoint_signals", "retry_after_ms": strconv.FormatInt(max(1, wait.Milliseconds()), 10)},
		}
	}
	if !known && len(r.mu.spent) >= maxSignalTargets {
		r.mu.before, r.mu.spent = r.mu.spent, make(map[uint64]time.Time)
	}
	r.mu.spent[target] = until.Add(r.interval)
	return nil
}
