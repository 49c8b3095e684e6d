package storetest

import (
	"errors"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var dueTests = []behaviour{
	{"EarliestComesFirst", testDueOrder},
	{"OnlyWhatIsDueIsReturned", testDueByClock},
	{"IndexFollowsTheRecords", testDueFollowsRecords},
	{"QueriesOfABatchAreDisjoint", testDueOfABatchIsDisjoint},
	{"TakenButUnwrittenEntriesStay", testTakenDueStays},
	{"NextDueIsTheEarliest", testNextDue},
}

// due looks at what is due without taking.
func (e *env) due(limit int) []ff.ExecutionID {
	e.Helper()
	return idsOf(e.view(dueReads(limit)).Due(0))
}

func (e *env) nextDue() ff.Timestamp {
	e.Helper()
	return e.view(store.Reads{NextDue: true}).NextDue()
}

func testDueOrder(e *env) {
	e.put(delayed(4, start-1), delayed(1, start), delayed(3, start-9), delayed(2, start-1), delayed(5, start+1), waiting(6))
	want := ids(3, 2, 4, 1)
	for _, limit := range []int{1, 3, 1000} {
		e.equal("due", e.due(limit), want[:min(limit, 4)])
		e.do(unit(dueReads(limit), func(tx *store.Tx) error {
			e.equal("taken", idsOf(tx.Due(0)), want[:min(limit, 4)])
			return nil
		}))
	}
}

// testDueByClock: what is due at an instant is due when the clock says that instant.
func testDueByClock(e *env) {
	e.put(delayed(1, start+10), delayed(2, start+20))
	e.equal("before", e.due(10), ids())
	e.ms(9)
	e.equal("one millisecond early", e.due(10), ids())
	e.ms(1)
	e.equal("on time", e.due(10), ids(1))
	e.ms(100)
	e.equal("late", e.due(10), ids(1, 2))
}

func testDueFollowsRecords(e *env) {
	e.put(delayed(1, start-2), delayed(2, start-1), waiting(3))
	e.update(id(1), func(n *record.Execution) { n.DueAt = start })
	e.equal("after one moved", e.due(10), ids(2, 1))
	e.update(id(3), func(n *record.Execution) { n.DueAt = start - 5 })
	e.equal("after one was given a time", e.due(10), ids(3, 2, 1))
	e.update(id(2), func(n *record.Execution) { n.DueAt = 0 })
	e.equal("after one was cleared", e.due(10), ids(3, 1))
	e.update(id(1), func(n *record.Execution) { n.WorkerID = "w" })
	e.equal("after a change that moves nothing", e.due(10), ids(3, 1))
	e.equal("entries", e.dump().Due, []store.DueEntry{{DueAt: start - 5, ExecutionID: id(3)}, {DueAt: start, ExecutionID: id(1)}})
}

func testDueOfABatchIsDisjoint(e *env) {
	for n := 1; n <= 6; n++ {
		e.put(delayed(n, start-10+ff.Timestamp(n)))
	}
	asked := false
	e.do(
		unit(store.Reads{Due: []store.DueQuery{{Limit: 2}, {Limit: 1}}}, func(tx *store.Tx) error {
			e.equal("first answer", idsOf(tx.Due(0)), ids(1, 2))
			e.equal("second answer", idsOf(tx.Due(1)), ids(3))
			return nil
		}),
		unit(dueReads(1), func(tx *store.Tx) error {
			if !asked {
				asked = true
				return tx.Need(dueReads(10))
			}
			e.equal("answer to the other unit", idsOf(tx.Due(0)), ids(4))
			e.equal("answer to what it needed", idsOf(tx.Due(1)), ids(5, 6))
			takeOff(tx, tx.Due(0))
			return nil
		}),
	)
	e.equal("what is left", e.due(10), ids(1, 2, 3, 5, 6))
}

func testTakenDueStays(e *env) {
	e.put(delayed(1, start-2), delayed(2, start-1))
	refused := errors.New("refused")
	failing := unit(dueReads(1), func(tx *store.Tx) error {
		takeOff(tx, tx.Due(0))
		return refused
	})
	renewed := unit(dueReads(1), func(tx *store.Tx) error { // written, and still due
		n := *tx.Due(0)[0]
		n.WorkerID = "w"
		tx.PutExecution(&n)
		return nil
	})
	e.apply(failing, renewed)
	e.equal("what is left", e.due(10), ids(1, 2))
	e.equal("entries", len(e.dump().Due), 2)
}

// testNextDue: the earliest due time counts whether it has passed or not, over the shards of the store.
func testNextDue(e *env) {
	e.equal("of an empty store", e.nextDue(), ff.Timestamp(0))
	for i, p := range e.store.Shards() {
		x := delayed(1, start+100-ff.Timestamp(i))
		x.ID = idOn(p.Index, 1)
		e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
			n := *x
			tx.PutExecution(&n)
			return nil
		}))
		e.equal("of all shards", e.nextDue(), x.DueAt)
		e.do(unitOn(p, store.Reads{NextDue: true}, func(tx *store.Tx) error {
			e.equal("of the shard", tx.NextDue(), x.DueAt)
			return nil
		}))
	}
	e.ms(1000)
	first := idOn(e.store.Shards()[0].Index, 1)
	e.update(first, func(n *record.Execution) { n.DueAt = start - 50 })
	e.equal("of one that is late", e.nextDue(), start-50)
	for _, p := range e.store.Shards() {
		e.update(idOn(p.Index, 1), func(n *record.Execution) { n.DueAt = 0 })
	}
	e.equal("of none", e.nextDue(), ff.Timestamp(0))
}
