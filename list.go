package flowfabric

// ListExecutions asks for executions, newest first. All given filters must match.
type ListExecutions struct {
	Lane      LaneID        `json:"lane,omitzero"`
	Namespace Namespace     `json:"namespace,omitzero"`
	Kind      string        `json:"kind,omitzero"`
	States    []PublicState `json:"states,omitzero"` // any of them; none: all
	// TagKey, when set, must be a tag of the execution, with TagValue as its value.
	TagKey   string `json:"tag_key,omitzero"`
	TagValue string `json:"tag_value,omitzero"`
	// CreatedFrom and CreatedBefore bound the time of submission; 0 does not.
	CreatedFrom   Timestamp `json:"created_from,omitzero"`
	CreatedBefore Timestamp `json:"created_before,omitzero"`
	After         string    `json:"after,omitzero"` // cursor of the previous page
	// Limit is the most items of the page: 1 to [MaxPage]; default [DefaultPage]. A page may have fewer items, even none,
	// and still a Next: one call looks at no more than [MaxListScan] executions.
	Limit int `json:"limit,omitzero"`
}

// ListPartition asks for all executions of one partition, in ascending order of id. A partition that this deployment does not
// have has none.
type ListPartition struct {
	Partition uint16      `json:"partition,omitzero"`
	After     ExecutionID `json:"after,omitzero"` // of the partition: the last of the previous page; it need not exist
	Limit     int         `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// MaxListScan is how many executions one call of List looks at.
const MaxListScan = 20_000

// ExecutionSummary is one line of a list.
type ExecutionSummary struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	FlowID      FlowID      `json:"flow_id,omitzero"`
	Lane        LaneID      `json:"lane,omitzero"`
	Namespace   Namespace   `json:"namespace,omitzero"`
	Kind        string      `json:"kind,omitzero"`
	Priority    int         `json:"priority,omitzero"`
	PublicState PublicState `json:"public_state,omitzero"`
	State       StateVector `json:"state,omitzero"`
	// BlockingDetail says more about why it does not run.
	BlockingDetail   string            `json:"blocking_detail,omitzero"`
	Tags             map[string]string `json:"tags,omitzero"`
	TotalAttempts    int               `json:"total_attempts,omitzero"`
	RetryCount       int               `json:"retry_count,omitzero"`
	CreatedAt        Timestamp         `json:"created_at,omitzero"`
	StartedAt        Timestamp         `json:"started_at,omitzero"`
	CompletedAt      Timestamp         `json:"completed_at,omitzero"`
	LastMutationAt   Timestamp         `json:"last_mutation_at,omitzero"`
	WorkerInstanceID WorkerInstanceID  `json:"worker_instance_id,omitzero"`
	FailureReason    string            `json:"failure_reason,omitzero"`
}

// ListExpiredLeases asks for leases that have run out or were marked expired, ordered by expiry, then execution.
type ListExpiredLeases struct {
	AsOf      Timestamp `json:"as_of,omitzero"`     // default: now; a later time lists leases that will run out by then
	Namespace Namespace `json:"namespace,omitzero"` // default: all
	After     string    `json:"after,omitzero"`     // cursor of the previous page
	Limit     int       `json:"limit,omitzero"`     // 1 to [MaxPage]; default [DefaultPage]
}

// ExpiredLease is a lease whose holder is late.
type ExpiredLease struct {
	ExecutionID      ExecutionID      `json:"execution_id,omitzero"`
	LeaseID          LeaseID          `json:"lease_id,omitzero"`
	Epoch            uint64           `json:"epoch,omitzero"`
	AttemptIndex     int              `json:"attempt_index,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	ExpiresAt        Timestamp        `json:"expires_at,omitzero"`
}
