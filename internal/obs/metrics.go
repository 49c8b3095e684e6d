package obs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Buckets of histograms, in seconds: of calls and waits, of what runs in the background, and of whole executions.
var (
	callBuckets    = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	scannerBuckets = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60}
	lifeBuckets    = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600, 3600}
)

// Labels that several metrics have.
var (
	lane      = Label{Name: "lane"}
	method    = Label{Name: "method", Values: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "OTHER"}}
	path      = Label{Name: "path", Cap: 512} // templates of routes: as many as there are
	status    = Label{Name: "status", Cap: 64}
	scanner   = Label{Name: "scanner", Values: []string{Due, Flows, Waitpoints, Streams, Limits, Workers, Retention}}
	kind      = Label{Name: "kind"}
	yesOrNo   = Label{Name: "outcome", Values: []string{OK, Failed}}
	ending    = Label{Name: "outcome", Values: []string{"success", "failed", "cancelled", "expired", "skipped"}}
	operation = Label{Name: "op", Cap: 128} // of the service: as many as there are
)

// Values of labels.
const (
	OK     = "ok"
	Failed = "error"

	// Why a batch is committed again.
	Transient      = "transient"
	UnknownOutcome = "unknown_outcome"
	Bisected       = "bisected"

	// Scanners: parts of the background work.
	Due        = "due"
	Flows      = "flow_projector"
	Waitpoints = "pending_wp_expiry"
	Streams    = "stream_expiry"
	Limits     = "budget_reset"
	Workers    = "worker_expiry"
	Retention  = "retention_trimmer"
)

// Metrics is all that is recorded. A nil *Metrics is valid where a configuration asks for one: then nothing is.
type Metrics struct {
	HTTPRequests *Counter
	HTTPDuration *Histogram

	ScannerCycles      *Counter
	ScannerDuration    *Histogram
	ScannerItems       *Counter
	ScannerLastSuccess *Gauge

	ClaimDuration    *Histogram
	LeaseRenewals    *Counter
	AttemptOutcomes  *Counter
	AtCapacity       *Counter
	BudgetHits       *Counter
	QuotaHits        *Counter
	GroupPolicies    *Counter
	SiblingCancels   *Counter
	SiblingEnds      *Counter
	ShutdownTimeouts *Counter
	LeasesExpired    *Counter
	Reclaims         *Counter

	Created  *Counter
	Terminal *Counter
	Latency  *Histogram
	Signals  *Counter
	Frames   *Counter

	OpDuration *Histogram
	Retries    *Counter

	TasksInFlight *Gauge
	TaskDuration  *Histogram
	Claims        *Counter
	LeasesLost    *Counter

	// Sampled: set by samplers when somebody collects.
	QueueDepth    *Gauge
	QueueAge      *Gauge
	ActiveLeases  *Gauge
	WorkersAlive  *Gauge
	Suspended     *Gauge
	CancelBacklog *Gauge
	StreamTails   *Gauge
	OutboxLag     *Gauge

	BuildInfo *Gauge

	all     []Metric
	sampled []*Gauge

	collecting sync.Mutex
	samplers   atomic.Pointer[Sampler]
}

// Sampler sets the gauges that are not recorded as things happen. It must be quick: within what ctx allows.
type Sampler func(ctx context.Context)

// OrNone returns m, or metrics that record nothing if m is nil.
func (m *Metrics) OrNone() *Metrics {
	if m == nil {
		return &Metrics{}
	}
	return m
}

