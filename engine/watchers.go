package engine

import (
	"sync"

	"github.com/flowfabric/flowfabric"
)

// watchers are worker instances of this process that want to hear at once when a lease of theirs is taken away, rather
// than with its next renewal.
type watchers struct {
	mu struct {
		sync.Mutex
		channels map[flowfabric.WorkerInstanceID]map[chan flowfabric.ExecutionID]struct{}
	}
}

// watchBuffer is how many losses a watcher may be behind before it has to find out by renewing.
const watchBuffer = 256

func newWatchers() *watchers {
	w := &watchers{}
	w.mu.channels = make(map[flowfabric.WorkerInstanceID]map[chan flowfabric.ExecutionID]struct{})
	return w
}

func (w *watchers) tell(id flowfabric.WorkerInstanceID, lost flowfabric.ExecutionID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.mu.channels[id] {
		select {
		case c <- lost:
		default:
		}
	}
}

// WatchLeases delivers the executions whose lease this engine takes away from a worker instance: by a cancel, a
// revocation, a timeout. It is a hint: what another process does is not told, and one who falls behind loses some. The
// channel is never closed; stop ends the delivery.
func (e *Engine) WatchLeases(id flowfabric.WorkerInstanceID) (lost <-chan flowfabric.ExecutionID, stop func()) {
	c := make(chan flowfabric.ExecutionID, watchBuffer)
	w := e.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.channels[id] == nil {
		w.mu.channels[id] = make(map[chan flowfabric.ExecutionID]struct{})
	}
	w.mu.channels[id][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.mu.channels[id], c)
		if len(w.mu.channels[id]) == 0 {
			delete(w.mu.channels, id)
		}
	}
}
