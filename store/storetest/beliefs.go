package storetest

import (
	"errors"
	"math/rand/v2"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// What units of a process believe is decided on without being read, and is never more than a short cut.
var beliefTests = []behaviour{
	{"VersionsNeverRepeat", testDrawnVersions},
	{"EachUnitSeesWhatTheOneBeforeWrote", testBeliefsFollow},
	{"WhatAnotherProcessWroteIsFound", testBeliefsOfTwo},
	{"WhatIsOnlyLookedAtIsGuarded", testBeliefsGuard},
	{"AnErrorIsNotDecidedOnABelief", testBeliefsError},
	{"AReaderOfTheBatchDoesNotHideAWrongBelief", testBeliefsReader},
	{"ABatchThatFailsLeavesNoBelief", testBeliefsFailed},
	{"ARemovedRecordIsNotBelieved", testBeliefsRemoved},
	{"ManyProcessesAtOnceLoseNothing", testBeliefsRace},
}

// counter is a record of a family that is believed; Waiting counts.
func counter(n byte) *record.Budget {
	return &record.Budget{
		BudgetKey: record.BudgetKey{Home: homePartition, BudgetID: ff.BudgetID{n}}, Mode: ff.Strict, OnHardLimit: ff.LimitWaits, CreatedAt: 1, UpdatedAt: 1,
	}
}

// adds is a unit that adds to a counter, under beliefs.
func adds(n byte, by int64, beliefs *store.Beliefs) *store.Unit {
	key := counter(n).BudgetKey
	u := recordUnit(key, func(tx *store.Tx) error {
		c := copyOf(store.Get[*record.Budget](tx, key))
		c.Waiting += by
		tx.Put(c)
		return nil
	})
	u.Beliefs = beliefs
	return u
}

func (e *env) counted(n byte) int64 {
	e.Helper()
	return e.record(counter(n).BudgetKey).(*record.Budget).Waiting
}

func testDrawnVersions(e *env) {
	key := counter(1).BudgetKey
	seen := make(map[int64]bool)
	note := func() {
		v := *e.record(key).VersionField()
		if seen[v] || v < 1 {
			e.Errorf("version %d after %d others", v, len(seen))
		}
		seen[v] = true
	}
	for range 3 {
		e.putRecords(counter(1))
		note()
		for range 3 {
			e.do(adds(1, 1, nil))
			note()
		}
		e.setRecord(key, nil, false)
	}
}

func testBeliefsFollow(e *env) {
	e.putRecords(counter(1), counter(2))
	beliefs := store.NewBeliefs()
	for range 5 {
		e.apply(adds(1, 1, beliefs), adds(2, 10, beliefs), adds(1, 100, beliefs))
	}
	e.equal("counted", []int64{e.counted(1), e.counted(2)}, []int64{505, 50})
}

func testBeliefsOfTwo(e *env) {
	e.putRecords(counter(1))
	one, other := store.NewBeliefs(), store.NewBeliefs()
	for range 200 { // past the time in which what others write is read again
		e.do(adds(1, 1, one))
		e.do(adds(1, 1, one))
		e.do(adds(1, 1, other))
	}
	e.equal("counted", e.counted(1), int64(600))
}

// testBeliefsGuard: what a unit writes elsewhere depends on what it has looked at.
func testBeliefsGuard(e *env) {
	e.putRecords(counter(1), counter(2))
	beliefs := store.NewBeliefs()
	at, to := counter(1).BudgetKey, counter(2).BudgetKey
	copies := func() *store.Unit {
		u := unitOn(homePartition, recordReads(at, to), func(tx *store.Tx) error {
			n := copyOf(store.Get[*record.Budget](tx, to))
			n.Waiting = store.Get[*record.Budget](tx, at).Waiting
			tx.Put(n)
			return nil
		})
		u.Beliefs = beliefs
		return u
	}
	e.do(copies())
	e.do(adds(1, 7, nil)) // another process
	e.do(copies())
	e.equal("copied", e.counted(2), int64(7))
}

func testBeliefsError(e *env) {
	e.putRecords(counter(1))
	beliefs := store.NewBeliefs()
	e.do(adds(1, 1, beliefs))
	e.do(adds(1, 1, nil)) // another process
	key := counter(1).BudgetKey
	refused := errors.New("too few")
	u := recordUnit(key, func(tx *store.Tx) error {
		if store.Get[*record.Budget](tx, key).Waiting < 2 {
			return refused
		}
		return nil
	})
	u.Beliefs = beliefs
	e.do(u)
}

// testBeliefsReader: of two units of a batch the first is decided on a belief, and the second reads the record.
func testBeliefsReader(e *env) {
	e.putRecords(counter(1), counter(2))
	beliefs := store.NewBeliefs()
	at, to := counter(1).BudgetKey, counter(2).BudgetKey
	e.do(adds(1, 1, beliefs))
	e.do(adds(1, 4, nil)) // another process
	copies := unitOn(homePartition, recordReads(at, to), func(tx *store.Tx) error {
		n := copyOf(store.Get[*record.Budget](tx, to))
		n.Waiting = store.Get[*record.Budget](tx, at).Waiting
		tx.Put(n)
		return nil
	})
	copies.Beliefs = beliefs
	var read int64
	reads := recordUnit(to, func(tx *store.Tx) error {
		if missing, any := tx.Missing(recordReads(at)); any {
			return tx.Need(missing)
		}
		read = store.Get[*record.Budget](tx, at).Waiting
		return nil
	})
	e.apply(copies, reads)
	e.equal("copied, read", []int64{e.counted(2), read}, []int64{5, 5})
}

// testBeliefsFailed: a batch that cannot be committed was believed to be, for a while.
func testBeliefsFailed(e *env) {
	e.putRecords(counter(1))
	beliefs := store.NewBeliefs()
	e.do(adds(1, 1, beliefs))
	bad := unit(store.Reads{}, func(tx *store.Tx) error {
		tx.Put(bareRecord(counter(1).BudgetKey)) // over what is there, unread
		return nil
	})
	if err := e.store.Apply(e.Context(), []*store.Unit{bad}); err == nil {
		e.Fatal("a record was written over what was not read")
	}
	stuck := adds(1, 100, beliefs)
	stuck.Decide = func(inner func(*store.Tx) error) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			tx.Register(&record.Budget{BudgetKey: counter(9).BudgetKey, CreatedAt: 1})
			tx.Put(bareRecord(laneRecord("unread", 0).Key()))
			return inner(tx)
		}
	}(stuck.Decide)
	e.putRecords(laneRecord("unread", 1))
	if err := e.store.Apply(e.Context(), []*store.Unit{stuck}); err == nil {
		e.Fatal("a record was written over what was not read")
	}
	e.do(adds(1, 10, beliefs))
	e.equal("counted", e.counted(1), int64(11))
}

func testBeliefsRemoved(e *env) {
	e.putRecords(counter(1))
	beliefs := store.NewBeliefs()
	e.do(adds(1, 5, beliefs))
	e.setRecord(counter(1).BudgetKey, nil, false)
	e.putRecords(counter(1))
	e.do(adds(1, 1, beliefs))
	e.equal("counted", e.counted(1), int64(1))
}

// testBeliefsRace: processes that believe, several batches of each at once, and one that does not.
func testBeliefsRace(e *env) {
	e.putRecords(counter(1), counter(2))
	const processes, batches, rounds = 3, 2, 30
	var wg sync.WaitGroup
	for p := range processes {
		var beliefs *store.Beliefs
		if p > 0 {
			beliefs = store.NewBeliefs()
		}
		for range batches {
			wg.Go(func() {
				for range rounds {
					units := []*store.Unit{adds(1, 1, beliefs), adds(2, 1, beliefs), adds(1, 1, beliefs)}
					rand.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
					if err := e.retry(units...); err != nil {
						e.Errorf("apply: %v", err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	const n = processes * batches * rounds
	e.equal("counted", []int64{e.counted(1), e.counted(2)}, []int64{2 * n, n})
}
