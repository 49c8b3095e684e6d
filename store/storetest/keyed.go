package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Every behaviour of keyed records holds for each family: the tests run over fullRecords.
var keyedTests = []behaviour{
	{"RecordsComeBackAsWritten", testKeyedComeBack},
	{"EveryFieldCanBeUpdatedAndCleared", testKeyedFieldsChange},
	{"AbsentRecordsAreNil", testKeyedAbsent},
	{"DeletedRecordsAreGone", testKeyedDelete},
	{"InsertOverWhatIsThereIsRefused", testKeyedInsertOver},
	{"ChangedRecordIsNotWrittenOver", testKeyedConflict},
	{"ConcurrentInsertsHaveOneWinner", testKeyedInsertRace},
	{"ConcurrentUpdatesAreAllKept", testKeyedConcurrentUpdates},
	{"RegisterDoesNotOverwrite", testRegister},
	{"ConcurrentRegistrationsAgree", testRegisterRace},
	{"GuardFindsAChange", testGuard},
	{"RecordBelievedAbsentThatExistsIsFound", testRecordBelievedAbsent},
	{"WhatIsDecidedOnAnAbsenceIsNotTrusted", testDecidedOnAbsence},
	{"BeliefsOfABatchAreOfItsUnits", testBeliefsInABatch},
	{"ListsAreInByteOrder", testKeyedListOrder},
	{"ListsGoOnBehindAKey", testKeyedListPages},
	{"ListsStayWithinAPrefix", testKeyedListPrefix},
	{"ListsSpanShards", testKeyedListSpansShards},
	{"DueRecordsComeEarliestFirst", testDueRecordOrder},
	{"DueRecordsAreTakenOnce", testDueRecordsOnce},
	{"DueRecordsSkipWhatOthersTake", testDueRecordsSkipTaken},
	{"NextDueCountsRecords", testNextDueOfRecords},
	{"OpenWaitpointsAreCountedByTheirSecret", testCountSignedBy},
}

func recordReads(keys ...record.Key) store.Reads { return store.Reads{Records: keys} }

func keysOf(list []record.Keyed) []record.Key {
	keys := make([]record.Key, len(list))
	for i, r := range list {
		keys[i] = r.Key()
	}
	return keys
}

// recordUnit is a unit on the partition of a key, which it reads.
func recordUnit(key record.Key, f func(tx *store.Tx) error) *store.Unit {
	return unitOn(key.Partition(), recordReads(key), f)
}

// putRecords writes records of one shard, new or over what is stored.
func (e *env) putRecords(list ...record.Keyed) {
	e.Helper()
	e.do(unitOn(list[0].Key().Partition(), recordReads(keysOf(list)...), func(tx *store.Tx) error {
		for _, r := range list {
			tx.Put(copyOf(r))
		}
		return nil
	}))
}

func (e *env) record(key record.Key) record.Keyed {
	e.Helper()
	return e.view(recordReads(key)).Record(key)
}

// copyOf returns a copy a test may change.
func copyOf[R record.Keyed](r R) R {
	n := reflect.New(reflect.TypeOf(r).Elem())
	n.Elem().Set(reflect.ValueOf(r).Elem())
	return n.Interface().(R)
}

func laneRecord(name ff.LaneID, weight int) *record.Lane {
	return &record.Lane{LaneKey: record.LaneKey{Home: homePartition, Lane: name}, State: ff.LaneActive, Weight: weight}
}

func workerRecord(namespace ff.Namespace, instance ff.WorkerInstanceID, expires ff.Timestamp) *record.Worker {
	return &record.Worker{
		WorkerKey: record.WorkerKey{Home: homePartition, Namespace: namespace, WorkerInstanceID: instance}, ExpiresAt: expires,
	}
}

func testKeyedComeBack(e *env) {
	e.putRecords(fullRecords()...)
	for _, want := range fullRecords() {
		e.equal("record", e.record(want.Key()), want)
	}
	e.equal("dump", e.dump().Records, fullRecords())
}

