package tail

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// stream is a stream that is watched.
type stream struct {
	key record.StreamKey
	// Of the hub's lock:
	viewers   int
	idleSince time.Time
	nextLook  time.Time

	all *atomic.Int64 // the bytes of the windows of all streams

	mu      sync.Mutex
	changed chan struct{} // closed when there may be more than was seen
	turn    int           // how often that was
	ends    int           // how often the stream may have been closed
	// The window has all frames behind base up to last, if known is set. Else nothing is known of the stream.
	known      bool
	base, last flowfabric.FrameID
	window     []flowfabric.StreamFrame
	bytes      int
	open       bool // the stream was open, and nothing was heard since that may have closed it
	// moving: others have appended when it was last looked at. It is then read at once, since a look would only say so again.
	moving bool
	reads  map[flowfabric.TailStream]*reading
}

func newStream(key record.StreamKey, all *atomic.Int64) *stream {
	return &stream{key: key, all: all, changed: make(chan struct{}), reads: make(map[flowfabric.TailStream]*reading)}
}

// wake lets who waits look again; s.mu is held.
func (s *stream) wake() {
	s.turn++
	close(s.changed)
	s.changed = make(chan struct{})
}

// maybeClosed: something has happened to the attempt.
func (s *stream) maybeClosed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	s.ends++
	s.wake()
}

// grow changes the size of the window; s.mu is held.
func (s *stream) grow(by int) {
	s.bytes += by
	s.all.Add(int64(by))
}

// restart begins a window behind a frame; s.mu is held.
func (s *stream) restart(last flowfabric.FrameID) {
	s.grow(-s.bytes)
	s.known, s.base, s.last, s.window = true, last, last, nil
}

// appended takes in frames. The window keeps the newest.
func (s *stream) appended(before, last flowfabric.FrameID, frames []flowfabric.StreamFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && last.Compare(s.last) <= 0 {
		return // a read has seen it already
	}
	if !s.known || before != s.last { // nothing was known, or something is between
		s.restart(before)
	}
	s.add(last, frames)
	s.wake()
}

// add adds to the window what follows in the stream, up to last; s.mu is held.
func (s *stream) add(last flowfabric.FrameID, frames []flowfabric.StreamFrame) {
	for i := range frames {
		s.grow(sizeOf(&frames[i]))
	}
	s.window, s.last = append(s.window, frames...), last
	drop := 0
	for s.bytes > windowBytes || s.all.Load() > allBytes && drop < len(s.window)-len(frames) {
		s.grow(-sizeOf(&s.window[drop]))
		s.base = s.window[drop].ID
		drop++
	}
	s.window = slices.Delete(s.window, 0, drop)
}

func sizeOf(f *flowfabric.StreamFrame) int { return frameBytes + len(f.Payload) }

// looked compares a stream with what is known of it.
func (s *stream) looked(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ahead := state.Last.Compare(s.last) > 0; ahead || !s.known || state.Closed {
		s.known = s.known && !ahead
		s.moving = s.moving || ahead && s.last != (flowfabric.FrameID{})
		if state.Closed {
			s.open = false
			s.ends++
		}
		s.wake()
	}
}

// stir wakes the viewers of a stream that others append to, and reports whether it is one.
func (s *stream) stir() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving {
		s.known = false
		s.wake()
	}
	return s.moving
}

// drop forgets the window.
func (s *stream) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart(flowfabric.FrameID{})
	s.known = false
}

// tailing is one viewer's call.
type tailing struct {
	hub    *Hub
	stream *stream
	q      flowfabric.TailStream
	// at is up to where the viewer knows that nothing it wants is left: its place, or the end of the stream when it last read.
	at flowfabric.FrameID
}

// next returns what is behind the viewer's place, or a channel that is closed when it is worth looking again.
func (t *tailing) next(ctx context.Context) (flowfabric.StreamPage, <-chan struct{}, error) {
	s := t.stream
	s.mu.Lock()
	changed := s.changed
	if s.known && t.at.Compare(s.base) >= 0 && (s.open || t.at.Compare(s.last) < 0) {
		page := t.fromWindow()
		s.mu.Unlock()
		return page, changed, nil
	}
	q := t.q
	q.Wait = 0
	r := s.reads[q]
	first := r == nil || r.turn != s.turn // one that began before the last change may not have seen it
	if first {
		r = &reading{done: make(chan struct{}), turn: s.turn, ends: s.ends, moving: s.moving}
		s.reads[q] = r
	}
	s.mu.Unlock()
	if first && !t.hub.group.Go(func(ctx context.Context) { r.run(ctx, t.hub, s, q) }) {
		return flowfabric.StreamPage{}, nil, errClosed()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return flowfabric.StreamPage{}, nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Err: context.Cause(ctx)}
	}
	if r.err == nil && len(r.page.Frames) == 0 {
		t.moveTo(r.last)
	}
	return r.page, changed, r.err
}

// fromWindow returns what the viewer wants of the window; s.mu is held.
func (t *tailing) fromWindow() (page flowfabric.StreamPage) {
	s := t.stream
	limit, size := t.q.Limit, 0
	if limit == 0 {
		limit = flowfabric.DefaultPage
	}
	first, _ := slices.BinarySearchFunc(s.window, t.at.Next(), func(f flowfabric.StreamFrame, id flowfabric.FrameID) int { return f.ID.Compare(id) })
	for i := range s.window[first:] {
		f := &s.window[first+i]
		if t.q.Visibility == flowfabric.VisibleWithoutLive && f.Mode == flowfabric.FrameLive {
			continue
		}
		if len(page.Frames) == limit || size >= flowfabric.MaxStreamPageBytes {
			page.More = true
			return page
		}
		page.Frames = append(page.Frames, *f)
		size += len(f.Payload)
	}
	t.moveTo(s.last)
	return page
}

// moveTo: nothing the viewer wants is left up to there.
func (t *tailing) moveTo(at flowfabric.FrameID) {
	if at.Compare(t.at) > 0 {
		t.at = at
	}
}

// reading is a read of the store that several viewers share: they want the same.
type reading struct {
	turn, ends int // of the stream, when the read began
	moving     bool
	done       chan struct{}
	page       flowfabric.StreamPage
	last       flowfabric.FrameID
	err        error
}

// run reads, whoever of its viewers has gone meanwhile.
func (r *reading) run(ctx context.Context, h *Hub, s *stream, q flowfabric.TailStream) {
	r.err = h.Read(func() (err error) {
		if r.moving {
			r.page, err = h.reader.ReadFrames(ctx, q)
			if n := len(r.page.Frames); err != nil || n > 0 {
				if n > 0 {
					r.last = r.page.Frames[n-1].ID
				}
				return err
			}
			r.moving = false // it may have come to its end
		}
		r.page, r.last, err = h.reader.ReadTail(ctx, q)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.err == nil && len(r.page.Frames) == 0 {
		s.moving = false
	}
	if s.reads[q] == r {
		delete(s.reads, q)
	}
	if r.err == nil {
		r.keep(s, &q)
		if r.ends == s.ends { // else it may have been closed since
			s.open = r.page.ClosedAt == 0
		}
	}
	close(r.done)
}

// keep begins the window anew when a read has seen more of the stream than it: with what was read, if that is all there is.
func (r *reading) keep(s *stream, q *flowfabric.TailStream) {
	switch {
	case r.page.More || s.known && r.last.Compare(s.last) <= 0:
	case q.Visibility == flowfabric.VisibleWithoutLive || r.last.Compare(q.After) < 0:
		s.restart(r.last)
	default:
		s.restart(q.After)
		s.add(r.last, slices.Clone(r.page.Frames))
	}
}
