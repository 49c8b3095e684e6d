package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// backend is a store reduced to what Execute asks of one. It counts.
type backend struct {
	executions map[flowfabric.ExecutionID]*record.Execution
	records    map[record.Key]record.Keyed
	slots      map[flowfabric.LaneID]int
	commitErr  []error // of the next commits
	loadErr    error

	begun, closed int
	loads         [][]flowfabric.ExecutionID
	commits       []*store.Changes
}

func newBackend(list ...*record.Execution) *backend {
	b := &backend{
		executions: make(map[flowfabric.ExecutionID]*record.Execution),
		records:    make(map[record.Key]record.Keyed),
	}
	for _, e := range list {
		b.executions[e.ID] = e
	}
	return b
}

func (b *backend) begin(context.Context) (store.Session, error) {
	b.begun++
	return session{b}, nil
}

// execute runs units and checks that every session was closed.
func (b *backend) execute(t *testing.T, units ...*store.Unit) error {
	t.Helper()
	err := store.Execute(t.Context(), units, b.begin)
	if b.begun != b.closed {
		t.Errorf("%d sessions begun, %d closed", b.begun, b.closed)
	}
	return err
}

type session struct{ *backend }

func (s session) Load(_ context.Context, batch *store.Batch, reads []*store.Load) error {
	if s.loadErr != nil {
		return s.loadErr
	}
	batch.SetNow(5)
	for _, l := range reads {
		s.loads = append(s.loads, l.Reads.Executions)
		for _, id := range l.Reads.Executions {
			batch.AddExecution(id, s.executions[id])
		}
		for _, key := range l.Reads.Records {
			batch.AddRecord(key, s.records[key])
		}
		for range l.Reads.DueRecords {
			batch.AddDueRecords(l, slices.Collect(maps.Values(s.records)))
		}
		for _, lane := range l.Reads.Slots {
			batch.AddSlots(lane, s.slots[lane])
		}
	}
	return nil
}

func (s session) Now() flowfabric.Timestamp { return 7 }

func (s session) Commit(_ context.Context, ch *store.Changes) error {
	s.commits = append(s.commits, ch)
	if len(s.commitErr) > 0 {
		err := s.commitErr[0]
		s.commitErr = s.commitErr[1:]
		return err
	}
	for _, c := range ch.Executions {
		s.executions[c.After.ID] = c.After
	}
	for _, c := range ch.Records {
		s.records[c.Key()] = c.After
	}
	return nil
}

func (s session) Close() { s.closed++ }

func id(n byte) flowfabric.ExecutionID { return flowfabric.ExecutionIDFrom(0, uuid.UUID{15: n}) }

func stored(n byte, version int64, priority int) *record.Execution {
	return &record.Execution{ID: id(n), Version: version, Priority: priority}
}

// raise adds 1 to the priority of an execution; an absent one is made with priority 0.
func raise(n byte) *store.Unit {
	return reading(n, func(tx *store.Tx) error {
		next := record.Execution{ID: id(n)}
		if e := tx.Execution(id(n)); e != nil {
			next = *e
			next.Priority++
		}
		tx.PutExecution(&next)
		return nil
	})
}

func reading(n byte, decide func(*store.Tx) error) *store.Unit {
	return &store.Unit{Reads: store.Reads{Executions: []flowfabric.ExecutionID{id(n)}}, Decide: decide}
}

func believing(u *store.Unit, e *record.Execution) *store.Unit {
	u.Assume = func(flowfabric.ExecutionID) (*record.Execution, bool) { return e, true }
	return u
}

func TestExecute_ConflictRunsTheBatchAgain(t *testing.T) {
	b := newBackend(stored(1, 4, 10))
	b.commitErr = []error{store.ErrConflict, store.ErrConflict}
	u := raise(1)
	if err := b.execute(t, u); err != nil {
		t.Fatal(err)
	}
	if b.begun != 3 || len(b.loads) != 3 {
		t.Errorf("%d sessions, %d loads; want 3 of each", b.begun, len(b.loads))
	}
	if u.Wrote[0].Version != 5 || u.Wrote[0].Priority != 11 {
		t.Errorf("wrote %+v, want version 5 and priority 11", u.Wrote[0])
	}
}

func TestExecute_ConflictsAreBounded(t *testing.T) {
	b := newBackend()
	for range 2 * store.MaxConflicts {
		b.commitErr = append(b.commitErr, store.ErrConflict)
	}
	err := b.execute(t, raise(1))
	if !errors.Is(err, store.ErrTransient) || !errors.Is(err, store.ErrConflict) {
		t.Errorf("error is %v, want both %v and %v", err, store.ErrTransient, store.ErrConflict)
	}
	if b.begun != 8 {
		t.Errorf("%d sessions, want 8", b.begun)
	}
}

