package dashboard

import (
	"fmt"

	"github.com/flowfabric/flowfabric/internal/obs"
)

// Panel is a graph over time.
type Panel struct {
	Title, Unit, Help string
	Queries           []Query
}

// Row is a heading and the panels below it.
type Row struct {
	Title  string
	Panels []Panel
}

// m are the metrics, for their names: nothing is recorded in them.
var m = obs.New()

// Rows are the dashboard. The first has the eleven panels of the reference, under their titles.
func Rows() []Row {
	status := Query{ // 200 → 2xx
		Expr:   fmt.Sprintf(`sum by (class) (label_replace(rate(%s[%s]), "class", "${1}xx", "status", "([0-9]).."))`, name(m.HTTPRequests), window),
		Legend: "{{class}}", Reads: []string{name(m.HTTPRequests)},
	}
	return []Row{
		{"Operator", []Panel{
			{"Claim-from-grant latency (per lane)", "s", "", []Query{
				quantile(0.5, m.ClaimDuration, "lane"), quantile(0.95, m.ClaimDuration, "lane"), quantile(0.99, m.ClaimDuration, "lane"),
			}},
			{"Claim-from-grant rate (per lane)", "ops", "Commits that claim; each may hand out many executions.", []Query{rate(m.ClaimDuration, "lane")}},
			{"Lease renewals (by outcome)", "ops", "", []Query{rate(m.LeaseRenewals, "outcome")}},
			{"Worker-at-capacity rejections", "ops", "Of workers that record into these metrics.", []Query{rate(m.AtCapacity).named("at capacity")}},
			{"Admission control — quota blocks & budget breaches", "ops", "", []Query{
				rate(m.QuotaHits, "reason").named("quota {{reason}}"), rate(m.BudgetHits, "dimension").named("budget {{dimension}}"),
			}},
			{"Scanner cycle duration P95 (per scanner)", "s", "", []Query{quantile(0.95, m.ScannerDuration, "scanner")}},
			{"Scanner cycle cadence (per scanner)", "cps", "Rounds come when something is due; at rest there are few.", []Query{rate(m.ScannerCycles, "scanner")}},
			{"Cancel-reconciler backlog depth", "short", "", []Query{most(m.CancelBacklog).named("members")}},
			{"HTTP request rate (by status class)", "reqps", "", []Query{status}},
			{"HTTP request P95 latency (by path)", "s", "Paths that wait for work or for an end are slow when there is none.", []Query{quantile(0.95, m.HTTPDuration, "path")}},
			{"Attempt outcomes (per lane)", "ops", "", []Query{rate(m.AttemptOutcomes, "lane", "outcome")}},
		}},
		{"Executions", []Panel{
			{"Executions created and ended (per lane)", "ops", "", []Query{
				rate(m.Created, "lane").named("{{lane}} created"), rate(m.Terminal, "lane", "outcome"),
			}},
			{"Queue depth (per lane)", "short", "Counting stops at 10,000.", []Query{most(m.QueueDepth, "lane", "state")}},
			{"Age of the oldest claimable execution (per lane)", "s", "", []Query{most(m.QueueAge, "lane")}},
			{"Execution latency P95 (per lane and phase)", "s", "", []Query{quantile(0.95, m.Latency, "lane", "phase")}},
			{"Active leases and suspended (per lane)", "short", "", []Query{
				most(m.ActiveLeases, "lane").named("{{lane}} leased"), most(m.Suspended, "lane").named("{{lane}} suspended"),
			}},
			{"Leases lost and reclaimed", "ops", "", []Query{
				rate(m.LeasesExpired, "lane").named("{{lane}} expired"), rate(m.Reclaims, "outcome"), rate(m.LeasesLost).named("noticed by workers"),
			}},
			{"Signals (by effect)", "ops", "", []Query{rate(m.Signals, "effect")}},
			{"Groups of edges and cancelled siblings", "ops", "", []Query{
				rate(m.GroupPolicies, "policy"), rate(m.SiblingCancels, "reason"), rate(m.SiblingEnds, "disposition").named("siblings {{disposition}}"),
			}},
			{"Stream frames (by mode) and viewers", "short", "", []Query{rate(m.Frames, "mode"), sum(m.StreamTails).named("viewers")}},
			{"Lag of event readers (by family)", "s", "", []Query{most(m.OutboxLag, "family")}},
		}},
		{"Workers", []Panel{
			{"Registered workers", "short", "", []Query{most(m.WorkersAlive, "state")}},
			{"Handlers under way", "short", "Of workers that record into these metrics.", []Query{sum(m.TasksInFlight).named("handlers")}},
			{"Handler duration P95 (by kind and outcome)", "s", "", []Query{quantile(0.95, m.TaskDuration, "kind", "outcome")}},
			{"Claims of workers (by outcome)", "ops", "", []Query{rate(m.Claims, "outcome")}},
		}},
		{"Engine", []Panel{
			{"Operation latency P95", "s", "What an operation asks to wait is part of it.", []Query{quantile(0.95, m.OpDuration, "op")}},
			{"Operations (by outcome)", "ops", "", []Query{rate(m.OpDuration, "outcome")}},
			{"Commits made again (by reason)", "ops", "", []Query{rate(m.Retries, "reason")}},
			{"Background work carried on", "ops", "", []Query{rate(m.ScannerItems, "scanner", "result")}},
			{"Time since background work last succeeded", "s", "", []Query{{
				Expr: "time() - max by (scanner) (" + name(m.ScannerLastSuccess) + ")", Legend: "{{scanner}}", Reads: []string{name(m.ScannerLastSuccess)},
			}}},
			{"Versions running, stops that cut requests off", "short", "", []Query{sum(m.BuildInfo, "version"), sum(m.ShutdownTimeouts).named("cut off")}},
			{"Goroutines", "short", "", []Query{{Expr: "sum (go_goroutines)", Legend: "goroutines", Reads: []string{"go_goroutines"}}}},
			{"Memory", "bytes", "", []Query{{Expr: "sum (process_resident_memory_bytes)", Legend: "resident", Reads: []string{"process_resident_memory_bytes"}}}},
		}},
	}
}

