package ops

import (
	"bytes"
	"cmp"
	"context"
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Flow returns the record of a flow.
func (r Rules) Flow(ctx context.Context, st store.Store, id ff.FlowID) (*record.Flow, error) {
	key := r.flowKey(id)
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key}})
	if err != nil {
		return nil, named("describe flow", err)
	}
	f := store.Get[*record.Flow](tx, key)
	if f == nil {
		return nil, named("describe flow", graph.NotFound(id))
	}
	return f, nil
}

// FlowTags tells the tags of a flow.
func (r Rules) FlowTags(ctx context.Context, st store.Store, id ff.FlowID) (map[string]string, error) {
	f, err := r.Flow(ctx, st, id)
	if err != nil {
		return nil, err
	}
	return maps.Clone(f.Tags), nil
}

// DescribeFlow tells the state of a flow.
func (r Rules) DescribeFlow(ctx context.Context, st store.Store, id ff.FlowID) (ff.FlowSnapshot, error) {
	f, err := r.Flow(ctx, st, id)
	if err != nil {
		return ff.FlowSnapshot{}, err
	}
	counted, err := st.CountMembers(ctx, f.FlowKey)
	if err != nil {
		return ff.FlowSnapshot{}, named("describe flow", err)
	}
	counts := countsOf(counted)
	s := ff.FlowSnapshot{
		FlowID: f.FlowID, Kind: f.Kind, Namespace: f.Namespace, State: f.State, Progress: graph.Derive(counts), Counts: counts,
		GraphRevision: f.GraphRevision, NodeCount: f.NodeCount, EdgeCount: f.EdgeCount, CreatedAt: f.CreatedAt,
		LastMutationAt: cmp.Or(f.LastMutationAt, f.CreatedAt), EndedAt: f.TerminalAt, CancellationPolicy: f.CancellationPolicy, Tags: f.Tags,
	}
	if f.CancelReason != nil {
		s.CancelReason = *f.CancelReason
	}
	return s, nil
}

// countsOf sorts counted members; literals of rows written by hand are read as today's.
func countsOf(counted map[ff.PublicState]int) ff.FlowCounts {
	var c ff.FlowCounts
	for state, n := range counted {
		c.Total += n
		switch state {
		case ff.PublicCompleted, "success":
			c.Completed += n
		case ff.PublicFailed:
			c.Failed += n
		case ff.PublicCancelled:
			c.Cancelled += n
		case ff.PublicExpired:
			c.Expired += n
		case ff.PublicSkipped:
			c.Skipped += n
		case ff.PublicActive, "running":
			c.Active += n
		case ff.PublicSuspended:
			c.Suspended += n
		case ff.PublicWaiting, ff.PublicResumable:
			c.Waiting += n
		case ff.PublicDelayed:
			c.Delayed += n
		case ff.PublicRateLimited:
			c.RateLimited += n
		case ff.PublicWaitingChildren:
			c.WaitingChildren += n
		}
	}
	return c
}

// FlowSummary is a flow as a line of a list.
func FlowSummary(f *record.Flow) ff.FlowSummary {
	return ff.FlowSummary{
		FlowID: f.FlowID, Kind: f.Kind, Namespace: f.Namespace, State: graph.Progress(f), NodeCount: f.NodeCount, Ended: f.EndedCount,
		CreatedAt: f.CreatedAt,
	}
}

// ListFlows returns a page of flows by id.
func (r Rules) ListFlows(ctx context.Context, st store.Catalog, q ff.ListFlows) (ff.Page[ff.FlowSummary], error) {
	var page ff.Page[ff.FlowSummary]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := checkLimit(limit); err != nil {
		return page, named("list flows", err)
	}
	query := store.RecordQuery{Family: record.Flows, Limit: limit + 1}
	if q.After != "" {
		position, err := readCursor("flows", nil, q.After, 16)
		if err != nil {
			return page, named("list flows", err)
		}
		query.After = r.flowKey(ff.FlowID(position))
	}
	found, err := st.Records(ctx, query)
	if err != nil {
		return page, named("list flows", err)
	}
	for i, rec := range found {
		f := rec.(*record.Flow)
		if i == limit {
			last := page.Items[limit-1].FlowID
			page.Next = newCursor("flows", nil, last[:])
			break
		}
		page.Items = append(page.Items, FlowSummary(f))
	}
	return page, nil
}

