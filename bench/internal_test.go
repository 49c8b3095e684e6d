package bench

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
)

func TestPercentiles_NearestRank(t *testing.T) {
	var times []time.Duration
	for i := 200; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	var res Result
	res.percentiles(times)
	if diff := cmp.Diff([]float64{100, 190, 198}, []float64{res.P50MS, res.P95MS, res.P99MS}); diff != "" {
		t.Error(diff)
	}
	res.percentiles([]time.Duration{3 * time.Millisecond})
	if diff := cmp.Diff([]float64{3, 3, 3}, []float64{res.P50MS, res.P95MS, res.P99MS}); diff != "" {
		t.Error(diff)
	}
}

func TestHistogram_PercentilesWithinOnePercent(t *testing.T) {
	var h histogram
	if got := h.at(.5); got != 0 {
		t.Errorf("median of nothing = %v; want 0", got)
	}
	for i := 200; i > 0; i-- {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for share, want := range map[float64]float64{.50: 100, .95: 190, .99: 198, .001: 1} {
		if got := h.at(share).Seconds() * 1000; math.Abs(got-want) > .0101*want {
			t.Errorf("at(%v) = %v ms; want %v within 1%%", share, got, want)
		}
	}
}

func TestHistogram_TimesOutsideCountAsTheEnds(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, time.Hour} {
		h.add(d)
	}
	if got := h.at(.75); got < 9*time.Microsecond || got > 11*time.Microsecond {
		t.Errorf("three quarters took up to %v; want 10µs", got)
	}
	if got := h.at(1); got < 5*time.Minute || got > 10*time.Minute {
		t.Errorf("the longest = %v; want the last bucket", got)
	}
}

func TestPerMinute_SlopeOfTheNearestLine(t *testing.T) {
	for name, c := range map[string]struct {
		points []point
		want   float64
	}{
		"none":       {nil, 0},
		"one":        {[]point{{1, 5}}, 0},
		"constant":   {[]point{{0, 7}, {1, 7}, {2, 7}}, 0},
		"rising":     {[]point{{10, 100}, {20, 110}, {30, 120}}, 60},
		"falling":    {[]point{{0, 10}, {2, 6}}, -120},
		"with noise": {[]point{{0, 0}, {1, 3}, {2, 0}, {3, 3}}, 36}, // by hand: Σ(t−1.5)(b−1.5) = 3 over Σ(t−1.5)² = 5
	} {
		if got := perMinute(c.points); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v bytes/min; want %v", name, got, c.want)
		}
	}
}

func TestGrowth_NamesTheTablesThatGrewMost(t *testing.T) {
	start := time.Unix(0, 0)
	g := newGrowth(start)
	for i, at := range []time.Time{start, start.Add(30 * time.Second)} {
		n := int64(i)
		g.add(at, "a", 1e6*n)
		g.add(at, "b", 3e6*n)
		g.add(at, "c", 2e6*n)
		g.add(at, "shrinks", 5e6-1e6*n)
		g.add(at, tablesSize, 6e6*n)
		g.add(at, heapSize, 9e6*n)
	}
	if got, want := g.fastest(2), "b 6.00 MB/min, c 4.00 MB/min"; got != want {
		t.Errorf("fastest = %q; want %q", got, want)
	}
	var res Result
	g.tell(&res)
	if diff := cmp.Diff([]float64{6e6, 12e6, 9e6, 18e6, 0, 0}, []float64{
		res.TableBytes, res.TableGrowth, res.HeapBytes, res.HeapGrowth, res.RSSBytes, res.RSSGrowth,
	}); diff != "" {
		t.Error(diff)
	}
}

func TestMedians_EveryFigureForItself(t *testing.T) {
	got := medians([]Result{
		{Executions: 7, SubmitPerS: 30, P99MS: 1, Routing: []RoutingResult{{Mode: "happy", PerS: 9, Share: 1}}},
		{Executions: 7, SubmitPerS: 10, P99MS: 3, Routing: []RoutingResult{{Mode: "happy", PerS: 7, Share: .5}}},
		{Executions: 7, SubmitPerS: 20, P99MS: 2, Routing: []RoutingResult{{Mode: "happy", PerS: 8, Share: 1}}},
	})
	want := Result{
		Executions: 7, SubmitPerS: 20, P99MS: 2, Repeat: 3, Routing: []RoutingResult{{Mode: "happy", PerS: 8, Share: 1}},
		Notes: []string{"figures are medians of 3 runs, settings and notes those of the last"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := medians([]Result{{SubmitPerS: 1}, {SubmitPerS: 2}}).SubmitPerS; got != 1.5 {
		t.Errorf("median of 1 and 2 = %v; want 1.5", got)
	}
	if diff := cmp.Diff(Result{SubmitPerS: 5}, medians([]Result{{SubmitPerS: 5}})); diff != "" {
		t.Error(diff)
	}
}

// refusing renews all leases but the first of each call.
type refusing struct{ flowfabric.Service }

func (refusing) RenewMany(_ context.Context, cmds []flowfabric.Renew) ([]flowfabric.RenewResult, error) {
	results := make([]flowfabric.RenewResult, len(cmds))
	results[0].Err = errors.New("refused")
	return results, nil
}

func TestHolding_CountsWhatIsRenewedOnceAllAreHeld(t *testing.T) {
	h := &holding{Service: refusing{}, most: 3}
	for held, want := range map[int64]int64{2: 0, 3: 2} {
		h.held.Store(held)
		h.renewed.Store(0)
		if _, err := h.RenewMany(t.Context(), make([]flowfabric.Renew, 3)); err != nil {
			t.Fatal(err)
		}
		if got := h.renewed.Load(); got != want {
			t.Errorf("with %d held: %d counted; want %d", held, got, want)
		}
	}
}
