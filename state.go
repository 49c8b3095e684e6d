package flowfabric

import "fmt"

// The seven dimensions of an execution's state (chapter 10, section 2). Each constant is the wire literal. The legal
// combinations and the transitions between them are data in internal/lifecycle and are printed in
// docs/state-machine.md.
type (
	// Phase is where an execution stands in its life.
	Phase string
	// Ownership says whether a lease is held.
	Ownership string
	// Eligibility says whether a runnable execution may be claimed, and if not, what kind of gate is closed.
	Eligibility string
	// BlockingReason says what the closed gate waits for.
	BlockingReason string
	// Outcome is how an execution ended; [OutcomeNone] while it has not.
	Outcome string
	// AttemptState is what the current or next attempt is doing; it selects the kind of the next claim.
	AttemptState string
	// PublicState is the one-word summary users see. It is always derived from the other six, never stored as an input.
	PublicState string
)

// Phases. [PhaseCancelled] is the stored form of an execution cancelled through operator control (chapter 30); every
// reader treats it as terminal with outcome cancelled.
const (
	PhaseSubmitted Phase = "submitted"
	PhaseRunnable  Phase = "runnable"
	PhaseActive    Phase = "active"
	PhaseSuspended Phase = "suspended"
	PhaseTerminal  Phase = "terminal"
	PhaseCancelled Phase = "cancelled"
)

// Ownership states.
const (
	Unowned                 Ownership = "unowned"
	Leased                  Ownership = "leased"
	LeaseExpiredReclaimable Ownership = "lease_expired_reclaimable"
	LeaseRevoked            Ownership = "lease_revoked"
)

// Eligibility states.
const (
	EligibleNow              Eligibility = "eligible_now"
	NotEligibleUntilTime     Eligibility = "not_eligible_until_time"
	BlockedByDependencies    Eligibility = "blocked_by_dependencies"
	BlockedByBudget          Eligibility = "blocked_by_budget"
	BlockedByQuota           Eligibility = "blocked_by_quota"
	BlockedByRoute           Eligibility = "blocked_by_route"
	BlockedByLaneState       Eligibility = "blocked_by_lane_state"
	BlockedByOperator        Eligibility = "blocked_by_operator"
	EligibilityNotApplicable Eligibility = "not_applicable"
)

// Blocking reasons.
const (
	ReasonNone              BlockingReason = "none"
	WaitingForWorker        BlockingReason = "waiting_for_worker"
	WaitingForRetryBackoff  BlockingReason = "waiting_for_retry_backoff"
	WaitingForResumeDelay   BlockingReason = "waiting_for_resume_delay"
	WaitingForDelay         BlockingReason = "waiting_for_delay"
	WaitingForSignal        BlockingReason = "waiting_for_signal"
	WaitingForApproval      BlockingReason = "waiting_for_approval"
	WaitingForCallback      BlockingReason = "waiting_for_callback"
	WaitingForToolResult    BlockingReason = "waiting_for_tool_result"
	WaitingForChildren      BlockingReason = "waiting_for_children"
	WaitingForBudget        BlockingReason = "waiting_for_budget"
	WaitingForQuota         BlockingReason = "waiting_for_quota"
	WaitingForCapableWorker BlockingReason = "waiting_for_capable_worker"
	WaitingForLocality      BlockingReason = "waiting_for_locality_match"
	PausedByOperator        BlockingReason = "paused_by_operator"
	PausedByPolicy          BlockingReason = "paused_by_policy"
	PausedByFlowCancel      BlockingReason = "paused_by_flow_cancel"
)

// Outcomes. They are also the outcome strings of completion events.
const (
	OutcomeNone      Outcome = "none"
	OutcomeSuccess   Outcome = "success"
	OutcomeFailed    Outcome = "failed"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeExpired   Outcome = "expired"
	OutcomeSkipped   Outcome = "skipped"
)

// Attempt states of an execution.
const (
	AttemptNone          AttemptState = "none"
	PendingFirstAttempt  AttemptState = "pending_first_attempt"
	RunningAttempt       AttemptState = "running_attempt"
	AttemptInterrupted   AttemptState = "attempt_interrupted"
	PendingRetryAttempt  AttemptState = "pending_retry_attempt"
	PendingReplayAttempt AttemptState = "pending_replay_attempt"
	AttemptTerminal      AttemptState = "attempt_terminal"
)

// Public states.
const (
	PublicWaiting         PublicState = "waiting"
	PublicDelayed         PublicState = "delayed"
	PublicRateLimited     PublicState = "rate_limited"
	PublicWaitingChildren PublicState = "waiting_children"
	PublicActive          PublicState = "active"
	PublicSuspended       PublicState = "suspended"
	PublicResumable       PublicState = "resumable" // accepted when read, never produced
	PublicCompleted       PublicState = "completed"
	PublicFailed          PublicState = "failed"
	PublicCancelled       PublicState = "cancelled"
	PublicExpired         PublicState = "expired"
	PublicSkipped         PublicState = "skipped"
)

// AttemptLifecycle is the state of one attempt record.
type AttemptLifecycle string

// Attempt lifecycles; the last four are final.
const (
	AttemptStarted              AttemptLifecycle = "started"
	AttemptSuspended            AttemptLifecycle = "suspended"
	AttemptEndedSuccess         AttemptLifecycle = "ended_success"
	AttemptEndedFailure         AttemptLifecycle = "ended_failure"
	AttemptEndedCancelled       AttemptLifecycle = "ended_cancelled"
	AttemptInterruptedReclaimed AttemptLifecycle = "interrupted_reclaimed"
)

// AttemptType says why an attempt was made.
type AttemptType string

// Attempt types.
const (
	AttemptInitial AttemptType = "initial"
	AttemptRetry   AttemptType = "retry"
	AttemptReclaim AttemptType = "reclaim"
	AttemptReplay  AttemptType = "replay"
)

// StateVector is the stored state of an execution. Only internal/lifecycle builds one.
type StateVector struct {
	Phase          Phase          `json:"lifecycle_phase,omitzero"`
	Ownership      Ownership      `json:"ownership_state,omitzero"`
	Eligibility    Eligibility    `json:"eligibility_state,omitzero"`
	BlockingReason BlockingReason `json:"blocking_reason,omitzero"`
	Outcome        Outcome        `json:"terminal_outcome,omitzero"`
	AttemptState   AttemptState   `json:"attempt_state,omitzero"`
}

// String lists the dimensions in their fixed order, for logs and test failures.
func (v StateVector) String() string {
	return fmt.Sprintf("%s/%s/%s/%s/%s/%s", v.Phase, v.Ownership, v.Eligibility, v.BlockingReason, v.Outcome, v.AttemptState)
}

// Finished reports whether the execution has ended.
func (v StateVector) Finished() bool { return v.Phase == PhaseTerminal || v.Phase == PhaseCancelled }
