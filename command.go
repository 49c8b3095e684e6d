package flowfabric

import "time"

// Submit asks for one execution. Only Lane and Kind are required.
type Submit struct {
	// ID is the id of the new execution. Unset: the engine mints one with [SoloExecutionID]. A caller that mints the id
	// itself may repeat the call; the repeat is a Duplicate.
	ID   ExecutionID `json:"id,omitzero"`
	Lane LaneID      `json:"lane,omitzero"`
	// Kind selects the handler: 1 to [MaxNameBytes] bytes.
	Kind      string    `json:"kind,omitzero"`
	Namespace Namespace `json:"namespace,omitzero"` // default [DefaultNamespace]
	// Payload is handed to the handler as it is: at most [MaxPayloadBytes].
	Payload         []byte `json:"payload,omitzero"`
	PayloadEncoding string `json:"payload_encoding,omitzero"` // a hint, for example "json"; default "json"
	// Priority orders claims within a lane, higher first: [MinPriority] to [MaxPriority]. Other values are refused.
	Priority int    `json:"priority,omitzero"`
	Creator  string `json:"creator,omitzero"` // who asked; default "anonymous"
	// IdempotencyKey makes equal submissions of a namespace one execution for as long as the key is remembered: the
	// policy's DedupWindowMS, or else [IdempotencyWindow], but no longer than a finished execution is kept. A repeat with
	// another kind, lane, payload, policy or tags is refused with [ErrIdempotencyConflict].
	IdempotencyKey string            `json:"idempotency_key,omitzero"`
	Tags           map[string]string `json:"tags,omitzero"`
	// AnyTags takes tags whose keys do not have the form of [ValidateTags], too: 1 to [MaxTagKeyBytes] bytes of text. It is for
	// callers whose tags are older than that form. Lists cannot ask for such a tag.
	AnyTags bool    `json:"any_tags,omitzero"`
	Policy  *Policy `json:"policy,omitzero"`
	// Delay and DelayUntil keep the execution from being claimed before a time of the storage clock. At most one may be
	// set; a past DelayUntil counts as unset.
	Delay      time.Duration `json:"delay_ms,omitzero"`
	DelayUntil Timestamp     `json:"delay_until,omitzero"`
	// Deadline ends the execution, outcome expired, if it has not ended by then; one that has passed is refused. With the
	// policy's, the earlier counts. 0: the policy's alone, if any.
	Deadline Timestamp `json:"deadline,omitzero"`
	// TraceParent is the span the execution is submitted in, for its attempts to be told of; default: that of the call. It
	// makes no submission another one.
	TraceParent TraceParent `json:"trace_parent,omitzero"`
}

// IdempotencyWindow is how long an idempotency key is remembered.
const IdempotencyWindow = 24 * time.Hour

// MaxSubmitMany bounds one call of SubmitMany.
const MaxSubmitMany = 10000

// SubmitOutcome says what a submission did.
type SubmitOutcome string

// Submit outcomes.
const (
	Created   SubmitOutcome = "created"
	Duplicate SubmitOutcome = "duplicate" // it existed; nothing was written
	Rejected  SubmitOutcome = "rejected"  // SubmitMany only; Err says why
)

// SubmitResult answers a [Submit]. For a Duplicate found by idempotency key, ID is the id of the earlier execution.
type SubmitResult struct {
	ID      ExecutionID   `json:"id,omitzero"`
	Outcome SubmitOutcome `json:"outcome,omitzero"`
	Err     error         `json:"error,omitzero"`
}

// Fence proves that its bearer holds the current lease. All of it is compared (chapter 10, section 4).
type Fence struct {
	LeaseID      LeaseID   `json:"lease_id,omitzero"`
	Epoch        uint64    `json:"epoch,omitzero"`
	AttemptID    AttemptID `json:"attempt_id,omitzero"`
	AttemptIndex int       `json:"attempt_index,omitzero"`
}

// IsZero reports whether no part of the fence is given.
func (f Fence) IsZero() bool { return f == Fence{} }

