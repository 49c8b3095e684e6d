package storetest

import (
	"fmt"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var trimTests = []behaviour{
	{"NothingIsTrimmedBeforeItsTime", testTrimNotBefore},
	{"TrimmedExecutionsLeaveNothing", testTrimExecutions},
	{"TrimmedExecutionsCanBeMadeAgain", testTrimThenInsert},
	{"TrimTakesTheOldestUpToTheLimit", testTrimLimit},
	{"KeysAreTrimmedWhenTheyExpire", testTrimKeys},
	{"EventsAreTrimmedByAge", testTrimEvents},
	{"RoutesWithoutWorkAreTrimmed", testTrimRoutes},
	{"RoutesAreTrimmedWhileOthersAreRegistered", testTrimRoutesConcurrently},
	{"ChangedExecutionIsNotTrimmed", testTrimSparesReplayed},
	{"ConcurrentTrimsShareTheWork", testTrimConcurrently},
	{"TrimSpansShards", testTrimSpansShards},
	{"StaleBeliefInATrimmedExecutionIsFound", testBeliefInTrimmed},
}

func (e *env) trim(t store.Trim) store.Trimmed {
	e.Helper()
	if t.Limit == 0 {
		t.Limit = 10_000
	}
	done, err := e.store.Trim(e.Context(), t)
	if err != nil {
		e.Fatalf("trim: %v", err)
	}
	return done
}

// finished is an execution that has ended and is kept until a time.
func finished(n int, until ff.Timestamp) *record.Execution {
	x := leased(n, start)
	finish(x)
	x.RetainUntil = until
	return x
}

func testTrimNotBefore(e *env) {
	e.equal("of an empty store", e.trim(store.Trim{}), store.Trimmed{})
	e.put(finished(1, start+10), waiting(2), leased(3, start+1), delayed(4, start+1))
	e.ms(9)
	e.equal("a millisecond early", e.trim(store.Trim{}), store.Trimmed{})
	e.ms(1)
	e.equal("on time", e.trim(store.Trim{}), store.Trimmed{Executions: 1})
	e.ms(1_000_000)
	e.equal("much later", e.trim(store.Trim{}), store.Trimmed{})
	e.equal("what is left", e.listAll(store.ListQuery{Limit: 10}), ids(4, 3, 2))
}

func testTrimExecutions(e *env) {
	x := fullExecution() // which has an entry in every index
	x.RetainUntil = start
	e.put(x, finished(2, start+1))
	e.putAttempts(fullAttempt(), &record.Attempt{ExecutionID: id(1), Index: 8})
	e.do(unit(reads(id(2)), func(tx *store.Tx) error {
		n := *tx.Execution(id(2))
		tx.PutExecution(&n)
		tx.PutAttempt(&record.Attempt{ExecutionID: id(2)})
		return nil
	}))
	e.equal("trimmed", e.trim(store.Trim{Limit: 1}), store.Trimmed{Executions: 1})
	if got := e.get(id(1)); got != nil {
		e.Errorf("the execution is there: %+v", got)
	}
	d := e.dump()
	e.equal("executions", idsOf(d.Executions), ids(2))
	e.equal("attempts", len(d.Attempts), 1)
	e.equal("ready entries", d.Ready, []store.ReadyEntry{})
	e.equal("due entries", d.Due, []store.DueEntry{})
	e.equal("slots", d.Slots, []store.SlotEntry{})
	e.equal("retention", d.Retain, []store.RetainEntry{{RetainUntil: start + 1, ExecutionID: id(2)}})
	e.equal("leases", e.leases(store.LeaseQuery{}), ids())
	e.equal("lane", e.count(x.Lane, 10), store.LaneCount{})
	e.equal("slots of the lane", e.slots(x.Lane), 0)
}

func testTrimThenInsert(e *env) {
	e.put(finished(1, start))
	e.trim(store.Trim{})
	e.put(waiting(1))
	want := waiting(1)
	want.Version = 1
	e.equal("execution", e.get(id(1)), want)
	e.equal("attempts", len(e.view(store.Reads{AttemptsOf: []store.AttemptsQuery{{ExecutionID: id(1), Limit: 10}}}).AttemptsOf(0)), 0)
}

func testTrimLimit(e *env) {
	for n := 1; n <= 7; n++ {
		e.put(finished(n, start-ff.Timestamp(n))) // 7 is the oldest
	}
	for _, want := range [][]int{{1, 2, 3, 4}, {1}, {}} {
		done := e.trim(store.Trim{Limit: 3})
		if done.Executions > 3 {
			e.Errorf("%d executions removed, limit 3", done.Executions)
		}
		e.equal("what is left", idsOf(e.dump().Executions), ids(want...))
	}
	e.equal("of nothing", e.trim(store.Trim{Limit: 3}), store.Trimmed{})
}

func testTrimKeys(e *env) {
	put := func(key string, expires ff.Timestamp) {
		k := record.IdempotencyKey{Namespace: "n", Key: key}
		e.do(unit(store.Reads{Idempotency: []record.IdempotencyKey{k}}, func(tx *store.Tx) error {
			tx.PutIdempotency(&record.Idempotency{Key: k, Partition: homePartition, ExecutionID: id(1), ExpiresAt: expires})
			return nil
		}))
	}
	left := func() (keys []string) {
		for _, r := range e.dump().Idempotency {
			keys = append(keys, r.Key.Key)
		}
		return keys
	}
	put("a", start-3)
	put("b", start-2)
	put("c", start)
	put("d", start+1)
	put("a", start+9) // remembered anew
	e.equal("bounded", e.trim(store.Trim{Limit: 1}), store.Trimmed{Keys: 1})
	e.equal("what is left", left(), []string{"a", "c", "d"})
	e.equal("the rest", e.trim(store.Trim{}), store.Trimmed{Keys: 1})
	e.equal("what is left", left(), []string{"a", "d"})
	e.equal("again", e.trim(store.Trim{}), store.Trimmed{})
	put("c", start+5) // may be used again
	e.equal("what is left", left(), []string{"a", "c", "d"})
}

func testTrimEvents(e *env) {
	for at := range 8 {
		e.do(unit(store.Reads{}, func(tx *store.Tx) error {
			for range 2 {
				tx.Append(record.Event{Family: record.FamilyLease, Type: "acquired", ExecutionID: id(1), At: start + ff.Timestamp(at)})
			}
			return nil
		}))
	}
	left := func() []ff.Timestamp {
		var at []ff.Timestamp
		for _, ev := range e.dump().Events {
			at = append(at, ev.At-start)
		}
		return at
	}
	e.equal("without a time", e.trim(store.Trim{}), store.Trimmed{})
	e.equal("before all", e.trim(store.Trim{EventsBefore: start - 1}), store.Trimmed{})
	e.equal("bounded", e.trim(store.Trim{EventsBefore: start + 5, Limit: 1}), store.Trimmed{Events: 4})
	e.equal("what is left", left(), []ff.Timestamp{2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7})
	e.equal("at or before", e.trim(store.Trim{EventsBefore: start + 5}), store.Trimmed{Events: 8})
	e.equal("what is left", left(), []ff.Timestamp{6, 6, 7, 7})
	e.do(unit(store.Reads{}, func(tx *store.Tx) error {
		tx.Append(record.Event{Family: record.FamilyLease, Type: "released", ExecutionID: id(1), At: start + 9})
		return nil
	}))
	e.equal("after the next", left(), []ff.Timestamp{6, 6, 7, 7, 9})
	e.equal("all of it", e.trim(store.Trim{EventsBefore: start + 100}), store.Trimmed{Events: 5})
}

func testTrimRoutes(e *env) {
	put := func(routes ...*record.Route) {
		e.do(unit(store.Reads{}, func(tx *store.Tx) error {
			for _, r := range routes {
				tx.PutRoute(r)
			}
			return nil
		}))
	}
	route := func(id int64, seen ff.Timestamp) *record.Route {
		return &record.Route{Lane: mail, ID: id, Capabilities: []string{"c"}, Partition: homePartition, SeenAt: seen}
	}
	left := func() (ids []int64) {
		for _, r := range e.dump().Routes {
			ids = append(ids, r.ID)
		}
		return ids
	}
	at := func(n int, route int64) *record.Execution {
		x := waiting(n)
		x.Lane, x.Route = mail, route
		return x
	}
	put(route(1, start-9), route(2, start-8), route(3, start-7), route(4, start), route(5, start+1))
	e.put(at(1, 2), at(2, 4), at(3, 6)) // 6 is not registered
	late := at(4, 1)
	late.Ready = false
	e.put(late) // it waits for something else
	e.equal("without a time", e.trim(store.Trim{}), store.Trimmed{})
	e.equal("before all", e.trim(store.Trim{RoutesBefore: start - 10}), store.Trimmed{})
	e.ms(100)
	e.equal("the oldest two", e.trim(store.Trim{RoutesBefore: start, Limit: 2}), store.Trimmed{Routes: 2})
	e.equal("what is left", left(), []int64{2, 3, 4, 5})
	e.equal("at or before", e.trim(store.Trim{RoutesBefore: start}), store.Trimmed{Routes: 2})
	e.equal("what is left", left(), []int64{2, 4, 5})
	e.equal("again", e.trim(store.Trim{RoutesBefore: start}), store.Trimmed{})
	put(route(1, start+5), route(2, start+5)) // one that went comes again, one that is there stays as it is
	var seen []ff.Timestamp
	for _, r := range e.dump().Routes {
		seen = append(seen, r.SeenAt)
	}
	e.equal("when they were seen", seen, []ff.Timestamp{start + 5, start + 100, start + 100, start + 1})
	e.equal("what is seen now is left alone", e.trim(store.Trim{RoutesBefore: start + 200}), store.Trimmed{Routes: 2})
	e.equal("what is left", left(), []int64{2, 4})
	e.ms(1)
	e.equal("later", e.trim(store.Trim{RoutesBefore: start + 200}), store.Trimmed{Routes: 2})
	e.equal("what is left", left(), []int64{2, 4})
}

// testTrimRoutesConcurrently: neither who registers routes and work nor who trims them stands in the other's way.
func testTrimRoutesConcurrently(e *env) {
	const many = 60
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range many {
				if _, err := e.store.Trim(e.Context(), store.Trim{RoutesBefore: start + 1, Limit: 3}); err != nil {
					e.Errorf("trim: %v", err)
					return
				}
			}
		})
	}
	for n := 1; n <= many; n++ {
		x := waiting(n)
		x.Lane, x.Route, x.Capabilities = mail, int64(n%7+1), []string{"c"}
		err := e.retry(unit(reads(x.ID), func(tx *store.Tx) error {
			tx.PutExecution(x)
			tx.PutRoute(&record.Route{Lane: mail, ID: x.Route, Capabilities: x.Capabilities, Partition: homePartition, SeenAt: start})
			return nil
		}))
		if err != nil {
			e.Errorf("register: %v", err)
		}
	}
	wg.Wait()
	e.equal("executions", len(e.dump().Executions), many)
}

