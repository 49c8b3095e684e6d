package storetest

import (
	"fmt"
	"reflect"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// fullExecution has every field set. It stands for no execution that could be: what is tested is the columns.
func fullExecution() *record.Execution {
	return &record.Execution{
		ID: id(1), Version: 1, FlowID: ff.FlowID(uuidOf(101)), Lane: "a lane with ~punctuation, 'quotes'", Namespace: "tenant-ä",
		Kind: "send", Creator: "cron", Payload: []byte("\x00\xff\x00payload"), PayloadEncoding: "json",
		Capabilities: []string{"gpu", "linux/arm64", "größe"}, Route: -9_000_000_000_000_000_001,
		Tags: map[string]string{"team.name": "mail", "quote": `"\'{},;`, "cairn.instance_id": "i-1"}, Policy: fullPolicy(),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		CreatedAt:   start - 1,
		State: ff.StateVector{
			Phase: ff.PhaseActive, Ownership: ff.LeaseExpiredReclaimable, Eligibility: ff.EligibilityNotApplicable,
			BlockingReason: ff.WaitingForWorker, Outcome: ff.OutcomeFailed, AttemptState: ff.AttemptInterrupted,
		},
		Public: ff.PublicActive, Ready: true, AwaitsUpstream: true, DueAt: start + 1, Priority: 9000, Boost: 17, DelayUntil: ff.MaxTimestamp,
		DeadlineAt: start + 12, AttemptEndsAt: start + 13, AttemptLeftMS: 1 << 40, RetainUntil: start + 14, Slot: true,
		BlockingDetail: "lease expired,\nawaiting reclaim", StartedAt: start + 2, CompletedAt: start + 3,
		LastTransitionAt: start + 4, LastMutationAt: start + 5, TotalAttempts: 2_000_000_000, RetryCount: 2, ReclaimCount: 3,
		ReplayCount: 4, AttemptIndex: 1_999_999_999, AttemptID: ff.AttemptID(uuidOf(102)), AttemptType: ff.AttemptReclaim,
		AttemptStartedAt: start + 6, Epoch: 1 << 60, LeaseID: ff.LeaseID(uuidOf(103)), WorkerID: "worker",
		WorkerInstanceID: "worker-1", LeaseAcquiredAt: start + 7, LeaseRenewedAt: start + 8, LeaseExpiresAt: start + 9,
		Result: []byte{0, 1, 0xfe}, ResultEncoding: "binary", FailureReason: "smtp: 550 <nobody@example.com>",
		FailureCategory: ff.FailureTransient, CancellationReason: "no longer wanted", CancelledBy: ff.SourceOperatorOverride,
		SuspensionID: ff.SuspensionID(uuidOf(120)), WaitpointID: ff.WaitpointID(uuidOf(121)), SuspendedUntil: start + 15,
		SuspensionTimeout: ff.TimeoutEscalate, Limits: fullLimits(), LeaseRevokeReason: "operator", LastOperatorAt: start + 10, ProgressPercent: new(42), ProgressMessage: "halfway ✓",
		ProgressDetails: []byte{7, 0, 7}, ProgressUpdatedAt: start + 11,
	}
}

// fullPolicy leaves the delay unset that a fixed backoff has instead.
func fullPolicy() *ff.Policy {
	return &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: new(uint32(5)),
			Backoff: &ff.Backoff{
				Type: ff.BackoffExponential, InitialDelayMS: 2, MaxDelayMS: 3, Multiplier: 1.25, Jitter: true,
			},
			RetryableCategories: []string{"transient", "timeout"}, OnExhausted: ff.ExhaustedFails,
		},
		Timeouts: &ff.TimeoutPolicy{
			AttemptTimeoutMS: 8, OnAttemptTimeout: ff.TimeoutRetries, ExecutionDeadlineMS: 9,
		},
		RetentionMS: new(int64(10)), DedupWindowMS: new(int64(11)), Aging: &ff.AgingPolicy{EveryMS: 1000, Step: 12},
		MaxReclaims: new(uint32(6)), MaxReplays: new(uint32(7)), Limits: &ff.Limits{
			Budgets: []ff.BudgetUse{{ID: ff.BudgetID(uuidOf(130)), Estimate: ff.Amounts{"ä": 1 << 62}}},
			Quotas:  []ff.QuotaUse{{ID: ff.QuotaID(uuidOf(131)), Key: "user ä"}},
		}, MaxSignals: new(uint32(8)),
		Suspension: &ff.SuspensionPolicy{DefaultTimeoutMS: 13, TimeoutBehavior: ff.TimeoutCancels},
		Routing:    &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu", "linux/arm64"}},
		Stream:     &ff.StreamPolicy{MaxFrames: 14, MaxBytes: 15},
	}
}

