package lifecycle

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
)

// Row numbers a legal situation of an execution as chapter 10, section 2.5 numbers them; 0 is no legal situation.
type Row int

// Situation is one row of the table of legal state vectors. Each dimension lists the values it may have.
type Situation struct {
	Row           Row
	Name          string
	Phase         []ff.Phase
	Ownership     []ff.Ownership
	Eligibility   []ff.Eligibility
	Reason        []ff.BlockingReason
	Outcome       []ff.Outcome
	AttemptState  []ff.AttemptState
	Public        []ff.PublicState
	claimable     bool // the situation is in the ready index
	waitsForDelay bool // it ends when DelayUntil has come
}

var (
	ended = []ff.Phase{ff.PhaseTerminal, ff.PhaseCancelled}
	// suspendedFor has, besides the reasons of chapter 10, those that chapter 40, section 1.3 derives from reason codes.
	suspendedFor = []ff.BlockingReason{
		ff.WaitingForSignal, ff.WaitingForApproval, ff.WaitingForCallback, ff.WaitingForToolResult,
		ff.PausedByOperator, ff.PausedByPolicy, ff.WaitingForBudget,
	}
	gates       = []ff.Eligibility{ff.BlockedByBudget, ff.BlockedByQuota, ff.BlockedByRoute, ff.BlockedByOperator, ff.BlockedByLaneState}
	gateReasons = []ff.BlockingReason{
		ff.WaitingForBudget, ff.WaitingForQuota, ff.WaitingForCapableWorker, ff.WaitingForLocality, ff.PausedByOperator,
		ff.PausedByFlowCancel, ff.PausedByPolicy,
	}
)

// reasonsBehind says which of gateReasons may stand behind which of gates (chapter 10, section 2.4).
var reasonsBehind = map[ff.Eligibility][]ff.BlockingReason{
	ff.BlockedByBudget:    {ff.WaitingForBudget},
	ff.BlockedByQuota:     {ff.WaitingForQuota},
	ff.BlockedByRoute:     {ff.WaitingForCapableWorker, ff.WaitingForLocality},
	ff.BlockedByOperator:  {ff.PausedByOperator, ff.PausedByFlowCancel},
	ff.BlockedByLaneState: {ff.PausedByPolicy},
}

func one[T any](v T) []T { return []T{v} }

