package lifecycle

import (
	"fmt"
	"strconv"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// checkFence is the one validator of every operation of a lease holder (chapter 10, sections 3.0 and 4.1). Only a source
// of operator_override may come without a fence, and it too needs a lease that is valid.
func checkFence(e *record.Execution, f ff.Fence, source ff.Source, now ff.Timestamp) error {
	if err := checkFenceShape(f, source); err != nil {
		return err
	}
	if e.State.Phase != ff.PhaseActive {
		if Lost(e) {
			return &ff.Error{Code: ff.CodeLeaseExpired, Detail: "the lease ran out"}
		}
		if e.LeaseRevokeReason != "" && f.AttemptID == e.AttemptID && f.Epoch < e.Epoch {
			return revoked(e)
		}
		return notActive(e)
	}
	switch {
	case e.State.Ownership == ff.LeaseRevoked:
		return revoked(e)
	case e.State.Ownership != ff.Leased || now >= e.LeaseExpiresAt:
		return &ff.Error{Code: ff.CodeLeaseExpired, Detail: fmt.Sprintf("the lease ran out at %d, now is %d", e.LeaseExpiresAt, now)}
	case f.IsZero():
		return nil
	case f != fenceOf(e):
		return &ff.Error{Code: ff.CodeStaleLease, Detail: fmt.Sprintf(
			"fence has epoch %d, attempt %d; current are epoch %d, attempt %d", f.Epoch, f.AttemptIndex, e.Epoch, e.AttemptIndex)}
	}
	return nil
}

// checkFenceShape: all of a fence, or for an operator nothing of it (F6, F7).
func checkFenceShape(f ff.Fence, source ff.Source) error {
	if f.IsZero() {
		if source == ff.SourceOperatorOverride {
			return nil
		}
		return &ff.Error{Code: ff.CodeFenceRequired, Detail: "give the fence of the claim"}
	}
	if f.LeaseID.IsZero() || f.Epoch == 0 || f.AttemptID.IsZero() || f.AttemptIndex < 0 {
		return &ff.Error{Code: ff.CodePartialFence, Detail: "lease id, epoch and attempt id go together"}
	}
	return nil
}

func fenceOf(e *record.Execution) ff.Fence {
	return ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex}
}

// sameAttempt reports whether f was the fence of what e did last, so that a repeated call can be told from a stranger's
// (chapter 10, section 4.2). The lease id is gone by then, though it must be given; epoch and attempt say enough.
func sameAttempt(e *record.Execution, f ff.Fence) bool {
	return sameLease(e, f) && f.AttemptID == e.AttemptID
}

// sameLease is sameAttempt for an execution that no longer knows its attempt's id.
func sameLease(e *record.Execution, f ff.Fence) bool {
	return checkFenceShape(f, ff.SourceLeaseHolder) == nil && f.Epoch == e.Epoch && f.AttemptIndex == e.AttemptIndex
}

// unfenced reports whether an operator acts without a fence.
func unfenced(f ff.Fence, source ff.Source) bool {
	return f.IsZero() && source == ff.SourceOperatorOverride
}

func revoked(e *record.Execution) error {
	return &ff.Error{Code: ff.CodeLeaseRevoked, Detail: "the lease was revoked: " + e.LeaseRevokeReason}
}

// notActive carries the four details of chapter 10, section 4.2.
func notActive(e *record.Execution) error {
	return &ff.Error{
		Code:   ff.CodeExecutionNotActive,
		Detail: fmt.Sprintf("the execution is %s, outcome %s", e.State.Phase, e.State.Outcome),
		Attrs: map[string]string{
			"terminal_outcome": string(e.State.Outcome),
			"lease_epoch":      strconv.FormatUint(e.Epoch, 10),
			"lifecycle_phase":  string(e.State.Phase),
			"attempt_id":       e.AttemptID.String(),
		},
	}
}
