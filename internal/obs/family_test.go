package obs

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCounter_ValuesBeyondTheCapAreOther(t *testing.T) {
	m := New()
	for i := range 70 {
		m.Created.Inc(fmt.Sprintf("lane-%02d", i))
	}
	m.Created.Inc("lane-63") // of its own still
	m.Created.Inc("lane-64")
	got := map[string]float64{}
	for _, s := range m.Created.Series() {
		got[s.Labels[0]] = s.Value
	}
	if len(got) != 65 || got["lane-00"] != 1 || got["lane-63"] != 2 || got[Other] != 7 {
		t.Errorf("%d series; lane-63 %v, other %v", len(got), got["lane-63"], got[Other])
	}
}

func TestCounter_ClosedLabelsBeginAtZero(t *testing.T) {
	want := []Series{{Labels: []string{"concurrency"}}, {Labels: []string{"rate"}}}
	if diff := cmp.Diff(want, New().QuotaHits.Series()); diff != "" {
		t.Error(diff)
	}
}

// TestHistogram_ABoundIsOfItsBucket: bounds are upper ones, and inclusive.
func TestHistogram_ABoundIsOfItsBucket(t *testing.T) {
	m := New()
	for _, d := range []time.Duration{-time.Second, time.Millisecond, time.Millisecond + 1, 10 * time.Second, 10*time.Second + 1} {
		m.ClaimDuration.Observe(d, "mail")
	}
	s := m.ClaimDuration.Series()[0]
	want := []uint64{2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4} // 1 ms, 2.5 ms, … 10 s
	if diff := cmp.Diff(want, s.Buckets); diff != "" || s.Count != 5 || s.Sum < 20.002 || s.Sum > 20.0021 {
		t.Errorf("count %d, sum %v, buckets %s", s.Count, s.Sum, diff)
	}
}

func TestMetrics_BucketsAreThoseOfTheSpecification(t *testing.T) {
	m := New()
	for _, c := range []struct {
		h           *Histogram
		first, last float64
	}{{m.HTTPDuration, 0.001, 10}, {m.ClaimDuration, 0.001, 10}, {m.OpDuration, 0.001, 10}, {m.ScannerDuration, 0.001, 60}} {
		b := c.h.Def().Buckets
		if b[0] != c.first || b[len(b)-1] != c.last {
			t.Errorf("%s: %v", c.h.Def().Name, b)
		}
	}
}

// TestMetrics_OfNobodyCostNothing: neither a nil one nor one that is there allocates when something is recorded.
func TestMetrics_OfNobodyCostNothing(t *testing.T) {
	for name, m := range map[string]*Metrics{"none": (*Metrics)(nil).OrNone(), "some": New()} {
		record := func() {
			m.Created.Inc("mail")
			m.Latency.Observe(time.Second, "mail", "run")
			m.TasksInFlight.Add(1)
			m.LeaseRenewals.Inc(OK)
		}
		record()
		if n := testing.AllocsPerRun(100, record); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestMetrics_ConcurrentUse(t *testing.T) {
	m := New()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 1000 {
				m.Created.Inc(fmt.Sprintf("lane-%02d", (i*1000+j)%80))
				m.TasksInFlight.Add(1)
				if j%100 == 0 {
					m.Created.Series()
				}
			}
		})
	}
	group.Wait()
	total := 0.0
	for _, s := range m.Created.Series() {
		total += s.Value
	}
	if total != 8000 || m.TasksInFlight.Series()[0].Value != 8000 {
		t.Errorf("%v counted, %v in flight", total, m.TasksInFlight.Series()[0].Value)
	}
}

func BenchmarkCounter(b *testing.B) {
	m := New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.AttemptOutcomes.Inc("mail", OK)
		}
	})
}

func BenchmarkHistogram(b *testing.B) {
	m := New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Latency.Observe(time.Millisecond, "mail", "run")
		}
	})
}
