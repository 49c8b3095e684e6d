package record

import (
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// Keyed families of streams (chapter 50). Their records belong to an execution.
const (
	Streams   Family = "stream"
	Summaries Family = "summary"
)

// StreamKey names the stream of an attempt.
type StreamKey struct {
	ExecutionID  flowfabric.ExecutionID
	AttemptIndex int
}

// Family implements [Key].
func (StreamKey) Family() Family { return Streams }

// Partition implements [Key].
func (k StreamKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k StreamKey) Parts() []string {
	return executionParts(k.ExecutionID, fmt.Sprintf("%010d", k.AttemptIndex))
}

// Stream is what is known of a stream without its frames (ff_stream_meta). Whether it is closed is not here: that follows
// from its execution and its attempt.
type Stream struct {
	StreamKey
	Version   int64
	CreatedAt flowfabric.Timestamp
	Count     int64 // frames ever accepted, without marks of replays
	Bytes     int64 // their payloads
	Last      flowfabric.FrameID
	// Durable, Summary and Live are how many frames of each mode are kept.
	Durable int
	Summary int
	Live    int
	// LastSeq is the last number a worker gave a frame, under the lease of Epoch.
	Epoch   uint64
	LastSeq uint64
	// Rate is the estimated rate of live frames in millionths of a frame a second; LiveAt is when the last one came, and
	// LiveMax how many were kept at most then.
	Rate    int64
	LiveAt  flowfabric.Timestamp
	LiveMax int
	// ExpiresAt is when the frames of a stream that only ever had live ones go; 0 for never.
	ExpiresAt flowfabric.Timestamp
	// Replays is the execution's count of replays at the last append.
	Replays int
}

// Key implements [Keyed].
func (s *Stream) Key() Key { return s.StreamKey }

// VersionField implements [Keyed].
func (s *Stream) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed].
func (s *Stream) DueTime() flowfabric.Timestamp { return s.ExpiresAt }

// SummaryKey names the summary of a stream.
type SummaryKey struct {
	ExecutionID  flowfabric.ExecutionID
	AttemptIndex int
}

// Family implements [Key].
func (SummaryKey) Family() Family { return Summaries }

// Partition implements [Key].
func (k SummaryKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k SummaryKey) Parts() []string { return StreamKey(k).Parts() }

// Summary is the document that the patches of a stream have made (ff_stream_summary).
type Summary struct {
	SummaryKey
	Version   int64
	Document  []byte // JSON
	Patches   int64  // how many were applied: the version its readers are told
	FirstAt   flowfabric.Timestamp
	UpdatedAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (s *Summary) Key() Key { return s.SummaryKey }

// VersionField implements [Keyed].
func (s *Summary) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed].
func (s *Summary) DueTime() flowfabric.Timestamp { return 0 }

// Frame is a frame of a stream (ff_stream_frame). It is appended once, never changed, and trimmed from the old end.
type Frame struct {
	StreamKey
	Mode           flowfabric.FrameMode
	ID             flowfabric.FrameID
	Kind           flowfabric.FrameKind
	Type           string
	Payload        []byte
	Encoding       flowfabric.FrameEncoding
	CorrelationID  string
	SummaryVersion int64 // of a patch
	ProducedAt     flowfabric.Timestamp
}

// FrameTrim removes the Count oldest frames of a mode of a stream, or as many as there are.
type FrameTrim struct {
	StreamKey
	Mode  flowfabric.FrameMode
	Count int
}
