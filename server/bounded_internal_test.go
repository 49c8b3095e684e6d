package server

import (
	"slices"
	"testing"
	"time"
)

func TestBounded_KeepsTheLastThatWereUsed(t *testing.T) {
	b := bounded[int, int]{most: 3}
	most := 0
	for i := range 100 {
		b.put(i, -i)
		if v, ok := b.get(0); !ok || v != 0 { // used again and again
			t.Fatalf("after %d entries the one that is used is gone", i+1)
		}
		most = max(most, len(b.young)+len(b.old))
	}
	if most > 6 {
		t.Errorf("it had %d entries, want at most 6", most)
	}
	for i, want := range map[int]bool{0: true, 50: false, 98: true, 99: true} {
		if _, ok := b.get(i); ok != want {
			t.Errorf("entry %d: %v, want %v", i, ok, want)
		}
	}
	b.drop(99)
	if _, ok := b.get(99); ok {
		t.Error("what was dropped is still there")
	}
}

func TestBucket_FillsUpAgainAndNoFurther(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := bucket{rate: 2, most: 4}
	taken := func() (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	got := []int{taken()}
	for _, pause := range []time.Duration{time.Second, 250 * time.Millisecond, 250 * time.Millisecond, time.Hour} {
		now = now.Add(pause)
		got = append(got, taken())
	}
	if want := []int{4, 2, 0, 1, 4}; !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
}
