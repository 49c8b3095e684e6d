package bench

import (
	"fmt"
	"slices"
)

// medians returns the last of the results of the same scenario with the median of every figure. Of an even number it is
// the mean of the two in the middle.
func medians(results []Result) Result {
	res := results[len(results)-1]
	if len(results) == 1 {
		return res
	}
	res.Repeat = len(results)
	for i, figure := range res.figures() {
		values := make([]float64, len(results))
		for j := range results {
			values[j] = *results[j].figures()[i]
		}
		*figure = median(values)
	}
	res.Routing = medianRouting(results)
	res.note(fmt.Sprintf("figures are medians of %d runs, settings and notes those of the last", len(results)))
	return res
}

func medianRouting(results []Result) []RoutingResult {
	modes := slices.Clone(results[len(results)-1].Routing)
	for i := range modes {
		of := func(figure func(RoutingResult) float64) float64 {
			values := make([]float64, len(results))
			for j := range results {
				values[j] = figure(results[j].Routing[i])
			}
			return median(values)
		}
		modes[i].PerS = of(func(m RoutingResult) float64 { return m.PerS })
		modes[i].P50MS = of(func(m RoutingResult) float64 { return m.P50MS })
		modes[i].P99MS = of(func(m RoutingResult) float64 { return m.P99MS })
		modes[i].Share = of(func(m RoutingResult) float64 { return m.Share })
	}
	return modes
}

// median sorts values, of which there is one at least.
func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
