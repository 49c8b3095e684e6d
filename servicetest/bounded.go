package servicetest

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// bounded says of a store what it may keep when all work has ended and its time has passed.
type bounded struct {
	// count returns how many rows each of its tables has. The store says itself which tables it has.
	count func(t *testing.T, d *store.Dump) map[string]int
	// kept is how many rows a table may keep; any other is empty. A table that is new and not named here needs an owner that
	// trims it.
	kept map[string]int
	// brief are tables whose rows are there for moments, which this test may miss.
	brief []string
}

const (
	boundedRetention = time.Hour
	boundedDays      = 24 // hours
)

// runBounded has a day pass with everything in use, and lets the time pass that what has ended is kept.
func runBounded(t *testing.T, h Harness, b bounded) {
	e := newEnv(t, h, engine.Config{Retention: boundedRetention, EventRetention: boundedRetention})
	e.lane = "bounded"
	day := &day{env: e, seen: make(map[string]int), count: func() map[string]int { return b.count(t, e.dump()) }}
	day.configure()
	for range boundedDays {
		day.hour()
		e.advance(time.Hour)
	}
	e.advance(ff.UsageDedup)
	var left map[string]int
	for range 200 {
		e.advance(2 * time.Minute)
		if left = day.count(); len(beyond(left, b.kept)) == 0 {
			break
		}
	}
	for _, table := range beyond(left, b.kept) {
		t.Errorf("%s keeps %d rows, %d at the most are to stay: who trims it?", table, left[table], b.kept[table])
	}
	for _, table := range slices.Sorted(maps.Keys(left)) {
		if day.seen[table] == 0 && !slices.Contains(b.brief, table) {
			t.Errorf("%s was empty all day: nothing here uses it", table)
		}
	}
	e.audit()
}

// beyond are the tables that have more rows than they may keep.
func beyond(left, kept map[string]int) (tables []string) {
	for _, table := range slices.Sorted(maps.Keys(left)) {
		if left[table] > kept[table] {
			tables = append(tables, table)
		}
	}
	return tables
}

// dumped counts what a dump has: its lists, and its records by family.
func dumped(_ *testing.T, d *store.Dump) map[string]int {
	counts := make(map[string]int)
	v := reflect.ValueOf(*d)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice && v.Type().Field(i).Name != "Records" {
			counts[v.Type().Field(i).Name] = f.Len()
		}
	}
	for _, family := range record.Families {
		counts[string(family)] = 0
	}
	for _, rec := range d.Records {
		counts[string(rec.Key().Family())]++
	}
	return counts
}

// day is work of all kinds.
type day struct {
	*env
	count  func() map[string]int
	seen   map[string]int // the most rows a table had
	budget ff.BudgetID
	quota  ff.QuotaID
}

func (d *day) configure() {
	d.budget = d.env.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 1000}, ResetInterval: time.Hour, Scope: ff.Scope{Type: ff.ScopeTag, ID: "a.b=c"}})
	d.quota = d.env.quota(ff.CreateQuota{MaxConcurrent: 1, Rate: 100, Window: time.Minute})
	d.setLane(ff.UpdateLane{Lane: d.lane, MaxConcurrency: new(50)})
	_, err := d.svc.AckEvents(d.Context(), ff.AckEvents{Name: "reader", Family: ff.EventsCompletion, Cursor: d.nowCursor(ff.EventsCompletion)})
	d.ok(err)
	_, err = d.svc.CreateKey(d.Context(), ff.CreateKey{Name: "worker", Roles: []ff.Role{ff.RoleWorker}})
	d.ok(err)
}

// look notes which tables are in use.
func (d *day) look() {
	for table, n := range d.count() {
		d.seen[table] = max(d.seen[table], n)
	}
}

// hour is one hour's work; all of it ends.
func (d *day) hour() {
	d.Helper()
	_, err := d.svc.RegisterWorker(d.Context(), ff.RegisterWorker{
		WorkerID: "w", WorkerInstanceID: "w-1", Lanes: []ff.LaneID{d.lane}, LivenessTTL: time.Minute,
	})
	d.ok(err)
	d.limitedWork()
	d.suspendedWork()
	d.flowWork()
}

// limitedWork runs two executions under a budget and a quota, one of which has to wait.
func (d *day) limitedWork() {
	d.Helper()
	cmd := ff.Submit{Policy: under(ff.Limits{
		Budgets: []ff.BudgetUse{{ID: d.budget, Estimate: ff.Amounts{"t": 5}}}, Quotas: []ff.QuotaUse{{ID: d.quota, Key: "k"}},
	}), IdempotencyKey: d.pace.Now().String()}
	d.submit(cmd)
	cmd.IdempotencyKey = ""
	d.submit(cmd)
	routed := d.submit(ff.Submit{Policy: &ff.Policy{Routing: &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu"}}}})
	d.cancel(routed, "nobody has it")
	c := d.claims(1)[0]
	d.used(ff.ReportUsage{BudgetID: d.budget, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 3}, DedupKey: c.ExecutionID.String()})
	d.record(c, ff.RecordStep{Name: "s", Result: []byte("x")})
	d.append(c, ff.Frame{Payload: []byte("x")})
	d.append(c, ff.Frame{Payload: []byte(`{"a":1}`), Mode: ff.FrameSummary})
	d.append(c, ff.Frame{Payload: []byte("x"), Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Minute}})
	d.look()
	d.complete(c)
	d.complete(d.soonClaims(1)[0])
}

// suspendedWork waits for a signal, and another execution for one that does not come.
func (d *day) suspendedWork() {
	d.Helper()
	c, p := d.parked(ff.Suspend{Condition: ff.OnNamed(approvalKey, "yes"), IdempotencyKey: "k"})
	s := signal(c.ExecutionID, p, "yes")
	s.IdempotencyKey = "k"
	d.deliver(s)
	d.look()
	d.complete(d.claim())
	d.parked(ff.Suspend{Timeout: time.Minute})
	d.running(ff.Submit{}) // by a worker that is lost
	d.look()
	d.advance(10 * time.Minute)
	d.complete(d.soonClaims(1)[0])
}

// flowWork runs a flow to its end, and cancels another.
func (d *day) flowWork() {
	d.Helper()
	node := func(name string, after ...string) ff.FlowNode {
		return ff.FlowNode{Name: name, After: after, Submit: ff.Submit{Lane: d.lane, Kind: "test"}}
	}
	for _, cancelled := range []bool{false, true} {
		id := ff.NewFlowID()
		_, err := d.svc.SubmitFlow(d.Context(), ff.SubmitFlow{FlowID: id, Nodes: []ff.FlowNode{node("a"), node("b", "a"), node("c", "a")}})
		d.ok(err)
		d.look()
		if cancelled {
			_, err = d.svc.CancelFlow(d.Context(), ff.CancelFlow{FlowID: id, Policy: ff.CancelAll, Reason: "enough"})
			d.ok(err)
			continue
		}
		for range 3 {
			d.complete(d.soonClaims(1)[0])
		}
	}
}
