package sqlstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// cells is one row: a [Writer] that appends and a [Reader] of the cell it stands on.
type cells struct {
	values []any
	at     int
}

func (c *cells) add(v any)         { c.values = append(c.values, v) }
func (c *cells) Null()             { c.add(nil) }
func (c *cells) Int(v int64)       { c.add(v) }
func (c *cells) Bool(v bool)       { c.add(v) }
func (c *cells) Text(v string)     { c.add(v) }
func (c *cells) UUID(v [16]byte)   { c.add(v) }
func (c *cells) Blob(v []byte)     { c.add(slices.Clone(v)) }
func (c *cells) IsNull() bool      { return c.values[c.at] == nil }
func (c cellsReader) Int() int64   { return c.values[c.at].(int64) }
func (c cellsReader) Bool() bool   { return c.values[c.at].(bool) }
func (c cellsReader) Text() string { return c.values[c.at].(string) }
func (c cellsReader) Blob() []byte { return slices.Clone(c.values[c.at].([]byte)) }

func (c cellsReader) UUID() [16]byte { return c.values[c.at].([16]byte) }

// cellsReader has the methods of a Reader whose names those of a Writer take.
type cellsReader struct{ *cells }

func write[R any](t *testing.T, table *Table[R], r *R) *cells {
	t.Helper()
	row := &cells{}
	for i, c := range table.Columns {
		c.Write(r, row)
		if len(row.values) != i+1 {
			t.Fatalf("%s.%s: %d values for one column", table.Name, c.Name, len(row.values)-i)
		}
	}
	return row
}

func read[R any](table *Table[R], row *cells) R {
	var r R
	for i, c := range table.Columns {
		row.at = i
		c.Read(&r, cellsReader{row})
	}
	return r
}

var comparer = cmp.Comparer(func(x, y flowfabric.ExecutionID) bool { return x == y })

func roundTrip[R any](t *testing.T, table *Table[R], r R) *cells {
	t.Helper()
	row := write(t, table, &r)
	if diff := cmp.Diff(r, read(table, row), comparer); diff != "" {
		t.Errorf("%s: read differs from written (-written +read):\n%s", table.Name, diff)
	}
	return row
}

func execution1() flowfabric.ExecutionID {
	return flowfabric.ExecutionIDFrom(7, uuid.MustParse("00000000-0000-4000-8000-000000000001"))
}

// Ids of a flow on partition 3: its own, and those of members and edges by their last byte.
var (
	partition3 = flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}
	flow1      = flowfabric.FlowID(uuid.MustParse("00000000-0000-4000-8000-0000000000f1"))
)

func member(n byte) flowfabric.ExecutionID { return flowfabric.ExecutionIDFrom(3, uuid.UUID{15: n}) }

func edgeID(n byte) flowfabric.EdgeID { return flowfabric.EdgeID{0: 0xe0, 15: n} }

var home3 = flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}

