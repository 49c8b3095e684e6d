package servicetest

import (
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// TestBounded_Memory: what has ended and is kept no longer is gone, from every family.
func TestBounded_Memory(t *testing.T) {
	runBounded(t, inMemory(1), bounded{
		count: dumped,
		kept:  map[string]int{"lane": 1, "secret": 1, "budget": 1, "quota": 1, "limit_scope": 2, "event_cursor": 1, "partition_config": 1, "api_key": 1},
		brief: []string{"errand", "cancel_backlog", "cancel_backlog_member"},
	})
}

// TestBounded_SQLite asks the file which tables it has.
func TestBounded_SQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	h := Harness{Open: func(t testing.TB, clock store.Clock) store.Store {
		t.Helper()
		st, err := sqlite.Open(t.Context(), path, &sqlite.Config{Clock: clock, Synchronous: sqlite.Normal})
		return closedByCleanup(t, st, err)
	}}
	runBounded(t, h, bounded{
		count: func(t *testing.T, _ *store.Dump) map[string]int { return tablesOf(t, path) },
		kept: map[string]int{
			"ff_schema": 100, "ff_lane_registry": 1, "ff_waitpoint_hmac": 1, "ff_budget_policy": 1, "ff_quota_policy": 1, "ff_limit_scope": 2,
			"ff_partition_config": 1, "ff_api_key": 1, "ff_event_cursor": 1, "ff_event_gone": 5, // one for each family
		},
		brief: []string{"ff_errand", "ff_cancel_backlog", "ff_cancel_backlog_member"},
	})
}

// TestBounded_Postgres asks the database which tables it has.
func TestBounded_Postgres(t *testing.T) {
	server(t)
	var url string
	h := Harness{Open: func(t testing.TB, clock store.Clock) (st store.Store) {
		t.Helper()
		st, url = freshPostgres(t, clock)
		return st
	}}
	runBounded(t, h, bounded{
		count: func(t *testing.T, _ *store.Dump) map[string]int { return tablesIn(t, url) },
		kept: map[string]int{
			"ff_migration": 100, "ff_lane_registry": 1, "ff_waitpoint_hmac": 1, "ff_budget_policy": 1, "ff_quota_policy": 1, "ff_limit_scope": 2,
			"ff_partition_config": 1, "ff_api_key": 1, "ff_event_cursor": 1, "ff_event_gone": 5, // one for each family
		},
		brief: []string{"ff_errand", "ff_cancel_backlog", "ff_cancel_backlog_member", "ff_expired_lease"},
	})
}

// tablesIn counts the rows of every table of a database.
func tablesIn(t *testing.T, url string) map[string]int {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	rows, err := c.Query(t.Context(), `SELECT relname::text, (xpath('//c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I', nspname, relname), false, true, '')))[1]::text::int
		FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	var name string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		counts[name] = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

// tablesOf counts the rows of every table of a file.
func tablesOf(t *testing.T, path string) map[string]int {
	t.Helper()
	db, err := driver.OpenConn(path, driver.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	counts := make(map[string]int)
	each := func(query string, row func(*driver.Stmt)) {
		err := sqlitex.ExecuteTransient(db, query, &sqlitex.ExecOptions{ResultFunc: func(s *driver.Stmt) error {
			row(s)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	each("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'", func(s *driver.Stmt) { names = append(names, s.ColumnText(0)) })
	for _, name := range names {
		each(`SELECT count(*) FROM "`+name+`"`, func(s *driver.Stmt) { counts[name] = s.ColumnInt(0) })
	}
	return counts
}
