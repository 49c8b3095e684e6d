package crashtest

import (
	"slices"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// judge checks, once all work has ended and all nodes are gone, that the store holds what the nodes were promised.
func (f *fleet) judge(t *testing.T, d *store.Dump) {
	t.Helper()
	storetest.Audit(t, d)
	judgeFlows(t, d)
	known, succeeded := make(map[string]bool, len(d.Executions)), make(map[string]bool, len(d.Executions))
	for _, e := range d.Executions {
		known[e.ID.String()] = true
		if e.State.Outcome == flowfabric.OutcomeSuccess {
			succeeded[e.ID.String()] = true
		} else if e.FlowID.IsZero() {
			t.Errorf("%s ended %q: %s", e.ID, e.State.Outcome, e.FailureReason)
		}
	}
	submitted, completed := 0, 0
	for _, p := range f.all {
		for _, a := range p.submitted() {
			submitted++
			if !known[a.id] {
				t.Errorf("%s was acknowledged to %s and is missing", a.id, p.Name)
			}
		}
		for _, a := range p.completed() {
			completed++
			if !succeeded[a.id] {
				t.Errorf("the completion of %s was acknowledged to %s and is missing", a.id, p.Name)
			}
		}
		for _, r := range p.refused() {
			cancelled := p.Slots > 0 && r.op == "complete" && r.code == flowfabric.CodeExecutionNotActive // a member of a flow, by the flow
			if !r.retryable && (!cancelled || !f.hasFlows()) {
				t.Errorf("%s: %s was refused with %s, which is not retryable", p.Name, r.op, r.code)
			}
		}
	}
	endings(t, d)
	t.Logf("%d executions, %d submissions and %d completions acknowledged, %d processes", len(d.Executions), submitted, completed, len(f.all))
}

// hasFlows reports whether nodes submitted flows.
func (f *fleet) hasFlows() bool {
	return slices.ContainsFunc(f.all, func(p *process) bool { return p.Flows > 0 })
}

// endings checks that every execution has one completion event, and one successful attempt if it succeeded.
func endings(t *testing.T, d *store.Dump) {
	t.Helper()
	attempts, events := map[flowfabric.ExecutionID]int{}, map[flowfabric.ExecutionID]int{}
	for _, a := range d.Attempts {
		if a.State == flowfabric.AttemptEndedSuccess {
			attempts[a.ExecutionID]++
		}
	}
	for i := range d.Events {
		if d.Events[i].Family == record.FamilyCompletion {
			events[d.Events[i].ExecutionID]++
		}
	}
	for _, e := range d.Executions {
		successes := 0
		if e.State.Outcome == flowfabric.OutcomeSuccess {
			successes = 1
		}
		if attempts[e.ID] != successes || events[e.ID] != 1 {
			t.Errorf("%s, %s, has %d successful attempts and %d completion events, want %d and one", e.ID, e.Public, attempts[e.ID], events[e.ID], successes)
		}
	}
}

// judgeLeases checks that no lease of a killed node was lost for longer than its TTL and two seconds after the kill: by
// then it was found expired, or claimed again.
func (f *fleet) judgeLeases(t *testing.T, d *store.Dump) {
	t.Helper()
	killed := map[flowfabric.WorkerInstanceID]flowfabric.Timestamp{}
	for _, p := range f.all {
		if !p.killed.IsZero() {
			killed[flowfabric.WorkerInstanceID(p.Name)] = flowfabric.TimestampOf(p.killed)
		}
	}
	type grant struct{ at, killed flowfabric.Timestamp }
	open := map[flowfabric.ExecutionID]grant{} // granted to a node that was killed, and not ended yet
	lost, longest, reclaimed := 0, time.Duration(0), time.Duration(0)
	for i := range d.Events {
		ev := &d.Events[i]
		if ev.Family != record.FamilyLease && ev.Family != record.FamilyCompletion {
			continue
		}
		if g, ok := open[ev.ExecutionID]; ok {
			after := ev.At.Sub(max(g.killed, g.at))
			switch {
			case ev.Family == record.FamilyLease && ev.Type == "expired":
				lost++
				longest = max(longest, after)
				if after > leaseTTL+2*time.Second {
					t.Errorf("%s: the lease was lost for %s after the kill", ev.ExecutionID, after)
				}
				continue // until it is claimed again
			case ev.Type == "reclaimed":
				reclaimed = max(reclaimed, after)
			}
			delete(open, ev.ExecutionID)
		}
		if at, dead := killed[ev.WorkerInstanceID]; dead && (ev.Type == "acquired" || ev.Type == "reclaimed") {
			open[ev.ExecutionID] = grant{ev.At, at}
		}
	}
	t.Logf("%d leases of %d killed nodes ran out, the last %s after its kill; claimed again within %s", lost, len(killed), longest, reclaimed)
}

// judgePace logs the longest time in which the fleet had nothing acknowledged, and when it began.
func (f *fleet) judgePace(t *testing.T) {
	t.Helper()
	var acks []time.Time
	for _, p := range f.all {
		for _, a := range append(p.submitted(), p.completed()...) {
			acks = append(acks, a.at)
		}
	}
	slices.SortFunc(acks, time.Time.Compare)
	var longest time.Duration
	var began time.Time
	for i := 1; i < len(acks); i++ {
		if gap := acks[i].Sub(acks[i-1]); gap > longest {
			longest, began = gap, acks[i-1]
		}
	}
	t.Logf("the longest time without an acknowledgement was %s, from %s", longest, began.Format(time.StampMilli))
}

func dump(t *testing.T, st store.Store) *store.Dump {
	t.Helper()
	d, err := st.(store.Dumper).Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// awaitEnd waits until every execution has ended, and nothing is left to be carried on in flows.
func awaitEnd(t *testing.T, st store.Store, limit time.Duration) {
	t.Helper()
	until(t, limit, "everything has ended", func() bool {
		d := dump(t, st)
		for _, rec := range d.Records {
			switch rec.(type) {
			case *record.Errand, *record.Backlog:
				return false
			}
		}
		return !slices.ContainsFunc(d.Executions, func(e *record.Execution) bool { return !e.State.Finished() })
	})
}
