package engine

import (
	"sync"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// held keeps the records of leased executions as this engine wrote them last, so that renewing and completing them needs
// no read. It is a belief, not a truth: store.Unit.Assume says how it is used.
type held struct {
	mu struct {
		sync.Mutex
		records map[flowfabric.ExecutionID]*record.Execution
	}
}

// maxHeld bounds the records kept; executions beyond it are read when needed.
const maxHeld = 50000

func newHeld() *held {
	h := &held{}
	h.mu.records = make(map[flowfabric.ExecutionID]*record.Execution)
	return h
}

// note takes in a record that was just committed.
func (h *held) note(e *record.Execution) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.State.Ownership != flowfabric.Leased { // nobody is expected to write it next
		delete(h.mu.records, e.ID)
		return
	}
	if _, known := h.mu.records[e.ID]; known || len(h.mu.records) < maxHeld {
		h.mu.records[e.ID] = e
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
	delete(h.mu.records, id)
}