var examples = map[record.Family]record.Keyed{
	record.Flows: &record.Flow{
		FlowKey: record.FlowKey{Home: partition3, FlowID: flow1},
		Version: 4, GraphRevision: 5, State: flowfabric.FlowCancelled, Kind: "order", Namespace: "n",
		Tags: map[string]string{"team.name": "a", "flow.note": "<&>"}, Sealed: true, NodeCount: 11, EdgeCount: 12, EndedCount: 13,
		BadCount: 14, CreatedAt: 15, LastMutationAt: 16, TerminalAt: 17, CancellationPolicy: flowfabric.CancelPending,
		CancelReason: new(""), RemoveAt: 9,
	},
	record.Edges: &record.Edge{
		EdgeKey: record.EdgeKey{Home: partition3, FlowID: flow1, EdgeID: edgeID(1)},
		Version: 4, Upstream: member(1), Downstream: member(2), DependencyKind: "success_only", Required: true,
		DataPassingRef: "ref", State: flowfabric.EdgeImpossible, CreatedAt: 5, CreatedBy: "me", Applied: true, AppliedAt: 6,
		ResolvedAt: 7, Outcome: "skipped", Round: 8, Wave: 9,
	},
	record.Groups: &record.Group{
		GroupKey: record.GroupKey{Home: partition3, FlowID: flow1, Downstream: member(2)},
		Version:  4, Policy: flowfabric.GroupPolicy{Kind: flowfabric.Quorum, K: 2, OnSatisfied: flowfabric.LetRun},
		Success: 1, Fail: 2, Skip: 3, Running: 4, Total: 5, Required: 6, RequiredSuccess: 7, State: flowfabric.GroupSatisfied,
		Round: 8, Wave: 9, SatisfiedAt: 10, SiblingsPending: true, SiblingsReason: "sibling_quorum_satisfied",
		DataEdge: edgeID(1), DataFrom: member(1),
	},
	record.Errands: &record.Errand{
		ErrandKey: record.ErrandKey{Home: partition3, FlowID: flow1, ExecutionID: member(2), Kind: record.Recount},
		Version:   4, After: edgeID(1), EnqueuedAt: 9,
	},
	record.Backlogs: &record.Backlog{
		BacklogKey: record.BacklogKey{Home: partition3, FlowID: flow1},
		Version:    4, RequestedAt: 9, Requester: "ops", Reason: "why", GraceUntil: 10, Policy: flowfabric.CancelAll,
		CancelledBy: "flow_cascade", Spreading: true, After: member(1), Acked: true, Outstanding: 3,
	},
	record.BacklogMembers: &record.BacklogMember{
		BacklogMemberKey: record.BacklogMemberKey{Home: partition3, FlowID: flow1, ExecutionID: member(2)}, Version: 4,
	},
	record.Suspensions: &record.Suspension{
		SuspensionKey: record.SuspensionKey{ExecutionID: member(1)},
		Version:       4, SuspensionID: flowfabric.SuspensionID{1}, AttemptIndex: 2, Waitpoints: []flowfabric.WaitpointID{{3}},
		Condition:     new(flowfabric.OnAll(flowfabric.OnNamed("a", "ok"), flowfabric.OnCount(2, flowfabric.DistinctSources, "b", "c"))),
		ResumeDelayMS: 5, Reason: "r", RequestedBy: "worker", SuspendedAt: 6, TimeoutAt: 7, TimeoutBehavior: "fail", Continuation: "c",
		Matched:      []record.SignalRef{{SignalID: flowfabric.SignalID{8}, WaitpointID: flowfabric.WaitpointID{3}, Key: "a", Name: "ok", AcceptedAt: 9}},
		LastSignalAt: 10, ClosedAt: 11, CloseReason: "resumed", Closer: flowfabric.SignalID{8}, Trigger: "signal", Actor: "me", Detail: "d",
		SignalCount: 12, AuthFailedAt: 13,
	},
	record.Waitpoints: &record.Waitpoint{
		WaitpointKey: record.WaitpointKey{ExecutionID: member(1), WaitpointID: flowfabric.WaitpointID{3}},
		Version:      4, Name: "a", State: flowfabric.WaitpointPending, Token: "k1:00", SuspensionID: flowfabric.SuspensionID{1}, AttemptIndex: 2,
		RequiredNames: []string{"a,b"}, CreatedAt: 5, ActivatedAt: 6, ExpiresAt: 9, ClosedAt: 7, CloseReason: "x", SignalCount: 8,
		MatchedCount: 9, LastSignalAt: 10, Signals: []record.SignalRef{{SignalID: flowfabric.SignalID{8}, SourceType: "t", SourceIdentity: "i"}},
	},
	record.Signals: &record.Signal{
		SignalKey: record.SignalKey{ExecutionID: member(1), SignalID: flowfabric.SignalID{8}},
		Version:   4, WaitpointID: flowfabric.WaitpointID{3}, Name: "ok", Category: "approval", SourceType: "t", SourceIdentity: "i",
		CorrelationID: "c", IdempotencyKey: "k", TargetScope: "waitpoint", CreatedAt: 5, AcceptedAt: 6, Effect: "no_op",
		Payload: []byte{0, 255}, Encoding: "json",
	},
	record.Replies: &record.Reply{
		ReplyKey: record.ReplyKey{ExecutionID: member(1), Scope: "suspend", Key: "k"},
		Version:  4, Digest: []byte{1}, Outcome: []byte("{}"), CreatedAt: 5, ExpiresAt: 9,
	},
	record.Steps: &record.Step{
		StepKey: record.StepKey{ExecutionID: member(1), Name: "fetch", Occurrence: "0"},
		Version: 4, Position: 5, Result: []byte{0, 1}, Encoding: "json", Error: "e", Category: "transient", AttemptIndex: 6, Epoch: 7,
		Retries: 8, Replays: 9, RecordedAt: 10, Until: 11,
	},
	record.Streams: &record.Stream{
		StreamKey: record.StreamKey{ExecutionID: member(1), AttemptIndex: 2}, Version: 4, CreatedAt: 5, Count: 6, Bytes: 7,
		Last: flowfabric.FrameID{MS: 8, Seq: 9}, Durable: 10, Summary: 11, Live: 12, Epoch: 13, LastSeq: 14, Rate: 15, LiveAt: 16,
		LiveMax: 17, ExpiresAt: 9, Replays: 18,
	},
	record.Summaries: &record.Summary{
		SummaryKey: record.SummaryKey{ExecutionID: member(1), AttemptIndex: 2}, Version: 4, Document: []byte("{}"), Patches: 5, FirstAt: 6,
		UpdatedAt: 7,
	},
	record.Budgets: &record.Budget{
		BudgetKey: record.BudgetKey{Home: home3, BudgetID: flowfabric.BudgetID{1}}, Version: 4,
		Scope: flowfabric.Scope{Type: "tag", ID: "a=b"}, Mode: "strict", OnHardLimit: "fail", Hard: flowfabric.Amounts{"a": 1},
		Soft: flowfabric.Amounts{"a": 2}, Usage: flowfabric.Amounts{"a": 3}, Reserved: flowfabric.Amounts{"a": 4}, BreachCount: 5,
		SoftBreachCount: 6, LastBreachAt: 7, LastBreachDim: "a", Period: 8, ResetIntervalMS: 9, NextResetAt: 9, LastResetAt: 11,
		Waiting: 12, WakeAt: 13, CreatedAt: 14, UpdatedAt: 15, Definition: []byte{16},
	},
	record.UsageKeys: &record.UsageKey{
		UsageKeyKey: record.UsageKeyKey{Home: home3, BudgetID: flowfabric.BudgetID{1}, Dedup: "k"}, Version: 4, AppliedAt: 5, ExpiresAt: 9,
	},
	record.Ledgers: &record.Ledger{
		LedgerKey: record.LedgerKey{ExecutionID: member(1), BudgetID: flowfabric.BudgetID{1}}, Version: 4, Period: 5,
		Spent: flowfabric.Amounts{"a": 6}, UpdatedAt: 9,
	},
	record.Quotas: &record.Quota{
		QuotaKey: record.QuotaKey{Home: home3, QuotaID: flowfabric.QuotaID{1}}, Version: 4, Scope: flowfabric.Scope{Type: "lane", ID: "a"},
		Rate: 5, WindowMS: 6, WindowKind: "fixed", MaxConcurrent: 7, JitterMS: 8, CreatedAt: 9, UpdatedAt: 10, Definition: []byte{11},
	},
	record.QuotaUses: &record.QuotaUse{
		QuotaUseKey: record.QuotaUseKey{Home: home3, QuotaID: flowfabric.QuotaID{1}, UseKey: "k"}, Version: 4, Active: 5,
		Window: []record.WindowEntry{{At: 6, N: 7}}, Waiting: 8, WakeAt: 9, UpdatedAt: 10,
	},
	record.Parkings: &record.Parking{
		ParkingKey: record.ParkingKey{Gate: "g", Place: "p", ExecutionID: member(1)}, Version: 4, ParkedAt: 5,
	},
	record.LimitScopes: &record.LimitScope{
		LimitScopeKey: record.LimitScopeKey{Home: home3, Scope: flowfabric.Scope{Type: "lane", ID: "a"}}, Version: 4,
		Budgets: []flowfabric.BudgetID{{1}}, Quotas: []flowfabric.QuotaID{{2}},
	},
	record.Lanes: &record.Lane{
		LaneKey: record.LaneKey{Home: flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}, Lane: "mail, fast"},
		Version: 4, State: flowfabric.LanePaused, Weight: 5, MaxConcurrency: 6, RegisteredAt: 7, RegisteredBy: "ops", UpdatedAt: 8,
	},
	record.Workers: &record.Worker{
		WorkerKey: record.WorkerKey{Home: flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}, Namespace: "n", WorkerInstanceID: "w-1"},
		Version:   4, WorkerID: "w", Lanes: []flowfabric.LaneID{"a,b", `c"d`}, Capabilities: []string{"gpu", "mem=64"},
		LivenessTTL: 1500 * time.Millisecond, RegisteredAt: 7, LastHeartbeatAt: 8, ExpiresAt: 9,
	},
	record.EventCursors: &record.EventCursor{
		EventCursorKey: record.EventCursorKey{Home: flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}, Name: "mail"},
		Version:        4, Family: flowfabric.EventsCompletion, Cursor: "0G", UpdatedAt: 7,
	},
	record.APIKeys: &record.APIKey{
		APIKeyKey: record.APIKeyKey{Home: home3, ID: "k"}, Version: 4, Name: "ci", Digest: []byte{0, 255}, PreviousDigest: []byte{1},
		Roles: []flowfabric.Role{"worker"}, Namespaces: []flowfabric.Namespace{"a,b"}, Lanes: []flowfabric.LaneID{`c"d`}, CreatedAt: 5,
		CreatedBy: "ann", ExpiresAt: 6, RotatedAt: 7, PreviousUntil: 8, RevokedAt: 9, RevokedBy: "bob",
	},
	record.PartitionCounts: &record.PartitionCount{
		PartitionCountsKey: record.PartitionCountsKey{Home: flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}},
		Version:            4, Counts: flowfabric.PartitionConfig{Flow: 65535, Budget: 5, Quota: 6}, SetAt: 7,
	},
	record.Secrets: &record.Secret{
		SecretKey: record.SecretKey{Home: flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 3}, Kid: "k1"},
		Version:   4, Secret: []byte{0, 1, 255}, Active: true, RotatedAt: 7, ExpiresAt: 9,
	},
}

