package sqlstore

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// column returns the column of a table with a name.
func column[R any](t *testing.T, table *Table[R], name string) *Column[R] {
	t.Helper()
	i := slices.IndexFunc(table.Columns, func(c Column[R]) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("%s has no column %s", table.Name, name)
	}
	return &table.Columns[i]
}

// written returns what a column holds for a record, readFrom what a record has of a cell.
func written[R any](t *testing.T, table *Table[R], name string, r *R) any {
	t.Helper()
	row := &cells{}
	column(t, table, name).Write(r, row)
	return row.values[0]
}

func readFrom[R any](t *testing.T, table *Table[R], name string, cell any) *R {
	t.Helper()
	r := new(R)
	column(t, table, name).Read(r, cellsReader{&cells{values: []any{cell}}})
	return r
}

func sameJSON(t *testing.T, what string, got any, want string) {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(got.(string)), &x); err != nil {
		t.Fatalf("%s is no JSON: %v", what, err)
	}
	if err := json.Unmarshal([]byte(want), &y); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(y, x); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFlows_RawFieldsHaveTheKeysOfTheChapter(t *testing.T) {
	f := &record.Flow{
		Kind: "order", Namespace: "n", NodeCount: 2, EdgeCount: 1, LastMutationAt: 5,
		Tags: map[string]string{"team.name": "a"},
	}
	sameJSON(t, "a flow that runs", written(t, &flows, "raw_fields", f),
		`{"flow_kind":"order","namespace":"n","node_count":2,"edge_count":1,"last_mutation_at_ms":5,"team.name":"a"}`)
	f.CancellationPolicy, f.CancelReason = flowfabric.FlowOnly, new("why")
	sameJSON(t, "one that was cancelled", written(t, &flows, "raw_fields", f),
		`{"flow_kind":"order","namespace":"n","node_count":2,"edge_count":1,"last_mutation_at_ms":5,"team.name":"a",
		"cancellation_policy":"flow_only","cancel_reason":"why"}`)
}

func TestFlows_RawFieldsWrittenByHandAreRead(t *testing.T) {
	for stored, want := range map[string]*record.Flow{
		`{}`:      {Namespace: "default"},
		`no json`: {Namespace: "default"},
		`{"node_count":"two","edge_count":3,"namespace":""}`:                  {EdgeCount: 3},
		`{"cancellation_policy":"cancel_flow_only","cancel_reason":null}`:     {Namespace: "default", CancellationPolicy: "flow_only"},
		`{"a_1.b":"tag","Team.x":"no","1.x":"no","plain":"no","n.x":1,".":1}`: {Namespace: "default", Tags: map[string]string{"a_1.b": "tag"}},
	} {
		if diff := cmp.Diff(want, readFrom(t, &flows, "raw_fields", stored)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stored, diff)
		}
	}
}

func TestFlows_RawFieldsAreUpdatedOnlyWhenTheyChange(t *testing.T) {
	changed := column(t, &flows, "raw_fields").Changed
	before := &record.Flow{Kind: "k", Tags: map[string]string{"a.b": "c"}}
	if after := (&record.Flow{Kind: "k", Tags: map[string]string{"a.b": "c"}, EndedCount: 3, Version: 2}); changed(before, after) {
		t.Error("the end of a member rewrites raw_fields")
	}
	for name, after := range map[string]*record.Flow{
		"node_count": {Kind: "k", Tags: before.Tags, NodeCount: 1}, "edge_count": {Kind: "k", Tags: before.Tags, EdgeCount: 1},
		"last_mutation_at_ms": {Kind: "k", Tags: before.Tags, LastMutationAt: 1}, "flow_kind": {Tags: before.Tags},
		"namespace": {Kind: "k", Tags: before.Tags, Namespace: "n"}, "tags": {Kind: "k", Tags: map[string]string{"a.b": "d"}},
		"cancellation_policy": {Kind: "k", Tags: before.Tags, CancellationPolicy: "flow_only"},
		"cancel_reason":       {Kind: "k", Tags: before.Tags, CancelReason: new("")},
	} {
		if !changed(before, after) {
			t.Errorf("a change of %s is not written", name)
		}
	}
}

