package postgres_test

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/store/postgres"
)

// A statement is planned once for all parameters, perhaps while its tables are empty. Every plan must look rows up by
// index: no scan of a table, of a whole index, no join but a nested loop that leads with the rows asked for.
func TestPlans(t *testing.T) {
	url := empty(t)
	migrate(t, url)
	t.Run("of new tables", func(t *testing.T) { checkPlans(t, url) })
	run(t, url, "VACUUM ANALYZE")
	t.Run("of tables known to be empty", func(t *testing.T) { checkPlans(t, url) })
	run(t, url,
		`INSERT INTO ff_exec_core (partition_key, execution_id, lane_id, lifecycle_phase, ownership_state, eligibility_state,
			attempt_state, public_state, ready, created_at_ms, due_at_ms)
		SELECT 86, gen_random_uuid(), 'default', 'runnable', 'unowned', 'eligible_now', 'pending_first_attempt', 'waiting', true, i, i
		FROM generate_series(1, 20000) i`,
		`INSERT INTO ff_ready SELECT partition_key, priority, route, created_at_ms, execution_id, lane_id FROM ff_exec_core`,
		`INSERT INTO ff_due SELECT partition_key, due_at_ms, execution_id FROM ff_exec_core`,
		`INSERT INTO ff_retention SELECT partition_key, due_at_ms, execution_id FROM ff_exec_core`,
		`INSERT INTO ff_lane_slot SELECT partition_key, execution_id, lane_id FROM ff_exec_core`,
		`INSERT INTO ff_expired_lease SELECT partition_key, due_at_ms, execution_id FROM ff_exec_core`,
		`INSERT INTO ff_idempotency SELECT 'n', execution_id::text, 86, 86, execution_id, 1, due_at_ms, '' FROM ff_exec_core`,
		`INSERT INTO ff_event (occurred_at_ms, partition_key, execution_id, family, event_type)
			SELECT due_at_ms, partition_key, execution_id, 'lease', 'acquired' FROM ff_exec_core`,
		`INSERT INTO ff_lane_registry (lane_id, partition_key, registered_at_ms, updated_at_ms, registered_by)
			SELECT 'lane ' || i, 86, i, i, '' FROM generate_series(1, 5000) i`,
		`INSERT INTO ff_worker_registry (namespace, worker_instance_id, partition_key, liveness_ttl_ms, registered_at_ms,
				last_heartbeat_ms, expires_at_ms, worker_id)
			SELECT 'n', i, 86, i, i, i, i, i FROM generate_series(1, 5000) i`,
		`INSERT INTO ff_waitpoint_hmac (kid, partition_key, rotated_at_ms, expires_at_ms, secret)
			SELECT i, 86, i, i, '' FROM generate_series(1, 5000) i`,
		`INSERT INTO ff_attempt (partition_key, execution_id, attempt_index) SELECT partition_key, execution_id, 0 FROM ff_exec_core`,
		`INSERT INTO ff_flow_core (partition_key, flow_id, public_flow_state, created_at_ms, remove_at_ms)
			SELECT 86, gen_random_uuid(), 'open', i, i FROM generate_series(1, 50) i`,
		`UPDATE ff_exec_core SET flow_id = f.flow_id FROM (SELECT flow_id, row_number() OVER () AS n FROM ff_flow_core) f
			WHERE due_at_ms % 50 + 1 = f.n`,
		`INSERT INTO ff_edge (partition_key, flow_id, edge_id, upstream_eid, downstream_eid, policy)
			SELECT partition_key, flow_id, gen_random_uuid(), execution_id, gen_random_uuid(), '{}' FROM ff_exec_core`,
		`INSERT INTO ff_edge_group (partition_key, flow_id, downstream_eid, policy)
			SELECT partition_key, flow_id, downstream_eid, '{}' FROM ff_edge`,
		`INSERT INTO ff_errand (partition_key, flow_id, execution_id, kind, enqueued_at_ms)
			SELECT partition_key, flow_id, upstream_eid, 'resolve', 1 FROM ff_edge`,
		`INSERT INTO ff_cancel_backlog (partition_key, flow_id, due_at_ms) SELECT partition_key, flow_id, 1 FROM ff_flow_core`,
		`INSERT INTO ff_cancel_backlog_member (partition_key, flow_id, execution_id)
			SELECT partition_key, flow_id, '{fp:86}:' || execution_id FROM ff_exec_core`,
		`INSERT INTO ff_stream_frame (partition_key, execution_id, attempt_index, mode, ts_ms, seq, kind, frame_type, payload, encoding)
			SELECT partition_key, execution_id, 0, mode, ts, 0, 'event', 'event', '', 'utf8'
			FROM (SELECT * FROM ff_exec_core LIMIT 20) e, unnest(ARRAY['durable', 'summary', 'best_effort']) mode, generate_series(1, 500) ts`,
		`INSERT INTO ff_stream_meta (partition_key, execution_id, attempt_index, created_at_ms, expires_at_ms)
			SELECT partition_key, execution_id, 0, due_at_ms, due_at_ms FROM ff_exec_core`,
		`VACUUM ANALYZE`)
	t.Run("of large tables", func(t *testing.T) { checkPlans(t, url) })
}