func TestKeyed_EveryFamilyHasATableThatHoldsItsRecords(t *testing.T) {
	for _, family := range record.Families {
		table, example := Keyed[family], examples[family]
		if table == nil || example == nil {
			t.Errorf("family %s: table %v, example %v", family, table, example)
			continue
		}
		roundTrip(t, &table.Table, example)
	}
}

func TestKeyed_KeyColumnsArePartsOfTheKey(t *testing.T) {
	for family, table := range Keyed {
		key := examples[family].Key()
		blank := table.Blank(key)
		if blank.Key() != key {
			t.Errorf("%s: the blank record has key %v, want %v", table.Name, blank.Key(), key)
		}
		row := write(t, &table.Table, &blank)
		var got []string
		for i, v := range row.values[:table.Keys] {
			if id, ok := v.([16]byte); ok {
				v = uuid.UUID(id).String() // whose order is that of the bytes
			}
			if n, ok := v.(int64); ok {
				width := map[Kind]int{Int16: 5, Int32: 10}[table.Columns[i].Kind]
				v = fmt.Sprintf("%0*d", width, n) // whose order is that of the numbers
			}
			got = append(got, v.(string))
		}
		if diff := cmp.Diff(key.Parts(), got); diff != "" {
			t.Errorf("%s: key columns differ from the parts of the key (-parts +columns):\n%s", table.Name, diff)
		}
	}
}