// keyedSetOnce are the fields of keyed records that never change, and one that another says.
var keyedSetOnce = []string{"Edge.Upstream", "Edge.Downstream", "Edge.Required", "Edge.Applied", "Flow.Tags", "Flow.CreatedAt"}

func testKeyedFieldsChange(e *env) {
	e.putRecords(fullRecords()...)
	for _, want := range fullRecords() {
		key := want.Key()
		v := reflect.ValueOf(want).Elem()
		change := func(what string, name string) {
			*want.VersionField()++
			e.putRecords(want)
			e.equal(fmt.Sprintf("%s after %s was %s", key.Family(), name, what), e.record(key), want)
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); !f.Anonymous && f.Name != "Version" && !slices.Contains(keyedSetOnce, v.Type().Name()+"."+f.Name) {
				alter(v.Field(i))
				change("changed", f.Name)
			}
		}
		cleared := bareRecord(key)
		if edge, ok := want.(*record.Edge); ok {
			n := cleared.(*record.Edge)
			n.Upstream, n.Downstream, n.Required = edge.Upstream, edge.Downstream, edge.Required
		}
		if flow, ok := want.(*record.Flow); ok { // keys that are merged into what is stored
			n := cleared.(*record.Flow)
			n.Tags, n.CancellationPolicy, n.CancelReason, n.CreatedAt = flow.Tags, flow.CancellationPolicy, flow.CancelReason, flow.CreatedAt
		}
		*cleared.VersionField() = *want.VersionField()
		want = cleared
		change("cleared", "everything")
	}
}

func testKeyedAbsent(e *env) {
	keys := keysOf(fullRecords())
	check := func(tx *store.Tx) error {
		for _, key := range keys {
			if got := tx.Record(key); got != nil {
				e.Errorf("%v: %+v, want nil", key, got)
			}
		}
		return nil
	}
	e.do(unit(recordReads(keys...), check))
	_ = check(e.view(recordReads(keys...)))
}

func testKeyedDelete(e *env) {
	for _, r := range fullRecords() {
		key := r.Key()
		remove := func() *store.Unit {
			return recordUnit(key, func(tx *store.Tx) error {
				tx.Delete(key)
				return nil
			})
		}
		e.do(remove()) // what is not there
		e.putRecords(r)
		e.do(remove())
		if got := e.record(key); got != nil {
			e.Errorf("%v is there after its deletion: %+v", key, got)
		}
		e.putRecords(r)
		e.equal("record made again", e.record(key), r)
		e.do(remove())
	}
	d := e.dump()
	e.equal("dump", d.Records, []record.Keyed{})
	e.equal("next due", e.nextDue(), ff.Timestamp(0))
}

// tryMeanwhile applies a unit in the midst of another batch, as another process would, if the store runs batches side by
// side. It reports whether it did.
func (e *env) tryMeanwhile(u *store.Unit) bool {
	e.Helper()
	if e.store.Lanes() < 2 {
		return false
	}
	e.do(u)
	return true
}

// unheld are records of families that are read and changed by few at a time. Those of flows and limits are read to be written, and a
// store may keep others from reading them meanwhile; so nothing can be tried in the midst of a batch.
func unheld() []record.Keyed {
	held := []record.Family{record.Flows, record.Groups, record.Errands, record.Backlogs, record.Budgets, record.QuotaUses}
	return slices.DeleteFunc(fullRecords(), func(r record.Keyed) bool { return slices.Contains(held, r.Key().Family()) })
}

// testKeyedConflict: a batch that has read a record which is then changed, or removed, or made, starts again.
func testKeyedConflict(e *env) {
	for _, r := range unheld() {
		key := r.Key()
		for name, c := range map[string]struct{ before, meanwhile, own bool }{
			"update over an update": {true, true, true}, "update over a removal": {true, false, true},
			"removal over an update": {true, true, false}, "insert over an insert": {false, true, true},
		} {
			e.setRecord(key, r, c.before)
			if !e.overlap(key, r, c.meanwhile, c.own) {
				e.Logf("%s of %v: the store runs one after the other", name, key)
			}
			want := copyOf(r)
			got := e.record(key)
			switch {
			case !c.own && got != nil:
				e.Errorf("%s of %v: it is there", name, key)
			case c.own && got == nil:
				e.Errorf("%s of %v: it is not there", name, key)
			case c.own:
				*want.VersionField() = *got.VersionField()
				e.equal(name, got, want)
			}
		}
	}
}

