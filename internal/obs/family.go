package obs

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kind says what a metric is.
type Kind string

// Kinds.
const (
	KindCounter   Kind = "counter"
	KindGauge     Kind = "gauge"
	KindHistogram Kind = "histogram"
)

// Other is what stands for the values of a label that came when there were too many.
const Other = "other"

// DefaultCap is how many values a label has of its own unless it says otherwise.
const DefaultCap = 64

// maxLabels is the most labels a metric has.
const maxLabels = 3

// Label is a label of a metric. No label holds an id.
type Label struct {
	Name string
	// Values is the closed set of its values; nil for one whose values come from outside. Of those the first Cap are
	// values of their own, the rest [Other].
	Values []string
	Cap    int
}

// Def is what a metric is.
type Def struct {
	Name, Help string
	Kind       Kind
	Labels     []Label
	Buckets    []float64 // of a histogram: upper bounds, seconds, ascending
}

// Series is a metric with the values of its labels.
type Series struct {
	Labels []string // in the order of Def.Labels
	Value  float64  // of a counter or gauge
	// Of a histogram: how many observations are at or below each bucket's bound, how many there are, and their sum.
	Buckets []uint64
	Count   uint64
	Sum     float64
}

// family holds the series of a metric. Reading one takes no lock.
type family[C any] struct {
	def   Def
	fresh func() *C
	cells atomic.Pointer[map[labels]*C]
	known [maxLabels]atomic.Pointer[map[string]bool] // values of labels that are not closed

	mu sync.Mutex // of writers of cells and known
}

type labels [maxLabels]string

func (f *family[C]) init(def Def, fresh func() *C) {
	f.def, f.fresh = def, fresh
	f.cells.Store(&map[labels]*C{})
	for i := range def.Labels {
		f.known[i].Store(&map[string]bool{})
	}
}

// cell returns the cell of a series, which it makes if it is the first.
func (f *family[C]) cell(key labels) *C {
	if c, ok := (*f.cells.Load())[key]; ok { // its values are known, or it would not be there
		return c
	}
	for i := range f.def.Labels {
		if f.def.Labels[i].Values == nil {
			key[i] = f.value(i, key[i])
		}
	}
	if c, ok := (*f.cells.Load())[key]; ok {
		return c
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := *f.cells.Load()
	if c, ok := old[key]; ok {
		return c
	}
	next := maps.Clone(old)
	next[key] = f.fresh()
	f.cells.Store(&next)
	return next[key]
}

// value returns what a value of a label counts as.
func (f *family[C]) value(i int, v string) string {
	known := *f.known[i].Load()
	limit := f.def.Labels[i].Cap
	if limit == 0 {
		limit = DefaultCap
	}
	switch {
	case known[v]:
		return v
	case len(known) >= limit:
		return Other
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known = *f.known[i].Load()
	if !known[v] {
		if len(known) >= limit {
			return Other
		}
		next := maps.Clone(known)
		next[v] = true
		f.known[i].Store(&next)
	}
	return v
}

// each calls visit for every series, in order of labels.
func (f *family[C]) each(visit func(values []string, c *C)) {
	cells := *f.cells.Load()
	keys := slices.SortedFunc(maps.Keys(cells), func(a, b labels) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		visit(slices.Clone(key[:len(f.def.Labels)]), cells[key])
	}
}

// Counter is a metric that counts. The zero value of its pointer counts nothing.
type Counter struct{ family[atomic.Uint64] }

// zero makes the series of a counter whose labels are all closed: they are there, and 0, so that the first increase is seen.
func (c *Counter) zero(key labels, i int) {
	if i == len(c.def.Labels) {
		c.cell(key)
		return
	}
	for _, v := range c.def.Labels[i].Values {
		key[i] = v
		c.zero(key, i+1)
	}
}

// Inc adds one to the series with these values of labels, as many as the metric has.
func (c *Counter) Inc(values ...string) { c.Add(1, values...) }

// Add adds n.
func (c *Counter) Add(n uint64, values ...string) {
	if c == nil || n == 0 {
		return
	}
	c.cell(keyOf(values)).Add(n)
}

func keyOf(values []string) (key labels) {
	copy(key[:], values)
	return key
}

// Def returns what the metric is.
func (c *Counter) Def() Def { return c.def }

// Series returns what was counted.
func (c *Counter) Series() (list []Series) {
	c.each(func(values []string, n *atomic.Uint64) {
		list = append(list, Series{Labels: values, Value: float64(n.Load())})
	})
	return list
}

// Gauge is a metric that goes up and down.
type Gauge struct{ family[atomic.Uint64] } // bits of a float64

// Set sets the series with these values of labels.
func (g *Gauge) Set(v float64, values ...string) {
	if g != nil {
		g.cell(keyOf(values)).Store(math.Float64bits(v))
	}
}

// Add adds v, which may be negative.
func (g *Gauge) Add(v float64, values ...string) {
	if g == nil {
		return
	}
	c := g.cell(keyOf(values))
	for {
		old := c.Load()
		if c.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// reset forgets all series.
func (g *Gauge) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cells.Store(&map[labels]*atomic.Uint64{})
}

// Def returns what the metric is.
func (g *Gauge) Def() Def { return g.def }

// Series returns what was set.
func (g *Gauge) Series() (list []Series) {
	g.each(func(values []string, c *atomic.Uint64) {
		list = append(list, Series{Labels: values, Value: math.Float64frombits(c.Load())})
	})
	return list
}

// Histogram is a metric of times.
type Histogram struct{ family[bins] }

// bins are the counts of a histogram's buckets and beyond the last, and the sum of what was observed, in nanoseconds.
type bins struct {
	counts []atomic.Uint64
	sum    atomic.Int64
}

// Observe notes that something took d; less than nothing counts as nothing.
func (h *Histogram) Observe(d time.Duration, values ...string) {
	if h == nil {
		return
	}
	d = max(d, 0)
	c := h.cell(keyOf(values))
	i, s := 0, d.Seconds()
	for i < len(h.def.Buckets) && s > h.def.Buckets[i] {
		i++
	}
	c.counts[i].Add(1)
	c.sum.Add(int64(d))
}

// Def returns what the metric is.
func (h *Histogram) Def() Def { return h.def }

// Series returns what was observed.
func (h *Histogram) Series() (list []Series) {
	h.each(func(values []string, c *bins) {
		s := Series{Labels: values, Sum: time.Duration(c.sum.Load()).Seconds()}
		for i := range c.counts {
			s.Count += c.counts[i].Load()
			if i < len(h.def.Buckets) {
				s.Buckets = append(s.Buckets, s.Count)
			}
		}
		list = append(list, s)
	})
	return list
}

// Metric is a [Counter], [Gauge] or [Histogram].
type Metric interface {
	Def() Def
	Series() []Series
}
