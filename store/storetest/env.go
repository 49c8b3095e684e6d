package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// start is where every test's clock begins.
const start flowfabric.Timestamp = 1_700_000_000_000

// env is what a test has: a store of its own and its clock.
type env struct {
	*testing.T
	harness Harness
	store   store.Store
	clock   *clock.Sim
}

func newEnv(t *testing.T, h Harness) *env {
	e := &env{T: t, harness: h, clock: clock.NewSim(start.Time())}
	e.store = h.Open(t, e.now)
	t.Cleanup(e.auditIndexes)
	return e
}

func (e *env) now() flowfabric.Timestamp { return flowfabric.TimestampOf(e.clock.Now()) }

// ms advances the clock.
func (e *env) ms(n int) { e.clock.Advance(time.Duration(n) * time.Millisecond) }

// reopen closes the store and opens it again, if it outlives that.
func (e *env) reopen() bool {
	if e.harness.Reopen == nil {
		return false
	}
	e.store = e.harness.Reopen(e, e.store, e.now)
	return true
}

// do applies units of which none may fail.
func (e *env) do(units ...*store.Unit) {
	e.Helper()
	e.apply(units...)
	for i, u := range units {
		if u.Err != nil {
			e.Fatalf("unit %d: %v", i, u.Err)
		}
	}
}

// apply applies units, each of which may fail.
func (e *env) apply(units ...*store.Unit) {
	e.Helper()
	if err := e.store.Apply(e.Context(), units); err != nil {
		e.Fatalf("apply: %v", err)
	}
}

// retry applies units again as long as the store fails for a passing reason, as the engine does. It may be called from
// any goroutine.
func (e *env) retry(units ...*store.Unit) error {
	for {
		err := e.store.Apply(e.Context(), units)
		if !errors.Is(err, store.ErrTransient) {
			return err
		}
	}
}

func (e *env) view(r store.Reads) *store.Tx {
	e.Helper()
	tx, err := e.store.View(e.Context(), r)
	if err != nil {
		e.Fatalf("view: %v", err)
	}
	return tx
}

// get returns an execution as it is stored.
func (e *env) get(id flowfabric.ExecutionID) *record.Execution {
	e.Helper()
	return e.view(store.Reads{Executions: []flowfabric.ExecutionID{id}}).Execution(id)
}

// put stores new executions of one shard.
func (e *env) put(list ...*record.Execution) {
	e.Helper()
	e.do(unit(store.Reads{Executions: idsOf(list)}, func(tx *store.Tx) error {
		for _, x := range list {
			n := *x
			tx.PutExecution(&n)
		}
		return nil
	}))
}

// update stores a changed copy of an execution.
func (e *env) update(id flowfabric.ExecutionID, change func(n *record.Execution)) {
	e.Helper()
	e.do(updateUnit(id, change))
}

// dump returns everything that is stored, in order of keys; events are in log order per execution.
func (e *env) dump() *store.Dump {
	e.Helper()
	d, ok := e.store.(store.Dumper)
	if !ok {
		e.Fatalf("%T is no store.Dumper", e.store)
	}
	dump, err := d.Dump(context.WithoutCancel(e.Context()))
	if err != nil {
		e.Fatalf("dump: %v", err)
	}
	sortDump(dump)
	return dump
}

// sortDump brings what the contract leaves unordered into one order.
func sortDump(d *store.Dump) {
	slices.SortFunc(d.Executions, func(x, y *record.Execution) int { return x.ID.Compare(y.ID) })
	slices.SortFunc(d.Attempts, func(x, y *record.Attempt) int {
		return cmp.Or(x.ExecutionID.Compare(y.ExecutionID), cmp.Compare(x.Index, y.Index))
	})
	slices.SortFunc(d.Idempotency, func(x, y *record.Idempotency) int { return cmp.Compare(x.Key.Key, y.Key.Key) })
	slices.SortFunc(d.Routes, func(x, y *record.Route) int {
		return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.ID, y.ID))
	})
	slices.SortStableFunc(d.Events, func(x, y record.Event) int { return x.ExecutionID.Compare(y.ExecutionID) })
	slices.SortFunc(d.Ready, func(x, y store.ReadyEntry) int {
		return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Route, y.Route), cmp.Compare(y.Priority, x.Priority),
			cmp.Compare(x.CreatedAt, y.CreatedAt), x.ExecutionID.Compare(y.ExecutionID))
	})
	slices.SortFunc(d.Due, func(x, y store.DueEntry) int {
		return cmp.Or(cmp.Compare(x.DueAt, y.DueAt), x.ExecutionID.Compare(y.ExecutionID))
	})
	slices.SortFunc(d.Retain, func(x, y store.RetainEntry) int {
		return cmp.Or(cmp.Compare(x.RetainUntil, y.RetainUntil), x.ExecutionID.Compare(y.ExecutionID))
	})
	slices.SortFunc(d.Slots, func(x, y store.SlotEntry) int {
		return cmp.Or(cmp.Compare(x.Lane, y.Lane), x.ExecutionID.Compare(y.ExecutionID))
	})
	slices.SortFunc(d.Records, func(x, y record.Keyed) int { return record.CompareKeys(x.Key(), y.Key()) })
}

// auditIndexes compares the indexes with the records.
func (e *env) auditIndexes() {
	d, ok := e.store.(store.Dumper)
	if !ok {
		return
	}
	dump, err := d.Dump(context.Background())
	if errors.Is(err, store.ErrClosed) {
		return
	}
	if err != nil {
		e.Errorf("dump: %v", err)
		return
	}
	for _, v := range indexViolations(dump) {
		e.Errorf("audit: %s", v)
	}
}

// equal fails the test unless got is want. A store may return nil for what is empty, and JSON in another spelling.
func (e *env) equal(what string, got, want any) {
	e.Helper()
	if diff := gocmp.Diff(want, got, equality...); diff != "" {
		e.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var equality = gocmp.Options{
	gocmp.Comparer(func(x, y flowfabric.ExecutionID) bool { return x == y }),
	cmpopts.IgnoreFields(record.Budget{}, "Version"), cmpopts.IgnoreFields(record.Quota{}, "Version"), cmpopts.IgnoreFields(record.QuotaUse{}, "Version"), // drawn by lot
	gocmp.FilterPath(isDetails, gocmp.Transformer("JSON", decodeJSON)),
	gocmp.FilterPath(isBytes, gocmp.Comparer(bytes.Equal)),
	gocmp.FilterPath(func(p gocmp.Path) bool { return !isDetails(p) && !isBytes(p) }, cmpopts.EquateEmpty()),
}

func isDetails(p gocmp.Path) bool { return p.Last().String() == ".Details" }

func isBytes(p gocmp.Path) bool { return p.Last().Type() == reflect.TypeFor[[]byte]() && !isDetails(p) }

func decodeJSON(text []byte) any {
	if len(text) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return "not JSON: " + string(text)
	}
	return v
}
