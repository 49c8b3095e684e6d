package sqlite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// Every statement of the hot path is served by one key: no scan, no sort.
func TestPlans(t *testing.T) {
	path := newPath(t)
	open(t, path, nil)
	db, err := driver.OpenConn(path, driver.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tc := range []struct {
		name, sql, want string
	}{
		{"execution", sqlExecution, "SEARCH ff_exec_core USING INDEX sqlite_autoindex_ff_exec_core_1 (partition_key=? AND execution_id=?)"},
		{"attempt", sqlAttempt, "SEARCH ff_attempt USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=?)"},
		{"attempts of", sqlAttemptsOf, "SEARCH ff_attempt USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index>?)"},
		{"idempotency", sqlIdempotency, "SEARCH ff_idempotency USING PRIMARY KEY (namespace=? AND idempotency_key=?)"},
		{"routes", sqlRoutes, "SEARCH ff_route USING PRIMARY KEY (lane_id=?)"},
		{"ready", sqlReady, "SEARCH ff_ready USING PRIMARY KEY (lane_id=? AND route=?)"},
		{"due", sqlDue, "SEARCH ff_due USING PRIMARY KEY (due_at_ms<?)"},
		{"next due", sqlNextDue, "SCAN ff_due"}, // in order of its key, and no further than the first
		{
			"update", updateSet(&sqlstore.Executions, 1<<14),
			"SEARCH ff_exec_core USING INDEX sqlite_autoindex_ff_exec_core_1 (partition_key=? AND execution_id=?)",
		},
		{
			"remove ready", deleteBy(&sqlstore.Ready),
			"SEARCH ff_ready USING PRIMARY KEY (lane_id=? AND route=? AND priority=? AND created_at_ms=? AND execution_id=? AND partition_key=?)",
		},
		{
			"remove due", deleteBy(&sqlstore.Due),
			"SEARCH ff_due USING PRIMARY KEY (due_at_ms=? AND execution_id=? AND partition_key=?)",
		},
		{
			"members of a flow", "SELECT execution_id FROM ff_exec_core WHERE partition_key = ? AND flow_id = ?",
			"SEARCH ff_exec_core USING INDEX ff_exec_core_flow (partition_key=? AND flow_id=?)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, plan(t, db, tc.sql)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func plan(t *testing.T, db *driver.Conn, sql string) string {
	t.Helper()
	stmt, _, err := db.PrepareTransient("EXPLAIN QUERY PLAN " + sql)
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Finalize()
	var steps []string
	for {
		more, err := stmt.Step()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return strings.Join(steps, "\n")
		}
		steps = append(steps, stmt.GetText("detail"))
	}
}
