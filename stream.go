package flowfabric

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of streams (chapter 50).
const (
	// MaxFrameBytes bounds the payload of a frame.
	MaxFrameBytes = 64 << 10
	// MaxAppendFrames and MaxAppendBytes bound one call of AppendFrames: its frames, and their payloads together.
	MaxAppendFrames = 1000
	MaxAppendBytes  = 1 << 20
	// MaxStreamPage and MaxStreamPageBytes bound one read: its frames, and about their payloads together.
	MaxStreamPage      = 10_000
	MaxStreamPageBytes = 4 << 20
	// MaxSummaryBytes bounds the document of a summary.
	MaxSummaryBytes = 256 << 10
	// MaxStreamFrames is how many durable frames a stream keeps, unless its policy says otherwise; the upper bound of a
	// policy is ten times that.
	MaxStreamFrames = 10_000
	// MaxStreamBytes is how many bytes of payload may ever be appended to a stream, unless its policy says otherwise; the
	// upper bound of a policy is 64 times that.
	MaxStreamBytes = 256 << 20
	// MaxTailWait bounds how long a tail waits.
	MaxTailWait = 30 * time.Second
	// MaxLiveTTL bounds how long frames of mode [FrameLive] stay readable.
	MaxLiveTTL = time.Hour
)

// FrameMode says how long a frame is kept (chapter 50, section 3).
type FrameMode string

// Frame modes. Each is trimmed by its own bound: none takes away frames of another.
const (
	FrameDurable FrameMode = "durable"     // kept with the execution, the newest [MaxStreamFrames] or what the policy says
	FrameSummary FrameMode = "summary"     // a JSON merge patch of the stream's summary; the newest 64 patches are kept
	FrameLive    FrameMode = "best_effort" // for who is watching now; kept for its TTL
)

// FrameKind says what a frame is.
type FrameKind string

// Frame kinds.
const (
	FrameEvent  FrameKind = "event"
	FrameStdout FrameKind = "stdout"
	FrameStderr FrameKind = "stderr"
	FrameBlob   FrameKind = "blob"
)

// FrameEncoding says what the payload of a frame is made of. The engine stores the bytes as they are.
type FrameEncoding string

// Frame encodings.
const (
	FrameUTF8    FrameEncoding = "utf8"
	FrameJSON    FrameEncoding = "json"
	FrameMsgpack FrameEncoding = "msgpack"
	FrameBinary  FrameEncoding = "binary"
)

// FrameID is the place of a frame in its stream: assigned by the engine, strictly increasing. Its text is <ms>-<seq>.
type FrameID struct {
	MS  Timestamp
	Seq uint64
}

// Frame is output of a worker.
type Frame struct {
	Payload []byte    `json:"payload,omitzero"` // at most [MaxFrameBytes]
	Kind    FrameKind `json:"kind,omitzero"`    // default [FrameEvent]
	// Type is free: token, text_chunk, log, progress … Default: the kind. At most [MaxNameBytes].
	Type     string        `json:"type,omitzero"`
	Encoding FrameEncoding `json:"encoding,omitzero"` // default [FrameUTF8]
	// Seq, when not 0, makes the append safe to repeat: the numbers of one lease increase, and a frame whose number is not
	// above the last one accepted under the same lease is a duplicate, which changes nothing.
	Seq           uint64    `json:"seq,omitzero"`
	CorrelationID string    `json:"correlation_id,omitzero"`
	Mode          FrameMode `json:"mode,omitzero"` // default [FrameDurable]
	Live          LiveFrame `json:"live,omitzero"` // for mode [FrameLive]
	// ProducedAt is the worker's clock; 0 for none. It is told, and decides nothing.
	ProducedAt Timestamp `json:"produced_at,omitzero"`
}

// LiveFrame says how long a frame of mode [FrameLive] stays readable (chapter 50, section 3.2). For at least TTL, unless
// frames come faster than Ceiling in twice that time.
type LiveFrame struct {
	TTL     time.Duration `json:"ttl_ms,omitzero"`  // required: above 0, at most [MaxLiveTTL]
	Floor   int           `json:"floor,omitzero"`   // how many are kept at least; default 64
	Ceiling int           `json:"ceiling,omitzero"` // how many are kept at most; default and bound 16,384, at least Floor
	Alpha   float64       `json:"alpha,omitzero"`   // weight of the newest interval in the estimated rate; default 0.2
}

// AppendFrames appends frames to the stream of the attempt the fence names.
type AppendFrames struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	Frames      []Frame     `json:"frames,omitzero"` // 1 to [MaxAppendFrames]
}

// Appended says what an append came to.
type Appended struct {
	Frames []AppendedFrame `json:"frames,omitzero"` // in the order of the command
	Count  int64           `json:"count,omitzero"`  // frames ever accepted by the stream
}

// AppendedFrame is one frame of an append.
type AppendedFrame struct {
	ID             FrameID `json:"id,omitzero"`              // of a duplicate: the zero FrameID
	SummaryVersion int64   `json:"summary_version,omitzero"` // of mode [FrameSummary]; 0 otherwise
	Duplicate      bool    `json:"duplicate,omitzero"`
}

// StreamFrame is a frame as it is read. Its payload is shared with other readers: it must not be changed.
type StreamFrame struct {
	ID             FrameID       `json:"id,omitzero"`
	Kind           FrameKind     `json:"kind,omitzero"`
	Type           string        `json:"type,omitzero"`
	Payload        []byte        `json:"payload,omitzero"`
	Encoding       FrameEncoding `json:"encoding,omitzero"`
	Mode           FrameMode     `json:"mode,omitzero"`
	CorrelationID  string        `json:"correlation_id,omitzero"`
	SummaryVersion int64         `json:"summary_version,omitzero"`
	ProducedAt     Timestamp     `json:"produced_at,omitzero"`
}

