package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Park keeps an execution from being claimed because a budget or quota has no room (chapter 60, section 8.3). gate is where it
// waits; empty if only an operator lets it go on. Attempt and delay stay.
func Park(e *record.Execution, reason ff.BlockingReason, gate, detail string, now ff.Timestamp) (Change, error) {
	n, err := transition(e, OnBlock(reason), now)
	if err != nil {
		return Change{}, err
	}
	l := *e.Limits
	l.Gate = gate
	n.Limits, n.BlockingDetail = &l, detail
	settle(n, now)
	return Change{Execution: n}, nil
}

// Unpark lets an execution that was parked be claimed again. What it is under is looked at then.
func Unpark(e *record.Execution, now ff.Timestamp) (Change, error) {
	n, err := transition(e, OnUnblock, now)
	if err != nil {
		return Change{}, err
	}
	settle(n, now)
	return Change{Execution: n}, nil
}

// ParkedAt reports whether an execution waits at a gate.
func ParkedAt(e *record.Execution, gate string) bool {
	return e.Limits != nil && e.Limits.Gate == gate && atGate(e.State)
}

func atGate(s ff.StateVector) bool {
	return s.Eligibility == ff.BlockedByBudget || s.Eligibility == ff.BlockedByQuota
}

// limits follow the state: an execution that is not parked any more waits at no gate.
func limits(e *record.Execution) {
	if e.Limits == nil || e.Limits.Gate == "" || atGate(e.State) {
		return
	}
	l := *e.Limits
	l.Gate = ""
	e.Limits = &l
}

// pass lets an execution be admitted once whatever is used up, since an operator has unblocked it.
func pass(e *record.Execution) {
	if e.Limits == nil {
		return
	}
	l := *e.Limits
	l.Pass = true
	e.Limits = &l
}