// setRecord makes a record be there, or not.
func (e *env) setRecord(key record.Key, r record.Keyed, there bool) {
	e.Helper()
	e.do(recordUnit(key, func(tx *store.Tx) error {
		if there {
			tx.Put(copyOf(r))
		} else {
			tx.Delete(key)
		}
		return nil
	}))
}

// overlap writes or removes a record in a batch, during which another batch does as meanwhile says. It reports whether
// that was possible; then the first must have run again.
func (e *env) overlap(key record.Key, r record.Keyed, meanwhile, own bool) bool {
	e.Helper()
	set := func(there bool) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			if there {
				tx.Put(copyOf(r))
			} else {
				tx.Delete(key)
			}
			return nil
		}
	}
	runs := 0
	overlapped := false
	e.do(recordUnit(key, func(tx *store.Tx) error {
		runs++
		if runs == 1 {
			overlapped = e.tryMeanwhile(recordUnit(key, set(meanwhile)))
		}
		return set(own)(tx)
	}))
	if overlapped && runs < 2 {
		e.Errorf("%v: a batch was committed that was decided on an older record", key)
	}
	return overlapped
}

// testKeyedInsertOver: a unit that writes what it has not read takes it for absent, and the guard finds out.
func testKeyedInsertOver(e *env) {
	e.putRecords(fullRecords()...)
	for _, r := range fullRecords() {
		err := e.store.Apply(e.Context(), []*store.Unit{unit(store.Reads{}, func(tx *store.Tx) error {
			tx.Put(bareRecord(r.Key()))
			return nil
		})})
		if !errors.Is(err, store.ErrConflict) {
			e.Errorf("%v: error %v, want %v", r.Key(), err, store.ErrConflict)
		}
	}
	e.equal("dump", e.dump().Records, fullRecords())
}

func testKeyedInsertRace(e *env) {
	for _, r := range fullRecords() {
		key := r.Key()
		won := e.race(8, func() (bool, error) {
			first := false
			err := e.retry(recordUnit(key, func(tx *store.Tx) error {
				if first = tx.Record(key) == nil; first {
					tx.Put(copyOf(r))
				}
				return nil
			}))
			return first, err
		})
		e.equal("winners", won, 1)
		e.equal("record", e.record(key), r)
	}
}

func testKeyedConcurrentUpdates(e *env) {
	key := laneRecord("mail", 0).LaneKey
	e.putRecords(laneRecord("mail", 0))
	e.race(8, func() (bool, error) {
		return true, e.retry(recordUnit(key, func(tx *store.Tx) error {
			n := copyOf(store.Get[*record.Lane](tx, key))
			n.Weight++
			tx.Put(n)
			return nil
		}))
	})
	e.equal("weight", e.record(key).(*record.Lane).Weight, 8)
	e.equal("version", e.record(key).(*record.Lane).Version, int64(9))
}

// race runs f on some goroutines at once and counts the calls that won.
func (e *env) race(n int, f func() (won bool, err error)) int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := 0
	for range n {
		wg.Go(func() {
			won, err := f()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				e.Errorf("apply: %v", err)
			}
			if won {
				count++
			}
		})
	}
	wg.Wait()
	return count
}

func registerUnit(list ...record.Keyed) *store.Unit {
	return unitOn(list[0].Key().Partition(), store.Reads{}, func(tx *store.Tx) error {
		for _, r := range list {
			tx.Register(copyOf(r))
		}
		return nil
	})
}

func testRegister(e *env) {
	e.do(registerUnit(fullRecords()...), registerUnit(fullRecords()...))
	e.equal("registered", e.dump().Records, fullRecords())
	var bare []record.Keyed
	for _, r := range fullRecords() {
		bare = append(bare, bareRecord(r.Key()))
	}
	e.do(registerUnit(bare...))
	e.equal("registered again", e.dump().Records, fullRecords())
	for _, r := range fullRecords() {
		if key := r.Key(); !key.Family().Believed() {
			e.update1(key)
		}
	}
}