func TestKeyed_DueColumnHoldsTheDueTime(t *testing.T) {
	want := map[record.Family]string{
		record.Lanes: "", record.Workers: "expires_at_ms", record.Secrets: "", record.Flows: "remove_at_ms", record.Edges: "",
		record.Groups: "", record.Errands: "enqueued_at_ms", record.Backlogs: "due_at_ms", record.BacklogMembers: "",
		record.Suspensions: "", record.Waitpoints: "due_at_ms", record.Signals: "", record.Replies: "expires_at_ms", record.Steps: "",
		record.Streams: "expires_at_ms", record.Summaries: "", record.Ledgers: "", record.Quotas: "", record.Parkings: "", record.LimitScopes: "",
		record.EventCursors: "", record.APIKeys: "", record.PartitionCounts: "",
		record.Budgets: "due_at_ms", record.UsageKeys: "expires_at_ms", record.QuotaUses: "due_at_ms",
	}
	for family, table := range Keyed {
		if table.Due != want[family] {
			t.Errorf("%s: due column %q, want %q", table.Name, table.Due, want[family])
		}
		example := examples[family]
		i := slices.IndexFunc(table.Columns, func(c Column[record.Keyed]) bool { return c.Name == table.Due })
		switch {
		case table.Due == "" && example.DueTime() != 0:
			t.Errorf("%s: no due column, but the example is due at %d", table.Name, example.DueTime())
		case table.Due == "":
		case write(t, &table.Table, &example).values[i] != int64(9):
			t.Errorf("%s: the due column does not hold 9, the due time of the example", table.Name)
		}
		if blank := table.Blank(example.Key()); i >= 0 && write(t, &table.Table, &blank).values[i] != nil {
			t.Errorf("%s: the due column of a record that is never due is not NULL", table.Name)
		}
	}
}

