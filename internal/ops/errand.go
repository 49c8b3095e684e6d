package ops

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// siblingEdges is how many other edges of an upstream are looked at before it is cancelled. One with more is let run.
const siblingEdges = 64

// Errands carries on errands of a shard, each by a batch of edges. handled gets how many there were.
func (r Rules) Errands(shard ff.Partition, order uint64, handled *int) *Op {
	op := &Op{name: "errands"}
	op.Partition, op.Order = shard, order
	op.Reads.DueRecords = []store.DueRecordsQuery{{Family: record.Errands, Limit: r.limits().Errands}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.DueRecords(0)
		*handled = len(due)
		errands := make([]*record.Errand, len(due))
		var need store.Reads
		for i, rec := range due {
			errands[i] = rec.(*record.Errand)
			need.Executions = append(need.Executions, errands[i].ExecutionID)
			need.Records = append(need.Records, groupKeyOf(flowOf(errands[i]), errands[i].ExecutionID), flowOf(errands[i]))
			need.Edges = append(need.Edges, r.edgesOf(errands[i]))
		}
		if missing, any := tx.Missing(need); any {
			return tx.Need(missing)
		}
		for _, errand := range errands {
			if err := r.run(tx, errand); err != nil {
				return err
			}
		}
		return nil
	}
	return op
}

func flowOf(errand *record.Errand) record.FlowKey {
	return record.FlowKey{Home: errand.Home, FlowID: errand.FlowID}
}

// edgesOf are the next edges of an errand.
func (r Rules) edgesOf(errand *record.Errand) store.EdgesQuery {
	return store.EdgesQuery{
		Flow: flowOf(errand), Of: errand.ExecutionID, Incoming: errand.Kind != record.Resolve,
		After: errand.After, Limit: r.limits().ErrandEdges, Ahead: errand.Kind == record.Resolve,
	}
}

// run carries on one errand. It is over when its reason is gone or its edges are.
func (r Rules) run(tx *store.Tx, errand *record.Errand) error {
	edges := tx.Edges(r.edgesOf(errand))
	member := tx.Execution(errand.ExecutionID)
	key := groupKeyOf(flowOf(errand), errand.ExecutionID)
	g := store.Get[*record.Group](tx, key)
	var ended []*record.Execution
	var err error
	over := member == nil
	switch {
	case over:
	case errand.Kind == record.Resolve:
		if over = !member.State.Finished(); over { // replayed: its next end resolves what is left
			break
		}
		ended, err = r.resolve(tx, hopsFrom(member, edges))
	case errand.Kind == record.Recount:
		if over = g == nil || g.State != ff.GroupPending; over {
			break
		}
		ended, err = r.recount(tx, edges)
	case errand.Kind == record.CancelSiblings:
		if over = g == nil || !g.SiblingsPending; over {
			break
		}
		ended, err = r.cancelSiblings(tx, g, edges)
	}
	if err != nil {
		return err
	}
	if over || len(edges) < r.limits().ErrandEdges {
		tx.Delete(errand.ErrandKey)
		if g = store.Get[*record.Group](tx, key); !over && errand.Kind == record.CancelSiblings {
			tx.Put(graph.SiblingsDone(g))
		}
	} else {
		n := *errand
		n.After = edges[len(edges)-1].EdgeID
		tx.Put(&n)
	}
	return r.followUpTo(tx, 2*r.limits().ErrandEdges, ended) // a layer that ends by the batch rarely has so many
}

func hopsFrom(upstream *record.Execution, edges []*record.Edge) []hop {
	hops := make([]hop, len(edges))
	for i, edge := range edges {
		hops[i] = hop{upstream, edge}
	}
	return hops
}

// recount resolves edges whose upstreams have succeeded since they were resolved otherwise.
func (r Rules) recount(tx *store.Tx, edges []*record.Edge) ([]*record.Execution, error) {
	upstreams, err := upstreamsOf(tx, edges)
	if err != nil {
		return nil, err
	}
	var hops []hop
	for i, e := range upstreams {
		if e != nil && e.State.Finished() && lifecycle.Normalize(e, nil).State.Outcome == ff.OutcomeSuccess {
			hops = append(hops, hop{lifecycle.Normalize(e, nil), edges[i]})
		}
	}
	return r.resolve(tx, hops)
}

