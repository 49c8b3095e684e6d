package engine

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
)

// full is a store whose trims take a while and find so much as they may remove, as long as it says so.
type full struct {
	store.Store
	clock *clock.Sim
	takes time.Duration
	more  bool
}

func (f *full) Trim(_ context.Context, t store.Trim) (store.Trimmed, error) {
	f.clock.Advance(f.takes)
	if f.more {
		return store.Trimmed{Executions: t.Limit}, nil
	}
	return store.Trimmed{Executions: t.Limit - 1}, nil
}

func TestTrimmer_TakesMoreOfAConnectionWhileItIsBehind(t *testing.T) {
	sim := clock.NewSim(time.UnixMilli(1_000_000))
	st := &full{Store: memory.New(memory.Config{}), clock: sim, takes: 10 * time.Millisecond, more: true}
	trim := &trimmer{st: st, clock: sim, events: time.Hour}
	step := func() time.Duration {
		t.Helper()
		rest, err := trim.step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sim.Advance(rest)
		return rest
	}
	if first := step(); first < 8*time.Second || first > 10*time.Second {
		t.Errorf("the first step is after %s, want the last fifth of 10s", first)
	}
	began := sim.Now()
	var rests []time.Duration
	for sim.Now().Sub(began) < time.Minute {
		if rest := step(); len(rests) == 0 || rests[len(rests)-1] != rest {
			rests = append(rests, rest)
		}
	}
	var want []time.Duration
	for ms := 90; ms >= 10; ms -= 10 {
		want = append(want, time.Duration(ms)*time.Millisecond)
	}
	if diff := cmp.Diff(want, rests); diff != "" {
		t.Errorf("rests while it is behind (-want +got):\n%s", diff)
	}

	st.more = false
	for _, most := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		most *= time.Second
		if pause := step(); pause < most*4/5 || pause > most {
			t.Errorf("a pause of %s with nothing left, want the last fifth of %s", pause, most)
		}
	}
	st.more = true
	if rest := step(); rest != 90*time.Millisecond {
		t.Errorf("behind again, it rests %s, want 90ms", rest)
	}
}
