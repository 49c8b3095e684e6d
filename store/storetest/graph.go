package storetest

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var graphTests = []behaviour{
	{"EdgesAreOrderedPages", testEdgePages},
	{"MembersAreOrderedPages", testMemberPages},
	{"WhoLeavesAFlowIsNoMember", testMemberLeaves},
	{"LaterUnitsSeeWhatEarlierOnesWrote", testGraphInBatch},
	{"AFullPageEndsWhereItEnds", testGraphFullPage},
	{"UnitsSeeTheirOwnEdges", testOwnEdges},
	{"AskingAheadChangesNoAnswer", testEdgesAhead},
	{"MissingIsWhatWasNotRead", testMissing},
	{"MembersAreCountedByState", testCountMembers},
	{"UnitsAreToldWhatTheyWrote", testToldRecords},
}

// aFlow is the flow of these tests: its members are executions 1 to 9 of the home partition.
var aFlow = record.FlowKey{Home: homePartition, FlowID: ff.FlowID{0: 0xf1}}

// edgeOf is an edge of a flow; edges are in the order of their numbers.
func edgeOf(flow record.FlowKey, n byte, up, down int) *record.Edge {
	return &record.Edge{
		EdgeKey: record.EdgeKey{Home: flow.Home, FlowID: flow.FlowID, EdgeID: ff.EdgeID{0: n}}, Upstream: id(up), Downstream: id(down),
		DependencyKind: ff.SuccessOnly, State: ff.EdgePending, CreatedBy: "engine",
	}
}

// putFan stores members 1 to 4, of which the first leads to each of the others, by the edge of its number.
func (e *env) putFan() {
	e.Helper()
	for n := 1; n <= 4; n++ {
		e.put(member(n))
	}
	e.putRecords(edgeOf(aFlow, 2, 1, 2), edgeOf(aFlow, 3, 1, 3), edgeOf(aFlow, 4, 1, 4))
	other := record.FlowKey{Home: homePartition, FlowID: ff.FlowID{0: 0xf2}}
	e.putRecords(edgeOf(other, 3, 1, 2), edgeOf(other, 9, 1, 3)) // which ask for nothing here
}

// member is an execution of the flow.
func member(n int) *record.Execution {
	x := waiting(n)
	x.FlowID = aFlow.FlowID
	return x
}

// numbers tell edges apart.
func numbers(list []*record.Edge) []int {
	out := []int{}
	for _, e := range list {
		out = append(out, int(e.EdgeID[0]))
	}
	return out
}

func testEdgePages(e *env) {
	e.putFan()
	for _, c := range []struct {
		q    store.EdgesQuery
		want []int
	}{
		{store.EdgesQuery{Of: id(1), Limit: 10}, []int{2, 3, 4}},
		{store.EdgesQuery{Of: id(1), Limit: 3}, []int{2, 3, 4}},
		{store.EdgesQuery{Of: id(1), Limit: 2}, []int{2, 3}},
		{store.EdgesQuery{Of: id(1), Limit: 2, After: ff.EdgeID{0: 3}}, []int{4}},
		{store.EdgesQuery{Of: id(1), Limit: 2, After: ff.EdgeID{0: 2, 15: 1}}, []int{3, 4}},
		{store.EdgesQuery{Of: id(1), Limit: 2, After: ff.EdgeID{0: 4}}, []int{}},
		{store.EdgesQuery{Of: id(1), Limit: 10, Incoming: true}, []int{}},
		{store.EdgesQuery{Of: id(3), Limit: 10, Incoming: true}, []int{3}},
		{store.EdgesQuery{Of: id(3), Limit: 10}, []int{}},
		{store.EdgesQuery{Of: id(8), Limit: 10}, []int{}},
	} {
		c.q.Flow = aFlow
		tx := e.view(store.Reads{Edges: []store.EdgesQuery{c.q}})
		e.equal(fmt.Sprintf("%+v", c.q), numbers(tx.Edges(c.q)), c.want)
	}
}

func testMemberPages(e *env) {
	e.putFan()
	e.put(waiting(5)) // outside of flows
	for _, c := range []struct {
		q    store.MembersQuery
		want []ff.ExecutionID
	}{
		{store.MembersQuery{Limit: 10}, ids(1, 2, 3, 4)},
		{store.MembersQuery{Limit: 3}, ids(1, 2, 3)},
		{store.MembersQuery{Limit: 3, After: id(3)}, ids(4)},
		{store.MembersQuery{Limit: 3, After: id(4)}, ids()},
	} {
		c.q.Flow = aFlow
		tx := e.view(store.Reads{Members: []store.MembersQuery{c.q}})
		e.equal(fmt.Sprintf("%+v", c.q), append(ids(), tx.Members(c.q)...), c.want)
	}
}

