package server

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Bounds of what is sent as it happens.
const (
	// heartbeat is how long nothing may be sent: what is between does not take the connection for dead.
	heartbeat = 15 * time.Second
	// firstLook is how long the first call waits. Calls that wait share what they read, so many viewers may come at once.
	firstLook = time.Millisecond
	// livePage is how much one call asks for, liveChunk how many bytes are kept before they are sent.
	livePage  = 100
	liveChunk = 32 << 10
	// When a server stops, its viewers come again at different times.
	soonest, latest = time.Second, 5 * time.Second
)

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

const aboutLive = "Server-sent events. After a break, come again with the id of the last one in the header Last-Event-ID, as browsers do by " +
	"themselves. A comment is sent every 15 seconds if nothing else is. A failure before the first event is an answer with its status; a " +
	"later one is an event \"error\" with the body of the failure, and the last."

// routeLive serves what happens, as it happens.
func (s *Server) routeLive() {
	live := []answer{{status: http.StatusOK, media: eventStream}}
	s.add(route{
		method: http.MethodGet, path: "/v1/executions/{execution_id}/attempts/{attempt_index}/stream/events", op: wire.TailStream.Op, name: "tail_stream_live",
		summary: "Send the output of an attempt as it is written, to its end", query: reflect.TypeFor[tailLive](), answers: live,
		about: aboutLive + " Events: \"frame\" with a StreamFrame, and \"closed\" when the attempt has ended, the last.",
		handle: func(w http.ResponseWriter, r *http.Request) {
			var q tailLive
			if fromAddress(w, r, wire.TailStream.Op, &q, true, names(r.Pattern)) {
				s.tailSSE(w, r, flowfabric.TailStream{ExecutionID: q.ExecutionID, AttemptIndex: q.AttemptIndex, After: q.After, Visibility: q.Visibility})
			}
		},
	})
	s.add(route{
		method: http.MethodGet, path: "/v1/executions/{execution_id}/follow", op: wire.TailStream.Op, name: "follow",
		summary: "Send the output of an execution as it is written, over all its attempts, to its end",
		query:   reflect.TypeFor[followLive](), answers: live,
		about: aboutLive + " Events: \"begins\", \"frame\" and \"ends\" of each attempt, and \"done\" when the execution has ended, the last. " +
			"Each has attempt_index; a frame has a StreamFrame, an end closed_at and closed_reason.",
		handle: func(w http.ResponseWriter, r *http.Request) {
			var q followLive
			if fromAddress(w, r, wire.TailStream.Op, &q, true, names(r.Pattern)) {
				s.followSSE(w, r, q)
			}
		},
	})
	s.add(route{
		method: http.MethodGet, path: "/v1/events/{family}/subscribe", op: wire.ReadEvents.Op, name: "subscribe",
		summary: "Send events of a family as they happen", query: reflect.TypeFor[subscribeLive](), answers: live,
		about: aboutLive + " Events have the name of the family and are an Event; an id alone moves the place on. Without a cursor: from now on. " +
			"A place that is kept no longer fails with event_gap, whose attrs say the oldest that is.",
		handle: func(w http.ResponseWriter, r *http.Request) {
			var q subscribeLive
			if fromAddress(w, r, wire.ReadEvents.Op, &q, true, names(r.Pattern)) {
				s.subscribeSSE(w, r, q)
			}
		},
	})
}

// What live routes are asked for, in path and query.
type (
	tailLive struct {
		ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
		AttemptIndex int                    `json:"attempt_index"`
		After        flowfabric.FrameID     `json:"after"`
		Visibility   flowfabric.Visibility  `json:"visibility"`
	}
	followLive struct {
		ExecutionID flowfabric.ExecutionID  `json:"execution_id"`
		After       flowfabric.StreamCursor `json:"after"`
		Visibility  flowfabric.Visibility   `json:"visibility"`
	}
	subscribeLive struct {
		Family flowfabric.EventFamily `json:"family"`
		Cursor flowfabric.EventCursor `json:"cursor"`
		Filter flowfabric.EventFilter `json:"filter"`
	}
)