// update1 writes a record over its first version: a registration counts as one.
func (e *env) update1(key record.Key) {
	e.Helper()
	e.do(recordUnit(key, func(tx *store.Tx) error {
		tx.Put(copyOf(tx.Record(key)))
		return nil
	}))
	e.equal("version", *e.record(key).VersionField(), int64(2))
}

// testRegisterRace: batches that register the same records in different orders do not get in each other's way.
func testRegisterRace(e *env) {
	names := []ff.LaneID{"a", "b", "c", "d", "e", "f"}
	var mu sync.Mutex
	next := 0
	e.race(6, func() (bool, error) {
		mu.Lock()
		first := next
		next++
		mu.Unlock()
		var list []record.Keyed
		for i := range names {
			list = append(list, laneRecord(names[(first+i)%len(names)], first))
		}
		return true, e.retry(registerUnit(list...))
	})
	var got []ff.LaneID
	for _, r := range e.dump().Records {
		if lane, ok := r.(*record.Lane); ok {
			got = append(got, lane.Lane)
		}
	}
	e.equal("lanes", got, names)
}

// testGuard: a batch that guards a record and changes another starts again when the guarded one was changed.
func testGuard(e *env) {
	e.put(waiting(1))
	for _, r := range unheld() {
		key := r.Key()
		e.putRecords(r)
		for _, removed := range []bool{false, true} {
			runs, overlapped := 0, false
			u := unit(store.Reads{Executions: ids(1), Records: []record.Key{key}}, func(tx *store.Tx) error {
				if runs++; runs == 1 {
					overlapped = e.tryMeanwhile(recordUnit(key, func(tx *store.Tx) error {
						if removed {
							tx.Delete(key)
						} else {
							tx.Put(copyOf(tx.Record(key)))
						}
						return nil
					}))
				}
				tx.Guard(key)
				n := *tx.Execution(id(1))
				n.Priority++
				tx.PutExecution(&n)
				return nil
			})
			e.do(u)
			if overlapped && runs < 2 {
				e.Errorf("%v: committed though the guarded record was changed (removed: %t)", key, removed)
			}
		}
		e.do(unit(store.Reads{Executions: ids(1), Records: []record.Key{key}}, func(tx *store.Tx) error {
			tx.Guard(key) // of what is absent: guards nothing
			takeOff(tx, []*record.Execution{tx.Execution(id(1))})
			return nil
		}))
	}
}

func (e *env) list(q store.RecordQuery) []record.Keyed {
	e.Helper()
	list, err := e.store.Records(e.Context(), q)
	if err != nil {
		e.Fatalf("records: %v", err)
	}
	return list
}

func (e *env) listedLanes(q store.RecordQuery) []ff.LaneID {
	e.Helper()
	q.Family = record.Lanes
	var names []ff.LaneID
	for _, r := range e.list(q) {
		names = append(names, r.(*record.Lane).Lane)
	}
	return names
}

// byteOrder are names in the order of their bytes: no collation has it so.
var byteOrder = []ff.LaneID{" ", "-a", "B", "Z", "_", "a", "a b", "a-b", "aB", "ab", "b", "~", "é", "ß", "日"}

func testKeyedListOrder(e *env) {
	for i := range byteOrder {
		name := byteOrder[(i*7)%len(byteOrder)] // mixed up; 7 and 15 share no factor
		e.putRecords(laneRecord(name, 0))
	}
	e.putRecords(fullRecords()[1], fullRecords()[2]) // of other families
	want := slices.Sorted(slices.Values(byteOrder))
	e.equal("lanes", e.listedLanes(store.RecordQuery{Limit: 1000}), want)
	for i, name := range want {
		after := record.LaneKey{Home: homePartition, Lane: name}
		e.equal("lanes behind "+string(name), e.listedLanes(store.RecordQuery{After: after, Limit: 1000}), want[i+1:])
	}
}