// Claim asks for work.
type Claim struct {
	// Lanes are tried in rotation: 1 to [MaxClaimLanes].
	Lanes            []LaneID         `json:"lanes,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	// Capabilities are what the worker offers; it gets executions whose required set is a subset.
	Capabilities []string `json:"capabilities,omitzero"`
	// Max is the most executions wanted: 1 to [MaxClaim]. Default 1.
	Max int `json:"max,omitzero"`
	// Wait is how long the call may wait for the first execution: 0 to [MaxClaimWait]. 0 answers at once.
	Wait time.Duration `json:"wait_ms,omitzero"`
	// LivenessTTL makes the wait a sign of life of the instance: when it has waited for a sixtieth of it, and after each third of
	// it, the engine does what [RegisterWorker] with this TTL would in the default namespace. So a worker that waits for work need
	// not call. [MinLivenessTTL] to [MaxLeaseTTL]; 0 for none.
	LivenessTTL time.Duration `json:"liveness_ttl_ms,omitzero"`
	// LeaseTTL is how long the lease lasts without renewal: [MinLeaseTTL] to [MaxLeaseTTL]. Default [DefaultLeaseTTL].
	LeaseTTL time.Duration `json:"lease_ttl_ms,omitzero"`
	// RequestID makes the claim repeatable: a claim with the request id of an earlier one, by the same worker instance,
	// first hands out again what that one was granted and still holds, with the same fences (W36). Optional.
	RequestID string `json:"request_id,omitzero"`
	// FirstTry says that no claim with this request id was made before, so that the engine need not look for what one was
	// granted. It saves a look at all leases; a repeat that says so may get other work, and what it held waits until its lease
	// runs out. Without a request id it says nothing.
	FirstTry bool `json:"first_try,omitzero"`
}

// ClaimExecution takes one named execution, whatever its lane and capabilities: an operator's claim (chapter 10, section
// 3.7). The execution must be claimable. The lease takes no slot of a lane with bounded concurrency.
type ClaimExecution struct {
	ExecutionID      ExecutionID      `json:"execution_id,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`          // default "operator"
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"` // default "operator"
	LeaseTTL         time.Duration    `json:"lease_ttl_ms,omitzero"`       // as in [Claim]
	Actor            string           `json:"actor,omitzero"`              // recorded with the event, at most [MaxNameBytes]
}

// Block keeps a waiting execution from being claimed until it is unblocked (chapter 10, section 3.6). One that is blocked
// already is blocked for the new reason; the same reason again changes nothing.
type Block struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	// Reason is one of [WaitingForBudget], [WaitingForQuota], [WaitingForCapableWorker], [PausedByOperator], [PausedByPolicy].
	// Default [PausedByOperator].
	Reason BlockingReason `json:"reason,omitzero"`
	Detail string         `json:"detail,omitzero"` // at most [MaxReasonBytes]
	Actor  string         `json:"actor,omitzero"`  // recorded with the event, at most [MaxNameBytes]
}

// Unblock makes a blocked execution claimable again, at once or when the delay it was blocked in is over.
type Unblock struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	// ExpectedReason must be the stored one. Default [PausedByOperator].
	ExpectedReason BlockingReason `json:"expected_reason,omitzero"`
	Actor          string         `json:"actor,omitzero"` // recorded with the event, at most [MaxNameBytes]
}

// SetTags adds tags to an execution and overwrites those it has; what is not named stays (chapter 10, section 3.20).
type SetTags struct {
	ExecutionID ExecutionID       `json:"execution_id,omitzero"`
	Tags        map[string]string `json:"tags,omitzero"` // at least one; after the call the execution has at most [MaxTags]
}

// Bounds of a [Claim].
const (
	MaxClaim        = 1000
	MaxClaimLanes   = 64
	MaxClaimWait    = time.Minute
	MinLeaseTTL     = 100 * time.Millisecond
	MaxLeaseTTL     = 24 * time.Hour
	DefaultLeaseTTL = 30 * time.Second
)

