package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// The fixtures of the acceptance cases insert exactly these columns (chapter 30, section 30.13).
func TestSchema_TakesTheFixtures(t *testing.T) {
	t.Parallel()
	p := pool(t, migrated(t), 1)
	part, flow, exec := int16(86), uuid.New(), uuid.New()
	for _, row := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO ff_exec_core (partition_key, execution_id, flow_id, lane_id, attempt_index, lifecycle_phase, ownership_state,
			eligibility_state, public_state, attempt_state, priority, created_at_ms, raw_fields)
			VALUES ($1, $2, $3, 'default', 0, 'runnable', 'unowned', 'eligible_now', 'waiting', 'pending', 100, 1, '{}')`, []any{part, exec, flow}},
		{`INSERT INTO ff_attempt (partition_key, execution_id, attempt_index, lease_epoch, outcome) VALUES ($1, $2, 0, 3, NULL)`, []any{part, exec}},
		{`INSERT INTO ff_edge (partition_key, flow_id, edge_id, upstream_eid, downstream_eid, policy, policy_version)
			VALUES ($1, $2, $3, $4, $5, '{}', 0)`, []any{part, flow, uuid.New(), uuid.New(), exec}},
		{`INSERT INTO ff_edge_group (partition_key, flow_id, downstream_eid, policy, k_target, success_count, fail_count, skip_count, running_count)
			VALUES ($1, $2, $3, '{}', 3, 2, 1, 1, 1)`, []any{part, flow, exec}},
		{`INSERT INTO ff_flow_core (partition_key, flow_id, graph_revision, public_flow_state, created_at_ms) VALUES ($1, $2, 0, 'active', 1)`, []any{part, flow}},
		{`INSERT INTO ff_flow_core (partition_key, flow_id, graph_revision, public_flow_state, created_at_ms, raw_fields)
			VALUES ($1, $2, 0, 'cancelled', 1, '{"cancellation_policy":"flow_only"}')`, []any{part, uuid.New()}},
	} {
		if _, err := p.Exec(t.Context(), row.sql, row.args...); err != nil {
			t.Errorf("%s: %v", row.sql, err)
		}
	}
	for _, table := range []string{"ff_cancel_backlog", "ff_cancel_backlog_member"} {
		var n int64
		if err := p.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` WHERE partition_key = $1 AND flow_id = $2`, part, flow).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v", table, n, err)
		}
	}
}

// The feeds are views of the one log, with the columns and types of chapter 50, section 11.
func TestSchema_HasTheEventFeeds(t *testing.T) {
	t.Parallel()
	p := pool(t, migrated(t), 1)
	for view, want := range map[string]string{
		"ff_operator_event": "event_id bigint, execution_id text, event_type text, details jsonb, occurred_at_ms bigint, " +
			"partition_key integer, namespace text, instance_tag text",
		"ff_lease_event": "event_id bigint, execution_id text, lease_id text, event_type text, occurred_at_ms bigint, " +
			"partition_key integer, namespace text, instance_tag text",
		"ff_completion_event": "partition_key smallint, event_id bigint, execution_id uuid, flow_id uuid, outcome text, namespace text, " +
			"instance_tag text, occurred_at_ms bigint, committed_at_ms bigint, dispatched_at_ms bigint",
		"ff_signal_event": "event_id bigint, execution_id text, signal_id text, waitpoint_id text, source_identity text, " +
			"delivered_at_ms bigint, partition_key integer, namespace text, instance_tag text",
	} {
		var got string
		err := p.QueryRow(t.Context(), `SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum)
			FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0`, view).Scan(&got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", view, diff)
		}
	}
}