func TestEdges_PolicyHasTheKeysOfTheChapter(t *testing.T) {
	e := &record.Edge{
		DependencyKind: flowfabric.SuccessOnly, State: flowfabric.EdgePending, CreatedAt: 5, CreatedBy: "engine",
	}
	sameJSON(t, "a staged edge", written(t, &edges, "policy", e),
		`{"dependency_kind":"success_only","satisfaction_condition":"all_required","data_passing_ref":"","edge_state":"pending",
		"created_at_ms":5,"created_by":"engine","staged_at_ms":5,"applied_at_ms":null}`)
	e.Applied, e.AppliedAt, e.State = true, 6, flowfabric.EdgeSatisfied
	e.ResolvedAt, e.Outcome, e.DataPassingRef = 7, "success", "ref"
	sameJSON(t, "a resolved one", written(t, &edges, "policy", e),
		`{"dependency_kind":"success_only","satisfaction_condition":"all_required","data_passing_ref":"ref","edge_state":"satisfied",
		"created_at_ms":5,"created_by":"engine","staged_at_ms":5,"applied_at_ms":6,"resolved_at_ms":7,"resolved_outcome":"success"}`)
}

func TestEdges_PolicyWrittenByHandIsRead(t *testing.T) {
	defaults := func(change func(*record.Edge)) *record.Edge {
		e := &record.Edge{DependencyKind: "success_only", State: "pending", CreatedBy: "engine", Applied: true}
		change(e)
		return e
	}
	for stored, want := range map[string]*record.Edge{
		`{}`:                         defaults(func(*record.Edge) {}),
		`no json`:                    defaults(func(*record.Edge) {}),
		`{"created_at_ms":"x"}`:      defaults(func(*record.Edge) {}),
		`{"applied_at_ms":null}`:     defaults(func(e *record.Edge) { e.Applied = false }),
		`{"applied_at_ms":4}`:        defaults(func(e *record.Edge) { e.AppliedAt = 4 }),
		`{"dependency_kind":"odd"}`:  defaults(func(e *record.Edge) { e.DependencyKind = "odd" }),
		`{"edge_state":"satisfied"}`: defaults(func(e *record.Edge) { e.State = "satisfied" }),
	} {
		if diff := cmp.Diff(want, readFrom(t, &edges, "policy", stored), comparer); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stored, diff)
		}
	}
	if got := written(t, &edges, "policy", readFrom(t, &edges, "policy", `{}`)).(string); readFrom(t, &edges, "policy", got).Applied != true {
		t.Errorf("an edge of unknown age that is written again, %s, does not count as applied", got)
	}
}

func TestGroups_PolicyHasTheFormOfTheChapter(t *testing.T) {
	for _, tc := range []struct {
		policy flowfabric.GroupPolicy
		json   string
		target int64
	}{
		{flowfabric.GroupPolicy{Kind: flowfabric.AllOf}, `{"kind":"all_of"}`, 0},
		{flowfabric.GroupPolicy{Kind: flowfabric.AllEnded}, `{"kind":"all_ended"}`, 0},
		{flowfabric.GroupPolicy{Kind: flowfabric.AnyOf, OnSatisfied: flowfabric.LetRun}, `{"kind":"any_of","on_satisfied":"let_run"}`, 1},
		{
			flowfabric.GroupPolicy{Kind: flowfabric.Quorum, K: 3, OnSatisfied: flowfabric.CancelRemaining},
			`{"kind":"quorum","k":3,"on_satisfied":"cancel_remaining"}`, 3,
		},
		{flowfabric.GroupPolicy{Kind: "most", K: 2}, `{"kind":"most","k":2}`, 0},
	} {
		g := &record.Group{Policy: tc.policy}
		got := written(t, &groups, "policy", g)
		sameJSON(t, string(tc.policy.Kind), got, tc.json)
		if read := readFrom(t, &groups, "policy", got).Policy; read != tc.policy {
			t.Errorf("%+v is read as %+v", tc.policy, read)
		}
		if k := written(t, &groups, "k_target", g); k != tc.target {
			t.Errorf("%+v: k_target %v, want %d", tc.policy, k, tc.target)
		}
	}
	sameJSON(t, "no policy", written(t, &groups, "policy", &record.Group{}), `{"kind":"all_of"}`)
}

