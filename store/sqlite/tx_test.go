package sqlite

import (
	"context"
	"errors"
	"testing"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// caller is a program with a database of its own, which the store shares.
type caller struct {
	*testing.T
	db    *driver.Conn
	store *Store
	now   ff.Timestamp
	path  string
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	c := &caller{T: t, path: newPath(t), now: 1_000}
	script(t, c.path, "CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1); PRAGMA user_version = 7; PRAGMA application_id = 8")
	c.store = open(t, c.path, &Config{Shared: true, Clock: func() ff.Timestamp { return c.now }})
	var err error
	if c.db, err = driver.OpenConn(c.path, driver.OpenReadWrite); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.db.Close() })
	return c
}

func (c *caller) exec(sql string) {
	c.Helper()
	if err := sqlitex.ExecuteTransient(c.db, sql, nil); err != nil {
		c.Fatalf("%s: %v", sql, err)
	}
}

func (c *caller) opts() TxOptions { return TxOptions{Store: c.store} }

func (c *caller) submit(cmds ...ff.Submit) []ff.SubmitResult {
	c.Helper()
	results, err := SubmitTx(c.Context(), c.db, c.opts(), cmds...)
	if err != nil {
		c.Fatal(err)
	}
	return results
}

// hold stores an execution under a lease that runs out at a time and returns its id and fence.
func (c *caller) hold(until ff.Timestamp) (ff.ExecutionID, ff.Fence) {
	c.Helper()
	id := newID()
	e := &record.Execution{
		ID: id, Lane: "mail", Namespace: "default", CreatedAt: 10, DueAt: until, Public: ff.PublicActive,
		State: ff.StateVector{
			Phase: ff.PhaseActive, Ownership: ff.Leased, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.ReasonNone,
			Outcome: ff.OutcomeNone, AttemptState: ff.RunningAttempt,
		},
		TotalAttempts: 1, AttemptID: ff.NewAttemptID(), AttemptType: ff.AttemptInitial, AttemptStartedAt: 20, StartedAt: 20,
		Epoch: 1, LeaseID: ff.NewLeaseID(), WorkerID: "worker", WorkerInstanceID: "worker-1",
		LeaseAcquiredAt: 20, LeaseRenewedAt: 20, LeaseExpiresAt: until,
	}
	apply(c.T, c.store, put(id, func(*record.Execution) *record.Execution { return e }))
	return id, ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID}
}

// content is what both sides have stored.
func (c *caller) content() (orders, executions, attempts, events string) {
	c.Helper()
	count := func(table string) string { return ask(c.T, c.path, "SELECT count(*) FROM "+table) }
	return count("orders"), count("ff_exec_core"), count("ff_attempt"), count("ff_event")
}

func TestSubmitTx_CommitsWithTheCaller(t *testing.T) {
	c := newCaller(t)
	c.exec("BEGIN IMMEDIATE")
	c.exec("INSERT INTO orders VALUES (2)")
	results := c.submit(ff.Submit{Lane: "mail", Kind: "send"}, ff.Submit{Lane: "mail", Kind: "send", IdempotencyKey: "order-2"})
	c.exec("COMMIT")
	if orders, executions, _, _ := c.content(); orders != "2" || executions != "2" {
		t.Errorf("%s orders and %s executions; want 2 and 2", orders, executions)
	}
	u := claim(10)
	apply(t, c.store, u)
	if len(u.Wrote) != 2 {
		t.Fatalf("%d executions claimed; want 2", len(u.Wrote))
	}
	for i, r := range results {
		if r.Outcome != ff.Created || r.ID != u.Wrote[0].ID && r.ID != u.Wrote[1].ID {
			t.Errorf("result %d is %+v; want one that was claimed", i, r)
		}
	}
	c.exec("BEGIN IMMEDIATE")
	again := c.submit(ff.Submit{Lane: "mail", Kind: "send", IdempotencyKey: "order-2"})
	c.exec("COMMIT")
	if again[0].Outcome != ff.Duplicate || again[0].ID != results[1].ID {
		t.Errorf("a repeat answers %+v; want a duplicate of %s", again[0], results[1].ID)
	}
}

func TestSubmitTx_RolledBackWasNeverSubmitted(t *testing.T) {
	c := newCaller(t)
	c.exec("BEGIN IMMEDIATE")
	c.exec("INSERT INTO orders VALUES (2)")
	c.submit(ff.Submit{Lane: "mail", Kind: "send"})
	c.exec("ROLLBACK")
	if orders, executions, _, _ := c.content(); orders != "1" || executions != "0" {
		t.Errorf("%s orders and %s executions; want 1 and 0", orders, executions)
	}
	apply(t, c.store, submit(newID())) // the writer is free
}