func testMemberLeaves(e *env) {
	e.putFan()
	e.update(id(2), func(n *record.Execution) { n.FlowID = ff.FlowID{} })
	q := store.MembersQuery{Flow: aFlow, Limit: 10}
	e.equal("members", e.view(store.Reads{Members: []store.MembersQuery{q}}).Members(q), ids(1, 3, 4))
	e.equal("flow of who left", e.get(id(2)).FlowID, ff.FlowID{})
	counts, err := e.store.CountMembers(e.Context(), aFlow)
	e.equal("counted", []any{counts[ff.PublicWaiting], err}, []any{3, nil})
}

// testGraphInBatch: what a unit has written is in the answers of those behind it, though they asked before.
func testGraphInBatch(e *env) {
	e.putFan()
	edges := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 10}
	members := store.MembersQuery{Flow: aFlow, Limit: 10}
	ask := store.Reads{Edges: []store.EdgesQuery{edges}, Members: []store.MembersQuery{members}}
	added, gone := edgeOf(aFlow, 1, 1, 7), edgeOf(aFlow, 3, 1, 3)
	write := unit(store.Reads{
		Executions: []ff.ExecutionID{id(7), id(4)}, Records: []record.Key{added.Key(), gone.Key()}, Edges: ask.Edges, Members: ask.Members,
	}, func(tx *store.Tx) error {
		tx.PutExecution(member(7))
		left := *tx.Execution(id(4))
		left.FlowID = ff.FlowID{}
		tx.PutExecution(&left)
		tx.Put(added)
		tx.Delete(gone.Key())
		return nil
	})
	var seenEdges []int
	look := unit(ask, func(tx *store.Tx) error {
		seenEdges = numbers(tx.Edges(edges))
		return nil
	})
	e.do(write, look)
	e.equal("edges seen", seenEdges, []int{1, 2, 4})
	tx := e.view(ask)
	e.equal("edges stored", numbers(tx.Edges(edges)), []int{1, 2, 4})
	e.equal("members stored", tx.Members(members), ids(1, 2, 3, 7))
}

// testGraphFullPage: an answer that is as long as its limit says nothing of what is behind its end.
func testGraphFullPage(e *env) {
	e.putFan()
	edges := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 2}
	members := store.MembersQuery{Flow: aFlow, Limit: 2}
	ask := store.Reads{Edges: []store.EdgesQuery{edges}, Members: []store.MembersQuery{members}}
	behind, within := edgeOf(aFlow, 9, 1, 9), edgeOf(aFlow, 1, 1, 8)
	write := unit(store.Reads{
		Executions: []ff.ExecutionID{id(9)}, Records: []record.Key{behind.Key(), within.Key()}, Edges: ask.Edges, Members: ask.Members,
	}, func(tx *store.Tx) error {
		tx.PutExecution(member(9))
		tx.Put(behind)
		tx.Put(within)
		return nil
	})
	var seenEdges []int
	var seenMembers []ff.ExecutionID
	look := unit(ask, func(tx *store.Tx) error {
		seenEdges, seenMembers = numbers(tx.Edges(edges)), tx.Members(members)
		return nil
	})
	e.do(write, look)
	e.equal("edges", seenEdges, []int{1, 2, 3})
	e.equal("members", seenMembers, ids(1, 2))
}

// testOwnEdges: a unit sees the edges it has written itself, by both their ends, and not those it has deleted.
func testOwnEdges(e *env) {
	e.putFan()
	from := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 10}
	to := store.EdgesQuery{Flow: aFlow, Of: id(3), Incoming: true, Limit: 10}
	added, gone := edgeOf(aFlow, 7, 1, 3), edgeOf(aFlow, 2, 1, 2)
	var seenFrom, seenTo []int
	e.do(unit(store.Reads{Records: []record.Key{added.Key(), gone.Key()}, Edges: []store.EdgesQuery{from, to}}, func(tx *store.Tx) error {
		tx.Put(added)
		tx.Delete(gone.Key())
		seenFrom, seenTo = numbers(tx.Edges(from)), numbers(tx.Edges(to))
		return nil
	}))
	e.equal("from the first", seenFrom, []int{3, 4, 7})
	e.equal("to the third", seenTo, []int{3, 7})
}

