package ops

import (
	"cmp"
	"fmt"
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func (r Rules) flowKey(id ff.FlowID) record.FlowKey {
	return record.FlowKey{Home: r.Partitions.OfFlow(id), FlowID: id}
}

// onFlow is an operation on a flow and records of it. decide is given the flow, nil if there is none.
func (r Rules) onFlow(name string, id ff.FlowID, reads store.Reads, decide func(tx *store.Tx, f *record.Flow) error) *Op {
	op := &Op{name: name}
	key := r.flowKey(id)
	op.Partition, op.Order, op.Reads = key.Home, orderOfFlow(id), reads
	op.Reads.Records = append(op.Reads.Records, key)
	op.Decide = func(tx *store.Tx) error { return decide(tx, store.Get[*record.Flow](tx, key)) }
	return op
}

// CreateFlow makes an empty flow; out says whether it is new.
func (r Rules) CreateFlow(cmd ff.CreateFlow, out *ff.CreateFlowResult) (*Op, error) {
	cmd.Namespace = cmp.Or(cmd.Namespace, ff.DefaultNamespace)
	if cmd.FlowID.IsZero() {
		cmd.FlowID = ff.NewFlowID()
	}
	if err := firstError(ff.ValidateText("kind", cmd.Kind, ff.MaxNameBytes), cmd.Namespace.Validate(), ff.ValidateTags(cmd.Tags)); err != nil {
		return nil, named("create flow", err)
	}
	cmd.Tags = maps.Clone(cmd.Tags)
	return r.onFlow("create flow", cmd.FlowID, store.Reads{}, func(tx *store.Tx, f *record.Flow) error {
		*out = ff.CreateFlowResult{FlowID: cmd.FlowID, Created: f == nil}
		if f != nil {
			out.Differs = f.Kind != cmd.Kind || f.Namespace != cmd.Namespace
			return nil
		}
		tx.Put(&record.Flow{
			FlowKey: r.flowKey(cmd.FlowID), State: ff.FlowOpen, Kind: cmd.Kind, Namespace: cmd.Namespace, Tags: cmd.Tags,
			CreatedAt: tx.Now(), LastMutationAt: tx.Now(),
		})
		return nil
	}), nil
}

// checkMember checks an id that must be on the partition of a flow.
func (r Rules) checkMember(field string, flow ff.FlowID, id ff.ExecutionID) error {
	if err := r.checkID(id); err != nil {
		return err
	}
	if want := r.Partitions.OfFlow(flow); id.Partition() != want {
		return invalid(field, fmt.Sprintf("partition_mismatch: it is on %s, the flow on %s; mint ids of members with FlowExecutionID", id.Partition(), want))
	}
	return nil
}

// AddMember makes an execution a member of a flow; out gets the flow's counters.
func (r Rules) AddMember(cmd ff.AddMember, out *ff.AddMemberResult) (*Op, error) {
	if err := r.checkMember("execution_id", cmd.FlowID, cmd.ExecutionID); err != nil {
		return nil, named("add member", err)
	}
	reads := store.Reads{Executions: []ff.ExecutionID{cmd.ExecutionID}}
	return r.onFlow("add member", cmd.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		if err := graph.Live(f, cmd.FlowID, tx.Now()); err != nil {
			return err
		}
		e := tx.Execution(cmd.ExecutionID)
		switch {
		case e == nil:
			return notFound(cmd.ExecutionID)
		case e.FlowID == cmd.FlowID:
			*out = ff.AddMemberResult{NodeCount: f.NodeCount, GraphRevision: f.GraphRevision}
			return nil
		case !e.FlowID.IsZero():
			return &ff.Error{Code: ff.CodeExecutionAlreadyInFlow, Detail: fmt.Sprintf("%s is a member of flow %s", e.ID, e.FlowID)}
		case e.State.Finished():
			return &ff.Error{Code: ff.CodeExecutionNotActive, Detail: fmt.Sprintf("%s has ended; it is %s", e.ID, lifecycle.PublicState(e.State))}
		}
		apply(tx, lifecycle.Join(e, cmd.FlowID, tx.Now()))
		f = graph.Grow(f, 1, 0, tx.Now())
		tx.Put(f)
		*out = ff.AddMemberResult{Added: true, NodeCount: f.NodeCount, GraphRevision: f.GraphRevision}
		return nil
	}), nil
}