// bareExecution has nothing set that may be unset.
func fullLimits() *record.Limits {
	return &record.Limits{
		Budgets: []record.BudgetUse{{ID: ff.BudgetID(uuidOf(130)), Estimate: ff.Amounts{"ä": 1 << 62}, Reserved: ff.Amounts{"ä": 2}}},
		Quotas:  []ff.QuotaUse{{ID: ff.QuotaID(uuidOf(131)), Key: "user ä"}}, Admitted: true, Since: 1 << 60, Gate: "quota/1", Pass: true,
	}
}

func bareExecution() *record.Execution {
	return &record.Execution{
		ID: id(2), Version: 1, Lane: "a", CreatedAt: start,
		State: ff.StateVector{
			Phase: ff.PhaseSubmitted, Ownership: ff.Unowned, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.ReasonNone,
			Outcome: ff.OutcomeNone, AttemptState: ff.AttemptNone,
		},
		Public: ff.PublicWaiting,
	}
}

func fullAttempt() *record.Attempt {
	return &record.Attempt{
		ExecutionID: id(1), Index: 7, AttemptID: ff.AttemptID(uuidOf(104)), Type: ff.AttemptRetry, State: ff.AttemptEndedFailure,
		LeaseEpoch: 9, WorkerID: "worker", WorkerInstanceID: "worker-2", LeaseExpiresAt: start + 1, StartedAt: start + 2,
		EndedAt: start + 3, Outcome: record.AttemptRetried, FailureReason: "smtp: 421\ttry later", FailureCategory: ff.FailureTimeout,
	}
}

func fullIdempotency() *record.Idempotency {
	return &record.Idempotency{
		Key: record.IdempotencyKey{Namespace: "tenant-ä", Key: "order #1; 'x'"}, Partition: homePartition, Version: 1,
		ExecutionID: id(5), Digest: [32]byte{0, 1, 31: 0xff}, ExpiresAt: start + 1,
	}
}

func fullRoute() *record.Route {
	return &record.Route{Lane: mail, ID: -1 << 62, Capabilities: []string{"gpu", "größe"}, Partition: homePartition, SeenAt: start - 1}
}

func fullEvent() record.Event {
	return record.Event{
		Family: record.FamilyLease, Type: "acquired", ExecutionID: id(1), FlowID: ff.FlowID(uuidOf(105)), Namespace: "tenant-ä",
		InstanceTag: "i-1", At: start + 1, LeaseID: ff.LeaseID(uuidOf(106)), Epoch: 1 << 60, AttemptID: ff.AttemptID(uuidOf(107)),
		AttemptIndex: 3, WorkerID: "worker", WorkerInstanceID: "worker-1", Reason: "claim_resumed",
		Details: []byte(`{"old_priority": 1, "actor": "ops \"x\"", "nested": {"z": [1, 2.5, null]}}`),
	}
}

