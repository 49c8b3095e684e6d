package flowfabric

import "time"

// RegisterWorker announces a worker instance (chapter 10, section 3.22). It never changes an execution (I32).
type RegisterWorker struct {
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	Namespace        Namespace        `json:"namespace,omitzero"` // default [DefaultNamespace]
	Lanes            []LaneID         `json:"lanes,omitzero"`     // 1 to [MaxClaimLanes]
	Capabilities     []string         `json:"capabilities,omitzero"`
	// LivenessTTL is how long the instance counts as live after its last sign of life: [MinLivenessTTL] to [MaxLeaseTTL].
	// Default [DefaultLivenessTTL].
	LivenessTTL time.Duration `json:"liveness_ttl_ms,omitzero"`
}

// Bounds of a registration.
const (
	MinLivenessTTL     = time.Second
	DefaultLivenessTTL = time.Minute
)

// RegisterOutcome says what a registration did.
type RegisterOutcome string

// Register outcomes.
const (
	WorkerRegistered RegisterOutcome = "registered" // there was no live entry
	WorkerRefreshed  RegisterOutcome = "refreshed"
)

// RegisterResult answers a [RegisterWorker].
type RegisterResult struct {
	Outcome   RegisterOutcome `json:"outcome,omitzero"`
	ExpiresAt Timestamp       `json:"expires_at,omitzero"`
}

// HeartbeatWorker is a sign of life of a registered instance.
type HeartbeatWorker struct {
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	Namespace        Namespace        `json:"namespace,omitzero"` // default [DefaultNamespace]
}

// HeartbeatResult answers a [HeartbeatWorker]. An instance that is not registered, or was swept, is told so and should
// register again; a heartbeat never creates an entry.
type HeartbeatResult struct {
	Registered bool      `json:"registered,omitzero"`
	ExpiresAt  Timestamp `json:"expires_at,omitzero"` // when the instance counts as dead without another sign of life
}

// MarkWorkerDead removes an instance from the registry. Its leases are left to run out, unless the engine is configured to
// reclaim those of dead workers at once.
type MarkWorkerDead struct {
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	Namespace        Namespace        `json:"namespace,omitzero"` // default [DefaultNamespace]
	Reason           string           `json:"reason,omitzero"`    // at most 256 bytes without control characters
}

// MarkDeadResult answers a [MarkWorkerDead].
type MarkDeadResult struct {
	Marked bool `json:"marked,omitzero"` // false: it was not registered
}

// WorkerSnapshot is a registered worker instance.
type WorkerSnapshot struct {
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	Namespace        Namespace        `json:"namespace,omitzero"`
	Lanes            []LaneID         `json:"lanes,omitzero"`        // sorted
	Capabilities     []string         `json:"capabilities,omitzero"` // sorted
	LivenessTTL      time.Duration    `json:"liveness_ttl_ms,omitzero"`
	RegisteredAt     Timestamp        `json:"registered_at,omitzero"`
	LastHeartbeatAt  Timestamp        `json:"last_heartbeat_at,omitzero"`
	ExpiresAt        Timestamp        `json:"expires_at,omitzero"`
}

// ListWorkers asks for the live instances of a namespace, by instance id.
type ListWorkers struct {
	Namespace Namespace `json:"namespace,omitzero"` // default [DefaultNamespace]
	After     string    `json:"after,omitzero"`     // cursor of the previous page
	Limit     int       `json:"limit,omitzero"`     // 1 to [MaxPage]; default [DefaultPage]
}
