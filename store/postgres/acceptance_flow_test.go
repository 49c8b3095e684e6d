package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
)

// The binding acceptance cases of chapter 30, section 30.13, that are about flows.
func TestAcceptance_Flows(t *testing.T) {
	t.Run("replay_execution_skipped_flow_member_resets_edge_group_counters", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		flow := uuid.New() // without a row
		a.member(a.id.UUID(), flow, a.part, "terminal", "not_applicable", "unowned", "failed", "terminated", 500)
		a.attempt(0, 5, "skipped")
		a.write(`INSERT INTO ff_edge (partition_key, flow_id, edge_id, upstream_eid, downstream_eid, policy, policy_version)
			VALUES ($1, $2, $3, $4, $5, '{}', 0)`, a.part, flow, uuid.New(), uuid.New(), a.uuid())
		a.write(`INSERT INTO ff_edge_group (partition_key, flow_id, downstream_eid, policy, k_target, success_count, fail_count,
			skip_count, running_count) VALUES ($1, $2, $3, '{}', 3, 2, 1, 1, 1)`, a.part, flow, a.uuid())
		res, err := a.eng.Replay(t.Context(), flowfabric.Replay{ExecutionID: a.id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(flowfabric.ReplayResult{PublicState: "waiting_children"}, res); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		counters := make([]int32, 4)
		if err := a.pool.QueryRow(t.Context(), `SELECT success_count, fail_count, skip_count, running_count FROM ff_edge_group
			WHERE partition_key = $1 AND flow_id = $2 AND downstream_eid = $3`, a.part, flow, a.uuid()).
			Scan(&counters[0], &counters[1], &counters[2], &counters[3]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int32{2, 0, 0, 0}, counters); diff != "" {
			t.Errorf("success, fail, skip, running (-want +got):\n%s", diff)
		}
		states := make([]string, 3)
		if err := a.pool.QueryRow(t.Context(), `SELECT lifecycle_phase, eligibility_state, public_state FROM ff_exec_core
			WHERE partition_key = $1 AND execution_id = $2`, a.part, a.uuid()).Scan(&states[0], &states[1], &states[2]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"runnable", "blocked_by_dependencies", "waiting_children"}, states); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		var branch string
		var groups int32
		if err := a.pool.QueryRow(t.Context(), `SELECT details->>'branch', (details->>'groups_reset')::int FROM ff_operator_event
			WHERE partition_key = $1 AND execution_id = $2 AND event_type = 'replayed'`, int32(a.part), a.id.UUID().String()).
			Scan(&branch, &groups); err != nil {
			t.Fatal(err)
		}
		if branch != "skipped_flow_member" || groups != 1 {
			t.Errorf("branch %q, groups_reset %d; want skipped_flow_member, 1", branch, groups)
		}
	})

	t.Run("cancel_flow_header_creates_backlog_rows", func(t *testing.T) {
		t.Parallel()
		f := newFlowFixture(t)
		res, err := f.eng.CancelFlowHeader(t.Context(), flowfabric.CancelFlowHeader{FlowID: f.flow, Reason: "op-shutdown", Policy: "cancel_all"})
		if err != nil {
			t.Fatal(err)
		}
		if res.AlreadyTerminal || res.Policy != "cancel_all" || len(res.Members) != 2 {
			t.Errorf("result %+v, want cancel_all of two members", res)
		}
		f.backlog(1, 2)
		f.count(1, `SELECT count(*) FROM ff_operator_event WHERE partition_key = $1 AND execution_id = $2 AND event_type = 'flow_cancel_requested'`,
			int32(f.part), f.flow.String())
		f.count(2, `SELECT count(*) FROM ff_exec_core WHERE partition_key = $1 AND flow_id = $2 AND lifecycle_phase = 'cancelled'`, f.part, f.uuid)
	})

	t.Run("cancel_flow_header_already_terminal_is_idempotent", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		flow, part := newFlow()
		a.write(`INSERT INTO ff_flow_core (partition_key, flow_id, graph_revision, public_flow_state, created_at_ms, raw_fields)
			VALUES ($1, $2, 0, 'cancelled', $3, '{"cancellation_policy":"flow_only","cancel_reason":"prior"}')`, part, uuid.UUID(flow), a.now)
		res, err := a.eng.CancelFlowHeader(t.Context(), flowfabric.CancelFlowHeader{FlowID: flow, Reason: "retry", Policy: "cancel_all"})
		if err != nil {
			t.Fatal(err)
		}
		policy, reason := "flow_only", "prior"
		want := flowfabric.CancelFlowHeaderResult{AlreadyTerminal: true, StoredPolicy: &policy, StoredReason: &reason}
		if diff := cmp.Diff(want, res); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	})

	t.Run("ack_cancel_member_drains_and_deletes_parent_when_last", func(t *testing.T) {
		t.Parallel()
		f := newFlowFixture(t)
		res, err := f.eng.CancelFlowHeader(t.Context(), flowfabric.CancelFlowHeader{FlowID: f.flow, Reason: "test", Policy: "cancel_all"})
		if err != nil || len(res.Members) != 2 {
			t.Fatalf("result %+v, error %v, want two members", res, err)
		}
		for i, member := range res.Members {
			id, err := flowfabric.ParseExecutionID(member.String())
			if err != nil {
				t.Fatal(err)
			}
			f.count(1, `SELECT count(*) FROM ff_cancel_backlog_member WHERE partition_key = $1 AND flow_id = $2 AND execution_id = $3`,
				f.part, f.uuid, id.String())
			if err := f.eng.AckCancelMember(t.Context(), flowfabric.AckCancelMember{FlowID: f.flow, ExecutionID: id}); err != nil {
				t.Fatal(err)
			}
			f.backlog(int64(1-i), int64(1-i))
		}
		f.count(0, `SELECT count(*) FROM ff_operator_event WHERE partition_key = $1 AND execution_id = ANY ($2)`,
			int32(f.part), []string{f.members[0].String(), f.members[1].String()})
	})

	t.Run("ack_cancel_member_idempotent_on_missing", func(t *testing.T) {
		t.Parallel()
		a := newAcceptance(t)
		err := a.eng.AckCancelMember(t.Context(), flowfabric.AckCancelMember{
			FlowID: flowfabric.NewFlowID(), ExecutionID: flowfabric.SoloExecutionID("default", flowfabric.DefaultPartitions()),
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func newFlow() (flow flowfabric.FlowID, part int16) {
	flow = flowfabric.NewFlowID()
	return flow, int16(flowfabric.DefaultPartitions().OfFlow(flow).Index)
}

// flowFixture is a flow with two members that run.
type flowFixture struct {
	*acceptance
	flow    flowfabric.FlowID
	uuid    uuid.UUID
	part    int16
	members [2]uuid.UUID
}

func newFlowFixture(t *testing.T) *flowFixture {
	t.Helper()
	f := &flowFixture{acceptance: newAcceptance(t), members: [2]uuid.UUID{uuid.New(), uuid.New()}}
	f.flow, f.part = newFlow()
	f.uuid = uuid.UUID(f.flow)
	f.write(`INSERT INTO ff_flow_core (partition_key, flow_id, graph_revision, public_flow_state, created_at_ms)
		VALUES ($1, $2, 0, 'active', $3)`, f.part, f.uuid, f.now)
	for _, m := range f.members {
		f.member(m, f.uuid, f.part, "active", "eligible_now", "leased", "running", "running_attempt", 100)
	}
	return f
}

// member is the execution fixture for a member of a flow.
func (a *acceptance) member(id, flow uuid.UUID, part int16, phase, eligibility, ownership, public, attempt string, priority int32) {
	a.t.Helper()
	a.write(`INSERT INTO ff_exec_core (partition_key, execution_id, flow_id, lane_id, attempt_index, lifecycle_phase,
		ownership_state, eligibility_state, public_state, attempt_state, priority, created_at_ms, raw_fields)
		VALUES ($1, $2, $3, 'default', 0, $4, $5, $6, $7, $8, $9, $10, '{}')`,
		part, id, flow, phase, ownership, eligibility, public, attempt, priority, a.now)
}

func (a *acceptance) write(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.pool.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatal(err)
	}
}

func (a *acceptance) count(want int64, sql string, args ...any) {
	a.t.Helper()
	var n int64
	a.read(sql, &n, args...)
	if n != want {
		a.t.Errorf("%d rows, want %d: %s", n, want, sql)
	}
}

// backlog counts the rows of the flow's cancel backlog.
func (f *flowFixture) backlog(headers, members int64) {
	f.t.Helper()
	f.count(headers, `SELECT count(*) FROM ff_cancel_backlog WHERE partition_key = $1 AND flow_id = $2`, f.part, f.uuid)
	f.count(members, `SELECT count(*) FROM ff_cancel_backlog_member WHERE partition_key = $1 AND flow_id = $2`, f.part, f.uuid)
}
