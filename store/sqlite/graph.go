package sqlite

import (
	"context"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// edges is ff_edge.
var edges = sqlstore.Keyed[record.Edges].Table

// The edges of a member and the members of a flow, each in the order of an index.
var (
	sqlEdgesFrom = selectEdges("ff_edge_upstream", "upstream_eid")
	sqlEdgesTo   = selectEdges("ff_edge_downstream", "downstream_eid")
)

const (
	sqlMembers = `SELECT execution_id FROM ff_exec_core WHERE flow_id = ? AND execution_id > ? AND partition_key = ?
		ORDER BY execution_id LIMIT 0 + ?`
	sqlCountMembers = `SELECT ifnull(public_state, ''), count(*) FROM ff_exec_core WHERE flow_id = ? AND partition_key = ?
		GROUP BY 1`
)

// selectEdges names the index: the planner would rather read all edges of the flow, in the order of their key.
func selectEdges(index, end string) string {
	return "SELECT " + edges.Names("") + " FROM " + edges.Name + " INDEXED BY " + index +
		" WHERE flow_id = ? AND " + end + " = ? AND edge_id > ? ORDER BY edge_id LIMIT 0 + ?"
}

// edgesOf answers q.
func (r *reads) edgesOf(q store.EdgesQuery) ([]*record.Edge, error) {
	s := r.edgesFrom
	if q.Incoming {
		s = r.edgesTo
	}
	s.UUID([16]byte(q.Flow.FlowID))
	s.UUID(q.Of.UUID())
	s.UUID([16]byte(q.After))
	s.Int(int64(q.Limit))
	rows, err := all(s, &edges)
	list := make([]*record.Edge, len(rows))
	for i, row := range rows {
		list[i] = (*row).(*record.Edge)
	}
	return list, err
}

// membersOf answers q.
func (r *reads) membersOf(q store.MembersQuery) ([]flowfabric.ExecutionID, error) {
	home := q.Flow.Home.Index
	r.members.UUID([16]byte(q.Flow.FlowID))
	r.members.UUID(q.After.UUID())
	r.members.Int(int64(home))
	r.members.Int(int64(q.Limit))
	var list []flowfabric.ExecutionID
	for {
		found, err := r.members.step()
		if err != nil || !found {
			return list, err
		}
		list = append(list, flowfabric.ExecutionIDFrom(home, r.members.row.UUID()))
	}
}

// CountMembers implements [store.Catalog].
func (s *Store) CountMembers(ctx context.Context, flow record.FlowKey) (counts map[flowfabric.PublicState]int, err error) {
	err = s.read(ctx, "count the members of a flow", func(db *driver.Conn) error {
		counts, err = countMembers(db, flow)
		return err
	})
	return counts, err
}

func countMembers(db *driver.Conn, flow record.FlowKey) (map[flowfabric.PublicState]int, error) {
	s, err := prepare(db, sqlCountMembers)
	if err != nil {
		return nil, err
	}
	s.UUID([16]byte(flow.FlowID))
	s.Int(int64(flow.Home.Index))
	counts := make(map[flowfabric.PublicState]int)
	for {
		found, err := s.step()
		if err != nil || !found {
			return counts, err
		}
		counts[flowfabric.PublicState(s.stmt.ColumnText(0))] = int(s.stmt.ColumnInt64(1))
	}
}
