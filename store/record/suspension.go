package record

import (
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// Keyed families of waiting and of durable steps (chapter 40). Their records belong to an execution, live on its partition,
// and are removed with it.
const (
	Suspensions Family = "suspension"
	Waitpoints  Family = "waitpoint"
	Signals     Family = "signal"
	Replies     Family = "reply"
	Steps       Family = "step"
)

// OfExecution are the families whose records belong to an execution: the first two parts of their keys name it.
var OfExecution = []Family{Suspensions, Waitpoints, Signals, Replies, Steps, Streams, Summaries, Ledgers}

// executionParts are the parts of a key that name an execution.
func executionParts(id flowfabric.ExecutionID, rest ...string) []string {
	return append([]string{fmt.Sprintf("%05d", id.Partition().Index), id.UUID().String()}, rest...)
}

// SuspensionKey names what is kept of an execution's waiting.
type SuspensionKey struct {
	ExecutionID flowfabric.ExecutionID
}

// Family implements [Key].
func (SuspensionKey) Family() Family { return Suspensions }

// Partition implements [Key].
func (k SuspensionKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k SuspensionKey) Parts() []string { return executionParts(k.ExecutionID) }

// Suspension is the current suspension of an execution, or its last (ff_suspension_current). An execution that was sent
// signals before it was ever suspended has one without an id.
type Suspension struct {
	SuspensionKey
	Version         int64
	SuspensionID    flowfabric.SuspensionID
	AttemptIndex    int
	Waitpoints      []flowfabric.WaitpointID // the primary one first
	Condition       *flowfabric.Condition    // nil if there was no suspension yet
	ResumeDelayMS   int64
	Reason          flowfabric.WaitReason
	RequestedBy     flowfabric.Requester
	SuspendedAt     flowfabric.Timestamp
	TimeoutAt       flowfabric.Timestamp
	TimeoutBehavior flowfabric.TimeoutBehavior
	Continuation    string
	// Matched are the signals that contribute to the condition, in the order of their acceptance: as few as say all of it.
	Matched      []SignalRef
	LastSignalAt flowfabric.Timestamp
	ClosedAt     flowfabric.Timestamp // 0 while it is open
	CloseReason  string
	Closer       flowfabric.SignalID
	Trigger      flowfabric.ResumeTrigger
	Actor        string
	Detail       string
	// SignalCount counts the signals of the execution, over all its suspensions.
	SignalCount int
	// AuthFailedAt is when a signal was refused for its token, at most one a minute.
	AuthFailedAt flowfabric.Timestamp
}

// Open reports whether the execution is suspended by it.
func (s *Suspension) Open() bool { return s != nil && !s.SuspensionID.IsZero() && s.ClosedAt == 0 }

// Key implements [Keyed].
func (s *Suspension) Key() Key { return s.SuspensionKey }

// VersionField implements [Keyed].
func (s *Suspension) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed]: the deadline of a suspension is the execution's due time.
func (s *Suspension) DueTime() flowfabric.Timestamp { return 0 }

// SignalRef is what conditions look at of a signal.
type SignalRef struct {
	SignalID       flowfabric.SignalID    `json:"signal_id"`
	WaitpointID    flowfabric.WaitpointID `json:"waitpoint_id"`
	Key            string                 `json:"key"` // of the waitpoint
	Name           string                 `json:"name"`
	SourceType     string                 `json:"source_type,omitempty"`
	SourceIdentity string                 `json:"source_identity,omitempty"`
	AcceptedAt     flowfabric.Timestamp   `json:"accepted_at"`
}

// WaitpointKey names a waitpoint.
type WaitpointKey struct {
	ExecutionID flowfabric.ExecutionID
	WaitpointID flowfabric.WaitpointID
}

// Family implements [Key].
func (WaitpointKey) Family() Family { return Waitpoints }

// Partition implements [Key].
func (k WaitpointKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k WaitpointKey) Parts() []string { return executionParts(k.ExecutionID, k.WaitpointID.String()) }

