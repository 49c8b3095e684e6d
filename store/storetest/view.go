package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var viewTests = []behaviour{
	{"ViewTakesNothing", testViewTakesNothing},
	{"ViewSpansShards", testViewSpansShards},
	{"ViewIsNeverTorn", testViewIsNeverTorn},
	{"WatchEndsWithItsContext", testWatchEnds},
}

func testViewTakesNothing(e *env) {
	e.put(waiting(1), waiting(2), delayed(3, start))
	look := store.Reads{
		Claimable: []store.ClaimQuery{mailQuery(10), mailQuery(1)},
		Due:       []store.DueQuery{{Limit: 10}, {Limit: 10}},
	}
	for range 2 {
		tx := e.view(look)
		e.equal("first claim query", idsOf(tx.Claimable(0)), ids(1, 2))
		e.equal("second claim query", idsOf(tx.Claimable(1)), ids(1))
		e.equal("first due query", idsOf(tx.Due(0)), ids(3))
		e.equal("second due query", idsOf(tx.Due(1)), ids(3))
	}
	e.do(unit(store.Reads{Claimable: look.Claimable[:1], Due: look.Due[:1]}, func(tx *store.Tx) error {
		e.equal("what can be taken", idsOf(tx.Claimable(0)), ids(1, 2))
		e.equal("what is due", idsOf(tx.Due(0)), ids(3))
		return nil
	}))
}

func testViewSpansShards(e *env) {
	var all store.Reads
	var want []*record.Execution
	for _, p := range e.store.Shards() {
		x := waiting(1)
		x.ID = idOn(p.Index, 1)
		route := fullRoute()
		route.Partition = p
		e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
			tx.PutExecution(x)
			tx.PutAttempt(&record.Attempt{ExecutionID: x.ID, FailureReason: x.ID.String()})
			tx.PutRoute(route) // the same on every shard
			return nil
		}))
		all.Executions = append(all.Executions, x.ID)
		all.Attempts = append(all.Attempts, record.AttemptKey{ExecutionID: x.ID})
		all.AttemptsOf = append(all.AttemptsOf, store.AttemptsQuery{ExecutionID: x.ID, Limit: 1})
		want = append(want, x)
	}
	all.Routes = append(all.Routes, mail)
	tx := e.view(all)
	for i, x := range want {
		e.equal("execution", tx.Execution(x.ID), x)
		e.equal("attempt", tx.Attempt(all.Attempts[i]).FailureReason, x.ID.String())
		e.equal("attempts", tx.AttemptsOf(i)[0].FailureReason, x.ID.String())
	}
	e.equal("routes", len(tx.Routes(mail)), 1)
	for i, p := range e.store.Shards() {
		e.equal("shard of its partition", e.store.Shard(p), i)
	}
}

// testViewIsNeverTorn: two executions that every unit changes alike are alike in every view.
func testViewIsNeverTorn(e *env) {
	e.put(waiting(1), waiting(2))
	pair := ids(1, 2)
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				tx, err := e.store.View(ctx, reads(pair...))
				if err != nil {
					if ctx.Err() == nil {
						e.Errorf("view: %v", err)
					}
					return
				}
				if x, y := tx.Execution(id(1)), tx.Execution(id(2)); x.Priority != y.Priority || x.Version != y.Version {
					e.Errorf("torn: priority %d version %d and priority %d version %d", x.Priority, x.Version, y.Priority, y.Version)
					return
				}
			}
		})
	}
	for range 30 {
		e.do(unit(reads(pair...), func(tx *store.Tx) error {
			for _, id := range pair {
				n := *tx.Execution(id)
				n.Priority++
				tx.PutExecution(&n)
			}
			return nil
		}))
	}
	cancel()
	wg.Wait()
}

func testWatchEnds(e *env) {
	ctx, cancel := context.WithCancel(e.Context())
	wakes, err := e.store.Watch(ctx)
	if errors.Is(err, store.ErrNoWatch) {
		cancel()
		e.Skip("the store cannot watch")
	}
	if err != nil {
		cancel()
		e.Fatalf("watch: %v", err)
	}
	e.put(waiting(1))
	cancel()
	for range wakes { // hints are free to come; the channel must close
	}
}
