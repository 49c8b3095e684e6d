package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var guardTests = []behaviour{
	{"TrueBeliefIsWrittenOver", testTrueBelief},
	{"StaleBeliefIsFoundByTheWrite", testStaleBelief},
	{"BelievedAbsentExecutionThatExistsIsFound", testBelievedAbsent},
	{"BelievedExecutionThatIsAbsentIsFound", testBelievedPresent},
	{"ErrorDecidedOnABeliefIsNotTrusted", testErrorOnBelief},
	{"SilenceDecidedOnABeliefIsNotTrusted", testSilenceOnBelief},
	{"StaleBeliefOfOneUnitLeavesTheOthers", testStaleBeliefInABatch},
	{"StaleBeliefWritesNothingTwice", testConflictWritesNothing},
	{"InsertOverWhatIsThereIsRefused", testInsertOverExisting},
	{"ExecutionThatIsGuardedHasNotChanged", testGuardedExecution},
	{"ExecutionThatIsGuardedCannotChangeUntilTheCommit", testGuardsAgainstChanges},
	{"ConcurrentUpdatesAreAllKept", testConcurrentUpdates},
	{"ConcurrentInsertsOfAKeyHaveOneWinner", testConcurrentKeys},
}

// believing makes the unit take e for what is stored under an id.
func believing(u *store.Unit, id ff.ExecutionID, e *record.Execution) *store.Unit {
	u.Assume = func(asked ff.ExecutionID) (*record.Execution, bool) {
		if asked != id {
			return nil, false
		}
		return e, true
	}
	return u
}

// addPriority writes the execution with its priority raised. An absent one is made.
func addPriority(n int, by int) *store.Unit {
	return unit(reads(id(n)), func(tx *store.Tx) error {
		x := waiting(n, priority(by))
		if old := tx.Execution(id(n)); old != nil {
			*x = *old
			x.Priority += by
		}
		tx.PutExecution(x)
		tx.PutAttempt(&record.Attempt{ExecutionID: id(n), Index: x.Priority})
		tx.Append(record.Event{Family: record.FamilyOperator, Type: fmt.Sprintf("priority is %d", x.Priority), ExecutionID: id(n), At: tx.Now()})
		return nil
	})
}

// expectPriority checks that one history, and nothing else, led to an execution.
func (e *env) expectPriority(n int, version int64, history ...int) {
	e.Helper()
	got := e.get(id(n))
	if got == nil || got.Version != version || got.Priority != history[len(history)-1] {
		e.Errorf("execution %d: %+v, want version %d, priority %d", n, got, version, history[len(history)-1])
	}
	var attempts, wantAttempts []int
	var events, wantEvents []string
	for _, p := range history {
		wantAttempts = append(wantAttempts, p)
		wantEvents = append(wantEvents, fmt.Sprintf("priority is %d", p))
	}
	d := e.dump()
	for _, a := range d.Attempts {
		if a.ExecutionID == id(n) {
			attempts = append(attempts, a.Index)
		}
	}
	for _, ev := range d.Events {
		if ev.ExecutionID == id(n) {
			events = append(events, ev.Type)
		}
	}
	e.equal("attempts", attempts, wantAttempts)
	e.equal("events", events, wantEvents)
}

func testTrueBelief(e *env) {
	created := addPriority(1, 1)
	e.do(believing(created, id(1), nil))
	e.equal("what the unit wrote", created.Wrote[0].Version, int64(1))
	raised := addPriority(1, 10)
	e.do(believing(raised, id(1), created.Wrote[0]))
	e.equal("what the unit wrote", raised.Wrote[0].Version, int64(2))
	e.equal("the execution", e.get(id(1)), raised.Wrote[0])
	e.expectPriority(1, 2, 1, 11)
}

func testStaleBelief(e *env) {
	first := addPriority(1, 1)
	e.do(first)
	e.do(addPriority(1, 10))
	late := addPriority(1, 100)
	e.do(believing(late, id(1), first.Wrote[0]))
	e.expectPriority(1, 3, 1, 11, 111)
}

func testBelievedAbsent(e *env) {
	e.do(addPriority(1, 1))
	e.do(believing(addPriority(1, 10), id(1), nil))
	e.expectPriority(1, 2, 1, 11)
}

func testBelievedPresent(e *env) {
	ghost := waiting(1, priority(70))
	ghost.Version = 3
	e.do(believing(addPriority(1, 1), id(1), ghost))
	e.expectPriority(1, 1, 1)
}