// New returns metrics of which nothing is recorded yet.
func New() *Metrics {
	m := &Metrics{}
	m.HTTPRequests = m.counter("ff_http_requests_total", "HTTP requests answered.", method, path, status)
	m.HTTPDuration = m.histogram("ff_http_request_duration_seconds", "How long HTTP requests took.", callBuckets, method, path, status)

	m.ScannerCycles = m.counter("ff_scanner_cycle_total", "Rounds of background work.", scanner)
	m.ScannerDuration = m.histogram("ff_scanner_cycle_duration_seconds", "How long a round of background work took.", scannerBuckets, scanner)
	m.ScannerItems = m.counter("ff_scanner_items_total", "What background work carried on; of result error: rounds that failed.", scanner, Label{Name: "result", Values: []string{OK, Failed}})
	m.ScannerLastSuccess = m.gauge("ff_scanner_last_success_timestamp_seconds", "When a round of background work last succeeded.", scanner)

	m.ClaimDuration = m.histogram("ff_claim_from_grant_duration_seconds", "How long a commit that claims took, by the first lane asked for, also when nothing was claimed.", callBuckets, lane)
	m.LeaseRenewals = m.counter("ff_lease_renewal_total", "Renewals of leases.", yesOrNo)
	m.AttemptOutcomes = m.counter("ff_attempt_outcome_total", "How attempts ended.", lane, Label{Name: "outcome", Values: []string{OK, Failed, "timeout", "cancelled", "retry"}})
	m.AtCapacity = m.counter("ff_worker_at_capacity_total", "Times a worker would have claimed and had no room.")
	m.BudgetHits = m.counter("ff_budget_hit_total", "Executions kept back by a budget.", Label{Name: "dimension"})
	m.QuotaHits = m.counter("ff_quota_hit_total", "Executions kept back by a quota.", Label{Name: "reason", Values: []string{"rate", "concurrency"}})
	m.GroupPolicies = m.counter("ff_edge_group_policy_total", "Groups of edges, by the policy they began with.", Label{Name: "policy", Values: []string{"all_of", "any_of", "quorum"}})
	m.SiblingCancels = m.counter("ff_sibling_cancel_dispatched_total", "Groups whose unfinished upstreams were to be cancelled.", Label{Name: "reason", Values: []string{"sibling_quorum_satisfied", "sibling_quorum_impossible"}})
	m.SiblingEnds = m.counter("ff_sibling_cancel_disposition_total", "Upstreams that were cancelled because nobody needed them any more.", Label{Name: "disposition", Values: []string{"cancelled"}})
	m.ShutdownTimeouts = m.counter("ff_shutdown_timeout_total", "Stops of the server that had to cut requests off.")
	m.LeasesExpired = m.counter("ff_lease_expired_total", "Leases that ran out.", lane)
	m.Reclaims = m.counter("ff_reclaim_total", "Executions whose lease had run out: reclaimed by another claim, or ended for the policy allows no more.", Label{Name: "outcome", Values: []string{"reclaimed", "exhausted"}})

	m.Created = m.counter("ff_executions_created_total", "Executions submitted.", lane)
	m.Terminal = m.counter("ff_executions_terminal_total", "Executions that ended.", lane, ending)
	m.Latency = m.histogram("ff_execution_latency_seconds", "Of an execution that ended: from submit to first claim, from there to the end, and in all.", lifeBuckets, lane, Label{Name: "phase", Values: []string{"queue", "run", "total"}})
	m.Signals = m.counter("ff_signal_total", "Signals accepted.", Label{Name: "effect"})
	m.Frames = m.counter("ff_stream_frames_total", "Frames appended to streams.", Label{Name: "mode"})

	m.OpDuration = m.histogram("ff_store_op_duration_seconds", "How long operations of the service took, what they ask to wait included.", callBuckets, operation, yesOrNo)
	m.Retries = m.counter("ff_store_retries_total", "Batches of operations that were committed again.", Label{Name: "reason", Values: []string{Transient, UnknownOutcome, Bisected}})

	m.TasksInFlight = m.gauge("ff_worker_tasks_in_flight", "Handlers under way.")
	m.TaskDuration = m.histogram("ff_worker_task_duration_seconds", "How long handlers ran, by how they ended.", lifeBuckets, kind, Label{Name: "outcome", Values: []string{"complete", "fail", "delay", "cancel", "release", "wait_children", "suspend", "lost"}})
	m.Claims = m.counter("ff_worker_claim_total", "Claims of workers.", Label{Name: "outcome", Values: []string{"claimed", "empty", Failed}})
	m.LeasesLost = m.counter("ff_worker_lease_lost_total", "Leases that workers lost.")

	m.QueueDepth = m.sample("ff_queue_depth", "Executions that wait: claimable, or for a time. Counting stops at 10,000.", lane, Label{Name: "state", Values: []string{"waiting", "delayed"}})
	m.QueueAge = m.sample("ff_queue_oldest_age_seconds", "Age of the oldest claimable execution, 0 for none.", lane)
	m.ActiveLeases = m.sample("ff_active_leases", "Executions under a lease, or lost by their worker. Counting stops at 10,000.", lane)
	m.WorkersAlive = m.sample("ff_workers", "Registered workers. Counting stops at 1,000.", Label{Name: "state", Values: []string{"alive", "dead"}})
	m.Suspended = m.sample("ff_suspended", "Suspended executions. Counting stops at 1,000 for all lanes together.", lane)
	m.CancelBacklog = m.sample("ff_cancel_backlog_depth", "Members of cancelled flows that are not acknowledged. Counting stops at 1,000.")
	m.StreamTails = m.sample("ff_stream_tails", "Viewers of streams that wait, in this process.")
	m.OutboxLag = m.sample("ff_outbox_lag_seconds", "Age of the oldest event that the slowest reader of a family has not acknowledged, 0 for none.", Label{Name: "family"})

	m.BuildInfo = m.gauge("ff_build_info", "Always 1.", Label{Name: "version"})
	return m
}

