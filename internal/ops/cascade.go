package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// manyEdges bounds the edges of one member that are counted because its group does not say how many there are.
const manyEdges = 10_000

func flowKeyOf(e *record.Execution) record.FlowKey {
	return record.FlowKey{Home: e.ID.Partition(), FlowID: e.FlowID}
}

func groupKeyOf(flow record.FlowKey, downstream ff.ExecutionID) record.GroupKey {
	return record.GroupKey{Home: flow.Home, FlowID: flow.FlowID, Downstream: downstream}
}

// outgoing are the edges that a commit which ends a member looks at.
func (r Rules) outgoing(e *record.Execution) store.EdgesQuery {
	return store.EdgesQuery{Flow: flowKeyOf(e), Of: e.ID, Limit: r.limits().Edges + 1, Ahead: true}
}

// Prefetch lets operations that write the records of a flow follow each other in one queue, and adds to one that ends the lease of e what that needs: so it is read at once with the rest.
func (r Rules) Prefetch(o *Op, e *record.Execution) {
	if !e.FlowID.IsZero() {
		o.Order = orderOfFlow(e.FlowID)
	}
	if !o.yields {
		return
	}
	if !e.FlowID.IsZero() {
		o.Reads.Records = append(o.Reads.Records, flowKeyOf(e))
		o.Reads.Edges = append(o.Reads.Edges, r.outgoing(e))
	}
	if e.Limits != nil && e.Limits.Admitted {
		o.Reads.Records = append(o.Reads.Records, admission.Keys(limitsHome, e)...)
		o.Beliefs = r.Beliefs
	}
}

// hop is an edge whose upstream has ended.
type hop struct {
	upstream *record.Execution
	edge     *record.Edge
}

// follow carries on, in their flows, what follows from members having ended: the flow counts them, their edges are
// resolved, members that are decided become claimable or are skipped, and so on from those (chapter 20, section 20.11).
// It does so for up to Limits.Edges edges; for what is beyond, errands are registered in the same commit.
func (r Rules) follow(tx *store.Tx, ended []*record.Execution) error {
	return r.followUpTo(tx, r.limits().Edges, ended)
}

// followUpTo is follow with another bound of edges.
func (r Rules) followUpTo(tx *store.Tx, budget int, ended []*record.Execution) error {
	for len(ended) > 0 {
		var need store.Reads
		for _, e := range ended {
			need.Records = append(need.Records, flowKeyOf(e))
			need.Edges = append(need.Edges, r.outgoing(e))
		}
		if missing, any := tx.Missing(need); any {
			return tx.Need(missing)
		}
		var hops []hop
		for _, e := range ended {
			f := r.countEnd(tx, e)
			if f == nil {
				apply(tx, lifecycle.Orphan(e, r.retention()))
			}
			if !graph.Spreads(f) {
				continue
			}
			edges := tx.Edges(r.outgoing(e))
			if len(edges) > min(budget, r.limits().Edges) { // one more than that is all that was read
				tx.Register(&record.Errand{ErrandKey: errandKey(e, record.Resolve), EnqueuedAt: tx.Now()})
				continue
			}
			budget -= len(edges)
			for _, edge := range edges {
				hops = append(hops, hop{e, edge})
			}
		}
		var err error
		if ended, err = r.resolve(tx, hops); err != nil {
			return err
		}
	}
	return nil
}

func errandKey(e *record.Execution, kind record.ErrandKind) record.ErrandKey {
	return record.ErrandKey{Home: e.ID.Partition(), FlowID: e.FlowID, ExecutionID: e.ID, Kind: kind}
}

// countEnd counts the end of a member in its flow, which it returns; nil if the flow has no record.
func (r Rules) countEnd(tx *store.Tx, e *record.Execution) *record.Flow {
	f := store.Get[*record.Flow](tx, flowKeyOf(e))
	if f != nil {
		f = graph.MemberEnded(f, e.State.Outcome, r.retention(), tx.Now())
		tx.Put(f)
	}
	return f
}

// resolve resolves edges, whose upstreams have ended, and returns the members that ended by it. The order of the edges
// makes no difference to what is decided.
func (r Rules) resolve(tx *store.Tx, hops []hop) (ended []*record.Execution, err error) {
	if err := needGroups(tx, hops); err != nil {
		return nil, err
	}
	var decided []*record.Group
	for _, h := range hops {
		ne, ng, fired := graph.Resolve(h.edge, groupOf(tx, h.edge), h.upstream.State.Outcome, tx.Now())
		if ng == nil {
			continue
		}
		tx.Put(ne)
		tx.Put(ng)
		if fired {
			decided = append(decided, ng)
		}
	}
	return r.release(tx, decided)
}