func TestExecute_OtherFailuresEndTheBatch(t *testing.T) {
	broken := errors.New("disk full")
	commit, load := newBackend(), newBackend()
	commit.commitErr, load.loadErr = []error{broken}, broken
	for name, b := range map[string]*backend{"commit": commit, "load": load} {
		u := raise(1)
		if err := b.execute(t, u); !errors.Is(err, broken) {
			t.Errorf("%s: error is %v, want %v", name, err, broken)
		}
		if b.begun != 1 || u.Wrote != nil {
			t.Errorf("%s: %d sessions, wrote %v; want 1 and nothing", name, b.begun, u.Wrote)
		}
	}
	err := store.Execute(t.Context(), []*store.Unit{raise(1)}, func(context.Context) (store.Session, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("begin: error is %v, want %v", err, broken)
	}
}

func TestExecute_PanicClosesTheSession(t *testing.T) {
	b := newBackend()
	func() {
		defer func() { _ = recover() }()
		_ = b.execute(t, reading(1, func(*store.Tx) error { panic("a bug") }))
	}()
	if b.begun != 1 || b.closed != 1 || len(b.commits) != 0 {
		t.Errorf("%d begun, %d closed, %d commits; want 1, 1, 0", b.begun, b.closed, len(b.commits))
	}
}

func TestExecute_ConfirmedBeliefIsNeverRead(t *testing.T) {
	b := newBackend(stored(1, 4, 10))
	u := believing(raise(1), stored(1, 4, 10))
	if err := b.execute(t, u, believing(raise(2), nil)); err != nil {
		t.Fatal(err)
	}
	if len(b.loads) != 0 {
		t.Errorf("loads %v, want none: the writes are guarded", b.loads)
	}
	if b.commits[0].Now != 7 {
		t.Errorf("the batch's time is %d, want the session's estimate 7", b.commits[0].Now)
	}
	if got := b.commits[0].Executions[0]; got.Before.Version != 4 || got.After.Version != 5 {
		t.Errorf("guarded by version %d, written as %d; want 4 and 5", got.Before.Version, got.After.Version)
	}
	if got := b.commits[0].Executions[1]; got.Before != nil || got.After.Version != 1 {
		t.Errorf("guarded by %v, written as %d; want an insert as 1", got.Before, got.After.Version)
	}
}

func TestExecute_ConflictEndsBeliefs(t *testing.T) {
	b := newBackend(stored(1, 6, 20))
	b.commitErr = []error{store.ErrConflict}
	u := believing(raise(1), stored(1, 4, 10))
	if err := b.execute(t, u); err != nil {
		t.Fatal(err)
	}
	if len(b.loads) != 1 || u.Wrote[0].Version != 7 || u.Wrote[0].Priority != 21 {
		t.Errorf("%d loads, wrote %+v; want one, version 7, priority 21", len(b.loads), u.Wrote[0])
	}
}

func TestExecute_UnconfirmedBeliefIsReadOnce(t *testing.T) {
	refused := errors.New("refused")
	b := newBackend(stored(1, 6, 20))
	var saw []int
	look := func(err error) *store.Unit {
		return believing(reading(1, func(tx *store.Tx) error {
			saw = append(saw, tx.Execution(id(1)).Priority)
			return err
		}), stored(1, 4, 10))
	}
	failing := look(refused)
	if err := b.execute(t, failing, look(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10, 20, 20}, saw); diff != "" {
		t.Errorf("what the units saw (-want +got):\n%s", diff)
	}
	if !errors.Is(failing.Err, refused) || len(b.loads) != 1 || len(b.commits) != 0 {
		t.Errorf("error %v, %d loads, %d commits; want %v, 1, 0", failing.Err, len(b.loads), len(b.commits), refused)
	}
}

// A later unit's outcome that rests on an earlier unit's write is confirmed by the guard of that write.
func TestExecute_BeliefWrittenEarlierInTheBatchStaysGuarded(t *testing.T) {
	b := newBackend(stored(1, 6, 20))
	b.commitErr = []error{store.ErrConflict}
	refused := errors.New("refused")
	check := reading(1, func(tx *store.Tx) error {
		if tx.Execution(id(1)).Priority < 21 {
			return refused
		}
		return nil
	})
	if err := b.execute(t, believing(raise(1), stored(1, 4, 10)), believing(check, stored(1, 4, 10))); err != nil {
		t.Fatal(err)
	}
	if check.Err != nil || b.commits[0].Executions[0].Before.Version != 4 || b.commits[1].Executions[0].Before.Version != 6 {
		t.Errorf("error %v, guards %d then %d; want none, 4 then 6", check.Err,
			b.commits[0].Executions[0].Before.Version, b.commits[1].Executions[0].Before.Version)
	}
}

func TestExecute_NeedIsBounded(t *testing.T) {
	b := newBackend()
	runs := 0
	err := b.execute(t, raise(2), reading(1, func(tx *store.Tx) error {
		runs++
		return tx.Need(store.Reads{Executions: []flowfabric.ExecutionID{id(1)}})
	}))
	if err == nil || runs != 20_000 || len(b.commits) != 0 {
		t.Errorf("error %v, %d runs, %d commits; want an error, 20000, 0", err, runs, len(b.commits))
	}
}

func TestExecute_NothingWrittenIsNotCommitted(t *testing.T) {
	b := newBackend(stored(1, 1, 0))
	refused := errors.New("refused")
	failing := reading(1, func(tx *store.Tx) error {
		tx.PutExecution(stored(1, 1, 5))
		tx.Append(record.Event{ExecutionID: id(1)})
		return refused
	})
	if err := b.execute(t, failing, reading(1, func(*store.Tx) error { return nil })); err != nil {
		t.Fatal(err)
	}
	if len(b.commits) != 0 || failing.Wrote != nil {
		t.Errorf("%d commits, wrote %v; want none", len(b.commits), failing.Wrote)
	}
}

func TestExecute_ChangesAreInOrderOfKeys(t *testing.T) {
	b := newBackend()
	u := &store.Unit{Decide: func(tx *store.Tx) error {
		for _, n := range []byte{9, 3, 200, 1} {
			tx.PutExecution(stored(n, 0, 0))
			tx.PutAttempt(&record.Attempt{ExecutionID: id(n), Index: 2})
			tx.PutAttempt(&record.Attempt{ExecutionID: id(n), Index: 1})
			tx.PutIdempotency(&record.Idempotency{Key: record.IdempotencyKey{Namespace: "x", Key: string(rune('a' + n%26))}})
		}
		return nil
	}}
	if err := b.execute(t, u); err != nil {
		t.Fatal(err)
	}
	var executions, attempts []byte
	var keys string
	for _, c := range b.commits[0].Executions {
		executions = append(executions, c.After.ID.UUID()[15])
	}
	for _, a := range b.commits[0].Attempts {
		attempts = append(attempts, a.ExecutionID.UUID()[15], byte(a.Index))
	}
	for _, c := range b.commits[0].Idempotency {
		keys += c.After.Key.Key
	}
	if diff := cmp.Diff([]byte{1, 3, 9, 200}, executions); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]byte{1, 1, 1, 2, 3, 1, 3, 2, 9, 1, 9, 2, 200, 1, 200, 2}, attempts); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if keys != "bdjs" {
		t.Errorf("keys are in order %q, want %q", keys, "bdjs")
	}
}