func (m *Metrics) counter(name, help string, l ...Label) *Counter {
	c := &Counter{}
	c.init(Def{Name: name, Help: help, Kind: KindCounter, Labels: l}, func() *atomic.Uint64 { return new(atomic.Uint64) })
	c.zero(labels{}, 0)
	m.all = append(m.all, c)
	return c
}

func (m *Metrics) gauge(name, help string, l ...Label) *Gauge {
	g := &Gauge{}
	g.init(Def{Name: name, Help: help, Kind: KindGauge, Labels: l}, func() *atomic.Uint64 { return new(atomic.Uint64) })
	m.all = append(m.all, g)
	return g
}

func (m *Metrics) sample(name, help string, l ...Label) *Gauge {
	g := m.gauge(name, help, l...)
	m.sampled = append(m.sampled, g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64, l ...Label) *Histogram {
	h := &Histogram{}
	h.init(Def{Name: name, Help: help, Kind: KindHistogram, Labels: l, Buckets: buckets}, func() *bins { return &bins{counts: make([]atomic.Uint64, len(buckets)+1)} })
	m.all = append(m.all, h)
	return h
}

// All returns every metric, in the order of the documentation.
func (m *Metrics) All() []Metric { return m.all }

// SetSampler says who sets the gauges that are read when somebody collects; nil for nobody. The last one counts: metrics are
// of one engine.
func (m *Metrics) SetSampler(s Sampler) {
	if s == nil {
		m.samplers.Store(nil)
		return
	}
	m.samplers.Store(&s)
}

// Collect samples, and calls visit for every metric. Calls of it wait for each other.
func (m *Metrics) Collect(ctx context.Context, visit func(Metric)) {
	m.collecting.Lock()
	defer m.collecting.Unlock()
	if s := m.samplers.Load(); s != nil {
		(*s)(ctx)
	}
	for _, metric := range m.all {
		visit(metric)
	}
}

// Resample forgets what was sampled, before it is sampled anew.
func (m *Metrics) Resample() {
	for _, g := range m.sampled {
		g.reset()
	}
}

// Scanned records a round of background work that ended at an instant, took a while and carried so much on.
func (m *Metrics) Scanned(scanner string, at time.Time, took time.Duration, handled int, err error) {
	if m == nil {
		return
	}
	m.ScannerCycles.Inc(scanner)
	m.ScannerDuration.Observe(took, scanner)
	m.ScannerItems.Add(uint64(handled), scanner, OK)
	if err != nil {
		m.ScannerItems.Inc(scanner, Failed)
		return
	}
	m.ScannerLastSuccess.Set(float64(at.UnixMilli())/1000, scanner)
}

// Outcome is [OK], or [Failed] for an error.
func Outcome(err error) string {
	if err != nil {
		return Failed
	}
	return OK
}
