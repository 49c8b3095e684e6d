package engine

import (
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Bounds of what is held. Executions beyond them are read when needed.
const (
	maxHeld      = 50_000
	maxHeldBytes = 64 << 20
	// heldFor is how long the record of a lease that ran out is kept: whoever holds it will hardly be heard of again.
	heldFor = time.Minute
)

// held keeps the records of leased executions as this engine wrote them last, so that renewing and completing them needs
// no read. It is a belief, not a truth: store.Unit.Assume says how it is used.
type held struct {
	mu struct {
		sync.Mutex
		records map[flowfabric.ExecutionID]*record.Execution
		bytes   int                  // of the records
		now     flowfabric.Timestamp // the latest storage time seen in a record
		swept   flowfabric.Timestamp // when leases that ran out were looked for
	}
}

func newHeld() *held {
	h := &held{}
	h.mu.records = make(map[flowfabric.ExecutionID]*record.Execution)
	return h
}

// note takes in a record that was just committed. loser is the worker instance that held a lease and does not know yet
// that somebody has taken it away; empty for none.
func (h *held) note(e *record.Execution) (loser flowfabric.WorkerInstanceID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.mu.records[e.ID]
	h.drop(e.ID)
	if h.mu.now = max(h.mu.now, e.LastMutationAt); h.mu.now.Sub(h.mu.swept) > heldFor {
		h.sweep()
	}
	if e.State.Ownership != flowfabric.Leased { // nobody is expected to write it next
		if before != nil && takenAway(e) {
			loser = before.WorkerInstanceID
		}
		return loser
	}
	if size := sizeOf(e); len(h.mu.records) < maxHeld && h.mu.bytes+size <= maxHeldBytes {
		h.mu.records[e.ID] = e
		h.mu.bytes += size
	}
	return ""
}

// takenAway reports whether the lease e was under was ended by somebody else than its holder.
func takenAway(e *record.Execution) bool {
	switch e.State.Outcome {
	case flowfabric.OutcomeCancelled:
		return e.CancelledBy != flowfabric.SourceWorker && e.CancelledBy != flowfabric.SourceLeaseHolder
	case flowfabric.OutcomeExpired:
		return true
	case flowfabric.OutcomeNone:
		return e.LeaseRevokeReason != ""
	default:
		return false
	}
}

func (h *held) lookup(id flowfabric.ExecutionID) (*record.Execution, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.mu.records[id]
	return e, ok
}

func (h *held) forget(id flowfabric.ExecutionID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(id)
}

// drop removes a record. h.mu is held.
func (h *held) drop(id flowfabric.ExecutionID) {
	if e, ok := h.mu.records[id]; ok {
		delete(h.mu.records, id)
		h.mu.bytes -= sizeOf(e)
	}
}

// sweep drops what was lost to another process, which does not tell. h.mu is held.
func (h *held) sweep() {
	for id, e := range h.mu.records {
		if h.mu.now.Sub(e.LeaseExpiresAt) > heldFor {
			h.drop(id)
		}
	}
	h.mu.swept = h.mu.now
}

// sizeOf is about what a record takes in memory.
func sizeOf(e *record.Execution) int {
	const fixed = 1024
	size := fixed + len(e.Payload) + len(e.ProgressDetails) + len(e.ProgressMessage) + len(e.FailureReason)
	for k, v := range e.Tags {
		size += len(k) + len(v)
	}
	for _, c := range e.Capabilities {
		size += len(c)
	}
	return size
}
