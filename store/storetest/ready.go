package storetest

import (
	"errors"
	"slices"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var readyTests = []behaviour{
	{"ClaimOrderIsPriorityThenAgeThenID", testClaimOrder},
	{"OneLaneAndSomeRoutesAreAnswered", testClaimRoutes},
	{"RoutesAreMergedInClaimOrder", testClaimMerge},
	{"IndexFollowsTheRecords", testReadyFollowsRecords},
	{"QueriesOfABatchAreDisjoint", testClaimsOfABatchAreDisjoint},
	{"TakenButUnwrittenEntriesStay", testTakenEntriesStay},
	{"TakenEntriesMayBeWrittenAndStayReady", testTakenEntriesMayStayReady},
	{"ConcurrentClaimsNeverShare", testConcurrentClaimsNeverShare},
}

// claimable looks at the claim order without taking.
func (e *env) claimable(q store.ClaimQuery) []ff.ExecutionID {
	e.Helper()
	return idsOf(e.view(claims(q)).Claimable(0))
}

func testClaimOrder(e *env) {
	e.put(
		waiting(1, created(start+2)),
		waiting(2, created(start+1)),
		waiting(3, priority(-5)), // bounds of priorities are not the store's business
		waiting(4, priority(9000), created(start+9)),
		waiting(6, created(start+1)),
		waiting(5, created(start+1)),
		waiting(7, priority(10)),
	)
	want := ids(4, 7, 2, 5, 6, 1, 3)
	for _, limit := range []int{1, 3, 7, 1000} {
		e.equal("claimable", e.claimable(mailQuery(limit)), want[:min(limit, 7)])
	}
	e.do(unit(claimMail(5), func(tx *store.Tx) error {
		e.equal("claimed", idsOf(tx.Claimable(0)), want[:5])
		e.equal("the record that was claimed", tx.Claimable(0)[1].Priority, 10)
		return nil
	}))
}

func testClaimRoutes(e *env) {
	e.put(
		waiting(1), waiting(2, onRoute(7)), waiting(3, onRoute(-7)), waiting(4, onLane("media")),
		waiting(5, onLane("media"), onRoute(7)), waiting(6, onLane("MAIL")),
	)
	for _, c := range []struct {
		query store.ClaimQuery
		want  []ff.ExecutionID
	}{
		{mailQuery(10), ids(1)},
		{mailQuery(10, 7), ids(2)},
		{mailQuery(10, -7, 7), ids(2, 3)},
		{mailQuery(10, 0, 7, -7, 99), ids(1, 2, 3)},
		{mailQuery(10, 99), nil},
		{store.ClaimQuery{Lane: "media", Routes: []int64{0, 7}, Limit: 10}, ids(4, 5)},
		{store.ClaimQuery{Lane: "mai", Routes: []int64{0}, Limit: 10}, nil},
	} {
		e.equal("claimable", e.claimable(c.query), c.want)
		e.do(unit(claims(c.query), func(tx *store.Tx) error {
			e.equal("claimed", idsOf(tx.Claimable(0)), c.want)
			return nil
		}))
	}
}

func testClaimMerge(e *env) {
	e.put(
		waiting(1, onRoute(1), priority(1)), waiting(2, onRoute(2), priority(3)), waiting(3, onRoute(3), priority(2)),
		waiting(4, onRoute(1), priority(3)), waiting(5, onRoute(3), priority(3)), waiting(6, onRoute(2)),
		waiting(7, onRoute(4), priority(9)),
	)
	want := ids(2, 4, 5, 3, 1, 6)
	for _, limit := range []int{2, 4, 10} {
		e.equal("claimable", e.claimable(mailQuery(limit, 3, 1, 2)), want[:min(limit, 6)])
		e.do(unit(claimMail(limit, 3, 1, 2), func(tx *store.Tx) error {
			e.equal("claimed", idsOf(tx.Claimable(0)), want[:min(limit, 6)])
			return nil
		}))
	}
}

func testReadyFollowsRecords(e *env) {
	e.put(waiting(1), waiting(2), delayed(3, start+1))
	e.equal("at first", e.claimable(mailQuery(10)), ids(1, 2))
	e.update(id(2), func(n *record.Execution) { n.Priority = 5 })
	e.equal("after a change of priority", e.claimable(mailQuery(10)), ids(2, 1))
	e.update(id(1), func(n *record.Execution) { n.WorkerID = "w" })
	e.equal("after a change that moves nothing", e.claimable(mailQuery(10)), ids(2, 1))
	e.update(id(3), func(n *record.Execution) { n.Ready, n.Priority = true, 9 })
	e.equal("after one became ready", e.claimable(mailQuery(10)), ids(3, 2, 1))
	e.update(id(2), func(n *record.Execution) { n.Ready, n.Priority = false, 6 })
	e.equal("after one stopped being ready", e.claimable(mailQuery(10)), ids(3, 1))
	e.update(id(2), func(n *record.Execution) { n.Priority = 7 })
	e.update(id(2), func(n *record.Execution) { n.Ready = true })
	e.equal("after it was ready again", e.claimable(mailQuery(10)), ids(3, 2, 1))
	e.equal("entries", e.dump().Ready, []store.ReadyEntry{
		{Lane: mail, Priority: 9, CreatedAt: start, ExecutionID: id(3)},
		{Lane: mail, Priority: 7, CreatedAt: start, ExecutionID: id(2)},
		{Lane: mail, Priority: 0, CreatedAt: start, ExecutionID: id(1)},
	})
}

func testClaimsOfABatchAreDisjoint(e *env) {
	for n := 1; n <= 9; n++ {
		e.put(waiting(n, onRoute(int64(n%2)), created(start+ff.Timestamp(n))))
	}
	expect := func(i int, want []ff.ExecutionID) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			e.equal("answer", idsOf(tx.Claimable(i)), want)
			return nil
		}
	}
	more := unit(claimMail(1, 0, 1), nil)
	more.Decide = func(tx *store.Tx) error { // asks again in the same transaction
		if tx.ClaimQueries() == 1 {
			return tx.Need(claimMail(2, 0, 1))
		}
		_ = expect(0, ids(6))(tx)
		return expect(1, ids(8, 9))(tx) // all Reads of the batch come before it
	}
	two := unit(claims(mailQuery(2, 0, 1), mailQuery(1, 0)), func(tx *store.Tx) error {
		_ = expect(0, ids(1, 2))(tx)
		return expect(1, ids(4))(tx)
	})
	e.do(two, unit(claimMail(2, 1), expect(0, ids(3, 5))), more, unit(claimMail(1, 1), expect(0, ids(7))))
	e.equal("nothing was written, so all are left", e.claimable(mailQuery(10, 0, 1)), ids(1, 2, 3, 4, 5, 6, 7, 8, 9))
}