// Visibility says which frames a reader wants.
type Visibility string

// Visibilities.
const (
	VisibleAll         Visibility = "all" // the default
	VisibleWithoutLive Visibility = "exclude_best_effort"
)

// ReadStream asks for frames of a stream.
type ReadStream struct {
	ExecutionID  ExecutionID `json:"execution_id,omitzero"`
	AttemptIndex int         `json:"attempt_index,omitzero"`
	// From and To are inclusive; the zero FrameID of To means the end.
	From       FrameID    `json:"from,omitzero"`
	To         FrameID    `json:"to,omitzero"`
	Limit      int        `json:"limit,omitzero"` // 1 to [MaxStreamPage]; default [DefaultPage]
	Visibility Visibility `json:"visibility,omitzero"`
}

// TailStream asks for the frames behind a place of a stream, and waits for them.
type TailStream struct {
	ExecutionID  ExecutionID   `json:"execution_id,omitzero"`
	AttemptIndex int           `json:"attempt_index,omitzero"`
	After        FrameID       `json:"after,omitzero"`   // exclusive; the zero FrameID is before the first
	Wait         time.Duration `json:"wait_ms,omitzero"` // 0 to [MaxTailWait]
	Limit        int           `json:"limit,omitzero"`   // 1 to [MaxStreamPage]; default [DefaultPage]
	Visibility   Visibility    `json:"visibility,omitzero"`
}

// StreamPage is what a read found. Frames and closure are of one instant: if ClosedAt is set and Frames is empty, or
// shorter than the limits of a page allow, nothing more will come.
type StreamPage struct {
	Frames []StreamFrame `json:"frames,omitzero"`
	More   bool          `json:"more,omitzero"` // the page is full: there may be more frames now
	// ClosedAt is when the attempt ended, and with it the stream; 0 while it is open.
	ClosedAt     Timestamp    `json:"closed_at,omitzero"`
	ClosedReason StreamClosed `json:"closed_reason,omitzero"`
}

// StreamClosed says why a stream is closed (chapter 50, section 1.2).
type StreamClosed string

// Reasons.
const (
	StreamClosedSuccess           StreamClosed = "attempt_success"
	StreamClosedFailure           StreamClosed = "attempt_failure"
	StreamClosedCancelled         StreamClosed = "attempt_cancelled"
	StreamClosedLeaseExpired      StreamClosed = "lease_expired" // until another attempt begins; then it is "reclaimed"
	StreamClosedReclaimed         StreamClosed = "reclaimed"
	StreamClosedExpired           StreamClosed = "expired"
	StreamClosedSuspensionTimeout StreamClosed = "suspension_timeout"
)

// StreamInfo tells of a stream without its frames.
type StreamInfo struct {
	ExecutionID  ExecutionID  `json:"execution_id,omitzero"`
	AttemptIndex int          `json:"attempt_index,omitzero"`
	CreatedAt    Timestamp    `json:"created_at,omitzero"` // of the first frame; 0 if there was none
	Count        int64        `json:"count,omitzero"`      // frames ever accepted
	Bytes        int64        `json:"bytes,omitzero"`      // their payloads together
	Last         FrameID      `json:"last,omitzero"`
	ClosedAt     Timestamp    `json:"closed_at,omitzero"`
	ClosedReason StreamClosed `json:"closed_reason,omitzero"`
}

// StreamSummary is the document that the frames of mode [FrameSummary] have made (chapter 50, section 3.1).
type StreamSummary struct {
	Document  json.RawMessage `json:"document,omitzero"`
	Version   int64           `json:"version,omitzero"` // how many patches were applied; 0 and no document if none was
	FirstAt   Timestamp       `json:"first_at,omitzero"`
	UpdatedAt Timestamp       `json:"updated_at,omitzero"`
}

// StreamPolicy bounds the streams of an execution. Zero fields mean the defaults.
type StreamPolicy struct {
	MaxFrames int64 `json:"retention_maxlen,omitzero"` // 1 to ten times [MaxStreamFrames]; default [MaxStreamFrames]
	MaxBytes  int64 `json:"max_bytes,omitzero"`        // 1 to 64 times [MaxStreamBytes]; default [MaxStreamBytes]
}

// Compare orders ids as their frames are ordered.
func (id FrameID) Compare(other FrameID) int {
	return cmp.Or(cmp.Compare(id.MS, other.MS), cmp.Compare(id.Seq, other.Seq))
}

// Next is the smallest id behind id, for the next page of [ReadStream].
func (id FrameID) Next() FrameID { return FrameID{MS: id.MS, Seq: id.Seq + 1} }

// String is <ms>-<seq>.
func (id FrameID) String() string { return fmt.Sprintf("%d-%d", id.MS, id.Seq) }

// MarshalText implements [encoding.TextMarshaler].
func (id FrameID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of [ParseFrameID].
func (id *FrameID) UnmarshalText(text []byte) error {
	parsed, err := ParseFrameID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseFrameID reads <ms>-<seq>, or <ms> for the first id of that millisecond. A refusal matches [ErrInvalidInput].
func ParseFrameID(s string) (FrameID, error) {
	ms, seq, found := strings.Cut(s, "-")
	if !found {
		seq = "0"
	}
	at, err := strconv.ParseUint(ms, 10, 63)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if err != nil || err2 != nil {
		return FrameID{}, &Error{Code: CodeInvalidInput, Op: "parse frame id", Detail: fmt.Sprintf("%q: want <ms>-<seq>", clip(s))}
	}
	return FrameID{MS: Timestamp(at), Seq: n}, nil
}