// Situations is every legal state vector (chapter 10, section 2.5).
var Situations = []Situation{
	runnable(1, "new, ready", ff.EligibleNow, ff.WaitingForWorker, ff.PendingFirstAttempt, ff.PublicWaiting),
	runnable(2, "new, delayed", ff.NotEligibleUntilTime, ff.WaitingForDelay, ff.PendingFirstAttempt, ff.PublicDelayed),
	runnable(3, "flow child awaiting upstream", ff.BlockedByDependencies, ff.WaitingForChildren, ff.PendingFirstAttempt, ff.PublicWaitingChildren),
	active(4, "running", ff.Leased, ff.ReasonNone, ff.RunningAttempt),
	active(5, "lease ran out", ff.LeaseExpiredReclaimable, ff.WaitingForWorker, ff.AttemptInterrupted),
	active(6, "lease revoked", ff.LeaseRevoked, ff.WaitingForWorker, ff.AttemptInterrupted),
	runnable(7, "retry backoff", ff.NotEligibleUntilTime, ff.WaitingForRetryBackoff, ff.PendingRetryAttempt, ff.PublicDelayed),
	runnable(8, "retry due", ff.EligibleNow, ff.WaitingForWorker, ff.PendingRetryAttempt, ff.PublicWaiting),
	runnable(9, "worker self-delay", ff.NotEligibleUntilTime, ff.WaitingForDelay, ff.AttemptInterrupted, ff.PublicDelayed),
	runnable(10, "paused attempt may continue", ff.EligibleNow, ff.WaitingForWorker, ff.AttemptInterrupted, ff.PublicWaiting),
	runnable(11, "parent waiting on children", ff.BlockedByDependencies, ff.WaitingForChildren, ff.AttemptInterrupted, ff.PublicWaitingChildren),
	runnable(12, "resumed with a delay", ff.NotEligibleUntilTime, ff.WaitingForResumeDelay, ff.AttemptInterrupted, ff.PublicDelayed),
	{
		Row: 13, Name: "suspended", Phase: one(ff.PhaseSuspended), Ownership: one(ff.Unowned),
		Eligibility: one(ff.EligibilityNotApplicable), Reason: suspendedFor, Outcome: one(ff.OutcomeNone),
		AttemptState: one(ff.AttemptInterrupted), Public: one(ff.PublicSuspended),
	},
	{
		Row: 14, Name: "admission or route block", Phase: one(ff.PhaseRunnable), Ownership: one(ff.Unowned),
		Eligibility: gates, Reason: gateReasons, Outcome: one(ff.OutcomeNone),
		AttemptState: []ff.AttemptState{ff.PendingFirstAttempt, ff.PendingRetryAttempt, ff.PendingReplayAttempt, ff.AttemptInterrupted},
		Public:       []ff.PublicState{ff.PublicRateLimited, ff.PublicWaiting},
	},
	runnable(15, "replay queued", ff.EligibleNow, ff.WaitingForWorker, ff.PendingReplayAttempt, ff.PublicWaiting),
	runnable(16, "replay of a skipped member", ff.BlockedByDependencies, ff.WaitingForChildren, ff.PendingReplayAttempt, ff.PublicWaitingChildren),
	{
		Row: 17, Name: "ended, had an attempt", Phase: ended, Ownership: one(ff.Unowned),
		Eligibility: one(ff.EligibilityNotApplicable), Reason: one(ff.ReasonNone),
		Outcome:      []ff.Outcome{ff.OutcomeSuccess, ff.OutcomeFailed, ff.OutcomeCancelled, ff.OutcomeExpired, ff.OutcomeSkipped},
		AttemptState: one(ff.AttemptTerminal),
		Public:       []ff.PublicState{ff.PublicCompleted, ff.PublicFailed, ff.PublicCancelled, ff.PublicExpired, ff.PublicSkipped},
	},
	{
		Row: 18, Name: "ended before any attempt", Phase: ended, Ownership: one(ff.Unowned),
		Eligibility: one(ff.EligibilityNotApplicable), Reason: one(ff.ReasonNone),
		Outcome:      []ff.Outcome{ff.OutcomeCancelled, ff.OutcomeExpired},
		AttemptState: one(ff.PendingFirstAttempt),
		Public:       []ff.PublicState{ff.PublicCancelled, ff.PublicExpired},
	},
	{
		Row: 19, Name: "skipped, no paused attempt", Phase: one(ff.PhaseTerminal), Ownership: one(ff.Unowned),
		Eligibility: one(ff.EligibilityNotApplicable), Reason: one(ff.ReasonNone), Outcome: one(ff.OutcomeSkipped),
		AttemptState: one(ff.AttemptNone), Public: one(ff.PublicSkipped),
	},
	runnable(20, "retry behind upstreams", ff.BlockedByDependencies, ff.WaitingForChildren, ff.PendingRetryAttempt, ff.PublicWaitingChildren),
}

func runnable(row Row, name string, el ff.Eligibility, why ff.BlockingReason, at ff.AttemptState, pub ff.PublicState) Situation {
	return Situation{
		Row: row, Name: name, Phase: one(ff.PhaseRunnable), Ownership: one(ff.Unowned), Eligibility: one(el), Reason: one(why),
		Outcome: one(ff.OutcomeNone), AttemptState: one(at), Public: one(pub),
		claimable: el == ff.EligibleNow, waitsForDelay: el == ff.NotEligibleUntilTime,
	}
}

func active(row Row, name string, own ff.Ownership, why ff.BlockingReason, at ff.AttemptState) Situation {
	return Situation{
		Row: row, Name: name, Phase: one(ff.PhaseActive), Ownership: one(own), Eligibility: one(ff.EligibilityNotApplicable),
		Reason: one(why), Outcome: one(ff.OutcomeNone), AttemptState: one(at), Public: one(ff.PublicActive),
		claimable: own != ff.Leased,
	}
}

func (s *Situation) matches(v ff.StateVector) bool {
	return slices.Contains(s.Phase, v.Phase) && slices.Contains(s.Ownership, v.Ownership) &&
		slices.Contains(s.Eligibility, v.Eligibility) && slices.Contains(s.Reason, v.BlockingReason) &&
		slices.Contains(s.Outcome, v.Outcome) && slices.Contains(s.AttemptState, v.AttemptState) && agree(v)
}

// agree checks what the columns of a row cannot say: a gate goes with its own reasons, phase cancelled with its outcome.
func agree(v ff.StateVector) bool {
	if v.Phase == ff.PhaseCancelled && v.Outcome != ff.OutcomeCancelled {
		return false
	}
	reasons, gated := reasonsBehind[v.Eligibility]
	return !gated || slices.Contains(reasons, v.BlockingReason)
}

