package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Suspend implements [flowfabric.Suspensions].
func (e *Engine) Suspend(ctx context.Context, cmd flowfabric.Suspend) (flowfabric.Suspended, error) {
	var res flowfabric.Suspended
	key, err := e.signing(ctx, "suspend")
	if err != nil {
		return res, err
	}
	op, err := e.rules.Suspend(cmd, key, &res)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.Suspended{}, err
	}
	return res, nil
}

// signing returns the key to sign tokens with.
func (e *Engine) signing(ctx context.Context, op string) (ops.Key, error) {
	if err := e.open(op); err != nil {
		return ops.Key{}, err
	}
	key, err := e.keys.signing(ctx)
	return ops.Key{Kid: key.Kid, Secret: key.Secret}, called(op, err)
}

// CreateWaitpoint implements [flowfabric.Suspensions].
func (e *Engine) CreateWaitpoint(ctx context.Context, cmd flowfabric.CreateWaitpoint) (flowfabric.WaitpointGrant, error) {
	var res flowfabric.WaitpointGrant
	key, err := e.signing(ctx, "create waitpoint")
	if err != nil {
		return res, err
	}
	op, err := e.rules.CreateWaitpoint(cmd, key, &res)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.WaitpointGrant{}, err
	}
	return res, nil
}

// CloseWaitpoint implements [flowfabric.Suspensions].
func (e *Engine) CloseWaitpoint(ctx context.Context, cmd flowfabric.CloseWaitpoint) (res flowfabric.CloseResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CloseWaitpoint(cmd, &res) })
	return res, err
}

// DeliverSignal implements [flowfabric.Suspensions].
func (e *Engine) DeliverSignal(ctx context.Context, cmd flowfabric.Signal) (res flowfabric.SignalResult, err error) {
	const op = "deliver signal"
	if err := e.signals.toWaitpoint(cmd.ExecutionID, cmd.WaitpointID); err != nil {
		return res, called(op, err)
	}
	keys, _, err := e.verifying(ctx, op, ops.TokenKid(cmd.Token))
	if err != nil {
		return res, err
	}
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.DeliverSignal(cmd, keys, &res) })
	return res, err
}

// verifying returns the secrets to verify with, the one of a name as fresh as may be, and about the storage time.
func (e *Engine) verifying(ctx context.Context, op, kid string) (ops.Keys, flowfabric.Timestamp, error) {
	if err := e.open(op); err != nil {
		return nil, 0, err
	}
	k, now, err := e.keys.lookup(ctx, kid)
	if err != nil {
		return nil, 0, called(op, err)
	}
	return func(kid string) ([]byte, bool) {
		s := k.byKid[kid]
		switch {
		case s == nil:
			return nil, false
		case ops.SecretExpired(s, now):
			return nil, true
		default:
			return s.Secret, false
		}
	}, now, nil
}

// Approve implements [flowfabric.Suspensions].
func (e *Engine) Approve(ctx context.Context, cmd flowfabric.Approval) (res flowfabric.SignalResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.Approve(cmd, &res) })
	return res, err
}

// SealLink implements [flowfabric.Suspensions].
func (e *Engine) SealLink(ctx context.Context, cmd flowfabric.SealLink) (flowfabric.SignalLink, error) {
	const op = "seal link"
	keys, _, err := e.verifying(ctx, op, ops.TokenKid(cmd.Token))
	if err != nil {
		return "", err
	}
	key, err := e.signing(ctx, op)
	if err != nil {
		return "", err
	}
	link, err := e.rules.SealLink(ctx, e.st, cmd, keys, key)
	return link, commit.Coded(err)
}

// SignalByLink implements [flowfabric.Suspensions].
func (e *Engine) SignalByLink(ctx context.Context, cmd flowfabric.SignalByLink) (res flowfabric.SignalResult, err error) {
	const op = "follow link"
	if err := e.signals.byLink(cmd.Link); err != nil {
		return res, called(op, err)
	}
	keys, now, err := e.verifying(ctx, op, ops.LinkKid(cmd.Link))
	if err != nil {
		return res, err
	}
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.SignalByLink(cmd, keys, now, &res) })
	return res, err
}

// Resume implements [flowfabric.Suspensions].
func (e *Engine) Resume(ctx context.Context, cmd flowfabric.ResumeExecution) (res flowfabric.ResumeResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.Resume(cmd, &res) })
	return res, err
}

// DescribeSuspension implements [flowfabric.Suspensions].
func (e *Engine) DescribeSuspension(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.SuspensionSnapshot, error) {
	if err := e.open("describe suspension"); err != nil {
		return flowfabric.SuspensionSnapshot{}, err
	}
	s, err := e.rules.DescribeSuspension(ctx, e.st, id)
	return s, commit.Coded(err)
}