// Waitpoint is a place signals are sent to (ff_waitpoint_pending).
type Waitpoint struct {
	WaitpointKey
	Version      int64
	Name         string // the waitpoint key of conditions
	State        flowfabric.WaitpointState
	Token        flowfabric.WaitpointToken
	SuspensionID flowfabric.SuspensionID
	AttemptIndex int
	// RequiredNames are the signal names its condition asks for; empty for any, or for a composite.
	RequiredNames []string
	CreatedAt     flowfabric.Timestamp
	ActivatedAt   flowfabric.Timestamp
	ExpiresAt     flowfabric.Timestamp
	ClosedAt      flowfabric.Timestamp
	CloseReason   string
	SignalCount   int
	MatchedCount  int
	LastSignalAt  flowfabric.Timestamp
	// Signals are those that wait for the suspension of a pending one, and those that satisfied the condition of a closed
	// one, in the order of their acceptance.
	Signals []SignalRef
}

// Open reports whether it is pending or active.
func (w *Waitpoint) Open() bool { return w.State != flowfabric.WaitpointClosed }

// Key implements [Keyed].
func (w *Waitpoint) Key() Key { return w.WaitpointKey }

// VersionField implements [Keyed].
func (w *Waitpoint) VersionField() *int64 { return &w.Version }

// DueTime implements [Keyed].
func (w *Waitpoint) DueTime() flowfabric.Timestamp {
	if w.State == flowfabric.WaitpointPending {
		return w.ExpiresAt
	}
	return 0
}

// SignalKey names a signal.
type SignalKey struct {
	ExecutionID flowfabric.ExecutionID
	SignalID    flowfabric.SignalID
}

// Family implements [Key].
func (SignalKey) Family() Family { return Signals }

// Partition implements [Key].
func (k SignalKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k SignalKey) Parts() []string { return executionParts(k.ExecutionID, k.SignalID.String()) }

// Signal is a signal that was accepted (ff_signal). It is never changed.
type Signal struct {
	SignalKey
	Version        int64
	WaitpointID    flowfabric.WaitpointID
	Name           string
	Category       string
	SourceType     string
	SourceIdentity string
	CorrelationID  string
	IdempotencyKey string
	TargetScope    string
	CreatedAt      flowfabric.Timestamp
	AcceptedAt     flowfabric.Timestamp
	Effect         flowfabric.SignalEffect
	Payload        []byte
	Encoding       string
}

// Key implements [Keyed].
func (s *Signal) Key() Key { return s.SignalKey }

// VersionField implements [Keyed].
func (s *Signal) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed].
func (s *Signal) DueTime() flowfabric.Timestamp { return 0 }

// ReplyKey names an answer that is remembered: of an execution, for a kind of call, by the caller's idempotency key.
type ReplyKey struct {
	ExecutionID flowfabric.ExecutionID
	Scope       string // "suspend", or the id of the waitpoint that was signalled
	Key         string
}

// Family implements [Key].
func (ReplyKey) Family() Family { return Replies }

// Partition implements [Key].
func (k ReplyKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k ReplyKey) Parts() []string { return executionParts(k.ExecutionID, k.Scope, k.Key) }

// Reply is an answer that a repeat of the call gets (ff_suspend_dedup).
type Reply struct {
	ReplyKey
	Version   int64
	Digest    []byte // of the command; a repeat must have the same. Empty: it need not
	Outcome   []byte // JSON
	CreatedAt flowfabric.Timestamp
	ExpiresAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (r *Reply) Key() Key { return r.ReplyKey }

// VersionField implements [Keyed].
func (r *Reply) VersionField() *int64 { return &r.Version }

// DueTime implements [Keyed].
func (r *Reply) DueTime() flowfabric.Timestamp { return r.ExpiresAt }

// StepKey names a step of an execution.
type StepKey struct {
	ExecutionID flowfabric.ExecutionID
	Name        string
	Occurrence  string // or the key the handler gave it
}

// Family implements [Key].
func (StepKey) Family() Family { return Steps }

// Partition implements [Key].
func (k StepKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k StepKey) Parts() []string { return executionParts(k.ExecutionID, k.Name, k.Occurrence) }

// Step is what a step came to (ff_step).
type Step struct {
	StepKey
	Version      int64
	Position     int
	Result       []byte
	Encoding     string
	Error        string
	Category     flowfabric.FailureCategory
	AttemptIndex int
	Epoch        uint64
	// Retries and Replays are the execution's when the step was recorded: an error does not outlive them.
	Retries    int
	Replays    int
	RecordedAt flowfabric.Timestamp
	Until      flowfabric.Timestamp
}

// Key implements [Keyed].
func (s *Step) Key() Key { return s.StepKey }

// VersionField implements [Keyed].
func (s *Step) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed].
func (s *Step) DueTime() flowfabric.Timestamp { return 0 }