// StageEdge records a dependency; out gets the new revision.
func (r Rules) StageEdge(cmd ff.StageEdge, out *ff.StageEdgeResult) (*Op, error) {
	if err := r.checkStage(&cmd); err != nil {
		return nil, named("stage edge", err)
	}
	key := record.EdgeKey{Home: r.Partitions.OfFlow(cmd.FlowID), FlowID: cmd.FlowID, EdgeID: cmd.EdgeID}
	group := groupKeyOf(r.flowKey(cmd.FlowID), cmd.Downstream)
	reads := store.Reads{Records: []record.Key{key, group}, Executions: []ff.ExecutionID{cmd.Upstream, cmd.Downstream}}
	op := r.onFlow("stage edge", cmd.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		if err := graph.Live(f, cmd.FlowID, tx.Now()); err != nil {
			return err
		}
		if e := store.Get[*record.Edge](tx, key); e != nil {
			return graph.Exists(e)
		}
		if f.GraphRevision != cmd.ExpectedRevision {
			return &ff.Error{
				Code:   ff.CodeStaleGraphRevision,
				Detail: fmt.Sprintf("the graph is at revision %d, not %d; read it and try again", f.GraphRevision, cmd.ExpectedRevision),
			}
		}
		up, down := tx.Execution(cmd.Upstream), tx.Execution(cmd.Downstream)
		for i, e := range []*record.Execution{up, down} {
			if e == nil || e.FlowID != cmd.FlowID {
				return &ff.Error{Code: ff.CodeExecutionNotInFlow, Detail: fmt.Sprintf("%s is not a member of flow %s", reads.Executions[i], cmd.FlowID)}
			}
		}
		if err := acyclic(tx, f.FlowKey, cmd.Upstream, cmd.Downstream); err != nil {
			return err
		}
		if down.State.Finished() {
			return &ff.Error{Code: ff.CodeExecutionNotActive, Detail: fmt.Sprintf("%s has ended; no edge can lead to it", down.ID)}
		}
		edge := graph.NewEdge(key, cmd.Upstream, cmd.Downstream, tx.Now())
		edge.DataPassingRef = cmd.DataPassingRef
		g, err := graph.Stage(edge, store.Get[*record.Group](tx, group))
		if err != nil {
			return err
		}
		f = graph.Grow(f, 0, 1, tx.Now())
		tx.Put(f)
		apply(tx, lifecycle.Touch(up)) // its end must see the edge
		*out = ff.StageEdgeResult{EdgeID: cmd.EdgeID, GraphRevision: f.GraphRevision}
		if cmd.Apply {
			edge, g = graph.Apply(edge, g, tx.Now())
			out.Unsatisfied, err = r.applied(tx, edge, g)
			return err
		}
		tx.Put(edge)
		tx.Put(g)
		return nil
	})
	op.Once = true // a repeat finds the edge
	return op, nil
}

func (r Rules) checkStage(cmd *ff.StageEdge) error {
	if cmd.Upstream == cmd.Downstream {
		return &ff.Error{Code: ff.CodeSelfReferencingEdge, Detail: "an execution cannot depend on itself"}
	}
	if cmd.DependencyKind = cmp.Or(cmd.DependencyKind, ff.SuccessOnly); cmd.DependencyKind != ff.SuccessOnly {
		return &ff.Error{Code: ff.CodeInvalidDependency, Detail: fmt.Sprintf("dependency kind %.40q is unknown; want %s", cmd.DependencyKind, ff.SuccessOnly)}
	}
	if cmd.EdgeID.IsZero() {
		return invalid("edge_id", "is unset; mint one with NewEdgeID")
	}
	return firstError(
		r.checkMember("upstream", cmd.FlowID, cmd.Upstream), r.checkMember("downstream", cmd.FlowID, cmd.Downstream),
		ff.ValidateText("data_passing_ref", cmd.DataPassingRef, ff.MaxDataRefBytes),
	)
}

// acyclic fails when downstream already leads to upstream. It searches from both ends, level by level, the narrower level
// first, and gives up behind [ff.MaxGraphSearch] members.
func acyclic(tx *store.Tx, flow record.FlowKey, upstream, downstream ff.ExecutionID) error {
	type side struct {
		incoming bool
		level    []ff.ExecutionID
		seen     map[ff.ExecutionID]bool
	}
	forth := &side{level: []ff.ExecutionID{downstream}, seen: map[ff.ExecutionID]bool{downstream: true}}
	back := &side{incoming: true, level: []ff.ExecutionID{upstream}, seen: map[ff.ExecutionID]bool{upstream: true}}
	for len(forth.level) > 0 && len(back.level) > 0 {
		s, other := forth, back
		if len(back.level) < len(forth.level) {
			s, other = back, forth
		}
		if len(s.seen)+len(other.seen) > ff.MaxGraphSearch {
			return invalid("downstream", fmt.Sprintf("graph_too_large: looking for a cycle would visit more than %d members", ff.MaxGraphSearch))
		}
		var need store.Reads
		for _, id := range s.level {
			need.Edges = append(need.Edges, store.EdgesQuery{Flow: flow, Of: id, Incoming: s.incoming, Limit: manyEdges})
		}
		if missing, any := tx.Missing(need); any {
			return tx.Need(missing)
		}
		var next []ff.ExecutionID
		for _, q := range need.Edges {
			for _, edge := range tx.Edges(q) {
				id := edge.Downstream
				if s.incoming {
					id = edge.Upstream
				}
				if other.seen[id] {
					return &ff.Error{Code: ff.CodeCycleDetected, Detail: fmt.Sprintf("%s already depends on %s", upstream, downstream)}
				}
				if !s.seen[id] {
					s.seen[id] = true
					next = append(next, id)
				}
			}
		}
		s.level = next
	}
	return nil
}