// Alert is a rule: it fires while the query is beyond the threshold for so long.
type Alert struct {
	Name, Severity string
	Query          Query
	Beyond         string // comparison and threshold
	For            string
	Summary        string
}

// Alerts are the rules.
func Alerts() []Alert {
	failed := rateOf(m.Terminal, `{outcome="failed"}`, []string{"lane"})
	broken := rateOf(m.HTTPRequests, `{status=~"5.."}`, nil)
	waiting := Query{
		Expr:  fmt.Sprintf(`sum (max by (lane) (%s{state="waiting"})) / clamp_min(max (%s{state="alive"}), 0.001)`, name(m.QueueDepth), name(m.WorkersAlive)),
		Reads: []string{name(m.QueueDepth), name(m.WorkersAlive)},
	}
	return []Alert{
		{"FlowFabricGone", "critical", Query{Expr: "count (" + name(m.BuildInfo) + ")", Reads: []string{name(m.BuildInfo)}}.orZero(), "< 1", "2m", "No FlowFabric server is scraped."},
		{"FlowFabricRequestsFail", "critical", ratio(broken.orZero(), rate(m.HTTPRequests)), "> 0.02", "5m", "More than 2 % of HTTP requests are answered 5xx."},
		{"FlowFabricOperationsSlow", "warning", quantile(0.95, m.OpDuration, "op").only(`op=~"submit|complete|renew_many"`, name(m.OpDuration)), "> 0.5", "10m", "Operation {{ $labels.op }} takes longer than half a second for one in twenty."},
		{"FlowFabricCommitsRepeated", "warning", rateOf(m.Retries, `{reason!="bisected"}`, nil), "> 1", "10m", "Commits are made again: the database is unreachable at times, or fails over."},
		{"FlowFabricUnitsRefused", "warning", rateOf(m.Retries, `{reason="bisected"}`, nil), "> 0.1", "10m", "The store refuses single operations: look at the log for code bug."},
		{"FlowFabricQueueStuck", "critical", most(m.QueueAge, "lane"), "> 900", "10m", "The oldest claimable execution of lane {{ $labels.lane }} has waited for a quarter of an hour."},
		{"FlowFabricNoWorkers", "critical", waiting, "> 1000", "5m", "Executions wait, and there are no workers, or far too few."},
		{"FlowFabricExecutionsFail", "warning", ratio(failed, rate(m.Terminal, "lane")), "> 0.25", "15m", "More than a quarter of the executions of lane {{ $labels.lane }} fail."},
		{"FlowFabricLeasesExpire", "warning", rate(m.LeasesExpired, "lane"), "> 0.1", "10m", "Leases of lane {{ $labels.lane }} run out: workers crash, hang, or cannot reach the server."},
		{"FlowFabricReclaimsExhausted", "warning", rateOf(m.Reclaims, `{outcome="exhausted"}`, nil), "> 0", "5m", "Executions end because their workers were lost too often: they may be what kills them."},
		{"FlowFabricRenewalsFail", "warning", ratio(rateOf(m.LeaseRenewals, `{outcome="error"}`, nil), rate(m.LeaseRenewals)), "> 0.05", "10m", "More than 5 % of renewals are refused."},
		{"FlowFabricBackgroundFails", "critical", rateOf(m.ScannerItems, `{result="error"}`, []string{"scanner"}), "> 0", "10m", "Background work {{ $labels.scanner }} fails: delays, retries or lease expiries come late."},
		{"FlowFabricCancelBacklog", "warning", most(m.CancelBacklog), "> 900", "15m", "Cancels of flow members are not acknowledged."},
		{"FlowFabricEventReaderBehind", "warning", most(m.OutboxLag, "family"), "> 600", "10m", "A reader of {{ $labels.family }} events is ten minutes behind."},
		{"FlowFabricStopsCutRequestsOff", "warning", Query{Expr: fmt.Sprintf("sum (increase(%s[1h]))", name(m.ShutdownTimeouts)), Reads: []string{name(m.ShutdownTimeouts)}}, "> 0", "0m", "A stop had to cut requests off: FF_SHUTDOWN_TIMEOUT_MS is too short for them."},
	}
}

// orZero makes a query that finds nothing 0.
func (q Query) orZero() Query {
	q.Expr = "(" + q.Expr + " or vector(0))"
	return q
}

// only narrows a quantile to series of its histogram.
func (q Query) only(selector, metric string) Query {
	q.Expr = replaceOnce(q.Expr, metric+"_bucket", metric+"_bucket{"+selector+"}")
	return q
}