// fullRecords has a record of each keyed family with every field set.
func fullRecords() []record.Keyed {
	flow, second := ff.FlowID(uuidOf(110)), ff.EdgeID(uuidOf(111))
	member := func(n int) ff.ExecutionID { return ff.ExecutionIDFrom(homePartition.Index, id(n).UUID()) }
	return []record.Keyed{
		&record.APIKey{
			APIKeyKey: record.APIKeyKey{Home: homePartition, ID: "abc"}, Version: 1, Name: "ci ä", Digest: []byte{0, 0xff},
			PreviousDigest: []byte{1}, Roles: []ff.Role{ff.RoleWorker}, Namespaces: []ff.Namespace{"tenant-ä"}, Lanes: []ff.LaneID{`a, "b"`},
			CreatedAt: start + 1, CreatedBy: "ann", ExpiresAt: start + 2, RotatedAt: start + 3, PreviousUntil: start + 4,
			RevokedAt: start + 5, RevokedBy: "bob",
		},
		&record.Budget{
			BudgetKey: record.BudgetKey{Home: homePartition, BudgetID: ff.BudgetID(uuidOf(130))}, Version: 1,
			Scope: ff.Scope{Type: ff.ScopeTag, ID: "team=ä 'x'"}, Mode: ff.Advisory, OnHardLimit: ff.LimitFails,
			Hard: ff.Amounts{"total_cost": 1<<63 - 1, "ä 'x'": 2}, Soft: ff.Amounts{"total_cost": 3}, Usage: ff.Amounts{"total_cost": 4},
			Reserved: ff.Amounts{"total_cost": 5}, BreachCount: 6, SoftBreachCount: 7, LastBreachAt: start + 1, LastBreachDim: "ä",
			Period: 8, ResetIntervalMS: 9, NextResetAt: start + 2, LastResetAt: start + 3, Waiting: 10, WakeAt: start + 4, CreatedAt: start + 5,
			UpdatedAt: start + 6, Definition: []byte{0, 0xff},
		},
		&record.Backlog{
			BacklogKey: record.BacklogKey{Home: homePartition, FlowID: flow}, Version: 1, RequestedAt: start + 1, Requester: "ops",
			Reason: "ä 'x'", GraceUntil: start + 2, Policy: ff.CancelPending, CancelledBy: ff.SourceCancelFlowHeader, Spreading: true,
			After: member(3), Acked: true, Outstanding: 4,
		},
		&record.BacklogMember{BacklogMemberKey: record.BacklogMemberKey{Home: homePartition, FlowID: flow, ExecutionID: member(3)}, Version: 1},
		&record.Edge{
			EdgeKey: record.EdgeKey{Home: homePartition, FlowID: flow, EdgeID: second}, Version: 1, Upstream: member(3), Downstream: member(4),
			DependencyKind: ff.SuccessOnly, Required: true, DataPassingRef: "result", State: ff.EdgeImpossible, CreatedAt: start + 1,
			CreatedBy: "engine", Applied: true, AppliedAt: start + 2, ResolvedAt: start + 3, Outcome: ff.OutcomeFailed, Round: 5, Wave: 6,
		},
		&record.Group{
			GroupKey: record.GroupKey{Home: homePartition, FlowID: flow, Downstream: member(4)}, Version: 1,
			Policy:  ff.GroupPolicy{Kind: ff.Quorum, K: 7, OnSatisfied: ff.LetRun},
			Success: 1, Fail: 2, Skip: 3, Running: 4, Total: 10, Required: 6, RequiredSuccess: 5, State: ff.GroupImpossible, Round: 7, Wave: 8,
			SatisfiedAt: start + 1, SiblingsPending: true, SiblingsReason: "sibling_quorum_impossible", DataEdge: second, DataFrom: member(3),
		},
		&record.Errand{
			ErrandKey: record.ErrandKey{Home: homePartition, FlowID: flow, ExecutionID: member(4), Kind: record.CancelSiblings}, Version: 1,
			After: second, EnqueuedAt: start + 1,
		},
		&record.EventCursor{
			EventCursorKey: record.EventCursorKey{Home: homePartition, Name: "reader ä 'x'"}, Version: 1,
			Family: ff.EventsCompletion, Cursor: "0G", UpdatedAt: 5,
		},
		&record.Flow{
			FlowKey: record.FlowKey{Home: homePartition, FlowID: flow}, Version: 1, GraphRevision: 1 << 60, State: ff.FlowCancelled,
			Kind: "etl 'x'", Namespace: "tenant-ä", Tags: map[string]string{"team.name": "mail"}, Sealed: true, NodeCount: 5, EdgeCount: 6,
			EndedCount: 4, BadCount: 3, CreatedAt: start + 1, LastMutationAt: start + 2, TerminalAt: start + 3,
			CancellationPolicy: ff.CancelAll, CancelReason: new("no more"), RemoveAt: start + 4,
		},
		&record.Lane{
			LaneKey: record.LaneKey{Home: homePartition, Lane: "a lane, ~punctuation 'quotes'"}, Version: 1, State: ff.LaneDraining,
			Weight: 1000, MaxConcurrency: 100_000, RegisteredAt: start + 1, RegisteredBy: "ops \"x\"", UpdatedAt: start + 2,
		},
		&record.Ledger{
			LedgerKey: record.LedgerKey{ExecutionID: member(3), BudgetID: ff.BudgetID(uuidOf(130))}, Version: 1, Period: 2,
			Spent: ff.Amounts{"total_cost": 3}, UpdatedAt: start + 1,
		},
		&record.LimitScope{
			LimitScopeKey: record.LimitScopeKey{Home: homePartition, Scope: ff.Scope{Type: ff.ScopeTenant, ID: "tenant-ä"}}, Version: 1,
			Budgets: []ff.BudgetID{ff.BudgetID(uuidOf(130))}, Quotas: []ff.QuotaID{ff.QuotaID(uuidOf(131))},
		},
		&record.Parking{
			ParkingKey: record.ParkingKey{Gate: "budget/1", Place: "00001/2", ExecutionID: member(3)}, Version: 1, ParkedAt: start + 1,
		},
		&record.PartitionCount{
			PartitionCountsKey: record.PartitionCountsKey{Home: homePartition}, Version: 1,
			Counts: ff.PartitionConfig{Flow: 65535, Budget: 1, Quota: 2}, SetAt: start + 1,
		},
		&record.Quota{
			QuotaKey: record.QuotaKey{Home: homePartition, QuotaID: ff.QuotaID(uuidOf(131))}, Version: 1,
			Scope: ff.Scope{Type: ff.ScopeLane, ID: "mail"}, Rate: 1, WindowMS: 2, WindowKind: ff.FixedWindow, MaxConcurrent: 3, JitterMS: 4,
			CreatedAt: start + 1, UpdatedAt: start + 2, Definition: []byte{1},
		},
		&record.QuotaUse{
			QuotaUseKey: record.QuotaUseKey{Home: homePartition, QuotaID: ff.QuotaID(uuidOf(131)), UseKey: "user ä"}, Version: 1, Active: 2,
			Window: []record.WindowEntry{{At: start, N: 3}}, Waiting: 4, WakeAt: start + 1, UpdatedAt: start + 2,
		},
		&record.Reply{
			ReplyKey: record.ReplyKey{ExecutionID: member(3), Scope: "suspend", Key: "a ä 'key'"}, Version: 1, Digest: []byte{0, 0xff},
			Outcome: []byte(`{"a":1}`), CreatedAt: start + 1, ExpiresAt: start + 2,
		},
		&record.Secret{
			SecretKey: record.SecretKey{Home: homePartition, Kid: "k1"}, Version: 1, Secret: []byte{0, 0xff, 0, 'x'}, Active: true,
			RotatedAt: start + 1, ExpiresAt: start + 2,
		},
		&record.Signal{
			SignalKey: record.SignalKey{ExecutionID: member(3), SignalID: ff.SignalID(uuidOf(122))}, Version: 1,
			WaitpointID: ff.WaitpointID(uuidOf(121)), Name: "ä 'ok'", Category: "approval", SourceType: "operator", SourceIdentity: "ann",
			CorrelationID: "c-1", IdempotencyKey: "k-1", TargetScope: "waitpoint", CreatedAt: start + 1, AcceptedAt: start + 2,
			Effect: ff.EffectResumed, Payload: []byte("\x00\xff payload"), Encoding: "json",
		},
		&record.Step{
			StepKey: record.StepKey{ExecutionID: member(3), Name: "fetch ä", Occurrence: "item/7"}, Version: 1, Position: 8,
			Result: []byte{0, 1, 0xfe}, Encoding: "json", Error: "502 \"bad gateway\"", Category: ff.FailureTransient, AttemptIndex: 3,
			Epoch: 1 << 60, Retries: 4, Replays: 5, RecordedAt: start + 1, Until: start + 2,
		},
		&record.Stream{
			StreamKey: record.StreamKey{ExecutionID: member(3), AttemptIndex: 2}, Version: 1, CreatedAt: start + 1, Count: 1 << 40, Bytes: 1 << 41,
			Last: ff.FrameID{MS: start + 2, Seq: 1 << 42}, Durable: 3, Summary: 4, Live: 5, Epoch: 1 << 60, LastSeq: 1 << 61, Rate: 1 << 50,
			LiveAt: start + 3, LiveMax: 6, ExpiresAt: start + 4, Replays: 7,
		},
		&record.Summary{
			SummaryKey: record.SummaryKey{ExecutionID: member(3), AttemptIndex: 2}, Version: 1, Document: []byte(`{"n":1.0e2,"ä":12345678901234567890}`),
			Patches: 8, FirstAt: start + 1, UpdatedAt: start + 2,
		},
		&record.Suspension{
			SuspensionKey: record.SuspensionKey{ExecutionID: member(3)}, Version: 1, SuspensionID: ff.SuspensionID(uuidOf(120)),
			AttemptIndex: 2, Waitpoints: []ff.WaitpointID{ff.WaitpointID(uuidOf(121))},
			Condition:     new(ff.OnAll(ff.OnNamed("a", "ok"), ff.OnCount(2, ff.DistinctSources, "b", "c"))),
			ResumeDelayMS: 5, Reason: ff.WaitForApproval, RequestedBy: ff.RequestedByPolicy, SuspendedAt: start + 1, TimeoutAt: start + 2,
			TimeoutBehavior: ff.TimeoutResumes, Continuation: "s3://x", Matched: []record.SignalRef{fullSignalRef()}, LastSignalAt: start + 3,
			ClosedAt: start + 4, CloseReason: "resumed", Closer: ff.SignalID(uuidOf(122)), Trigger: ff.TriggerSignal, Actor: "ann",
			Detail: "why", SignalCount: 6, AuthFailedAt: start + 5,
		},
		&record.UsageKey{
			UsageKeyKey: record.UsageKeyKey{Home: homePartition, BudgetID: ff.BudgetID(uuidOf(130)), Dedup: "k ä 'x'"}, Version: 1,
			AppliedAt: start + 1, ExpiresAt: start + 2,
		},
		&record.Waitpoint{
			WaitpointKey: record.WaitpointKey{ExecutionID: member(3), WaitpointID: ff.WaitpointID(uuidOf(121))}, Version: 1, Name: "legal, ä",
			State: ff.WaitpointPending, Token: "k1:00ff", SuspensionID: ff.SuspensionID(uuidOf(120)), AttemptIndex: 2,
			RequiredNames: []string{"a, b", `"c"`}, CreatedAt: start + 1, ActivatedAt: start + 2, ExpiresAt: start + 3, ClosedAt: start + 4,
			CloseReason: "resumed", SignalCount: 5, MatchedCount: 4, LastSignalAt: start + 6, Signals: []record.SignalRef{fullSignalRef()},
		},
		&record.Worker{
			WorkerKey: record.WorkerKey{Home: homePartition, Namespace: "tenant-ä", WorkerInstanceID: "worker-1"}, Version: 1,
			WorkerID: "worker", Lanes: []ff.LaneID{"a, b", `c "d"`}, Capabilities: []string{"gpu", "größe"},
			LivenessTTL: 1500 * time.Millisecond, RegisteredAt: start + 1, LastHeartbeatAt: start + 2, ExpiresAt: start + 3,
		},
	}
}

