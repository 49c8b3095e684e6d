package server

import (
	"cmp"
	"encoding/base64"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefStreams() {
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/attempts/{idx}/stream", op: wire.ReadStream.Op, name: "read_attempt_stream",
		query: reflect.TypeFor[readFrames](), answers: ok[framePage](),
	}, s.refStream)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/attempts/{idx}/stream/tail", op: wire.TailStream.Op, name: "tail_attempt_stream",
		query: reflect.TypeFor[tailFrames](), answers: append(ok[framePage](), answer{status: http.StatusOK, media: eventStream}),
	}, s.refTail)
}

// Bounds of a page of frames on these routes.
const (
	maxFrames  = 1000
	maxBlockMS = 30_000
)

// frame is a frame of a stream in the reference's form.
type frame struct {
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

// frameOf returns a frame as clients are told it. A payload that is no text is told in base64, and its encoding says so; the
// label its writer gave it is told otherwise (H10).
func frameOf(f *flowfabric.StreamFrame) frame {
	fields := map[string]string{
		"frame_type": f.Type, "ts": strconv.FormatInt(int64(f.ID.MS), 10), "source": "worker", "mode": string(cmp.Or(f.Mode, flowfabric.FrameDurable)),
	}
	if utf8.Valid(f.Payload) {
		fields["payload"], fields["encoding"] = string(f.Payload), string(cmp.Or(f.Encoding, flowfabric.FrameUTF8))
	} else {
		fields["payload"], fields["encoding"] = base64.StdEncoding.EncodeToString(f.Payload), "base64"
	}
	if f.CorrelationID != "" {
		fields["correlation_id"] = f.CorrelationID
	}
	if f.SummaryVersion != 0 {
		fields["summary_version"] = strconv.FormatInt(f.SummaryVersion, 10)
	}
	return frame{ID: f.ID.String(), Fields: fields}
}

// framePage answers a read of a stream.
type framePage struct {
	Frames []frame `json:"frames"`
	Count  int     `json:"count"` // of Frames
	// ClosedAt and ClosedReason are left out while the stream is open.
	ClosedAt     flowfabric.Timestamp    `json:"closed_at,omitzero"`
	ClosedReason flowfabric.StreamClosed `json:"closed_reason,omitzero"`
}

func framesOf(page flowfabric.StreamPage) framePage {
	out := framePage{Frames: make([]frame, len(page.Frames)), Count: len(page.Frames), ClosedAt: page.ClosedAt, ClosedReason: page.ClosedReason}
	for i := range page.Frames {
		out.Frames[i] = frameOf(&page.Frames[i])
	}
	return out
}

// streamCursor is a place in a stream: start, end, <ms> or <ms>-<seq>.
type streamCursor string

const wantCursor = wire.Want("start, end, <ms> or <ms>-<seq>")

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *streamCursor) UnmarshalText(text []byte) error {
	*c = streamCursor(text)
	if *c == "start" || *c == "end" {
		return nil
	}
	if _, err := flowfabric.ParseFrameID(string(text)); err != nil {
		return wantCursor
	}
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (c streamCursor) MarshalText() ([]byte, error) { return []byte(c), nil }

// from is the first frame at or behind the place, to the last one at or before it. Both are valid cursors.
func (c streamCursor) from() flowfabric.FrameID {
	switch c {
	case "start":
		return flowfabric.FrameID{}
	case "end":
		return flowfabric.FrameID{MS: flowfabric.MaxTimestamp, Seq: math.MaxUint64}
	}
	id, _ := flowfabric.ParseFrameID(string(c))
	return id
}

func (c streamCursor) to() flowfabric.FrameID {
	switch c {
	case "start":
		return beforeAll
	case "end":
		return flowfabric.FrameID{}
	}
	id, _ := flowfabric.ParseFrameID(string(c))
	if _, err := strconv.ParseUint(string(c), 10, 64); err == nil { // of a bare <ms>, all of it
		id.Seq = math.MaxUint64
	}
	if id == (flowfabric.FrameID{}) { // which means the end elsewhere
		return beforeAll
	}
	return id
}

// beforeAll is behind the zero FrameID and before every frame.
var beforeAll = flowfabric.FrameID{Seq: 1}

// readFrames are the parameters of GET …/stream.
type readFrames struct {
	From  streamCursor `json:"from,omitzero"`  // default start; inclusive, like to
	To    streamCursor `json:"to,omitzero"`    // default end
	Limit uint64       `json:"limit,omitzero"` // 1 to 1,000; default 100
}

// tailFrames are the parameters of GET …/stream/tail.
type tailFrames struct {
	After      streamCursor          `json:"after,omitzero"`    // <ms>-<seq>, exclusive; default 0-0
	BlockMS    uint64                `json:"block_ms,omitzero"` // to wait while nothing is there: 0, which is the default, to 30,000
	Limit      uint64                `json:"limit,omitzero"`    // 1 to 1,000; default 50
	Visibility flowfabric.Visibility `json:"visibility,omitzero"`
}

// checkFrameLimit checks a limit; hint is what to page by.
func checkFrameLimit(n uint64, hint string) error {
	switch {
	case n < 1:
		return refuseInput("limit", "limit must be >= 1")
	case n > maxFrames:
		return refuseInput("limit", "limit exceeds REST ceiling 1000; paginate via "+hint+" for larger spans")
	}
	return nil
}

// attemptOf reads the attempt index of a path.
func attemptOf(r *http.Request) (int, error) {
	n, err := strconv.ParseUint(r.PathValue("idx"), 10, 32)
	if err != nil {
		return 0, refuseInput("idx", "Invalid URL: idx: want an integer from 0 to 4294967295")
	}
	return int(n), nil
}

func (s *Server) refStream(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	index, err := attemptOf(r)
	if err != nil {
		return 0, nil, err
	}
	q := readFrames{From: "start", To: "end", Limit: 100}
	if err := readQuery(r, &q); err != nil {
		return 0, nil, err
	}
	if err := checkFrameLimit(q.Limit, "from/to"); err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	return s.frames(id, index, func() (flowfabric.StreamPage, error) {
		return call(r.Context(), s, wire.ReadStream, flowfabric.ReadStream{
			ExecutionID: id, AttemptIndex: index, From: q.From.from(), To: q.To.to(), Limit: int(q.Limit),
		})
	})
}

func (s *Server) refTail(w http.ResponseWriter, r *http.Request) (int, any, error) {
	q, id, err := readTail(r)
	if err != nil {
		return 0, nil, err
	}
	if accepts(r, eventStream) {
		s.tailSSE(w, r, q)
		return 0, nil, nil
	}
	return s.frames(id, q.AttemptIndex, func() (flowfabric.StreamPage, error) {
		page, err := call(r.Context(), s, wire.TailStream, q)
		return page, s.unlessStopping(err)
	})
}

// unlessStopping is the error of a wait, which is none if the stop of the server has ended the wait: nothing came meanwhile.
func (s *Server) unlessStopping(err error) error {
	select {
	case <-s.serving.Done():
		return nil
	default:
		return err
	}
}

// readTail reads what GET …/stream/tail asks for.
func readTail(r *http.Request) (q flowfabric.TailStream, id flowfabric.ExecutionID, err error) {
	index, err := attemptOf(r)
	if err != nil {
		return q, id, err
	}
	in := tailFrames{After: "0-0", Limit: 50}
	if err := readQuery(r, &in); err != nil {
		return q, id, err
	}
	if in.BlockMS > maxBlockMS {
		return q, id, refuseInput("block_ms", "block_ms exceeds 30000ms ceiling")
	}
	if err := checkFrameLimit(in.Limit, "after"); err != nil {
		return q, id, err
	}
	if in.After == "start" || in.After == "end" {
		return q, id, refuseInput("after", "after: XREAD cursor must be a concrete entry id; pass '0-0' to start from the beginning")
	}
	switch in.Visibility {
	case "", flowfabric.VisibleAll, flowfabric.VisibleWithoutLive:
	default:
		return q, id, refuseInput("visibility", badQuery+"visibility: want all or exclude_best_effort")
	}
	if id, err = executionOf(r); err != nil {
		return q, id, err
	}
	return flowfabric.TailStream{
		ExecutionID: id, AttemptIndex: index, After: in.After.from(), Wait: time.Duration(in.BlockMS) * time.Millisecond, Limit: int(in.Limit),
		Visibility: in.Visibility,
	}, id, nil
}

// frames reads a stream, as one of the reads of streams that may be under way at once (chapter 70, section 7). There is no queue
// for them, so that tails, which are long, cannot make reads wait.
func (s *Server) frames(id flowfabric.ExecutionID, index int, read func() (flowfabric.StreamPage, error)) (int, any, error) {
	if s.serving.Err() != nil {
		return 0, nil, &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: streamOps, Detail: "the server stops"}
	}
	select {
	case s.streamOps <- struct{}{}:
		defer func() { <-s.streamOps }()
	default:
		return 0, nil, &flowfabric.Error{Code: flowfabric.CodeResourceExhausted, Attrs: map[string]string{
			"pool": streamOps, "max": strconv.Itoa(cap(s.streamOps)), "retry_after_ms": "100",
		}}
	}
	if !s.there(id) || index > math.MaxInt32 { // like any other attempt that is not: nobody wrote
		return http.StatusOK, framesOf(flowfabric.StreamPage{}), nil
	}
	page, err := read()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, framesOf(page), nil
}

// streamOps is the name of the pool of reads of streams.
const streamOps = "stream_ops"