func testKeyedListPages(e *env) {
	e.equal("lanes of an empty store", e.listedLanes(store.RecordQuery{Limit: 10}), []ff.LaneID{})
	for _, name := range byteOrder {
		e.putRecords(laneRecord(name, 0))
	}
	want := slices.Sorted(slices.Values(byteOrder))
	for _, limit := range []int{1, 4, len(want), 1000} {
		var got []ff.LaneID
		q := store.RecordQuery{Limit: limit}
		for page := e.listedLanes(q); len(page) > 0; page = e.listedLanes(q) {
			if len(page) > limit {
				e.Fatalf("a page of %d, limit %d", len(page), limit)
			}
			got = append(got, page...)
			q.After = record.LaneKey{Home: homePartition, Lane: page[len(page)-1]}
		}
		e.equal(fmt.Sprintf("lanes by pages of %d", limit), got, want)
	}
	e.equal("behind a lane that is not there", e.listedLanes(store.RecordQuery{After: laneRecord("a!", 0).LaneKey, Limit: 1}), []ff.LaneID{"a-b"})
}

func testKeyedListPrefix(e *env) {
	for _, namespace := range []ff.Namespace{"a", "ab", "b"} {
		for _, instance := range []ff.WorkerInstanceID{"w-1", "W-2", "w-10"} {
			e.putRecords(workerRecord(namespace, instance, 0))
		}
	}
	for _, c := range []struct {
		after  ff.WorkerInstanceID
		prefix int
		limit  int
		want   []string
	}{
		{"", 1, 10, []string{"ab/W-2", "ab/w-1", "ab/w-10"}},
		{"", 1, 2, []string{"ab/W-2", "ab/w-1"}},
		{"w-1", 1, 10, []string{"ab/w-10"}},
		{"w-10", 1, 10, nil},
		{"w-10", 0, 2, []string{"b/W-2", "b/w-1"}},
	} {
		after := workerRecord("ab", c.after, 0).WorkerKey
		var got []string
		for _, r := range e.list(store.RecordQuery{Family: record.Workers, After: after, Prefix: c.prefix, Limit: c.limit}) {
			w := r.(*record.Worker)
			got = append(got, string(w.Namespace)+"/"+string(w.WorkerInstanceID))
		}
		e.equal(fmt.Sprintf("workers behind %q, prefix %d, limit %d", c.after, c.prefix, c.limit), got, c.want)
	}
}

func testKeyedListSpansShards(e *env) {
	var want []ff.LaneID
	for i, p := range e.store.Shards() {
		own := ff.LaneID(fmt.Sprintf("lane-%02d", i))
		for _, name := range []ff.LaneID{own, "zebra"} { // zebra has a copy on each
			r := laneRecord(name, i)
			r.Home = p
			e.putRecords(r)
		}
		want = append(want, own)
	}
	want = append(want, "zebra")
	e.equal("lanes", e.listedLanes(store.RecordQuery{Limit: 1000}), want)
	e.equal("lanes behind the first", e.listedLanes(store.RecordQuery{After: record.LaneKey{Lane: want[0]}, Limit: 1000}), want[1:])
	e.equal("lanes behind the last", e.listedLanes(store.RecordQuery{After: record.LaneKey{Lane: "zebra"}, Limit: 10}), []ff.LaneID{})
}

func dueRecordReads(family record.Family, limit int) store.Reads {
	return store.Reads{DueRecords: []store.DueRecordsQuery{{Family: family, Limit: limit}}}
}

func instancesOf(list []record.Keyed) []string {
	var out []string
	for _, r := range list {
		out = append(out, string(r.(*record.Worker).WorkerInstanceID))
	}
	return out
}

