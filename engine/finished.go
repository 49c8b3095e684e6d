package engine

import (
	"sync"

	"github.com/flowfabric/flowfabric"
)

// finished wakes callers that wait for an execution to end.
type finished struct {
	mu struct {
		sync.Mutex
		waiting map[flowfabric.ExecutionID]*watcher
	}
}

// watcher is shared by all callers that wait for one execution.
type watcher struct {
	callers int
	ended   chan struct{}
}

func newFinished() *finished {
	f := &finished{}
	f.mu.waiting = make(map[flowfabric.ExecutionID]*watcher)
	return f
}

// watch returns a channel that is closed when this engine commits the end of id. stop must be called.
func (f *finished) watch(id flowfabric.ExecutionID) (ended <-chan struct{}, stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, ok := f.mu.waiting[id]
	if !ok {
		w = &watcher{ended: make(chan struct{})}
		f.mu.waiting[id] = w
	}
	w.callers++
	return w.ended, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		w.callers--
		if w.callers == 0 && f.mu.waiting[id] == w {
			delete(f.mu.waiting, id)
		}
	}
}

// note says that id has ended.
func (f *finished) note(id flowfabric.ExecutionID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w, ok := f.mu.waiting[id]; ok {
		close(w.ended)
		delete(f.mu.waiting, id)
	}
}
