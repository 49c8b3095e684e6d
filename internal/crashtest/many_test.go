package crashtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
)

// Many processes on one database get in each other's way but little: twenty keep seven tenths of the throughput of one.
func TestManyProcesses_KeepTheThroughputOfOne(t *testing.T) {
	beside(t)
	const slots = 200
	processes, work, rounds := either(4, 20), either(2000, 40_000), either(1, 3)
	url := freshPostgres(t)
	st := opened(t, url)
	eng := embedded(t, st)
	var alone, together []float64
	for range rounds {
		alone = append(alone, throughput(t, eng, url, node{Slots: slots, TTL: flowfabric.DefaultLeaseTTL, Count: true}, 1, work))
		together = append(together, throughput(t, eng, url, node{Slots: slots / processes, Conns: 5, TTL: flowfabric.DefaultLeaseTTL, Count: true}, processes, work))
	}
	one, many := median(alone), median(together)
	t.Logf("completed a second: %.0f by one process, %.0f by %d (%.0f %%)", one, many, processes, 100*many/one)
	if soaking() && many < 0.7*one {
		t.Errorf("%d processes keep %.0f %% of the throughput of one: %.0f, %.0f", processes, 100*many/one, alone, together)
	}
	if d := dump(t, st); len(d.Executions) != 2*rounds*work {
		t.Errorf("there are %d executions, want %d", len(d.Executions), 2*rounds*work)
	} else {
		endings(t, d)
	}
}

// throughput starts processes, gives them work when all of them wait for some, and returns how many executions they
// complete a second.
func throughput(t *testing.T, eng *engine.Engine, url string, n node, processes, work int) float64 {
	t.Helper()
	f := &fleet{url: url}
	for range processes {
		f.add(t, n)
	}
	f.awaitReady(t)
	let(t, either(0, time.Second)) // for their claims to be waiting
	begin := wall.Now()
	submitMany(t, eng, work)
	done := 0
	defer func() { t.Logf("%d of %d were completed by %d processes", done, work, processes) }()
	until(t, time.Minute, fmt.Sprintf("%d are completed", work), func() bool {
		_, done = f.totals()
		return done >= work
	})
	took := wall.Now().Sub(begin)
	f.stop(t, func(*process) bool { return true })
	return float64(work) / took.Seconds()
}

// embedded opens an engine in this process.
func embedded(t *testing.T, st store.Store) *engine.Engine {
	t.Helper()
	eng, err := engine.Open(t.Context(), st, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close(t.Context()) })
	return eng
}

func submitMany(t *testing.T, eng *engine.Engine, n int) {
	t.Helper()
	for n > 0 {
		cmds := make([]flowfabric.Submit, min(n, 5000))
		for i := range cmds {
			cmds[i] = flowfabric.Submit{Lane: lane, Kind: "work"}
		}
		if _, err := eng.SubmitMany(t.Context(), cmds); err != nil {
			t.Fatal(err)
		}
		n -= len(cmds)
	}
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