// testEdgesAhead: whether a store answers ahead of the question or not, the answers are the same, of what is absent, too.
func testEdgesAhead(e *env) {
	e.putFan()
	g := &record.Group{GroupKey: record.GroupKey{Home: homePartition, FlowID: aFlow.FlowID, Downstream: id(2)}, State: ff.GroupPending, Total: 3}
	g.Policy.Kind = ff.AllOf
	e.putRecords(g)
	e.putRecords(edgeOf(aFlow, 5, 1, 6)) // to an execution that is not there
	q := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 3, Ahead: true}
	all := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 10, Ahead: true}
	group := func(n int) record.GroupKey {
		return record.GroupKey{Home: homePartition, FlowID: aFlow.FlowID, Downstream: id(n)}
	}
	var found []any
	e.do(unit(store.Reads{Edges: []store.EdgesQuery{q, all}}, func(tx *store.Tx) error {
		need := store.Reads{Executions: []ff.ExecutionID{id(2), id(6)}, Records: []record.Key{group(2), group(3)}}
		if missing, any := tx.Missing(need); any {
			return tx.Need(missing)
		}
		found = []any{
			numbers(tx.Edges(q)), numbers(tx.Edges(all)), tx.Execution(id(2)).FlowID, tx.Execution(id(6)) == nil,
			store.Get[*record.Group](tx, group(2)).Total, tx.Record(group(3)) == nil,
		}
		changed := *store.Get[*record.Group](tx, group(2))
		changed.Success = 1
		tx.Put(&changed) // over what was read ahead
		return nil
	}))
	e.equal("found", found, []any{[]int{2, 3, 4}, []int{2, 3, 4, 5}, aFlow.FlowID, true, 3, true})
	tx := e.view(recordReads(group(2)))
	e.equal("group", store.Get[*record.Group](tx, group(2)).Success, 1)
}

func testMissing(e *env) {
	e.putFan()
	edges := store.EdgesQuery{Flow: aFlow, Of: id(1), Limit: 10}
	members := store.MembersQuery{Flow: aFlow, Limit: 10}
	attempt := record.AttemptKey{ExecutionID: id(1)}
	all := store.Reads{
		Executions: []ff.ExecutionID{id(1), id(9)}, Records: []record.Key{aFlow}, Attempts: []record.AttemptKey{attempt},
		Edges: []store.EdgesQuery{edges}, Members: []store.MembersQuery{members},
	}
	rounds := 0
	e.do(unit(store.Reads{Executions: []ff.ExecutionID{id(1)}}, func(tx *store.Tx) error {
		rounds++
		missing, any := tx.Missing(all)
		if any {
			want := all
			want.Executions = []ff.ExecutionID{id(9)}
			e.equal("missing", missing, want)
			return tx.Need(missing)
		}
		e.equal("what is absent was read", []bool{tx.Execution(id(9)) == nil, tx.Record(aFlow) == nil, tx.Attempt(attempt) == nil}, []bool{true, true, true})
		return nil
	}))
	e.equal("rounds", rounds, 2)
	e.do(unit(store.Reads{Records: []record.Key{aFlow}}, func(tx *store.Tx) error {
		tx.Put(&record.Flow{FlowKey: aFlow, State: ff.FlowOpen})
		tx.PutExecution(member(8))
		_, any := tx.Missing(store.Reads{Records: []record.Key{aFlow}, Executions: []ff.ExecutionID{id(8)}})
		e.equal("what the unit has written is missing", any, false)
		return nil
	}))
}

func testCountMembers(e *env) {
	e.putFan()
	e.update(id(2), func(n *record.Execution) { n.Public = ff.PublicActive })
	e.put(waiting(5))
	counts, err := e.store.CountMembers(e.Context(), aFlow)
	e.equal("error", err, nil)
	e.equal("members by state", counts, map[ff.PublicState]int{ff.PublicWaiting: 3, ff.PublicActive: 1})
	counts, err = e.store.CountMembers(e.Context(), record.FlowKey{Home: homePartition, FlowID: ff.FlowID{0: 0xff}})
	e.equal("of an unknown flow", []any{len(counts), err}, []any{0, nil})
}

// testToldRecords: after the commit a unit has the keyed records it wrote, and when the earliest of them is due.
func testToldRecords(e *env) {
	errand := func(n int, at ff.Timestamp) *record.Errand {
		key := record.ErrandKey{Home: homePartition, FlowID: aFlow.FlowID, ExecutionID: id(n), Kind: record.Resolve}
		return &record.Errand{ErrandKey: key, EnqueuedAt: at}
	}
	late, early := errand(1, start+9), errand(2, start+5)
	u := unit(recordReads(late.Key(), early.Key()), func(tx *store.Tx) error {
		tx.Put(late)
		tx.Put(early)
		return nil
	})
	e.do(u)
	e.equal("records", len(u.Records), 2)
	e.equal("due", u.DueAt, start+5)
	u = unit(recordReads(late.Key(), aFlow), func(tx *store.Tx) error {
		tx.Delete(late.Key())
		tx.Put(&record.Flow{FlowKey: aFlow, State: ff.FlowOpen})
		return nil
	})
	e.do(u)
	e.equal("records of a deletion and a write", len(u.Records), 1)
	e.equal("due", u.DueAt, ff.Timestamp(0))
}
