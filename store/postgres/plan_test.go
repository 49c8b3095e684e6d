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
		`INSERT INTO ff_attempt (partition_key, execution_id, attempt_index) SELECT partition_key, execution_id, 0 FROM ff_exec_core`,
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
	for what, sql := range postgres.StatementTexts() {
		plan := explain(t, c, sql)
		for _, problem := range problems(plan) {
			t.Errorf("%s: %s\n%s\n%s", what, problem, sql, strings.Join(plan, "\n"))
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

// problems names what a plan must not have.
func problems(plan []string) []string {
	var found []string
	for i, line := range plan {
		for _, bad := range []string{"Seq Scan", "Hash", "Merge Join", "Bitmap", "Materialize"} {
			if strings.Contains(line, bad) && !strings.Contains(line, "Function Scan") {
				found = append(found, bad)
			}
		}
		if !strings.Contains(line, "Index Scan") && !strings.Contains(line, "Index Only Scan") {
			continue
		}
		whole := strings.Contains(line, "on ff_due") && strings.Contains(plan[0], "Limit") // the first entry of all
		if i+1 == len(plan) || !strings.Contains(plan[i+1], "Index Cond:") {
			if !whole {
				found = append(found, "reads a whole index")
			}
			continue
		}
		if strings.Contains(line, "on ff_exec_core") && !strings.Contains(plan[i+1], "execution_id") {
			found = append(found, "finds executions by less than their key")
		}
	}
	return found
}