func fullSignalRef() record.SignalRef {
	return record.SignalRef{
		SignalID: ff.SignalID(uuidOf(122)), WaitpointID: ff.WaitpointID(uuidOf(121)), Key: "legal, ä", Name: "ok", SourceType: "operator",
		SourceIdentity: "ann", AcceptedAt: start + 1,
	}
}

// bareRecord has nothing set but its key and version.
func bareRecord(key record.Key) record.Keyed {
	switch key := key.(type) {
	case record.LaneKey:
		return &record.Lane{LaneKey: key, Version: 1}
	case record.WorkerKey:
		return &record.Worker{WorkerKey: key, Version: 1}
	case record.SecretKey:
		return &record.Secret{SecretKey: key, Version: 1}
	case record.FlowKey:
		return &record.Flow{FlowKey: key, Version: 1, Namespace: ff.DefaultNamespace}
	case record.EdgeKey:
		return &record.Edge{EdgeKey: key, Version: 1, Upstream: id(1), Downstream: id(2)}
	case record.GroupKey:
		return &record.Group{GroupKey: key, Version: 1, Policy: ff.GroupPolicy{Kind: ff.AllOf}}
	case record.ErrandKey:
		return &record.Errand{ErrandKey: key, Version: 1}
	case record.BacklogKey:
		return &record.Backlog{BacklogKey: key, Version: 1}
	case record.SuspensionKey:
		return &record.Suspension{SuspensionKey: key, Version: 1}
	case record.WaitpointKey:
		return &record.Waitpoint{WaitpointKey: key, Version: 1}
	case record.SignalKey:
		return &record.Signal{SignalKey: key, Version: 1}
	case record.ReplyKey:
		return &record.Reply{ReplyKey: key, Version: 1}
	case record.APIKeyKey:
		return &record.APIKey{APIKeyKey: key, Version: 1}
	case record.EventCursorKey:
		return &record.EventCursor{EventCursorKey: key, Version: 1}
	case record.PartitionCountsKey:
		return &record.PartitionCount{PartitionCountsKey: key, Version: 1}
	case record.BudgetKey:
		return &record.Budget{BudgetKey: key, Version: 1}
	case record.UsageKeyKey:
		return &record.UsageKey{UsageKeyKey: key, Version: 1}
	case record.LedgerKey:
		return &record.Ledger{LedgerKey: key, Version: 1}
	case record.QuotaKey:
		return &record.Quota{QuotaKey: key, Version: 1}
	case record.QuotaUseKey:
		return &record.QuotaUse{QuotaUseKey: key, Version: 1}
	case record.ParkingKey:
		return &record.Parking{ParkingKey: key, Version: 1}
	case record.LimitScopeKey:
		return &record.LimitScope{LimitScopeKey: key, Version: 1}
	case record.StepKey:
		return &record.Step{StepKey: key, Version: 1}
	case record.StreamKey:
		return &record.Stream{StreamKey: key, Version: 1}
	case record.SummaryKey:
		return &record.Summary{SummaryKey: key, Version: 1, Document: []byte("{}")}
	case record.BacklogMemberKey:
		return &record.BacklogMember{BacklogMemberKey: key, Version: 1}
	default:
		panic(fmt.Sprintf("storetest: no bare record of family %s", key.Family()))
	}
}

