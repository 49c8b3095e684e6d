package storetest

import (
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// graph is what the edges of the flows in a dump come to.
type graph struct {
	members map[flowfabric.ExecutionID]*record.Execution
	groups  map[flowfabric.ExecutionID]*record.Group // by downstream
	into    map[flowfabric.ExecutionID][]*record.Edge
	outOf   map[flowfabric.ExecutionID][]*record.Edge
	owed    map[record.ErrandKey]bool
	// over are the flows that were cancelled with all their members; spreading, those whose cancel is under way; gone, those
	// whose records are being removed.
	over, spreading, gone map[flowfabric.FlowID]bool
}

func graphOf(d *store.Dump) *graph {
	g := &graph{
		members: make(map[flowfabric.ExecutionID]*record.Execution), groups: make(map[flowfabric.ExecutionID]*record.Group),
		into: make(map[flowfabric.ExecutionID][]*record.Edge), outOf: make(map[flowfabric.ExecutionID][]*record.Edge),
		owed: make(map[record.ErrandKey]bool),
		over: make(map[flowfabric.FlowID]bool), spreading: make(map[flowfabric.FlowID]bool), gone: make(map[flowfabric.FlowID]bool),
	}
	for _, x := range d.Executions {
		if !x.FlowID.IsZero() {
			g.members[x.ID] = x
		}
	}
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Group:
			g.groups[rec.Downstream] = rec
		case *record.Edge:
			g.into[rec.Downstream] = append(g.into[rec.Downstream], rec)
			g.outOf[rec.Upstream] = append(g.outOf[rec.Upstream], rec)
		case *record.Errand:
			g.owed[rec.ErrandKey] = true
		case *record.Flow:
			g.over[rec.FlowID] = rec.State == flowfabric.FlowCancelled && rec.CancellationPolicy == flowfabric.CancelAll
			g.gone[rec.FlowID] = removing(rec, d)
		case *record.Backlog:
			g.spreading[rec.FlowID] = rec.Spreading
		}
	}
	return g
}

// edges checks the groups of every member against its edges, and these against what they lead from (chapter 20, section
// 20.24: F5, F6, F9, F10, F11, F14). Rows written by hand, which do not say how many edges there are, are left out.
func (a *audit) edges(d *store.Dump) {
	g := graphOf(d)
	a.acyclic(g)
	for _, e := range g.members {
		a.sibling(g, e)
		if g.over[e.FlowID] && !g.spreading[e.FlowID] && !e.State.Finished() {
			a.note("F14: %s is %s, though its flow was cancelled with all members", e.ID, e.State)
		}
	}
	for id, group := range g.groups {
		if g.gone[group.FlowID] {
			continue
		}
		if group.Total > 0 {
			a.counted(g.into[id], group)
			a.decided(g.into[id], group)
		}
		for _, e := range g.into[id] {
			a.resolved(g, e, group)
			a.needed(g, e, group)
		}
		if e := g.members[id]; e != nil && group.State == flowfabric.GroupImpossible && e.ReplayCount == 0 && !e.State.Finished() {
			a.note("F10: %s cannot run and is %s", id, e.State)
		}
	}
}

// acyclic takes away members nothing leads to, one by one: what is left is a cycle, or behind one.
func (a *audit) acyclic(g *graph) {
	open := make(map[flowfabric.ExecutionID]int, len(g.members))
	var free []flowfabric.ExecutionID
	for id := range g.members {
		if open[id] = len(g.into[id]); open[id] == 0 {
			free = append(free, id)
		}
	}
	left := len(g.members)
	for len(free) > 0 {
		id := free[len(free)-1]
		free = free[:len(free)-1]
		left--
		for _, e := range g.outOf[id] {
			if open[e.Downstream]--; open[e.Downstream] == 0 {
				free = append(free, e.Downstream)
			}
		}
	}
	if left > 0 {
		a.note("F5: %d members are on a cycle or behind one", left)
	}
}

// counts reports whether the resolution of an edge counts in its group as it is now.
func counts(e *record.Edge, g *record.Group) bool {
	return e.Wave == g.Wave && e.ResolvedAt != 0 && (e.Outcome == flowfabric.OutcomeSuccess || e.Round == g.Round)
}

func (a *audit) counted(edges []*record.Edge, g *record.Group) {
	var total, required, requiredSuccess, success, fail, skip, running int
	for _, e := range edges {
		if e.Wave != g.Wave {
			continue
		}
		total++
		if e.Required {
			required++
		}
		switch {
		case !counts(e, g):
			if e.Applied {
				running++
			}
		case e.Outcome == flowfabric.OutcomeSuccess:
			success++
			if e.Required {
				requiredSuccess++
			}
		case e.Outcome == flowfabric.OutcomeSkipped:
			skip++
		default:
			fail++
		}
	}
	there := []int{total, required, requiredSuccess, success, fail, skip}
	if says := []int{g.Total, g.Required, g.RequiredSuccess, g.Success, g.Fail, g.Skip}; !slices.Equal(says, there) {
		a.note("F6: the group of %s counts %v of all, required, with success, success, fail, skip; its edges come to %v", g.Downstream, says, there)
	}
	if g.Round == 0 && g.Running != running {
		a.note("F6: the group of %s counts %d edges that run; there are %d", g.Downstream, g.Running, running)
	}
}