// ApplyEdge makes an edge hold its downstream back.
func (r Rules) ApplyEdge(cmd ff.ApplyEdge, out *ff.ApplyEdgeResult) (*Op, error) {
	if err := firstError(r.checkMember("upstream", cmd.FlowID, cmd.Upstream), r.checkMember("downstream", cmd.FlowID, cmd.Downstream)); err != nil {
		return nil, named("apply edge", err)
	}
	key := record.EdgeKey{Home: r.Partitions.OfFlow(cmd.FlowID), FlowID: cmd.FlowID, EdgeID: cmd.EdgeID}
	group := groupKeyOf(r.flowKey(cmd.FlowID), cmd.Downstream)
	reads := store.Reads{Records: []record.Key{key, group}, Executions: []ff.ExecutionID{cmd.Upstream, cmd.Downstream}}
	return r.onFlow("apply edge", cmd.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		edge := store.Get[*record.Edge](tx, key)
		switch {
		case f == nil:
			return graph.NotFound(cmd.FlowID)
		case edge == nil || edge.Upstream != cmd.Upstream || edge.Downstream != cmd.Downstream:
			return &ff.Error{Code: ff.CodeInvalidDependency, Detail: fmt.Sprintf("flow %s has no edge %s from %s to %s", cmd.FlowID, cmd.EdgeID, cmd.Upstream, cmd.Downstream)}
		}
		g := groupOf(tx, edge)
		ne, ng := graph.Apply(edge, g, tx.Now())
		if ne == nil {
			*out = ff.ApplyEdgeResult{Unsatisfied: g.Running}
			return nil
		}
		if err := graph.Live(f, cmd.FlowID, tx.Now()); err != nil {
			return err
		}
		unsatisfied, err := r.applied(tx, ne, ng)
		*out = ff.ApplyEdgeResult{Applied: true, Unsatisfied: unsatisfied}
		return err
	}), nil
}

// applied writes an edge that holds its downstream back from now on, and does what follows from it. The group and both members
// were read. It returns how many edges of the downstream are unsatisfied then.
func (r Rules) applied(tx *store.Tx, edge *record.Edge, g *record.Group) (unsatisfied int, err error) {
	tx.Put(edge)
	tx.Put(g)
	var ended []*record.Execution
	if up := tx.Execution(edge.Upstream); up != nil && up.State.Finished() {
		if ended, err = r.resolve(tx, []hop{{lifecycle.Normalize(up, nil), edge}}); err != nil {
			return 0, err
		}
		g = store.Get[*record.Group](tx, g.GroupKey)
	}
	if down := tx.Execution(edge.Downstream); down != nil && g.State == ff.GroupPending {
		ch, err := lifecycle.Await(lifecycle.Normalize(down, nil), tx.Now())
		if err == nil {
			err = r.finish(tx, ch)
		}
		if err != nil {
			return 0, err
		}
	}
	return g.Running, r.follow(tx, ended)
}

// SetGroupPolicy sets what decides over the inbound edges of a member; changed says whether it was another before.
func (r Rules) SetGroupPolicy(cmd ff.SetGroupPolicy, changed *bool) (*Op, error) {
	policy, err := graph.CheckPolicy(cmd.Policy)
	if err := firstError(err, r.checkMember("downstream", cmd.FlowID, cmd.Downstream)); err != nil {
		return nil, named("set group policy", err)
	}
	key := groupKeyOf(r.flowKey(cmd.FlowID), cmd.Downstream)
	edges := store.EdgesQuery{Flow: r.flowKey(cmd.FlowID), Of: cmd.Downstream, Incoming: true, Limit: 1}
	reads := store.Reads{Records: []record.Key{key}, Edges: []store.EdgesQuery{edges}}
	return r.onFlow("set group policy", cmd.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		if err := graph.Live(f, cmd.FlowID, tx.Now()); err != nil {
			return err
		}
		g, err := graph.SetPolicy(key, store.Get[*record.Group](tx, key), len(tx.Edges(edges)), policy)
		if err != nil {
			return err
		}
		if *changed = g != nil; g != nil {
			tx.Put(g)
		}
		return nil
	}), nil
}

// SetFlowTags adds tags to a flow, or overwrites them.
func (r Rules) SetFlowTags(cmd ff.SetFlowTags) (*Op, error) {
	if err := checkTagsToSet(cmd.Tags); err != nil {
		return nil, named("set flow tags", err)
	}
	cmd.Tags = maps.Clone(cmd.Tags) // the commit may outlive the call
	return r.onFlow("set flow tags", cmd.FlowID, store.Reads{}, func(tx *store.Tx, f *record.Flow) error {
		if f == nil {
			return graph.NotFound(cmd.FlowID)
		}
		merged, changed, err := lifecycle.MergeTags(f.Tags, cmd.Tags)
		if err != nil || !changed {
			return err
		}
		tx.Put(graph.Tagged(f, merged, tx.Now()))
		return nil
	}), nil
}