// DescribeWaitpoint implements [flowfabric.Suspensions].
func (e *Engine) DescribeWaitpoint(ctx context.Context, id flowfabric.ExecutionID, point flowfabric.WaitpointID) (flowfabric.WaitpointSignals, error) {
	if err := e.open("describe waitpoint"); err != nil {
		return flowfabric.WaitpointSignals{}, err
	}
	s, err := e.rules.DescribeWaitpoint(ctx, e.st, id, point)
	return s, commit.Coded(err)
}

// WaitpointToken implements [flowfabric.Suspensions].
func (e *Engine) WaitpointToken(ctx context.Context, id flowfabric.ExecutionID, point flowfabric.WaitpointID) (flowfabric.WaitpointToken, error) {
	if err := e.open("waitpoint token"); err != nil {
		return "", err
	}
	t, err := e.rules.WaitpointToken(ctx, e.st, id, point)
	return t, commit.Coded(err)
}

// ResumeSignals implements [flowfabric.Suspensions].
func (e *Engine) ResumeSignals(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.ResumeSignals, error) {
	if err := e.open("resume signals"); err != nil {
		return flowfabric.ResumeSignals{}, err
	}
	s, err := e.rules.ResumeSignals(ctx, e.st, id)
	return s, commit.Coded(err)
}

// ListPendingWaitpoints implements [flowfabric.Suspensions].
func (e *Engine) ListPendingWaitpoints(ctx context.Context, q flowfabric.ListPendingWaitpoints) (flowfabric.Page[flowfabric.WaitpointSnapshot], error) {
	if err := e.open("list pending waitpoints"); err != nil {
		return flowfabric.Page[flowfabric.WaitpointSnapshot]{}, err
	}
	page, err := e.rules.ListPendingWaitpoints(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ListSuspended implements [flowfabric.Suspensions].
func (e *Engine) ListSuspended(ctx context.Context, q flowfabric.ListSuspended) (flowfabric.Page[flowfabric.SuspendedExecution], error) {
	if err := e.open("list suspended"); err != nil {
		return flowfabric.Page[flowfabric.SuspendedExecution]{}, err
	}
	page, err := e.rules.ListSuspended(ctx, e.st, q)
	return page, commit.Coded(err)
}

// RecordStep implements [flowfabric.Steps].
func (e *Engine) RecordStep(ctx context.Context, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	var res flowfabric.StepMemo
	op, err := e.rules.RecordStep(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.StepMemo{}, err
	}
	return res, nil
}

// ListSteps implements [flowfabric.Steps].
func (e *Engine) ListSteps(ctx context.Context, q flowfabric.ListSteps) (flowfabric.Page[flowfabric.StepMemo], error) {
	if err := e.open("list steps"); err != nil {
		return flowfabric.Page[flowfabric.StepMemo]{}, err
	}
	page, err := e.rules.ListSteps(ctx, e.st, q)
	return page, commit.Coded(err)
}

// dropBatch is how many steps one commit forgets.
const dropBatch = 500

// dropSteps forgets what a replay does not keep. If it does not come to its end, the replay does not begin, and may be asked
// for again.
func (e *Engine) dropSteps(ctx context.Context, cmd flowfabric.Replay) error {
	if !cmd.Steps.DropAll && cmd.Steps.DropFrom == "" {
		return nil
	}
	steps, err := e.stepsToDrop(ctx, cmd)
	if err != nil {
		return called("replay", err)
	}
	// The last first: what is left, if this is not all, is what came before.
	slices.SortFunc(steps, func(x, y *record.Step) int { return cmp.Compare(y.Position, x.Position) })
	for batch := range slices.Chunk(steps, dropBatch) {
		keys := make([]record.Key, len(batch))
		for i, s := range batch {
			keys[i] = s.Key()
		}
		if err := e.do(ctx, e.rules.DropSteps(cmd.ExecutionID, keys)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) stepsToDrop(ctx context.Context, cmd flowfabric.Replay) ([]*record.Step, error) {
	var all []*record.Step
	q := store.RecordQuery{Family: record.Steps, After: record.StepKey{ExecutionID: cmd.ExecutionID}, Prefix: 2, Limit: dropBatch}
	for {
		found, err := e.st.Records(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range found {
			s := *rec.(*record.Step)
			s.Result = nil // it may be large
			all = append(all, &s)
		}
		if len(found) < q.Limit {
			break
		}
		q.After = found[len(found)-1].Key()
	}
	if cmd.Steps.DropAll {
		return all, nil
	}
	from := -1
	for _, s := range all {
		if s.Name == cmd.Steps.DropFrom && (from < 0 || s.Position < from) {
			from = s.Position
		}
	}
	if from < 0 {
		return nil, &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: "no step of that name is remembered: " + cmd.Steps.DropFrom}
	}
	return slices.DeleteFunc(all, func(s *record.Step) bool { return s.Position < from }), nil
}
