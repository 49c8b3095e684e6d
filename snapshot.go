package flowfabric

// ExecutionSnapshot is what Describe tells of an execution.
type ExecutionSnapshot struct {
	ExecutionID          ExecutionID
	FlowID               FlowID
	Lane                 LaneID
	Namespace            Namespace
	Kind                 string
	Creator              string
	Priority             int
	State                StateVector
	PublicState          PublicState
	BlockingDetail       string
	RequiredCapabilities []string
	Tags                 map[string]string
	Policy               *Policy
	CreatedAt            Timestamp
	StartedAt            Timestamp // first claim ever; survives retries and replays
	CompletedAt          Timestamp
	LastTransitionAt     Timestamp
	LastMutationAt       Timestamp
	DelayUntil           Timestamp
	DeadlineAt           Timestamp // 0: none
	RetainUntil          Timestamp // when the finished execution may be removed; 0 while it has not ended, or its flow is there
	TotalAttempts        int
	RetryCount           int
	ReclaimCount         int
	ReplayCount          int
	FailureReason        string
	FailureCategory      FailureCategory
	CancellationReason   string
	CancelledBy          Source
	Attempt              *AttemptSnapshot // the current or latest one
	Lease                *LeaseSnapshot   // nil unless a lease is held
	Progress             ProgressSnapshot
}

// LeaseSnapshot is the lease an execution is under.
type LeaseSnapshot struct {
	LeaseID          LeaseID
	Epoch            uint64
	WorkerID         WorkerID
	WorkerInstanceID WorkerInstanceID
	AcquiredAt       Timestamp
	RenewedAt        Timestamp
	ExpiresAt        Timestamp
	AttemptEndsAt    Timestamp // when the attempt timeout strikes; 0: never
}

// AttemptSnapshot is one attempt. EndedAt, Outcome and the failure are unset while it goes on.
type AttemptSnapshot struct {
	AttemptID        AttemptID
	Index            int
	Type             AttemptType
	State            AttemptLifecycle
	LeaseEpoch       uint64
	WorkerID         WorkerID
	WorkerInstanceID WorkerInstanceID
	StartedAt        Timestamp
	EndedAt          Timestamp
	FailureReason    string
	FailureCategory  FailureCategory
}

// ProgressSnapshot is the last progress a worker reported.
type ProgressSnapshot struct {
	Percent   *int
	Message   string
	Details   []byte
	UpdatedAt Timestamp
}

// Result is what a finished execution left.
type Result struct {
	Outcome         Outcome
	Payload         []byte
	Encoding        string
	FailureReason   string
	FailureCategory FailureCategory
	CompletedAt     Timestamp
}

// Page is one page of a list. Next is the cursor of the following page, empty on the last.
type Page[T any] struct {
	Items []T
	Next  string
}

// ListAttempts asks for attempts in ascending order of index.
type ListAttempts struct {
	ExecutionID ExecutionID
	After       string // cursor of the previous page
	Limit       int    // 1 to [MaxPage]; default [DefaultPage]
}

// Bounds of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)