// SituationOf returns the row a vector is in, nil when it is not legal.
func SituationOf(v ff.StateVector) *Situation {
	for i := range Situations {
		if Situations[i].matches(v) {
			return &Situations[i]
		}
	}
	return nil
}

// Trigger is what makes an execution change its situation.
type Trigger string

// Triggers.
const (
	OnSubmit        Trigger = "submit"
	OnSubmitDelayed Trigger = "submit, delayed"
	OnDelayOver     Trigger = "delay is over"
	OnClaim         Trigger = "claim"
	OnLeaseExpired  Trigger = "lease expired"
	OnReclaimLimit  Trigger = "lease expired, reclaim limit reached"
	OnLostBehind    Trigger = "lease expired, upstreams were added"
	OnComplete      Trigger = "complete"
	OnRetry         Trigger = "fail, retry left"
	OnFail          Trigger = "fail, no retry left"
	OnDelay         Trigger = "delay"
	OnRelease       Trigger = "release"
	OnCancel        Trigger = "cancel"
	OnWorkerCancel  Trigger = "cancel by the holder"
	OnSiblingCancel Trigger = "not needed any more"
	OnRevoke        Trigger = "revoke lease"
	OnReplay        Trigger = "replay"

	OnExhausted      Trigger = "fail, retries used up, policy pauses"
	OnExpire         Trigger = "deadline or attempt timeout"
	OnUnblock        Trigger = "unblock"
	OnUnblockDelayed Trigger = "unblock, delay is not over"

	OnSubmitMember  Trigger = "submit behind upstreams"
	OnAwait         Trigger = "upstreams were added"
	OnSatisfied     Trigger = "upstreams satisfied"
	OnSkip          Trigger = "upstreams impossible"
	OnWaitChildren  Trigger = "wait for children"
	OnReplaySkipped Trigger = "replay of a skipped member"

	OnSuspend         Trigger = "suspend"
	OnResume          Trigger = "resume"
	OnResumeDelayed   Trigger = "resume, with a delay"
	OnEscalate        Trigger = "suspension timeout, escalate"
	OnSuspensionFails Trigger = "suspension timeout, fail"
	OnSuspensionEnds  Trigger = "suspension timeout, cancel"
)

// OnBlock is the trigger of a block for a reason that [CanBlock].
func OnBlock(reason ff.BlockingReason) Trigger { return Trigger("block, " + reason) }

// An execution that awaits its upstreams is not made eligible by any trigger but [OnSatisfied]: where To says so, it is
// blocked by its dependencies instead (chapter 20, W04).

// Transition says that On leads from the situations From (none: the execution is new) to the vector To. Of several that
// fit, the first counts.
type Transition struct {
	On   Trigger
	From []Row
	Only ff.AttemptState // when set, of the situations in From those with this attempt state
	To   ff.StateVector
	Keep bool // the attempt state stays, whatever To says
}

// Vectors a transition can lead to.
var (
	newReady     = waiting(ff.EligibleNow, ff.WaitingForWorker, ff.PendingFirstAttempt)
	newDelayed   = waiting(ff.NotEligibleUntilTime, ff.WaitingForDelay, ff.PendingFirstAttempt)
	running      = ff.StateVector{Phase: ff.PhaseActive, Ownership: ff.Leased, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.ReasonNone, Outcome: ff.OutcomeNone, AttemptState: ff.RunningAttempt}
	leaseRanOut  = ff.StateVector{Phase: ff.PhaseActive, Ownership: ff.LeaseExpiredReclaimable, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.WaitingForWorker, Outcome: ff.OutcomeNone, AttemptState: ff.AttemptInterrupted}
	retryBackoff = waiting(ff.NotEligibleUntilTime, ff.WaitingForRetryBackoff, ff.PendingRetryAttempt)
	retryDue     = waiting(ff.EligibleNow, ff.WaitingForWorker, ff.PendingRetryAttempt)
	selfDelayed  = waiting(ff.NotEligibleUntilTime, ff.WaitingForDelay, ff.AttemptInterrupted)
	mayContinue  = waiting(ff.EligibleNow, ff.WaitingForWorker, ff.AttemptInterrupted)
	replayQueued = waiting(ff.EligibleNow, ff.WaitingForWorker, ff.PendingReplayAttempt)

	suspended      = ff.StateVector{Phase: ff.PhaseSuspended, Ownership: ff.Unowned, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.WaitingForSignal, Outcome: ff.OutcomeNone, AttemptState: ff.AttemptInterrupted}
	escalated      = ff.StateVector{Phase: ff.PhaseSuspended, Ownership: ff.Unowned, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.PausedByOperator, Outcome: ff.OutcomeNone, AttemptState: ff.AttemptInterrupted}
	resumedDelayed = waiting(ff.NotEligibleUntilTime, ff.WaitingForResumeDelay, ff.AttemptInterrupted)

	newBehind    = behind(ff.PendingFirstAttempt)
	retryBehind  = behind(ff.PendingRetryAttempt)
	pausedBehind = behind(ff.AttemptInterrupted)
	replayBehind = behind(ff.PendingReplayAttempt)
)

