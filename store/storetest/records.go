package storetest

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var recordTests = []behaviour{
	{"FullRecordsNameEveryField", testFullRecordsNameEveryField},
	{"ExecutionsComeBackAsWritten", testExecutionsComeBackAsWritten},
	{"EveryFieldCanBeUpdated", testEveryFieldCanBeUpdated},
	{"EveryFieldCanBeCleared", testEveryFieldCanBeCleared},
	{"AttemptsComeBackAsWritten", testAttemptsComeBackAsWritten},
	{"AttemptsAreListedInOrder", testAttemptsAreListedInOrder},
	{"IdempotencyComesBackAsWritten", testIdempotencyComesBackAsWritten},
	{"RoutesAreRegisteredOnce", testRoutesAreRegisteredOnce},
	{"EventsComeBackInOrder", testEventsComeBackInOrder},
	{"EventsOfNoExecutionKeepTheirPartition", testEventsOfNoExecution},
	{"WhatCallersDoToBytesChangesNothing", testRecordsAreTheStoresOwn},
	{"RecordsThatAreNotThereAreNil", testAbsentRecordsAreNil},
	{"EveryPartitionHasRoom", testEveryPartitionHasRoom},
	{"ReopenedStoreHasEverything", testReopenedStoreHasEverything},
}

// testFullRecordsNameEveryField keeps the suite honest: a field that is added to a record must be added to full.go.
func testFullRecordsNameEveryField(e *env) {
	all := []any{fullExecution(), fullAttempt(), fullIdempotency(), fullRoute(), new(fullEvent())}
	var families []record.Family
	for _, r := range fullRecords() {
		all = append(all, r)
		families = append(families, r.Key().Family())
	}
	e.equal("families", families, slices.Sorted(slices.Values(record.Families)))
	for _, r := range all {
		v := reflect.ValueOf(r).Elem()
		list := unset(v.Type().Name(), v)
		list = slices.DeleteFunc(list, func(field string) bool { // what other forms of a backoff and of a condition have; what stores set
			return field == "Event.Place" || field == "Execution.Policy.Retry.Backoff.DelayMS" || strings.HasPrefix(field, "Suspension.Condition.")
		})
		if len(list) > 0 {
			e.Errorf("the full %s leaves %v unset", v.Type().Name(), list)
		}
	}
}

func testExecutionsComeBackAsWritten(e *env) {
	e.put(fullExecution(), bareExecution())
	e.equal("full execution", e.get(id(1)), fullExecution())
	e.equal("bare execution", e.get(id(2)), bareExecution())
	e.equal("dump", e.dump().Executions, []*record.Execution{fullExecution(), bareExecution()})
	fixed := waiting(3, func(x *record.Execution) { x.Policy = ff.Retry(5, ff.FixedBackoff(30*time.Millisecond)) })
	e.put(fixed)
	e.equal("policy with a fixed backoff", e.get(id(3)).Policy, fixed.Policy)
}

// setOnce are the fields of an execution that no update changes.
var setOnce = []string{
	"ID", "Version", "Lane", "Namespace", "Kind", "Creator", "Capabilities", "Route",
	"Policy", "TraceParent", "CreatedAt",
}

// mutable calls visit for every field of e an update may change.
func mutable(e *record.Execution, visit func(name string, field reflect.Value)) {
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch {
		case slices.Contains(setOnce, name):
		case name == "State":
			for j := range v.Field(i).NumField() {
				visit("State."+v.Field(i).Type().Field(j).Name, v.Field(i).Field(j))
			}
		default:
			visit(name, v.Field(i))
		}
	}
}

// testEveryFieldCanBeUpdated changes one field at a time: a store that writes only what changed must find each change.
func testEveryFieldCanBeUpdated(e *env) {
	e.put(fullExecution())
	want := fullExecution()
	mutable(want, func(name string, field reflect.Value) {
		alter(field)
		want.Version++
		e.update(want.ID, func(n *record.Execution) { *n = *want })
		e.equal("execution after the change of "+name, e.get(want.ID), want)
	})
}

// testEveryFieldCanBeCleared leaves out what never goes back to zero: the state, the number of replays and the time of
// an operator's last act.
func testEveryFieldCanBeCleared(e *env) {
	e.put(fullExecution())
	want := fullExecution()
	want.Version = 2
	mutable(want, func(name string, field reflect.Value) {
		if strings.HasPrefix(name, "State.") || name == "Public" || name == "ReplayCount" || name == "LastOperatorAt" {
			return
		}
		field.SetZero()
	})
	e.update(want.ID, func(n *record.Execution) { *n = *want })
	e.equal("cleared execution", e.get(want.ID), want)
}

