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
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	// SuspensionID is minted if unset.
	SuspensionID SuspensionID `json:"suspension_id,omitzero"`
	// Waitpoints are bound to the suspension: 1 to [MaxWaitpoints]. The first is the primary one. None: a fresh one with the
	// key the condition names.
	Waitpoints []WaitpointBinding `json:"waitpoints,omitzero"`
	Condition  Condition          `json:"condition,omitzero"`
	// ResumeDelay is how long the execution waits after a signal has satisfied the condition, unless the signal says
	// otherwise: 0 to [MaxSpanMS].
	ResumeDelay time.Duration `json:"resume_delay_ms,omitzero"`
	Reason      WaitReason    `json:"reason,omitzero"`
	RequestedBy Requester     `json:"requested_by,omitzero"`
	// Timeout or TimeoutAt is the deadline of the suspension, by the storage clock; at most one may be set. Neither: the
	// policy's, if any.
	Timeout   time.Duration `json:"timeout_ms,omitzero"`
	TimeoutAt Timestamp     `json:"timeout_at,omitzero"`
	// TimeoutBehavior defaults to the policy's, or else to [TimeoutFails].
	TimeoutBehavior TimeoutBehavior `json:"timeout_behavior,omitzero"`
	// Continuation is kept for whoever resumes: at most [MaxContinuationBytes].
	Continuation string `json:"continuation,omitzero"`
	// IdempotencyKey makes the call repeatable: the first answer is given again, without a look at the lease, until a minute
	// after the deadline, seven days at most. Another command under the same key fails with [ErrIdempotencyConflict].
	IdempotencyKey string `json:"idempotency_key,omitzero"`
}

// WaitpointBinding names a waitpoint of a suspension.
type WaitpointBinding struct {
	// WaitpointID of a fresh waitpoint is minted if unset.
	WaitpointID WaitpointID `json:"waitpoint_id,omitzero"`
	// Key is what conditions call it. Of a fresh one it defaults to "wpk:<uuid>".
	Key string `json:"key,omitzero"`
	// Pending: the waitpoint was made by CreateWaitpoint. It is the only one, and has a key already.
	Pending bool `json:"pending,omitzero"`
}

// Suspended answers a [Suspend].
type Suspended struct {
	// AlreadySatisfied: signals that came before have satisfied the condition. The lease is still held; go on.
	AlreadySatisfied bool         `json:"already_satisfied,omitzero"`
	SuspensionID     SuspensionID `json:"suspension_id,omitzero"`
	// Waitpoints are in the order of the bindings. They tell tokens.
	Waitpoints []WaitpointGrant `json:"waitpoints,omitzero"`
}

// WaitpointGrant is a waitpoint and the authority to signal it.
type WaitpointGrant struct {
	WaitpointID WaitpointID    `json:"waitpoint_id,omitzero"`
	Key         string         `json:"key,omitzero"`
	Token       WaitpointToken `json:"token,omitzero"`
}

// CreateWaitpoint makes a waitpoint before it is waited for, so that its token can be given away without a fast answer
// being lost (chapter 40, section 6).
type CreateWaitpoint struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	// WaitpointID is minted if unset. With an id the call is repeatable: one that exists with the same key is told again.
	WaitpointID WaitpointID `json:"waitpoint_id,omitzero"`
	Key         string      `json:"key,omitzero"` // 1 to [MaxNameBytes]; default "wpk:<uuid>"
	// ExpiresIn closes the waitpoint if it is not bound by then: a millisecond to [MaxSpanMS].
	ExpiresIn time.Duration `json:"expires_in_ms,omitzero"`
}

// CloseWaitpoint closes a waitpoint; signals to it are refused then.
type CloseWaitpoint struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	WaitpointID WaitpointID `json:"waitpoint_id,omitzero"`
	Reason      string      `json:"reason,omitzero"` // default "proactive_close"
	Actor       string      `json:"actor,omitzero"`
}

// CloseResult answers a [CloseWaitpoint].
type CloseResult struct {
	AlreadyClosed bool `json:"already_closed,omitzero"`
}

