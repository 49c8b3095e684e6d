package observe_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/obs/obstest"
	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
)

// scrape returns the samples of a page, without buckets and without what tells of the process: how long things took.
func scrape(t *testing.T, page http.Handler) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	samples := make(map[string]string)
	lines := bufio.NewScanner(w.Body)
	for lines.Scan() {
		if series, value, ok := strings.Cut(lines.Text(), "} "); ok {
			samples[series+"}"] = value
		} else if series, value, ok := strings.Cut(lines.Text(), " "); ok && series != "#" {
			samples[series] = value
		}
	}
	maps.DeleteFunc(samples, func(series, _ string) bool {
		return !strings.HasPrefix(series, "ff_") || strings.Contains(series, "_bucket{")
	})
	return samples
}

// TestMetrics_CountWhatWasDone: once a bit of everything, on one engine in memory.
func TestMetrics_CountWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := observe.NewMetrics()
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := eng.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		if _, err := eng.SeedSecret(t.Context(), flowfabric.SeedSecret{Kid: "k1", SecretHex: strings.Repeat("ab", 32)}); err != nil {
			t.Fatal(err)
		}
		if err := obstest.Workload(t.Context(), observe.Service(eng, observe.Config{Metrics: m})); err != nil {
			t.Fatal(err)
		}
		got := scrape(t, observe.Handler(m))
		want := map[string]string{
			`ff_executions_created_total{lane="mail"}`:                               "16",
			`ff_executions_terminal_total{lane="mail",outcome="success"}`:            "6",
			`ff_executions_terminal_total{lane="mail",outcome="failed"}`:             "2",
			`ff_executions_terminal_total{lane="mail",outcome="cancelled"}`:          "7",
			`ff_executions_terminal_total{lane="mail",outcome="expired"}`:            "1",
			`ff_execution_latency_seconds_count{lane="mail",phase="queue"}`:          "13",
			`ff_execution_latency_seconds_count{lane="mail",phase="run"}`:            "13",
			`ff_execution_latency_seconds_count{lane="mail",phase="total"}`:          "16",
			`ff_attempt_outcome_total{lane="mail",outcome="ok"}`:                     "6",
			`ff_attempt_outcome_total{lane="mail",outcome="retry"}`:                  "1",
			`ff_attempt_outcome_total{lane="mail",outcome="error"}`:                  "1",
			`ff_attempt_outcome_total{lane="mail",outcome="cancelled"}`:              "4",
			`ff_attempt_outcome_total{lane="mail",outcome="timeout"}`:                "1",
			`ff_lease_renewal_total{outcome="ok"}`:                                   "1",
			`ff_lease_renewal_total{outcome="error"}`:                                "1",
			`ff_lease_expired_total{lane="mail"}`:                                    "2",
			`ff_reclaim_total{outcome="reclaimed"}`:                                  "1",
			`ff_reclaim_total{outcome="exhausted"}`:                                  "1",
			`ff_quota_hit_total{reason="rate"}`:                                      "1",
			`ff_quota_hit_total{reason="concurrency"}`:                               "1",
			`ff_budget_hit_total{dimension="tokens"}`:                                "1",
			`ff_edge_group_policy_total{policy="any_of"}`:                            "1",
			`ff_edge_group_policy_total{policy="all_of"}`:                            "0",
			`ff_sibling_cancel_dispatched_total{reason="sibling_quorum_satisfied"}`:  "1",
			`ff_sibling_cancel_dispatched_total{reason="sibling_quorum_impossible"}`: "0",
			`ff_sibling_cancel_disposition_total{disposition="cancelled"}`:           "1",
			`ff_signal_total{effect="resume_condition_satisfied"}`:                   "1",
			`ff_stream_frames_total{mode="durable"}`:                                 "2",
			`ff_stream_frames_total{mode="best_effort"}`:                             "1",
			`ff_store_op_duration_seconds_count{op="submit",outcome="ok"}`:           "13",
			`ff_store_op_duration_seconds_count{op="renew",outcome="error"}`:         "1",
			`ff_queue_depth{lane="mail",state="waiting"}`:                            "0",
			`ff_queue_depth{lane="mail",state="delayed"}`:                            "0",
			`ff_queue_oldest_age_seconds{lane="mail"}`:                               "0",
			`ff_active_leases{lane="mail"}`:                                          "0",
			`ff_suspended{lane="mail"}`:                                              "0",
			`ff_workers{state="alive"}`:                                              "1",
			`ff_workers{state="dead"}`:                                               "0",
			`ff_stream_tails`:                                                        "0",
			`ff_cancel_backlog_depth`:                                                "0",
			`ff_shutdown_timeout_total`:                                              "0",
			`ff_store_retries_total{reason="transient"}`:                             "0",
		}
		for series, value := range want {
			if got[series] != value {
				t.Errorf("%s is %q, want %q", series, got[series], value)
			}
		}
		for _, series := range []string{
			`ff_outbox_lag_seconds{family="completion"}`, `ff_claim_from_grant_duration_seconds_count{lane="mail"}`,
			`ff_scanner_cycle_total{scanner="due"}`, `ff_scanner_items_total{result="ok",scanner="due"}`,
			`ff_scanner_last_success_timestamp_seconds{scanner="due"}`, `ff_scanner_cycle_duration_seconds_count{scanner="due"}`,
		} {
			if got[series] == "" || got[series] == "0" {
				t.Errorf("%s is %q", series, got[series])
			}
		}
	})
}