func checkPlans(t *testing.T, url string) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(cfg.RuntimeParams, postgres.PlannerSettings())
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	columns := leading(t, c)
	texts := postgres.StatementTexts()
	for what, sql := range texts {
		plan := explain(t, c, sql)
		for _, problem := range problems(plan, columns) {
			t.Errorf("%s: %s\n%s\n%s", what, problem, sql, strings.Join(plan, "\n"))
		}
	}
	const ofMode = "(partition_key = k.partition_key) AND (execution_id = k.execution_id) AND (attempt_index = k.attempt_index) AND (mode = k.mode)"
	for _, served := range []struct{ what, sql, index, by string }{
		{"edges from", texts["edges from"], "ff_edge_upstream", "(flow_id = k.flow_id) AND (upstream_eid = k.of) AND (edge_id > k.after)"},
		{"edges to", texts["edges to"], "ff_edge_downstream", "(flow_id = k.flow_id) AND (downstream_eid = k.of) AND (edge_id > k.after)"},
		{"members of flows", texts["members of flows"], "ff_exec_core_flow", "(flow_id = k.flow_id) AND (execution_id > k.after) AND (partition_key = k.home)"},
		{"frames", texts["frames"], "ff_stream_frame_pkey", ofMode + " AND (ROW(ts_ms, seq) >= ROW(k.from_ms, k.from_seq)) AND (ROW(ts_ms, seq) <= ROW(k.to_ms, k.to_seq))"},
		{"trim frames", texts["trim frames"], "ff_stream_frame_pkey", ofMode},
		{
			"trim expired frames", texts["trim expired frames"], "ff_stream_frame_pkey",
			"(partition_key = ff_retention.partition_key) AND (execution_id = ff_retention.execution_id)",
		},
		{"trim routes", texts["trim routes"], "ff_route_seen", "seen_at_ms <= "},
		{"due streams", texts["stream due, take"], "ff_stream_meta_due", "expires_at_ms <= "},
		{"read events", texts["read events"], "ff_event_pkey", "(seq > $1) AND (seq <= "},
		{"count members", postgres.CountMembersText(), "ff_exec_core_flow", "(flow_id = $1) AND (partition_key = $2)"},
	} {
		plan := strings.Join(explain(t, c, served.sql), "\n")
		if !regexp.MustCompile(`Scan using ` + served.index + ` on \w+( \w)?\n\s+Index Cond: \(` + regexp.QuoteMeta(served.by)).MatchString(plan) {
			t.Errorf("%s: not served by %s and %s\n%s", served.what, served.index, served.by, plan)
		}
	}
}

var parameter = regexp.MustCompile(`\$(\d+)`)

// explain returns the lines of the generic plan.
func explain(t *testing.T, c *pgx.Conn, sql string) []string {
	t.Helper()
	params := 0
	for _, m := range parameter.FindAllStringSubmatch(sql, -1) {
		n, _ := strconv.Atoi(m[1])
		params = max(params, n)
	}
	call := "EXECUTE p"
	if params > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", params), ", ") + ")"
	}
	pg := c.PgConn()
	results, err := pg.Exec(t.Context(), fmt.Sprintf("PREPARE p AS %s; EXPLAIN (COSTS OFF) %s; DEALLOCATE p", sql, call)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, row := range results[1].Rows {
		lines = append(lines, string(row[0]))
	}
	return lines
}

// leading returns the first column of each index.
func leading(t *testing.T, c *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := c.Query(t.Context(), `SELECT i.indexrelid::regclass::text, a.attname
		FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]`)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]string{}
	var index, column string
	if _, err := pgx.ForEachRow(rows, []any{&index, &column}, func() error {
		columns[index] = column
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return columns
}

var indexScan = regexp.MustCompile(`Index (?:Only )?Scan (?:Backward )?using (\w+) on`)

// problems names what a plan must not have. An index may be read from its front as far as a limit goes; else its first
// column must be compared, and executions be found by their id. A sequence is a table of one row.
func problems(plan []string, leading map[string]string) []string {
	var found []string
	for i, line := range plan {
		for _, bad := range []string{"Seq Scan", "Hash", "Merge Join", "Bitmap", "Materialize"} {
			if strings.Contains(line, bad) && !strings.Contains(line, "Function Scan") && !strings.HasSuffix(line, "Seq Scan on ff_event_place") {
				found = append(found, bad)
			}
		}
		scan := indexScan.FindStringSubmatch(line)
		if scan == nil {
			continue
		}
		if i+1 == len(plan) || !strings.Contains(plan[i+1], "Index Cond:") {
			if i == 0 || !strings.Contains(plan[i-1], "Limit") {
				found = append(found, "reads a whole index")
			}
			continue
		}
		if first := leading[scan[1]]; !strings.Contains(plan[i+1], first) {
			found = append(found, "reads all of "+scan[1])
		}
		if strings.Contains(line, "on ff_exec_core") && !strings.Contains(plan[i+1], "execution_id") {
			found = append(found, "finds executions by less than their key")
		}
	}
	return found
}
