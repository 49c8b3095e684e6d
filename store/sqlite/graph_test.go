package sqlite

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// flow7 is a flow on partition 7, of whose rows the key is written by hand as x'f1…'.
var flow7 = record.FlowKey{
	Home:   ff.Partition{Family: ff.FamilyFlow, Index: 7},
	FlowID: ff.FlowID(uuid.MustParse("f1000000-0000-0000-0000-000000000000")),
}

const flowBlob = "x'f1000000000000000000000000000000'"

func memberOf7(n byte) ff.ExecutionID { return ff.ExecutionIDFrom(7, uuid.UUID{15: n}) }

func TestFlows_RowsWrittenByHandAreFound(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	script(t, path, fmt.Sprintf(`
		INSERT INTO ff_flow_core (partition_key, flow_id, public_flow_state, created_at_ms) VALUES (7, %[1]s, 'active', 5);
		INSERT INTO ff_edge (partition_key, flow_id, edge_id, upstream_eid, downstream_eid, policy)
			VALUES (7, %[1]s, x'e2000000000000000000000000000000', %[2]s, %[3]s, '{}'),
				(7, %[1]s, x'e1000000000000000000000000000000', %[2]s, %[4]s, '{}');
		INSERT INTO ff_edge_group (partition_key, flow_id, downstream_eid, policy, running_count) VALUES (7, %[1]s, %[3]s, '{}', 1);
		INSERT INTO ff_exec_core (partition_key, execution_id, flow_id) VALUES (7, %[3]s, %[1]s), (7, %[2]s, %[1]s)`,
		flowBlob, blob(memberOf7(1)), blob(memberOf7(2)), blob(memberOf7(3))))

	groupKey := record.GroupKey{Home: flow7.Home, FlowID: flow7.FlowID, Downstream: memberOf7(2)}
	from := store.EdgesQuery{Flow: flow7, Of: memberOf7(1), Limit: 10}
	to := store.EdgesQuery{Flow: flow7, Of: memberOf7(2), Incoming: true, Limit: 10}
	members := store.MembersQuery{Flow: flow7, Limit: 10}
	tx, err := s.View(t.Context(), store.Reads{
		Records: []record.Key{flow7, groupKey}, Edges: []store.EdgesQuery{from, to}, Members: []store.MembersQuery{members},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := store.Get[*record.Flow](tx, flow7); f == nil || f.State != "active" || f.Namespace != "default" || f.Version != 1 {
		t.Errorf("flow %+v", f)
	}
	if g := store.Get[*record.Group](tx, groupKey); g == nil || g.Policy.Kind != ff.AllOf || g.State != ff.GroupPending || g.Running != 1 {
		t.Errorf("group %+v", g)
	}
	edge := func(first, down byte) *record.Edge {
		return &record.Edge{
			EdgeKey: record.EdgeKey{Home: flow7.Home, FlowID: flow7.FlowID, EdgeID: ff.EdgeID{first}}, Version: 1,
			Upstream: memberOf7(1), Downstream: memberOf7(down), DependencyKind: "success_only", State: ff.EdgePending,
			CreatedBy: "engine", Applied: true,
		}
	}
	ids := cmp.AllowUnexported(ff.ExecutionID{})
	if diff := cmp.Diff([]*record.Edge{edge(0xe1, 3), edge(0xe2, 2)}, tx.Edges(from), ids); diff != "" {
		t.Errorf("edges from the first member (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]*record.Edge{edge(0xe2, 2)}, tx.Edges(to), ids); diff != "" {
		t.Errorf("edges to the second member (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ff.ExecutionID{memberOf7(1), memberOf7(2)}, tx.Members(members), ids); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestViews_SummaryFollowsTheMembers(t *testing.T) {
	const counters = `total_members || ' ' || sampled_members || ': ' || members_completed || members_failed || members_cancelled ||
		members_expired || members_skipped || members_active || members_suspended || members_waiting || members_delayed ||
		members_rate_limited || members_waiting_children || ' ' || public_flow_state`
	for _, tc := range []struct {
		states []string
		want   string
	}{
		{[]string{"completed", "success", "skipped"}, "3 3: 20001000000 completed"},
		{[]string{"completed", "failed"}, "2 2: 11000000000 failed"},
		{[]string{"completed", "cancelled"}, "2 2: 10100000000 failed"},
		{[]string{"completed", "expired"}, "2 2: 10010000000 failed"},
		{[]string{"failed", "running", "suspended"}, "3 3: 01000110000 running"},
		{[]string{"active", "waiting"}, "2 2: 00000101000 running"},
		{[]string{"waiting", "delayed"}, "2 2: 00000001100 blocked"},
		{[]string{"rate_limited", "completed"}, "2 2: 10000000010 blocked"},
		{[]string{"waiting_children", "completed"}, "2 2: 10000000001 blocked"},
		{[]string{"waiting", "failed"}, "2 2: 01000001000 open"},
		{[]string{"completed", "unheard_of"}, "2 2: 10000000000 open"},
	} {
		path := newPath(t)
		s := open(t, path, nil)
		for i, state := range tc.states {
			script(t, path, fmt.Sprintf("INSERT INTO ff_exec_core (partition_key, execution_id, flow_id, public_state) VALUES (7, %s, %s, '%s')",
				blob(memberOf7(byte(i+1))), flowBlob, state))
		}
		query := "SELECT " + counters + " FROM ff_flow_summary WHERE partition_key = 7 AND flow_id = " + flowBlob
		if got := ask(t, path, query); got != tc.want {
			t.Errorf("%v: %s; want %s", tc.states, got, tc.want)
		}
		counts, err := s.CountMembers(t.Context(), flow7)
		want := make(map[ff.PublicState]int)
		for _, state := range tc.states {
			want[ff.PublicState(state)]++
		}
		if diff := cmp.Diff(want, counts); err != nil || diff != "" {
			t.Errorf("%v: error %v, counted (-want +got):\n%s", tc.states, err, diff)
		}
	}
}

func TestViews_PendingCancelGroupsAreErrands(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	errand := func(kind record.ErrandKind) *record.Errand {
		key := record.ErrandKey{Home: flow7.Home, FlowID: flow7.FlowID, ExecutionID: memberOf7(2), Kind: kind}
		return &record.Errand{ErrandKey: key, EnqueuedAt: 5}
	}
	siblings, resolve := errand(record.CancelSiblings), errand(record.Resolve)
	apply(t, s, &store.Unit{
		Partition: flow7.Home,
		Reads:     store.Reads{Records: []record.Key{siblings.Key(), resolve.Key()}},
		Decide: func(tx *store.Tx) error {
			tx.Put(siblings)
			tx.Put(resolve)
			return nil
		},
	})
	const query = `SELECT group_concat(partition_key || ' ' || hex(flow_id) || ' ' || hex(downstream_eid) || ' ' || enqueued_at_ms)
		FROM ff_pending_cancel_groups`
	if got, want := ask(t, path, query), "7 F1000000000000000000000000000000 00000000000000000000000000000002 5"; got != want {
		t.Errorf("pending groups %s; want %s", got, want)
	}
}
