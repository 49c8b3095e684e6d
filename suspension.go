package flowfabric

import (
	"time"
)

type (
	suspensionKind struct{}
	waitpointKind  struct{}
	signalKind     struct{}
)

// Identifiers of waiting (chapter 40).
type (
	// SuspensionID identifies one time an execution was parked.
	SuspensionID = UUID[suspensionKind]
	// WaitpointID identifies a place signals can be sent to. It belongs to one execution.
	WaitpointID = UUID[waitpointKind]
	// SignalID identifies a signal; its sender mints it.
	SignalID = UUID[signalKind]
)

// NewSuspensionID mints a random suspension id.
func NewSuspensionID() SuspensionID { return newUUID[suspensionKind]() }

// NewWaitpointID mints a random waitpoint id.
func NewWaitpointID() WaitpointID { return newUUID[waitpointKind]() }

// NewSignalID mints a random signal id.
func NewSignalID() SignalID { return newUUID[signalKind]() }

// Bounds of waiting.
const (
	// MaxWaitpoints bounds the waitpoints of one suspension.
	MaxWaitpoints = 64
	// MaxSignalBytes bounds the payload of a signal.
	MaxSignalBytes = 65536
	// MaxSignals is how many signals an execution takes unless its policy says otherwise; also how many it may say.
	MaxSignals = 10000
	// MaxBuffered bounds the signals that wait on a waitpoint for its suspension.
	MaxBuffered = 1000
	// SignalDedup is for how long the idempotency key of a signal is remembered by default, MaxDedup at most, and that of a
	// suspend without a deadline always.
	SignalDedup = 24 * time.Hour
	MaxDedup    = 7 * 24 * time.Hour
	// MaxContinuationBytes bounds the text a suspend keeps for whoever resumes.
	MaxContinuationBytes = 4096
)

// WaitReason says why an execution is suspended, from which its blocking reason follows (chapter 40, section 1.3). Other
// texts up to [MaxNameBytes] are allowed and mean the same as WaitForSignal.
type WaitReason string

// Wait reasons.
const (
	WaitForSignal         WaitReason = "waiting_for_signal" // the default
	WaitForApproval       WaitReason = "waiting_for_approval"
	WaitForCallback       WaitReason = "waiting_for_callback"
	WaitForToolResult     WaitReason = "waiting_for_tool_result"
	WaitForOperatorReview WaitReason = "waiting_for_operator_review"
	WaitPausedByPolicy    WaitReason = "paused_by_policy"
	WaitPausedByBudget    WaitReason = "paused_by_budget"
	WaitAtStepBoundary    WaitReason = "step_boundary"
	WaitManualPause       WaitReason = "manual_pause"
)

// Requester says who asked for a suspension.
type Requester string

// Requesters.
const (
	RequestedByWorker        Requester = "worker" // the default
	RequestedByOperator      Requester = "operator"
	RequestedByPolicy        Requester = "policy"
	RequestedByTimeoutPolicy Requester = "system_timeout_policy"
)

// TimeoutBehavior says what happens to an execution that is suspended when its deadline comes (chapter 40, section 10).
type TimeoutBehavior string

// Timeout behaviors.
const (
	TimeoutFails    TimeoutBehavior = "fail" // the default
	TimeoutCancels  TimeoutBehavior = "cancel"
	TimeoutExpired  TimeoutBehavior = "expire"
	TimeoutResumes  TimeoutBehavior = "auto_resume_with_timeout_signal" // the worker goes on, and is told
	TimeoutEscalate TimeoutBehavior = "escalate"                        // it stays suspended, for an operator to look at
)

// known reports whether the engine knows the behavior, or none is given.
func (b TimeoutBehavior) known() bool {
	switch b {
	case "", TimeoutFails, TimeoutCancels, TimeoutExpired, TimeoutResumes, TimeoutEscalate:
		return true
	default:
		return false
	}
}

// Suspend parks the execution its caller holds the lease of until a condition is satisfied (chapter 40, sections 4 and 5).
type Suspend struct {
	ExecutionID ExecutionID
	Fence       Fence
	// SuspensionID is minted if unset.
	SuspensionID SuspensionID
	// Waitpoints are bound to the suspension: 1 to [MaxWaitpoints]. The first is the primary one. None: a fresh one with the
	// key the condition names.
	Waitpoints []WaitpointBinding
	Condition  Condition
	// ResumeDelay is how long the execution waits after a signal has satisfied the condition, unless the signal says
	// otherwise: 0 to [MaxSpanMS].
	ResumeDelay time.Duration
	Reason      WaitReason
	RequestedBy Requester
	// Timeout or TimeoutAt is the deadline of the suspension, by the storage clock; at most one may be set. Neither: the
	// policy's, if any.
	Timeout   time.Duration
	TimeoutAt Timestamp
	// TimeoutBehavior defaults to the policy's, or else to [TimeoutFails].
	TimeoutBehavior TimeoutBehavior
	// Continuation is kept for whoever resumes: at most [MaxContinuationBytes].
	Continuation string
	// IdempotencyKey makes the call repeatable: the first answer is given again, without a look at the lease, until a minute
	// after the deadline, seven days at most. Another command under the same key fails with [ErrIdempotencyConflict].
	IdempotencyKey string
}

