package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store/record"
)

// Cancel ends an execution; out gets its public state.
func (r Rules) Cancel(cmd ff.Cancel, out *ff.CancelResult) (*Op, error) {
	if err := r.checkCancel(&cmd); err != nil {
		return nil, named("cancel", err)
	}
	return onExecution("cancel", cmd.ExecutionID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, err := lifecycle.Cancel(e, att, &cmd, now)
		*out = ff.CancelResult{ExecutionID: e.ID, PublicState: ff.PublicCancelled}
		return ch, err
	}), nil
}

// ChangePriority re-orders an execution; out gets the old and the new value.
func (r Rules) ChangePriority(cmd ff.ChangePriority, out *ff.ChangePriorityResult) (*Op, error) {
	if err := r.checkChangePriority(&cmd); err != nil {
		return nil, named("change priority", err)
	}
	op := onExecution("change priority", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, res, err := lifecycle.ChangePriority(e, &cmd, now)
		*out = res
		return ch, err
	})
	op.Once = true // every success is an event of its own
	return op, nil
}

// Replay makes a finished execution runnable again; out gets its public state.
func (r Rules) Replay(cmd ff.Replay, out *ff.ReplayResult) (*Op, error) {
	if err := r.checkReplay(&cmd); err != nil {
		return nil, named("replay", err)
	}
	op := onExecution("replay", cmd.ExecutionID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, err := lifecycle.Replay(e, att, &cmd, now)
		if err == nil {
			*out = ff.ReplayResult{PublicState: ch.Execution.Public}
		}
		return ch, err
	})
	op.Once = true // every success counts as a replay
	return op, nil
}

// RevokeLease takes a lease away; out says what was done.
func (r Rules) RevokeLease(cmd ff.RevokeLease, out *ff.RevokeResult) (*Op, error) {
	if err := r.checkRevoke(&cmd); err != nil {
		return nil, named("revoke lease", err)
	}
	return onExecution("revoke lease", cmd.ExecutionID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, res, err := lifecycle.RevokeLease(e, att, &cmd, now)
		*out = res
		return ch, err
	}), nil
}
