package flowfabric

// ListExecutions asks for executions, newest first. All given filters must match.
type ListExecutions struct {
	Lane      LaneID
	Namespace Namespace
	Kind      string
	States    []PublicState // any of them; none: all
	// TagKey, when set, must be a tag of the execution, with TagValue as its value.
	TagKey   string
	TagValue string
	// CreatedFrom and CreatedBefore bound the time of submission; 0 does not.
	CreatedFrom   Timestamp
	CreatedBefore Timestamp
	After         string // cursor of the previous page
	// Limit is the most items of the page: 1 to [MaxPage]; default [DefaultPage]. A page may have fewer items, even none,
	// and still a Next: one call looks at no more than [MaxListScan] executions.
	Limit int
}

// MaxListScan is how many executions one call of List looks at.
const MaxListScan = 20_000

// ExecutionSummary is one line of a list.
type ExecutionSummary struct {
	ExecutionID ExecutionID
	FlowID      FlowID
	Lane        LaneID
	Namespace   Namespace
	Kind        string
	Priority    int
	PublicState PublicState
	State       StateVector
	// BlockingDetail says more about why it does not run.
	BlockingDetail   string
	Tags             map[string]string
	TotalAttempts    int
	RetryCount       int
	CreatedAt        Timestamp
	StartedAt        Timestamp
	CompletedAt      Timestamp
	LastMutationAt   Timestamp
	WorkerInstanceID WorkerInstanceID
	FailureReason    string
}

// ListExpiredLeases asks for leases that have run out or were marked expired, ordered by expiry, then execution.
type ListExpiredLeases struct {
	AsOf      Timestamp // default: now; a later time lists leases that will run out by then
	Namespace Namespace // default: all
	After     string    // cursor of the previous page
	Limit     int       // 1 to [MaxPage]; default [DefaultPage]
}

// ExpiredLease is a lease whose holder is late.
type ExpiredLease struct {
	ExecutionID      ExecutionID
	LeaseID          LeaseID
	Epoch            uint64
	AttemptIndex     int
	WorkerID         WorkerID
	WorkerInstanceID WorkerInstanceID
	ExpiresAt        Timestamp
}