func TestSubmitTx_ARepeatedIDIsADuplicate(t *testing.T) {
	c := newCaller(t)
	id := ff.SoloExecutionID("mail", ff.DefaultPartitions())
	c.exec("BEGIN IMMEDIATE")
	first := c.submit(ff.Submit{ID: id, Lane: "mail", Kind: "send"})
	second := c.submit(ff.Submit{ID: id, Lane: "mail", Kind: "send"}, ff.Submit{Lane: "mail", Kind: "send"})
	c.exec("COMMIT")
	if first[0].Outcome != ff.Created || second[0].Outcome != ff.Duplicate || second[1].Outcome != ff.Created {
		t.Errorf("outcomes %s, then %s and %s; want created, then duplicate and created",
			first[0].Outcome, second[0].Outcome, second[1].Outcome)
	}
	if _, executions, _, _ := c.content(); executions != "2" {
		t.Errorf("%s executions; want 2", executions)
	}
}

func TestSubmitTx_BadInputChangesNothing(t *testing.T) {
	c := newCaller(t)
	many := make([]ff.Submit, ff.MaxSubmitMany+1)
	for i := range many {
		many[i] = ff.Submit{Lane: "mail", Kind: "send"}
	}
	c.exec("BEGIN IMMEDIATE")
	for name, cmds := range map[string][]ff.Submit{
		"one command too many": many,
		"a lane without name":  {{Lane: "mail", Kind: "send"}, {Kind: "send"}},
	} {
		if _, err := SubmitTx(t.Context(), c.db, c.opts(), cmds...); !errors.Is(err, ff.ErrInvalidInput) {
			t.Errorf("%s: %v; want invalid_input", name, err)
		}
	}
	if list, err := SubmitTx(t.Context(), c.db, c.opts()); len(list) != 0 || err != nil {
		t.Errorf("no commands: %v, %v; want nothing", list, err)
	}
	c.exec("INSERT INTO orders VALUES (2)")
	c.exec("COMMIT")
	if orders, executions, _, _ := c.content(); orders != "2" || executions != "0" {
		t.Errorf("%s orders and %s executions; want 2 and 0", orders, executions)
	}
}

func TestSubmitTx_AClosedLaneRefuses(t *testing.T) {
	c := newCaller(t)
	c.exec("BEGIN IMMEDIATE")
	c.submit(ff.Submit{Lane: "mail", Kind: "send"}) // registers the lane
	c.exec("COMMIT")
	script(t, c.path, "UPDATE ff_lane_registry SET state = 'draining'")
	c.exec("BEGIN IMMEDIATE")
	_, err := SubmitTx(t.Context(), c.db, c.opts(), ff.Submit{Lane: "mail", Kind: "send"})
	c.exec("COMMIT")
	if !errors.Is(err, ff.ErrLaneClosed) {
		t.Errorf("%v; want lane_closed", err)
	}
	if _, executions, _, _ := c.content(); executions != "1" {
		t.Errorf("%s executions; want 1", executions)
	}
}

