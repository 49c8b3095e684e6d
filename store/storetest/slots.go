package storetest

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var slotTests = []behaviour{
	{"SlotsAreCountedByLane", testSlotsByLane},
	{"SlotsOfABatchAreCounted", testSlotsOfABatch},
	{"SlotsFollowTheRecords", testSlotsFollowRecords},
	{"SlotsAreOfTheShard", testSlotsOfTheShard},
	{"RetentionFollowsTheRecords", testRetentionFollowsRecords},
	{"BoostMovesInTheClaimOrder", testBoostMoves},
	{"ReadyRoutesAreThoseWithEntries", testReadyRoutes},
}

func slotReads(lanes ...ff.LaneID) store.Reads { return store.Reads{Slots: lanes} }

func (e *env) slots(lane ff.LaneID) int {
	e.Helper()
	return e.view(slotReads(lane)).Slots(lane)
}

func withSlot(e *record.Execution) { e.Slot = true }

func testSlotsByLane(e *env) {
	e.put(waiting(1, withSlot), waiting(2, withSlot), waiting(3), waiting(4, withSlot, onLane("media")), waiting(5, withSlot, onLane("Mail")))
	e.do(unit(slotReads(mail, "media", "none"), func(tx *store.Tx) error {
		for lane, want := range map[ff.LaneID]int{mail: 2, "media": 1, "none": 0} {
			e.equal("slots of "+string(lane), tx.Slots(lane), want)
		}
		return nil
	}))
	e.equal("slots looked at", e.slots(mail), 2)
}

// testSlotsOfABatch: units of one batch see each other's slots, whenever the number was loaded.
func testSlotsOfABatch(e *env) {
	e.put(waiting(1, withSlot), waiting(2), waiting(3))
	take := func(n int, before int) *store.Unit {
		return unit(store.Reads{Executions: ids(n), Slots: []ff.LaneID{mail}}, func(tx *store.Tx) error {
			e.equal("slots before", tx.Slots(mail), before)
			x := *tx.Execution(id(n))
			x.Slot = true
			tx.PutExecution(&x)
			return nil
		})
	}
	late := unit(store.Reads{}, func(tx *store.Tx) error {
		if !tx.HasSlots("late") {
			return tx.Need(slotReads("late", mail))
		}
		e.equal("slots", tx.Slots(mail), 3)
		return nil
	})
	e.do(take(2, 1), take(3, 2), late)
	e.equal("slots after", e.slots(mail), 3)
}

func testSlotsFollowRecords(e *env) {
	e.put(waiting(1, withSlot), waiting(2, withSlot))
	e.update(id(1), func(n *record.Execution) { n.Priority = 3 })
	e.equal("after a change of something else", e.slots(mail), 2)
	e.update(id(1), func(n *record.Execution) { n.Slot = false })
	e.equal("after one was freed", e.slots(mail), 1)
	e.update(id(1), func(n *record.Execution) { n.Slot = true })
	e.update(id(2), func(n *record.Execution) { n.Slot = false })
	e.equal("entries", e.dump().Slots, []store.SlotEntry{{Lane: mail, ExecutionID: id(1)}})
}

func testSlotsOfTheShard(e *env) {
	for i, p := range e.store.Shards() {
		for n := range i + 1 {
			x := waiting(1, withSlot)
			x.ID = idOn(p.Index, n+1)
			e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
				tx.PutExecution(x)
				return nil
			}))
		}
		e.do(unitOn(p, slotReads(mail), func(tx *store.Tx) error {
			e.equal("slots of the shard", tx.Slots(mail), i+1)
			return nil
		}))
	}
}

func testRetentionFollowsRecords(e *env) {
	until := func(at ff.Timestamp) func(*record.Execution) {
		return func(n *record.Execution) { n.RetainUntil = at }
	}
	e.put(waiting(1, until(start+5)), waiting(2), waiting(3, until(start+1)))
	e.update(id(2), until(start+3))
	e.update(id(1), until(0))
	e.update(id(3), until(start+9))
	e.equal("entries", e.dump().Retain, []store.RetainEntry{
		{RetainUntil: start + 3, ExecutionID: id(2)}, {RetainUntil: start + 9, ExecutionID: id(3)},
	})
}

func testBoostMoves(e *env) {
	e.put(waiting(1, priority(5)), waiting(2, priority(3)), waiting(3, priority(1)))
	e.update(id(3), func(n *record.Execution) { n.Boost = 3 })
	e.equal("claim order", e.claimable(mailQuery(10)), ids(1, 3, 2))
	e.update(id(3), func(n *record.Execution) { n.Boost = 9 })
	e.equal("claim order", e.claimable(mailQuery(10)), ids(3, 1, 2))
	e.update(id(3), func(n *record.Execution) { n.Boost = 0 })
	e.equal("claim order", e.claimable(mailQuery(10)), ids(1, 2, 3))
}

func testReadyRoutes(e *env) {
	e.put(waiting(1, onRoute(7)), waiting(2, onRoute(-1<<63)), waiting(3, onRoute(7)), waiting(4, onRoute(1<<63-1)), waiting(5),
		waiting(6, onRoute(3), onLane("media")), delayed(7, start))
	ask := func(lane ff.LaneID, from int64, limit int) []int64 {
		r := store.Reads{ReadyRoutes: []store.ReadyRoutesQuery{{Lane: lane, From: from, Limit: limit}}}
		looked := e.view(r).ReadyRoutes(0)
		e.do(unit(r, func(tx *store.Tx) error {
			e.equal("in a batch", tx.ReadyRoutes(0), looked)
			return nil
		}))
		return looked
	}
	e.equal("all", ask(mail, -1<<63, 10), []int64{-1 << 63, 0, 7, 1<<63 - 1})
	e.equal("the first two", ask(mail, -1<<63, 2), []int64{-1 << 63, 0})
	e.equal("from one that has entries", ask(mail, 7, 10), []int64{7, 1<<63 - 1})
	e.equal("from one that has none", ask(mail, 1, 1), []int64{7})
	e.equal("of another lane", ask("media", -1<<63, 10), []int64{3})
	e.equal("of no lane", ask("none", -1<<63, 10), []int64{})
	e.do(updateUnit(id(1), func(n *record.Execution) { n.Ready = false }), updateUnit(id(3), func(n *record.Execution) { n.Ready = false }))
	e.equal("after a route ran empty", ask(mail, 1, 10), []int64{1<<63 - 1})
}
