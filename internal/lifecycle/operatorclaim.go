package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// ClaimByOperator gives a lease on an execution that an operator has named (chapter 10, section 3.7). It must be claimable
// (W9); what it needs of a worker does not matter.
func ClaimByOperator(e *record.Execution, g Grant, actor string, now ff.Timestamp) (Change, error) {
	switch {
	case e.State.Ownership == ff.Leased:
		return Change{}, &ff.Error{
			Code:   ff.CodeLeaseConflict,
			Detail: fmt.Sprintf("worker %s, instance %s, holds it until %d; revoke the lease first", e.WorkerID, e.WorkerInstanceID, e.LeaseExpiresAt),
		}
	case !claimableByAnyone(e, now):
		return Change{}, &ff.Error{
			Code:   ff.CodeExecutionNotEligible,
			Detail: fmt.Sprintf("only a claimable execution can be claimed; this one is %s, %s", e.State.Phase, e.State.Eligibility),
		}
	}
	ch, err := Claim(e, g, now)
	if err != nil {
		return Change{}, err
	}
	ch.Events[0].Reason = "issue_grant_and_claim"
	if Resumes(e) {
		ch.Events[0].Reason = "issue_grant_and_claim_resumed"
	}
	n := ch.Execution
	n.LastOperatorAt = now
	ch.Events = append(ch.Events, operatorEvent(n, eventClaimed, map[string]any{
		"lease_epoch": n.Epoch, "attempt_index": n.AttemptIndex, "worker_instance_id": string(n.WorkerInstanceID), "actor": actor,
	}, now))
	return ch, nil
}