// testTrimSparesReplayed: what is replayed, or kept longer, while it could be removed stays whole or goes whole.
func testTrimSparesReplayed(e *env) {
	const many = 40
	for n := 1; n <= many; n++ {
		x := finished(n, start)
		e.do(unit(reads(x.ID), func(tx *store.Tx) error {
			tx.PutExecution(x)
			tx.PutAttempt(&record.Attempt{ExecutionID: x.ID})
			return nil
		}))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range many {
			if _, err := e.store.Trim(e.Context(), store.Trim{Limit: 1}); err != nil {
				e.Errorf("trim: %v", err)
				return
			}
		}
	})
	revived := make([]bool, many+1)
	for n := many; n > 0; n-- { // from the other end
		err := e.retry(unit(reads(id(n)), func(tx *store.Tx) error {
			old := tx.Execution(id(n))
			if revived[n] = old != nil; !revived[n] {
				return nil
			}
			next := *waiting(n)
			next.Version = old.Version
			tx.PutExecution(&next)
			return nil
		}))
		if err != nil {
			e.Errorf("replay: %v", err)
		}
	}
	wg.Wait()
	attempts := make(map[ff.ExecutionID]bool)
	for _, a := range e.dump().Attempts {
		attempts[a.ExecutionID] = true
	}
	for n := 1; n <= many; n++ {
		if there := e.get(id(n)) != nil; there != revived[n] || attempts[id(n)] != there {
			e.Errorf("execution %d: revived %t, there %t, its attempt %t", n, revived[n], there, attempts[id(n)])
		}
	}
}

