package storetest

import (
	"fmt"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var listTests = []behaviour{
	{"NewestComeFirst", testListOrder},
	{"PagesHaveEachExecutionOnce", testListPages},
	{"EachFilterHolds", testListFilters},
	{"FiltersHoldTogether", testListFiltersTogether},
	{"ScanIsBounded", testListScan},
	{"BytesAreLeftOut", testListLeavesOutBytes},
	{"ListsSpanShards", testListSpansShards},
	{"APartitionIsListedByID", testListPartition},
}

func (e *env) listPage(q store.ListQuery) store.ListPage {
	e.Helper()
	if q.Scan == 0 {
		q.Scan = 20_000
	}
	page, err := e.store.List(e.Context(), q)
	if err != nil {
		e.Fatalf("list: %v", err)
	}
	if len(page.Executions) > q.Limit {
		e.Fatalf("a page of %d executions, limit %d", len(page.Executions), q.Limit)
	}
	return page
}

// listAll follows the cursors to the end.
func (e *env) listAll(q store.ListQuery) []ff.ExecutionID {
	e.Helper()
	const enough = 100
	var got []ff.ExecutionID
	for range enough {
		page := e.listPage(q)
		got = append(got, idsOf(page.Executions)...)
		if page.Next == (store.ListCursor{}) {
			return got
		}
		if q.After == page.Next {
			e.Fatalf("the cursor stands still at %+v", page.Next)
		}
		q.After = page.Next
	}
	e.Fatalf("no end after %d pages", enough)
	return nil
}

func testListOrder(e *env) {
	e.equal("an empty store", e.listAll(store.ListQuery{Limit: 10}), ids())
	e.put(waiting(2), waiting(1, created(start+5)), waiting(3), waiting(5, created(start-5)), waiting(4, created(start+5)))
	e.equal("list", e.listAll(store.ListQuery{Limit: 10}), ids(4, 1, 3, 2, 5))
	e.update(id(5), func(n *record.Execution) { n.State.Phase, n.Ready = ff.PhaseTerminal, false })
	e.equal("list after a change", e.listAll(store.ListQuery{Limit: 10}), ids(4, 1, 3, 2, 5))
}

// testListPages: ties in the time of creation fall on both sides of a page's end.
func testListPages(e *env) {
	var want []ff.ExecutionID
	for n := 1; n <= 12; n++ {
		e.put(waiting(n, created(start+ff.Timestamp(n/5))))
		want = append(want, id(n))
	}
	slices.Reverse(want)
	for limit := 1; limit <= 13; limit++ {
		e.equal(fmt.Sprintf("by pages of %d", limit), e.listAll(store.ListQuery{Limit: limit}), want)
		e.equal(fmt.Sprintf("by pages of %d of a lane", limit), e.listAll(store.ListQuery{Limit: limit, Lane: mail}), want)
	}
	e.equal("behind a position without execution",
		e.listAll(store.ListQuery{Limit: 10, After: store.ListCursor{CreatedAt: start + 1, ExecutionID: idOn(home+1, 7)}}), want[5:])
}

// listed are executions that differ in what lists filter by. Number 1 is the newest.
func listed() []*record.Execution {
	set := func(n int, change func(x *record.Execution)) *record.Execution {
		return waiting(n, created(start-ff.Timestamp(n)), change)
	}
	return []*record.Execution{
		set(1, func(x *record.Execution) {}),
		set(2, func(x *record.Execution) { x.Lane = "Mail" }),
		set(3, func(x *record.Execution) { x.Namespace = "tenant-ä" }),
		set(4, func(x *record.Execution) { x.Kind = "sign" }),
		set(5, func(x *record.Execution) { x.Public = ff.PublicCompleted }),
		set(6, func(x *record.Execution) { x.Public = ff.PublicFailed }),
		set(7, func(x *record.Execution) { x.Tags = map[string]string{"team.name": "a", "empty": ""} }),
		set(8, func(x *record.Execution) { x.Tags = map[string]string{"team.name": "b", `quo"te`: `x\y'z`} }),
	}
}

func testListFilters(e *env) {
	e.put(listed()...)
	for _, c := range []struct {
		name  string
		query store.ListQuery
		want  []ff.ExecutionID
	}{
		{"lane", store.ListQuery{Lane: "Mail"}, ids(2)},
		{"unknown lane", store.ListQuery{Lane: "none"}, ids()},
		{"namespace", store.ListQuery{Namespace: "tenant-ä"}, ids(3)},
		{"kind", store.ListQuery{Kind: "sign"}, ids(4)},
		{"state", store.ListQuery{States: []ff.PublicState{ff.PublicFailed}}, ids(6)},
		{"states", store.ListQuery{States: []ff.PublicState{ff.PublicFailed, ff.PublicCompleted}}, ids(5, 6)},
		{"tag", store.ListQuery{TagKey: "team.name", TagValue: "b"}, ids(8)},
		{"tag in another case", store.ListQuery{TagKey: "Team.name", TagValue: "b"}, ids()},
		{"tag of another value", store.ListQuery{TagKey: "team.name", TagValue: "c"}, ids()},
		{"empty tag", store.ListQuery{TagKey: "empty"}, ids(7)},
		{"tag that is not there", store.ListQuery{TagKey: "none"}, ids()},
		{"tag with punctuation", store.ListQuery{TagKey: `quo"te`, TagValue: `x\y'z`}, ids(8)},
		{"tag whose key is a path", store.ListQuery{TagKey: "team", TagValue: "b"}, ids()},
		{"from", store.ListQuery{CreatedFrom: start - 2}, ids(1, 2)},
		{"before", store.ListQuery{CreatedBefore: start - 6}, ids(7, 8)},
		{"from and before", store.ListQuery{CreatedFrom: start - 5, CreatedBefore: start - 2}, ids(3, 4, 5)},
		{"before and behind", store.ListQuery{CreatedBefore: start - 2, After: store.ListCursor{CreatedAt: start - 6, ExecutionID: id(6)}}, ids(7, 8)},
		{"behind and before", store.ListQuery{CreatedBefore: start - 6, After: store.ListCursor{CreatedAt: start - 2, ExecutionID: id(2)}}, ids(7, 8)},
	} {
		for _, limit := range []int{1, 100} {
			c.query.Limit = limit
			e.equal(fmt.Sprintf("%s by pages of %d", c.name, limit), e.listAll(c.query), c.want)
		}
	}
}

func testListFiltersTogether(e *env) {
	match := func(x *record.Execution) {
		x.Lane, x.Namespace, x.Kind, x.Public = "media", "t", "sign", ff.PublicCompleted
		x.Tags = map[string]string{"k": "v"}
	}
	for n, spoil := range []func(x *record.Execution){
		func(x *record.Execution) {},
		func(x *record.Execution) { x.Lane = mail },
		func(x *record.Execution) { x.Namespace = "u" },
		func(x *record.Execution) { x.Kind = "send" },
		func(x *record.Execution) { x.Public = ff.PublicFailed },
		func(x *record.Execution) { x.Tags = nil },
		func(x *record.Execution) { x.CreatedAt = start - 1 },
		func(x *record.Execution) { x.CreatedAt = start + 1 },
	} {
		e.put(waiting(n+1, match, spoil))
	}
	e.equal("list", e.listAll(store.ListQuery{
		Lane: "media", Namespace: "t", Kind: "sign", States: []ff.PublicState{ff.PublicCompleted}, TagKey: "k", TagValue: "v",
		CreatedFrom: start, CreatedBefore: start + 1, Limit: 10,
	}), ids(1))
}

// testListScan: a page that looked at as many executions as it may is short or empty, and says where to go on.
func testListScan(e *env) {
	for n := 1; n <= 20; n++ {
		e.put(waiting(n, created(start-ff.Timestamp(n)), func(x *record.Execution) {
			if n == 3 || n == 17 {
				x.Kind = "rare"
			}
		}))
	}
	rare := store.ListQuery{Kind: "rare", Limit: 2, Scan: 5}
	first := e.listPage(rare)
	e.equal("first page", idsOf(first.Executions), ids(3))
	if first.Next == (store.ListCursor{}) {
		e.Error("the first page does not say where to go on")
	}
	rare.After = store.ListCursor{CreatedAt: start - 5, ExecutionID: id(5)}
	second := e.listPage(rare)
	if len(second.Executions) != 0 || second.Next == (store.ListCursor{}) {
		e.Errorf("second page has %d executions, next %+v; want none and a cursor", len(second.Executions), second.Next)
	}
	for _, c := range [][2]int{{1, 1}, {1, 2}, {2, 5}, {2, 100}} {
		rare.After, rare.Limit, rare.Scan = store.ListCursor{}, c[0], c[1]
		e.equal(fmt.Sprintf("limit %d, scan %d", c[0], c[1]), e.listAll(rare), ids(3, 17))
	}
}

func testListLeavesOutBytes(e *env) {
	e.put(fullExecution())
	want := fullExecution()
	want.Payload, want.Result, want.ProgressDetails = nil, nil, nil
	page := e.listPage(store.ListQuery{Limit: 1})
	e.equal("page", page.Executions, []*record.Execution{want})
	if x := page.Executions[0]; x.Payload != nil || x.Result != nil || x.ProgressDetails != nil {
		e.Error("the page holds bytes")
	}
	e.equal("execution", e.get(id(1)), fullExecution())
}

func testListSpansShards(e *env) {
	var want []ff.ExecutionID
	for round := range 3 {
		for _, p := range e.store.Shards() {
			x := waiting(1, created(start+ff.Timestamp(round)))
			x.ID = idOn(p.Index, round+1)
			e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
				tx.PutExecution(x)
				return nil
			}))
			want = append(want, x.ID)
		}
	}
	slices.Reverse(want)
	for _, limit := range []int{2, 1000} {
		e.equal(fmt.Sprintf("by pages of %d", limit), e.listAll(store.ListQuery{Limit: limit}), want)
	}
}

