package bench_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/bench"
	"github.com/flowfabric/flowfabric/internal/backend"
)

func TestRun_RefusesOptionsOutOfBounds(t *testing.T) {
	for name, o := range map[string]bench.Options{
		"no scenario":      {Store: "memory:"},
		"unknown scenario": {Store: "memory:", Scenario: "speed"},
		"executions":       {Store: "memory:", Scenario: bench.Submit, Executions: -1},
		"workers":          {Store: "memory:", Scenario: bench.Throughput, Workers: 10_001},
		"callers":          {Store: "memory:", Scenario: bench.Submit, Callers: 10_001},
		"bulk":             {Store: "memory:", Scenario: bench.Submit, Bulk: 10_001},
		"backlog":          {Store: "memory:", Scenario: bench.Backlog, Backlog: 9_999},
		"payload":          {Store: "memory:", Scenario: bench.Submit, PayloadBytes: 1},
		"short":            {Store: "memory:", Scenario: bench.Idle, Duration: 10*time.Millisecond - 1},
		"long":             {Store: "memory:", Scenario: bench.Idle, Duration: 24*time.Hour + 1},
		"repeat":           {Store: "memory:", Scenario: bench.Submit, Repeat: 101},
		"cold, served":     {Store: "memory:", Scenario: bench.Cold, Program: "flowfabric"},
		"events of others": {Store: "http://127.0.0.1:1", Scenario: bench.Events},
		"no server":        {Store: "sqlite:", Scenario: bench.Remote},
		"two engines":      {Store: "memory:", Scenario: bench.Remote, Program: "flowfabric"},
	} {
		if _, err := bench.Run(t.Context(), o); !errors.Is(err, bench.ErrOptions) {
			t.Errorf("%s: Run = %v; want %v", name, err, bench.ErrOptions)
		}
	}
}

func TestRun_RefusesWhatIsNoStore(t *testing.T) {
	_, err := bench.Run(t.Context(), bench.Options{Store: "mysql:", Scenario: bench.Submit})
	if !errors.Is(err, backend.ErrURL) {
		t.Errorf("Run = %v; want %v", err, backend.ErrURL)
	}
}

func TestRun_ReportsWhatItMeasured(t *testing.T) {
	for _, scenario := range bench.Scenarios() {
		if !(bench.Options{Store: "memory:"}).Measures(scenario) {
			continue
		}
		t.Run(string(scenario), func(t *testing.T) {
			o := small[scenario]
			o.Store, o.Scenario = "memory:", scenario
			res, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if res.Scenario != scenario || res.Store != "memory" || res.Durable || res.DurationS <= 0 || res.GOMAXPROCS < 1 {
				t.Errorf("result = %+v", res)
			}
			for figure, want := range map[string]bool{
				"submit_per_s":     scenario == bench.Submit || scenario == bench.Throughput || scenario == bench.Backlog || scenario == bench.Lifecycle || scenario == bench.Steady || scenario == bench.Limits,
				"end_to_end_per_s": scenario == bench.Throughput || scenario == bench.Backlog || scenario == bench.Lifecycle || scenario == bench.Routes || scenario == bench.Steady || scenario == bench.Limits,
				"routing":          scenario == bench.Routes,
				"percentiles": scenario == bench.Submit || scenario == bench.Latency || scenario == bench.Cold || scenario == bench.Steady ||
					slices.Contains([]bench.Scenario{bench.Chain, bench.Fanout, bench.Quorum, bench.Cancel, bench.Wide, bench.Signal, bench.Steps, bench.Stream, bench.Tails}, scenario),
				"reports_per_s":  scenario == bench.Usage,
				"limits_ratio":   scenario == bench.Limits,
				"frames_per_s":   scenario == bench.Stream,
				"events_per_s":   scenario == bench.Events,
				"flows_per_s":    scenario == bench.Chain || scenario == bench.Fanout,
				"steps_per_s":    scenario == bench.Steps,
				"ratio":          scenario == bench.Backlog,
				"capacity_per_s": scenario == bench.Steady,
				"offered_per_s":  scenario == bench.Steady,
				"rss_bytes":      scenario == bench.Steady,
			} {
				got := map[string]float64{
					"submit_per_s": res.SubmitPerS, "end_to_end_per_s": res.EndToEndPerS, "percentiles": res.P50MS, "ratio": res.BacklogRatio,
					"routing": routedRightly(res), "capacity_per_s": res.CapacityPerS, "offered_per_s": res.OfferedPerS, "rss_bytes": res.RSSBytes,
					"flows_per_s": res.FlowsPerS, "steps_per_s": res.StepsPerS,
					"reports_per_s": res.ReportsPerS, "limits_ratio": res.LimitsRatio, "frames_per_s": res.FramesPerS, "events_per_s": res.EventsPerS,
				}[figure]
				if (got > 0) != want {
					t.Errorf("%s = %v; want it measured: %v", figure, got, want)
				}
			}
		})
	}
}