// ListNodes returns a page of the members of a flow by id.
func (r Rules) ListNodes(ctx context.Context, st store.Store, q ff.ListNodes) (ff.Page[ff.NodeSnapshot], error) {
	var page ff.Page[ff.NodeSnapshot]
	limit, flow := cmp.Or(q.Limit, ff.DefaultPage), r.flowKey(q.FlowID)
	if err := checkLimit(limit); err != nil {
		return page, named("list nodes", err)
	}
	query := store.MembersQuery{Flow: flow, Limit: limit + 1}
	if q.After != "" {
		position, err := readCursor("nodes", q.FlowID, q.After, 16)
		if err != nil {
			return page, named("list nodes", err)
		}
		query.After = ff.ExecutionIDFrom(flow.Home.Index, [16]byte(position))
	}
	tx, err := st.View(ctx, store.Reads{Members: []store.MembersQuery{query}})
	if err != nil {
		return page, named("list nodes", err)
	}
	ids := tx.Members(query)
	if len(ids) > limit {
		ids = ids[:limit]
		last := ids[limit-1].UUID()
		page.Next = newCursor("nodes", q.FlowID, last[:])
	}
	reads := store.Reads{Executions: ids}
	for _, id := range ids {
		reads.Records = append(reads.Records, groupKeyOf(flow, id))
	}
	if tx, err = st.View(ctx, reads); err != nil {
		return page, named("list nodes", err)
	}
	for _, id := range ids {
		e := lifecycle.Normalize(tx.Execution(id), nil)
		if e == nil { // removed meanwhile
			continue
		}
		page.Items = append(page.Items, ff.NodeSnapshot{
			ExecutionSummary: summaryOf(e), Node: e.Tags[ff.TagNode], Group: groupSnapshot(store.Get[*record.Group](tx, groupKeyOf(flow, id))),
		})
	}
	return page, nil
}

func groupSnapshot(g *record.Group) *ff.GroupSnapshot {
	if g == nil {
		return nil
	}
	return &ff.GroupSnapshot{
		Downstream: g.Downstream, Policy: g.Policy, State: g.State, Total: graph.TallyOf(g).Total, Satisfied: g.Success, Failed: g.Fail,
		Skipped: g.Skip, Running: g.Running, SatisfiedAt: g.SatisfiedAt,
	}
}

// ListEdges returns a page of the edges from or to a member, by id.
func (r Rules) ListEdges(ctx context.Context, st store.Store, q ff.ListEdges) (ff.Page[ff.EdgeSnapshot], error) {
	var page ff.Page[ff.EdgeSnapshot]
	limit, flow := cmp.Or(q.Limit, ff.DefaultPage), r.flowKey(q.FlowID)
	if err := checkLimit(limit); err != nil {
		return page, named("list edges", err)
	}
	if q.From.IsZero() == q.To.IsZero() {
		return page, named("list edges", invalid("from", "and to: exactly one must be set"))
	}
	query := store.EdgesQuery{Flow: flow, Of: q.From, Limit: limit + 1}
	if q.From.IsZero() {
		query.Of, query.Incoming = q.To, true
	}
	filters := []any{q.FlowID, q.From, q.To}
	if q.After != "" {
		position, err := readCursor("edges", filters, q.After, 16)
		if err != nil {
			return page, named("list edges", err)
		}
		query.After = ff.EdgeID(position)
	}
	tx, err := st.View(ctx, store.Reads{Edges: []store.EdgesQuery{query}})
	if err != nil {
		return page, named("list edges", err)
	}
	edges := tx.Edges(query)
	if len(edges) > limit {
		edges = edges[:limit]
		page.Next = newCursor("edges", filters, bytes.Clone(edges[limit-1].EdgeID[:]))
	}
	var reads store.Reads
	for _, e := range edges {
		reads.Records = append(reads.Records, groupKeyOf(flow, e.Downstream))
	}
	if tx, err = st.View(ctx, reads); err != nil {
		return page, named("list edges", err)
	}
	for _, e := range edges {
		page.Items = append(page.Items, edgeSnapshot(e, store.Get[*record.Group](tx, groupKeyOf(flow, e.Downstream))))
	}
	return page, nil
}