func testTrimConcurrently(e *env) {
	const many = 300
	var list []*record.Execution
	for n := 1; n <= many; n++ {
		list = append(list, finished(n, start-ff.Timestamp(n%7)))
	}
	e.put(list...)
	e.put(finished(many+1, start+1))
	var mu sync.Mutex
	total := 0
	e.race(4, func() (bool, error) {
		for {
			done, err := e.store.Trim(e.Context(), store.Trim{Limit: 20})
			if err != nil || done.Executions == 0 {
				return true, err
			}
			mu.Lock()
			total += done.Executions
			mu.Unlock()
		}
	})
	total += e.trim(store.Trim{}).Executions // what one skipped because the other had it
	e.equal("removed", total, many)
	e.equal("what is left", idsOf(e.dump().Executions), ids(many+1))
}

func testTrimSpansShards(e *env) {
	shards := e.store.Shards()
	for i, p := range shards {
		for n := 1; n <= 3; n++ {
			x := finished(n, start-ff.Timestamp(n))
			x.ID = idOn(p.Index, n)
			key := record.IdempotencyKey{Namespace: "n", Key: fmt.Sprint(i, n)}
			e.do(unitOn(p, store.Reads{Executions: []ff.ExecutionID{x.ID}, Idempotency: []record.IdempotencyKey{key}}, func(tx *store.Tx) error {
				tx.PutExecution(x)
				tx.PutIdempotency(&record.Idempotency{Key: key, Partition: p, ExecutionID: x.ID, ExpiresAt: start})
				tx.Append(record.Event{Family: record.FamilyCompletion, Type: "success", ExecutionID: x.ID, At: start})
				return nil
			}))
		}
	}
	all := 3 * len(shards)
	e.equal("bounded", e.trim(store.Trim{EventsBefore: start, Limit: 2}), store.Trimmed{Executions: 2, Events: min(all, 8), Keys: 2})
	e.equal("the rest", e.trim(store.Trim{EventsBefore: start}), store.Trimmed{Executions: all - 2, Events: all - min(all, 8), Keys: all - 2})
}

func testBeliefInTrimmed(e *env) {
	e.put(finished(1, start))
	believed := e.get(id(1))
	e.trim(store.Trim{})
	saw := []bool{}
	e.do(believing(unit(reads(id(1)), func(tx *store.Tx) error {
		x := tx.Execution(id(1))
		saw = append(saw, x != nil)
		if x != nil {
			n := *x
			tx.PutExecution(&n)
		}
		return nil
	}), id(1), believed))
	e.equal("what the unit saw", saw, []bool{true, false})
	e.equal("what is there", len(e.dump().Executions), 0)
}
