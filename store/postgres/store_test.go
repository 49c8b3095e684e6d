package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// Beyond the bound on statements, all columns are sent as arrays; nothing else changes.
func TestStore_WithoutSpecialShapes(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			s := open(t, migrated(t), &postgres.Config{Clock: clock})
			postgres.UseUpShapes(s)
			return s
		},
	})
}

// submit stores a ready execution and returns it.
func submit(t *testing.T, s store.Store) *record.Execution {
	t.Helper()
	u := submits(1)[0]
	mustApply(t, s, u)
	return u.Wrote[0]
}

func mustApply(t *testing.T, s store.Store, units ...*store.Unit) {
	t.Helper()
	if err := s.Apply(t.Context(), units); err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
	}
}

// read is a unit that loads an execution and, if change is not nil, writes what change makes of it.
func read(id ff.ExecutionID, change func(e *record.Execution)) *store.Unit {
	return &store.Unit{
		Reads: store.Reads{Executions: []ff.ExecutionID{id}},
		Decide: func(tx *store.Tx) error {
			if change != nil {
				n := *tx.Execution(id)
				change(&n)
				tx.PutExecution(&n)
			}
			return nil
		},
	}
}

func claimable(t *testing.T, s store.Store) []ff.ExecutionID {
	t.Helper()
	tx, err := s.View(t.Context(), store.Reads{Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	var ids []ff.ExecutionID
	for _, e := range tx.Claimable(0) {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestClock_IsTheServers(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	e := submit(t, s) // blind: by the estimate
	var now int64
	err := pool(t, urlOf(s), 1).QueryRow(t.Context(), `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint`).Scan(&now)
	if err != nil {
		t.Fatal(err)
	}
	const tolerance = 10_000
	if e.CreatedAt == 0 || int64(e.CreatedAt) > now || int64(e.CreatedAt) < now-tolerance {
		t.Errorf("created at %d, the server's clock is %d", e.CreatedAt, now)
	}
}

func TestApply_OfOneStoreIsGuardedAgainstAnother(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	a, b := open(t, url, nil), open(t, url, nil)
	id := submit(t, a).ID
	const each = 20
	var wg sync.WaitGroup
	for _, s := range []store.Store{a, b} {
		wg.Go(func() {
			for range each {
				for {
					err := s.Apply(t.Context(), []*store.Unit{read(id, func(e *record.Execution) { e.RetryCount++ })})
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrTransient) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	tx, err := a.View(t.Context(), store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		t.Fatal(err)
	}
	if got := tx.Execution(id); got.RetryCount != 2*each || got.Version != 2*each+1 {
		t.Errorf("count %d in version %d, want %d in %d", got.RetryCount, got.Version, 2*each, 2*each+1)
	}
}

// Entries of both queues that a change by hand has left behind are in nobody's way: a session that finds nothing else
// still removes them.
func TestApply_RemovesStaleEntries(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	gone, moved, due, good := submit(t, s), submit(t, s), submit(t, s), submit(t, s)
	run(t, urlOf(s),
		`DELETE FROM ff_exec_core WHERE execution_id = '`+gone.ID.UUID().String()+`'`,
		`UPDATE ff_exec_core SET ready = false WHERE execution_id = '`+moved.ID.UUID().String()+`'`,
		`UPDATE ff_exec_core SET ready = false WHERE execution_id = '`+good.ID.UUID().String()+`'`,
		`DELETE FROM ff_ready WHERE execution_id = '`+due.ID.UUID().String()+`'`,
		`INSERT INTO ff_due (partition_key, due_at_ms, execution_id) SELECT partition_key, 1, execution_id FROM ff_exec_core`,
		`UPDATE ff_exec_core SET ready = true WHERE execution_id = '`+good.ID.UUID().String()+`'`)
	mustApply(t, s, &store.Unit{
		Reads: store.Reads{
			Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: 3}},
			Due:       []store.DueQuery{{Limit: 10}},
		},
		Decide: func(tx *store.Tx) error {
			if claim, due := len(tx.Claimable(0)), len(tx.Due(0)); claim != 1 || due != 0 {
				t.Errorf("found %d ready and %d due, want 1 and 0", claim, due)
			}
			return nil
		},
	})
	d, err := s.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.ReadyEntry{store.ReadyEntryOf(good)}, d.Ready, cmp.Comparer(sameID)); diff != "" {
		t.Errorf("ready entries (-want +got):\n%s", diff)
	}
	if len(d.Due) != 0 {
		t.Errorf("due entries %v, want none", d.Due)
	}
}

func sameID(a, b ff.ExecutionID) bool { return a == b }

func TestFromPool_LeavesSessionsAsTheyAre(t *testing.T) {
	t.Parallel()
	p := pool(t, migrated(t), 1)
	s, err := postgres.FromPool(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	submit(t, s)
	claimable(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"jit", "enable_seqscan", "enable_hashjoin", "plan_cache_mode", "transaction_isolation"} {
		var value string
		if err := p.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		got[name] = value
	}
	want := map[string]string{
		"jit": "on", "enable_seqscan": "on", "enable_hashjoin": "on", "plan_cache_mode": "auto", "transaction_isolation": "read committed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestApply_SurvivesTheLossOfPreparedStatements(t *testing.T) {
	t.Parallel()
	p := pool(t, migrated(t), 1)
	s, err := postgres.FromPool(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	submit(t, s)
	if _, err := p.Exec(t.Context(), `DEALLOCATE ALL`); err != nil { // as some poolers and callers do
		t.Fatal(err)
	}
	submit(t, s)
	if got := len(claimable(t, s)); got != 2 {
		t.Errorf("%d executions, want 2", got)
	}
}

func TestApply_ConnectionLostBeforeTheCommitIsTransient(t *testing.T) {
	t.Parallel()
	cfg, err := pgxpool.ParseConfig(migrated(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // it would find out first
	p, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s, err := postgres.FromPool(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := ff.SoloExecutionID("default", ff.DefaultPartitions())
	mustApply(t, s, read(id, nil))
	terminate(t, cfg.ConnString(), "backend_type = 'client backend'")
	if err := s.Apply(t.Context(), []*store.Unit{read(id, nil)}); !errors.Is(err, store.ErrTransient) {
		t.Errorf("got %v, want ErrTransient", err)
	}
	mustApply(t, s, read(id, nil))
}

func TestApply_ConnectionLostAtTheCommitLeavesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	e := submit(t, s)
	ctx := context.Background()
	c, err := pgx.Connect(ctx, urlOf(s))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, `BEGIN; SELECT 1 FROM ff_exec_core FOR UPDATE`); err != nil { // so that the commit has to wait
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Apply(ctx, []*store.Unit{read(e.ID, func(e *record.Execution) { e.RetryCount++ })}) }()
	terminate(t, urlOf(s), "wait_event_type = 'Lock'")
	if err := <-done; !errors.Is(err, store.ErrUnknownOutcome) {
		t.Errorf("got %v, want ErrUnknownOutcome", err)
	}
}

// terminate ends the sessions of the store's database that match, once there is one, and waits until they are gone.
func terminate(t *testing.T, url, match string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	const where = ` FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND `
	count := func(sql string) (n int) {
		if err := c.QueryRow(ctx, sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for count(`SELECT count(pg_terminate_backend(pid))`+where+match) == 0 {
		count(`SELECT count(pg_sleep(0.01))`)
	}
	for count(`SELECT count(*)`+where+match) > 0 {
		count(`SELECT count(pg_sleep(0.01))`)
	}
}

func TestApply_ADataErrorIsTheBatchs(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	id := ff.SoloExecutionID("default", ff.DefaultPartitions())
	bad := &store.Unit{Reads: store.Reads{Executions: []ff.ExecutionID{id}}, Decide: func(tx *store.Tx) error {
		tx.PutExecution(lifecycle.Submit(&ff.Submit{ID: id, Lane: "default", Kind: "a\x00b"}, tx.Now())) // no text can hold it
		return nil
	}}
	err := s.Apply(t.Context(), []*store.Unit{bad, submits(1)[0]})
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTransient) || errors.Is(err, store.ErrUnknownOutcome) {
		t.Errorf("got %v, want an error that no repetition can mend", err)
	}
	if got := claimable(t, s); len(got) != 0 {
		t.Errorf("claimable %v, want nothing", got)
	}
}