// upstreamsOf are the upstreams of edges, nil where there is none.
func upstreamsOf(tx *store.Tx, edges []*record.Edge) ([]*record.Execution, error) {
	var need store.Reads
	for _, edge := range edges {
		need.Executions = append(need.Executions, edge.Upstream)
	}
	if missing, any := tx.Missing(need); any {
		return nil, tx.Need(missing)
	}
	list := make([]*record.Execution, len(edges))
	for i, edge := range edges {
		list[i] = tx.Execution(edge.Upstream)
	}
	return list, nil
}

// cancelSiblings cancels upstreams of a decided group that have not ended and that no other group needs (chapter 20,
// section 20.12), and returns them.
func (r Rules) cancelSiblings(tx *store.Tx, g *record.Group, edges []*record.Edge) (ended []*record.Execution, err error) {
	var open []*record.Edge
	for _, edge := range edges {
		if !graph.Resolved(edge, g) {
			open = append(open, edge)
		}
	}
	upstreams, err := upstreamsOf(tx, open)
	if err != nil {
		return nil, err
	}
	var live []*record.Execution
	for _, e := range upstreams {
		if e != nil && !e.State.Finished() && !slices.Contains(live, e) { // several edges may lead from one upstream
			live = append(live, e)
		}
	}
	if live, err = r.unneeded(tx, g, live); err != nil {
		return nil, err
	}
	if err := needEndings(tx, live); err != nil {
		return nil, err
	}
	for _, e := range live {
		att := attemptFor(tx, e)
		ch, err := lifecycle.Cancel(lifecycle.Normalize(e, att), att, &ff.Cancel{
			ExecutionID: e.ID, Reason: g.SiblingsReason, Source: ff.SourceEngine,
		}, tx.Now())
		if err != nil {
			return nil, err
		}
		lifecycle.Retain(&ch, r.retention())
		apply(tx, ch)
		ended = append(ended, ch.Execution)
	}
	return ended, nil
}

// settleSiblings does what is left of the cancel of the siblings of e's upstreams, before its group begins to count
// something else. If that is too much for one commit the caller has to come again: the due loop is at it.
func (r Rules) settleSiblings(tx *store.Tx, e *record.Execution) error {
	group, key := groupKeyOf(flowKeyOf(e), e.ID), errandKey(e, record.CancelSiblings)
	if g := store.Get[*record.Group](tx, group); g == nil || !g.SiblingsPending {
		return nil
	}
	if missing, any := tx.Missing(store.Reads{Records: []record.Key{key}}); any {
		return tx.Need(missing)
	}
	errand := store.Get[*record.Errand](tx, key)
	if errand == nil {
		return nil
	}
	if missing, any := tx.Missing(store.Reads{Edges: []store.EdgesQuery{r.edgesOf(errand)}}); any {
		return tx.Need(missing)
	}
	if err := r.run(tx, errand); err != nil {
		return err
	}
	if store.Get[*record.Group](tx, group).SiblingsPending {
		return &ff.Error{Code: ff.CodeUnavailable, Detail: "the upstreams that are no longer needed are still being cancelled; try again"}
	}
	return nil
}

// unneeded are those of some upstreams of a group that no other group of the flow still needs.
func (r Rules) unneeded(tx *store.Tx, g *record.Group, upstreams []*record.Execution) ([]*record.Execution, error) {
	var need store.Reads
	for _, e := range upstreams {
		need.Edges = append(need.Edges, r.outgoing(e))
	}
	if missing, any := tx.Missing(need); any {
		return nil, tx.Need(missing)
	}
	need = store.Reads{}
	for _, e := range upstreams {
		for _, edge := range tx.Edges(r.outgoing(e)) {
			need.Records = append(need.Records, groupKeyOf(flowKeyOf(e), edge.Downstream))
		}
	}
	if missing, any := tx.Missing(need); any {
		return nil, tx.Need(missing)
	}
	var free []*record.Execution
	for _, e := range upstreams {
		edges, needed := tx.Edges(r.outgoing(e)), false
		for _, edge := range edges {
			other := store.Get[*record.Group](tx, groupKeyOf(flowKeyOf(e), edge.Downstream))
			needed = needed || edge.Downstream != g.Downstream && graph.Needed(other)
		}
		if !needed && len(edges) <= min(siblingEdges, r.limits().Edges) {
			free = append(free, e)
		}
	}
	return free, nil
}
