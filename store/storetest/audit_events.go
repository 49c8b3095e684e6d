package storetest

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// completions: every end of an execution wrote exactly one completion event (I25), every replay one of its own, and the
// latest completion tells the outcome.
func (a *audit) completions(e *record.Execution, events []record.Event) {
	var ends, replays int
	var last string
	for _, ev := range events {
		switch {
		case ev.Family == record.FamilyCompletion:
			ends++
			last = ev.Type
		case ev.Family == record.FamilyOperator && ev.Type == "replayed":
			replays++
		}
	}
	want := e.ReplayCount
	if e.State.Finished() {
		want++
	}
	if ends != want {
		a.add(e.ID, "I25: %d completion events, want %d, in phase %s after %d replays", ends, want, e.State.Phase, e.ReplayCount)
	}
	if replays != e.ReplayCount {
		a.add(e.ID, "I25: %d events of replays, want %d", replays, e.ReplayCount)
	}
	if e.State.Finished() && ends > 0 && last != string(e.State.Outcome) {
		a.add(e.ID, "I25: the last completion event says %q, the outcome is %s", last, e.State.Outcome)
	}
}

// leaseEvents: every lease is opened by acquired or reclaimed, under a higher epoch than any before it, and closed by
// exactly one of released, a completion that names it, revoked, or expired followed by a reclaim or the end (I5, I26).
func (a *audit) leaseEvents(e *record.Execution, events []record.Event) {
	w := leaseWalk{audit: a, execution: e, lease: noLease}
	for _, ev := range events {
		switch ev.Family {
		case record.FamilyLease:
			w.step(ev)
		case record.FamilyCompletion:
			w.end(ev)
		default: // the other feeds say nothing of leases
		}
	}
	var want leaseState
	switch e.State.Ownership {
	case ff.Leased:
		want = openLease
	case ff.LeaseExpiredReclaimable:
		want = expiredLease
	case ff.LeaseRevoked:
		want = revokedLease
	default:
		want = noLease
	}
	behind := w.lease == expiredLease && e.LeaseRevokeReason == "lease expired, awaits upstreams" // until its reclaim
	if w.lease != want && (want != noLease || w.lease != revokedLease && !behind) {
		a.add(e.ID, "I26: by its events there is %s, but it is %s", w.lease, e.State.Ownership)
	}
	if w.fenced > e.Epoch {
		a.add(e.ID, "I5: the epoch is %d, which a lease had that was taken from its holder", e.Epoch)
	}
	if w.epoch > e.Epoch || w.lease == openLease && w.epoch != e.Epoch {
		a.add(e.ID, "I5: the epoch is %d, its events say %d", e.Epoch, w.epoch)
	}
}

// leaseState is what the events so far say of the lease.
type leaseState string

const (
	noLease      leaseState = "no lease"
	openLease    leaseState = "an open lease"
	expiredLease leaseState = "an expired lease"
	revokedLease leaseState = "a revoked lease"
)

// leaseWalk follows the lease of one execution through its events.
type leaseWalk struct {
	*audit
	execution *record.Execution
	lease     leaseState
	epoch     uint64 // of the latest lease
	fenced    uint64 // the least epoch the execution may have, since a lease was taken away
}

// leaseSteps says what a lease event may follow, and what is so after it.
var leaseSteps = map[string]struct {
	from []leaseState
	to   leaseState
}{
	"acquired":  {from: []leaseState{noLease, revokedLease}, to: openLease},
	"reclaimed": {from: []leaseState{expiredLease, revokedLease}, to: openLease},
	"released":  {from: []leaseState{openLease}, to: noLease},
	"revoked":   {from: []leaseState{openLease}, to: revokedLease},
	"expired":   {from: []leaseState{openLease}, to: expiredLease},
}

func (w *leaseWalk) step(ev record.Event) {
	step, ok := leaseSteps[ev.Type]
	if !ok {
		w.add(w.execution.ID, "I26: there is no lease event %q", ev.Type)
		return
	}
	if !slices.Contains(step.from, w.lease) {
		w.add(w.execution.ID, "I26: %s under epoch %d follows %s", ev.Type, ev.Epoch, w.lease)
	}
	switch {
	case step.to == openLease && ev.Epoch <= w.epoch:
		w.add(w.execution.ID, "I5: %s under epoch %d, after epoch %d", ev.Type, ev.Epoch, w.epoch)
	case step.to != openLease && ev.Epoch != w.epoch:
		w.add(w.execution.ID, "I5: %s under epoch %d; the lease has epoch %d", ev.Type, ev.Epoch, w.epoch)
	}
	if step.to == revokedLease && ev.Reason != "wait_children" { // by which the holder gives it back
		w.fenced = w.epoch + 1
	}
	w.lease = step.to
	w.epoch = max(w.epoch, ev.Epoch)
}

// end is the end of the execution. An open lease must have been closed before it, or be the one the event names.
func (w *leaseWalk) end(ev record.Event) {
	named := !ev.LeaseID.IsZero()
	if named != (w.lease == openLease) || named && ev.Epoch != w.epoch {
		w.add(w.execution.ID, "I26: the end names lease %s of epoch %d, but there is %s of epoch %d", ev.LeaseID, ev.Epoch, w.lease, w.epoch)
	}
	w.lease = noLease
}