// decided checks a group against the decision table (chapter 20, section 20.10), and a required edge besides.
func (a *audit) decided(edges []*record.Edge, g *record.Group) {
	n, success, bad := g.Total-g.Required, g.Success-g.RequiredSuccess, g.Fail+g.Skip
	var satisfied, impossible bool
	switch g.Policy.Kind {
	case flowfabric.AllOf:
		satisfied, impossible = success == n, bad > 0
	case flowfabric.AnyOf:
		satisfied, impossible = success > 0, bad >= n && n > 0
	case flowfabric.Quorum:
		satisfied, impossible = success >= g.Policy.K, n >= g.Policy.K && n-bad < g.Policy.K
	case flowfabric.AllEnded:
		satisfied = success+bad >= n
	default:
		return
	}
	satisfied = satisfied && g.RequiredSuccess == g.Required
	impossible = impossible || slices.ContainsFunc(edges, func(e *record.Edge) bool {
		return e.Required && counts(e, g) && e.Outcome != flowfabric.OutcomeSuccess
	})
	right := false
	switch g.State {
	case flowfabric.GroupSatisfied:
		right = satisfied
	case flowfabric.GroupImpossible:
		right = impossible
	default:
		right = !satisfied && !impossible
	}
	if !right {
		a.note("F9: the group of %s is %s: %+v of %d edges, success %d, fail %d, skip %d", g.Downstream, g.State, g.Policy, g.Total, g.Success, g.Fail, g.Skip)
	}
}

// resolved: the end of an upstream was counted by each edge that leads from it, or an errand will do it, or it does not
// count: all of the flow is cancelled, the edge is not applied, or the downstream, replayed, waits for a better end.
func (a *audit) resolved(g *graph, e *record.Edge, group *record.Group) {
	up, down := g.members[e.Upstream], g.members[e.Downstream]
	if up == nil || down == nil || g.over[e.FlowID] || !up.State.Finished() || down.State.Finished() || counts(e, group) || e.Wave != group.Wave || !e.Applied {
		return
	}
	errand := func(id flowfabric.ExecutionID, kind record.ErrandKind) bool {
		return g.owed[record.ErrandKey{Home: e.Home, FlowID: e.FlowID, ExecutionID: id, Kind: kind}]
	}
	again := e.ResolvedAt != 0 && up.State.Outcome != flowfabric.OutcomeSuccess
	if !again && !errand(e.Upstream, record.Resolve) && !errand(e.Downstream, record.Recount) {
		a.note("F11: %s is %s; the edge to %s, which is %s, has not counted it, and nobody will", e.Upstream, up.State, e.Downstream, down.State)
	}
}

// asSibling reports whether a member was cancelled since a group that it leads to was decided without it.
func asSibling(e *record.Execution) bool {
	return e.State.Outcome == flowfabric.OutcomeCancelled && strings.HasPrefix(e.CancellationReason, "sibling_quorum_")
}

// sibling: a member that was cancelled as a sibling leads to a group that was decided, and says so of its siblings (F12).
// What a group was before a replay or a wait for children of its member is not known any more.
func (a *audit) sibling(g *graph, e *record.Execution) {
	reasons := map[flowfabric.GroupState]string{
		flowfabric.GroupSatisfied: "sibling_quorum_satisfied", flowfabric.GroupImpossible: "sibling_quorum_impossible",
	}
	if asSibling(e) && !g.gone[e.FlowID] && !slices.ContainsFunc(g.outOf[e.ID], func(edge *record.Edge) bool {
		group := g.groups[edge.Downstream]
		before := edge.Wave != group.Wave || group.Round > 0
		choosy := group.Policy.Kind == flowfabric.AnyOf || group.Policy.Kind == flowfabric.Quorum
		return before || choosy && group.Policy.OnSatisfied != flowfabric.LetRun && e.CancellationReason == reasons[group.State]
	}) {
		a.note("F12: %s was cancelled, %s, but leads to no group that is decided so", e.ID, e.CancellationReason)
	}
}

// needed: a member that a group still needed was not cancelled for the sake of another (W16).
func (a *audit) needed(g *graph, e *record.Edge, group *record.Group) {
	up := g.members[e.Upstream]
	if up != nil && group.State == flowfabric.GroupPending && group.Round == 0 && e.Wave == group.Wave && asSibling(up) && e.CreatedAt < up.CompletedAt {
		a.note("W16: %s still needs %s, which was cancelled: %s", group.Downstream, up.ID, up.CancellationReason)
	}
}