func TestTx_WantsATransactionOnOurFile(t *testing.T) {
	c := newCaller(t)
	send := ff.Submit{Lane: "mail", Kind: "send"}
	if _, err := SubmitTx(t.Context(), c.db, c.opts(), send); !errors.Is(err, ff.ErrInvalidInput) {
		t.Errorf("without a transaction: %v; want invalid_input", err)
	}
	path := newPath(t)
	script(t, path, "CREATE TABLE orders (id INTEGER)")
	other, err := driver.OpenConn(path, driver.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := sqlitex.ExecuteTransient(other, "BEGIN", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := SubmitTx(t.Context(), other, TxOptions{}, send); !errors.Is(err, ff.ErrInvalidInput) {
		t.Errorf("on another application's file: %v; want invalid_input", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.exec("BEGIN IMMEDIATE")
	if _, err := SubmitTx(ended, c.db, c.opts(), send); !errors.Is(err, ff.ErrTimeout) {
		t.Errorf("with an ended context: %v; want timeout", err)
	}
	c.exec("ROLLBACK")
}

// A transaction that has read before another wrote cannot write any more.
func TestTx_AStaleTransactionIsToldToBeginAgain(t *testing.T) {
	c := newCaller(t)
	c.exec("BEGIN")
	c.exec("SELECT count(*) FROM orders")
	apply(t, c.store, submit(newID()))
	_, err := SubmitTx(t.Context(), c.db, c.opts(), ff.Submit{Lane: "mail", Kind: "send"})
	if !errors.Is(err, ff.ErrUnavailable) {
		t.Errorf("%v; want unavailable", err)
	}
	c.exec("ROLLBACK")
}

func TestCompleteTx_CommitsWithTheCaller(t *testing.T) {
	c := newCaller(t)
	id, fence := c.hold(2_000)
	complete := ff.Complete{ExecutionID: id, Fence: fence, Result: []byte("ok")}

	c.exec("BEGIN IMMEDIATE")
	c.exec("INSERT INTO orders VALUES (2)")
	if err := CompleteTx(t.Context(), c.db, c.opts(), complete); err != nil {
		t.Fatal(err)
	}
	c.exec("ROLLBACK")
	if orders, _, attempts, events := c.content(); orders != "1" || attempts != "0" || events != "0" {
		t.Errorf("rolled back: %s orders, %s attempts, %s events; want 1, 0, 0", orders, attempts, events)
	}
	if e := stored(t, c.store, id); e.Public != ff.PublicActive {
		t.Errorf("rolled back: %s; want active", e.Public)
	}

	c.exec("BEGIN IMMEDIATE")
	c.exec("INSERT INTO orders VALUES (2)")
	if err := CompleteTx(t.Context(), c.db, c.opts(), complete); err != nil {
		t.Fatal(err)
	}
	c.exec("COMMIT")
	if orders, _, attempts, events := c.content(); orders != "2" || attempts != "1" || events != "1" {
		t.Errorf("committed: %s orders, %s attempts, %s events; want 2, 1, 1", orders, attempts, events)
	}
	if e := stored(t, c.store, id); e.Public != ff.PublicCompleted || string(e.Result) != "ok" || e.CompletedAt != 1_000 {
		t.Errorf("committed: %s at %d with result %q; want completed at 1000 with ok", e.Public, e.CompletedAt, e.Result)
	}
}

func TestCompleteTx_ARefusedFenceWritesNothingOfOurs(t *testing.T) {
	for name, tc := range map[string]struct {
		now   ff.Timestamp
		fence func(*ff.Fence)
		want  error
	}{
		"another lease":      {1_000, func(f *ff.Fence) { f.LeaseID = ff.NewLeaseID() }, ff.ErrStaleLease},
		"another epoch":      {1_000, func(f *ff.Fence) { f.Epoch++ }, ff.ErrStaleLease},
		"the last instant":   {1_999, func(*ff.Fence) {}, nil},
		"a lease at its end": {2_000, func(*ff.Fence) {}, ff.ErrLeaseExpired},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t)
			id, fence := c.hold(2_000)
			tc.fence(&fence)
			c.now = tc.now
			before := stored(t, c.store, id)
			c.exec("BEGIN IMMEDIATE")
			c.exec("INSERT INTO orders VALUES (2)")
			err := CompleteTx(t.Context(), c.db, c.opts(), ff.Complete{ExecutionID: id, Fence: fence})
			c.exec("COMMIT")
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v; want %v", err, tc.want)
			}
			if tc.want == nil {
				return
			}
			orders, _, attempts, events := c.content()
			if orders != "2" || attempts != "0" || events != "0" {
				t.Errorf("%s orders, %s attempts, %s events; want 2, 0, 0", orders, attempts, events)
			}
			if after := stored(t, c.store, id); after.Version != before.Version {
				t.Errorf("version %d; want %d as before", after.Version, before.Version)
			}
		})
	}
}

func TestTx_LeavesTheCallersMarksAlone(t *testing.T) {
	c := newCaller(t)
	if got := ask(t, c.path, "PRAGMA user_version"); got != "7" {
		t.Errorf("user_version %s; want the caller's 7", got)
	}
	if got := ask(t, c.path, "PRAGMA application_id"); got != "8" {
		t.Errorf("application_id %s; want the caller's 8", got)
	}
}

func TestTx_ACommitIsNoticedByTheEnginesOfTheProcess(t *testing.T) {
	c := newCaller(t)
	wakes, err := c.store.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.exec("BEGIN IMMEDIATE")
	c.submit(ff.Submit{Lane: "mail", Kind: "send"})
	c.exec("COMMIT")
	if wake := <-wakes; wake != (store.Wake{}) {
		t.Errorf("wake %v; want one for any lane", wake)
	}
}

func TestRecordStepTx_CommitsWithTheCaller(t *testing.T) {
	c := newCaller(t)
	id, fence := c.hold(2_000)
	cmd := ff.RecordStep{ExecutionID: id, Fence: fence, Name: "charge", Result: []byte("paid")}
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		c.exec("BEGIN IMMEDIATE")
		c.exec("INSERT INTO orders VALUES (2)")
		memo, err := RecordStepTx(t.Context(), c.db, c.opts(), cmd)
		if err != nil || memo.Repeated || string(memo.Result) != "paid" || memo.RecordedAt != 1_000 {
			t.Fatalf("%+v, %v", memo, err)
		}
		c.exec(end)
		want := map[string]string{"ROLLBACK": "1 0", "COMMIT": "2 1"}[end]
		if got := ask(t, c.path, "SELECT (SELECT count(*) FROM orders) || ' ' || (SELECT count(*) FROM ff_step)"); got != want {
			t.Errorf("%s: orders and steps %s, want %s", end, got, want)
		}
	}
	c.exec("BEGIN IMMEDIATE")
	cmd.Result = []byte("paid again")
	memo, err := RecordStepTx(t.Context(), c.db, c.opts(), cmd)
	if err != nil || !memo.Repeated || string(memo.Result) != "paid" {
		t.Errorf("recorded again: %+v, %v", memo, err)
	}
	c.exec("ROLLBACK")
	c.now = 2_000
	c.exec("BEGIN IMMEDIATE")
	cmd.Name = "another"
	if _, err := RecordStepTx(t.Context(), c.db, c.opts(), cmd); !errors.Is(err, ff.ErrLeaseExpired) {
		t.Errorf("after the end of the lease: %v", err)
	}
	c.exec("ROLLBACK")
}
