package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/record"
)

// The graph of the tests: on partition 7, members 1 to 4, of which 1 leads to each of the others, by the edge of its number.
var flow7 = record.FlowKey{Home: ff.Partition{Family: ff.FamilyFlow, Index: 7}, FlowID: ff.FlowID{0: 0xf1}}

func member7(n byte) ff.ExecutionID { return ff.ExecutionIDFrom(7, uuid.UUID{15: n}) }

func openGraph(t *testing.T) *postgres.Store {
	t.Helper()
	s := open(t, migrated(t), nil)
	run(t, urlOf(s),
		fmt.Sprintf(`INSERT INTO ff_flow_core (partition_key, flow_id, public_flow_state, created_at_ms) VALUES (7, '%s', 'active', 5)`, flow7.FlowID),
		fmt.Sprintf(`INSERT INTO ff_exec_core (partition_key, execution_id, flow_id, lane_id, lifecycle_phase,
				ownership_state, eligibility_state, attempt_state, public_state, created_at_ms)
			SELECT 7, id::uuid, '%s', 'default', 'runnable', 'unowned', 'blocked', 'pending', state, 5
			FROM (VALUES ('%s', 'success'), ('%s', 'running'), ('%s', 'waiting'), ('%s', 'waiting')) m (id, state)`,
			flow7.FlowID, member7(1).UUID(), member7(2).UUID(), member7(3).UUID(), member7(4).UUID()))
	for n := byte(2); n <= 4; n++ {
		run(t, urlOf(s), fmt.Sprintf(`INSERT INTO ff_edge (partition_key, flow_id, edge_id, upstream_eid, downstream_eid, policy)
			VALUES (7, '%s', '%s', '%s', '%s', '{}')`, flow7.FlowID, uuid.UUID{0: n}, member7(1).UUID(), member7(n).UUID()))
	}
	return s
}

// A unit holds the flow it has read until its commit. Edges and members it has asked for it leaves to others, and a view
// holds nothing.
func TestGraph_OnlyWhatManyWriteIsHeld(t *testing.T) {
	t.Parallel()
	s := openGraph(t)
	other := pool(t, urlOf(s), 1)
	tryLock := func(table string) error {
		_, err := other.Exec(t.Context(), `SELECT 1 FROM `+table+` WHERE flow_id = $1 FOR NO KEY UPDATE NOWAIT`, uuid.UUID(flow7.FlowID))
		return err
	}
	reads := store.Reads{
		Records: []record.Key{flow7},
		Edges:   []store.EdgesQuery{{Flow: flow7, Of: member7(1), Limit: 10}},
		Members: []store.MembersQuery{{Flow: flow7, Limit: 10}},
	}
	mustApply(t, s, &store.Unit{Partition: flow7.Home, Reads: reads, Decide: func(*store.Tx) error {
		if tryLock("ff_flow_core") == nil {
			t.Error("the flow is not held")
		}
		for _, table := range []string{"ff_edge", "ff_exec_core"} {
			if err := tryLock(table); err != nil {
				t.Errorf("%s: %v", table, err)
			}
		}
		return nil
	}})
	holder, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(t.Context()) }()
	if _, err := holder.Exec(t.Context(), `SELECT 1 FROM ff_flow_core WHERE flow_id = $1 FOR UPDATE`, uuid.UUID(flow7.FlowID)); err != nil {
		t.Fatal(err)
	}
	tx, err := s.View(t.Context(), reads) // would wait for ever
	if err != nil {
		t.Fatal(err)
	}
	if f := store.Get[*record.Flow](tx, flow7); f == nil || f.State != "active" {
		t.Errorf("flow %+v, want an active one", f)
	}
}

func TestCountMembers_StatesOfTwoNamesAreCountedUnderEach(t *testing.T) {
	t.Parallel()
	s := openGraph(t)
	counts, err := s.CountMembers(t.Context(), flow7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[ff.PublicState]int{"success": 1, "running": 1, "waiting": 2}, counts); diff != "" {
		t.Errorf("members by state (-want +got):\n%s", diff)
	}
}

func TestViews_SummaryFollowsTheMembers(t *testing.T) {
	t.Parallel()
	s := openGraph(t)
	p := pool(t, urlOf(s), 1)
	for _, tc := range []struct{ third, want string }{
		{"suspended", "4 4: 10000111000 running"},
		{"rate_limited", "4 4: 10000101010 running"},
	} {
		run(t, urlOf(s), fmt.Sprintf(`UPDATE ff_exec_core SET public_state = '%s' WHERE execution_id = '%s'`, tc.third, member7(3).UUID()))
		var got string
		if err := p.QueryRow(t.Context(), `SELECT concat(total_members, ' ', sampled_members, ': ', members_completed, members_failed,
			members_cancelled, members_expired, members_skipped, members_active, members_suspended, members_waiting, members_delayed,
			members_rate_limited, members_waiting_children, ' ', public_flow_state) FROM ff_flow_summary
			WHERE partition_key = 7 AND flow_id = $1`, uuid.UUID(flow7.FlowID)).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("third member %s: %s; want %s", tc.third, got, tc.want)
		}
	}
	for _, tc := range []struct{ all, want string }{
		{"completed", "completed"}, {"skipped", "completed"}, {"expired", "failed"}, {"waiting", "open"}, {"delayed", "blocked"},
	} {
		run(t, urlOf(s), fmt.Sprintf(`UPDATE ff_exec_core SET public_state = '%s'`, tc.all))
		var got string
		if err := p.QueryRow(t.Context(), `SELECT public_flow_state FROM ff_flow_summary`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("all members %s: flow %s, want %s", tc.all, got, tc.want)
		}
	}
}
