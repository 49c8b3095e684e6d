// Package tail makes many viewers of a stream cheap (chapter 50, section 4.4). A viewer that waits holds no connection. What
// this process appends goes to those that wait from memory; what others append is found by one look at all watched streams
// together, from time to time, and then read once for all that want the same.
package tail

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store/record"
)

// Reader reads streams from where they are kept.
type Reader interface {
	// ReadTail reads behind a place, without waiting, and tells the last frame of the stream as of the same instant.
	ReadTail(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, flowfabric.FrameID, error)
	// ReadFrames reads frames behind a place, without waiting and without looking whether the stream is closed.
	ReadFrames(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error)
	// LookAt tells how streams stand, in the order of keys, of which there are at most [LookMost]. Whether they are closed it
	// tells only if closure is set, which costs several times as much.
	LookAt(ctx context.Context, keys []record.StreamKey, closure bool) ([]State, error)
}

// State is how a stream stands.
type State struct {
	Last   flowfabric.FrameID
	Closed bool
}

// LookMost is how many streams one look is about.
const LookMost = 500

// Bounds of a hub.
const (
	// MaxWaiting is how many viewers wait at once.
	MaxWaiting = 10_000
	// windowBytes is how much of a stream is kept for viewers, allBytes of all together. Who wants older frames reads them.
	windowBytes = 256 << 10
	allBytes    = 64 << 20
	// frameBytes is what a frame takes beside its payload, about.
	frameBytes = 200
)

const (
	// lookPause is how long what others append goes unseen, about; where this process appends, others hardly do, and
	// restPause is enough.
	lookPause = 500 * time.Millisecond
	restPause = 2 * time.Second
	// closureLooks is how many looks there are for one that also sees what others have closed: three seconds. A stream that
	// was moving is seen to be closed as soon as it moves no more.
	closureLooks = 6
	// linger is how long a stream stays watched when its last viewer has gone: most call again at once.
	linger = 5 * time.Second
)

// Hub serves the viewers of one process. Its methods are safe for concurrent use.
type Hub struct {
	reader Reader
	clock  clock.Clock
	group  *loop.Group
	reads  chan struct{} // holds a token for each read under way
	done   chan struct{} // closed when the hub is

	bytes atomic.Int64 // of all windows
	any   atomic.Bool  // a stream is watched

	mu struct {
		sync.Mutex
		streams map[flowfabric.ExecutionID]map[int]*stream // those that are watched, by attempt
		waiting int
		running bool
		closed  bool
	}
}

// New returns a hub whose loop runs in group. At most reads calls of the reader are under way at once.
func New(reader Reader, clk clock.Clock, group *loop.Group, reads int) *Hub {
	h := &Hub{reader: reader, clock: clk, group: group, reads: make(chan struct{}, reads), done: make(chan struct{})}
	h.mu.streams = make(map[flowfabric.ExecutionID]map[int]*stream)
	return h
}

// Close releases all that wait, with [flowfabric.ErrUnavailable].
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.mu.closed {
		h.mu.closed = true
		close(h.done)
	}
}

// exhausted is the error of a call that is one too many.
func exhausted(what string, most int) error {
	return &flowfabric.Error{
		Code: flowfabric.CodeResourceExhausted, Detail: "too many " + what + " at once; try again in a moment",
		Attrs: map[string]string{"pool": "stream_ops", "max": strconv.Itoa(most), "retry_after_ms": "100"},
	}
}

func errClosed() error {
	return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Detail: "the engine is closed"}
}

// Read runs a read of the reader as one of those that are bounded (J19).
func (h *Hub) Read(read func() error) error {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
		return read()
	default:
		return exhausted("reads of streams", cap(h.reads))
	}
}

// Tail returns what is behind a place, waiting up to q.Wait while there is nothing and the stream is open. q must be valid.
func (h *Hub) Tail(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	if q.Wait == 0 {
		var page flowfabric.StreamPage
		err := h.Read(func() (err error) {
			page, _, err = h.reader.ReadTail(ctx, q)
			return err
		})
		return page, err
	}
	s, err := h.enter(record.StreamKey{ExecutionID: q.ExecutionID, AttemptIndex: q.AttemptIndex})
	if err != nil {
		return flowfabric.StreamPage{}, err
	}
	defer h.leave(s)
	timeout := h.clock.NewTimer(q.Wait)
	defer timeout.Stop()
	t := &tailing{hub: h, stream: s, q: q, at: q.After}
	for {
		page, changed, err := t.next(ctx)
		if err != nil || len(page.Frames) > 0 || page.ClosedAt != 0 {
			return page, err
		}
		select {
		case <-changed:
		case <-timeout.C:
			return flowfabric.StreamPage{}, nil
		case <-ctx.Done():
			return flowfabric.StreamPage{}, &flowfabric.Error{Code: flowfabric.CodeTimeout, Err: context.Cause(ctx)}
		case <-h.done:
			return flowfabric.StreamPage{}, errClosed()
		}
	}
}