// unset lists the fields of a record, with those of the structs in it, that are zero.
func unset(path string, v reflect.Value) []string {
	if v.IsZero() {
		return []string{path}
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var list []string
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			list = append(list, unset(path+"."+f.Name, v.Field(i))...)
		}
	}
	return list
}

// alter gives a field another value that its column can hold.
func alter(v reflect.Value) {
	switch r := v.Interface().(type) {
	case ff.ExecutionID:
		u := r.UUID()
		u[0] ^= 1
		v.Set(reflect.ValueOf(ff.ExecutionIDFrom(r.Partition().Index, u)))
		return
	case ff.Condition:
		v.Set(reflect.ValueOf(ff.OnSignal("another")))
		return
	case ff.Scope:
		v.Set(reflect.ValueOf(ff.Scope{Type: ff.ScopeFlow, ID: "another"}))
		return
	case record.Limits:
		v.Set(reflect.ValueOf(record.Limits{Quotas: []ff.QuotaUse{{Key: "another"}}}))
		return
	case record.WindowEntry:
		v.Set(reflect.ValueOf(record.WindowEntry{At: start + 9, N: 9}))
		return
	case record.SignalRef:
		v.Set(reflect.ValueOf(record.SignalRef{Key: "another"}))
		return
	case ff.FrameID:
		v.Set(reflect.ValueOf(ff.FrameID{MS: start - 1, Seq: 77}))
		return
	case ff.PartitionConfig:
		v.Set(reflect.ValueOf(ff.PartitionConfig{Flow: 1, Budget: 2, Quota: 3}))
		return
	case ff.GroupPolicy:
		v.Set(reflect.ValueOf(ff.GroupPolicy{Kind: ff.AnyOf, OnSatisfied: ff.CancelRemaining}))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			v.SetInt(v.Int() + int64(time.Millisecond))
			return
		}
		v.SetInt(v.Int() - 1)
	case reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(append([]byte{9}, v.Bytes()...))
			return
		}
		n := reflect.New(v.Type().Elem()).Elem()
		alter(n)
		v.Set(reflect.Append(v.Slice3(0, v.Len(), v.Len()), n))
	case reflect.Map:
		n := reflect.MakeMap(v.Type())
		value := reflect.New(v.Type().Elem()).Elem()
		alter(value)
		n.SetMapIndex(reflect.ValueOf("another.key"), value)
		v.Set(n)
	case reflect.Pointer:
		n := reflect.New(v.Type().Elem())
		alter(n.Elem())
		v.Set(n)
	default:
		panic(fmt.Sprintf("storetest: no other value for a field of type %s", v.Type()))
	}
}
