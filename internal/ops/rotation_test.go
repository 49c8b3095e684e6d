package ops

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newRotation(weights ...int) *rotation {
	return &rotation{weights: weights, credit: make([]int, len(weights)), out: make([]bool, len(weights))}
}

func anyone(int) bool { return true }

func TestRotation_TurnsAreSpreadOut(t *testing.T) {
	r := newRotation(5, 1, 1)
	var got []int
	for range 7 {
		got = append(got, r.next(anyone))
	}
	if diff := cmp.Diff([]int{0, 0, 1, 0, 2, 0, 0}, got); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
}

func TestRotation_SharesLeaveItAsItIs(t *testing.T) {
	r := newRotation(1, 3)
	if diff := cmp.Diff([]int{2, 2}, r.shares(4, []int{9, 2})); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 0}, r.credit); diff != "" {
		t.Errorf("credit (-want +got):\n%s", diff)
	}
	if got := r.next(func(int) bool { return false }); got != -1 {
		t.Errorf("lane %d had a turn that nobody could take", got)
	}
}

// TestRotation_IsFair: while all contend, every lane has its share of any stretch that is as long as the sum of the
// weights, from whatever standing, once what came before is made up for.
func TestRotation_IsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 20), 1, 8).Draw(t, "weights")
		r := newRotation(weights...)
		total := 0
		for _, w := range weights {
			total += w
		}
		for round := range 3 {
			got := make([]int, len(weights))
			for range total {
				got[r.next(anyone)]++
			}
			if !slices.Equal(got, weights) {
				t.Fatalf("round %d: of %d turns the lanes had %v, their weights are %v", round, total, got, weights)
			}
		}
	})
}

// TestRotation_NoLaneStarves: lanes come, go and have work as they like; one that has work and contends waits no longer
// than it takes the others to spend what they may have saved up.
func TestRotation_NoLaneStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 5).Draw(t, "weights")
		r := newRotation(weights...)
		total := 0
		for _, w := range weights {
			total += w
		}
		waited := 0
		for range rapid.IntRange(100, 400).Draw(t, "turns") {
			busy := rapid.SliceOfN(rapid.Bool(), len(weights), len(weights)).Draw(t, "busy")
			for i := 1; i < len(weights); i++ {
				if r.out[i] = !busy[i]; r.out[i] {
					r.leave(i)
				}
			}
			if waited++; r.next(anyone) == 0 {
				waited = 0
			}
			if most := 2*len(weights)*total/weights[0] + 1; waited > most {
				t.Fatalf("lane 0 of weights %v waited for %d turns, credits are %v", weights, waited, r.credit)
			}
		}
	})
}
