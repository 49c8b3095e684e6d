package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			return open(t, filepath.Join(t.TempDir(), "test.db"), &Config{Clock: clock, Synchronous: Normal})
		},
		Reopen: func(t testing.TB, s store.Store, clock store.Clock) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).path, &Config{Clock: clock, Synchronous: Normal})
		},
	})
}

// open opens a store that the test's end closes.
func open(t testing.TB, path string, cfg *Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// script runs SQL on the file as another program would.
func script(t *testing.T, path, sql string) {
	t.Helper()
	db, err := driver.OpenConn(path, driver.OpenReadWrite, driver.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := sqlitex.ExecuteScript(db, sql, nil); err != nil {
		t.Fatal(err)
	}
}

// ask returns the text a query answers, asked as another program would.
func ask(t *testing.T, path, query string) string {
	t.Helper()
	db, err := driver.OpenConn(path, driver.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	text, err := sqlitex.ResultText(db.Prep(query))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newID() ff.ExecutionID {
	return ff.ExecutionIDFrom(7, uuid.Must(uuid.NewV7()))
}

// ready returns a new execution of lane "mail" that may be claimed and is due at 50.
func ready(id ff.ExecutionID) *record.Execution {
	return &record.Execution{ID: id, Lane: "mail", CreatedAt: 10, Ready: true, DueAt: 50}
}

// put returns a unit that writes what change makes of the stored execution.
func put(id ff.ExecutionID, change func(*record.Execution) *record.Execution) *store.Unit {
	return &store.Unit{Reads: store.Reads{Executions: []ff.ExecutionID{id}}, Decide: func(tx *store.Tx) error {
		tx.PutExecution(change(tx.Execution(id)))
		return nil
	}}
}

func submit(id ff.ExecutionID) *store.Unit {
	return put(id, func(*record.Execution) *record.Execution { return ready(id) })
}

// claim returns a unit that takes up to limit executions of lane "mail" off the ready index.
func claim(limit int) *store.Unit {
	return &store.Unit{
		Reads: store.Reads{Claimable: []store.ClaimQuery{{Lane: "mail", Routes: []int64{0}, Limit: limit}}},
		Decide: func(tx *store.Tx) error {
			for _, e := range tx.Claimable(0) {
				c := *e
				c.Ready = false
				tx.PutExecution(&c)
			}
			return nil
		},
	}
}

func apply(t *testing.T, s *Store, units ...*store.Unit) {
	t.Helper()
	if err := s.Apply(t.Context(), units); err != nil {
		t.Fatal(err)
	}
	for i, u := range units {
		if u.Err != nil {
			t.Fatalf("unit %d: %v", i, u.Err)
		}
	}
}

// stored returns an execution as it is stored, nil when there is none.
func stored(t *testing.T, s *Store, id ff.ExecutionID) *record.Execution {
	t.Helper()
	tx, err := s.View(t.Context(), store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		t.Fatal(err)
	}
	return tx.Execution(id)
}
