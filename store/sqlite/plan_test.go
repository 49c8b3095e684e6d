package sqlite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// tagSearch is the step of a list that looks at the tags of one row.
const tagSearch = "\nCORRELATED SCALAR SUBQUERY 1\nSCAN json_each VIRTUAL TABLE INDEX 1:"

// Every statement of the hot path is served by one key: no scan, no sort. Its plan does not depend on its parameters, or it
// would be prepared again with each of their values, which takes a hundred times as long as to run it.
func TestPlans(t *testing.T) {
	path := newPath(t)
	open(t, path, nil)
	db, err := driver.OpenConn(path, driver.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	prepared := 0 // grows while a statement is prepared
	err = db.SetAuthorizer(driver.AuthorizeFunc(func(driver.Action) driver.AuthResult { prepared++; return driver.AuthResultOK }))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, sql, want string
	}{
		{"execution", sqlExecution, "SEARCH ff_exec_core USING INDEX sqlite_autoindex_ff_exec_core_1 (partition_key=? AND execution_id=?)"},
		{"attempt", sqlAttempt, "SEARCH ff_attempt USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=?)"},
		{"attempts of", sqlAttemptsOf, "SEARCH ff_attempt USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index>?)"},
		{"idempotency", sqlIdempotency, "SEARCH ff_idempotency USING PRIMARY KEY (namespace=? AND idempotency_key=?)"},
		{"routes", sqlRoutes, "SEARCH ff_route USING PRIMARY KEY (lane_id=?)"},
		{
			"routes to forget", sqlForgetRoutes,
			"SEARCH ff_route USING PRIMARY KEY (lane_id=? AND route=?)\nLIST SUBQUERY 3\n" +
				"SEARCH ff_route USING COVERING INDEX ff_route_seen (seen_at_ms<?)\nCREATE BLOOM FILTER\nCORRELATED SCALAR SUBQUERY 2\n" +
				"SEARCH e USING COVERING INDEX ff_exec_core_ready (lane_id=? AND route=?)",
		},
		{
			"routes to see", sqlSeeRoutes,
			"SEARCH ff_route USING PRIMARY KEY (lane_id=? AND route=?)\nLIST SUBQUERY 2\n" +
				"SEARCH ff_route USING COVERING INDEX ff_route_seen (seen_at_ms<?)\nCREATE BLOOM FILTER",
		},
		{"execution of an entry", sqlExecutionAt, "SEARCH ff_exec_core USING INTEGER PRIMARY KEY (rowid=?)"},
		{"ready", sqlReady, "SEARCH ff_exec_core USING INDEX ff_exec_core_ready (lane_id=? AND route=?)"}, // all it answers is in the index
		{"ready route", sqlReadyRoute, "SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_ready (lane_id=? AND route>?)"},
		{"due", sqlDue, "SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_due (due_at_ms<?)"},
		{
			"next due", sqlNextDue,
			"CO-ROUTINE (subquery-11)\nCOMPOUND QUERY\nLEFT-MOST SUBQUERY\n" +
				"SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_due (due_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_worker_registry USING COVERING INDEX ff_worker_registry_due (expires_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_flow_core USING COVERING INDEX ff_flow_core_due (remove_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_errand USING COVERING INDEX ff_errand_due (enqueued_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_cancel_backlog USING COVERING INDEX ff_cancel_backlog_due (due_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_waitpoint_pending USING COVERING INDEX ff_waitpoint_pending_due (due_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_suspend_dedup USING COVERING INDEX ff_suspend_dedup_due (expires_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_stream_meta USING COVERING INDEX ff_stream_meta_due (expires_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_budget_policy USING COVERING INDEX ff_budget_policy_due (due_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_budget_usage_dedup USING COVERING INDEX ff_budget_usage_dedup_due (expires_at_ms>?)\nUNION ALL\n" +
				"SEARCH ff_quota_use USING COVERING INDEX ff_quota_use_due (due_at_ms>?)\nSEARCH (subquery-11)",
		},
		{"slots", sqlSlots, "SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_slot (lane_id=?)"},
		{
			"update", updateSet(&sqlstore.Executions, sqlstore.ColumnSet{1 << 14}),
			"SEARCH ff_exec_core USING INDEX sqlite_autoindex_ff_exec_core_1 (partition_key=? AND execution_id=?)",
		},
		{
			"members of a flow", sqlMembers,
			"SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_flow (flow_id=? AND execution_id>?)",
		},
		{
			"count of members", sqlCountMembers,
			"SEARCH ff_exec_core USING INDEX ff_exec_core_flow (flow_id=?)\nUSE TEMP B-TREE FOR GROUP BY",
		},
		{
			"summary of a flow", "SELECT * FROM ff_flow_summary WHERE partition_key = ? AND flow_id = ?",
			"CO-ROUTINE (subquery-3)\nSEARCH ff_exec_core USING INDEX ff_exec_core_flow (flow_id=?)\nSCAN (subquery-3)",
		},
		{"edges from", sqlEdgesFrom, "SEARCH ff_edge USING INDEX ff_edge_upstream (flow_id=? AND upstream_eid=? AND edge_id>?)"},
		{"edges to", sqlEdgesTo, "SEARCH ff_edge USING INDEX ff_edge_downstream (flow_id=? AND downstream_eid=? AND edge_id>?)"},
		{"flow", keyedBy(sqlstore.Keyed[record.Flows]), "SEARCH ff_flow_core USING PRIMARY KEY (flow_id=?)"},
		{"edge", keyedBy(sqlstore.Keyed[record.Edges]), "SEARCH ff_edge USING PRIMARY KEY (flow_id=? AND edge_id=?)"},
		{"group", keyedBy(sqlstore.Keyed[record.Groups]), "SEARCH ff_edge_group USING PRIMARY KEY (flow_id=? AND downstream_eid=?)"},
		{
			"errand", keyedBy(sqlstore.Keyed[record.Errands]),
			"SEARCH ff_errand USING PRIMARY KEY (flow_id=? AND execution_id=? AND kind=?)",
		},
		{
			"due errands", keyedDue(sqlstore.Keyed[record.Errands]),
			"SEARCH ff_errand USING INDEX ff_errand_due (enqueued_at_ms<?)",
		},
		{
			"due flows", keyedDue(sqlstore.Keyed[record.Flows]),
			"SEARCH ff_flow_core USING INDEX ff_flow_core_due (remove_at_ms<?)",
		},
		{
			"due backlogs", keyedDue(sqlstore.Keyed[record.Backlogs]),
			"SEARCH ff_cancel_backlog USING INDEX ff_cancel_backlog_due (due_at_ms<?)",
		},
		{
			"groups of a flow", recordsAfter(sqlstore.Keyed[record.Groups], store.RecordQuery{After: record.GroupKey{}, Prefix: 1}),
			"SEARCH ff_edge_group USING PRIMARY KEY (flow_id=? AND downstream_eid>?)",
		},
		{
			"backlog members of a flow",
			recordsAfter(sqlstore.Keyed[record.BacklogMembers], store.RecordQuery{After: record.BacklogMemberKey{}, Prefix: 1}),
			"SEARCH ff_cancel_backlog_member USING PRIMARY KEY (flow_id=? AND execution_id>?)",
		},
		{"lane", keyedBy(sqlstore.Keyed[record.Lanes]), "SEARCH ff_lane_registry USING PRIMARY KEY (lane_id=?)"},
		{
			"worker", keyedBy(sqlstore.Keyed[record.Workers]),
			"SEARCH ff_worker_registry USING PRIMARY KEY (namespace=? AND worker_instance_id=?)",
		},
		{
			"due workers", keyedDue(sqlstore.Keyed[record.Workers]),
			"SEARCH ff_worker_registry USING INDEX ff_worker_registry_due (expires_at_ms<?)",
		},
		{
			"workers of a namespace",
			recordsAfter(sqlstore.Keyed[record.Workers], store.RecordQuery{After: record.WorkerKey{}, Prefix: 1}),
			"SEARCH ff_worker_registry USING PRIMARY KEY (namespace=? AND worker_instance_id>?)",
		},
		{
			"lanes", recordsAfter(sqlstore.Keyed[record.Lanes], store.RecordQuery{After: record.LaneKey{}}),
			"SEARCH ff_lane_registry USING PRIMARY KEY (lane_id>?)",
		},
		{
			"list of a partition", sqlPartition,
			"SEARCH ff_exec_core USING COVERING INDEX sqlite_autoindex_ff_exec_core_1 (partition_key=? AND execution_id>?)",
		},
		{
			"list", sqlList,
			"SEARCH ff_exec_core USING INDEX ff_exec_core_created ((created_at_ms,execution_id,partition_key)>(?,?,?) AND " +
				"(created_at_ms,execution_id,partition_key)<(?,?,?))" + tagSearch,
		},
		{
			"list of a lane", sqlListOfLane,
			"SEARCH ff_exec_core USING INDEX ff_exec_core_lane (lane_id=? AND (created_at_ms,execution_id,partition_key)>(?,?,?) AND " +
				"(created_at_ms,execution_id,partition_key)<(?,?,?))" + tagSearch,
		},
		{
			"scan", sqlScanned,
			"SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_created ((created_at_ms,execution_id,partition_key)>(?,?,?) AND " +
				"(created_at_ms,execution_id,partition_key)<(?,?,?))",
		},
		{
			"scan of a lane", sqlScannedOfLane,
			"SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_lane (lane_id=? AND (created_at_ms,execution_id,partition_key)>(?,?,?) AND " +
				"(created_at_ms,execution_id,partition_key)<(?,?,?))",
		},
		{
			"leases", sqlLeases,
			"SEARCH ff_exec_core USING INDEX ff_exec_core_lease ((lease_expires_at_ms,execution_id,partition_key)>(?,?,?) AND lease_expires_at_ms<?)",
		},
		{
			"count of ready", sqlCountReady,
			"CO-ROUTINE (subquery-1)\nSEARCH ff_exec_core USING COVERING INDEX ff_exec_core_ready (lane_id=?)\nSCAN (subquery-1)",
		},
		{ // no further than the leases there are
			"count of active", sqlCountActive,
			"CO-ROUTINE (subquery-1)\nSEARCH ff_exec_core USING COVERING INDEX ff_exec_core_lease (lease_expires_at_ms>?)\nSCAN (subquery-1)",
		},
		{
			"count of delayed", sqlCountDelayed,
			"CO-ROUTINE (subquery-1)\nSEARCH ff_exec_core USING COVERING INDEX ff_exec_core_delayed (lane_id=?)\nSCAN (subquery-1)",
		},
		{"next priority", sqlNextPriority, "SEARCH ff_exec_core USING INDEX ff_exec_core_ready (lane_id=? AND route=? AND <expr><?)"},
		{"next route", sqlNextRoute, "SEARCH ff_exec_core USING INDEX ff_exec_core_ready (lane_id=? AND route>?)"},
		{
			"keys to forget", sqlForgetKeys,
			"SEARCH ff_idempotency USING PRIMARY KEY (namespace=? AND idempotency_key=?)\nLIST SUBQUERY 2\n" +
				"SEARCH ff_idempotency USING COVERING INDEX ff_idempotency_expiry (expires_at_ms<?)\nCREATE BLOOM FILTER",
		},
		{"expired", sqlExpired, "SEARCH ff_exec_core USING COVERING INDEX ff_exec_core_retention (retain_until_ms<?)"},
		{
			"attempts to forget", "DELETE FROM ff_attempt" + sqlForgetRest,
			"SEARCH ff_attempt USING PRIMARY KEY (partition_key=? AND execution_id=?)",
		},
		{
			"frames", sqlFrames,
			"SEARCH ff_stream_frame USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=? AND mode=? AND " +
				"(ts_ms,seq)>(?,?) AND (ts_ms,seq)<(?,?))",
		},
		{
			"last frame to trim", sqlOldFrame,
			"SEARCH ff_stream_frame USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=? AND mode=?)",
		},
		{
			"frames to trim", sqlTrimFrames,
			"SEARCH ff_stream_frame USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=? AND mode=? AND (ts_ms,seq)<(?,?))",
		},
		{
			"frames to forget", sqlForgetFrames,
			"SEARCH ff_stream_frame USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=? AND mode=? AND ts_ms=? AND seq=?)\n" +
				"LIST SUBQUERY 3\nCO-ROUTINE e\nSEARCH ff_exec_core USING COVERING INDEX ff_exec_core_retention (retain_until_ms<?)\nSCAN e\n" +
				"SEARCH f USING PRIMARY KEY (partition_key=? AND execution_id=?)\nCREATE BLOOM FILTER",
		},
		{
			"frames of an execution to forget", "DELETE FROM ff_stream_frame" + sqlForgetRest,
			"SEARCH ff_stream_frame USING PRIMARY KEY (partition_key=? AND execution_id=?)",
		},
		{
			"stream", keyedBy(sqlstore.Keyed[record.Streams]),
			"SEARCH ff_stream_meta USING PRIMARY KEY (partition_key=? AND execution_id=? AND attempt_index=?)",
		},
		{"due streams", keyedDue(sqlstore.Keyed[record.Streams]), "SEARCH ff_stream_meta USING INDEX ff_stream_meta_due (expires_at_ms<?)"},
		{
			"summary", keyedBy(sqlstore.Keyed[record.Summaries]),
			"SEARCH ff_stream_summary USING INDEX sqlite_autoindex_ff_stream_summary_1 " +
				"(partition_key=? AND execution_id=? AND attempt_index=?)",
		},
		{"events", sqlEvents, "SEARCH ff_event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		{"end of the scan of events", sqlScanTo, "SCAN CONSTANT ROW\nSCALAR SUBQUERY 1\nSEARCH ff_event USING INTEGER PRIMARY KEY (rowid>?)"},
		{"events that are gone", sqlGoneEvents, "SEARCH ff_event_gone USING PRIMARY KEY"}, // it has a row for each family
		// In the order of the key, so the scan goes no further than its limit.
		{
			"note of events that go", sqlNoteGone,
			"SEARCH ff_event USING INTEGER PRIMARY KEY (rowid=?)\nLIST SUBQUERY 1\nSCAN ff_event\nCREATE BLOOM FILTER\n" +
				"USE TEMP B-TREE FOR GROUP BY",
		},
		{
			"events to forget", sqlForgetEvents,
			"SEARCH ff_event USING INTEGER PRIMARY KEY (rowid=?)\nLIST SUBQUERY 1\nSCAN ff_event\nCREATE BLOOM FILTER",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, plan(t, db, tc.sql)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			stmt, _, err := db.PrepareTransient(tc.sql)
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Finalize()
			before := prepared
			for n := range int64(3) {
				for i := range stmt.BindParamCount() {
					stmt.BindInt64(i+1, n)
				}
				_, _ = stmt.Step() // the database is read-only; a statement that writes is refused, after it was prepared again
				_ = stmt.Reset()
			}
			if prepared != before {
				t.Error("the statement is prepared again when its parameters change")
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
