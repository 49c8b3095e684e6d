package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// graphs are the orders of the edges and members of flows on one shard.
type graphs struct {
	edges   *btree.BTreeG[edgeEnd]
	members *btree.BTreeG[member]
}

// edgeEnd is an edge at one of its ends.
type edgeEnd struct {
	flow     flowfabric.FlowID
	of       flowfabric.ExecutionID
	incoming bool
	edge     flowfabric.EdgeID
}

// member is an execution of a flow.
type member struct {
	flow flowfabric.FlowID
	id   flowfabric.ExecutionID
}

func newGraphs() graphs {
	return graphs{edges: newTree(compareEnds), members: newTree(compareMembers)}
}

func compareEnds(x, y edgeEnd) int {
	side := 0
	if x.incoming != y.incoming {
		side = 1
		if y.incoming {
			side = -1
		}
	}
	return cmp.Or(bytes.Compare(x.flow[:], y.flow[:]), x.of.Compare(y.of), side, bytes.Compare(x.edge[:], y.edge[:]))
}

func compareMembers(x, y member) int {
	return cmp.Or(bytes.Compare(x.flow[:], y.flow[:]), x.id.Compare(y.id))
}

// note follows the write of a keyed record, the removal when after is nil.
func (g *graphs) note(before, after record.Keyed) {
	if e, ok := before.(*record.Edge); ok && after == nil {
		g.edges.Delete(endOf(e, false))
		g.edges.Delete(endOf(e, true))
	}
	if e, ok := after.(*record.Edge); ok && before == nil {
		g.edges.ReplaceOrInsert(endOf(e, false))
		g.edges.ReplaceOrInsert(endOf(e, true))
	}
}

func endOf(e *record.Edge, incoming bool) edgeEnd {
	of := e.Upstream
	if incoming {
		of = e.Downstream
	}
	return edgeEnd{e.FlowID, of, incoming, e.EdgeID}
}

// join follows the write of an execution. Both may be nil.
func (g *graphs) join(before, after *record.Execution) {
	had, has := memberOf(before), memberOf(after)
	if had == has {
		return
	}
	if had != (member{}) {
		g.members.Delete(had)
	}
	if has != (member{}) {
		g.members.ReplaceOrInsert(has)
	}
}

// memberOf is the zero entry for an execution that is absent or of no flow.
func memberOf(e *record.Execution) member {
	if e == nil || e.FlowID.IsZero() {
		return member{}
	}
	return member{e.FlowID, e.ID}
}

// edgesOf answers q.
func (s *session) edgesOf(q store.EdgesQuery) ([]*record.Edge, error) {
	sh, err := s.shardOf(q.Flow.Home)
	if err != nil {
		return nil, err
	}
	var list []*record.Edge
	from := edgeEnd{q.Flow.FlowID, q.Of, q.Incoming, q.After}
	sh.graphs.edges.AscendGreaterOrEqual(from, func(end edgeEnd) bool {
		if end.flow != from.flow || end.of != from.of || end.incoming != from.incoming || len(list) == q.Limit {
			return false
		}
		if end.edge != q.After {
			key := record.EdgeKey{Home: q.Flow.Home, FlowID: end.flow, EdgeID: end.edge}
			list = append(list, sh.keyed.byKey[key].(*record.Edge))
		}
		return true
	})
	return list, nil
}

// membersOf answers q.
func (s *session) membersOf(q store.MembersQuery) ([]flowfabric.ExecutionID, error) {
	sh, err := s.shardOf(q.Flow.Home)
	if err != nil {
		return nil, err
	}
	var list []flowfabric.ExecutionID
	sh.graphs.members.AscendGreaterOrEqual(member{q.Flow.FlowID, q.After}, func(m member) bool {
		if m.flow != q.Flow.FlowID || len(list) == q.Limit {
			return false
		}
		if m.id != q.After {
			list = append(list, m.id)
		}
		return true
	})
	return list, nil
}

// loadGraph loads edges and members.
func (s *session) loadGraph(b *store.Batch, r *store.Reads) error {
	for _, q := range r.Edges {
		list, err := s.edgesOf(q)
		if err != nil {
			return err
		}
		b.AddEdges(q, list)
	}
	for _, q := range r.Members {
		list, err := s.membersOf(q)
		if err != nil {
			return err
		}
		b.AddMembers(q, slices.Clip(list))
	}
	return nil
}

// CountMembers implements [store.Catalog].
func (s *Store) CountMembers(ctx context.Context, flow record.FlowKey) (map[flowfabric.PublicState]int, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	counts := make(map[flowfabric.PublicState]int)
	sh := s.shards[s.Shard(flow.Home)]
	sh.graphs.members.AscendGreaterOrEqual(member{flow: flow.FlowID}, func(m member) bool {
		if m.flow != flow.FlowID {
			return false
		}
		counts[sh.executions[m.id].Public]++
		return true
	})
	return counts, nil
}
