// Package record defines what a store keeps: one flat type for each family of records. The rule packages
// (internal/lifecycle) make new records out of old ones; a store saves and loads them and decides nothing.
//
// A record that was handed out is never changed in place: rules copy it, change the copy and put that. So stores,
// caches and callers may share pointers.
package record

import (
	"github.com/flowfabric/flowfabric"
)

// Execution is the one record that every operation on an execution reads and writes: its state vector, its place in the
// two indexes, and the attempt and lease that are open. Attempts that have ended are [Attempt] records.
type Execution struct {
	ID flowfabric.ExecutionID
	// Version guards every write: a store writes a record only over the version it was decided on. 0 means "not stored
	// yet". The store sets it when it writes.
	Version int64

	// FlowID is the flow the execution is a member of. It is set at most once.
	FlowID flowfabric.FlowID
	// AwaitsUpstream: what the execution depends on is not decided. It holds the execution back whenever it would become
	// claimable.
	AwaitsUpstream bool

	// Set once, when the execution is submitted. A flow may replace the payload before the first claim.
	Lane            flowfabric.LaneID
	Namespace       flowfabric.Namespace
	Kind            string
	Creator         string
	Payload         []byte
	PayloadEncoding string
	Capabilities    []string // required; sorted, without repeats
	Route           int64    // what Capabilities hash to; 0 for none
	Tags            map[string]string
	Policy          *flowfabric.Policy
	TraceParent     flowfabric.TraceParent // the span it was submitted in; empty for none
	CreatedAt       flowfabric.Timestamp

	// State and what is derived from it, set by internal/lifecycle alone.
	State  flowfabric.StateVector
	Public flowfabric.PublicState
	// Ready: the execution is in the claim order of (Lane, Route, Priority+Boost descending, CreatedAt, ID).
	Ready bool
	// DueAt is when the execution next needs attention, 0 for never.
	DueAt flowfabric.Timestamp

	Priority int
	// Boost is what waiting has added to the place in the claim order (Policy.Aging); 0 unless ready.
	Boost          int
	DelayUntil     flowfabric.Timestamp
	BlockingDetail string

	// DeadlineAt ends the execution in any state; 0 for never.
	DeadlineAt flowfabric.Timestamp
	// AttemptEndsAt is when the attempt that holds the lease has run too long; 0 for never or not leased.
	AttemptEndsAt flowfabric.Timestamp
	// AttemptLeftMS is what is left of the attempt's time while the attempt is paused; 0 when it has no timeout.
	AttemptLeftMS int64
	// RetainUntil is when the finished execution and all its records may be removed; 0 for not finished. It is the place
	// in the retention index.
	RetainUntil flowfabric.Timestamp
	// Slot: the lease counts against the concurrency of its lane. Slots of a lane are an index.
	Slot bool

	StartedAt        flowfabric.Timestamp // first claim ever
	CompletedAt      flowfabric.Timestamp
	LastTransitionAt flowfabric.Timestamp
	LastMutationAt   flowfabric.Timestamp

	TotalAttempts int
	RetryCount    int
	ReclaimCount  int
	ReplayCount   int

	// The current or latest attempt. AttemptID survives the end of the execution, so that a repeated call of its last
	// holder can be told from a stranger's; a scheduled retry clears it.
	AttemptIndex     int
	AttemptID        flowfabric.AttemptID
	AttemptType      flowfabric.AttemptType
	AttemptStartedAt flowfabric.Timestamp

	// The lease. Epoch never falls and survives everything (F4); the rest is set only while a lease is held or expired.
	Epoch            uint64
	LeaseID          flowfabric.LeaseID
	WorkerID         flowfabric.WorkerID
	WorkerInstanceID flowfabric.WorkerInstanceID
	LeaseAcquiredAt  flowfabric.Timestamp
	LeaseRenewedAt   flowfabric.Timestamp
	LeaseExpiresAt   flowfabric.Timestamp

	// What a suspended execution waits on, and until when; all unset otherwise.
	SuspensionID      flowfabric.SuspensionID
	WaitpointID       flowfabric.WaitpointID // the primary one
	SuspendedUntil    flowfabric.Timestamp
	SuspensionTimeout flowfabric.TimeoutBehavior

	// Limits are the budgets and quotas it is under; nil for none.
	Limits *Limits

	Result             []byte
	ResultEncoding     string
	FailureReason      string
	FailureCategory    flowfabric.FailureCategory
	CancellationReason string
	CancelledBy        flowfabric.Source
	LeaseRevokeReason  string
	// LastOperatorAt is when an operator last changed the execution; Postgres keeps it as raw_fields.last_mutation_at.
	LastOperatorAt flowfabric.Timestamp

	ProgressPercent   *int
	ProgressMessage   string
	ProgressDetails   []byte
	ProgressUpdatedAt flowfabric.Timestamp
}

