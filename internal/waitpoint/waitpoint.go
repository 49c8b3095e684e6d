package waitpoint

import (
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// New makes a waitpoint that is bound to no suspension yet, with its token.
func New(key Key, id record.WaitpointKey, name string, attempt int, expiresAt, now ff.Timestamp) *record.Waitpoint {
	w := &record.Waitpoint{
		WaitpointKey: id, Name: name, State: ff.WaitpointPending, AttemptIndex: attempt, CreatedAt: now, ExpiresAt: expiresAt,
	}
	w.Token = Mint(key, w)
	return w
}

// Opened is what a suspend call comes to.
type Opened struct {
	// Suspension is nil if the signals that were there satisfy the condition.
	Suspension *record.Suspension
	Waitpoints []*record.Waitpoint // in the order of the bindings
}

// Open binds waitpoints to a suspension (chapter 40, sections 5 to 5.2). bound are the records of cmd's bindings as they are
// stored, nil for none; last is what is kept of the execution's waiting, nil for nothing. until is the deadline.
//
// A pending waitpoint may be of an earlier attempt: its token was given away, and whoever crashed in between must not make
// it worthless.
func Open(key Key, last *record.Suspension, bound []*record.Waitpoint, cmd *ff.Suspend, attempt int, until, now ff.Timestamp) (Opened, error) {
	var o Opened
	var have []record.SignalRef
	for i, b := range cmd.Waitpoints {
		w := bound[i]
		if b.Pending {
			if err := bindable(w, b.WaitpointID, now); err != nil {
				return o, err
			}
			for _, named := range cmd.Condition.Keys() {
				if named != w.Name {
					return o, &ff.Error{Code: ff.CodeInvalidInput, Detail: "referenced_waitpoint_key_missing_binding: " + named}
				}
			}
			for _, s := range w.Signals {
				if contributionOf(&cmd.Condition, have, &s) == contributes {
					have = append(have, s)
				}
			}
		} else if w != nil {
			return o, &ff.Error{Code: ff.CodeWaitpointAlreadyExists, Detail: b.WaitpointID.String()}
		} else {
			w = New(key, record.WaitpointKey{ExecutionID: cmd.ExecutionID, WaitpointID: b.WaitpointID}, b.Key, attempt, 0, now)
		}
		n := *w
		n.State, n.SuspensionID, n.ActivatedAt, n.ExpiresAt = ff.WaitpointActive, cmd.SuspensionID, now, until
		n.RequiredNames, n.Signals = cmd.Condition.RequiredNames(), nil
		o.Waitpoints = append(o.Waitpoints, &n)
	}
	s := &record.Suspension{
		SuspensionKey: record.SuspensionKey{ExecutionID: cmd.ExecutionID}, SuspensionID: cmd.SuspensionID, AttemptIndex: attempt,
		Condition: &cmd.Condition, ResumeDelayMS: cmd.ResumeDelay.Milliseconds(), Reason: cmd.Reason, RequestedBy: cmd.RequestedBy,
		SuspendedAt: now, TimeoutAt: until, TimeoutBehavior: cmd.TimeoutBehavior, Continuation: cmd.Continuation, Matched: have,
	}
	for _, w := range o.Waitpoints {
		s.Waitpoints = append(s.Waitpoints, w.WaitpointID)
	}
	if last != nil {
		s.Version, s.SignalCount, s.AuthFailedAt = last.Version, last.SignalCount, last.AuthFailedAt
	}
	if Satisfied(&cmd.Condition, have) {
		_, o.Waitpoints = Close(s, o.Waitpoints, Closing{Reason: ff.ClosedResumed}, now)
		return o, nil
	}
	o.Suspension = s
	return o, nil
}

// bindable fails unless a pending waitpoint can be bound.
func bindable(w *record.Waitpoint, id ff.WaitpointID, now ff.Timestamp) error {
	switch {
	case w == nil:
		return NotFound(id)
	case w.State != ff.WaitpointPending:
		return &ff.Error{Code: ff.CodeWaitpointNotPending, Detail: fmt.Sprintf("waitpoint %s is %s", id, w.State)}
	case Expired(w, now):
		return &ff.Error{Code: ff.CodePendingWaitpointExpired, Detail: fmt.Sprintf("waitpoint %s expired at %d", id, w.ExpiresAt)}
	}
	return nil
}

// NotFound is the error of a waitpoint that is not there, for callers who may know.
func NotFound(id ff.WaitpointID) error {
	return &ff.Error{Code: ff.CodeWaitpointNotFound, Detail: id.String()}
}

// Expired reports whether a pending waitpoint can be bound no longer.
func Expired(w *record.Waitpoint, now ff.Timestamp) bool {
	return w.State == ff.WaitpointPending && w.ExpiresAt <= now
}

// Closing says why a suspension closes, and who closes it.
type Closing struct {
	Reason  string
	Trigger ff.ResumeTrigger
	Actor   string
	Detail  string
	Closer  ff.SignalID
}

// Close closes a suspension with its waitpoints (I4, I5). Waitpoints that are closed stay as they are.
func Close(s *record.Suspension, waitpoints []*record.Waitpoint, c Closing, now ff.Timestamp) (*record.Suspension, []*record.Waitpoint) {
	n := *s
	n.ClosedAt, n.CloseReason = now, c.Reason
	n.Trigger, n.Actor, n.Detail, n.Closer = c.Trigger, c.Actor, c.Detail, c.Closer
	var closed []*record.Waitpoint
	for _, w := range waitpoints {
		if w.State == ff.WaitpointClosed {
			continue
		}
		w = CloseOne(w, c.Reason, now)
		if c.Reason == ff.ClosedResumed {
			for _, sig := range s.Matched {
				if sig.WaitpointID == w.WaitpointID {
					w.Signals = append(w.Signals, sig)
				}
			}
		}
		closed = append(closed, w)
	}
	return &n, closed
}

// CloseOne closes one waitpoint.
func CloseOne(w *record.Waitpoint, reason string, now ff.Timestamp) *record.Waitpoint {
	n := *w
	n.State, n.ClosedAt, n.CloseReason, n.Signals = ff.WaitpointClosed, now, reason, nil
	return &n
}

// Delivered is what a signal comes to. What is nil is not written.
type Delivered struct {
	Suspension *record.Suspension
	Waitpoint  *record.Waitpoint
	Signal     *record.Signal
	// Satisfied: the suspension is to be closed, and the execution resumed.
	Satisfied bool
}

// Deliver takes a signal in, whose sender may send it (chapter 40, sections 8.2 to 8.5). s is what is kept of the execution's
// waiting, nil for nothing; limit bounds the signals of the execution.
func Deliver(e *record.Execution, s *record.Suspension, w *record.Waitpoint, sig record.Signal, limit int, now ff.Timestamp) (Delivered, error) {
	open := s.Open() && s.SuspensionID == w.SuspensionID
	switch {
	case e.State.Finished():
		return Delivered{}, &ff.Error{Code: ff.CodeTargetNotSignalable, Detail: fmt.Sprintf("the execution is %s", e.Public)}
	case Expired(w, now), w.State != ff.WaitpointPending && e.State.Phase == ff.PhaseSuspended && (w.State != ff.WaitpointActive || !open):
		return Delivered{}, &ff.Error{Code: ff.CodeWaitpointClosed, Detail: "the waitpoint takes no more signals"}
	case w.State != ff.WaitpointPending && e.State.Phase != ff.PhaseSuspended:
		return Delivered{}, &ff.Error{Code: ff.CodeTargetNotSignalable, Detail: "the execution does not wait any more"}
	}
	count := record.Suspension{SuspensionKey: record.SuspensionKey{ExecutionID: e.ID}}
	if s != nil {
		count = *s
	}
	if count.SignalCount >= limit || w.State == ff.WaitpointPending && len(w.Signals) >= ff.MaxBuffered {
		return Delivered{}, &ff.Error{Code: ff.CodeSignalLimitExceeded, Detail: "no more signals are taken"}
	}
	count.SignalCount++
	ref := record.SignalRef{
		SignalID: sig.SignalID, WaitpointID: w.WaitpointID, Key: w.Name, Name: sig.Name,
		SourceType: sig.SourceType, SourceIdentity: sig.SourceIdentity, AcceptedAt: now,
	}
	n := *w
	n.LastSignalAt, sig.AcceptedAt = now, now
	d := Delivered{Suspension: &count, Waitpoint: &n, Signal: &sig}
	if w.State == ff.WaitpointPending {
		n.Signals = append(slices.Clone(w.Signals), ref)
		sig.Effect = ff.EffectBuffered
		return d, nil
	}
	count.LastSignalAt = now
	n.SignalCount++
	what := contributionOf(s.Condition, s.Matched, &ref)
	if what == contributes {
		count.Matched = append(slices.Clone(s.Matched), ref)
		n.MatchedCount++
	}
	if d.Satisfied = Satisfied(s.Condition, count.Matched); d.Satisfied {
		sig.Effect = ff.EffectResumed
	} else {
		sig.Effect = effectOf(s.Condition, what)
	}
	return d, nil
}

// authMark is how often a failed authentication is recorded at most: a caller without authority must not make us write.
const authMark = time.Minute

// AuthFailed marks that a signal was refused for its token; nil: it is marked already, or there is nothing to mark.
func AuthFailed(s *record.Suspension, now ff.Timestamp) *record.Suspension {
	if s == nil || s.AuthFailedAt != 0 && now.Sub(s.AuthFailedAt) < authMark {
		return nil
	}
	n := *s
	n.AuthFailedAt = now
	return &n
}

// Expire closes a pending waitpoint that nobody waited for in time. Its signals stay recorded.
func Expire(w *record.Waitpoint, now ff.Timestamp) *record.Waitpoint {
	n := CloseOne(w, ff.ClosedNeverCommitted, now)
	n.Signals = w.Signals
	return n
}