// routedRightly is 1 if every execution of every mode ran on a worker that offers what it requires, and 0 if none was
// measured.
func routedRightly(res bench.Result) float64 {
	least := float64(len(res.Routing)) / 3
	for _, mode := range res.Routing {
		least = min(least, mode.Share)
	}
	return math.Floor(least)
}

func TestRun_RepeatedTellsHowOften(t *testing.T) {
	res, err := bench.Run(t.Context(), bench.Options{Store: "sqlite:", Scenario: bench.Submit, Executions: 10, Repeat: 2, AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.Repeat != 2 || res.Executions != 10 || res.SubmitPerS <= 0 {
		t.Errorf("result = %+v", res)
	}
}

func TestRun_OneCallerIsComparedWithRawCommits(t *testing.T) {
	for callers, want := range map[int]bool{1: true, 2: false} {
		res, err := bench.Run(t.Context(), bench.Options{
			Store: "sqlite:", Scenario: bench.Submit, Executions: 20, Callers: callers, AllowUnsafe: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.RawCommitsPerS <= 0 || res.FsyncUS <= 0 || (res.RatioToRaw > 0) != want {
			t.Errorf("%d callers: raw %v/s, fsync %v µs, ratio %v", callers, res.RawCommitsPerS, res.FsyncUS, res.RatioToRaw)
		}
	}
}

func TestRun_SQLiteFileIsMadeAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.db")
	o := bench.Options{Store: "sqlite:" + path, Scenario: bench.Submit, Executions: 10, AllowUnsafe: true}
	res, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res.ServerVersion == "" || res.Settings["synchronous"] != "FULL" || res.SubmitPerS <= 0 {
		t.Errorf("result = %+v", res)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	o.Keep = true
	if _, err := bench.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file was not kept: %v", err)
	}
	if _, err := bench.Run(t.Context(), o); !errors.Is(err, bench.ErrOptions) {
		t.Errorf("Run on a file that exists = %v; want %v", err, bench.ErrOptions)
	}
}

func TestRun_PostgresNamesServerAndSettings(t *testing.T) {
	url := os.Getenv("FF_PG_TEST_URL")
	if url == "" {
		t.Skip("FF_PG_TEST_URL is not set")
	}
	res, err := bench.Run(t.Context(), bench.Options{Store: url, Scenario: bench.Submit, Executions: 10, AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.ServerVersion == "" || res.Settings["fsync"] == "" || res.Settings["synchronous_commit"] == "" {
		t.Errorf("result = %+v", res)
	}
	if want := res.Settings["fsync"] == "on" && res.Settings["synchronous_commit"] != "off"; res.Durable != want {
		t.Errorf("durable = %v with %v", res.Durable, res.Settings)
	}
	_, err = bench.Run(t.Context(), bench.Options{Store: url, Scenario: bench.Submit, Executions: 10})
	if res.Durable != !errors.Is(err, bench.ErrNotDurable) {
		t.Errorf("Run without AllowUnsafe = %v on a server with %v", err, res.Settings)
	}
}
