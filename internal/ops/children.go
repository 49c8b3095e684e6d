package ops

import (
	"context"
	"fmt"
	"strconv"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// WaitChildren is a wait for children that was checked as a whole.
type WaitChildren struct {
	cmd  ff.WaitChildren
	flow ff.FlowID
	plan *plan
}

// NewChildren checks the children of e as a whole. e is as it is now, or was: what it says here never changes.
func (r Rules) NewChildren(cmd ff.WaitChildren, e *record.Execution) (*WaitChildren, error) {
	if e.FlowID.IsZero() {
		return nil, named("wait children", invalid("execution_id", "names an execution outside flows; only a member of a flow has children"))
	}
	if cmd.Policy == (ff.GroupPolicy{}) {
		cmd.Policy.Kind = ff.AllEnded
	}
	policy, err := graph.CheckPolicy(cmd.Policy)
	if err != nil {
		return nil, named("wait children", err)
	}
	cmd.Policy = policy
	if len(cmd.Children) == 0 {
		return nil, named("wait children", invalid("children", "is empty"))
	}
	p, err := r.newPlan(e.FlowID, e.Namespace, cmd.Children, map[string]string{tagParent: e.ID.UUID().String()})
	if err != nil {
		return nil, named("wait children", err)
	}
	return &WaitChildren{cmd: cmd, flow: e.FlowID, plan: p}, nil
}

// Execution returns the record of an execution.
func (r Rules) Execution(ctx context.Context, st store.Store, op string, id ff.ExecutionID) (*record.Execution, error) {
	e, _, err := r.read(ctx, st, id)
	return e, named(op, err)
}

// Drafts are as much of the children as says which scopes they are in.
func (w *WaitChildren) Drafts() []*record.Execution { return w.plan.drafts() }

// Scope sets the limits of the children's scopes.
func (w *WaitChildren) Scope(known Scoped) { w.plan.scoped = known }

// Commands are the submissions of the children.
func (w *WaitChildren) Commands() []ff.Submit { return w.plan.commands() }

// WaitChildren commits the wait. Its children's edges are a wave of their own in the group of the parent: what the parent
// once waited for before it ran is over.
func (r Rules) WaitChildren(w *WaitChildren, isKnown func(ff.LaneID, int64) bool) *Op {
	flow := r.flowKey(w.flow)
	op := r.onMember("wait children", w.cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		none := lifecycle.Change{}
		if missing, any := tx.Missing(store.Reads{
			Executions: w.plan.ids(), Records: append(w.plan.limitKeys(r), flow, groupKeyOf(flow, e.ID)),
		}); any {
			return none, tx.Need(missing)
		}
		if g := store.Get[*record.Group](tx, groupKeyOf(flow, e.ID)); g != nil && g.Wave > 0 && lifecycle.SkippedBehind(e, w.cmd.Fence) {
			return none, nil // a repeat of a wait that could not be satisfied any more
		}
		ch, err := lifecycle.WaitChildren(e, w.cmd.Fence, tx.Now())
		if err != nil || ch.Execution == nil {
			return ch, err
		}
		if err := needWaits(tx, leaving(tx, []lifecycle.Change{ch})); err != nil {
			return none, err
		}
		f := store.Get[*record.Flow](tx, flow)
		if err := graph.Live(f, w.flow, tx.Now()); err != nil {
			return none, err
		}
		if err := w.checkChildren(tx, e); err != nil {
			return none, err
		}
		if err := r.settleSiblings(tx, e); err != nil {
			return none, err
		}
		f = store.Get[*record.Flow](tx, flow) // which has counted the siblings
		existing := func(id ff.ExecutionID) bool { return tx.Execution(id) != nil }
		nodes, edges, err := w.plan.write(tx, r, r.Partitions, isKnown, existing)
		if err != nil {
			return none, err
		}
		hops := w.await(tx, e)
		tx.Put(graph.Grow(f, nodes, edges+len(w.plan.nodes), tx.Now()))
		apply(tx, ch)
		ended, err := r.resolve(tx, hops)
		if err != nil {
			return none, err
		}
		return none, r.follow(tx, ended)
	})
	op.Order = orderOfFlow(w.flow)
	return op
}

// checkChildren refuses names of members that are not children of this parent: waiting for them could be a circle.
func (w *WaitChildren) checkChildren(tx *store.Tx, parent *record.Execution) error {
	for _, n := range w.plan.nodes {
		if e := tx.Execution(n.cmd.ID); e != nil && e.Tags[tagParent] != parent.ID.UUID().String() {
			return invalid("children", fmt.Sprintf("names %.80q, which is a member of the flow already and no child of this one", n.Name))
		}
	}
	return nil
}

// await makes the edges from the children to their parent and returns those whose child has ended already.
func (w *WaitChildren) await(tx *store.Tx, parent *record.Execution) []hop {
	key := groupKeyOf(w.plan.flow, parent.ID)
	g := store.Get[*record.Group](tx, key)
	if g == nil {
		g = graph.NewGroup(key)
	}
	g = graph.NextWave(g, w.cmd.Policy)
	g.Total, g.Running = len(w.plan.nodes), len(w.plan.nodes)
	tx.Put(g)
	var hops []hop
	for _, n := range w.plan.nodes {
		id := ff.NodeEdgeID(w.flow, n.Name, parent.ID.UUID().String()+"\x00"+strconv.Itoa(g.Wave))
		edge := graph.NewEdge(record.EdgeKey{Home: g.Home, FlowID: g.FlowID, EdgeID: id}, n.cmd.ID, parent.ID, tx.Now())
		edge.Applied, edge.AppliedAt, edge.State, edge.Wave = true, tx.Now(), ff.EdgeApplied, g.Wave
		tx.Put(edge)
		if child := tx.Execution(n.cmd.ID); child.State.Finished() {
			hops = append(hops, hop{child, edge})
		} else if child.Version > 0 {
			apply(tx, lifecycle.Touch(child)) // its end must see the edge
		}
	}
	return hops
}
