package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func laneKey(lane flowfabric.LaneID) record.LaneKey { return record.LaneKey{Lane: lane} }

func lane(id flowfabric.LaneID, version int64, weight int) *record.Lane {
	return &record.Lane{LaneKey: laneKey(id), Version: version, Weight: weight}
}

// withLane is a backend that holds one lane.
func withLane(l *record.Lane) *backend {
	b := newBackend()
	b.records[l.Key()] = l
	return b
}

func readingLane(id flowfabric.LaneID, decide func(*store.Tx) error) *store.Unit {
	return &store.Unit{Reads: store.Reads{Records: []record.Key{laneKey(id)}}, Decide: decide}
}

func doing(do func(*store.Tx)) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		do(tx)
		return nil
	}
}

// raiseWeight adds 1 to the weight of a lane; an absent one is made with weight 0.
func raiseWeight(id flowfabric.LaneID) *store.Unit {
	return readingLane(id, doing(func(tx *store.Tx) {
		next := record.Lane{LaneKey: laneKey(id)}
		if l := store.Get[*record.Lane](tx, laneKey(id)); l != nil {
			next = *l
			next.Weight++
		}
		tx.Put(&next)
	}))
}

// written is what a test checks of the changes to lanes.
type written struct {
	Lane                  flowfabric.LaneID
	Before, After, Weight int64 // versions; -1: deleted
}

func writtenOf(changes []store.RecordChange) []written {
	var out []written
	for _, c := range changes {
		w := written{Lane: c.Key().(record.LaneKey).Lane, After: -1}
		if c.Before != nil {
			w.Before = *c.Before.VersionField()
		}
		if l, ok := c.After.(*record.Lane); ok {
			w.After, w.Weight = l.Version, int64(l.Weight)
		}
		out = append(out, w)
	}
	return out
}

func (b *backend) wantRecords(t *testing.T, want ...written) {
	t.Helper()
	if len(b.commits) != 1 {
		t.Fatalf("%d commits, want 1", len(b.commits))
	}
	if diff := cmp.Diff(want, writtenOf(b.commits[0].Records)); diff != "" {
		t.Errorf("records written (-want +got):\n%s", diff)
	}
}

func (b *backend) wantRegistered(t *testing.T, want ...flowfabric.LaneID) {
	t.Helper()
	var got []flowfabric.LaneID
	for _, r := range b.commits[0].Registered {
		got = append(got, r.(*record.Lane).Lane)
		if v := *r.VersionField(); v != 1 {
			t.Errorf("registered lane %q has version %d, want 1", r.Key().Parts(), v)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records registered (-want +got):\n%s", diff)
	}
}

func TestPut_LaterUnitsSeeIt(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	if err := b.execute(t, raiseWeight("mail"), raiseWeight("mail"), raiseWeight("chat"), raiseWeight("chat")); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "chat", After: 1, Weight: 1}, written{Lane: "mail", Before: 4, After: 5, Weight: 12})
}

func TestPut_OfAUnitThatFailsIsForgotten(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	failing := raiseWeight("mail")
	decide := failing.Decide
	failing.Decide = func(tx *store.Tx) error {
		tx.Register(lane("chat", 0, 0))
		tx.Guard(laneKey("mail"))
		_ = decide(tx)
		return flowfabric.ErrInvalidInput
	}
	if err := b.execute(t, failing, raiseWeight("mail")); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "mail", Before: 4, After: 5, Weight: 11})
	b.wantRegistered(t)
}

func TestDelete_IsGuardedAndSeen(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	remove := readingLane("mail", doing(func(tx *store.Tx) { tx.Delete(laneKey("mail")) }))
	look := readingLane("mail", doing(func(tx *store.Tx) {
		if r := tx.Record(laneKey("mail")); r != nil {
			t.Errorf("the lane is %v, want none", r)
		}
	}))
	if err := b.execute(t, remove, look); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "mail", Before: 4, After: -1})
}

func TestDelete_OfWhatTheBatchMadeWritesNothing(t *testing.T) {
	b := newBackend()
	err := b.execute(t, raiseWeight("mail"), readingLane("mail", doing(func(tx *store.Tx) { tx.Delete(laneKey("mail")) })))
	if err != nil || len(b.commits) != 0 {
		t.Errorf("error %v, %d commits; want none of either", err, len(b.commits))
	}
}

func TestRegister_WithoutAReadIsLeftToTheStore(t *testing.T) {
	b := newBackend()
	u := &store.Unit{Decide: doing(func(tx *store.Tx) {
		for _, id := range []flowfabric.LaneID{"z", "a", "a"} {
			tx.Register(lane(id, 0, 0))
		}
	})}
	again := &store.Unit{Decide: doing(func(tx *store.Tx) { tx.Register(lane("z", 0, 9)) })}
	if err := b.execute(t, u, again); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t)
	b.wantRegistered(t, "a", "z")
	if got := b.commits[0].Registered[1].(*record.Lane).Weight; got != 0 {
		t.Errorf("weight %d, want 0: the first registration counts", got)
	}
}

func TestRegister_OfWhatIsThereChangesNothing(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	err := b.execute(t, readingLane("mail", doing(func(tx *store.Tx) { tx.Register(lane("mail", 0, 99)) })))
	if err != nil || len(b.commits) != 0 {
		t.Errorf("error %v, %d commits; want none of either", err, len(b.commits))
	}
}