// WaitpointBinding names a waitpoint of a suspension.
type WaitpointBinding struct {
	// WaitpointID of a fresh waitpoint is minted if unset.
	WaitpointID WaitpointID
	// Key is what conditions call it. Of a fresh one it defaults to "wpk:<uuid>".
	Key string
	// Pending: the waitpoint was made by CreateWaitpoint. It is the only one, and has a key already.
	Pending bool
}

// Suspended answers a [Suspend].
type Suspended struct {
	// AlreadySatisfied: signals that came before have satisfied the condition. The lease is still held; go on.
	AlreadySatisfied bool
	SuspensionID     SuspensionID
	// Waitpoints are in the order of the bindings. They tell tokens.
	Waitpoints []WaitpointGrant
}

// WaitpointGrant is a waitpoint and the authority to signal it.
type WaitpointGrant struct {
	WaitpointID WaitpointID
	Key         string
	Token       WaitpointToken
}

// CreateWaitpoint makes a waitpoint before it is waited for, so that its token can be given away without a fast answer
// being lost (chapter 40, section 6).
type CreateWaitpoint struct {
	ExecutionID ExecutionID
	Fence       Fence
	// WaitpointID is minted if unset. With an id the call is repeatable: one that exists with the same key is told again.
	WaitpointID WaitpointID
	Key         string // 1 to [MaxNameBytes]; default "wpk:<uuid>"
	// ExpiresIn closes the waitpoint if it is not bound by then: a millisecond to [MaxSpanMS].
	ExpiresIn time.Duration
}

// CloseWaitpoint closes a waitpoint; signals to it are refused then.
type CloseWaitpoint struct {
	ExecutionID ExecutionID
	WaitpointID WaitpointID
	Reason      string // default "proactive_close"
	Actor       string
}

// CloseResult answers a [CloseWaitpoint].
type CloseResult struct {
	AlreadyClosed bool
}

// Signal is a message to a waitpoint (chapter 40, section 8).
type Signal struct {
	ExecutionID ExecutionID
	WaitpointID WaitpointID
	Token       WaitpointToken
	// SignalID is minted if unset. A signal whose id the execution has is a Duplicate.
	SignalID       SignalID
	Name           string // 1 to [MaxNameBytes]: what matchers look at
	Category       string // default "custom"
	SourceType     string // default "external_api"
	SourceIdentity string // who sends it
	Payload        []byte // at most [MaxSignalBytes]
	Encoding       string // default "json"
	CorrelationID  string
	// IdempotencyKey, of this waitpoint, is remembered for DedupTTL: default [SignalDedup], at most [MaxDedup].
	IdempotencyKey string
	DedupTTL       time.Duration
	TargetScope    string // "waitpoint" or "execution"; kept, with no further meaning
	CreatedAt      Timestamp
	// ResumeDelay, if this signal resumes the execution, replaces that of the suspension: 0 to an hour; nil: that of the
	// suspension.
	ResumeDelay *time.Duration
}

// Approval is a decision of a person: a signal whose sender is trusted to be an operator, and needs no token.
type Approval struct {
	ExecutionID ExecutionID
	Lane        LaneID // must be that of the execution
	WaitpointID WaitpointID
	Name        string // "approved" and "rejected" by convention
	Approver    string // who decides: distinct approvers are distinct sources
	Payload     []byte
	// IdempotencySuffix makes the idempotency key "approval:<name>:<suffix>"; default: the approver.
	IdempotencySuffix string
	DedupTTL          time.Duration
}

// SignalEffect says what an accepted signal did.
type SignalEffect string

// Signal effects (chapter 40, section 8.3).
const (
	EffectAppended      SignalEffect = "appended_to_waitpoint" // it counts; the condition is not satisfied yet
	EffectResumed       SignalEffect = "resume_condition_satisfied"
	EffectNoOp          SignalEffect = "no_op" // a single condition that does not ask for it
	EffectNotInTree     SignalEffect = "signal_ignored_not_in_condition"
	EffectMatcherFailed SignalEffect = "signal_ignored_matcher_failed"
	EffectCounted       SignalEffect = "appended_to_waitpoint_duplicate" // what it would count as is counted already
	EffectBuffered      SignalEffect = "buffered_for_pending_waitpoint"
)

// SignalResult answers a signal.
type SignalResult struct {
	// SignalID is that of the first signal, if this one is a Duplicate.
	SignalID  SignalID
	Effect    SignalEffect // empty for a Duplicate
	Duplicate bool
}

// SealLink makes a [SignalLink] out of a token.
type SealLink struct {
	ExecutionID ExecutionID
	WaitpointID WaitpointID
	Token       WaitpointToken
	// SignalName is the one signal the link can send.
	SignalName string
	// Source is who the link is for; it becomes the source identity.
	Source string
	// ExpiresIn bounds the link's life: 0 for that of the waitpoint.
	ExpiresIn time.Duration
	// SingleUse: the link signals once; following it again is a Duplicate.
	SingleUse bool
}