// Claimed is one execution handed to a worker, with the fence its later calls must present.
type Claimed struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	FlowID      FlowID      `json:"flow_id,omitzero"` // unset outside flows
	Fence       Fence       `json:"fence,omitzero"`
	// The worker that holds the lease.
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`

	Lane            LaneID            `json:"lane,omitzero"`
	Kind            string            `json:"kind,omitzero"`
	Namespace       Namespace         `json:"namespace,omitzero"`
	Priority        int               `json:"priority,omitzero"`
	Payload         []byte            `json:"payload,omitzero"`
	PayloadEncoding string            `json:"payload_encoding,omitzero"`
	Tags            map[string]string `json:"tags,omitzero"`
	AttemptType     AttemptType       `json:"attempt_type,omitzero"`
	// Resumed says that the attempt had begun before and was paused or revoked: it continues.
	Resumed        bool          `json:"resumed,omitzero"`
	RetryCount     int           `json:"retry_count,omitzero"`
	ReplayCount    int           `json:"replay_count,omitzero"`
	ClaimedAt      Timestamp     `json:"claimed_at,omitzero"`
	CreatedAt      Timestamp     `json:"created_at,omitzero"`
	LeaseExpiresAt Timestamp     `json:"lease_expires_at,omitzero"`
	LeaseTTL       time.Duration `json:"lease_ttl_ms,omitzero"`
	// Budgets are those the execution is under, by its policy and by its scopes: what it consumes is to be reported to each.
	Budgets []BudgetUse `json:"budgets,omitzero"`
	// TraceParent is the span the execution was submitted in; empty for none.
	TraceParent TraceParent `json:"trace_parent,omitzero"`
}

// Renew extends a lease to now+TTL; a TTL shorter than what remains shortens it. No lease lasts beyond the end of its
// attempt's time or the deadline of its execution.
type Renew struct {
	ExecutionID ExecutionID   `json:"execution_id,omitzero"`
	Fence       Fence         `json:"fence,omitzero"`
	TTL         time.Duration `json:"ttl_ms,omitzero"` // [MinLeaseTTL] to [MaxLeaseTTL]; default [DefaultLeaseTTL]
	// Progress, when not nil, is recorded with the renewal.
	Progress *Progress `json:"progress,omitzero"`
}

// RenewResult answers one [Renew]: the new expiry, or Err.
type RenewResult struct {
	LeaseExpiresAt Timestamp `json:"lease_expires_at,omitzero"`
	Err            error     `json:"error,omitzero"`
}

// MaxRenewMany bounds one call of RenewMany.
const MaxRenewMany = 10000

// Progress is what a running attempt reports. A nil field leaves the stored value unchanged.
type Progress struct {
	Percent *int    `json:"percent,omitzero"` // 0 to 100
	Message *string `json:"message,omitzero"` // at most [MaxReasonBytes]
	Details []byte  `json:"details,omitzero"` // anything, at most [MaxProgressDetailBytes]
}

// MaxProgressDetailBytes bounds the details of a [Progress].
const MaxProgressDetailBytes = 16 << 10

// UpdateProgress records progress without extending the lease.
type UpdateProgress struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	Progress    Progress    `json:"progress,omitzero"`
}

// Source says who acts on an execution.
type Source string

// Sources. Any other text is allowed for a cancel and counts as unprivileged.
const (
	SourceOperatorOverride Source = "operator_override"
	SourceLeaseHolder      Source = "lease_holder"
	SourceWorker           Source = "worker"
	SourceFlowCascade      Source = "flow_cascade"
	SourceSystemTimeout    Source = "system_timeout"
	// Those of the engine itself.
	SourceEngine           Source = "engine" // a sibling that is not needed any more
	SourceCancelFlow       Source = "cancel_flow"
	SourceCancelFlowHeader Source = "cancel_flow_header"
)

// Complete ends an execution with success.
type Complete struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	// Fence is required unless Source is [SourceOperatorOverride].
	Fence          Fence  `json:"fence,omitzero"`
	Result         []byte `json:"result,omitzero"`          // at most [MaxPayloadBytes]
	ResultEncoding string `json:"result_encoding,omitzero"` // default "json"
	Source         Source `json:"source,omitzero"`          // default [SourceLeaseHolder]
}

// FailureCategory classifies a failure. Other texts are allowed and are retried unless the policy says otherwise.
type FailureCategory string

// Failure categories. Permanent, cancelled and budget never retry.
const (
	FailureTransient  FailureCategory = "transient"
	FailurePermanent  FailureCategory = "permanent"
	FailureInfraCrash FailureCategory = "infra_crash"
	FailureTimeout    FailureCategory = "timeout"
	FailureCancelled  FailureCategory = "cancelled"
	FailureBudget     FailureCategory = "budget_exceeded" // a budget of action [LimitFails] is used up
)

// Fail ends the current attempt with a failure. The retry policy decides whether another follows.
type Fail struct {
	ExecutionID ExecutionID     `json:"execution_id,omitzero"`
	Fence       Fence           `json:"fence,omitzero"`
	Reason      string          `json:"reason,omitzero"` // at most [MaxReasonBytes]
	Category    FailureCategory `json:"category,omitzero"`
	Source      Source          `json:"source,omitzero"`
}

// FailResult says what a failure led to.
type FailResult struct {
	// Retrying is true when another attempt was scheduled for DelayUntil. Paused is true when no retry was left and the
	// policy keeps the execution for an operator ([ExhaustedPauses]). Otherwise the execution has failed.
	Retrying         bool      `json:"retrying,omitzero"`
	Paused           bool      `json:"paused,omitzero"`
	DelayUntil       Timestamp `json:"delay_until,omitzero"`
	NextAttemptIndex int       `json:"next_attempt_index,omitzero"`
}

// Delay gives the lease back and keeps the execution from being claimed for a while; the same attempt continues later.
type Delay struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	// For and Until: exactly one must be set. A time that has passed makes the execution claimable at once.
	For    time.Duration `json:"for_ms,omitzero"`
	Until  Timestamp     `json:"until,omitzero"`
	Source Source        `json:"source,omitzero"`
}

// Release gives the lease of an execution back at once, so that another worker continues the same attempt. Shutdown
// uses it; it does not use up an attempt.
type Release struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
}

// Cancel ends an execution that has not ended yet.
type Cancel struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Reason      string      `json:"reason,omitzero"` // at most [MaxReasonBytes]
	// Source defaults to [SourceOperatorOverride]. Any source but that, flow_cascade and system_timeout needs the Fence
	// while the execution is leased.
	Source Source `json:"source,omitzero"`
	Fence  Fence  `json:"fence,omitzero"`
	Actor  string `json:"actor,omitzero"` // who asked; recorded with the event of an operator's cancel, at most [MaxNameBytes]
}

// CancelResult answers a [Cancel].
type CancelResult struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	PublicState PublicState `json:"public_state,omitzero"`
}

// ChangePriority moves a claimable execution within its lane (chapter 30, section 30.3).
type ChangePriority struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	NewPriority int         `json:"new_priority,omitzero"` // clamped to [MinPriority]..[MaxPriority]
	LaneID      LaneID      `json:"lane_id,omitzero"`      // advisory, ignored
	Actor       string      `json:"actor,omitzero"`        // who asked; recorded with the event, at most [MaxNameBytes]
}

// ChangePriorityResult answers a [ChangePriority].
type ChangePriorityResult struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	OldPriority int         `json:"old_priority,omitzero"`
	NewPriority int         `json:"new_priority,omitzero"`
}

// Replay runs a finished execution again (chapter 30, section 30.4).
type Replay struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Reason      string      `json:"reason,omitzero"` // recorded with the event, at most [MaxReasonBytes]
	Actor       string      `json:"actor,omitzero"`  // who asked; recorded with the event, at most [MaxNameBytes]
	// Steps says which steps that were done are not to be done again. Default: all of them.
	Steps StepRetention `json:"steps,omitzero"`
}

// ReplayResult answers a [Replay].
type ReplayResult struct {
	PublicState PublicState `json:"public_state,omitzero"`
}

// RevokeLease takes a lease away from its holder (chapter 30, section 30.6).
type RevokeLease struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Reason      string      `json:"reason,omitzero"` // default "operator"
	// WorkerInstanceID, when set, must be the holder's.
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	// ExpectedLeaseID, when set, must name the current lease: its [LeaseID], or the form
	// "pg:<uuid>:<attempt index>:<epoch>" this call returns.
	ExpectedLeaseID string `json:"expected_lease_id,omitzero"`
	Actor           string `json:"actor,omitzero"`
}

// RevokeOutcome says what a revocation did.
type RevokeOutcome string

// Revoke outcomes.
const (
	Revoked          RevokeOutcome = "revoked"
	AlreadySatisfied RevokeOutcome = "already_satisfied"
)

// RevokeResult answers a [RevokeLease]. With Revoked, LeaseID names the lease that ended and Epoch is the new epoch;
// with AlreadySatisfied, Reason is one of no_active_lease, different_worker_instance_id, lease_id_mismatch.
type RevokeResult struct {
	Outcome RevokeOutcome `json:"outcome,omitzero"`
	LeaseID string        `json:"lease_id,omitzero"`
	Epoch   uint64        `json:"epoch,omitzero"`
	Reason  string        `json:"reason,omitzero"`
}
