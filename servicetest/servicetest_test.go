package servicetest

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) { Run(t, inMemory(1)) }

func TestMemory_Shards(t *testing.T) { Run(t, inMemory(8)) }

func TestSQLite(t *testing.T) { Run(t, onSQLite) }

func TestPostgres(t *testing.T) {
	server(t)
	Run(t, onPostgres)
}

func inMemory(shards int) Harness {
	return Harness{Open: func(_ testing.TB, clock store.Clock) store.Store {
		return memory.New(memory.Config{Shards: shards, Clock: clock})
	}}
}

var onSQLite = Harness{Open: func(t testing.TB, clock store.Clock) store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), &sqlite.Config{Clock: clock, Synchronous: sqlite.Normal})
	return closedByCleanup(t, st, err)
}}

func closedByCleanup(t testing.TB, st store.Store, err error) store.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return st
}

func TestAgree_Shards(t *testing.T) { RunAgree(t, inMemory(1), inMemory(8)) }

func TestAgree_SQLite(t *testing.T) { RunAgree(t, inMemory(1), onSQLite) }

func TestAgree_Postgres(t *testing.T) {
	server(t)
	RunAgree(t, inMemory(1), onPostgres)
}

func TestFlows_Memory(t *testing.T) { RunFlows(t, inMemory(8)) }

func TestFlows_SQLite(t *testing.T) { RunFlows(t, onSQLite) }

func TestFlows_Postgres(t *testing.T) {
	server(t)
	RunFlows(t, onPostgres)
}