func testDueRecordOrder(e *env) {
	for _, w := range []*record.Worker{
		workerRecord("n", "late", start-1), workerRecord("n", "tie-b", start-5), workerRecord("m", "tie-c", start-5),
		workerRecord("n", "tie-B", start-5), workerRecord("n", "now", start), workerRecord("n", "soon", start+1), workerRecord("n", "never", 0),
	} {
		e.putRecords(w)
	}
	e.putRecords(laneRecord("mail", 0))
	want := []string{"tie-c", "tie-B", "tie-b", "late", "now"}
	for _, limit := range []int{1, 3, 1000} {
		r := dueRecordReads(record.Workers, limit)
		e.equal("looked at", instancesOf(e.view(r).DueRecords(0)), want[:min(limit, len(want))])
		e.do(unit(r, func(tx *store.Tx) error {
			e.equal("taken", instancesOf(tx.DueRecords(0)), want[:min(limit, len(want))])
			return nil
		}))
	}
	e.ms(1)
	e.equal("a millisecond later", instancesOf(e.view(dueRecordReads(record.Workers, 10)).DueRecords(0)), append(want, "soon"))
	e.equal("lanes, which never are due", len(e.view(dueRecordReads(record.Lanes, 10)).DueRecords(0)), 0)
}

// testDueRecordsOnce: what a query of a batch takes no later one returns, and what is not written stays due.
func testDueRecordsOnce(e *env) {
	for _, instance := range []ff.WorkerInstanceID{"a", "b", "c", "d", "e"} {
		e.putRecords(workerRecord("n", instance, start-1))
	}
	asked := false
	e.do(
		unit(store.Reads{DueRecords: []store.DueRecordsQuery{{Family: record.Workers, Limit: 1}, {Family: record.Workers, Limit: 1}}}, func(tx *store.Tx) error {
			e.equal("first answer", instancesOf(tx.DueRecords(0)), []string{"a"})
			e.equal("second answer", instancesOf(tx.DueRecords(1)), []string{"b"})
			tx.Delete(tx.DueRecords(0)[0].Key())
			return nil
		}),
		unit(dueRecordReads(record.Workers, 1), func(tx *store.Tx) error {
			if !asked {
				asked = true
				return tx.Need(dueRecordReads(record.Workers, 10))
			}
			e.equal("answer to the other unit", instancesOf(tx.DueRecords(0)), []string{"c"})
			e.equal("answer to what it needed", instancesOf(tx.DueRecords(1)), []string{"d", "e"})
			n := copyOf(tx.DueRecords(0)[0].(*record.Worker))
			n.ExpiresAt = start + 5
			tx.Put(n)
			return nil
		}),
	)
	e.equal("what is left", instancesOf(e.view(dueRecordReads(record.Workers, 10)).DueRecords(0)), []string{"b", "d", "e"})
}

// testDueRecordsSkipTaken: two batches at once never work on the same record, whichever the store lets in.
func testDueRecordsSkipTaken(e *env) {
	for _, instance := range []ff.WorkerInstanceID{"a", "b"} {
		e.putRecords(workerRecord("n", instance, start-1))
	}
	runs := 0
	e.do(unit(dueRecordReads(record.Workers, 1), func(tx *store.Tx) error {
		mine := tx.DueRecords(0)
		if runs++; runs == 1 {
			e.tryMeanwhile(unit(dueRecordReads(record.Workers, 10), func(tx *store.Tx) error {
				for _, r := range tx.DueRecords(0) {
					if r.Key() == mine[0].Key() {
						e.Errorf("%v was taken by two batches", r.Key())
					}
				}
				return nil
			}))
		}
		tx.Delete(mine[0].Key())
		return nil
	}))
	e.equal("runs", runs, 1)
	e.equal("what is left", instancesOf(e.view(dueRecordReads(record.Workers, 10)).DueRecords(0)), []string{"b"})
}

func testNextDueOfRecords(e *env) {
	e.put(delayed(1, start+50))
	w := workerRecord("n", "w", start+40)
	e.putRecords(w)
	e.equal("a worker's", e.nextDue(), start+40)
	w.ExpiresAt = start + 60
	e.putRecords(w)
	e.equal("an execution's", e.nextDue(), start+50)
}

