package storetest

import (
	"fmt"
	"reflect"

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
		CreatedAt: start - 1,
		State: ff.StateVector{
			Phase: ff.PhaseActive, Ownership: ff.LeaseExpiredReclaimable, Eligibility: ff.EligibilityNotApplicable,
			BlockingReason: ff.WaitingForWorker, Outcome: ff.OutcomeFailed, AttemptState: ff.AttemptInterrupted,
		},
		Public: ff.PublicActive, Ready: true, DueAt: start + 1, Priority: 9000, DelayUntil: ff.MaxTimestamp,
		BlockingDetail: "lease expired,\nawaiting reclaim", StartedAt: start + 2, CompletedAt: start + 3,
		LastTransitionAt: start + 4, LastMutationAt: start + 5, TotalAttempts: 2_000_000_000, RetryCount: 2, ReclaimCount: 3,
		ReplayCount: 4, AttemptIndex: 1_999_999_999, AttemptID: ff.AttemptID(uuidOf(102)), AttemptType: ff.AttemptReclaim,
		AttemptStartedAt: start + 6, Epoch: 1 << 60, LeaseID: ff.LeaseID(uuidOf(103)), WorkerID: "worker",
		WorkerInstanceID: "worker-1", LeaseAcquiredAt: start + 7, LeaseRenewedAt: start + 8, LeaseExpiresAt: start + 9,
		Result: []byte{0, 1, 0xfe}, ResultEncoding: "binary", FailureReason: "smtp: 550 <nobody@example.com>",
		FailureCategory: ff.FailureTransient, CancellationReason: "no longer wanted", CancelledBy: ff.SourceOperatorOverride,
		LeaseRevokeReason: "operator", LastOperatorAt: start + 10, ProgressPercent: new(42), ProgressMessage: "halfway ✓",
		ProgressDetails: []byte{7, 0, 7}, ProgressUpdatedAt: start + 11,
	}
}

func fullPolicy() *ff.Policy {
	return &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: new(uint32(5)),
			Backoff: &ff.Backoff{
				Type: ff.BackoffExponential, DelayMS: 1, InitialDelayMS: 2, MaxDelayMS: 3, Multiplier: 1.25, Jitter: true,
			},
			RetryableCategories: []string{"transient", "timeout"},
		},
		MaxReclaims: new(uint32(6)), MaxReplays: new(uint32(7)),
		Routing: &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu", "linux/arm64"}},
	}
}

// bareExecution has nothing set that may be unset.
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
	return &record.Route{Lane: mail, ID: -1 << 62, Capabilities: []string{"gpu", "größe"}, Partition: homePartition}
}

func fullEvent() record.Event {
	return record.Event{
		Family: record.FamilyLease, Type: "acquired", ExecutionID: id(1), FlowID: ff.FlowID(uuidOf(105)), Namespace: "tenant-ä",
		InstanceTag: "i-1", At: start + 1, LeaseID: ff.LeaseID(uuidOf(106)), Epoch: 1 << 60, AttemptID: ff.AttemptID(uuidOf(107)),
		AttemptIndex: 3, WorkerID: "worker", WorkerInstanceID: "worker-1", Reason: "claim_resumed",
		Details: []byte(`{"old_priority": 1, "actor": "ops \"x\"", "nested": {"z": [1, 2.5, null]}}`),
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
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() - 1)
	case reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case reflect.Slice:
		v.SetBytes(append([]byte{9}, v.Bytes()...))
	case reflect.Pointer:
		n := reflect.New(v.Type().Elem())
		alter(n.Elem())
		v.Set(n)
	default:
		panic(fmt.Sprintf("storetest: no other value for a field of type %s", v.Type()))
	}
}