// behind is a vector of an execution that waits for others.
func behind(at ff.AttemptState) ff.StateVector {
	return waiting(ff.BlockedByDependencies, ff.WaitingForChildren, at)
}

func waiting(el ff.Eligibility, why ff.BlockingReason, at ff.AttemptState) ff.StateVector {
	return ff.StateVector{Phase: ff.PhaseRunnable, Ownership: ff.Unowned, Eligibility: el, BlockingReason: why, Outcome: ff.OutcomeNone, AttemptState: at}
}

// blocked is a vector of row 14.
func blocked(why ff.BlockingReason, at ff.AttemptState) ff.StateVector {
	for gate, reasons := range reasonsBehind {
		if slices.Contains(reasons, why) {
			return waiting(gate, why, at)
		}
	}
	panic("lifecycle: nothing is blocked for " + string(why))
}

func over(phase ff.Phase, outcome ff.Outcome, at ff.AttemptState) ff.StateVector {
	return ff.StateVector{Phase: phase, Ownership: ff.Unowned, Eligibility: ff.EligibilityNotApplicable, BlockingReason: ff.ReasonNone, Outcome: outcome, AttemptState: at}
}

// Transitions is the state machine. A trigger in a situation no row names is refused.
var Transitions = []Transition{
	{On: OnSubmit, To: newReady},
	{On: OnSubmitDelayed, To: newDelayed},
	{On: OnDelayOver, From: []Row{2}, To: newReady},
	{On: OnDelayOver, From: []Row{7}, To: retryDue},
	{On: OnDelayOver, From: []Row{9, 12}, To: mayContinue},
	{On: OnClaim, From: []Row{1, 5, 6, 8, 10, 15}, To: running},
	{On: OnLeaseExpired, From: []Row{4}, To: leaseRanOut},
	{On: OnReclaimLimit, From: []Row{4}, To: over(ff.PhaseTerminal, ff.OutcomeFailed, ff.AttemptTerminal)},
	{On: OnComplete, From: []Row{4}, To: over(ff.PhaseTerminal, ff.OutcomeSuccess, ff.AttemptTerminal)},
	{On: OnRetry, From: []Row{4}, To: retryBackoff},
	{On: OnFail, From: []Row{4}, To: over(ff.PhaseTerminal, ff.OutcomeFailed, ff.AttemptTerminal)},
	{On: OnDelay, From: []Row{4}, To: selfDelayed},
	{On: OnRelease, From: []Row{4}, To: mayContinue},
	{On: OnRevoke, From: []Row{4}, To: mayContinue},
	{On: OnExhausted, From: []Row{4}, To: blocked(ff.PausedByOperator, ff.PendingRetryAttempt)},
	{On: OnCancel, From: []Row{1, 2, 3, 14}, Only: ff.PendingFirstAttempt, To: over(ff.PhaseCancelled, ff.OutcomeCancelled, ff.PendingFirstAttempt)},
	{On: OnCancel, From: []Row{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20}, To: over(ff.PhaseCancelled, ff.OutcomeCancelled, ff.AttemptTerminal)},
	{On: OnSiblingCancel, From: []Row{1, 2, 3, 14}, Only: ff.PendingFirstAttempt, To: over(ff.PhaseTerminal, ff.OutcomeCancelled, ff.PendingFirstAttempt)},
	{On: OnSiblingCancel, From: []Row{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20}, To: over(ff.PhaseTerminal, ff.OutcomeCancelled, ff.AttemptTerminal)},
	{On: OnWorkerCancel, From: []Row{4}, To: over(ff.PhaseTerminal, ff.OutcomeCancelled, ff.AttemptTerminal)},
	{On: OnExpire, From: []Row{1, 2, 3, 14}, Only: ff.PendingFirstAttempt, To: over(ff.PhaseTerminal, ff.OutcomeExpired, ff.PendingFirstAttempt)},
	{On: OnExpire, From: []Row{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20}, To: over(ff.PhaseTerminal, ff.OutcomeExpired, ff.AttemptTerminal)},
	{On: OnReplay, From: []Row{17, 18, 19}, To: replayQueued},
	{On: OnSubmitMember, To: newBehind},
	{On: OnAwait, From: []Row{1}, To: newBehind},
	{On: OnAwait, From: []Row{8}, To: retryBehind},
	{On: OnAwait, From: []Row{10}, To: pausedBehind},
	{On: OnAwait, From: []Row{15}, To: replayBehind},
	{On: OnSatisfied, From: []Row{3}, To: newReady},
	{On: OnSatisfied, From: []Row{20}, To: retryDue},
	{On: OnSatisfied, From: []Row{11}, To: mayContinue},
	{On: OnSatisfied, From: []Row{16}, To: replayQueued},
	{On: OnSkip, From: []Row{1, 2, 3, 14}, Only: ff.PendingFirstAttempt, To: over(ff.PhaseTerminal, ff.OutcomeSkipped, ff.AttemptNone)},
	{On: OnSkip, From: []Row{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20}, To: over(ff.PhaseTerminal, ff.OutcomeSkipped, ff.AttemptTerminal)},
	{On: OnWaitChildren, From: []Row{4}, To: pausedBehind},
	{On: OnLostBehind, From: []Row{4, 5, 6}, To: pausedBehind},
	{On: OnReplaySkipped, From: []Row{17, 18, 19}, To: replayBehind},
	{On: OnSuspend, From: []Row{4}, To: suspended},
	{On: OnResume, From: []Row{13}, To: mayContinue},
	{On: OnResumeDelayed, From: []Row{13}, To: resumedDelayed},
	{On: OnEscalate, From: []Row{13}, To: escalated},
	{On: OnSuspensionFails, From: []Row{13}, To: over(ff.PhaseTerminal, ff.OutcomeFailed, ff.AttemptTerminal)},
	{On: OnSuspensionEnds, From: []Row{13}, To: over(ff.PhaseTerminal, ff.OutcomeCancelled, ff.AttemptTerminal)},
	block(ff.WaitingForBudget),
	block(ff.WaitingForQuota),
	block(ff.WaitingForCapableWorker),
	block(ff.PausedByOperator),
	block(ff.PausedByPolicy),
	{On: OnUnblock, From: []Row{14}, Only: ff.PendingFirstAttempt, To: newReady},
	{On: OnUnblock, From: []Row{14}, Only: ff.PendingRetryAttempt, To: retryDue},
	{On: OnUnblock, From: []Row{14}, Only: ff.AttemptInterrupted, To: mayContinue},
	{On: OnUnblock, From: []Row{14}, Only: ff.PendingReplayAttempt, To: replayQueued},
	{On: OnUnblockDelayed, From: []Row{14}, Only: ff.PendingFirstAttempt, To: newDelayed},
	{On: OnUnblockDelayed, From: []Row{14}, Only: ff.PendingRetryAttempt, To: retryBackoff},
	{On: OnUnblockDelayed, From: []Row{14}, Only: ff.AttemptInterrupted, To: selfDelayed},
}

// block is the transition of [OnBlock]. Executions that wait for others are not blocked on top of that: what they wait for
// would be forgotten.
func block(reason ff.BlockingReason) Transition {
	return Transition{On: OnBlock(reason), From: []Row{1, 2, 7, 8, 9, 10, 12, 14, 15}, To: blocked(reason, ff.PendingFirstAttempt), Keep: true}
}

// CanBlock reports whether an execution can be blocked for a reason (chapter 10, section 3.6).
func CanBlock(reason ff.BlockingReason) bool {
	return slices.ContainsFunc(Transitions, func(t Transition) bool { return t.On == OnBlock(reason) })
}

// next looks the transition up.
func next(from ff.StateVector, on Trigger) (ff.StateVector, bool) {
	s := SituationOf(from)
	if s == nil {
		return ff.StateVector{}, false
	}
	for _, t := range Transitions {
		if t.On != on || !slices.Contains(t.From, s.Row) || t.Only != "" && t.Only != from.AttemptState {
			continue
		}
		to := t.To
		if t.Keep {
			to.AttemptState = from.AttemptState
		}
		return to, true
	}
	return ff.StateVector{}, false
}