func testListPartition(e *env) {
	list := func(q store.PartitionQuery) []ff.ExecutionID {
		e.Helper()
		got, err := e.store.ListPartition(e.Context(), q)
		if err != nil {
			e.Fatalf("list partition: %v", err)
		}
		return got
	}
	e.equal("an empty partition", list(store.PartitionQuery{From: id(0), Limit: 10}), ids())
	e.put(waiting(3), waiting(1, created(start+5)), waiting(2, created(start-5)), waiting(5))
	for _, p := range []uint16{home - 1, home + 1, 0, 65535} { // of which two are next to it in any order
		x := waiting(1)
		x.ID = idOn(p, 4)
		e.do(unitOn(x.ID.Partition(), reads(x.ID), func(tx *store.Tx) error {
			tx.PutExecution(x)
			return nil
		}))
		e.equal(fmt.Sprintf("partition %d", p), list(store.PartitionQuery{From: idOn(p, 0), Limit: 10}), []ff.ExecutionID{x.ID})
	}
	e.update(id(5), func(n *record.Execution) { n.State.Phase, n.Ready = ff.PhaseTerminal, false })
	e.equal("all", list(store.PartitionQuery{From: id(0), Limit: 4}), ids(1, 2, 3, 5))
	e.equal("the first", list(store.PartitionQuery{From: id(0), Limit: 2}), ids(1, 2))
	e.equal("from one that is there", list(store.PartitionQuery{From: id(2), Limit: 10}), ids(2, 3, 5))
	e.equal("from one that is not", list(store.PartitionQuery{From: id(4), Limit: 10}), ids(5))
	e.equal("behind the last", list(store.PartitionQuery{From: id(6), Limit: 10}), ids())
}
