package ops

import (
	"context"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// upstream is what was seen of the edges that lead to an execution.
type upstream struct {
	listed []ff.Dependency // the first that are open or, of a group decided against the execution, that failed
	count  int             // of the same, in all
	total  int             // edges in all
}

// edgesMatter reports whether the edges that lead to the execution say something about it.
func (f *facts) edgesMatter() bool {
	switch {
	case f.e.FlowID.IsZero():
		return false
	case f.e.State.Finished():
		return f.e.State.Outcome == ff.OutcomeSkipped
	default:
		return f.awaits() || f.group != nil && (graph.Needed(f.group) || f.impossible())
	}
}

// impossible reports whether the edges are decided against the execution.
func (f *facts) impossible() bool {
	return f.e.State.Outcome == ff.OutcomeSkipped || f.group != nil && f.group.State == ff.GroupImpossible
}

// lookUpstream reads the edges that lead to the execution until it has found most of those that matter, and who they come
// from. It looks at no more than [ff.MaxExplainedEdges].
func (r Rules) lookUpstream(ctx context.Context, st store.Store, f *facts, most int) error {
	if !f.edgesMatter() {
		return nil
	}
	const page = 200
	g := f.group
	if g == nil {
		g = graph.NewGroup(groupKeyOf(flowKeyOf(f.e), f.e.ID))
	}
	matters := func(e *record.Edge) bool { return !graph.Resolved(e, g) }
	if f.impossible() {
		matters = func(e *record.Edge) bool { return graph.StateOf(e, g) == ff.EdgeImpossible }
	}
	q := store.EdgesQuery{Flow: flowKeyOf(f.e), Of: f.e.ID, Incoming: true, Limit: page}
	var list []*record.Edge
	for seen := 0; seen < ff.MaxExplainedEdges; {
		tx, err := st.View(ctx, store.Reads{Edges: []store.EdgesQuery{q}})
		if err != nil {
			return err
		}
		edges := tx.Edges(q)
		for _, e := range edges {
			if e.Wave != g.Wave {
				continue
			}
			f.upstream.total++
			if matters(e) {
				f.upstream.count++
				if len(list) < most {
					list = append(list, e)
				}
			}
		}
		if seen += len(edges); len(edges) < page || len(list) == most && g.Total > 0 {
			break
		}
		q.After = edges[page-1].EdgeID
	}
	f.countUpstream(g)
	return r.nameUpstream(ctx, st, f, g, list)
}

// countUpstream takes the counters of the group, where it has any, for the numbers.
func (f *facts) countUpstream(g *record.Group) {
	if g.Total == 0 {
		return
	}
	t := graph.TallyOf(g)
	f.upstream.total, f.upstream.count = t.Total, t.Total-t.Success-t.Negative
	if f.impossible() {
		f.upstream.count = t.Negative
	}
}

// nameUpstream lists edges with what is known of their upstreams.
func (r Rules) nameUpstream(ctx context.Context, st store.Store, f *facts, g *record.Group, edges []*record.Edge) error {
	var reads store.Reads
	for _, e := range edges {
		reads.Executions = append(reads.Executions, e.Upstream)
	}
	tx, err := st.View(ctx, reads)
	if err != nil {
		return err
	}
	for _, e := range edges {
		d := ff.Dependency{EdgeID: e.EdgeID, State: graph.StateOf(e, g), Required: e.Required, Upstream: e.Upstream}
		if up := lifecycle.Normalize(tx.Execution(e.Upstream), nil); up != nil {
			d.Node, d.PublicState = up.Tags[ff.TagNode], lifecycle.PublicState(up.State)
		}
		f.upstream.listed = append(f.upstream.listed, d)
	}
	return nil
}

// dependencyGate tells of the edges that lead to the execution, while they are not decided or were decided against it.
func (f *facts) dependencyGate() (ff.Gate, bool) {
	if !f.awaits() && (!f.edgesMatter() || f.upstream.total == 0) {
		return ff.Gate{}, false
	}
	g := ff.Gate{
		Code: ff.GateDependencies, State: ff.GateOpen, Group: groupSnapshot(f.group), Dependencies: f.upstream.listed,
		More: max(0, f.upstream.count-len(f.upstream.listed)),
	}
	if g.Group != nil {
		g.Group.Total = f.upstream.total
	}
	if f.awaits() && !f.running() {
		g.State = ff.GateClosed
	}
	if f.e.State.Eligibility == ff.BlockedByDependencies {
		g.Since = f.e.LastTransitionAt
	}
	switch {
	case f.impossible():
		g.Code = ff.GateDependenciesImpossible
		g.Detail = fmt.Sprintf("what it depends on cannot be had any more: %d of %d upstreams did not succeed", f.upstream.count, f.upstream.total)
		if f.awaits() {
			g.Release = "none: the engine skips it"
		}
	case f.group != nil && f.group.State == ff.GroupSatisfied:
		g.Detail, g.Release = "what it depends on is decided; it was not let go yet", "the engine, at once"
	case f.upstream.total == 0:
		g.Detail, g.Release = "it waits for other executions, and no edge leads to it", "an edge that is staged, applied and satisfied"
	case !knownPolicy(f.group):
		g.Code = ff.GateUnknownPolicy
		g.Detail = fmt.Sprintf("the policy over its %d upstreams is %.40q, which nobody knows: it is never decided", f.upstream.total, f.group.Policy.Kind)
	case !f.awaits():
		g.Detail = fmt.Sprintf("%d of %d edges that lead to it are staged or applied and not resolved; they do not hold it back", f.upstream.count, f.upstream.total)
	default:
		g.Detail, g.Release = f.waiting()
	}
	return g, true
}

func knownPolicy(g *record.Group) bool {
	if g == nil {
		return true
	}
	switch g.Policy.Kind {
	case "", ff.AllOf, ff.AnyOf, ff.Quorum, ff.AllEnded:
		return true
	default:
		return false
	}
}

// waiting says what an undecided group waits for, and what is missing.
func (f *facts) waiting() (detail, release string) {
	g := f.group
	if g == nil {
		g = graph.NewGroup(record.GroupKey{})
	}
	t := graph.TallyOf(g)
	free, good := f.upstream.total-t.Required, t.Success-t.RequiredSuccess // what the policy decides over
	switch g.Policy.Kind {
	case ff.AnyOf:
		detail, release = fmt.Sprintf("it needs one of %d upstreams to succeed", free), "the success of one of them"
	case ff.Quorum:
		detail = fmt.Sprintf("it needs %d of %d upstreams to succeed; %d have", g.Policy.K, free, good)
		release = fmt.Sprintf("the success of %d more", g.Policy.K-good)
		if g.Policy.K > free {
			release += fmt.Sprintf("; for that, %d more edges have to be added", g.Policy.K-free)
		}
	case ff.AllEnded:
		detail = fmt.Sprintf("it needs all %d upstreams to end; %d have", free, good+t.Negative)
		release = fmt.Sprintf("the end of the other %d", f.upstream.count)
	default:
		detail = fmt.Sprintf("it needs all %d upstreams to succeed; %d have", free, good)
		release = fmt.Sprintf("the success of the other %d", free-good)
	}
	if missing := t.Required - t.RequiredSuccess; missing > 0 {
		detail += fmt.Sprintf(", and %d besides, whatever the others do; %d have", t.Required, t.RequiredSuccess)
		release += fmt.Sprintf(", and of %d that must succeed in any case", missing)
	}
	return detail, release
}
