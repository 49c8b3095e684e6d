package engine

import (
	"context"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/tail"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// observe records what a unit has committed (chapter 80, section 10).
func (e *Engine) observe(u *store.Unit) {
	m := e.metrics
	if m == nil {
		return
	}
	unit := observed{u: u}
	for i := range u.Events {
		ev := &u.Events[i]
		rec := unit.execution(ev.ExecutionID)
		if rec == nil {
			continue
		}
		switch {
		case ev.Family == record.FamilyCompletion:
			completed(m, rec)
		case ev.Family != record.FamilyLease:
		case ev.Type == flowfabric.LeaseExpired:
			m.LeasesExpired.Inc(string(rec.Lane))
			if rec.State.Finished() {
				m.Reclaims.Inc("exhausted")
			}
		case ev.Type == flowfabric.LeaseReclaimed:
			m.Reclaims.Inc("reclaimed")
		}
	}
	for _, att := range u.Attempts {
		if outcome := attemptOutcomes[att.Outcome]; outcome != "" {
			if rec := unit.execution(att.ExecutionID); rec != nil {
				m.AttemptOutcomes.Inc(string(rec.Lane), outcome)
			}
		}
	}
	for _, note := range u.Notes {
		if hit, ok := note.(ops.Hit); ok {
			refused(m, hit)
		}
	}
	unit.created(m)
	observeRecords(m, u)
}

// attemptOutcomes are the words of the metric. Attempts that were lost are counted as reclaims, skipped ones never ran.
var attemptOutcomes = map[record.AttemptOutcome]string{
	record.AttemptSucceeded:  obs.OK,
	record.AttemptFailed:     obs.Failed,
	record.AttemptRetried:    "retry",
	record.AttemptCancelled:  "cancelled",
	record.AttemptRanTooLong: "timeout",
}

func completed(m *obs.Metrics, rec *record.Execution) {
	lane := string(rec.Lane)
	m.Terminal.Inc(lane, string(rec.State.Outcome))
	if rec.StartedAt != 0 {
		m.Latency.Observe(rec.StartedAt.Sub(rec.CreatedAt), lane, "queue")
		m.Latency.Observe(rec.CompletedAt.Sub(rec.StartedAt), lane, "run")
	}
	m.Latency.Observe(rec.CompletedAt.Sub(rec.CreatedAt), lane, "total")
	if rec.State.Outcome == flowfabric.OutcomeCancelled && rec.CancelledBy == flowfabric.SourceEngine && siblingReasons[rec.CancellationReason] {
		m.SiblingEnds.Inc("cancelled")
	}
}

func refused(m *obs.Metrics, hit ops.Hit) {
	switch {
	case hit.Dimension != "":
		m.BudgetHits.Inc(hit.Dimension)
	case hit.Rate:
		m.QuotaHits.Inc("rate")
	default:
		m.QuotaHits.Inc("concurrency")
	}
}

// siblingReasons are the reasons of cancels of upstreams that nobody needs any more (chapter 20, section 20.12).
var siblingReasons = map[string]bool{"sibling_quorum_satisfied": true, "sibling_quorum_impossible": true}

// observeRecords records what the keyed records tell that a unit wrote.
func observeRecords(m *obs.Metrics, u *store.Unit) {
	for _, rec := range u.Records {
		switch rec := rec.(type) {
		case *record.Signal:
			if rec.Version == 1 {
				m.Signals.Inc(string(rec.Effect))
			}
		case *record.Group:
			if rec.Version == 1 {
				m.GroupPolicies.Inc(string(rec.Policy.Kind))
			}
		}
	}
	for _, rec := range u.Registered {
		if errand, ok := rec.(*record.Errand); ok && errand.Kind == record.CancelSiblings {
			m.SiblingCancels.Inc(siblingReason(u, errand))
		}
	}
}

// siblingReason is why the upstreams of a group are cancelled, which the same unit has decided.
func siblingReason(u *store.Unit, errand *record.Errand) string {
	for _, rec := range u.Records {
		if g, ok := rec.(*record.Group); ok && g.Downstream == errand.ExecutionID && g.SiblingsReason != "" {
			return g.SiblingsReason
		}
	}
	return "sibling_quorum_satisfied"
}

// observed is a unit that was committed, with its executions by id once they are many.
type observed struct {
	u    *store.Unit
	next int // events come in the order of executions, mostly
	byID map[flowfabric.ExecutionID]*record.Execution
}

// manyObserved is from how many executions on they are looked up in a map.
const manyObserved = 8

func (o *observed) execution(id flowfabric.ExecutionID) *record.Execution {
	if o.next < len(o.u.Wrote) && o.u.Wrote[o.next].ID == id {
		o.next++
		return o.u.Wrote[o.next-1]
	}
	if len(o.u.Wrote) > manyObserved && o.byID == nil {
		o.byID = make(map[flowfabric.ExecutionID]*record.Execution, len(o.u.Wrote))
		for _, rec := range o.u.Wrote {
			o.byID[rec.ID] = rec
		}
	}
	if o.byID != nil {
		return o.byID[id]
	}
	for _, rec := range o.u.Wrote {
		if rec.ID == id {
			return rec
		}
	}
	return nil
}

// created counts the executions that are new: those of the first version. A unit of the same commit that has written one
// again has left an event of it.
func (o *observed) created(m *obs.Metrics) {
	var seen map[*record.Execution]bool
	for i, rec := range o.u.Wrote {
		if rec.Version != 1 || o.told(rec.ID) {
			continue
		}
		if !rec.FlowID.IsZero() { // a unit may write a member twice
			if seen == nil {
				seen = make(map[*record.Execution]bool, len(o.u.Wrote)-i)
			}
			if seen[rec] {
				continue
			}
			seen[rec] = true
		}
		m.Created.Inc(string(rec.Lane))
	}
}

func (o *observed) told(id flowfabric.ExecutionID) bool {
	for i := range o.u.Events {
		if o.u.Events[i].ExecutionID == id {
			return true
		}
	}
	return false
}

// gauges samples what is not recorded as it happens, for who collects: at most every sampleEvery, so that scrapes of several
// do not add up.
type gauges struct {
	m     *obs.Metrics
	st    store.Store
	rules ops.Rules
	tails *tail.Hub
	clock clock.Clock

	mu sync.Mutex
	at time.Time
}

// Bounds of a sample.
const (
	sampleEvery   = 5 * time.Second
	sampleTimeout = 2 * time.Second
	sampleLanes   = obs.DefaultCap
	sampleReaders = 16
	sampleMost    = 1000 // workers, suspended executions, members of the cancel backlog
	sampleScan    = 5000 // executions looked at for suspended ones, the newest first
)

// sample sets the gauges. What cannot be read is left out.
func (g *gauges) sample(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.m.StreamTails.Set(float64(g.tails.Waiting()))
	now := g.clock.Now()
	if !g.at.IsZero() && now.Sub(g.at) < sampleEvery {
		return
	}
	g.at = now
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	g.m.Resample()
	g.m.StreamTails.Set(float64(g.tails.Waiting()))
	tx, err := g.st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
	if err != nil {
		return
	}
	g.lanes(ctx, tx.Now())
	g.workers(ctx, tx.Now())
	g.suspended(ctx)
	g.outbox(ctx, tx.Now())
	if list, err := g.st.Records(ctx, store.RecordQuery{Family: record.BacklogMembers, Limit: sampleMost}); err == nil {
		g.m.CancelBacklog.Set(float64(len(list)))
	}
}

func (g *gauges) lanes(ctx context.Context, now flowfabric.Timestamp) {
	page, err := g.rules.ListLanes(ctx, g.st, flowfabric.ListLanes{Limit: sampleLanes})
	if err != nil {
		return
	}
	for _, l := range page.Items {
		n, err := g.rules.LaneCounts(ctx, g.st, l.Lane)
		if err != nil {
			return
		}
		lane, age := string(l.Lane), 0.0
		if n.OldestAt != 0 {
			age = max(0, now.Sub(n.OldestAt).Seconds())
		}
		g.m.QueueDepth.Set(float64(n.Waiting), lane, "waiting")
		g.m.QueueDepth.Set(float64(n.Delayed), lane, "delayed")
		g.m.QueueAge.Set(age, lane)
		g.m.ActiveLeases.Set(float64(n.Active), lane)
		g.m.Suspended.Set(0, lane)
	}
}

func (g *gauges) workers(ctx context.Context, now flowfabric.Timestamp) {
	list, err := g.st.Records(ctx, store.RecordQuery{Family: record.Workers, Limit: sampleMost})
	if err != nil {
		return
	}
	alive := 0
	for _, rec := range list {
		if w := rec.(*record.Worker); w.ExpiresAt > now {
			alive++
		}
	}
	g.m.WorkersAlive.Set(float64(alive), "alive")
	g.m.WorkersAlive.Set(float64(len(list)-alive), "dead")
}

func (g *gauges) suspended(ctx context.Context) {
	page, err := g.st.List(ctx, store.ListQuery{States: []flowfabric.PublicState{flowfabric.PublicSuspended}, Limit: sampleMost, Scan: sampleScan})
	if err != nil {
		return
	}
	for _, rec := range page.Executions {
		g.m.Suspended.Add(1, string(rec.Lane))
	}
}

// outbox looks for the first event behind the cursor of each reader.
func (g *gauges) outbox(ctx context.Context, now flowfabric.Timestamp) {
	readers, err := g.rules.ListEventReaders(ctx, g.st, flowfabric.ListEventReaders{Limit: sampleReaders})
	if err != nil {
		return
	}
	lags := make(map[flowfabric.EventFamily]float64)
	for _, r := range readers.Items {
		page, err := g.rules.ReadEvents(ctx, g.st, flowfabric.ReadEvents{Family: r.Family, After: r.Cursor, Limit: 1})
		if err != nil {
			continue // its place is kept no longer
		}
		lag := 0.0
		if len(page.Events) > 0 {
			lag = max(0, now.Sub(page.Events[0].At).Seconds())
		}
		lags[r.Family] = max(lags[r.Family], lag)
	}
	for family, lag := range lags {
		g.m.OutboxLag.Set(lag, string(family))
	}
}
