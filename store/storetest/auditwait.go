package storetest

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// waits is what is stored about the waiting of one execution, and its steps.
type waits struct {
	suspension *record.Suspension
	waitpoints map[ff.WaitpointID]*record.Waitpoint
	signals    map[ff.SignalID]*record.Signal
}

// waits checks what chapter 40 says of suspensions, waitpoints and signals at rest: I1, I2, I4, I5 and I17, that each record
// is of an execution that exists, and that counters and references agree with the signals there are. Executions that were
// made by hand have no suspension; the rules of the state vector hold for them.
func (a *audit) waits(d *store.Dump) {
	all := make(map[ff.ExecutionID]*waits, len(d.Executions))
	there := make(map[ff.ExecutionID]bool, len(d.Executions))
	for _, e := range d.Executions {
		there[e.ID] = true
	}
	for _, rec := range d.Records {
		id, ok := executionOf(rec)
		if !ok {
			continue
		}
		if !there[id] {
			a.add(id, "is not there, but a record of family %s is", rec.Key().Family())
		}
		w := all[id]
		if w == nil {
			w = &waits{waitpoints: make(map[ff.WaitpointID]*record.Waitpoint), signals: make(map[ff.SignalID]*record.Signal)}
			all[id] = w
		}
		switch rec := rec.(type) {
		case *record.Suspension:
			w.suspension = rec
		case *record.Waitpoint:
			w.waitpoints[rec.WaitpointID] = rec
		case *record.Signal:
			w.signals[rec.SignalID] = rec
		case *record.Reply:
			if rec.ExpiresAt == 0 || rec.ExpiresAt < rec.CreatedAt {
				a.add(id, "an answer of %d is remembered until %d", rec.CreatedAt, rec.ExpiresAt)
			}
		}
	}
	for _, e := range d.Executions {
		w := all[e.ID]
		if w == nil {
			w = &waits{}
		}
		a.suspended(e, w.suspension)
		a.signalCounts(e.ID, w)
		for _, p := range w.waitpoints {
			a.waitpoint(e, w.suspension, p)
			a.waitpointSignals(w, p)
		}
	}
}

// executionOf is the execution a record belongs to.
func executionOf(rec record.Keyed) (id ff.ExecutionID, ok bool) {
	switch rec := rec.(type) {
	case *record.Suspension:
		return rec.ExecutionID, true
	case *record.Waitpoint:
		return rec.ExecutionID, true
	case *record.Signal:
		return rec.ExecutionID, true
	case *record.Reply:
		return rec.ExecutionID, true
	case *record.Step:
		return rec.ExecutionID, true
	case *record.Stream:
		return rec.ExecutionID, true
	case *record.Summary:
		return rec.ExecutionID, true
	case *record.Ledger:
		return rec.ExecutionID, true
	case *record.Parking:
		return rec.ExecutionID, true
	default:
		return id, false
	}
}

// suspended: an execution is suspended exactly while a suspension is open, which it names; then it has no lease, and its
// deadline is seen to (I1, I2). A suspension that is closed says why (I4).
func (a *audit) suspended(e *record.Execution, s *record.Suspension) {
	parked := e.State.Phase == ff.PhaseSuspended
	switch {
	case parked && !s.Open():
		a.add(e.ID, "I2: it is suspended, and no suspension is open")
	case !parked && s.Open():
		a.add(e.ID, "I2: it is %s, and suspension %s is open", e.State.Phase, s.SuspensionID)
	case parked && (e.SuspensionID != s.SuspensionID || e.WaitpointID != s.Waitpoints[0]):
		a.add(e.ID, "I2: it names suspension %s and waitpoint %s; %s is open, with %s", e.SuspensionID, e.WaitpointID, s.SuspensionID, s.Waitpoints)
	case parked && e.AttemptIndex != s.AttemptIndex:
		a.add(e.ID, "I3: its attempt is %d; attempt %d was suspended", e.AttemptIndex, s.AttemptIndex)
	case !parked && (!e.SuspensionID.IsZero() || !e.WaitpointID.IsZero() || e.SuspendedUntil != 0 || e.SuspensionTimeout != ""):
		a.add(e.ID, "I2: it is %s and names suspension %s and waitpoint %s until %d", e.State.Phase, e.SuspensionID, e.WaitpointID, e.SuspendedUntil)
	}
	if parked && !e.LeaseID.IsZero() {
		a.add(e.ID, "I2: it is suspended and has lease %s", e.LeaseID)
	}
	if e.SuspendedUntil != 0 && (e.DueAt == 0 || e.DueAt > e.SuspendedUntil) {
		a.add(e.ID, "I15: its suspension ends at %d and it is due at %d", e.SuspendedUntil, e.DueAt)
	}
	if s != nil && (s.ClosedAt != 0) != (s.CloseReason != "") {
		a.add(e.ID, "I4: suspension %s closed at %d for %q", s.SuspensionID, s.ClosedAt, s.CloseReason)
	}
	if s != nil && s.ClosedAt != 0 && s.ClosedAt < s.SuspendedAt {
		a.add(e.ID, "I4: suspension %s was closed at %d, before it was opened at %d", s.SuspensionID, s.ClosedAt, s.SuspendedAt)
	}
}