// putAttempts stores attempts of execution 1, which must be there.
func (e *env) putAttempts(list ...*record.Attempt) {
	e.Helper()
	e.do(unit(reads(id(1)), func(tx *store.Tx) error {
		n := *tx.Execution(id(1))
		tx.PutExecution(&n)
		for _, a := range list {
			tx.PutAttempt(a)
		}
		return nil
	}))
}

func (e *env) attempt(key record.AttemptKey) *record.Attempt {
	e.Helper()
	return e.view(store.Reads{Attempts: []record.AttemptKey{key}}).Attempt(key)
}

func testAttemptsComeBackAsWritten(e *env) {
	bare := &record.Attempt{ExecutionID: id(1), Index: 3}
	e.put(waiting(1))
	e.putAttempts(fullAttempt(), bare)
	e.equal("full attempt", e.attempt(fullAttempt().Key()), fullAttempt())
	e.equal("bare attempt", e.attempt(bare.Key()), bare)

	filled, cleared := fullAttempt(), &record.Attempt{ExecutionID: id(1), Index: 7}
	filled.Index = 3
	e.putAttempts(filled, cleared)
	e.equal("attempt written over a bare one", e.attempt(bare.Key()), filled)
	e.equal("attempt written over a full one", e.attempt(fullAttempt().Key()), cleared)
	e.equal("dump", e.dump().Attempts, []*record.Attempt{filled, cleared})
}

func testAttemptsAreListedInOrder(e *env) {
	e.put(waiting(1))
	for _, index := range []int{4, 0, 12, 2} {
		e.putAttempts(&record.Attempt{ExecutionID: id(1), Index: index, StartedAt: start})
	}
	for _, c := range []struct {
		from, limit int
		want        []int
	}{
		{0, 10, []int{0, 2, 4, 12}},
		{0, 3, []int{0, 2, 4}},
		{2, 2, []int{2, 4}},
		{3, 10, []int{4, 12}},
		{13, 10, nil},
	} {
		tx := e.view(store.Reads{AttemptsOf: []store.AttemptsQuery{
			{ExecutionID: id(2), Limit: 10},
			{ExecutionID: id(1), From: c.from, Limit: c.limit},
		}})
		if list := tx.AttemptsOf(0); len(list) != 0 {
			e.Errorf("an execution without attempts has %d", len(list))
		}
		var got []int
		for _, a := range tx.AttemptsOf(1) {
			got = append(got, a.Index)
		}
		if !slices.Equal(got, c.want) {
			e.Errorf("attempts from %d, limit %d: %v, want %v", c.from, c.limit, got, c.want)
		}
	}
}

func testIdempotencyComesBackAsWritten(e *env) {
	key := fullIdempotency().Key
	r := store.Reads{Idempotency: []record.IdempotencyKey{key}}
	e.do(unit(r, func(tx *store.Tx) error {
		if tx.Idempotency(key) != nil {
			e.Error("the key is known before it was written")
		}
		tx.PutIdempotency(fullIdempotency())
		return nil
	}))
	e.equal("idempotency record", e.view(r).Idempotency(key), fullIdempotency())

	next := fullIdempotency()
	next.ExecutionID, next.Digest, next.ExpiresAt = idOn(home, 9), [32]byte{2}, start+99
	e.do(unit(r, func(tx *store.Tx) error {
		n := *next
		tx.PutIdempotency(&n)
		return nil
	}))
	next.Version = 2
	e.equal("updated idempotency record", e.view(r).Idempotency(key), next)
	e.equal("dump", e.dump().Idempotency, []*record.Idempotency{next})
}

func testRoutesAreRegisteredOnce(e *env) {
	second := &record.Route{Lane: mail, ID: 5, Capabilities: []string{"arm"}, Partition: homePartition}
	elsewhere := &record.Route{Lane: "media", ID: 5, Capabilities: []string{"gpu"}, Partition: homePartition}
	again := fullRoute()
	again.Capabilities = []string{"another"}
	for _, routes := range [][]*record.Route{{fullRoute(), fullRoute(), elsewhere}, {second, again}} {
		e.do(unit(store.Reads{}, func(tx *store.Tx) error {
			for _, r := range routes {
				tx.PutRoute(r)
			}
			return nil
		}))
	}
	e.do(unit(store.Reads{Routes: []ff.LaneID{mail, "media", "none"}}, func(tx *store.Tx) error {
		byID := func(x, y *record.Route) int { return cmp.Compare(x.ID, y.ID) }
		e.equal("routes of mail", slices.SortedFunc(slices.Values(tx.Routes(mail)), byID), []*record.Route{fullRoute(), second})
		e.equal("routes of media", tx.Routes("media"), []*record.Route{elsewhere})
		e.equal("routes of no lane", tx.Routes("none"), []*record.Route{})
		return nil
	}))
	e.equal("dump", e.dump().Routes, []*record.Route{fullRoute(), second, elsewhere})
}

