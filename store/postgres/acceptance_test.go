package postgres_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store/postgres"
)

// The binding acceptance cases of chapter 30, section 30.13, those of executions; flows are next door. Fixtures are raw SQL with exactly the
// columns the chapter names; assertions go by the case's own ids, so that all run on one database, which is never cleaned.
func TestAcceptance(t *testing.T) {
	t.Run("change_priority_happy_path_emits_operator_event", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		a.exec("runnable", "eligible_now", "unowned", "waiting", "pending", 0, 100)
		res, err := a.eng.ChangePriority(t.Context(), flowfabric.ChangePriority{ExecutionID: a.id, NewPriority: 5000, LaneID: "default"})
		if err != nil {
			t.Fatal(err)
		}
		if res.ExecutionID != a.id {
			t.Errorf("changed %s, want %s", res.ExecutionID, a.id)
		}
		var priority int32
		a.read(`SELECT priority FROM ff_exec_core WHERE partition_key = $1 AND execution_id = $2`, &priority, a.part, a.uuid())
		if priority != 5000 {
			t.Errorf("priority = %d, want 5000", priority)
		}
		if n := a.events("priority_changed"); n != 1 {
			t.Errorf("%d priority_changed events, want 1", n)
		}
	})

	t.Run("change_priority_terminal_is_not_eligible", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		a.exec("terminal", "not_applicable", "unowned", "success", "terminated", 0, 100)
		_, err := a.eng.ChangePriority(t.Context(), flowfabric.ChangePriority{ExecutionID: a.id, NewPriority: 5000, LaneID: "default"})
		a.wantCode(err, flowfabric.ErrExecutionNotEligible, flowfabric.FamilyContention)
		if n := a.events("priority_changed"); n != 0 {
			t.Errorf("%d priority_changed events, want 0", n)
		}
	})

	t.Run("change_priority_wrong_eligibility_state_is_not_eligible", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		a.exec("runnable", "blocked_by_dependencies", "unowned", "waiting_children", "pending", 0, 100)
		_, err := a.eng.ChangePriority(t.Context(), flowfabric.ChangePriority{ExecutionID: a.id, NewPriority: 7000, LaneID: "default"})
		a.wantCode(err, flowfabric.ErrExecutionNotEligible, flowfabric.FamilyContention)
	})

	t.Run("replay_execution_normal_branch_in_place_mutate", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		a.exec("terminal", "not_applicable", "unowned", "success", "terminated", 0, 500)
		a.attempt(0, 3, "success")
		res, err := a.eng.Replay(t.Context(), flowfabric.Replay{ExecutionID: a.id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(flowfabric.ReplayResult{PublicState: "waiting"}, res); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		type row struct {
			Phase, Eligibility, Public string
			Index                      int32
			ReplayCount                int64
		}
		var got row
		err = a.pool.QueryRow(t.Context(), `SELECT lifecycle_phase, eligibility_state, public_state, attempt_index, (raw_fields->>'replay_count')::bigint
			FROM ff_exec_core WHERE partition_key = $1 AND execution_id = $2 AND jsonb_typeof(raw_fields->'replay_count') = 'number'`, a.part, a.uuid()).
			Scan(&got.Phase, &got.Eligibility, &got.Public, &got.Index, &got.ReplayCount)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row{"runnable", "eligible_now", "waiting", 0, 1}, got); diff != "" {
			t.Errorf("ff_exec_core (-want +got):\n%s", diff)
		}
		rows, err := a.pool.Query(t.Context(), `SELECT attempt_index, outcome, lease_epoch FROM ff_attempt WHERE partition_key = $1 AND execution_id = $2`, a.part, a.uuid())
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		attempts := 0
		for rows.Next() {
			attempts++
			var index int32
			var outcome *string
			var epoch int64
			if err := rows.Scan(&index, &outcome, &epoch); err != nil {
				t.Fatal(err)
			}
			if index != 0 || outcome != nil || epoch != 4 {
				t.Errorf("attempt %d: outcome %v, epoch %d; want 0, null, 4", index, outcome, epoch)
			}
		}
		if err := rows.Err(); err != nil || attempts != 1 {
			t.Errorf("%d attempt rows, want 1 (%v)", attempts, err)
		}
		var branch string
		a.read(`SELECT details->>'branch' FROM ff_operator_event WHERE partition_key = $1 AND execution_id = $2 AND event_type = 'replayed'`,
			&branch, int32(a.part), a.id.UUID().String())
		if branch != "normal" {
			t.Errorf("branch = %q, want normal", branch)
		}
	})

	t.Run("replay_execution_non_terminal_is_not_terminal", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		a.exec("active", "eligible_now", "leased", "running", "running_attempt", 0, 500)
		_, err := a.eng.Replay(t.Context(), flowfabric.Replay{ExecutionID: a.id})
		a.wantCode(err, flowfabric.ErrExecutionNotTerminal, flowfabric.FamilyState)
	})
}

