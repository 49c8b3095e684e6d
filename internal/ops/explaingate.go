package ops

import (
	"errors"
	"fmt"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
)

// gateOrder is the order in which gates are listed: that in which an execution gets past them. Chapter 20, section 20.13
// is a sub-order of it.
var gateOrder = []ff.GateCode{
	ff.GateEnded, ff.GateSuspended, ff.GateLeaseHeld, ff.GateLeaseExpired, ff.GateLeaseRevoked, ff.GateIllegalState, ff.GateFlowCancel,
	ff.GateDependenciesImpossible, ff.GateUnknownPolicy, ff.GateDependencies, ff.GateRetryBackoff, ff.GateDelay,
	ff.GateOperator, ff.GatePolicy, ff.GateBudget, ff.GateQuota, ff.GateRoute,
	ff.GateLanePaused, ff.GateLaneDisabled, ff.GateLaneDraining, ff.GateLaneFull, ff.GateNoWorker, ff.GateNoCapableWorker,
	ff.GateNotQueued, ff.GateQueue, ff.GateAttemptTimeout, ff.GateDeadline,
}

// gates lists what the execution has to get past, in gateOrder.
func (f *facts) gates() []ff.Gate {
	var list []ff.Gate
	for _, look := range []func() (ff.Gate, bool){
		f.endGate, f.suspensionGate, f.leaseGate, f.stateGate, f.flowGate, f.dependencyGate, f.delayGate, f.blockGate,
		f.laneGate, f.slotGate, f.workerGate, f.queueGate, f.timeoutGate, f.deadlineGate,
	} {
		if g, ok := look(); ok {
			list = append(list, g)
		}
	}
	return list
}

func (f *facts) endGate() (ff.Gate, bool) {
	if !f.e.State.Finished() {
		return ff.Gate{}, false
	}
	g := ff.Gate{Code: ff.GateEnded, State: ff.GateClosed, Since: f.e.CompletedAt, Detail: f.ending()}
	refused := f.replayRefusal()
	if refused == nil {
		g.Release = fmt.Sprintf("a replay; %d of %d were used", f.e.ReplayCount, f.e.Policy.MaxReplaysOrDefault())
		return g, true
	}
	why := refused.Error()
	if coded, ok := errors.AsType[*ff.Error](refused); ok {
		why = coded.Detail
	}
	g.Detail += "; it cannot be replayed: " + why
	return g, true
}

// ending says how the execution ended.
func (f *facts) ending() string {
	because := func(text, reason string) string {
		if reason == "" {
			return text
		}
		return text + ": " + reason
	}
	switch f.e.State.Outcome {
	case ff.OutcomeSuccess:
		return "it has completed"
	case ff.OutcomeFailed:
		return because("it has failed", f.e.FailureReason)
	case ff.OutcomeExpired:
		return because("it has taken too long", f.e.FailureReason)
	case ff.OutcomeCancelled:
		return because("it was cancelled", f.e.CancellationReason)
	case ff.OutcomeSkipped:
		return "it was skipped, since what it depends on did not succeed"
	default:
		return "it has ended; how is not recorded"
	}
}

func (f *facts) suspensionGate() (ff.Gate, bool) {
	if f.e.State.Phase != ff.PhaseSuspended {
		return ff.Gate{}, false
	}
	what := strings.TrimPrefix(string(f.e.State.BlockingReason), "waiting_for_")
	g := ff.Gate{
		Code: ff.GateSuspended, State: ff.GateClosed, Reason: f.e.State.BlockingReason, Since: f.e.LastTransitionAt, At: f.e.SuspendedUntil,
		Detail:  described("it is suspended, waiting for a "+strings.ReplaceAll(what, "_", " "), f.e.BlockingDetail),
		Release: "what it waits for, or an operator's resume",
	}
	if g.At != 0 {
		g.Release += "; when its deadline comes: " + string(f.e.SuspensionTimeout)
	}
	return g, true
}

// described adds a detail that was recorded to a sentence.
func described(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + " (" + detail + ")"
}

// leaseGate tells of the lease. One that ended without its attempt does not hold the execution back.
func (f *facts) leaseGate() (ff.Gate, bool) {
	g := ff.Gate{State: ff.GateOpen}
	holder := fmt.Sprintf("worker instance %q", f.e.WorkerInstanceID)
	switch f.e.State.Ownership {
	case ff.Leased:
		g.Code, g.Since, g.At = ff.GateLeaseHeld, f.e.LeaseAcquiredAt, f.e.LeaseExpiresAt
		g.Detail, g.Release = holder+" works on it", "its holder, or the end of the lease if that is not renewed"
	case ff.LeaseExpiredReclaimable:
		g.Code, g.Since = ff.GateLeaseExpired, f.e.LeaseExpiresAt
		g.Detail, g.Release = "the lease of "+holder+" ran out in the middle of its attempt", "the next claim"
	case ff.LeaseRevoked:
		g.Code, g.Since = ff.GateLeaseRevoked, f.e.LastTransitionAt
		g.Detail, g.Release = described("the lease of "+holder+" was revoked", f.e.LeaseRevokeReason), "the next claim"
	default:
		return ff.Gate{}, false
	}
	g.Lease = leaseSnapshot(f.e)
	return g, true
}

func (f *facts) stateGate() (ff.Gate, bool) {
	if lifecycle.SituationOf(f.e.State) != nil || f.e.State.Finished() {
		return ff.Gate{}, false
	}
	return ff.Gate{
		Code: ff.GateIllegalState, State: ff.GateClosed,
		Detail: fmt.Sprintf("its state, %s, is none an execution can be in; whoever wrote it, the engine leaves it alone", f.e.State),
	}, true
}