// DescribeEdge tells of one edge.
func (r Rules) DescribeEdge(ctx context.Context, st store.Store, flow ff.FlowID, id ff.EdgeID) (ff.EdgeSnapshot, error) {
	key := record.EdgeKey{Home: r.flowKey(flow).Home, FlowID: flow, EdgeID: id}
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key}})
	if err != nil {
		return ff.EdgeSnapshot{}, named("describe edge", err)
	}
	e := store.Get[*record.Edge](tx, key)
	if e == nil {
		return ff.EdgeSnapshot{}, named("describe edge", &ff.Error{
			Code: ff.CodeInvalidDependency, Detail: "the flow " + flow.String() + " has no edge " + id.String(),
		})
	}
	group := groupKeyOf(r.flowKey(flow), e.Downstream)
	if tx, err = st.View(ctx, store.Reads{Records: []record.Key{group}}); err != nil {
		return ff.EdgeSnapshot{}, named("describe edge", err)
	}
	return edgeSnapshot(e, store.Get[*record.Group](tx, group)), nil
}

func edgeSnapshot(e *record.Edge, g *record.Group) ff.EdgeSnapshot {
	s := ff.EdgeSnapshot{
		EdgeID: e.EdgeID, FlowID: e.FlowID, Upstream: e.Upstream, Downstream: e.Downstream, DependencyKind: e.DependencyKind,
		Required: e.Required, DataPassingRef: e.DataPassingRef, State: graph.StateOf(e, g), CreatedAt: e.CreatedAt, AppliedAt: e.AppliedAt,
	}
	if s.State == ff.EdgeSatisfied || s.State == ff.EdgeImpossible {
		s.ResolvedAt, s.Outcome = e.ResolvedAt, e.Outcome
	}
	return s
}

// CancelledMembers are the members a caller is told of that cancels a flow which has ended: those whose acknowledgement is
// owed, or else all, up to most (0: any number).
func (r Rules) CancelledMembers(ctx context.Context, st store.Store, id ff.FlowID, most int) ([]ff.ExecutionID, error) {
	const page = 1000
	flow := r.flowKey(id)
	var ids []ff.ExecutionID
	full := func() bool { return most > 0 && len(ids) >= most }
	owed := store.RecordQuery{
		Family: record.BacklogMembers, After: record.BacklogMemberKey{Home: flow.Home, FlowID: id}, Prefix: 1, Limit: page,
	}
	for {
		found, err := st.Records(ctx, owed)
		if err != nil {
			return nil, named("cancel flow", err)
		}
		for _, rec := range found {
			ids = append(ids, rec.(*record.BacklogMember).ExecutionID)
		}
		if len(found) < page || full() {
			break
		}
		owed.After = found[page-1].Key()
	}
	all := store.MembersQuery{Flow: flow, Limit: page}
	for owing := len(ids) > 0; !owing && !full(); {
		tx, err := st.View(ctx, store.Reads{Members: []store.MembersQuery{all}})
		if err != nil {
			return nil, named("cancel flow", err)
		}
		found := tx.Members(all)
		ids = append(ids, found...)
		if len(found) < page {
			break
		}
		all.After = found[page-1]
	}
	if full() {
		ids = ids[:most]
	}
	return ids, nil
}