func testEventsComeBackInOrder(e *env) {
	bare := record.Event{Family: record.FamilyCompletion, Type: "success", ExecutionID: id(1), At: start}
	var want []record.Event
	for i := range 3 {
		full := fullEvent()
		full.AttemptIndex = i + 1
		want = append(want, full, bare)
		e.do(unit(store.Reads{}, func(tx *store.Tx) error {
			tx.Append(full)
			tx.Append(bare)
			return nil
		}))
	}
	e.equal("events", e.dump().Events, want)
}

func testEventsOfNoExecution(e *env) {
	for _, p := range []ff.Partition{homePartition, {Family: ff.FamilyFlow, Index: 65535}} {
		ev := record.Event{
			Family: record.FamilyWorker, Type: "registered", ExecutionID: record.NoExecution(p), WorkerInstanceID: "w-1", At: start,
		}
		e.do(unitOn(p, store.Reads{}, func(tx *store.Tx) error {
			tx.Append(ev)
			return nil
		}))
		d := e.dump()
		e.equal("last event", d.Events[len(d.Events)-1], ev)
	}
}

// testRecordsAreTheStoresOwn: bytes and tags come from users and go back to them, who may reuse a buffer.
func testRecordsAreTheStoresOwn(e *env) {
	written := fullExecution()
	e.do(unit(reads(id(1)), func(tx *store.Tx) error {
		tx.PutExecution(written)
		return nil
	}))
	spoil := func(x *record.Execution) {
		for _, b := range [][]byte{x.Payload, x.Result, x.ProgressDetails} {
			clear(b)
		}
		clear(x.Tags)
	}
	spoil(written)
	e.equal("after the writer's change", e.get(id(1)), fullExecution())
	spoil(e.get(id(1)))
	e.equal("after a reader's change", e.get(id(1)), fullExecution())
}

func testAbsentRecordsAreNil(e *env) {
	r := store.Reads{
		Executions: ids(1), Attempts: []record.AttemptKey{{ExecutionID: id(1), Index: 2}},
		Idempotency: []record.IdempotencyKey{{Namespace: "default", Key: "k"}},
	}
	check := func(tx *store.Tx) error {
		if got := tx.Execution(id(1)); got != nil {
			e.Errorf("execution: %+v", got)
		}
		if got := tx.Attempt(r.Attempts[0]); got != nil {
			e.Errorf("attempt: %+v", got)
		}
		if got := tx.Idempotency(r.Idempotency[0]); got != nil {
			e.Errorf("idempotency: %+v", got)
		}
		return nil
	}
	e.do(unit(r, check))
	_ = check(e.view(r))
}

// testEveryPartitionHasRoom: a partition is a u16, whatever the column is.
func testEveryPartitionHasRoom(e *env) {
	for _, partition := range []uint16{0, 255, 32767, 32768, 65535} {
		want := waiting(1)
		want.ID, want.DueAt, want.Version = idOn(partition, 1), start, 1
		p := want.ID.Partition()
		e.do(unitOn(p, reads(want.ID), func(tx *store.Tx) error {
			n := *want
			tx.PutExecution(&n)
			tx.PutAttempt(&record.Attempt{ExecutionID: want.ID})
			return nil
		}))
		e.equal("execution", e.get(want.ID), want)
		e.do(unitOn(p, store.Reads{Claimable: claimMail(1).Claimable, Due: dueReads(1).Due}, func(tx *store.Tx) error {
			e.equal("claimable", idsOf(tx.Claimable(0)), []ff.ExecutionID{want.ID})
			takeOff(tx, tx.Claimable(0))
			return nil
		}))
		if got := e.attempt(record.AttemptKey{ExecutionID: want.ID}); got == nil {
			e.Errorf("the attempt on partition %d is lost", partition)
		}
	}
}

func testReopenedStoreHasEverything(e *env) {
	e.put(fullExecution(), bareExecution(), delayed(3, start+5), waiting(4, priority(1)))
	e.putAttempts(fullAttempt())
	key := fullIdempotency().Key
	e.do(unit(store.Reads{Idempotency: []record.IdempotencyKey{key}}, func(tx *store.Tx) error {
		tx.PutIdempotency(fullIdempotency())
		tx.PutRoute(fullRoute())
		tx.Append(fullEvent(), fullEvent())
		return nil
	}))
	e.putRecords(fullRecords()...)
	before := e.dump()
	if !e.reopen() {
		e.Skip("nothing outlives this store")
	}
	e.equal("dump after the reopening", e.dump(), before)
	e.equal("execution after the reopening", e.get(id(2)), bareExecution())
	e.update(id(4), func(n *record.Execution) { n.Priority = 2 })
	e.equal("updated execution", e.get(id(4)).Version, int64(2))
}
