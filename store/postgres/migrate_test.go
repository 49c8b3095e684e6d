package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/store/postgres"
)

func migrate(t testing.TB, url string) {
	t.Helper()
	if err := postgres.Migrate(t.Context(), pool(t, url, 1)); err != nil {
		t.Fatal(err)
	}
}

// ledger returns what the database says of its migrations.
func ledger(t *testing.T, url string) []string {
	t.Helper()
	rows, err := pool(t, url, 1).Query(t.Context(), `SELECT name FROM ff_migration ORDER BY version`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var allMigrations = []string{"0001_initial.sql", "0002_flows.sql", "0003_suspension.sql", "0004_stream.sql", "0005_limits.sql", "0006_events.sql", "0007_drawn.sql", "0008_keys.sql", "0009_partitions.sql", "0010_routes.sql", "0011_trace.sql"}

func TestMigrate_OnOneConnectionTwice(t *testing.T) {
	t.Parallel()
	url := empty(t)
	p := pool(t, url, 1)
	for range 2 {
		if err := postgres.Migrate(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(allMigrations, ledger(t, url)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestMigrate_ConcurrentCallersAllSucceed(t *testing.T) {
	t.Parallel()
	url := empty(t)
	const callers = 8
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		p := pool(t, url, 1)
		wg.Go(func() { errs[i] = postgres.Migrate(context.Background(), p) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(allMigrations, ledger(t, url)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestMigrate_RefusesANewerSchema(t *testing.T) {
	t.Parallel()
	url := empty(t)
	migrate(t, url)
	run(t, url, `INSERT INTO ff_migration (version, name) VALUES (9999, '9999_from_the_future.sql')`)
	if err := postgres.Migrate(t.Context(), pool(t, url, 1)); !errors.Is(err, postgres.ErrSchemaTooNew) {
		t.Errorf("got %v, want ErrSchemaTooNew", err)
	}
	s := open(t, url, nil) // nodes are replaced one by one
	if _, err := s.Dump(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpen_RefusesADatabaseWithoutTheSchema(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Open(t.Context(), empty(t), nil); !errors.Is(err, postgres.ErrSchemaTooOld) {
		t.Errorf("got %v, want ErrSchemaTooOld", err)
	}
}