func TestKeyed_OnlyWhatChangedIsUpdated(t *testing.T) {
	table := Keyed[record.Workers]
	var before record.Keyed = &record.Worker{Version: 1, WorkerID: "w", Lanes: []flowfabric.LaneID{"a"}, ExpiresAt: 9}
	var after record.Keyed = &record.Worker{Version: 2, WorkerID: "w", Lanes: []flowfabric.LaneID{"a", "b"}, ExpiresAt: 12}
	var got []string
	set := table.Changed(&before, &after)
	for i, c := range table.Columns {
		if set.Has(i) {
			got = append(got, c.Name)
		}
	}
	if diff := cmp.Diff([]string{"version", "lanes", "expires_at_ms"}, got); diff != "" {
		t.Errorf("updated columns (-want +got):\n%s", diff)
	}
}

func TestExecutions_FieldsOfTheWholeChapterRoundTrip(t *testing.T) {
	e := record.Execution{
		ID: execution1(), Lane: "l", Version: 2, Tags: map[string]string{"a": "b"}, Priority: 10, Boost: 3, DeadlineAt: 4,
		AttemptEndsAt: 5, AttemptLeftMS: 6, RetainUntil: 7, Slot: true, FlowID: flow1, AwaitsUpstream: true,
		Payload: []byte{1}, PayloadEncoding: "json",
	}
	e.State.BlockingReason, e.State.Outcome = flowfabric.ReasonNone, flowfabric.OutcomeNone
	roundTrip(t, &Executions, e)
}

func TestExecutions_TagsAreUpdatedWhenTheyChange(t *testing.T) {
	i := slices.IndexFunc(Executions.Columns, func(c Column[record.Execution]) bool { return c.Name == "tags" })
	with := func(v string) *record.Execution { return &record.Execution{Tags: map[string]string{"k": v}} }
	if Executions.Changed(with("a"), with("a")).Has(i) {
		t.Error("equal tags are updated")
	}
	if !Executions.Changed(with("a"), with("b")).Has(i) {
		t.Error("another value is not updated")
	}
	if !Executions.Changed(with("a"), &record.Execution{}).Has(i) {
		t.Error("tags that were removed are not updated")
	}
}

func TestExecutions_APayloadIsUpdatedWhenItChanges(t *testing.T) {
	i := slices.IndexFunc(Executions.Columns, func(c Column[record.Execution]) bool { return c.Name == "payload" })
	with := func(v string) *record.Execution { return &record.Execution{Payload: []byte(v)} }
	if Executions.Changed(with("a"), with("a")).Has(i) {
		t.Error("equal payloads are updated")
	}
	if !Executions.Changed(with("a"), with("b")).Has(i) {
		t.Error("another payload is not updated")
	}
}

func TestIndexes_EntriesRoundTrip(t *testing.T) {
	roundTrip(t, &Retain, store.RetainEntry{RetainUntil: 5, ExecutionID: execution1()})
	roundTrip(t, &Slots, store.SlotEntry{Lane: "l", ExecutionID: execution1()})
	roundTrip(t, &Ready, store.ReadyEntry{Lane: "l", Route: -1, Priority: 2, CreatedAt: 3, ExecutionID: execution1()})
	roundTrip(t, &Due, store.DueEntry{DueAt: 3, ExecutionID: execution1()})
}

func TestEvents_AnEventOfNoExecutionKeepsItsPartition(t *testing.T) {
	home := flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: 200}
	row := roundTrip(t, &Events, record.Event{Family: record.FamilyWorker, Type: "registered", ExecutionID: record.NoExecution(home), At: 1})
	if row.values[2] != int64(200) || row.values[3] != [16]byte{} {
		t.Errorf("partition_key %v, execution_id %v, want 200 and the nil UUID", row.values[2], row.values[3])
	}
}

// A ColumnSet has a bit for each column.
func TestTables_HaveAtMost128ColumnsOfDistinctNames(t *testing.T) {
	check := func(table string, names []string) {
		if len(names) > 128 {
			t.Errorf("%s has %d columns", table, len(names))
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			t.Errorf("%s has a column twice", table)
		}
	}
	check(Executions.Name, columnNames(&Executions))
	check(Events.Name, columnNames(&Events))
	for _, table := range Keyed {
		names := columnNames(&table.Table)
		check(table.Name, names)
		if !slices.Contains(names, "version") || !slices.Contains(names, "partition_key") {
			t.Errorf("%s lacks version or partition_key: %v", table.Name, names)
		}
	}
}

func columnNames[R any](table *Table[R]) []string {
	var names []string
	for _, c := range table.Columns {
		names = append(names, c.Name)
	}
	return names
}