// testErrorOnBelief: an error is the answer only if what is stored leads to it.
func testErrorOnBelief(e *env) {
	before := addPriority(1, 1)
	e.do(before)
	e.do(addPriority(1, 10))
	tooLow := errors.New("too low")
	unless := func(n, least int) *store.Unit {
		return unit(reads(id(n)), func(tx *store.Tx) error {
			if x := tx.Execution(id(n)); x == nil || x.Priority < least {
				return tooLow
			}
			return nil
		})
	}
	wrong, right, absent := unless(1, 11), unless(1, 12), unless(2, 0)
	e.apply(
		believing(wrong, id(1), before.Wrote[0]),
		believing(right, id(1), before.Wrote[0]),
		believing(absent, id(2), nil),
	)
	for i, c := range []struct {
		u    *store.Unit
		want error
	}{{wrong, nil}, {right, tooLow}, {absent, tooLow}} {
		if !errors.Is(c.u.Err, c.want) {
			e.Errorf("unit %d: %v, want %v", i, c.u.Err, c.want)
		}
	}
	e.expectPriority(1, 2, 1, 11)
}

func testSilenceOnBelief(e *env) {
	before := addPriority(1, 1)
	e.do(before)
	e.do(addPriority(1, 10))
	saw := 0
	e.do(believing(unit(reads(id(1)), func(tx *store.Tx) error {
		saw = tx.Execution(id(1)).Priority
		return nil
	}), id(1), before.Wrote[0]))
	e.equal("what the unit saw last", saw, 11)
}

func testStaleBeliefInABatch(e *env) {
	stale := addPriority(1, 1)
	e.do(stale, addPriority(2, 2), addPriority(3, 3))
	e.do(addPriority(1, 10))
	e.do(
		addPriority(2, 20),
		believing(addPriority(1, 100), id(1), stale.Wrote[0]),
		addPriority(3, 30),
		believing(addPriority(4, 4), id(4), nil),
		addPriority(1, 1000), // decided on what the unit before it wrote
	)
	e.expectPriority(1, 3, 1, 11, 111, 1111)
	e.expectPriority(2, 2, 2, 22)
	e.expectPriority(3, 2, 3, 33)
	e.expectPriority(4, 1, 4)
}

// testConflictWritesNothing: what a refused commit carried besides the stale record is not there either.
func testConflictWritesNothing(e *env) {
	before := addPriority(1, 1)
	e.do(before)
	e.do(addPriority(1, 10))
	runs := 0
	u := unit(reads(id(1), id(2)), func(tx *store.Tx) error {
		runs++
		n := *tx.Execution(id(1))
		n.Priority++
		tx.PutExecution(&n)
		if runs == 1 { // the belief is about to be found out
			tx.PutExecution(waiting(2))
			tx.PutAttempt(&record.Attempt{ExecutionID: id(2)})
			tx.PutRoute(fullRoute())
			tx.PutIdempotency(fullIdempotency())
			tx.Append(fullEvent())
		}
		return nil
	})
	u.Reads.Idempotency = []record.IdempotencyKey{fullIdempotency().Key}
	e.do(believing(u, id(1), before.Wrote[0]))
	if runs < 2 {
		e.Errorf("the unit ran %d times, want 2 or more", runs)
	}
	d := e.dump()
	e.equal("executions", idsOf(d.Executions), ids(1))
	e.equal("attempts", len(d.Attempts), 2)
	e.equal("routes and keys", len(d.Routes)+len(d.Idempotency), 0)
	e.equal("events", len(d.Events), 2)
}

// testInsertOverExisting: a unit that writes what it has not read means to insert. That it is run again helps it no more.
func testInsertOverExisting(e *env) {
	key := fullIdempotency().Key
	insert := func(put func(*store.Tx)) *store.Unit {
		return unit(store.Reads{}, func(tx *store.Tx) error {
			put(tx)
			tx.Append(fullEvent())
			return nil
		})
	}
	execution := insert(func(tx *store.Tx) { tx.PutExecution(waiting(1)) })
	remembered := insert(func(tx *store.Tx) { tx.PutIdempotency(fullIdempotency()) })
	e.do(execution, remembered)
	for what, u := range map[string]*store.Unit{"execution": execution, "key": remembered} {
		if err := e.store.Apply(e.Context(), []*store.Unit{u}); !errors.Is(err, store.ErrConflict) {
			e.Errorf("second insert of the %s: %v, want %v", what, err, store.ErrConflict)
		}
	}
	e.equal("version of the execution", e.get(id(1)).Version, int64(1))
	e.equal("remembered submission", e.view(store.Reads{Idempotency: []record.IdempotencyKey{key}}).Idempotency(key), fullIdempotency())
	e.equal("events", len(e.dump().Events), 2)
}

