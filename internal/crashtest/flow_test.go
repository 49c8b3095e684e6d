package crashtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flow"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Kinds of flows. Every ninth is cancelled as soon as it was acknowledged.
const (
	chainFlow  = "chain"  // five in line
	fanFlow    = "fan"    // one, then twelve, then one
	raceFlow   = "race"   // the first of twelve to succeed has the others cancelled
	brokenFlow = "broken" // a member fails for good: what follows it is skipped, its neighbour is not
)

var flowKinds = []string{chainFlow, fanFlow, raceFlow, brokenFlow}

// kindOfBroken is the kind of executions that fail for good.
const kindOfBroken = "broken"

// flowOf makes a flow of a kind.
func flowOf(kind string) flowfabric.SubmitFlow {
	f := flow.New(kind, flow.Lane(lane))
	add := func(name, what string, more ...flow.NodeOption) {
		f.Node(name, nil, append(more, flow.Kind(what), flow.Policy(workPolicy))...)
	}
	add("first", "work")
	switch kind {
	case chainFlow:
		for i, before := range []string{"first", "n0", "n1", "n2"} {
			add(fmt.Sprint("n", i), "work", flow.After(before))
		}
	case fanFlow, raceFlow:
		names := []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11"}
		for _, name := range names {
			add(name, "work", flow.After("first"))
		}
		if kind == fanFlow {
			add("last", "work", flow.After(names...))
		} else {
			add("last", "work", flow.AnyOf(names...))
		}
	case brokenFlow:
		add("broken", kindOfBroken, flow.After("first"))
		add("good", "work", flow.After("first"))
		add("skipped", "work", flow.After("broken", "good"))
	}
	cmd, err := f.Plan()
	if err != nil {
		panic(err) // it is the test's own
	}
	return cmd
}

// submitFlows submits flows of all kinds in turn and reports each member of one that was acknowledged.
func (n *node) submitFlows(ctx context.Context, svc flowfabric.Service, rep *report) {
	for i := 0; ctx.Err() == nil; i++ {
		cmd := flowOf(flowKinds[i%len(flowKinds)])
		id, err := svc.SubmitFlow(ctx, cmd)
		switch {
		case err == nil:
			for _, node := range cmd.Nodes {
				rep.say("%s %s", ackSubmitted, flowfabric.NodeID(id, node.Name, flowfabric.DefaultPartitions()))
			}
		case ctx.Err() == nil:
			rep.refused("submit_flow", err)
		}
		if err == nil && i%9 == 8 {
			if _, err := svc.CancelFlow(ctx, flowfabric.CancelFlow{FlowID: id, Reason: "on purpose"}); err != nil && ctx.Err() == nil {
				rep.refused("cancel flow", err)
			}
		}
		loop.Sleep(ctx, wall, max(n.Pause, time.Microsecond), nil)
	}
}

// judgeFlows checks how the members of each flow have ended, and that nothing is left to be carried on.
func judgeFlows(t *testing.T, d *store.Dump) {
	t.Helper()
	members := make(map[flowfabric.FlowID]map[string]flowfabric.PublicState)
	for _, e := range d.Executions {
		if !e.FlowID.IsZero() {
			if members[e.FlowID] == nil {
				members[e.FlowID] = make(map[string]flowfabric.PublicState)
			}
			members[e.FlowID][e.Tags[flowfabric.TagNode]] = e.Public
		}
	}
	flows := make(map[flowfabric.FlowState]int)
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Flow:
			flows[rec.State]++
			if !rec.State.Terminal() {
				t.Errorf("%s flow %s is %s", rec.Kind, rec.FlowID, rec.State)
			}
			if rec.State != flowfabric.FlowCancelled {
				judgeFlow(t, rec, members[rec.FlowID])
			}
		case *record.Errand, *record.Backlog, *record.BacklogMember:
			t.Errorf("still to be carried on: %+v", rec)
		}
	}
	t.Logf("flows: %v", flows)
}

// judgeFlow checks a flow that was not cancelled.
func judgeFlow(t *testing.T, f *record.Flow, members map[string]flowfabric.PublicState) {
	t.Helper()
	want := map[string]flowfabric.PublicState{}
	if f.Kind == brokenFlow {
		want = map[string]flowfabric.PublicState{"broken": flowfabric.PublicFailed, "skipped": flowfabric.PublicSkipped}
	}
	succeeded := 0
	for name, state := range members {
		switch {
		case want[name] != "" && state != want[name],
			want[name] == "" && state != flowfabric.PublicCompleted && (f.Kind != raceFlow || state != flowfabric.PublicCancelled):
			t.Errorf("%s flow %s: %s ended %s", f.Kind, f.FlowID, name, state)
		case state == flowfabric.PublicCompleted:
			succeeded++
		}
	}
	if f.Kind == raceFlow && (succeeded < 3 || members["last"] != flowfabric.PublicCompleted) {
		t.Errorf("race %s ended %v", f.FlowID, members)
	}
}
