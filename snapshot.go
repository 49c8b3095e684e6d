package flowfabric

// ExecutionSnapshot is what Describe tells of an execution.
type ExecutionSnapshot struct {
	ExecutionID          ExecutionID       `json:"execution_id,omitzero"`
	FlowID               FlowID            `json:"flow_id,omitzero"`
	Lane                 LaneID            `json:"lane,omitzero"`
	Namespace            Namespace         `json:"namespace,omitzero"`
	Kind                 string            `json:"kind,omitzero"`
	Creator              string            `json:"creator,omitzero"`
	Priority             int               `json:"priority,omitzero"`
	State                StateVector       `json:"state,omitzero"`
	PublicState          PublicState       `json:"public_state,omitzero"`
	BlockingDetail       string            `json:"blocking_detail,omitzero"`
	RequiredCapabilities []string          `json:"required_capabilities,omitzero"`
	Tags                 map[string]string `json:"tags,omitzero"`
	Policy               *Policy           `json:"policy,omitzero"`
	TraceParent          TraceParent       `json:"trace_parent,omitzero"` // the span it was submitted in
	CreatedAt            Timestamp         `json:"created_at,omitzero"`
	StartedAt            Timestamp         `json:"started_at,omitzero"` // first claim ever; survives retries and replays
	CompletedAt          Timestamp         `json:"completed_at,omitzero"`
	LastTransitionAt     Timestamp         `json:"last_transition_at,omitzero"`
	LastMutationAt       Timestamp         `json:"last_mutation_at,omitzero"`
	DelayUntil           Timestamp         `json:"delay_until,omitzero"`
	DeadlineAt           Timestamp         `json:"deadline_at,omitzero"`  // 0: none
	RetainUntil          Timestamp         `json:"retain_until,omitzero"` // when the finished execution may be removed; 0 while it has not ended, or its flow is there
	TotalAttempts        int               `json:"total_attempts,omitzero"`
	RetryCount           int               `json:"retry_count,omitzero"`
	ReclaimCount         int               `json:"reclaim_count,omitzero"`
	ReplayCount          int               `json:"replay_count,omitzero"`
	FailureReason        string            `json:"failure_reason,omitzero"`
	FailureCategory      FailureCategory   `json:"failure_category,omitzero"`
	CancellationReason   string            `json:"cancellation_reason,omitzero"`
	CancelledBy          Source            `json:"cancelled_by,omitzero"`
	Attempt              *AttemptSnapshot  `json:"attempt,omitzero"` // the current or latest one
	Lease                *LeaseSnapshot    `json:"lease,omitzero"`   // nil unless a lease is held
	Progress             ProgressSnapshot  `json:"progress,omitzero"`
}

// LeaseSnapshot is the lease an execution is under.
type LeaseSnapshot struct {
	LeaseID          LeaseID          `json:"lease_id,omitzero"`
	Epoch            uint64           `json:"epoch,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	AcquiredAt       Timestamp        `json:"acquired_at,omitzero"`
	RenewedAt        Timestamp        `json:"renewed_at,omitzero"`
	ExpiresAt        Timestamp        `json:"expires_at,omitzero"`
	AttemptEndsAt    Timestamp        `json:"attempt_ends_at,omitzero"` // when the attempt timeout strikes; 0: never
}

// AttemptSnapshot is one attempt. EndedAt, Outcome and the failure are unset while it goes on.
type AttemptSnapshot struct {
	AttemptID        AttemptID        `json:"attempt_id,omitzero"`
	Index            int              `json:"index,omitzero"`
	Type             AttemptType      `json:"type,omitzero"`
	State            AttemptLifecycle `json:"state,omitzero"`
	LeaseEpoch       uint64           `json:"lease_epoch,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	StartedAt        Timestamp        `json:"started_at,omitzero"`
	EndedAt          Timestamp        `json:"ended_at,omitzero"`
	FailureReason    string           `json:"failure_reason,omitzero"`
	FailureCategory  FailureCategory  `json:"failure_category,omitzero"`
}

// ProgressSnapshot is the last progress a worker reported.
type ProgressSnapshot struct {
	Percent   *int      `json:"percent,omitzero"`
	Message   string    `json:"message,omitzero"`
	Details   []byte    `json:"details,omitzero"`
	UpdatedAt Timestamp `json:"updated_at,omitzero"`
}

// Result is what a finished execution left.
type Result struct {
	Outcome         Outcome         `json:"outcome,omitzero"`
	Payload         []byte          `json:"payload,omitzero"`
	Encoding        string          `json:"encoding,omitzero"`
	FailureReason   string          `json:"failure_reason,omitzero"`
	FailureCategory FailureCategory `json:"failure_category,omitzero"`
	CompletedAt     Timestamp       `json:"completed_at,omitzero"`
}

// Page is one page of a list. Next is the cursor of the following page, empty on the last.
type Page[T any] struct {
	Items []T    `json:"items,omitzero"`
	Next  string `json:"next,omitzero"`
}

// ListAttempts asks for attempts in ascending order of index.
type ListAttempts struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	After       string      `json:"after,omitzero"` // cursor of the previous page
	Limit       int         `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// Bounds of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)