func testTakenEntriesStay(e *env) {
	e.put(waiting(1), waiting(2), waiting(3), waiting(4))
	refused := errors.New("refused")
	failing := unit(claimMail(1), func(tx *store.Tx) error {
		takeOff(tx, tx.Claimable(0))
		return refused
	})
	writing := unit(claimMail(2), func(tx *store.Tx) error { // takes 2 and 3, writes 3
		takeOff(tx, tx.Claimable(0)[1:])
		return nil
	})
	e.apply(failing, writing)
	if !errors.Is(failing.Err, refused) || writing.Err != nil {
		e.Errorf("errors: %v and %v, want %v and none", failing.Err, writing.Err, refused)
	}
	e.equal("what is left", e.claimable(mailQuery(10)), ids(1, 2, 4))
	e.do(unit(claimMail(10), func(tx *store.Tx) error {
		e.equal("what can be taken", idsOf(tx.Claimable(0)), ids(1, 2, 4))
		return nil
	}))
}

func testTakenEntriesMayStayReady(e *env) {
	e.put(waiting(1), waiting(2), waiting(3))
	e.do(unit(claimMail(3), func(tx *store.Tx) error {
		for i, x := range tx.Claimable(0) {
			n := *x
			n.WorkerID = "w"
			n.Priority = 10 * i // moves all but the first
			tx.PutExecution(&n)
		}
		return nil
	}))
	e.equal("claimable", e.claimable(mailQuery(10)), ids(3, 2, 1))
}

func testConcurrentClaimsNeverShare(e *env) {
	const executions, claimers = 120, 4
	var all []*record.Execution
	for n := 1; n <= executions; n++ {
		all = append(all, waiting(n, onRoute(int64(n%3)), priority(n%5)))
	}
	e.put(all...)
	handed := make([][]ff.ExecutionID, claimers)
	var wg sync.WaitGroup
	for i := range claimers {
		wg.Go(func() {
			for {
				var got []ff.ExecutionID
				u := unit(claimMail(7, 0, 1, 2), nil)
				u.Order = uint64(i)
				u.Decide = func(tx *store.Tx) error {
					got = idsOf(tx.Claimable(0))
					takeOff(tx, tx.Claimable(0))
					return nil
				}
				if err := errors.Join(e.retry(u), u.Err); err != nil {
					e.Errorf("claim: %v", err)
					return
				}
				handed[i] = append(handed[i], got...)
				if len(got) == 0 || len(handed[i]) > executions { // nothing left, or a store that leaves what it gives
					return
				}
			}
		})
	}
	wg.Wait()
	list := slices.Concat(handed...)
	slices.SortFunc(list, ff.ExecutionID.Compare)
	if len(slices.Compact(slices.Clone(list))) != len(list) {
		e.Errorf("an execution was handed out twice: %v", list)
	}
	// A claimer that finds nothing may have met only entries that others were about to take; none may be lost.
	left := e.claimable(mailQuery(1000, 0, 1, 2))
	if len(list)+len(left) != executions {
		e.Errorf("%d handed out and %d left, of %d", len(list), len(left), executions)
	}
}
