package lifecycle

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// What the edges of a flow do to its members (chapter 20). Whether they are decided, and how, says package graph; one flag,
// AwaitsUpstream, is all that the rules of this package need to know of it.

// behindUpstreams is the blocking detail of an execution that awaits its upstreams.
const behindUpstreams = "waits for the executions it depends on"

// holdBack blocks an execution that would be eligible but awaits its upstreams.
func holdBack(n *record.Execution) {
	if n.AwaitsUpstream && n.State.Phase == ff.PhaseRunnable && n.State.Eligibility == ff.EligibleNow {
		n.State.Eligibility, n.State.BlockingReason = ff.BlockedByDependencies, ff.WaitingForChildren
		n.BlockingDetail = behindUpstreams
	}
}

// Join makes an execution a member of a flow.
func Join(e *record.Execution, flow ff.FlowID, now ff.Timestamp) Change {
	n := *e
	n.FlowID, n.LastMutationAt = flow, now
	return Change{Execution: &n}
}

// Leave lets a member go that has ended, since its flow is removed: it may be removed, too, when its retention, which counts
// from its own end, is over.
func Leave(e *record.Execution, standard time.Duration) Change {
	ch := Orphan(e, standard)
	ch.Execution.FlowID = ff.FlowID{}
	return ch
}

// Orphan retains a member that has ended, of a flow that has no record, for its own time.
func Orphan(e *record.Execution, standard time.Duration) Change {
	n := *e
	retain(&n, standard)
	return Change{Execution: &n}
}

// Touch rewrites an execution as it is. What was decided on it, as it was, fails its guard.
func Touch(e *record.Execution) Change {
	n := *e
	return Change{Execution: &n}
}

// Await holds an execution back until its upstreams are decided: at once if it could be claimed, else when it next could.
func Await(e *record.Execution, now ff.Timestamp) (Change, error) {
	if e.AwaitsUpstream || e.State.Finished() {
		return Change{}, nil
	}
	if e.State.Phase == ff.PhaseActive && e.State.Ownership != ff.Leased {
		n, err := loseBehind(e, now)
		return Change{Execution: n}, err
	}
	n := *e
	if e.State.Phase == ff.PhaseRunnable && e.State.Eligibility == ff.EligibleNow {
		to, err := transition(e, OnAwait, now)
		if err != nil {
			return Change{}, err
		}
		n = *to
		n.BlockingDetail = behindUpstreams
	}
	n.AwaitsUpstream, n.LastMutationAt = true, now
	settle(&n, now)
	return Change{Execution: &n}, nil
}

// lostBehind is the revoke reason of an execution that [loseBehind] has paused.
const lostBehind = "lease expired, awaits upstreams"

// loseBehind pauses an execution whose worker lost it and whose upstreams are not decided. Nobody may claim it before they
// are, so it must not keep what a lease holds of budgets, quotas and its lane: its upstreams may wait for that. The claim that
// follows is the reclaim.
func loseBehind(e *record.Execution, now ff.Timestamp) (*record.Execution, error) {
	n, err := transition(e, OnLostBehind, now)
	if err != nil {
		return nil, err
	}
	clearLease(n)
	n.Epoch++
	n.AttemptLeftMS, n.LeaseRevokeReason = 0, lostBehind
	n.AwaitsUpstream, n.BlockingDetail = true, behindUpstreams
	settle(n, now)
	return n, nil
}

// Lost reports whether the worker of e lost it: the next claim reclaims it.
func Lost(e *record.Execution) bool {
	return e.State.Phase == ff.PhaseActive && e.State.Ownership != ff.Leased ||
		e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.AttemptInterrupted && e.LeaseRevokeReason == lostBehind
}

// Passed is a result that replaces a payload.
type Passed struct {
	Payload  []byte
	Encoding string
}

// Satisfied lets an execution go whose upstreams are decided for it. Anything but waiting for them goes on as it is.
func Satisfied(e *record.Execution, data *Passed, now ff.Timestamp) (Change, error) {
	if !e.AwaitsUpstream && e.State.Eligibility != ff.BlockedByDependencies {
		return Change{}, nil
	}
	free := *e
	free.AwaitsUpstream = false
	n := &free
	if e.State.Eligibility == ff.BlockedByDependencies {
		var err error
		if n, err = transition(&free, OnSatisfied, now); err != nil {
			return Change{}, err
		}
	}
	if data != nil {
		n.Payload, n.PayloadEncoding = data.Payload, data.Encoding
	}
	n.LastMutationAt = now
	settle(n, now)
	return Change{Execution: n}, nil
}

// Skip ends an execution whose upstreams can never be satisfied, whatever it does (chapter 20, section 20.11). One that has
// ended stays as it is. att is the stored record of the current attempt, if there is one.
func Skip(e *record.Execution, att *record.Attempt, now ff.Timestamp) (Change, error) {
	if e.State.Finished() {
		return Change{}, nil
	}
	n, err := transition(e, OnSkip, now)
	if err != nil {
		return Change{}, err
	}
	end(n, now)
	ch := Change{
		Execution: n,
		Attempt:   closeAttempt(e, att, ending{ff.AttemptEndedCancelled, record.AttemptWasSkipped, "skipped", ff.FailureCancelled}, now),
	}
	if e.State.Ownership == ff.Leased {
		n.Epoch++
		ch.Attempt.LeaseEpoch = n.Epoch
		ch.Events = []record.Event{leaseEvent(e, eventRevoked, "skipped", now)}
	}
	ch.Events = append(ch.Events, completionEvent(n, now))
	settle(n, now)
	return ch, nil
}

// WaitChildren gives the lease back until upstreams that were added are decided; the attempt stays open and continues with
// the next claim (chapter 20, section 20.13). A repeat by the same holder writes nothing.
func WaitChildren(e *record.Execution, f ff.Fence, now ff.Timestamp) (Change, error) {
	if WaitedBefore(e, f) {
		return Change{}, nil
	}
	if err := checkFence(e, f, ff.SourceLeaseHolder, now); err != nil {
		return Change{}, err
	}
	n, err := transition(e, OnWaitChildren, now)
	if err != nil {
		return Change{}, err
	}
	stopClock(n, now)
	clearLease(n)
	n.AwaitsUpstream, n.BlockingDetail = true, behindUpstreams
	settle(n, now)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventRevoked, "wait_children", now)}}, nil
}

// WaitedBefore recognises a repeated call of [WaitChildren].
func WaitedBefore(e *record.Execution, f ff.Fence) bool { return pausedBefore(e, f) }

// SkippedBehind reports whether an execution was skipped after the holder f had given it back, and before it was claimed again.
func SkippedBehind(e *record.Execution, f ff.Fence) bool {
	return e.State.Outcome == ff.OutcomeSkipped && sameAttempt(e, f)
}

// SkippedMember reports whether the replay of e is one of a skipped member of a flow (chapter 30, section 30.4). att is
// the stored record of the current attempt, if there is one.
func SkippedMember(e *record.Execution, att *record.Attempt) bool {
	return !e.FlowID.IsZero() && (e.Public == ff.PublicSkipped || e.State.Outcome == ff.OutcomeSkipped ||
		att != nil && att.Outcome == record.AttemptWasSkipped)
}