// acceptance is the set-up of one case.
type acceptance struct {
	t    *testing.T
	pool *pgxpool.Pool
	eng  flowfabric.Service
	id   flowfabric.ExecutionID
	part int16
	now  int64
}

// newAcceptance follows the harness of section 30.13: a pool of one connection for the migrations, then one of four.
func newAcceptance(t *testing.T) *acceptance {
	t.Helper()
	url := os.Getenv("FF_PG_TEST_URL")
	if url == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("FF_PG_TEST_URL is not set")
		}
		t.Skip("FF_PG_TEST_URL is not set")
	}
	ctx := context.Background()
	single := openPool(t, url, 1)
	if err := postgres.Migrate(ctx, single); err != nil {
		t.Fatal(err)
	}
	single.Close()
	pool := openPool(t, url, 4)
	t.Cleanup(pool.Close)
	st, err := postgres.FromPool(pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close(ctx) })
	id := flowfabric.SoloExecutionID("default", flowfabric.DefaultPartitions())
	a := &acceptance{t: t, pool: pool, eng: eng, id: id, part: int16(id.Partition().Index), now: clock.Real().Now().UnixMilli()}
	if a.part != 86 {
		t.Fatalf("lane default lies on partition %d, want 86", a.part)
	}
	return a
}

func openPool(t *testing.T, url string, conns int32) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = conns
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func (a *acceptance) uuid() [16]byte { return a.id.UUID() }

// exec is the execution fixture: these columns and nothing else.
func (a *acceptance) exec(phase, eligibility, ownership, public, attempt string, index, priority int32) {
	a.t.Helper()
	_, err := a.pool.Exec(a.t.Context(), `INSERT INTO ff_exec_core (partition_key, execution_id, flow_id, lane_id, attempt_index,
		lifecycle_phase, ownership_state, eligibility_state, public_state, attempt_state, priority, created_at_ms, raw_fields)
		VALUES ($1, $2, NULL, 'default', $3, $4, $5, $6, $7, $8, $9, $10, '{}')`,
		a.part, a.uuid(), index, phase, ownership, eligibility, public, attempt, priority, a.now)
	if err != nil {
		a.t.Fatal(err)
	}
}

// attempt is the attempt fixture.
func (a *acceptance) attempt(index int32, epoch int64, outcome string) {
	a.t.Helper()
	_, err := a.pool.Exec(a.t.Context(), `INSERT INTO ff_attempt (partition_key, execution_id, attempt_index, lease_epoch, outcome)
		VALUES ($1, $2, $3, $4, $5)`, a.part, a.uuid(), index, epoch, outcome)
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *acceptance) read(sql string, into any, args ...any) {
	a.t.Helper()
	if err := a.pool.QueryRow(a.t.Context(), sql, args...).Scan(into); err != nil {
		a.t.Fatal(err)
	}
}

// events counts the operator events of the case's execution, with the types the seed binds: integer and text.
func (a *acceptance) events(typ string) (n int64) {
	a.t.Helper()
	a.read(`SELECT count(*) FROM ff_operator_event WHERE partition_key = $1 AND execution_id = $2 AND event_type = $3`,
		&n, int32(a.part), a.id.UUID().String(), typ)
	return n
}

func (a *acceptance) wantCode(err error, want *flowfabric.Error, family flowfabric.ErrorFamily) {
	a.t.Helper()
	var e *flowfabric.Error
	if !errors.As(err, &e) || !errors.Is(err, want) || e.Family() != family {
		a.t.Errorf("got %v, want %s of family %s", err, want.Code, family)
	}
}