// enter watches a stream for one more viewer.
func (h *Hub) enter(key record.StreamKey) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.waiting == MaxWaiting {
		return nil, exhausted("viewers of streams wait", MaxWaiting)
	}
	h.mu.waiting++
	of := h.mu.streams[key.ExecutionID]
	if of == nil {
		of = make(map[int]*stream)
		h.mu.streams[key.ExecutionID] = of
	}
	s := of[key.AttemptIndex]
	if s == nil {
		s = newStream(key, &h.bytes)
		of[key.AttemptIndex] = s
		h.any.Store(true)
	}
	s.viewers++
	if !h.mu.running {
		h.mu.running = h.group.Go(h.run)
	}
	return s, nil
}

func (h *Hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.waiting--
	if s.viewers--; s.viewers == 0 {
		s.idleSince = h.clock.Now()
	}
}

// stream returns a stream that is watched, or nil.
func (h *Hub) stream(key record.StreamKey) *stream {
	if !h.any.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.streams[key.ExecutionID][key.AttemptIndex]
}

// Waiting is how many viewers wait.
func (h *Hub) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.waiting
}

// Watches reports whether anybody watches a stream.
func (h *Hub) Watches(key record.StreamKey) bool { return h.stream(key) != nil }

// Appended tells of frames that were committed behind one and end with another. Who waits gets them. The frames become the
// hub's.
func (h *Hub) Appended(key record.StreamKey, before, last flowfabric.FrameID, frames []flowfabric.StreamFrame) {
	s := h.stream(key)
	if s == nil {
		return
	}
	s.appended(before, last, frames)
	h.mu.Lock()
	defer h.mu.Unlock()
	s.nextLook = h.clock.Now().Add(loop.Jitter(restPause))
}

// Committed tells of an execution as it was committed: who waits for a stream of it that may have ended by that looks again.
func (h *Hub) Committed(e *record.Execution) {
	if !h.any.Load() {
		return
	}
	held := e.State.Phase == flowfabric.PhaseActive && e.State.Ownership == flowfabric.Leased
	var ended []*stream
	h.mu.Lock()
	for attempt, s := range h.mu.streams[e.ID] {
		if !held || attempt != e.AttemptIndex {
			ended = append(ended, s)
		}
	}
	h.mu.Unlock()
	for _, s := range ended {
		s.maybeClosed()
	}
}

// run looks at the watched streams until none is left.
func (h *Hub) run(ctx context.Context) {
	for turn := 1; loop.Sleep(ctx, h.clock, loop.Jitter(lookPause), nil); turn++ {
		list, more := h.due()
		if !more {
			return
		}
		list = slices.DeleteFunc(list, (*stream).stir)
		for len(list) > 0 {
			n := min(len(list), LookMost)
			h.look(ctx, list[:n], turn%closureLooks == 0)
			list = list[n:]
		}
	}
}

// due returns the streams to look at, and drops those nobody watches any more; more is false when none is left.
func (h *Hub) due() (list []*stream, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	for id, of := range h.mu.streams {
		for attempt, s := range of {
			switch {
			case s.viewers == 0 && now.Sub(s.idleSince) >= linger:
				s.drop()
				delete(of, attempt)
			case !s.nextLook.After(now):
				list = append(list, s)
			}
		}
		if len(of) == 0 {
			delete(h.mu.streams, id)
		}
	}
	h.mu.running = len(h.mu.streams) > 0
	h.any.Store(h.mu.running)
	return list, h.mu.running
}

// look wakes the viewers of streams that are not as they were known. One that cannot be looked at is looked at again.
func (h *Hub) look(ctx context.Context, list []*stream, closure bool) {
	keys := make([]record.StreamKey, len(list))
	for i, s := range list {
		keys[i] = s.key
	}
	states, err := h.reader.LookAt(ctx, keys, closure)
	if err != nil {
		return
	}
	for i, state := range states {
		list[i].looked(state)
	}
}
