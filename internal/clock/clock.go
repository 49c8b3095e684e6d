// Package clock is the one room in which the wall clock is read. Everything else takes a [Clock], so that tests own the
// time.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and makes timers. It is safe for concurrent use.
type Clock interface {
	// Now returns the current time, with a monotonic reading where there is one.
	Now() time.Time
	// NewTimer returns a timer that fires once, d from now.
	NewTimer(d time.Duration) *Timer
}

// Timer fires once on C. Stop keeps it from firing if it has not; it may be called again.
type Timer struct {
	C    <-chan time.Time
	stop func() bool
}

// Stop releases the timer.
func (t *Timer) Stop() { t.stop() }

// Real is the clock of the machine.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) NewTimer(d time.Duration) *Timer {
	t := time.NewTimer(d)
	return &Timer{C: t.C, stop: t.Stop}
}

// Sim is a clock that stands still until it is told to advance.
type Sim struct {
	mu struct {
		sync.Mutex
		now    time.Time
		timers map[*simTimer]struct{}
	}
}

type simTimer struct {
	at time.Time
	c  chan time.Time
}

// NewSim returns a simulated clock that starts at start.
func NewSim(start time.Time) *Sim {
	s := &Sim{}
	s.mu.now = start
	s.mu.timers = make(map[*simTimer]struct{})
	return s
}

// Now returns the simulated time.
func (s *Sim) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.now
}

// NewTimer returns a timer that fires when Advance passes its instant. One that is due already fires at once.
func (s *Sim) NewTimer(d time.Duration) *Timer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &simTimer{at: s.mu.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- s.mu.now
	} else {
		s.mu.timers[t] = struct{}{}
	}
	return &Timer{C: t.c, stop: func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, waiting := s.mu.timers[t]
		delete(s.mu.timers, t)
		return waiting
	}}
}

// Advance moves the clock forward and fires what became due.
func (s *Sim) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.now = s.mu.now.Add(d)
	for t := range s.mu.timers {
		if !t.at.After(s.mu.now) {
			delete(s.mu.timers, t)
			t.c <- s.mu.now
		}
	}
}