// counting is a store that counts how often lanes are counted.
type counting struct {
	store.Store
	lanes atomic.Int32
}

func (c *counting) CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (store.LaneCount, error) {
	c.lanes.Add(1)
	return c.Store.CountLane(ctx, lane, most)
}

// TestMetrics_AskTheStoreOnlyWhenScraped: and then at most every five seconds, about a bounded number of lanes.
func TestMetrics_AskTheStoreOnlyWhenScraped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, st := observe.NewMetrics(), &counting{Store: memory.New(memory.Config{})}
		eng, err := engine.Open(t.Context(), st, engine.Config{Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 70 {
			if _, err := eng.Submit(t.Context(), flowfabric.Submit{Lane: flowfabric.LaneID(fmt.Sprintf("lane-%02d", i)), Kind: "send"}); err != nil {
				t.Fatal(err)
			}
		}
		page := observe.Handler(m)
		pass := func(d time.Duration) { <-clock.Real().NewTimer(d).C }
		pass(time.Hour)
		if n := st.lanes.Load(); n != 0 {
			t.Errorf("lanes were counted %d times, and nobody asked", n)
		}
		first := scrape(t, page)
		pass(4999 * time.Millisecond)
		second := scrape(t, page)
		if n := st.lanes.Load(); n != 64 {
			t.Errorf("lanes were counted %d times, want 64", n)
		}
		pass(time.Millisecond)
		third := scrape(t, page)
		if n := st.lanes.Load(); n != 128 {
			t.Errorf("lanes were counted %d times, want 128", n)
		}
		for i, got := range []map[string]string{first, second, third} {
			want := []string{"3600", "3600", "3605"}[i]
			if age := got[`ff_queue_oldest_age_seconds{lane="lane-63"}`]; age != want || got[`ff_queue_depth{lane="lane-00",state="waiting"}`] != "1" {
				t.Errorf("scrape %d: age %s, want %s", i, age, want)
			}
			if created := got[`ff_executions_created_total{lane="other"}`]; created != "6" {
				t.Errorf("scrape %d: %s in other lanes, want 6", i, created)
			}
		}
		if err := eng.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		scrape(t, page)
		if n := st.lanes.Load(); n != 128 {
			t.Error("the store was asked after the engine was closed")
		}
	})
}
