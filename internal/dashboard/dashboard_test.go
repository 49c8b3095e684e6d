package dashboard

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric/internal/obs"
)

var update = flag.Bool("update", false, "write the files of docs/observability anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const docs = "../../docs/observability"

// Marks around the table of metrics in the guide.
const tableBegins, tableEnds = "<!-- metrics: generated -->\n", "<!-- metrics: end -->\n"

// TestFiles: the files of the repository are those the code makes.
func TestFiles(t *testing.T) {
	guide := filepath.Join(docs, "README.md")
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), tableBegins)
	_, tail, found := strings.Cut(rest, tableEnds)
	if !found {
		t.Fatalf("%s has no marks around the table of metrics", guide)
	}
	files := map[string][]byte{
		filepath.Join(docs, "dashboard.json"): Dashboard(),
		filepath.Join(docs, "alerts.yml"):     Rules(),
		guide:                                 []byte(head + tableBegins + string(Table()) + tableEnds + tail),
	}
	for path, want := range files {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not current; write it with go generate ./internal/dashboard (-file +code):\n%s", path, cmp.Diff(string(have), string(want)))
		}
	}
}

// process are the metrics of the Go runtime and of the operating system that panels show.
var process = []string{"go_goroutines", "process_resident_memory_bytes"}

// TestDashboard_ShowsEveryMetric: no panel without a metric that is recorded, and no metric without a panel.
func TestDashboard_ShowsEveryMetric(t *testing.T) {
	shown := map[string]bool{}
	for _, row := range Rows() {
		for _, p := range row.Panels {
			for _, q := range p.Queries {
				for _, metric := range q.Reads {
					shown[metric] = true
					if !strings.Contains(q.Expr, metric) {
						t.Errorf("panel %q reads no %s: %s", p.Title, metric, q.Expr)
					}
				}
			}
		}
	}
	recorded := slices.Clone(process)
	for _, metric := range obs.New().All() {
		recorded = append(recorded, metric.Def().Name)
		if !shown[metric.Def().Name] {
			t.Errorf("no panel shows %s", metric.Def().Name)
		}
	}
	for metric := range shown {
		if !slices.Contains(recorded, metric) {
			t.Errorf("a panel shows %s, which nobody records", metric)
		}
	}
}

// TestDashboard_HasTheTitlesOfTheReference (chapter 80, section 12): whoever has a link to one finds it.
func TestDashboard_HasTheTitlesOfTheReference(t *testing.T) {
	var file struct {
		Title, UID, Refresh string
		Panels              []struct{ Type, Title string }
	}
	if err := json.Unmarshal(Dashboard(), &file); err != nil {
		t.Fatal(err)
	}
	if file.Title != "FlowFabric — Operator Observability" || file.UID != "flowfabric-ops" || file.Refresh != "30s" {
		t.Errorf("it is %q, %q, %q", file.Title, file.UID, file.Refresh)
	}
	want := []string{
		"Claim-from-grant latency (per lane)", "Claim-from-grant rate (per lane)", "Lease renewals (by outcome)",
		"Worker-at-capacity rejections", "Admission control — quota blocks & budget breaches", "Scanner cycle duration P95 (per scanner)",
		"Scanner cycle cadence (per scanner)", "Cancel-reconciler backlog depth", "HTTP request rate (by status class)",
		"HTTP request P95 latency (by path)", "Attempt outcomes (per lane)",
	}
	var got []string
	for _, p := range file.Panels[1:12] {
		got = append(got, p.Title)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMetrics_AreTheSetOfTheSpecification restates chapter 80, section 10: names, types and labels.
func TestMetrics_AreTheSetOfTheSpecification(t *testing.T) {
	want := map[string]string{
		"ff_http_requests_total": "counter method path status", "ff_http_request_duration_seconds": "histogram method path status",
		"ff_scanner_cycle_total": "counter scanner", "ff_scanner_cycle_duration_seconds": "histogram scanner", "ff_cancel_backlog_depth": "gauge",
		"ff_claim_from_grant_duration_seconds": "histogram lane", "ff_lease_renewal_total": "counter outcome", "ff_attempt_outcome_total": "counter lane outcome",
		"ff_worker_at_capacity_total": "counter", "ff_budget_hit_total": "counter dimension", "ff_quota_hit_total": "counter reason",
		"ff_edge_group_policy_total": "counter policy", "ff_sibling_cancel_dispatched_total": "counter reason",
		"ff_sibling_cancel_disposition_total": "counter disposition", "ff_shutdown_timeout_total": "counter",

		"ff_executions_created_total": "counter lane", "ff_executions_terminal_total": "counter lane outcome", "ff_queue_depth": "gauge lane state",
		"ff_queue_oldest_age_seconds": "gauge lane", "ff_execution_latency_seconds": "histogram lane phase", "ff_active_leases": "gauge lane",
		"ff_lease_expired_total": "counter lane", "ff_reclaim_total": "counter outcome", "ff_workers": "gauge state", "ff_suspended": "gauge lane",
		"ff_signal_total": "counter effect", "ff_stream_frames_total": "counter mode", "ff_stream_tails": "gauge", "ff_outbox_lag_seconds": "gauge family",
		"ff_store_op_duration_seconds": "histogram op outcome", "ff_store_retries_total": "counter reason", "ff_scanner_items_total": "counter scanner result",
		"ff_scanner_last_success_timestamp_seconds": "gauge scanner", "ff_build_info": "gauge version",

		"ff_worker_tasks_in_flight": "gauge", "ff_worker_task_duration_seconds": "histogram kind outcome", "ff_worker_claim_total": "counter outcome",
		"ff_worker_lease_lost_total": "counter",
	}
	got := map[string]string{}
	for _, metric := range obs.New().All() {
		def := metric.Def()
		text := []string{string(def.Kind)}
		for _, l := range def.Labels {
			text = append(text, l.Name)
		}
		got[def.Name] = strings.Join(text, " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
