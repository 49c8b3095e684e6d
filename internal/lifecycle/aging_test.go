package lifecycle

import (
	"testing"

	ff "github.com/flowfabric/flowfabric"
)

// TestW35_WaitingRaisesThePlaceInTheClaimOrder: by a step for every whole period, up to the highest priority, and at the
// instants the due time names.
func TestW35_WaitingRaisesThePlaceInTheClaimOrder(t *testing.T) {
	e := Submit(&ff.Submit{ID: execID, Priority: 8_000, Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 1000, Step: 400}}}, t0)
	for _, c := range []struct {
		at         ff.Timestamp
		boost      int
		due        ff.Timestamp
		unmodified bool
	}{
		{t0, 0, t0 + 1000, true},
		{t0 + 999, 0, t0 + 1000, true},
		{t0 + 1000, 400, t0 + 2000, false},
		{t0 + 2999, 800, t0 + 3000, false},
		{t0 + 3000, 1000, 0, false}, // not 1200
		{t0 + 9_000_000, 1000, 0, true},
	} {
		ch, err := Tick(e, nil, c.at)
		noError(t, err)
		if (ch.Execution == nil) != c.unmodified {
			t.Errorf("at %d it is written: %t", c.at, ch.Execution != nil)
		}
		if ch.Execution != nil {
			e = ch.Execution
		}
		if e.Boost != c.boost || e.DueAt != c.due || e.Priority != 8_000 || e.LastMutationAt != t0 {
			t.Errorf("at %d the boost is %d, due at %d, priority %d", c.at, e.Boost, e.DueAt, e.Priority)
		}
	}
	ch, _, err := ChangePriority(e, &ff.ChangePriority{NewPriority: 7_000}, t0+3_500)
	noError(t, err)
	if n := ch.Execution; n.Boost != 1200 || n.DueAt != t0+4_000 {
		t.Errorf("after a change of the priority the boost is %d, due at %d", n.Boost, n.DueAt)
	}
	claimed, err := Claim(ch.Execution, grant, t0+3_600)
	noError(t, err)
	if n := claimed.Execution; n.Boost != 0 {
		t.Errorf("claimed, the boost is %d", n.Boost)
	}
	lost, err := Tick(claimed.Execution, nil, t0+33_600)
	noError(t, err)
	if n := lost.Execution; !n.Ready || n.Boost != 0 || n.DueAt != t0+34_600 {
		t.Errorf("when its worker was lost: ready %t, boost %d, due at %d", n.Ready, n.Boost, n.DueAt)
	}
}