func TestRegister_OfWhatWasReadAbsentIsAGuardedInsert(t *testing.T) {
	b := newBackend()
	first := readingLane("mail", doing(func(tx *store.Tx) { tx.Register(lane("mail", 0, 7)) }))
	if err := b.execute(t, first, raiseWeight("mail")); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "mail", After: 1, Weight: 8})
	b.wantRegistered(t)
}

// A unit that asks for a record an earlier one has registered must not write it a second time.
func TestRegister_IsSeenByAUnitThatReadsLater(t *testing.T) {
	for name, c := range map[string]struct {
		b      *backend
		weight int
		want   []written
	}{
		"absent":  {newBackend(), 7, []written{{Lane: "mail", After: 1, Weight: 7}}},
		"present": {withLane(lane("mail", 4, 10)), 10, nil},
	} {
		first := &store.Unit{Decide: doing(func(tx *store.Tx) { tx.Register(lane("mail", 0, 7)) })}
		asked := false
		later := reading(1, func(tx *store.Tx) error {
			tx.PutExecution(stored(1, 0, 0)) // so that there is a commit
			if !asked {
				asked = true
				return tx.Need(store.Reads{Records: []record.Key{laneKey("mail")}})
			}
			if got := store.Get[*record.Lane](tx, laneKey("mail")).Weight; got != c.weight {
				t.Errorf("%s: weight %d, want %d", name, got, c.weight)
			}
			return nil
		})
		if err := c.b.execute(t, first, later); err != nil {
			t.Fatal(err)
		}
		c.b.wantRecords(t, c.want...)
		c.b.wantRegistered(t)
	}
}

func TestGuard_HoldsWhatTheBatchDoesNotWrite(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	b.records[laneKey("chat")] = lane("chat", 2, 0)
	keys := []record.Key{laneKey("mail"), laneKey("chat"), laneKey("none")}
	guard := &store.Unit{Reads: store.Reads{Records: keys}, Decide: doing(func(tx *store.Tx) {
		for _, key := range keys {
			tx.Guard(key)
		}
	})}
	if err := b.execute(t, guard, raiseWeight("mail")); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "mail", Before: 4, After: 5, Weight: 11})
	if got := b.commits[0].Guarded; len(got) != 1 || got[0].Key() != laneKey("chat") || *got[0].VersionField() != 2 {
		t.Errorf("guarded %v, want lane chat in version 2", got)
	}
}

func TestDueRecords_LeaveOutWhatIsGone(t *testing.T) {
	b := withLane(lane("mail", 4, 10))
	due := store.Reads{DueRecords: []store.DueRecordsQuery{{Family: record.Lanes, Limit: 10}}}
	first := &store.Unit{Reads: due, Decide: doing(func(tx *store.Tx) { tx.Delete(tx.DueRecords(0)[0].Key()) })}
	second := &store.Unit{Reads: due, Decide: doing(func(tx *store.Tx) {
		if got := tx.DueRecords(0); len(got) != 0 {
			t.Errorf("due are %v, want none", got)
		}
	})}
	if err := b.execute(t, first, second); err != nil {
		t.Fatal(err)
	}
	b.wantRecords(t, written{Lane: "mail", Before: 4, After: -1})
}

func TestSlots_CountWhatEarlierUnitsChange(t *testing.T) {
	holder, waiter := stored(1, 3, 0), stored(2, 3, 0)
	holder.Lane, holder.Slot, waiter.Lane = "mail", true, "mail"
	b := newBackend(holder, waiter)
	b.slots = map[flowfabric.LaneID]int{"mail": 5}
	read := store.Reads{Executions: []flowfabric.ExecutionID{id(1), id(2)}, Slots: []flowfabric.LaneID{"mail", "chat"}}
	set := func(n byte, slot bool, before int) *store.Unit {
		return &store.Unit{Reads: read, Decide: doing(func(tx *store.Tx) {
			if got := tx.Slots("mail"); got != before {
				t.Errorf("%d slots taken, want %d", got, before)
			}
			if got := tx.Slots("chat"); got != 0 {
				t.Errorf("%d slots of another lane taken, want 0", got)
			}
			next := *tx.Execution(id(n))
			next.Slot = slot
			tx.PutExecution(&next)
			if got := tx.Slots("mail"); got != before {
				t.Errorf("%d slots after the unit's own write, want %d as before", got, before)
			}
		})}
	}
	// Taken twice is taken once; freed and taken again is as it was.
	err := b.execute(t, set(2, true, 5), set(2, true, 6), set(1, false, 6), set(1, true, 5), set(2, false, 6), set(2, false, 5))
	if err != nil {
		t.Fatal(err)
	}
}

// A belief that no write confirms is read again, however many keyed records the unit writes.
func TestExecute_WritesOfKeyedRecordsConfirmNoBelief(t *testing.T) {
	b := newBackend(stored(1, 6, 20))
	var saw []int
	u := believing(&store.Unit{
		Reads: store.Reads{Executions: []flowfabric.ExecutionID{id(1)}, Records: []record.Key{laneKey("mail")}},
		Decide: doing(func(tx *store.Tx) {
			saw = append(saw, tx.Execution(id(1)).Priority)
			tx.Put(lane("mail", 0, 0))
		}),
	}, stored(1, 4, 10))
	if err := b.execute(t, u); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10, 20}, saw); diff != "" {
		t.Errorf("what the unit saw (-want +got):\n%s", diff)
	}
	b.wantRecords(t, written{Lane: "mail", After: 1})
}
