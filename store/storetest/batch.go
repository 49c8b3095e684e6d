package storetest

import (
	"errors"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var batchTests = []behaviour{
	{"LaterUnitsSeeEarlierOnes", testLaterUnitsSeeEarlier},
	{"ManyWritesAreOneVersion", testManyWritesAreOneVersion},
	{"FailingUnitWritesNothing", testFailingUnitWritesNothing},
	{"NeedLoadsMoreAndDecidesAgain", testNeed},
	{"UnitsMayReadAndWriteNothing", testEmptyUnits},
	{"NowIsTheClockOfTheStore", testNow},
}

func testLaterUnitsSeeEarlier(e *env) {
	key := fullIdempotency().Key
	second := unit(reads(id(1)), func(tx *store.Tx) error {
		n := *tx.Execution(id(1)) // made by the unit before
		n.Priority++
		tx.PutExecution(&n)
		return nil
	})
	e.do(
		unit(reads(id(1)), func(tx *store.Tx) error {
			tx.PutExecution(waiting(1))
			tx.PutAttempt(fullAttempt())
			tx.PutIdempotency(fullIdempotency())
			return nil
		}),
		second,
		unit(store.Reads{
			Executions: ids(1), Attempts: []record.AttemptKey{fullAttempt().Key()}, Idempotency: []record.IdempotencyKey{key},
		}, func(tx *store.Tx) error {
			e.equal("priority", tx.Execution(id(1)).Priority, 1)
			e.equal("attempt", tx.Attempt(fullAttempt().Key()), fullAttempt())
			e.equal("key", tx.Idempotency(key).ExecutionID, fullIdempotency().ExecutionID)
			n := *tx.Execution(id(1))
			n.Priority++
			tx.PutExecution(&n)
			e.equal("own write", tx.Execution(id(1)).Priority, 2)
			return nil
		}),
	)
	want := waiting(1, priority(2))
	want.Version = 1
	e.equal("execution", e.get(id(1)), want)
	e.equal("what an earlier unit wrote, as it is now", second.Wrote, []*record.Execution{want})
}

func testManyWritesAreOneVersion(e *env) {
	e.put(waiting(1), waiting(2))
	e.do(
		updateUnit(id(1), func(n *record.Execution) { n.Priority = 1 }),
		updateUnit(id(1), func(n *record.Execution) { n.Priority = 2 }),
		unit(reads(id(1)), func(tx *store.Tx) error {
			for p := 3; p < 6; p++ {
				n := *tx.Execution(id(1))
				n.Priority = p
				tx.PutExecution(&n)
			}
			return nil
		}),
	)
	e.equal("version of what was written", e.get(id(1)).Version, int64(2))
	e.equal("priority of what was written", e.get(id(1)).Priority, 5)
	e.equal("version of what was not", e.get(id(2)).Version, int64(1))
	e.update(id(1), func(n *record.Execution) { n.Priority = 6 })
	e.equal("version after the next batch", e.get(id(1)).Version, int64(3))
}

func testFailingUnitWritesNothing(e *env) {
	e.put(waiting(1), waiting(2))
	refused := errors.New("refused")
	failing := unit(store.Reads{Executions: ids(1, 3), Idempotency: []record.IdempotencyKey{fullIdempotency().Key}}, func(tx *store.Tx) error {
		n := *tx.Execution(id(1))
		n.Priority, n.Ready, n.DueAt = 9, false, start
		tx.PutExecution(&n)
		tx.PutExecution(waiting(3))
		tx.PutAttempt(fullAttempt())
		tx.PutIdempotency(fullIdempotency())
		tx.PutRoute(fullRoute())
		tx.Append(fullEvent())
		return refused
	})
	event := record.Event{Family: record.FamilyOperator, Type: "kept", ExecutionID: id(2), At: start}
	other := unit(reads(id(2)), func(tx *store.Tx) error {
		n := *tx.Execution(id(2))
		n.Priority = 5
		tx.PutExecution(&n)
		tx.Append(event)
		return nil
	})
	after := unit(reads(id(1), id(3)), func(tx *store.Tx) error {
		e.equal("what a later unit sees", tx.Execution(id(1)).Priority, 0)
		if tx.Execution(id(3)) != nil {
			e.Error("a later unit sees what the failing one wrote")
		}
		return nil
	})
	e.apply(failing, other, after)
	if !errors.Is(failing.Err, refused) || other.Err != nil || after.Err != nil {
		e.Errorf("errors: %v, %v, %v; want %v and none", failing.Err, other.Err, after.Err, refused)
	}
	e.equal("what the failing unit wrote", failing.Wrote, []*record.Execution{})
	one, two := waiting(1), waiting(2, priority(5))
	one.Version, two.Version = 1, 2
	d := e.dump()
	e.equal("executions", d.Executions, []*record.Execution{one, two})
	e.equal("events", d.Events, []record.Event{event})
	e.equal("attempts, routes and keys", len(d.Attempts)+len(d.Routes)+len(d.Idempotency), 0)
}

// testNeed: what an earlier run wrote before it found it needed more is forgotten.
func testNeed(e *env) {
	e.put(waiting(1), waiting(2))
	e.putAttempts(fullAttempt())
	runs := 0
	u := unit(reads(id(1)), func(tx *store.Tx) error {
		runs++
		n := *tx.Execution(id(1))
		n.Priority += runs
		tx.PutExecution(&n)
		tx.Append(record.Event{Family: record.FamilyOperator, Type: "run", ExecutionID: id(1), AttemptIndex: runs, At: start})
		switch {
		case !tx.HasAttempt(fullAttempt().Key()):
			return tx.Need(store.Reads{
				Attempts: []record.AttemptKey{fullAttempt().Key()}, Executions: ids(2, 7),
				AttemptsOf: []store.AttemptsQuery{{ExecutionID: id(1), Limit: 1}},
			})
		case tx.ClaimQueries() == 0:
			return tx.Need(claimMail(1))
		}
		e.equal("attempt", tx.Attempt(fullAttempt().Key()), fullAttempt())
		e.equal("attempts", tx.AttemptsOf(0), []*record.Attempt{fullAttempt()})
		e.equal("execution", tx.Execution(id(2)).ID, id(2))
		if tx.Execution(id(7)) != nil {
			e.Error("there is no execution 7")
		}
		e.equal("claimable", idsOf(tx.Claimable(0)), ids(1))
		return nil
	})
	e.do(u)
	e.equal("runs", runs, 3)
	e.equal("priority", e.get(id(1)).Priority, 3)
	e.equal("events", len(e.dump().Events), 1)
}

func testEmptyUnits(e *env) {
	nothing := func(*store.Tx) error { return nil }
	only := unit(store.Reads{}, nothing)
	e.do(only, unit(store.Reads{}, func(tx *store.Tx) error {
		tx.Append(record.Event{Family: record.FamilyOperator, Type: "alone", ExecutionID: id(1), At: start})
		return nil
	}), unit(store.Reads{}, nothing))
	e.equal("what was written", only.Wrote, []*record.Execution{})
	e.equal("events", len(e.dump().Events), 1)
	refused := errors.New("refused")
	failing := unit(store.Reads{}, func(*store.Tx) error { return refused })
	e.apply(failing)
	if !errors.Is(failing.Err, refused) {
		e.Errorf("error: %v, want %v", failing.Err, refused)
	}
}

// testNow: with reads and without, the time is the harness's clock, the same for the whole batch.
func testNow(e *env) {
	e.put(waiting(1))
	for range 3 {
		e.ms(1234)
		want := e.now()
		moved := false
		check := func(tx *store.Tx) error {
			if !moved {
				moved = true
				e.ms(1)
			}
			e.equal("time", tx.Now(), want)
			return nil
		}
		e.do(unit(reads(id(1)), check), unit(store.Reads{}, check))
		want, moved = e.now(), false
		e.do(unit(store.Reads{}, check), unit(store.Reads{}, check))
		want = e.now()
		e.equal("time of a view", e.view(reads(id(1))).Now(), want)
		e.equal("time of a view of nothing", e.view(store.Reads{}).Now(), want)
	}
	e.equal("time of a dump", e.dump().Now, e.now())
}