// The storage clock has said 5 when an execution is read, and says 7 to a batch that reads nothing since it believes it.
func TestExecute_TimeIsNotBehindWhatAnotherProcessHasDone(t *testing.T) {
	for name, c := range map[string]struct {
		believed      bool
		written, want flowfabric.Timestamp
	}{
		"before":                      {false, 4, 5},
		"a little later":              {false, 905, 905},
		"a second later":              {false, 1005, 1005},
		"later than clocks":           {false, 1006, 5},
		"believed, before":            {true, 4, 7},
		"believed, a little later":    {true, 907, 907},
		"believed, a second later":    {true, 1007, 1007},
		"believed, later than clocks": {true, 1008, 7},
	} {
		e := stored(1, 4, 10)
		e.LastMutationAt = c.written
		b := newBackend(e)
		u := raise(1)
		if c.believed {
			u.Assume = func(flowfabric.ExecutionID) (*record.Execution, bool) { return e, true }
		}
		var now flowfabric.Timestamp
		decide := u.Decide
		u.Decide = func(tx *store.Tx) error { now = tx.Now(); return decide(tx) }
		if err := b.execute(t, u); err != nil {
			t.Fatal(err)
		}
		if now != c.want || b.commits[0].Now != c.want {
			t.Errorf("%s: decided at %d, committed at %d; want %d", name, now, b.commits[0].Now, c.want)
		}
	}
}
