package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// TestSignalRate_TwentySecondsAtOnceThenTheRate: a waitpoint takes twenty seconds' worth at once, and after that the rate; others
// are not concerned.
func TestSignalRate_TwentySecondsAtOnceThenTheRate(t *testing.T) {
	sim := clock.NewSim(time.Unix(1000, 0))
	r := newSignalRate(sim, 100)
	a, b := flowfabric.WaitpointID{1}, flowfabric.WaitpointID{2}
	send := func(w flowfabric.WaitpointID) error { return r.toWaitpoint(flowfabric.ExecutionID{}, w) }
	for i := range 2000 {
		if err := send(a); err != nil {
			t.Fatalf("signal %d of a burst: %v", i, err)
		}
	}
	var e *flowfabric.Error
	if err := send(a); !errors.As(err, &e) || e.Code != "resource_exhausted" || e.Attrs["retry_after_ms"] != "10" {
		t.Fatalf("the 2,001st at once: %v, attributes %v", err, e)
	}
	if err := send(b); err != nil {
		t.Fatalf("another waitpoint: %v", err)
	}
	sim.Advance(9 * time.Millisecond)
	if send(a) == nil {
		t.Fatal("a signal before its time")
	}
	sim.Advance(time.Millisecond)
	if err := send(a); err != nil {
		t.Fatalf("a signal at its time: %v", err)
	}
	if send(a) == nil {
		t.Fatal("two signals in the time of one")
	}
	if err := r.byLink("link"); err != nil {
		t.Fatalf("a link: %v", err)
	}
}

// TestSignalRate_RemembersABoundedNumber: however many waitpoints signals are sent to, one that is still sent signals is not
// forgotten.
func TestSignalRate_RemembersABoundedNumber(t *testing.T) {
	r := newSignalRate(clock.NewSim(time.Unix(1000, 0)), 1)
	send := func(n int) error {
		return r.toWaitpoint(flowfabric.ExecutionID{}, flowfabric.WaitpointID{byte(n), byte(n >> 8), byte(n >> 16)})
	}
	sent := 0
	for n := range 50_000 {
		if err := send(1 + n); err != nil {
			t.Fatal(err)
		}
		if n%5000 == 0 && send(0) == nil {
			sent++
		}
		if known := len(r.mu.spent) + len(r.mu.before); known > 20_000 {
			t.Fatalf("remembers %d waitpoints", known)
		}
	}
	for send(0) == nil {
		sent++
	}
	if sent != 20 {
		t.Fatalf("took %d signals at once at one a second, want 20", sent)
	}
}
