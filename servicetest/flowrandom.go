package servicetest

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/record"
)

// RunFlows runs random graphs, whose members end in a random order and in random ways, with replays between, and compares
// how each member ends with what the specification says of the graph (chapter 20, F10): the order must make no difference.
// Groups let their other upstreams run, since which of them a cancel finds unfinished does depend on the order.
func RunFlows(t *testing.T, h Harness) {
	t.Parallel()
	e := newEnv(t, h, engine.Config{})
	scripts := 0
	rapid.Check(t, func(r *rapid.T) {
		scripts++
		n := *e
		n.lane = ff.LaneID(fmt.Sprintf("script %d", scripts))
		g := drawGraph(r, &n)
		g.run(r)
		g.judge(r)
		if rapid.Bool().Draw(r, "replay") {
			g.replayFailed(r)
			g.run(r)
			g.judge(r)
		}
	})
	e.audit()
}

// randomGraph is a flow with what its members will do when they run.
type randomGraph struct {
	*graph
	nodes []ff.FlowNode
	fails map[string]bool
}

func drawGraph(r *rapid.T, e *env) *randomGraph {
	g := &randomGraph{graph: &graph{env: e, held: make(map[string]ff.Claimed)}, fails: make(map[string]bool)}
	for i := range rapid.IntRange(1, 10).Draw(r, "nodes") {
		n := ff.FlowNode{Name: fmt.Sprint("n", i), Submit: e.command(ff.Submit{})}
		for _, up := range g.names {
			if rapid.IntRange(0, 2).Draw(r, "edge") == 0 {
				n.After = append(n.After, up)
			}
		}
		if len(n.After) > 0 {
			n.Policy = drawGroupPolicy(r, len(n.After))
		}
		g.nodes, g.names = append(g.nodes, n), append(g.names, n.Name)
		g.fails[n.Name] = rapid.IntRange(0, 3).Draw(r, "fails") == 0
	}
	g.submitted(ff.SubmitFlow{Nodes: g.nodes})
	return g
}

func drawGroupPolicy(r *rapid.T, edges int) ff.GroupPolicy {
	switch kind := rapid.SampledFrom([]ff.PolicyKind{ff.AllOf, ff.AnyOf, ff.Quorum, ff.AllEnded}).Draw(r, "policy"); kind {
	case ff.AnyOf:
		return ff.GroupPolicy{Kind: kind, OnSatisfied: ff.LetRun}
	case ff.Quorum:
		return ff.GroupPolicy{Kind: kind, K: rapid.IntRange(1, edges).Draw(r, "k"), OnSatisfied: ff.LetRun}
	default:
		return ff.GroupPolicy{Kind: kind}
	}
}

// run lets members run, one after the other in a random order, until none can.
func (g *randomGraph) run(r *rapid.T) {
	for {
		var ready []string
		for _, name := range g.names {
			if g.describe(g.node(name)).PublicState == ff.PublicWaiting {
				ready = append(ready, name)
			}
		}
		if len(ready) == 0 {
			return
		}
		name := rapid.SampledFrom(ready).Draw(r, "next")
		if rapid.IntRange(0, 5).Draw(r, "loses its lease") == 0 {
			g.start(name)
			_, err := g.svc.RevokeLease(g.Context(), ff.RevokeLease{ExecutionID: g.node(name)})
			g.ok(err)
			delete(g.held, name)
			continue
		}
		if g.fails[name] {
			g.end("failed", name)
		} else {
			g.end("success", name)
		}
	}
}

// ends says how each member ends, by the graph alone.
func (g *randomGraph) ends() map[string]ff.PublicState {
	ends := make(map[string]ff.PublicState)
	for _, n := range g.nodes {
		good := 0
		for _, up := range n.After {
			if ends[up] == ff.PublicCompleted {
				good++
			}
		}
		need := map[ff.PolicyKind]int{ff.AllOf: len(n.After), "": len(n.After), ff.AnyOf: min(1, len(n.After)), ff.Quorum: n.Policy.K, ff.AllEnded: 0}[n.Policy.Kind]
		switch {
		case good < need:
			ends[n.Name] = ff.PublicSkipped
		case g.fails[n.Name]:
			ends[n.Name] = ff.PublicFailed
		default:
			ends[n.Name] = ff.PublicCompleted
		}
	}
	return ends
}

func (g *randomGraph) judge(r *rapid.T) {
	want := g.ends()
	bad := false
	for _, name := range g.names {
		if got := g.describe(g.node(name)).PublicState; got != want[name] {
			r.Fatalf("%s is %s, want %s, in\n%s", name, got, want[name], g)
		}
		bad = bad || want[name] == ff.PublicFailed
	}
	s, state := g.snapshot(), ff.FlowCompleted
	if bad {
		state = ff.FlowFailed
	}
	if s.State != state || s.Progress != state || s.NodeCount != len(g.names) {
		r.Fatalf("the flow is %s by its record and %s by its %d members, want %s", s.State, s.Progress, s.NodeCount, state)
	}
}

// replayFailed makes the failures good: all that were skipped wait again, then what failed runs again.
func (g *randomGraph) replayFailed(r *rapid.T) {
	ends := g.ends()
	for _, state := range []ff.PublicState{ff.PublicSkipped, ff.PublicFailed} {
		for _, name := range g.names {
			if ends[name] == state {
				if _, err := g.svc.Replay(g.Context(), ff.Replay{ExecutionID: g.node(name)}); err != nil {
					r.Fatalf("replay %s: %v", name, err)
				}
			}
		}
	}
	clear(g.fails)
	g.eventually("what was recounted goes on", func() bool {
		for _, rec := range g.dump().Records {
			if e, ok := rec.(*record.Errand); ok && e.FlowID == g.id {
				return false
			}
		}
		return true
	})
}

// String spells the graph out, for whoever has to find out what went wrong.
func (g *randomGraph) String() string {
	var b strings.Builder
	for _, n := range g.nodes {
		fmt.Fprintf(&b, "%s after %v by %+v, fails: %t, is %s, group %s\n", n.Name, n.After, n.Policy, g.fails[n.Name], g.states(n.Name), g.group(n.Name))
	}
	return b.String()
}
