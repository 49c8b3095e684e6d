package lifecycle

import (
	"testing"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestFence_FirstFailingCheckNamesTheError breaks several checks at once: the order is shape, phase, revoked, expired,
// fence (chapter 10, section 3.0).
func TestFence_FirstFailingCheckNamesTheError(t *testing.T) {
	var (
		none    = ff.Fence{}
		partial = ff.Fence{LeaseID: leaseID, Epoch: 3}
		stale   = ff.Fence{LeaseID: leaseID, Epoch: 2, AttemptID: attemptID}
		leased  = running4(t)
		revoked = inState(t, "active lease_revoked not_applicable waiting_for_worker none attempt_interrupted")
		expired = inState(t, "active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted")
		waiting = inState(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
		ended   = inState(t, "terminal unowned not_applicable none failed attempt_terminal")
	)
	takenAway := changed(waiting, func(n *record.Execution) { n.Epoch, n.LeaseRevokeReason = 4, "operator" })
	for name, c := range map[string]struct {
		e      *record.Execution
		fence  ff.Fence
		source ff.Source
		now    ff.Timestamp
		want   ff.Code
	}{
		"no fence, not active":                {waiting, none, "lease_holder", t0, "fence_required"},
		"no fence, expired":                   {leased, none, "lease_holder", expires, "fence_required"},
		"no fence from a worker":              {leased, none, "worker", t0, "fence_required"},
		"partial fence, not active":           {ended, partial, "lease_holder", t0, "partial_fence_triple"},
		"partial fence of an operator":        {leased, partial, "operator_override", t0, "partial_fence_triple"},
		"without lease id":                    {leased, ff.Fence{Epoch: 3, AttemptID: attemptID}, "lease_holder", t0, "partial_fence_triple"},
		"without epoch":                       {leased, ff.Fence{LeaseID: leaseID, AttemptID: attemptID}, "lease_holder", t0, "partial_fence_triple"},
		"without attempt id":                  {leased, partial, "lease_holder", t0, "partial_fence_triple"},
		"attempt index alone":                 {leased, ff.Fence{AttemptIndex: 1}, "lease_holder", t0, "partial_fence_triple"},
		"negative attempt index":              {leased, ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: attemptID, AttemptIndex: -1}, "lease_holder", t0, "partial_fence_triple"},
		"stale and not active":                {waiting, stale, "lease_holder", expires, "execution_not_active"},
		"stale and ended":                     {ended, stale, "lease_holder", expires, "execution_not_active"},
		"operator, ended":                     {ended, none, "operator_override", t0, "execution_not_active"},
		"taken away, back in the queue":       {takenAway, holder, "lease_holder", t0, "lease_revoked"},
		"never had what was taken away":       {takenAway, ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: newTry}, "lease_holder", t0, "execution_not_active"},
		"stale, revoked and expired":          {revoked, stale, "lease_holder", expires, "lease_revoked"},
		"operator, revoked":                   {revoked, none, "operator_override", t0, "lease_revoked"},
		"stale and marked expired":            {expired, stale, "lease_holder", t0, "lease_expired"},
		"stale at the very instant":           {leased, stale, "lease_holder", expires, "lease_expired"},
		"current at the very instant":         {leased, holder, "lease_holder", expires, "lease_expired"},
		"operator at the very instant":        {leased, none, "operator_override", expires, "lease_expired"},
		"current one millisecond before":      {leased, holder, "lease_holder", expires - 1, ""},
		"operator one millisecond before":     {leased, none, "operator_override", expires - 1, ""},
		"operator with the current fence":     {leased, holder, "operator_override", t0, ""},
		"operator with a stale fence":         {leased, stale, "operator_override", t0, "stale_lease"},
		"older epoch":                         {leased, stale, "lease_holder", t0, "stale_lease"},
		"newer epoch":                         {leased, ff.Fence{LeaseID: leaseID, Epoch: 4, AttemptID: attemptID}, "lease_holder", t0, "stale_lease"},
		"other lease id":                      {leased, ff.Fence{LeaseID: newLease, Epoch: 3, AttemptID: attemptID}, "lease_holder", t0, "stale_lease"},
		"other attempt id":                    {leased, ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: newTry}, "lease_holder", t0, "stale_lease"},
		"other attempt index":                 {leased, ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: attemptID, AttemptIndex: 1}, "lease_holder", t0, "stale_lease"},
		"any other source needs the fence":    {leased, none, "flow_cascade", t0, "fence_required"},
		"any other source may have the fence": {leased, holder, "flow_cascade", t0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Complete(c.e, &ff.Complete{Fence: c.fence, Source: c.source}, c.now)
			wantCode(t, err, c.want)
			_, _, err = Fail(c.e, &ff.Fail{Fence: c.fence, Source: c.source, Category: "permanent"}, c.now)
			if c.e != ended || c.fence != holder {
				wantCode(t, err, c.want)
			}
			if c.source == "lease_holder" {
				_, err = Renew(c.e, &ff.Renew{Fence: c.fence, TTL: time.Second}, c.now)
				wantCode(t, err, c.want)
				_, err = UpdateProgress(c.e, &ff.UpdateProgress{Fence: c.fence}, c.now)
				wantCode(t, err, c.want)
			}
		})
	}
}

// TestFence_NotActiveTellsTheFourDetails: chapter 10, section 4.2.
func TestFence_NotActiveTellsTheFourDetails(t *testing.T) {
	e := inState(t, "terminal unowned not_applicable none failed attempt_terminal")
	_, err := Renew(e, &ff.Renew{Fence: ff.Fence{LeaseID: leaseID, Epoch: 2, AttemptID: attemptID}}, t0)
	coded, ok := err.(*ff.Error) //nolint:errorlint // the rules return it bare
	if !ok {
		t.Fatalf("error is %T", err)
	}
	equal(t, "details", coded.Attrs, map[string]string{
		"terminal_outcome": "failed", "lease_epoch": "3", "lifecycle_phase": "terminal",
		"attempt_id": "33333333-3333-4333-8333-333333333333",
	})
}

// TestRepeat_NeedsAWholeFence: a repeated call is answered as before only to a fence that could have been the first's.
func TestRepeat_NeedsAWholeFence(t *testing.T) {
	noLease, otherTry, later := holder, holder, holder
	noLease.LeaseID = ff.LeaseID{}
	otherTry.AttemptID = ff.AttemptID(uuid.MustParse("99999999-9999-4999-8999-999999999999"))
	later.Epoch = 4
	succeeded := inState(t, "terminal unowned not_applicable none success attempt_terminal")
	failed := inState(t, "terminal unowned not_applicable none failed attempt_terminal")
	paused := inState(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
	backoff := inState(t, "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt")
	for name, f := range map[string]ff.Fence{"partial_fence_triple": noLease, "execution_not_active": otherTry, "later": later} {
		want := ff.Code(name)
		if name == "later" {
			want = "execution_not_active"
		}
		_, err := Complete(succeeded, &ff.Complete{Fence: f}, t0)
		wantCode(t, err, want)
		_, _, err = Fail(failed, &ff.Fail{Fence: f}, t0)
		wantCode(t, err, want)
		_, _, err = Delay(paused, &ff.Delay{Fence: f, For: time.Second}, t0)
		wantCode(t, err, want)
		_, err = Release(paused, &ff.Release{Fence: f}, t0)
		wantCode(t, err, want)
		if name != "execution_not_active" { // a scheduled retry forgets the id of the attempt
			_, _, err = Fail(backoff, &ff.Fail{Fence: f}, t0)
			wantCode(t, err, want)
		}
	}
}
