package bench_test

import (
	"os"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/bench"
)

// small is a run of each scenario that takes moments, so that all of them can be passed through.
var small = map[bench.Scenario]bench.Options{
	bench.Submit:     {Executions: 200, Callers: 4},
	bench.Throughput: {Executions: 1000, Workers: 100},
	bench.Latency:    {Executions: 20},
	bench.Backlog:    {Executions: 500, Workers: 100, Backlog: 12_000},
	bench.Idle:       {Workers: 10, Duration: 100 * time.Millisecond},
	bench.Heartbeat:  {Workers: 50, Duration: 100 * time.Millisecond},
	bench.Steady:     {Workers: 8, Callers: 4, Duration: 300 * time.Millisecond},
	bench.Cold:       {Executions: 1},
	bench.Lifecycle:  {Executions: 1000, Workers: 100},
	bench.Chain:      {Executions: 5, Callers: 2},
	bench.Fanout:     {Executions: 2, Bulk: 10},
	bench.Quorum:     {Executions: 2, Bulk: 10},
	bench.Cancel:     {Executions: 2, Bulk: 10},
	bench.Wide:       {Executions: 2, Bulk: 50},
	bench.Signal:     {Executions: 3},
	bench.Steps:      {Executions: 4, Bulk: 5, Workers: 2},
	bench.Usage:      {Executions: 2000, Callers: 50},
	bench.Limits:     {Executions: 1000, Workers: 100},
	bench.Stream:     {Executions: 640, Callers: 4},
	bench.Tails:      {Callers: 20, Duration: 200 * time.Millisecond},
	bench.Events:     {Executions: 1500, Workers: 100},
	bench.Routes:     {Executions: 200, Workers: 10, Duration: 50 * time.Millisecond},
}

// stores are the URLs measured, by the name of the store.
func stores() map[string]string {
	urls := map[string]string{"memory": "memory:", "sqlite": "sqlite:"}
	if url := os.Getenv("FF_PG_TEST_URL"); url != "" {
		urls["postgres"] = url
	}
	return urls
}

// BenchmarkScenario runs every scenario, small, on every store. The command flowfabric bench measures in earnest.
func BenchmarkScenario(b *testing.B) {
	for _, scenario := range bench.Scenarios() {
		if scenario == bench.Remote {
			continue // it needs a program
		}
		for name, url := range stores() {
			b.Run(string(scenario)+"/"+name, func(b *testing.B) {
				o := small[scenario]
				o.Store, o.Scenario, o.AllowUnsafe = url, scenario, true
				var res bench.Result
				for b.Loop() {
					var err error
					if res, err = bench.Run(b.Context(), o); err != nil {
						b.Fatal(err)
					}
				}
				report(b, res)
			})
		}
	}
}

// report adds the figures of the last run.
func report(b *testing.B, res bench.Result) {
	for unit, figure := range map[string]float64{
		"submits/s": res.SubmitPerS, "executions/s": res.EndToEndPerS, "p50-ms": res.P50MS, "p99-ms": res.P99MS,
		"cpu-µs/execution": res.CPUUsPerExecution, "backlog-ratio": res.BacklogRatio, "statements/s": res.StatementsPerS, "frames/s": res.FramesPerS, "events/s": res.EventsPerS,
	} {
		if figure != 0 {
			b.ReportMetric(figure, unit)
		}
	}
}