func (f *facts) flowGate() (ff.Gate, bool) {
	b := f.backlog
	if b == nil || !b.Spreading || f.e.ID.Compare(b.After) <= 0 || !graph.Targets(b.Policy, f.e) {
		return ff.Gate{}, false
	}
	return ff.Gate{
		Code: ff.GateFlowCancel, State: ff.GateOpen, Since: b.RequestedAt,
		Detail: described("its flow is being cancelled, and it will be with it", b.Reason),
	}, true
}

// delayGate tells of a time that has to come, also of one behind another gate.
func (f *facts) delayGate() (ff.Gate, bool) {
	v := f.e.State
	gated := v.Eligibility == ff.NotEligibleUntilTime || lifecycle.CanUnblock(v.BlockingReason)
	if v.Phase != ff.PhaseRunnable || !gated || f.e.DelayUntil <= f.now {
		return ff.Gate{}, false
	}
	g := ff.Gate{
		Code: ff.GateDelay, State: ff.GateClosed, Detail: "it is delayed", Release: "time", At: f.e.DelayUntil,
	}
	if v.AttemptState == ff.PendingRetryAttempt {
		g.Code, g.Detail = ff.GateRetryBackoff, fmt.Sprintf("an attempt failed, and retry %d is not due yet", f.e.RetryCount)
	}
	if v.Eligibility == ff.NotEligibleUntilTime {
		g.Since, g.Detail = f.e.LastTransitionAt, described(g.Detail, f.e.BlockingDetail)
	}
	return g, true
}

// blockGate tells of what has blocked the execution until it is unblocked (chapter 10, section 2.4).
func (f *facts) blockGate() (ff.Gate, bool) {
	v := f.e.State
	if v.Phase != ff.PhaseRunnable || !lifecycle.CanUnblock(v.BlockingReason) {
		return ff.Gate{}, false
	}
	return ff.Gate{
		Code: ff.GateCode(v.Eligibility), State: ff.GateClosed, Reason: v.BlockingReason, Since: f.e.LastTransitionAt,
		Detail:  described("it is blocked: "+strings.ReplaceAll(string(v.BlockingReason), "_", " "), f.e.BlockingDetail),
		Release: "an unblock that expects the reason " + string(v.BlockingReason),
	}, true
}

// laneGate tells of a lane that is not simply active.
func (f *facts) laneGate() (ff.Gate, bool) {
	s := settingsOf(f.lane)
	if !f.waitsForClaim() || s.State == ff.LaneActive {
		return ff.Gate{}, false
	}
	g := ff.Gate{
		Code: ff.GateCode("lane_" + s.State), State: ff.GateClosed, Since: s.UpdatedAt,
		Detail: fmt.Sprintf("lane %s is %s", f.e.Lane, s.State), Release: "UpdateLane with state active",
	}
	if s.State.HandsOut() {
		g.State, g.Release = ff.GateOpen, ""
		g.Detail += ": it takes nothing new, and hands out what it has"
	}
	return g, true
}

func (f *facts) slotGate() (ff.Gate, bool) {
	most := settingsOf(f.lane).MaxConcurrency
	if !f.waitsForClaim() || most == 0 || f.slots < most {
		return ff.Gate{}, false
	}
	g := ff.Gate{
		Code: ff.GateLaneFull, State: ff.GateClosed, Release: "the end of one of those leases, or a higher bound",
		Detail: fmt.Sprintf("%d executions of lane %s are under a lease; its bound is %d", f.slots, f.e.Lane, most),
	}
	if f.sharded {
		g.State = ff.GatePossible
		g.Detail += " on each shard"
	}
	return g, true
}

// queueGate tells how an execution that may be claimed stands.
func (f *facts) queueGate() (ff.Gate, bool) {
	g := ff.Gate{Code: ff.GateQueue, State: ff.GateOpen, Since: f.e.LastTransitionAt, Release: "a claim"}
	switch {
	case f.workers == nil || !lifecycle.Claimable(f.e, f.e.Capabilities, f.now):
		return ff.Gate{}, false
	case !f.queued:
		g.Code, g.State = ff.GateNotQueued, ff.GateClosed
		g.Detail, g.Release = "it may be claimed, and has no entry in the claim order", "ChangePriority, or a claim by its id"
		if !f.noticed {
			g.Detail, g.Release = "what it waited for is over, and that is not recorded yet", "the engine, at once"
		}
	case f.next == f.e.ID:
		g.Detail = "it is the next to be claimed of those on its lane with the same required capabilities"
	default:
		g.Detail = "others on its lane with the same required capabilities stand before it"
	}
	return g, true
}

func (f *facts) timeoutGate() (ff.Gate, bool) {
	if !f.running() || f.e.AttemptEndsAt == 0 {
		return ff.Gate{}, false
	}
	return ff.Gate{
		Code: ff.GateAttemptTimeout, State: ff.GateOpen, At: f.e.AttemptEndsAt, Detail: "the time of its attempt is bounded",
	}, true
}

func (f *facts) deadlineGate() (ff.Gate, bool) {
	if f.e.State.Finished() || f.e.DeadlineAt == 0 {
		return ff.Gate{}, false
	}
	g := ff.Gate{Code: ff.GateDeadline, State: ff.GateOpen, At: f.e.DeadlineAt, Detail: "it expires if it has not ended by its deadline"}
	if delay, ok := f.delayGate(); ok && delay.At >= f.e.DeadlineAt {
		g.Detail = "its deadline comes before its delay is over: it will expire"
	}
	return g, true
}