// tailSSE sends the frames of an attempt behind q.After, or behind the id a viewer that comes again has seen, until the attempt
// has ended. It says when to wait and how much to read.
func (s *Server) tailSSE(w http.ResponseWriter, r *http.Request, q flowfabric.TailStream) {
	out := s.newLive(w, r)
	defer out.end()
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after, err := flowfabric.ParseFrameID(id)
		if err != nil {
			out.fail(err)
			return
		}
		q.After = after
	}
	q.Wait, q.Limit = firstLook, livePage
	for {
		page, err := lookLive(r.Context(), s, q.Wait, wire.TailStream, q)
		if err != nil {
			out.fail(err)
			return
		}
		for i := range page.Frames {
			q.After = page.Frames[i].ID
			out.event("frame", q.After.String(), &page.Frames[i])
		}
		if page.ClosedAt != 0 && !page.More {
			out.event("closed", "", streamEnd{ClosedAt: page.ClosedAt, ClosedReason: page.ClosedReason})
			return
		}
		q.Wait = heartbeat
		if out.flush(q.Wait) != nil {
			return
		}
	}
}

// streamEnd is the data of an event that says why there is no more.
type streamEnd struct {
	ClosedAt     flowfabric.Timestamp    `json:"closed_at"`
	ClosedReason flowfabric.StreamClosed `json:"closed_reason"`
}

// subscribeSSE sends the events of a family.
func (s *Server) subscribeSSE(w http.ResponseWriter, r *http.Request, sub subscribeLive) {
	out := s.newLive(w, r)
	defer out.end()
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		sub.Cursor = flowfabric.EventCursor(id)
	}
	q := flowfabric.ReadEvents{Family: sub.Family, After: sub.Cursor, Filter: sub.Filter, Limit: livePage}
	var told flowfabric.EventCursor
	for {
		page, err := lookLive(r.Context(), s, q.Wait, wire.ReadEvents, q)
		if err != nil {
			out.fail(err)
			return
		}
		for i := range page.Events {
			told = page.Events[i].Cursor
			out.event(string(sub.Family), string(told), &page.Events[i])
		}
		q.After, q.Wait = page.Next, heartbeat
		if told != page.Next && (len(page.Events) > 0 || out.due(q.Wait)) { // whoever comes again need not look at what did not match
			told = page.Next
			out.event("", string(told), nil)
		}
		if out.flush(q.Wait) != nil {
			return
		}
	}
}

// followSSE sends what an execution writes, attempt after attempt.
func (s *Server) followSSE(w http.ResponseWriter, r *http.Request, q followLive) {
	out := s.newLive(w, r)
	defer out.end()
	after := q.After
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = flowfabric.StreamCursor(id)
	}
	follow := flowfabric.FollowStream{ExecutionID: q.ExecutionID, After: after, Visibility: q.Visibility}
	for item, err := range flowfabric.Follow(r.Context(), followed{s, out}, follow) {
		switch {
		case err != nil:
			out.fail(err)
			return
		case item.Kind == flowfabric.StreamFrames:
			out.event(string(item.Kind), string(item.Cursor), followedFrame{item.AttemptIndex, &item.Frame})
		case item.Kind == flowfabric.StreamEnds:
			out.event(string(item.Kind), string(item.Cursor), followedEnd{item.AttemptIndex, streamEnd{item.ClosedAt, item.ClosedReason}})
		default:
			out.event(string(item.Kind), string(item.Cursor), followedMark{item.AttemptIndex})
		}
	}
	out.event("done", "", wire.Nothing{})
}

// Data of the events of an execution.
type (
	followedMark struct {
		AttemptIndex int `json:"attempt_index"`
	}
	followedFrame struct {
		AttemptIndex int                     `json:"attempt_index"`
		Frame        *flowfabric.StreamFrame `json:"frame"`
	}
	followedEnd struct {
		AttemptIndex int `json:"attempt_index"`
		streamEnd
	}
)

// followed makes the calls of a [flowfabric.Follow], and lets its viewer hear of every long one.
type followed struct {
	s   *Server
	out *live
}

