package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// TestClaimByOperator_TakesWhatAWorkerMight: whatever capabilities it needs; W9: nothing that is not claimable.
func TestClaimByOperator_TakesWhatAWorkerMight(t *testing.T) {
	now := t0 + 40_000
	for state, reason := range map[string]string{
		"runnable unowned eligible_now waiting_for_worker none pending_first_attempt":                 "issue_grant_and_claim",
		"runnable unowned eligible_now waiting_for_worker none attempt_interrupted":                   "issue_grant_and_claim_resumed",
		"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted": "issue_grant_and_claim",
	} {
		e := inState(t, state)
		e.Capabilities = []string{"gpu"}
		ch, err := ClaimByOperator(e, grant, "ops", now)
		noError(t, err)
		if n := ch.Execution; n.LeaseID != newLease || n.LeaseExpiresAt != now.Add(30*time.Second) || n.LastOperatorAt != now {
			t.Errorf("%s: %+v", state, n)
		}
		if ch.Events[0].Reason != reason || len(ch.Events) != 2 || ch.Events[1].Type != "claimed" {
			t.Errorf("%s: events are %v", state, eventsOf(ch))
		}
	}
	late := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	late.DeadlineAt = now
	_, err := ClaimByOperator(late, grant, "ops", now)
	wantCode(t, err, ff.CodeExecutionNotEligible)
}
