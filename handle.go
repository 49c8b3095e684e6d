package flowfabric

import "time"

// Handle stands for the lease a claim granted: one opaque text, safe in URLs and headers, that a worker may keep in place
// of ids and fence and hand to another process. It is signed, so nobody can edit one, and not encrypted. It proves nothing
// by itself: what is done with it is checked against the fence like any other call, and the handle of a lease that was
// lost is stale (chapter 10, section 4.3).
type Handle string

// MaxHandleBytes bounds what a [Handle] holds; its text is a third longer.
const MaxHandleBytes = 1024

// HandleKind says how the lease of a [Handle] came about.
type HandleKind string

// Handle kinds.
const (
	HandleFresh     HandleKind = "fresh"     // the attempt began with it
	HandleResumed   HandleKind = "resumed"   // the attempt had begun before and was paused or revoked
	HandleReclaimed HandleKind = "reclaimed" // the worker before was lost
)

// HandleInfo is what a [Handle] says.
type HandleInfo struct {
	ExecutionID      ExecutionID      `json:"execution_id,omitzero"`
	Fence            Fence            `json:"fence,omitzero"`
	Kind             HandleKind       `json:"kind,omitzero"`
	Lane             LaneID           `json:"lane,omitzero"`
	Namespace        Namespace        `json:"namespace,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	LeaseTTL         time.Duration    `json:"lease_ttl_ms,omitzero"` // as it was claimed; whole milliseconds
}

// HandleInfo returns what a handle for the claim says.
func (c *Claimed) HandleInfo() HandleInfo {
	kind := HandleFresh
	switch {
	case c.AttemptType == AttemptReclaim && !c.Resumed:
		kind = HandleReclaimed
	case c.Resumed:
		kind = HandleResumed
	}
	return HandleInfo{
		ExecutionID: c.ExecutionID, Fence: c.Fence, Kind: kind, Lane: c.Lane, Namespace: c.Namespace, WorkerID: c.WorkerID,
		WorkerInstanceID: c.WorkerInstanceID, LeaseTTL: c.LeaseTTL,
	}
}