// TailStream implements [flowfabric.StreamFollower].
func (f followed) TailStream(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	wait := q.Wait
	q.Limit = livePage
	for {
		q.Wait = max(firstLook, min(wait, heartbeat))
		if wait > 0 {
			if err := f.out.flush(q.Wait); err != nil {
				return flowfabric.StreamPage{}, err
			}
		}
		page, err := lookLive(ctx, f.s, q.Wait, wire.TailStream, q)
		if wait -= q.Wait; err != nil || len(page.Frames) > 0 || page.ClosedAt != 0 || wait <= 0 {
			return page, err
		}
	}
}

// Describe implements [flowfabric.StreamFollower].
func (f followed) Describe(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.ExecutionSnapshot, error) {
	return lookLive(ctx, f.s, 0, wire.Describe, wire.OfExecution{ExecutionID: id})
}

// lookLive is call with the bound of any request, beside what it waits.
func lookLive[In, Out any](ctx context.Context, s *Server, wait time.Duration, op wire.Call[In, Out], in In) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout+wait)
	defer cancel()
	return call(ctx, s, op, in)
}

// live is a viewer that is being sent events. What fails to be written shows with the next flush.
type live struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	buf   *bytes.Buffer // nil: nothing is to be sent; a viewer that waits has none
	begun bool          // the head of the answer was sent
	last  time.Time     // when something was sent
	gone  error         // why nothing more can be sent
}

// buffers are for events that are to be sent.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *Server) newLive(w http.ResponseWriter, r *http.Request) *live {
	return &live{s: s, w: w, r: r}
}

// event adds an event to what is sent, with data unless it is nil.
func (l *live) event(name, id string, data any) {
	b := l.buffer()
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if data != nil {
		b.WriteString("data: ")
		if err := wire.AppendTo(b, data); err != nil { // these types can be written
			panic(err)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	if b.Len() >= liveChunk {
		_ = l.flush(0) // it is remembered
	}
}

func (l *live) buffer() *bytes.Buffer {
	if l.buf == nil {
		l.buf = buffers.Get().(*bytes.Buffer)
		l.buf.Reset()
	}
	return l.buf
}

// due reports whether something must be sent before a wait: the head, or a heartbeat.
func (l *live) due(wait time.Duration) bool {
	return !l.begun || l.s.cfg.Clock.Now().Sub(l.last)+wait > heartbeat
}

// flush sends what was added before there is a wait, and something if it is due. It fails when the viewer does not read, or has
// gone.
func (l *live) flush(wait time.Duration) error {
	if l.gone != nil {
		return l.gone
	}
	if l.buf == nil {
		if !l.due(wait) {
			return nil
		}
		l.buffer().WriteString(":\n\n")
	}
	l.begin()
	_, err := l.w.Write(l.buf.Bytes())
	buffers.Put(l.buf)
	l.buf, l.last = nil, l.s.cfg.Clock.Now()
	l.gone = errors.Join(err, http.NewResponseController(l.w).Flush())
	return l.gone
}

func (l *live) begin() {
	if l.begun {
		return
	}
	l.begun = true
	head := l.w.Header()
	head.Set("Content-Type", eventStream)
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // or proxies keep what is sent
	l.w.WriteHeader(http.StatusOK)
}

// fail answers with a failure, or ends with it what was begun. A server that stops sends its viewers to another.
func (l *live) fail(err error) {
	switch {
	case l.gone != nil:
	case l.begun && l.s.serving.Err() != nil:
		pause := soonest + rand.N(latest-soonest) //nolint:gosec // no secret
		l.buffer().WriteString("retry: " + strconv.FormatInt(pause.Milliseconds(), 10) + "\n\n")
	case l.begun || l.buf != nil:
		body := wire.BodyOf(err)
		body.RequestID = requestID(l.r.Context())
		l.event("error", "", body)
	default:
		writeError(l.w, l.r, err)
	}
}

// end sends what is left.
func (l *live) end() {
	if l.buf != nil {
		_ = l.flush(0) // it is the last
	}
}
