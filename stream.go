package flowfabric

import (
	"cmp"
	"encoding/json"
	"fmt"
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
	Payload []byte    // at most [MaxFrameBytes]
	Kind    FrameKind // default [FrameEvent]
	// Type is free: token, text_chunk, log, progress … Default: the kind. At most [MaxNameBytes].
	Type     string
	Encoding FrameEncoding // default [FrameUTF8]
	// Seq, when not 0, makes the append safe to repeat: the numbers of one lease increase, and a frame whose number is not
	// above the last one accepted under the same lease is a duplicate, which changes nothing.
	Seq           uint64
	CorrelationID string
	Mode          FrameMode // default [FrameDurable]
	Live          LiveFrame // for mode [FrameLive]
	// ProducedAt is the worker's clock; 0 for none. It is told, and decides nothing.
	ProducedAt Timestamp
}

// LiveFrame says how long a frame of mode [FrameLive] stays readable (chapter 50, section 3.2). For at least TTL, unless
// frames come faster than Ceiling in twice that time.
type LiveFrame struct {
	TTL     time.Duration // required: above 0, at most [MaxLiveTTL]
	Floor   int           // how many are kept at least; default 64
	Ceiling int           // how many are kept at most; default and bound 16,384, at least Floor
	Alpha   float64       // weight of the newest interval in the estimated rate; default 0.2
}

// AppendFrames appends frames to the stream of the attempt the fence names.
type AppendFrames struct {
	ExecutionID ExecutionID
	Fence       Fence
	Frames      []Frame // 1 to [MaxAppendFrames]
}

// Appended says what an append came to.
type Appended struct {
	Frames []AppendedFrame // in the order of the command
	Count  int64           // frames ever accepted by the stream
}

// AppendedFrame is one frame of an append.
type AppendedFrame struct {
	ID             FrameID // of a duplicate: the zero FrameID
	SummaryVersion int64   // of mode [FrameSummary]; 0 otherwise
	Duplicate      bool
}

// StreamFrame is a frame as it is read. Its payload is shared with other readers: it must not be changed.
type StreamFrame struct {
	ID             FrameID
	Kind           FrameKind
	Type           string
	Payload        []byte
	Encoding       FrameEncoding
	Mode           FrameMode
	CorrelationID  string
	SummaryVersion int64
	ProducedAt     Timestamp
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
	ExecutionID  ExecutionID
	AttemptIndex int
	// From and To are inclusive; the zero FrameID of To means the end.
	From, To   FrameID
	Limit      int // 1 to [MaxStreamPage]; default [DefaultPage]
	Visibility Visibility
}

// TailStream asks for the frames behind a place of a stream, and waits for them.
type TailStream struct {
	ExecutionID  ExecutionID
	AttemptIndex int
	After        FrameID       // exclusive; the zero FrameID is before the first
	Wait         time.Duration // 0 to [MaxTailWait]
	Limit        int           // 1 to [MaxStreamPage]; default [DefaultPage]
	Visibility   Visibility
}

// StreamPage is what a read found. Frames and closure are of one instant: if ClosedAt is set and Frames is empty, or
// shorter than the limits of a page allow, nothing more will come.
type StreamPage struct {
	Frames []StreamFrame
	More   bool // the page is full: there may be more frames now
	// ClosedAt is when the attempt ended, and with it the stream; 0 while it is open.
	ClosedAt     Timestamp
	ClosedReason StreamClosed
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
	ExecutionID  ExecutionID
	AttemptIndex int
	CreatedAt    Timestamp // of the first frame; 0 if there was none
	Count        int64     // frames ever accepted
	Bytes        int64     // their payloads together
	Last         FrameID
	ClosedAt     Timestamp
	ClosedReason StreamClosed
}

// StreamSummary is the document that the frames of mode [FrameSummary] have made (chapter 50, section 3.1).
type StreamSummary struct {
	Document  json.RawMessage
	Version   int64 // how many patches were applied; 0 and no document if none was
	FirstAt   Timestamp
	UpdatedAt Timestamp
}

// StreamPolicy bounds the streams of an execution. Zero fields mean the defaults.
type StreamPolicy struct {
	MaxFrames int64 `json:"retention_maxlen,omitempty"` // 1 to ten times [MaxStreamFrames]; default [MaxStreamFrames]
	MaxBytes  int64 `json:"max_bytes,omitempty"`        // 1 to 64 times [MaxStreamBytes]; default [MaxStreamBytes]
}

// Compare orders ids as their frames are ordered.
func (id FrameID) Compare(other FrameID) int {
	return cmp.Or(cmp.Compare(id.MS, other.MS), cmp.Compare(id.Seq, other.Seq))
}

// Next is the smallest id behind id, for the next page of [ReadStream].
func (id FrameID) Next() FrameID { return FrameID{MS: id.MS, Seq: id.Seq + 1} }

// String is <ms>-<seq>.
func (id FrameID) String() string { return fmt.Sprintf("%d-%d", id.MS, id.Seq) }
