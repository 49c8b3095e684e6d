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

// Audit checks every invariant of chapter 10, section 7, of the flows of chapter 20, of the suspensions of chapter 40 and of the
// budgets and quotas of chapter 60, that a
// store at rest can show, over everything in it, and fails
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
			a.removed(id, h)
			continue
		}
		a.vector(h.execution)
		a.place(h.execution)
		a.bounds(h.execution)
		a.times(h.execution)
		a.lease(h.execution)
		a.spans(h.execution)
		a.attempts(h.execution, h.attempts)
		events := slices.DeleteFunc(h.events, func(ev record.Event) bool {
			return ev.At < h.execution.CreatedAt // of an execution with its id, removed before
		})
		a.completions(h.execution, events)
		a.leaseEvents(h.execution, events)
	}
	a.routes(d)
	a.flows(d)
	a.edges(d)
	a.waits(d)
	a.streams(d)
	a.limits(d)
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

// note adds a violation that is of no single execution.
func (a *audit) note(format string, args ...any) {
	a.found = append(a.found, fmt.Sprintf(format, args...))
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

// removed: an execution is only removed after its end, and with all but its events (I29). Events of no execution tell of the
// worker registry or of an operator's act.
func (a *audit) removed(id flowfabric.ExecutionID, h *history) {
	if len(h.attempts) > 0 {
		a.add(id, "I29: has %d attempts, but is not there", len(h.attempts))
	}
	ended := false
	for _, ev := range h.events {
		switch {
		case id == record.NoExecution(id.Partition()):
			if ev.Family != record.FamilyWorker && ev.Family != record.FamilyOperator {
				a.add(id, "an event %s %q is of no execution", ev.Family, ev.Type)
			}
			ended = true
		case ev.Type == "flow_cancel_requested": // of a flow, which stands where an execution does
			ended = true
		case ev.Family == record.FamilyCompletion:
			ended = true
		case ev.Family == record.FamilyLease, ev.Type == "replayed":
			ended = false
		}
	}
	if !ended && len(h.events) > 0 {
		a.add(id, "I29: is not there, and its %d events do not tell its end", len(h.events))
	}
}

// routes: an execution that needs capabilities is on a route, and the route, if the store has it, says so; else no claimer
// would ask for it. The store forgets a route without work, and claimers then learn it from its next execution.
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
		case ok && !slices.Equal(capabilities, e.Capabilities):
			a.add(e.ID, "needs %v, its route %v", e.Capabilities, capabilities)
		}
	}
}