// testCountSignedBy counts what is open, by the name in its token.
func testCountSignedBy(e *env) {
	point := func(n int, kid string, state ff.WaitpointState) *record.Waitpoint {
		return &record.Waitpoint{
			WaitpointKey: record.WaitpointKey{ExecutionID: id(n), WaitpointID: ff.WaitpointID(uuidOf(n))},
			Name:         "k", State: state, Token: ff.WaitpointToken(kid + ":" + strings.Repeat("0", 64)), CreatedAt: start,
		}
	}
	e.do(unit(store.Reads{}, func(tx *store.Tx) error {
		for i, w := range []*record.Waitpoint{
			point(1, "k1", ff.WaitpointPending), point(2, "k1", ff.WaitpointActive), point(3, "k1", ff.WaitpointClosed),
			point(4, "k2", ff.WaitpointActive), point(5, "k1", ff.WaitpointActive),
		} {
			if w.State == ff.WaitpointClosed {
				w.ClosedAt = start + ff.Timestamp(i)
			}
			tx.Register(w)
		}
		return nil
	}))
	for _, tc := range []struct {
		kid        string
		most, want int
	}{{"k1", 10, 3}, {"k1", 3, 3}, {"k1", 2, 2}, {"k2", 10, 1}, {"k3", 10, 0}} {
		n, err := e.store.CountSignedBy(e.Context(), tc.kid, tc.most)
		e.equal("error", err, nil)
		e.equal("open under "+tc.kid, n, tc.want)
	}
}

// addWeight raises the weight of a lane; one that is absent is made.
func addWeight(name ff.LaneID, by int) *store.Unit {
	key := laneRecord(name, 0).Key()
	return recordUnit(key, func(tx *store.Tx) error {
		n := laneRecord(name, by)
		if old := store.Get[*record.Lane](tx, key); old != nil {
			n = copyOf(old)
			n.Weight += by
		}
		tx.Put(n)
		return nil
	})
}

// takenAbsent makes a unit believe that no record it reads is there.
func takenAbsent(u *store.Unit) *store.Unit {
	u.Absent = func(record.Key) bool { return true }
	return u
}

func (e *env) weight(name ff.LaneID) int {
	e.Helper()
	l, ok := e.record(laneRecord(name, 0).Key()).(*record.Lane)
	if !ok {
		return 0
	}
	return l.Weight
}

func testRecordBelievedAbsent(e *env) {
	e.do(takenAbsent(addWeight("a", 1)))
	e.equal("a true belief", e.weight("a"), 1)
	e.do(takenAbsent(addWeight("a", 10)))
	e.equal("a wrong one", e.weight("a"), 11)
}

// testDecidedOnAbsence: an error, and what was not written, are the answer only if what is stored leads to it.
func testDecidedOnAbsence(e *env) {
	e.do(addWeight("a", 1))
	missing := errors.New("missing")
	must := func(name ff.LaneID) *store.Unit {
		key := laneRecord(name, 0).Key()
		return takenAbsent(recordUnit(key, func(tx *store.Tx) error {
			if tx.Record(key) == nil {
				return missing
			}
			return nil
		}))
	}
	seen := -1
	look := takenAbsent(recordUnit(laneRecord("a", 0).Key(), func(tx *store.Tx) error {
		seen = 0
		if l := store.Get[*record.Lane](tx, laneRecord("a", 0).Key()); l != nil {
			seen = l.Weight
		}
		return nil
	}))
	there, gone := must("a"), must("b")
	e.apply(there, gone, look)
	e.equal("outcomes", []bool{there.Err == nil, errors.Is(gone.Err, missing)}, []bool{true, true})
	e.equal("seen", seen, 1)
}

// testBeliefsInABatch: a unit sees what an earlier one of the batch wrote, whatever it believed, and a wrong belief of one
// leaves the others right.
func testBeliefsInABatch(e *env) {
	e.do(addWeight("a", 1))
	e.apply(takenAbsent(addWeight("new", 2)), takenAbsent(addWeight("new", 3)), takenAbsent(addWeight("a", 10)), addWeight("a", 100))
	e.equal("weights", []int{e.weight("new"), e.weight("a")}, []int{5, 111})
}