// needGroups asks for the groups the hops lead to, and for all edges of those that do not say how many they have.
func needGroups(tx *store.Tx, hops []hop) error {
	var need store.Reads
	for _, h := range hops {
		need.Records = append(need.Records, groupKeyOf(flowKeyOf(h.upstream), h.edge.Downstream))
	}
	if missing, any := tx.Missing(need); any {
		return tx.Need(missing)
	}
	need = store.Reads{}
	for _, h := range hops {
		if g := store.Get[*record.Group](tx, groupKeyOf(flowKeyOf(h.upstream), h.edge.Downstream)); g == nil || g.Total == 0 {
			need.Edges = append(need.Edges, incoming(h.edge))
		}
	}
	if missing, any := tx.Missing(need); any {
		return tx.Need(missing)
	}
	return nil
}

// incoming are all edges that lead where e leads.
func incoming(e *record.Edge) store.EdgesQuery {
	return store.EdgesQuery{Flow: record.FlowKey{Home: e.Home, FlowID: e.FlowID}, Of: e.Downstream, Incoming: true, Limit: manyEdges}
}

// groupOf is the group an edge leads to. One that was written by hand, or not at all, is completed by its edges.
func groupOf(tx *store.Tx, e *record.Edge) *record.Group {
	key := groupKeyOf(record.FlowKey{Home: e.Home, FlowID: e.FlowID}, e.Downstream)
	g := store.Get[*record.Group](tx, key)
	if g != nil && g.Total > 0 {
		return g
	}
	n := graph.NewGroup(key)
	if g != nil {
		*n = *g
	}
	n.Total = len(tx.Edges(incoming(e)))
	return n
}

// release lets the members go, or skips them, whose groups have just been decided, and returns those that ended by it.
func (r Rules) release(tx *store.Tx, decided []*record.Group) (ended []*record.Execution, err error) {
	if err := needMembers(tx, decided); err != nil {
		return nil, err
	}
	for _, g := range decided {
		if g.SiblingsPending {
			tx.Register(&record.Errand{
				ErrandKey:  record.ErrandKey{Home: g.Home, FlowID: g.FlowID, ExecutionID: g.Downstream, Kind: record.CancelSiblings},
				EnqueuedAt: tx.Now(),
			})
		}
		e := tx.Execution(g.Downstream)
		if e == nil || e.State.Finished() {
			continue
		}
		att := attemptFor(tx, e)
		e = lifecycle.Normalize(e, att)
		var ch lifecycle.Change
		if g.State == ff.GroupSatisfied {
			ch, err = lifecycle.Satisfied(e, passed(tx, g), tx.Now())
		} else {
			ch, err = lifecycle.Skip(e, att, tx.Now())
		}
		if err != nil {
			return nil, err
		}
		lifecycle.Retain(&ch, r.retention())
		apply(tx, ch)
		if ch.Execution != nil && ch.Execution.State.Finished() {
			ended = append(ended, ch.Execution)
		}
	}
	return ended, nil
}

// needMembers asks for the members groups are of, with their attempts where a rule needs these, and for those whose result
// is passed on.
func needMembers(tx *store.Tx, groups []*record.Group) error {
	var need store.Reads
	for _, g := range groups {
		need.Executions = append(need.Executions, g.Downstream)
		if !g.DataFrom.IsZero() {
			need.Executions = append(need.Executions, g.DataFrom)
		}
	}
	if missing, any := tx.Missing(need); any {
		return tx.Need(missing)
	}
	var members []*record.Execution
	for _, g := range groups {
		if e := tx.Execution(g.Downstream); e != nil {
			members = append(members, e)
		}
	}
	return needEndings(tx, members)
}

// needEndings asks for what rules that end executions need: stored attempts, and what suspended ones wait for.
func needEndings(tx *store.Tx, list []*record.Execution) error {
	if keys := attemptsToRead(tx, list); len(keys) > 0 {
		return tx.Need(store.Reads{Attempts: keys})
	}
	return needWaits(tx, list)
}

// attemptFor is the stored attempt a rule that ends e needs, nil if it needs none.
func attemptFor(tx *store.Tx, e *record.Execution) *record.Attempt {
	if !lifecycle.NeedsAttempt(e) {
		return nil
	}
	return tx.Attempt(record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex})
}

// passed is the result that becomes the payload of a group's member, nil for none.
func passed(tx *store.Tx, g *record.Group) *lifecycle.Passed {
	if g.DataFrom.IsZero() {
		return nil
	}
	from := tx.Execution(g.DataFrom)
	if from == nil || len(from.Result) == 0 {
		return nil
	}
	return &lifecycle.Passed{Payload: from.Result, Encoding: from.ResultEncoding}
}