// waitpoint: only the suspension that is open has active waitpoints, and names them (I5); only what was never bound is
// pending, and it expires (I20).
func (a *audit) waitpoint(e *record.Execution, s *record.Suspension, p *record.Waitpoint) {
	bound := !p.SuspensionID.IsZero()
	current := s.Open() && s.SuspensionID == p.SuspensionID && slices.Contains(s.Waitpoints, p.WaitpointID)
	switch p.State {
	case ff.WaitpointPending:
		if bound || p.ActivatedAt != 0 || p.ExpiresAt == 0 || p.ClosedAt != 0 {
			a.add(e.ID, "waitpoint %s is pending: bound to %s at %d, expires at %d, closed at %d", p.WaitpointID, p.SuspensionID, p.ActivatedAt, p.ExpiresAt, p.ClosedAt)
		}
	case ff.WaitpointActive:
		if !current || p.ActivatedAt == 0 || p.ClosedAt != 0 {
			a.add(e.ID, "I5: waitpoint %s is active, of suspension %s, which is not open", p.WaitpointID, p.SuspensionID)
		}
	case ff.WaitpointClosed:
		if p.ClosedAt == 0 || p.CloseReason == "" {
			a.add(e.ID, "I5: waitpoint %s closed at %d for %q", p.WaitpointID, p.ClosedAt, p.CloseReason)
		}
	default:
		a.add(e.ID, "waitpoint %s is in state %q", p.WaitpointID, p.State)
	}
	if kid, _ := p.Token.Fingerprint(); kid == "" {
		a.add(e.ID, "waitpoint %s has the token %s", p.WaitpointID, p.Token)
	}
}

// signalCounts: an execution's signals are as many as it counts, and what contributed to its condition is among them.
func (a *audit) signalCounts(id ff.ExecutionID, w *waits) {
	count := 0
	if w.suspension != nil {
		count = w.suspension.SignalCount
		a.refs(id, "the suspension", w, w.suspension.Matched)
	}
	if count != len(w.signals) {
		a.add(id, "I17: it counts %d signals; there are %d", count, len(w.signals))
	}
	for _, sig := range w.signals {
		if w.waitpoints[sig.WaitpointID] == nil {
			a.add(id, "signal %s was sent to waitpoint %s, which is not there", sig.SignalID, sig.WaitpointID)
		}
	}
}

// waitpointSignals: a waitpoint counts the signals that came while it was active (I17).
func (a *audit) waitpointSignals(w *waits, p *record.Waitpoint) {
	delivered := 0
	for _, sig := range w.signals {
		if sig.WaitpointID == p.WaitpointID && sig.Effect != ff.EffectBuffered {
			delivered++
		}
	}
	if p.SignalCount != delivered || p.MatchedCount > p.SignalCount || p.MatchedCount < 0 {
		a.add(p.ExecutionID, "I17: waitpoint %s counts %d signals, %d matched; there are %d", p.WaitpointID, p.SignalCount, p.MatchedCount, delivered)
	}
	a.refs(p.ExecutionID, "waitpoint "+p.WaitpointID.String(), w, p.Signals)
}

// refs: references name signals that are there, each once, as they were accepted, in that order.
func (a *audit) refs(id ff.ExecutionID, of string, w *waits, refs []record.SignalRef) {
	seen := make(map[ff.SignalID]bool, len(refs))
	last := ff.Timestamp(0)
	for _, ref := range refs {
		sig := w.signals[ref.SignalID]
		switch {
		case sig == nil:
			a.add(id, "%s refers to signal %s, which is not there", of, ref.SignalID)
		case seen[ref.SignalID]:
			a.add(id, "%s refers to signal %s twice", of, ref.SignalID)
		case sig.WaitpointID != ref.WaitpointID || sig.Name != ref.Name || sig.SourceType != ref.SourceType ||
			sig.SourceIdentity != ref.SourceIdentity || sig.AcceptedAt != ref.AcceptedAt:
			a.add(id, "%s says of signal %s what it is not: %+v", of, ref.SignalID, ref)
		case ref.AcceptedAt < last:
			a.add(id, "%s has signal %s of %d behind one of %d", of, ref.SignalID, ref.AcceptedAt, last)
		}
		seen[ref.SignalID], last = true, max(last, ref.AcceptedAt)
	}
}