// Signal is a message to a waitpoint (chapter 40, section 8).
type Signal struct {
	ExecutionID ExecutionID    `json:"execution_id,omitzero"`
	WaitpointID WaitpointID    `json:"waitpoint_id,omitzero"`
	Token       WaitpointToken `json:"token,omitzero"`
	// SignalID is minted if unset. A signal whose id the execution has is a Duplicate.
	SignalID       SignalID `json:"signal_id,omitzero"`
	Name           string   `json:"name,omitzero"`            // 1 to [MaxNameBytes]: what matchers look at
	Category       string   `json:"category,omitzero"`        // default "custom"
	SourceType     string   `json:"source_type,omitzero"`     // default "external_api"
	SourceIdentity string   `json:"source_identity,omitzero"` // who sends it
	Payload        []byte   `json:"payload,omitzero"`         // at most [MaxSignalBytes]
	Encoding       string   `json:"encoding,omitzero"`        // default "json"
	CorrelationID  string   `json:"correlation_id,omitzero"`
	// IdempotencyKey, of this waitpoint, is remembered for DedupTTL: default [SignalDedup], at most [MaxDedup].
	IdempotencyKey string        `json:"idempotency_key,omitzero"`
	DedupTTL       time.Duration `json:"dedup_ttl_ms,omitzero"`
	TargetScope    string        `json:"target_scope,omitzero"` // "waitpoint" or "execution"; kept, with no further meaning
	CreatedAt      Timestamp     `json:"created_at,omitzero"`
	// ResumeDelay, if this signal resumes the execution, replaces that of the suspension: 0 to an hour; nil: that of the
	// suspension.
	ResumeDelay *time.Duration `json:"resume_delay_ms,omitzero"`
}

// Approval is a decision of a person: a signal whose sender is trusted to be an operator, and needs no token.
type Approval struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Lane        LaneID      `json:"lane,omitzero"` // must be that of the execution
	WaitpointID WaitpointID `json:"waitpoint_id,omitzero"`
	Name        string      `json:"name,omitzero"`     // "approved" and "rejected" by convention
	Approver    string      `json:"approver,omitzero"` // who decides: distinct approvers are distinct sources
	Payload     []byte      `json:"payload,omitzero"`
	// IdempotencySuffix makes the idempotency key "approval:<name>:<suffix>"; default: the approver.
	IdempotencySuffix string        `json:"idempotency_suffix,omitzero"`
	DedupTTL          time.Duration `json:"dedup_ttl_ms,omitzero"`
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
	SignalID  SignalID     `json:"signal_id,omitzero"`
	Effect    SignalEffect `json:"effect,omitzero"` // empty for a Duplicate
	Duplicate bool         `json:"duplicate,omitzero"`
}

// SealLink makes a [SignalLink] out of a token.
type SealLink struct {
	ExecutionID ExecutionID    `json:"execution_id,omitzero"`
	WaitpointID WaitpointID    `json:"waitpoint_id,omitzero"`
	Token       WaitpointToken `json:"token,omitzero"`
	// SignalName is the one signal the link can send.
	SignalName string `json:"signal_name,omitzero"`
	// Source is who the link is for; it becomes the source identity.
	Source string `json:"source,omitzero"`
	// ExpiresIn bounds the link's life: 0 for that of the waitpoint.
	ExpiresIn time.Duration `json:"expires_in_ms,omitzero"`
	// SingleUse: the link signals once; following it again is a Duplicate.
	SingleUse bool `json:"single_use,omitzero"`
}

// SignalByLink sends the signal a link stands for.
type SignalByLink struct {
	Link     SignalLink `json:"link,omitzero"`
	Payload  []byte     `json:"payload,omitzero"`
	Encoding string     `json:"encoding,omitzero"`
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
	ExecutionID ExecutionID   `json:"execution_id,omitzero"`
	Trigger     ResumeTrigger `json:"trigger,omitzero"`  // default [TriggerOperator]
	Delay       time.Duration `json:"delay_ms,omitzero"` // 0 to [MaxSpanMS]
	Actor       string        `json:"actor,omitzero"`
	Reason      string        `json:"reason,omitzero"`
}