// SignalByLink sends the signal a link stands for.
type SignalByLink struct {
	Link     SignalLink
	Payload  []byte
	Encoding string
}

// ResumeTrigger says what resumed an execution.
type ResumeTrigger string

// Resume triggers.
const (
	TriggerSignal     ResumeTrigger = "signal"
	TriggerOperator   ResumeTrigger = "operator"
	TriggerAutoResume ResumeTrigger = "auto_resume"
)

// ResumeExecution resumes a suspended execution, whatever its condition says (chapter 40, section 9).
type ResumeExecution struct {
	ExecutionID ExecutionID
	Trigger     ResumeTrigger // default [TriggerOperator]
	Delay       time.Duration // 0 to [MaxSpanMS]
	Actor       string
	Reason      string
}

// ResumeResult answers a [ResumeExecution].
type ResumeResult struct {
	PublicState PublicState // waiting, or delayed
}

// WaitpointState is the state of a waitpoint.
type WaitpointState string

// Waitpoint states.
const (
	WaitpointPending WaitpointState = "pending" // not bound yet; signals are kept for its suspension
	WaitpointActive  WaitpointState = "active"
	WaitpointClosed  WaitpointState = "closed"
)

// Close reasons that are no timeout (chapter 40, section 1.2). Of a timeout it is "timed_out_" and what was done, of a
// deadline "expired:" and which.
const (
	ClosedResumed        = "resumed"
	ClosedCancelled      = "cancelled"
	ClosedNeverCommitted = "never_committed"
	ClosedProactively    = "proactive_close"
	ClosedAutoResume     = "timed_out_auto_resume"
)

// ListPendingWaitpoints asks for the waitpoints of an execution that can still be signalled, by id.
type ListPendingWaitpoints struct {
	ExecutionID ExecutionID
	After       WaitpointID
	Limit       int // 1 to [MaxPage]; default [DefaultPage]
}

// WaitpointSnapshot tells of a waitpoint, without its token.
type WaitpointSnapshot struct {
	ExecutionID         ExecutionID
	WaitpointID         WaitpointID
	Key                 string
	State               WaitpointState
	RequiredSignalNames []string // empty for any, and for composites
	SuspensionID        SuspensionID
	CreatedAt           Timestamp
	ActivatedAt         Timestamp
	ExpiresAt           Timestamp
	ClosedAt            Timestamp
	CloseReason         string
	SignalCount         int
	MatchedCount        int
	LastSignalAt        Timestamp
	TokenKid            string
	TokenFingerprint    string
}

// SignalSnapshot is a signal as it was accepted.
type SignalSnapshot struct {
	SignalID       SignalID
	WaitpointID    WaitpointID
	Name           string
	Category       string
	SourceType     string
	SourceIdentity string
	CorrelationID  string
	CreatedAt      Timestamp
	AcceptedAt     Timestamp
	Effect         SignalEffect
	Payload        []byte
	Encoding       string
}

// SuspensionSnapshot is the current suspension of an execution, or its last.
type SuspensionSnapshot struct {
	SuspensionID    SuspensionID // unset if there was none
	AttemptIndex    int
	Waitpoints      []WaitpointID // the primary one first
	Condition       Condition
	Reason          WaitReason
	RequestedBy     Requester
	SuspendedAt     Timestamp
	TimeoutAt       Timestamp
	TimeoutBehavior TimeoutBehavior
	Continuation    string
	LastSignalAt    Timestamp
	SignalCount     int       // of the execution, ever
	ClosedAt        Timestamp // 0 while it is open
	CloseReason     string
	Trigger         ResumeTrigger // of one that was resumed
	Actor           string
	Detail          string
	Closer          SignalID // the signal that satisfied the condition
	// AuthFailedAt is when a signal was last refused for its token, to the minute.
	AuthFailedAt Timestamp
}

// ResumeSignals is what an execution was resumed by.
type ResumeSignals struct {
	CloseReason string // how the last suspension of the attempt ended; empty if there was none
	// Signals have satisfied the condition, in order of acceptance. There are none unless CloseReason is [ClosedResumed], and
	// none if an operator resumed.
	Signals []SignalSnapshot
}

// WaitpointSignals asks what a waitpoint has come to.
type WaitpointSignals struct {
	Waitpoint WaitpointSnapshot
	// Signals are those that wait on it while it is pending, and those that satisfied the condition once it is closed.
	Signals []SignalSnapshot
}

// ListSuspended asks for suspended executions, the newest first.
type ListSuspended struct {
	Lane      LaneID
	Namespace Namespace
	After     string
	Limit     int // 1 to [MaxPage]; default [DefaultPage]
}

// SuspendedExecution is one entry of that list.
type SuspendedExecution struct {
	ExecutionID ExecutionID
	SuspendedAt Timestamp
	TimeoutAt   Timestamp
	Reason      WaitReason
}
