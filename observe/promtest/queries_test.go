package promtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/dashboard"
	"github.com/flowfabric/flowfabric/internal/obs/obstest"
	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

// direct makes requests of a handler without a network.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// scrapes are the pages of a server that does a bit of everything, by HTTP and with a worker: one of each minute.
func scrapes(t *testing.T) (pages []string) {
	synctest.Test(t, func(t *testing.T) {
		m := observe.NewMetrics()
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(eng, server.Config{Metrics: m, Version: "v1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.New("http://flowfabric.test", client.Config{HTTP: &http.Client{Transport: direct{s}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.SeedSecret(t.Context(), flowfabric.SeedSecret{Kid: "k1", SecretHex: strings.Repeat("ab", 32)}); err != nil {
			t.Fatal(err)
		}
		w := worker.New(c, worker.Config{Lanes: []flowfabric.LaneID{"work"}, Concurrency: 1, Metrics: m})
		worker.Handle(w, "echo", func(_ context.Context, _ *worker.Task, in json.RawMessage) (json.RawMessage, error) { return in, nil })
		ctx, stop := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- w.Run(ctx) }()

		tick := time.Tick(time.Minute)
		for range 4 {
			if err := obstest.Workload(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Submit(t.Context(), flowfabric.Submit{Lane: "work", Kind: "echo"}); err != nil {
				t.Fatal(err)
			}
			<-tick
			page := httptest.NewRecorder()
			s.ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
			pages = append(pages, page.Body.String())
		}
		stop()
		if err := <-worked; err != nil {
			t.Error(err)
		}
		c.Close()
		if err := eng.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return pages
}

// loaded is a Prometheus that has scraped the pages, a minute apart.
func loaded(t *testing.T, pages []string) func(query string) promql.Vector {
	t.Helper()
	series := make(map[string][]string)
	for i, page := range pages {
		lines := bufio.NewScanner(strings.NewReader(page))
		for lines.Scan() {
			line := lines.Text()
			cut := strings.LastIndexByte(line, ' ')
			if strings.HasPrefix(line, "#") || cut < 0 {
				continue
			}
			for len(series[line[:cut]]) < i {
				series[line[:cut]] = append(series[line[:cut]], "_")
			}
			series[line[:cut]] = append(series[line[:cut]], line[cut+1:])
		}
	}
	var script strings.Builder
	script.WriteString("load 1m\n")
	for _, name := range slices.Sorted(maps.Keys(series)) {
		fmt.Fprintf(&script, "  %s %s\n", name, strings.Join(series[name], " "))
	}
	storage := promqltest.LoadedStorage(t, script.String())
	eng := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	t.Cleanup(func() { _ = eng.Close() })
	end := time.Unix(0, 0).Add(time.Duration(len(pages)-1) * time.Minute)
	return func(query string) promql.Vector {
		t.Helper()
		q, err := eng.NewInstantQuery(t.Context(), storage, nil, query, end)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer q.Close()
		v, err := q.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return slices.Clone(v)
	}
}

// has reports whether a graph of the answer would show anything.
func has(v promql.Vector) bool {
	return slices.ContainsFunc(v, func(s promql.Sample) bool { return !math.IsNaN(s.F) })
}

// TestQueries_FindWhatAServerRecords: those of the files that users import.
func TestQueries_FindWhatAServerRecords(t *testing.T) {
	ask := loaded(t, scrapes(t))
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile("../../docs/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, p := range file.Panels {
		for _, target := range p.Targets {
			queries++
			if query := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"); !has(ask(query)) {
				t.Errorf("panel %q finds nothing: %s", p.Title, query)
			}
		}
	}
	if queries < 40 {
		t.Errorf("the dashboard has %d queries", queries)
	}
	for _, a := range dashboard.Alerts() {
		if query := a.Query.OfRule(); !has(ask(query)) {
			t.Errorf("alert %s looks at nothing: %s", a.Name, query)
		}
	}
}

// TestQueries_MoveWithTheWork: from one scrape to the next by what was done once, and one that asks for what nobody records finds
// nothing.
func TestQueries_MoveWithTheWork(t *testing.T) {
	ask := loaded(t, scrapes(t))
	for series, want := range map[string]float64{
		`ff_executions_created_total{lane="mail"}`:                                   16,
		`ff_attempt_outcome_total{outcome="timeout"}`:                                1,
		`ff_worker_task_duration_seconds_count{kind="echo",outcome="complete"}`:      1,
		`ff_http_requests_total{path="/v1/calls/submit",method="POST",status="200"}`: 14,
		`ff_execution_latency_seconds_bucket{lane="work",phase="queue",le="1"}`:      1,
	} {
		if v := ask(fmt.Sprintf("sum (%s) - sum (%s offset 1m)", series, series)); len(v) != 1 || v[0].F != want {
			t.Errorf("%s moves by %v, want %v", series, v, want)
		}
	}
	if v := ask(`sum by (lane) (rate(ff_executions_created_total{lane="nowhere"}[5m]))`); has(v) {
		t.Errorf("work on a lane that is not there: %v", v)
	}
}

// TestRules_AreRulesOfPrometheus: it would load the file.
func TestRules_AreRulesOfPrometheus(t *testing.T) {
	groups, errs := rulefmt.ParseFile("../../docs/observability/alerts.yml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) != 0 {
		t.Fatal(errs)
	}
	if n := len(groups.Groups[0].Rules); n != len(dashboard.Alerts()) {
		t.Errorf("%d rules", n)
	}
}
