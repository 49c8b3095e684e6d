package sqlite

import (
	"errors"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// priorityOf returns an execution's priority as a writing session of s sees it.
func priorityOf(t *testing.T, s *Store, id ff.ExecutionID) int {
	t.Helper()
	priority := 0
	apply(t, s, &store.Unit{Reads: store.Reads{Executions: []ff.ExecutionID{id}}, Decide: func(tx *store.Tx) error {
		priority = tx.Execution(id).Priority
		return nil
	}})
	return priority
}

func prioritize(id ff.ExecutionID, priority int) *store.Unit {
	return put(id, func(e *record.Execution) *record.Execution {
		n := *e
		n.Priority = priority
		return &n
	})
}

func TestCache_ForgetsWhatAnotherConnectionMayHaveChanged(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	id := newID()
	apply(t, s, submit(id), prioritize(id, 1))
	if got := priorityOf(t, s, id); got != 1 {
		t.Errorf("priority %d; want 1", got)
	}
	script(t, path, "UPDATE ff_exec_core SET priority = 2")
	if got := priorityOf(t, s, id); got != 2 {
		t.Errorf("priority %d after a change by hand; want 2", got)
	}
}

func TestCache_HoldsNothingOfABatchThatWasUndone(t *testing.T) {
	s := open(t, newPath(t), nil)
	good, other := newID(), newID()
	apply(t, s, submit(good), submit(other))

	// The second change does not hold its guard, which undoes the first.
	sn, err := s.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changed := func(id ff.ExecutionID, version int64) store.Change[record.Execution] {
		before := ready(id)
		before.Version = version
		after := *before
		after.Priority, after.Version = 5, version+1
		return store.Change[record.Execution]{Before: before, After: &after}
	}
	err = sn.Commit(t.Context(), &store.Changes{Executions: []store.Change[record.Execution]{changed(good, 1), changed(other, 9)}})
	sn.Close()
	if !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Commit = %v; want ErrConflict", err)
	}
	if got := priorityOf(t, s, good); got != 0 {
		t.Errorf("priority %d; want 0", got)
	}
}

func TestCache_KeepsTheRecentUnfinishedAndSmall(t *testing.T) {
	var c cache
	c.begin(1)
	put := func(e *record.Execution) *record.Execution {
		c.committed([]store.Change[record.Execution]{{After: e}})
		return e
	}
	first := put(ready(newID()))
	finished := put(ready(newID()))
	gone := *finished
	gone.State.Phase = ff.PhaseTerminal
	put(&gone)
	big := ready(newID())
	big.Payload = make([]byte, cacheBytes+1)
	put(big)
	if c.get(first.ID) != first || c.get(finished.ID) != nil || c.get(big.ID) != nil {
		t.Error("want the first execution and neither the finished nor the big one")
	}
	for range cacheRecords {
		put(ready(newID()))
	}
	if c.get(first.ID) != first {
		t.Error("the first execution is gone after one generation")
	}
	var last *record.Execution
	for range cacheRecords {
		last = put(ready(newID()))
	}
	if c.get(first.ID) != nil || c.get(last.ID) != last {
		t.Error("want the last execution, and the first gone after two generations")
	}
	if n := len(c.young) + len(c.old); n > 2*cacheRecords {
		t.Errorf("%d records; want at most %d", n, 2*cacheRecords)
	}
	c.begin(2)
	if c.get(last.ID) != nil {
		t.Error("a record outlived another connection's commit")
	}
}
