package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/bench/internal/place"
)

// growth follows sizes over time, each by its name.
type growth struct {
	start  time.Time
	series map[string][]point
}

// point is a size in bytes at a time.
type point struct{ seconds, bytes float64 }

// Names of sizes that are no table's.
const (
	residentSize = "resident memory"
	heapSize     = "heap"
	tablesSize   = "all tables"
)

func newGrowth(start time.Time) *growth {
	return &growth{start: start, series: make(map[string][]point)}
}

// sample adds what is in use now.
func (g *growth) sample(ctx context.Context, p place.Place, now time.Time) error {
	tables, err := p.Sizes(ctx)
	if err != nil {
		return fmt.Errorf("read the sizes: %w", err)
	}
	g.add(now, residentSize, machine.ResidentBytes())
	g.add(now, heapSize, liveHeap())
	var sum int64
	for name, bytes := range tables {
		g.add(now, name, bytes)
		sum += bytes
	}
	if tables != nil {
		g.add(now, tablesSize, sum)
	}
	return nil
}

func (g *growth) add(now time.Time, name string, bytes int64) {
	g.series[name] = append(g.series[name], point{now.Sub(g.start).Seconds(), float64(bytes)})
}

// liveHeap is what the last collection of garbage found in use.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64()) //nolint:gosec // a heap is smaller than 2^63
}

// perMinute is the slope of the straight line nearest to the points (least squares), in bytes per minute; 0 of fewer
// than two.
func perMinute(points []point) float64 {
	var t, b float64
	for _, p := range points {
		t, b = t+p.seconds, b+p.bytes
	}
	n := float64(len(points))
	var up, down float64
	for _, p := range points {
		up += (p.seconds - t/n) * (p.bytes - b/n)
		down += (p.seconds - t/n) * (p.seconds - t/n)
	}
	if down == 0 {
		return 0
	}
	return 60 * up / down
}

// tell adds to a result the last sizes and how fast they grew.
func (g *growth) tell(res *Result) {
	res.RSSBytes, res.RSSGrowth = g.figures(residentSize)
	res.HeapBytes, res.HeapGrowth = g.figures(heapSize)
	res.TableBytes, res.TableGrowth = g.figures(tablesSize)
	if text := g.fastest(3); text != "" {
		res.note("tables that grew most: " + text)
	}
}

func (g *growth) figures(name string) (last, slope float64) {
	points := g.series[name]
	if len(points) == 0 {
		return 0, 0
	}
	return points[len(points)-1].bytes, perMinute(points)
}

// fastest names up to n tables that grew, the fastest first.
func (g *growth) fastest(n int) string {
	var list []string
	names := slices.SortedFunc(maps.Keys(g.series), func(a, b string) int {
		return cmp.Compare(perMinute(g.series[b]), perMinute(g.series[a]))
	})
	for _, name := range names {
		isTable := name != residentSize && name != heapSize && name != tablesSize
		if slope := perMinute(g.series[name]); isTable && slope > 0 && len(list) < n {
			list = append(list, fmt.Sprintf("%s %.2f MB/min", name, slope/1e6))
		}
	}
	return strings.Join(list, ", ")
}
