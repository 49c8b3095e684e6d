package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Audit checks every invariant of chapter 10, section 7 that a store at rest can show, over everything in it, and fails
// t with each violation. Run it after each test that worked through the engine; executions written by hand have no
// history, and it complains of them.
func Audit(t testing.TB, d *store.Dump) {
	t.Helper()
	for _, v := range Violations(d) {
		t.Errorf("audit: %s", v)
	}
}

// Violations lists what [Audit] would complain of, in a fixed order.
func Violations(d *store.Dump) []string {
	a := &audit{}
	all := gather(a, d)
	for _, id := range slices.SortedFunc(maps.Keys(all), flowfabric.ExecutionID.Compare) {
		h := all[id]
		if h.execution == nil {
			a.add(id, "has %d attempts and %d events, but is not there", len(h.attempts), len(h.events))
			continue
		}
		a.vector(h.execution)
		a.place(h.execution)
		a.bounds(h.execution)
		a.times(h.execution)
		a.lease(h.execution)
		a.attempts(h.execution, h.attempts)
		a.completions(h.execution, h.events)
		a.leaseEvents(h.execution, h.events)
	}
	a.routes(d)
	return append(a.found, indexViolations(d)...)
}

// history is everything about one execution.
type history struct {
	execution *record.Execution
	attempts  []*record.Attempt
	events    []record.Event
}

// audit collects violations.
type audit struct{ found []string }

// add notes a violation: a rule, by its number where it has one, that an execution breaks.
func (a *audit) add(id flowfabric.ExecutionID, format string, args ...any) {
	a.found = append(a.found, id.String()+": "+fmt.Sprintf(format, args...))
}

// gather sorts a dump by execution.
func gather(a *audit, d *store.Dump) map[flowfabric.ExecutionID]*history {
	all := make(map[flowfabric.ExecutionID]*history, len(d.Executions))
	of := func(id flowfabric.ExecutionID) *history {
		h := all[id]
		if h == nil {
			h = &history{}
			all[id] = h
		}
		return h
	}
	for _, e := range d.Executions {
		if of(e.ID).execution != nil {
			a.add(e.ID, "is there twice")
		}
		of(e.ID).execution = e
	}
	for _, att := range d.Attempts {
		of(att.ExecutionID).attempts = append(of(att.ExecutionID).attempts, att)
	}
	for _, ev := range d.Events {
		of(ev.ExecutionID).events = append(of(ev.ExecutionID).events, ev)
	}
	return all
}

// routes: an execution that needs capabilities is on a route that says so, else no claimer would ask for it.
func (a *audit) routes(d *store.Dump) {
	type key struct {
		lane flowfabric.LaneID
		id   int64
	}
	known := make(map[key][]string, len(d.Routes))
	for _, r := range d.Routes {
		known[key{r.Lane, r.ID}] = r.Capabilities
	}
	for _, e := range d.Executions {
		capabilities, ok := known[key{e.Lane, e.Route}]
		switch {
		case e.Route == 0 && len(e.Capabilities) > 0:
			a.add(e.ID, "needs %v but is on no route", e.Capabilities)
		case e.Route == 0:
		case !ok:
			a.add(e.ID, "is on route %d of lane %q, which is not registered", e.Route, e.Lane)
		case !slices.Equal(capabilities, e.Capabilities):
			a.add(e.ID, "needs %v, its route %v", e.Capabilities, capabilities)
		}
	}
}
