package postgres

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The edges of members and the members of flows, each in the order of an index. Parameters: an array for each part of the
// questions, which are numbered in their order; every answer begins with the number of its question.
var (
	edgesFrom = newStatement(edgesText("upstream_eid"))
	edgesTo   = newStatement(edgesText("downstream_eid"))
	// What edges lead to. The flow's own record, which is read first, keeps others from the groups meanwhile.
	groupsAhead = newStatement(`SELECT ` + groupTable().Names("c.") + aheadText + `
	CROSS JOIN LATERAL (SELECT * FROM ff_edge_group r
		WHERE r.flow_id = d.flow_id AND r.downstream_eid = d.downstream_eid OFFSET 0) c`)
	executionsAhead = newStatement(`SELECT ` + sqlstore.Executions.Names("c.") + aheadText + `
	CROSS JOIN LATERAL (SELECT * FROM ff_exec_core r
		WHERE r.partition_key = d.home AND r.execution_id = d.downstream_eid OFFSET 0) c`)
	membersOf = newStatement(`SELECT k.n, m.execution_id
	FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[]) WITH ORDINALITY k(flow_id, after, home, most, n)
	CROSS JOIN LATERAL (SELECT execution_id FROM ff_exec_core r
		WHERE r.flow_id = k.flow_id AND r.execution_id > k.after AND r.partition_key = k.home
		ORDER BY r.execution_id LIMIT k.most) m`)
	countMembers = newStatement(`SELECT public_state, count(*) FROM ff_exec_core
	WHERE flow_id = $1::uuid AND partition_key = $2::smallint GROUP BY 1`)
)

func edgesText(end string) string {
	t := edgeTable()
	return `SELECT k.n, ` + t.Names("c.") + `
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) WITH ORDINALITY k(flow_id, of, after, most, n)
	CROSS JOIN LATERAL (SELECT * FROM ff_edge r
		WHERE r.flow_id = k.flow_id AND r.` + end + ` = k.of AND r.edge_id > k.after
		ORDER BY r.flow_id, r.` + end + `, r.edge_id LIMIT k.most) c`
}

// aheadText has the parameters of edgesFrom, and the partitions of the flows.
const aheadText = `
	FROM (SELECT DISTINCT k.flow_id, k.home, e.downstream_eid
		FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::smallint[]) k(flow_id, of, after, most, home)
		CROSS JOIN LATERAL (SELECT downstream_eid FROM ff_edge r
			WHERE r.flow_id = k.flow_id AND r.upstream_eid = k.of AND r.edge_id > k.after
			ORDER BY r.flow_id, r.upstream_eid, r.edge_id LIMIT k.most) e) d`

func groupTable() *sqlstore.Table[record.Keyed] { return &sqlstore.Keyed[record.Groups].Table }

func edgeTable() *sqlstore.Table[record.Keyed] { return &sqlstore.Keyed[record.Edges].Table }

// graphReads is what the loads of a round trip ask of flows, and the answers.
type graphReads struct {
	edges   []store.EdgesQuery
	members []store.MembersQuery

	foundEdges   map[store.EdgesQuery][]*record.Edge
	foundGroups  []*record.Group     // ahead
	foundExecs   []*record.Execution // ahead
	foundMembers map[store.MembersQuery][]flowfabric.ExecutionID
}

// statements is how many the reads need.
func (g *graphReads) statements() int {
	from, to := g.sides()
	n := min(len(from), 1) + min(len(to), 1) + 2*min(len(ahead(from)), 1)
	return n + min(len(g.members), 1)
}

// sides are the questions for edges, each once, by the end they ask for.
func (g *graphReads) sides() (from, to []store.EdgesQuery) {
	for _, q := range distinct(g.edges) {
		if q.Incoming {
			to = append(to, q)
		} else {
			from = append(from, q)
		}
	}
	return from, to
}

// ahead are those of the questions that want to know what the edges lead to.
func ahead(asked []store.EdgesQuery) (list []store.EdgesQuery) {
	for _, q := range asked {
		if q.Ahead {
			list = append(list, q)
		}
	}
	return list
}

// distinct drops repeats, which the loads of one batch may well bring.
func distinct[Q comparable](asked []Q) []Q {
	seen := make(map[Q]struct{}, len(asked))
	var once []Q
	for _, q := range asked {
		if _, again := seen[q]; !again {
			seen[q] = struct{}{}
			once = append(once, q)
		}
	}
	return once
}

