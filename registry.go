package flowfabric

import "time"

// RegisterWorker announces a worker instance (chapter 10, section 3.22). It never changes an execution (I32).
type RegisterWorker struct {
	WorkerID         WorkerID
	WorkerInstanceID WorkerInstanceID
	Namespace        Namespace // default [DefaultNamespace]
	Lanes            []LaneID  // 1 to [MaxClaimLanes]
	Capabilities     []string
	// LivenessTTL is how long the instance counts as live after its last sign of life: [MinLivenessTTL] to [MaxLeaseTTL].
	// Default [DefaultLivenessTTL].
	LivenessTTL time.Duration
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
	Outcome   RegisterOutcome
	ExpiresAt Timestamp
}

// HeartbeatWorker is a sign of life of a registered instance.
type HeartbeatWorker struct {
	WorkerInstanceID WorkerInstanceID
	Namespace        Namespace // default [DefaultNamespace]
}

// HeartbeatResult answers a [HeartbeatWorker]. An instance that is not registered, or was swept, is told so and should
// register again; a heartbeat never creates an entry.
type HeartbeatResult struct {
	Registered bool
	ExpiresAt  Timestamp // when the instance counts as dead without another sign of life
}

// MarkWorkerDead removes an instance from the registry. Its leases are left to run out, unless the engine is configured to
// reclaim those of dead workers at once.
type MarkWorkerDead struct {
	WorkerInstanceID WorkerInstanceID
	Namespace        Namespace // default [DefaultNamespace]
	Reason           string    // at most 256 bytes without control characters
}

// MarkDeadResult answers a [MarkWorkerDead].
type MarkDeadResult struct {
	Marked bool // false: it was not registered
}

// WorkerSnapshot is a registered worker instance.
type WorkerSnapshot struct {
	WorkerID         WorkerID
	WorkerInstanceID WorkerInstanceID
	Namespace        Namespace
	Lanes            []LaneID // sorted
	Capabilities     []string // sorted
	LivenessTTL      time.Duration
	RegisteredAt     Timestamp
	LastHeartbeatAt  Timestamp
	ExpiresAt        Timestamp
}

// ListWorkers asks for the live instances of a namespace, by instance id.
type ListWorkers struct {
	Namespace Namespace // default [DefaultNamespace]
	After     string    // cursor of the previous page
	Limit     int       // 1 to [MaxPage]; default [DefaultPage]
}