func TestGroups_PolicyWrittenByHandIsRead(t *testing.T) {
	for stored, want := range map[string]flowfabric.GroupPolicy{
		`{}`:                                     {Kind: flowfabric.AllOf},
		`no json`:                                {Kind: flowfabric.AllOf},
		`{"kind":"any_of"}`:                      {Kind: flowfabric.AnyOf, OnSatisfied: flowfabric.CancelRemaining},
		`{"kind":"any_of","on_satisfied":"odd"}`: {Kind: flowfabric.AnyOf, OnSatisfied: flowfabric.CancelRemaining},
		`{"kind":"quorum"}`:                      {Kind: flowfabric.Quorum, K: 1, OnSatisfied: flowfabric.CancelRemaining},
		`{"kind":"quorum","k":4,"on_satisfied":"let_run"}`: {Kind: flowfabric.Quorum, K: 4, OnSatisfied: flowfabric.LetRun},
		`{"kind":"most"}`: {Kind: "most"},
	} {
		if got := readFrom(t, &groups, "policy", stored).Policy; got != want {
			t.Errorf("%s is read as %+v, want %+v", stored, got, want)
		}
	}
}

func TestBacklogs_AreDueAtOnceWhileTheySpread(t *testing.T) {
	b := &record.Backlog{RequestedAt: 5, GraceUntil: 8, Spreading: true}
	if got := written(t, &backlogs, "due_at_ms", b); got != int64(5) {
		t.Errorf("due at %v while members are to be cancelled, want 5", got)
	}
	b.Spreading = false
	if got := written(t, &backlogs, "due_at_ms", b); got != int64(8) {
		t.Errorf("due at %v after that, want 8, the end of the grace", got)
	}
	if got := readFrom(t, &backlogs, "cancellation_policy", "cancel_flow_only").Policy; got != flowfabric.FlowOnly {
		t.Errorf("the alias is read as %q", got)
	}
}

func TestBacklogMembers_HaveTheFullTextOfTheId(t *testing.T) {
	m := &record.BacklogMember{BacklogMemberKey: record.BacklogMemberKey{Home: partition3, FlowID: flow1, ExecutionID: member(2)}}
	if got := written(t, &backlogMembers, "execution_id", m); got != "{fp:3}:00000000-0000-0000-0000-000000000002" {
		t.Errorf("execution_id is %v", got)
	}
}

// A list within a flow begins behind a key whose other part is unset.
func TestKeyed_TheUnsetIdIsBeforeAllOthers(t *testing.T) {
	for _, tc := range []struct {
		key  record.Key
		want any
	}{
		{record.EdgeKey{FlowID: flow1}, [16]byte{}},
		{record.GroupKey{FlowID: flow1}, [16]byte{}},
		{record.ErrandKey{FlowID: flow1}, [16]byte{}},
		{record.BacklogMemberKey{FlowID: flow1}, "{fp:0}:00000000-0000-0000-0000-000000000000"},
	} {
		table := Keyed[tc.key.Family()]
		blank := table.Blank(tc.key)
		if got := write(t, &table.Table, &blank).values[1]; got != tc.want {
			t.Errorf("%s: the second part of the key is written as %v, want %v", table.Name, got, tc.want)
		}
	}
}