// AttemptKey names an attempt.
type AttemptKey struct {
	ExecutionID flowfabric.ExecutionID
	Index       int
}

// Attempt is an attempt that has ended, or one that a replay cleared to run again (State, Outcome and EndedAt are unset
// then). The attempt that is running is part of its [Execution]. An attempt is only written together with its
// execution, whose version guards both.
type Attempt struct {
	ExecutionID      flowfabric.ExecutionID
	Index            int
	AttemptID        flowfabric.AttemptID
	Type             flowfabric.AttemptType
	State            flowfabric.AttemptLifecycle
	LeaseEpoch       uint64
	WorkerID         flowfabric.WorkerID
	WorkerInstanceID flowfabric.WorkerInstanceID
	LeaseExpiresAt   flowfabric.Timestamp
	StartedAt        flowfabric.Timestamp
	EndedAt          flowfabric.Timestamp
	Outcome          AttemptOutcome
	FailureReason    string
	FailureCategory  flowfabric.FailureCategory
}

// Key returns the attempt's key.
func (a *Attempt) Key() AttemptKey { return AttemptKey{ExecutionID: a.ExecutionID, Index: a.Index} }

// AttemptOutcome is how an attempt ended, as the column ff_attempt.outcome has it; empty while it has not.
type AttemptOutcome string

// Attempt outcomes.
const (
	AttemptSucceeded  AttemptOutcome = "success"
	AttemptFailed     AttemptOutcome = "failed"
	AttemptRetried    AttemptOutcome = "retry" // failed, and another attempt was scheduled
	AttemptCancelled  AttemptOutcome = "cancelled"
	AttemptReclaimed  AttemptOutcome = "interrupted_reclaimed"
	AttemptWasSkipped AttemptOutcome = "skipped"
	AttemptRanTooLong AttemptOutcome = "expired"
)

// IdempotencyKey names a remembered submission. The key is unique over all partitions.
type IdempotencyKey struct {
	Namespace flowfabric.Namespace
	Key       string
}

// Idempotency remembers which execution a submission with a key led to.
type Idempotency struct {
	Key         IdempotencyKey
	Partition   flowfabric.Partition // where the record lives: PartitionConfig.OfKey
	Version     int64                // as in [Execution]
	ExecutionID flowfabric.ExecutionID
	Digest      [32]byte // of what must be equal for a repeat
	ExpiresAt   flowfabric.Timestamp
}

// Route is a distinct set of required capabilities seen on a lane. Executions that share a route queue together, so that
// a claimer asks only for routes it can serve.
type Route struct {
	Lane         flowfabric.LaneID
	ID           int64
	Capabilities []string
	Partition    flowfabric.Partition // where it was first seen
	// SeenAt is when it was registered, or last found to have work by [store.Catalog.Trim].
	SeenAt flowfabric.Timestamp
}

// EventFamily is one of the four feeds of the log.
type EventFamily string

// Event families.
const (
	FamilyLease      EventFamily = "lease"
	FamilyCompletion EventFamily = "completion"
	FamilySignal     EventFamily = "signal"
	FamilyOperator   EventFamily = "operator"
	// FamilyWorker tells of the worker registry; its events are of no execution.
	FamilyWorker EventFamily = "worker"
)

// Event is one entry of the append-only log, committed with the change it reports.
type Event struct {
	Family EventFamily
	// Type is the event's name within its family: acquired, released, … for a lease; the outcome for a completion;
	// priority_changed, replayed for an operator event.
	Type string
	// ExecutionID is unset for an event that is of no execution. Such an event lives on the partition the id's other half
	// names: build it with [NoExecution].
	ExecutionID flowfabric.ExecutionID
	FlowID      flowfabric.FlowID
	Namespace   flowfabric.Namespace
	InstanceTag string // value of the tag cairn.instance_id
	At          flowfabric.Timestamp

	// The lease the event is about. A completion event that names one is the release of that lease, too.
	LeaseID          flowfabric.LeaseID
	Epoch            uint64
	AttemptID        flowfabric.AttemptID
	AttemptIndex     int
	WorkerID         flowfabric.WorkerID
	WorkerInstanceID flowfabric.WorkerInstanceID
	Reason           string

	// Details is a JSON object, for operator events; nil for none.
	Details []byte

	// Place is where the event stands in the log of its shard. The store gives it; it is set in what is read.
	Place uint64
}

// NoExecution is the ExecutionID of an event that lives on a partition and is of no execution: the nil UUID.
func NoExecution(p flowfabric.Partition) flowfabric.ExecutionID {
	return flowfabric.ExecutionIDFrom(p.Index, [16]byte{})
}
