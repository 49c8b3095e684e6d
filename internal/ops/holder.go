package ops

import (
	"bytes"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store/record"
)

// Renew extends a lease; at gets the new expiry.
func (r Rules) Renew(cmd ff.Renew, at *ff.Timestamp) (*Op, error) {
	if err := r.checkRenew(&cmd); err != nil {
		return nil, named("renew", err)
	}
	if cmd.Progress != nil {
		cmd.Progress = keep(*cmd.Progress)
	}
	return r.onExecution("renew", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, err := lifecycle.Renew(e, &cmd, now)
		if err == nil {
			*at = ch.Execution.LeaseExpiresAt
		}
		return ch, err
	}), nil
}

// keep copies a report that the record will hold: the record outlives the call.
func keep(p ff.Progress) *ff.Progress {
	p.Details = bytes.Clone(p.Details)
	return &p
}

// UpdateProgress records what a holder reports.
func (r Rules) UpdateProgress(cmd ff.UpdateProgress) (*Op, error) {
	if err := r.checkProgress(&cmd); err != nil {
		return nil, named("update progress", err)
	}
	cmd.Progress = *keep(cmd.Progress)
	return r.onExecution("update progress", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.UpdateProgress(e, &cmd, now)
	}), nil
}

// Complete ends an execution with success.
func (r Rules) Complete(cmd ff.Complete) (*Op, error) {
	if err := r.checkComplete(&cmd); err != nil {
		return nil, named("complete", err)
	}
	cmd.Result = bytes.Clone(cmd.Result) // the record outlives the call
	return r.onExecution("complete", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.Complete(e, &cmd, now)
	}).yielding(), nil
}

// Fail ends an attempt with a failure; out gets what follows.
func (r Rules) Fail(cmd ff.Fail, out *ff.FailResult) (*Op, error) {
	if err := r.checkFail(&cmd); err != nil {
		return nil, named("fail", err)
	}
	return r.onExecution("fail", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, res, err := lifecycle.Fail(e, &cmd, now)
		*out = res
		return ch, err
	}).yielding(), nil
}

// Delay gives a lease back until a time, which until gets.
func (r Rules) Delay(cmd ff.Delay, until *ff.Timestamp) (*Op, error) {
	if err := r.checkDelay(&cmd); err != nil {
		return nil, named("delay", err)
	}
	return r.onExecution("delay", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, at, err := lifecycle.Delay(e, &cmd, now)
		*until = at
		return ch, err
	}).yielding(), nil
}

// Release gives a lease back at once.
func (r Rules) Release(cmd ff.Release) (*Op, error) {
	if err := r.checkID(cmd.ExecutionID); err != nil {
		return nil, named("release", err)
	}
	return r.onExecution("release", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.Release(e, &cmd, now)
	}).yielding(), nil
}
