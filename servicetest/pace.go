package servicetest

import (
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// begin is where every test's clock begins.
const begin flowfabric.Timestamp = 1_700_000_000_000

// pace is the clock of a test, its engines and its store. Time stands still until the test moves it.
//
// A loop that computes how long to sleep from an instant, and sleeps after the test has moved the clock, would sleep too
// long; in real time that costs nothing, here it would be for ever. So the timers of the loops, which are short, can be
// made to fire without moving the clock: a loop that is woken early looks again.
type pace struct {
	*clock.Sim
	loops *clock.Sim // carries the timers of up to loopPause
	mu    struct {
		sync.Mutex
		timers map[time.Duration]int // how many were made of each length
	}
}

// loopPause is the longest pause of the engine's loops; tests wait for longer.
const loopPause = 1500 * time.Millisecond

func newPace() *pace {
	p := &pace{Sim: clock.NewSim(begin.Time()), loops: clock.NewSim(begin.Time())}
	p.mu.timers = make(map[time.Duration]int)
	return p
}

// NewTimer implements [clock.Clock].
func (p *pace) NewTimer(d time.Duration) *clock.Timer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.timers[d]++
	if d <= loopPause {
		return p.loops.NewTimer(d)
	}
	return p.Sim.NewTimer(d)
}

// made is how many timers of a length were made.
func (p *pace) made(d time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.timers[d]
}

// nudge makes the loops look.
func (p *pace) nudge() { p.loops.Advance(loopPause) }

// now is the storage clock.
func (p *pace) now() flowfabric.Timestamp { return flowfabric.TimestampOf(p.Now()) }
