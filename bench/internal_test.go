package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