// ResumeResult answers a [ResumeExecution].
type ResumeResult struct {
	PublicState PublicState `json:"public_state,omitzero"` // waiting, or delayed
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
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	After       WaitpointID `json:"after,omitzero"`
	Limit       int         `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// WaitpointSnapshot tells of a waitpoint, without its token.
type WaitpointSnapshot struct {
	ExecutionID         ExecutionID    `json:"execution_id,omitzero"`
	WaitpointID         WaitpointID    `json:"waitpoint_id,omitzero"`
	Key                 string         `json:"key,omitzero"`
	State               WaitpointState `json:"state,omitzero"`
	RequiredSignalNames []string       `json:"required_signal_names,omitzero"` // empty for any, and for composites
	SuspensionID        SuspensionID   `json:"suspension_id,omitzero"`
	CreatedAt           Timestamp      `json:"created_at,omitzero"`
	ActivatedAt         Timestamp      `json:"activated_at,omitzero"`
	ExpiresAt           Timestamp      `json:"expires_at,omitzero"`
	ClosedAt            Timestamp      `json:"closed_at,omitzero"`
	CloseReason         string         `json:"close_reason,omitzero"`
	SignalCount         int            `json:"signal_count,omitzero"`
	MatchedCount        int            `json:"matched_count,omitzero"`
	LastSignalAt        Timestamp      `json:"last_signal_at,omitzero"`
	TokenKid            string         `json:"token_kid,omitzero"`
	TokenFingerprint    string         `json:"token_fingerprint,omitzero"`
}

// SignalSnapshot is a signal as it was accepted.
type SignalSnapshot struct {
	SignalID       SignalID     `json:"signal_id,omitzero"`
	WaitpointID    WaitpointID  `json:"waitpoint_id,omitzero"`
	Name           string       `json:"name,omitzero"`
	Category       string       `json:"category,omitzero"`
	SourceType     string       `json:"source_type,omitzero"`
	SourceIdentity string       `json:"source_identity,omitzero"`
	CorrelationID  string       `json:"correlation_id,omitzero"`
	CreatedAt      Timestamp    `json:"created_at,omitzero"`
	AcceptedAt     Timestamp    `json:"accepted_at,omitzero"`
	Effect         SignalEffect `json:"effect,omitzero"`
	Payload        []byte       `json:"payload,omitzero"`
	Encoding       string       `json:"encoding,omitzero"`
}

// SuspensionSnapshot is the current suspension of an execution, or its last.
type SuspensionSnapshot struct {
	SuspensionID    SuspensionID    `json:"suspension_id,omitzero"` // unset if there was none
	AttemptIndex    int             `json:"attempt_index,omitzero"`
	Waitpoints      []WaitpointID   `json:"waitpoints,omitzero"` // the primary one first
	Condition       Condition       `json:"condition,omitzero"`
	Reason          WaitReason      `json:"reason,omitzero"`
	RequestedBy     Requester       `json:"requested_by,omitzero"`
	SuspendedAt     Timestamp       `json:"suspended_at,omitzero"`
	TimeoutAt       Timestamp       `json:"timeout_at,omitzero"`
	TimeoutBehavior TimeoutBehavior `json:"timeout_behavior,omitzero"`
	Continuation    string          `json:"continuation,omitzero"`
	LastSignalAt    Timestamp       `json:"last_signal_at,omitzero"`
	SignalCount     int             `json:"signal_count,omitzero"` // of the execution, ever
	ClosedAt        Timestamp       `json:"closed_at,omitzero"`    // 0 while it is open
	CloseReason     string          `json:"close_reason,omitzero"`
	Trigger         ResumeTrigger   `json:"trigger,omitzero"` // of one that was resumed
	Actor           string          `json:"actor,omitzero"`
	Detail          string          `json:"detail,omitzero"`
	Closer          SignalID        `json:"closer,omitzero"` // the signal that satisfied the condition
	// AuthFailedAt is when a signal was last refused for its token, to the minute.
	AuthFailedAt Timestamp `json:"auth_failed_at,omitzero"`
}

// ResumeSignals is what an execution was resumed by.
type ResumeSignals struct {
	CloseReason string `json:"close_reason,omitzero"` // how the last suspension of the attempt ended; empty if there was none
	// Signals have satisfied the condition, in order of acceptance. There are none unless CloseReason is [ClosedResumed], and
	// none if an operator resumed.
	Signals []SignalSnapshot `json:"signals,omitzero"`
}

// WaitpointSignals asks what a waitpoint has come to.
type WaitpointSignals struct {
	Waitpoint WaitpointSnapshot `json:"waitpoint,omitzero"`
	// Signals are those that wait on it while it is pending, and those that satisfied the condition once it is closed.
	Signals []SignalSnapshot `json:"signals,omitzero"`
}

// ListSuspended asks for suspended executions, the newest first.
type ListSuspended struct {
	Lane      LaneID    `json:"lane,omitzero"`
	Namespace Namespace `json:"namespace,omitzero"`
	After     string    `json:"after,omitzero"`
	Limit     int       `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// SuspendedExecution is one entry of that list.
type SuspendedExecution struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	SuspendedAt Timestamp   `json:"suspended_at,omitzero"`
	TimeoutAt   Timestamp   `json:"timeout_at,omitzero"`
	Reason      WaitReason  `json:"reason,omitzero"`
}