func testConcurrentUpdates(e *env) {
	const writers, rounds = 4, 15
	e.put(waiting(1))
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			var last *record.Execution
			for range rounds {
				u := updateUnit(id(1), func(n *record.Execution) { n.Priority++ })
				u.Order = uint64(i)
				if last != nil {
					believing(u, id(1), last) // often stale
				}
				if err := errors.Join(e.retry(u), u.Err); err != nil {
					e.Errorf("update: %v", err)
					return
				}
				last = u.Wrote[0]
			}
		})
	}
	wg.Wait()
	got := e.get(id(1))
	e.equal("priority", got.Priority, writers*rounds)
	e.equal("version", got.Version, int64(1+writers*rounds))
}

func testConcurrentKeys(e *env) {
	const submitters, keys = 4, 10
	var mu sync.Mutex
	won := map[string]int{}
	var wg sync.WaitGroup
	for i := range submitters {
		wg.Go(func() {
			for k := range keys {
				key := record.IdempotencyKey{Namespace: "default", Key: fmt.Sprint(k)}
				created := false
				u := unit(store.Reads{Idempotency: []record.IdempotencyKey{key}}, func(tx *store.Tx) error {
					if created = tx.Idempotency(key) == nil; created {
						tx.PutIdempotency(&record.Idempotency{Key: key, Partition: homePartition, ExecutionID: id(i), ExpiresAt: start})
					}
					return nil
				})
				u.Order = uint64(i)
				if err := errors.Join(e.retry(u), u.Err); err != nil {
					e.Errorf("insert: %v", err)
					return
				}
				if created {
					mu.Lock()
					won[key.Key]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for k := range keys {
		e.equal(fmt.Sprintf("winners of key %d", k), won[fmt.Sprint(k)], 1)
	}
}

// stepUnit remembers a step of an execution whose priority is as expected, and guards that.
func stepUnit(n int, name string, expected int) *store.Unit {
	key := record.StepKey{ExecutionID: id(n), Name: name}
	u := unit(store.Reads{Executions: []ff.ExecutionID{id(n)}, Records: []record.Key{key}}, func(tx *store.Tx) error {
		x := tx.Execution(id(n))
		if x == nil || x.Priority != expected {
			return errors.New("the execution has changed")
		}
		tx.GuardExecution(id(n))
		tx.Put(&record.Step{StepKey: key, RecordedAt: tx.Now()})
		return nil
	})
	u.Partition = id(n).Partition()
	return u
}

// testGuardedExecution: a belief that a guard stands for is trusted if it is true, and found out if it is not. The execution
// itself is not written.
func testGuardedExecution(e *env) {
	e.put(waiting(1))
	e.do(addPriority(1, 5))
	now := e.get(id(1))
	e.do(believing(stepUnit(1, "true", 5), id(1), now))
	e.equal("version", e.get(id(1)).Version, now.Version)
	e.do(addPriority(1, 2))
	stale := believing(stepUnit(1, "stale", 5), id(1), now)
	e.apply(stale)
	if stale.Err == nil {
		e.Error("a step was recorded on a belief that is not true")
	}
	var names []string
	for _, rec := range e.dump().Records {
		names = append(names, rec.(*record.Step).Name)
	}
	e.equal("steps", names, []string{"true"})
	// In one batch with a write of the execution, before it and behind it.
	before, write, behind := stepUnit(1, "before", 7), addPriority(1, 1), stepUnit(1, "behind", 8)
	e.apply(before, write, behind)
	for _, u := range []*store.Unit{before, write, behind} {
		if u.Err != nil {
			e.Error(u.Err)
		}
	}
}

// testGuardsAgainstChanges: what is recorded of an execution's present state, while others change it, is recorded before the
// next change: the log has it between the two.
func testGuardsAgainstChanges(e *env) {
	e.put(waiting(1))
	const rounds = 30
	var done sync.WaitGroup
	for i := range rounds {
		note := unit(reads(id(1)), func(tx *store.Tx) error {
			tx.GuardExecution(id(1))
			tx.Append(record.Event{Family: record.FamilyOperator, Type: fmt.Sprintf("seen %d", tx.Execution(id(1)).Priority), ExecutionID: id(1), At: tx.Now()})
			return nil
		})
		for _, u := range []*store.Unit{note, addPriority(1, 1)} {
			done.Go(func() {
				if err := e.retry(u); err != nil {
					e.Errorf("round %d: %v", i, err)
				}
			})
		}
		if i%5 == 4 {
			done.Wait()
		}
	}
	done.Wait()
	current := "0"
	for _, ev := range e.dump().Events {
		if now, changed := strings.CutPrefix(ev.Type, "priority is "); changed {
			current = now
		} else {
			e.equal("log", ev.Type, "seen "+current)
		}
	}
	e.equal("priority", e.get(id(1)).Priority, rounds)
}
