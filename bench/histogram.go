package bench

import (
	"math"
	"sync/atomic"
	"time"
)

// histogram counts times in a fixed amount of memory, because a run that looks for growth must not grow itself. Its
// buckets are 2 % apart, from 10 µs to about 5 minutes; what is outside counts as that. It is safe for concurrent use.
type histogram struct {
	counts [880]atomic.Int64
}

const (
	histogramLeast = 10 * time.Microsecond
	histogramStep  = 1.02
)

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > histogramLeast {
		i = int(math.Log(float64(d)/float64(histogramLeast)) / math.Log(histogramStep))
	}
	h.counts[min(i, len(h.counts)-1)].Add(1)
}

// at returns a percentile by nearest rank, within 1 %; 0 of nothing.
func (h *histogram) at(share float64) time.Duration {
	var total int64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	rank, seen := int64(math.Ceil(share*float64(total))), int64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank && rank > 0 {
			return time.Duration(float64(histogramLeast) * math.Pow(histogramStep, float64(i)+.5))
		}
	}
	return 0
}