// send asks behind the executions: an edge that is staged rewrites its upstream, so that who has read that before the edge
// was there fails its guard.
func (g *graphReads) send(t *trip) {
	if len(g.edges)+len(g.members) == 0 {
		return
	}
	g.foundEdges = make(map[store.EdgesQuery][]*record.Edge)
	g.foundMembers = make(map[store.MembersQuery][]flowfabric.ExecutionID)
	from, to := g.sides()
	g.sendEdges(t, edgesFrom, from)
	g.sendEdges(t, edgesTo, to)
	g.sendAhead(t, ahead(from))
	g.sendMembers(t)
}

func (g *graphReads) sendAhead(t *trip, asked []store.EdgesQuery) {
	if len(asked) == 0 {
		return
	}
	params := append(edgeParams(asked), arrayParam(sqlstore.Int16, func(a *array) {
		for i := range asked {
			a.Int(int64(asked[i].Flow.Home.Index))
		}
	}))
	var groups, executions scanner
	t.send(groupsAhead, params, func(values [][]byte) error {
		g.foundGroups = append(g.foundGroups, (*scan(&groups, groupTable(), values)).(*record.Group))
		return nil
	})
	t.send(executionsAhead, params, func(values [][]byte) error {
		g.foundExecs = append(g.foundExecs, scan(&executions, &sqlstore.Executions, values))
		return nil
	})
}

func (g *graphReads) sendEdges(t *trip, st *statement, asked []store.EdgesQuery) {
	if len(asked) == 0 {
		return
	}
	params := edgeParams(asked)
	var sc scanner
	t.send(st, params, func(values [][]byte) error {
		q := asked[intOf(values[0])-1]
		e := (*scan(&sc, edgeTable(), values[1:])).(*record.Edge)
		g.foundEdges[q] = append(g.foundEdges[q], e)
		return nil
	})
}

// edgeParams are the parts of questions for edges.
func edgeParams(asked []store.EdgesQuery) [][]byte {
	uuids := func(of func(q *store.EdgesQuery) [16]byte) []byte {
		return arrayParam(sqlstore.UUID, func(a *array) {
			for i := range asked {
				a.UUID(of(&asked[i]))
			}
		})
	}
	return [][]byte{
		uuids(func(q *store.EdgesQuery) [16]byte { return q.Flow.FlowID }),
		uuids(func(q *store.EdgesQuery) [16]byte { return q.Of.UUID() }),
		uuids(func(q *store.EdgesQuery) [16]byte { return q.After }),
		arrayParam(sqlstore.Int64, func(a *array) {
			for i := range asked {
				a.Int(int64(asked[i].Limit))
			}
		}),
	}
}

func (g *graphReads) sendMembers(t *trip) {
	if len(g.members) == 0 {
		return
	}
	asked := distinct(g.members)
	params := [][]byte{
		arrayParam(sqlstore.UUID, func(a *array) {
			for _, q := range asked {
				a.UUID(q.Flow.FlowID)
			}
		}),
		arrayParam(sqlstore.UUID, func(a *array) {
			for _, q := range asked {
				a.UUID(q.After.UUID())
			}
		}),
		arrayParam(sqlstore.Int16, func(a *array) {
			for _, q := range asked {
				a.Int(int64(q.Flow.Home.Index))
			}
		}),
		arrayParam(sqlstore.Int64, func(a *array) {
			for _, q := range asked {
				a.Int(int64(q.Limit))
			}
		}),
	}
	t.send(membersOf, params, func(values [][]byte) error {
		q := asked[intOf(values[0])-1]
		g.foundMembers[q] = append(g.foundMembers[q], flowfabric.ExecutionIDFrom(q.Flow.Home.Index, [16]byte(values[1])))
		return nil
	})
}

func (g *graphReads) deliver(b *store.Batch) {
	for _, q := range g.edges {
		b.AddEdges(q, g.foundEdges[q])
	}
	for _, group := range g.foundGroups {
		b.AddRecord(group.GroupKey, group)
	}
	for _, e := range g.foundExecs {
		b.AddExecution(e.ID, e)
	}
	for _, q := range g.members {
		b.AddMembers(q, g.foundMembers[q])
	}
}

// CountMembers implements [store.Catalog].
func (st *Store) CountMembers(ctx context.Context, flow record.FlowKey) (map[flowfabric.PublicState]int, error) {
	counts := make(map[flowfabric.PublicState]int)
	err := st.inquire(ctx, "count the members of a flow", func(t *trip) {
		t.send(countMembers, [][]byte{flow.FlowID[:], int16Param(flow.Home.Index)}, func(values [][]byte) error {
			counts[flowfabric.PublicState(values[0])] += int(intOf(values[1]))
			return nil
		})
	})
	return counts, err
}
