package ops

import (
	"cmp"
	"context"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/waitpoint"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// view reads an execution, which must be there, and records.
func (r Rules) view(ctx context.Context, st store.Store, id ff.ExecutionID, keys ...record.Key) (*store.Tx, error) {
	if err := r.checkID(id); err != nil {
		return nil, err
	}
	tx, err := st.View(ctx, store.Reads{Executions: []ff.ExecutionID{id}, Records: keys})
	if err == nil && tx.Execution(id) == nil {
		err = notFound(id)
	}
	return tx, err
}

// DescribeSuspension tells of the current suspension of an execution, or its last.
func (r Rules) DescribeSuspension(ctx context.Context, st store.Store, id ff.ExecutionID) (ff.SuspensionSnapshot, error) {
	tx, err := r.view(ctx, st, id, suspensionKey(id))
	if err != nil {
		return ff.SuspensionSnapshot{}, named("describe suspension", err)
	}
	s := store.Get[*record.Suspension](tx, suspensionKey(id))
	if s == nil {
		return ff.SuspensionSnapshot{}, nil
	}
	told := ff.SuspensionSnapshot{
		SuspensionID: s.SuspensionID, AttemptIndex: s.AttemptIndex, Waitpoints: s.Waitpoints, Reason: s.Reason, RequestedBy: s.RequestedBy,
		SuspendedAt: s.SuspendedAt, TimeoutAt: s.TimeoutAt, TimeoutBehavior: s.TimeoutBehavior, Continuation: s.Continuation,
		LastSignalAt: s.LastSignalAt, SignalCount: s.SignalCount, ClosedAt: s.ClosedAt, CloseReason: s.CloseReason, Trigger: s.Trigger,
		Actor: s.Actor, Detail: s.Detail, Closer: s.Closer, AuthFailedAt: s.AuthFailedAt,
	}
	if s.Condition != nil {
		told.Condition = *s.Condition
	}
	if e := tx.Execution(id); s.Open() { // an escalated one has no deadline any more, and waits for an operator
		told.TimeoutAt = e.SuspendedUntil
		if s.TimeoutAt != 0 && e.SuspendedUntil == 0 {
			told.Reason = ff.WaitForOperatorReview
		}
	}
	return told, nil
}

// waitpointOf reads a waitpoint, which must be there.
func (r Rules) waitpointOf(ctx context.Context, st store.Store, id ff.ExecutionID, point ff.WaitpointID) (*record.Waitpoint, error) {
	key := record.WaitpointKey{ExecutionID: id, WaitpointID: point}
	tx, err := r.view(ctx, st, id, key)
	if err != nil {
		return nil, err
	}
	w := store.Get[*record.Waitpoint](tx, key)
	if w == nil {
		return nil, waitpoint.NotFound(point)
	}
	return w, nil
}

// WaitpointToken tells the token of a waitpoint.
func (r Rules) WaitpointToken(ctx context.Context, st store.Store, id ff.ExecutionID, point ff.WaitpointID) (ff.WaitpointToken, error) {
	w, err := r.waitpointOf(ctx, st, id, point)
	if err != nil {
		return "", named("waitpoint token", err)
	}
	return w.Token, nil
}

// SealLink makes a link out of a token that verifies with keys; key signs it.
func (r Rules) SealLink(ctx context.Context, st store.Store, cmd ff.SealLink, keys Keys, key Key) (ff.SignalLink, error) {
	link, err := r.sealLink(ctx, st, cmd, keys, key)
	return link, named("seal link", err)
}

func (r Rules) sealLink(ctx context.Context, st store.Store, cmd ff.SealLink, keys Keys, key Key) (ff.SignalLink, error) {
	if err := cmd.Validate(); err != nil {
		return "", err
	}
	point := record.WaitpointKey{ExecutionID: cmd.ExecutionID, WaitpointID: cmd.WaitpointID}
	tx, err := r.view(ctx, st, cmd.ExecutionID, point)
	if err != nil {
		return "", err
	}
	w := store.Get[*record.Waitpoint](tx, point)
	if err := waitpoint.Verify(keys, cmd.Token, w); err != nil {
		return "", err
	}
	until := w.ExpiresAt
	if cmd.ExpiresIn > 0 {
		until = tx.Now().Add(cmd.ExpiresIn)
	}
	return waitpoint.SealLink(key, waitpoint.Link{
		ExecutionID: cmd.ExecutionID, WaitpointID: cmd.WaitpointID, SignalName: cmd.SignalName, Source: cmd.Source,
		ExpiresAt: until, SingleUse: cmd.SingleUse,
	})
}

// DescribeWaitpoint tells of a waitpoint and its signals.
func (r Rules) DescribeWaitpoint(ctx context.Context, st store.Store, id ff.ExecutionID, point ff.WaitpointID) (ff.WaitpointSignals, error) {
	w, err := r.waitpointOf(ctx, st, id, point)
	if err != nil {
		return ff.WaitpointSignals{}, named("describe waitpoint", err)
	}
	signals, err := signalsOf(ctx, st, id, w.Signals)
	return ff.WaitpointSignals{Waitpoint: pointOf(w), Signals: signals}, named("describe waitpoint", err)
}

// ResumeSignals tells what has resumed an execution.
func (r Rules) ResumeSignals(ctx context.Context, st store.Store, id ff.ExecutionID) (ff.ResumeSignals, error) {
	tx, err := r.view(ctx, st, id, suspensionKey(id))
	if err != nil {
		return ff.ResumeSignals{}, named("resume signals", err)
	}
	s := store.Get[*record.Suspension](tx, suspensionKey(id))
	if s == nil || s.ClosedAt == 0 || !ofAttempt(s, tx.Execution(id)) {
		return ff.ResumeSignals{}, nil
	}
	told := ff.ResumeSignals{CloseReason: s.CloseReason}
	if s.CloseReason == ff.ClosedResumed {
		told.Signals, err = signalsOf(ctx, st, id, s.Matched)
	}
	return told, named("resume signals", err)
}

// ofAttempt reports whether a suspension is of the current attempt. A replay begins an attempt anew under the index of the
// last one, which began before that was suspended.
func ofAttempt(s *record.Suspension, e *record.Execution) bool {
	return s.AttemptIndex == e.AttemptIndex && s.SuspendedAt >= e.AttemptStartedAt
}

// signalsOf reads signals, in the order of the references, which is that of their acceptance (FIX-S4).
func signalsOf(ctx context.Context, st store.Store, id ff.ExecutionID, refs []record.SignalRef) ([]ff.SignalSnapshot, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	keys := make([]record.Key, len(refs))
	for i, ref := range refs {
		keys[i] = record.SignalKey{ExecutionID: id, SignalID: ref.SignalID}
	}
	tx, err := st.View(ctx, store.Reads{Records: keys})
	if err != nil {
		return nil, err
	}
	var list []ff.SignalSnapshot
	for _, key := range keys {
		if s := store.Get[*record.Signal](tx, key); s != nil {
			list = append(list, ff.SignalSnapshot{
				SignalID: s.SignalID, WaitpointID: s.WaitpointID, Name: s.Name, Category: s.Category, SourceType: s.SourceType,
				SourceIdentity: s.SourceIdentity, CorrelationID: s.CorrelationID, CreatedAt: s.CreatedAt, AcceptedAt: s.AcceptedAt,
				Effect: s.Effect, Payload: s.Payload, Encoding: s.Encoding,
			})
		}
	}
	return list, nil
}

// pointOf tells of a waitpoint, without its token.
func pointOf(w *record.Waitpoint) ff.WaitpointSnapshot {
	kid, fingerprint := w.Token.Fingerprint()
	return ff.WaitpointSnapshot{
		ExecutionID: w.ExecutionID, WaitpointID: w.WaitpointID, Key: w.Name, State: w.State, RequiredSignalNames: w.RequiredNames,
		SuspensionID: w.SuspensionID, CreatedAt: w.CreatedAt, ActivatedAt: w.ActivatedAt, ExpiresAt: w.ExpiresAt,
		ClosedAt: w.ClosedAt, CloseReason: w.CloseReason, SignalCount: w.SignalCount, MatchedCount: w.MatchedCount,
		LastSignalAt: w.LastSignalAt, TokenKid: kid, TokenFingerprint: fingerprint,
	}
}

// ListPendingWaitpoints lists the waitpoints of an execution that can be signalled. Closed ones are left out before a page is
// cut, so only the last page is short (FIX-S26).
func (r Rules) ListPendingWaitpoints(ctx context.Context, st store.Store, q ff.ListPendingWaitpoints) (ff.Page[ff.WaitpointSnapshot], error) {
	var page ff.Page[ff.WaitpointSnapshot]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := checkLimit(limit); err != nil {
		return page, named("list pending waitpoints", err)
	}
	tx, err := r.view(ctx, st, q.ExecutionID)
	if err != nil {
		return page, named("list pending waitpoints", err)
	}
	if tx.Execution(q.ExecutionID).State.Finished() { // nobody will ever wait for what was never bound
		return page, nil
	}
	after := record.WaitpointKey{ExecutionID: q.ExecutionID, WaitpointID: q.After}
	for {
		found, err := st.Records(ctx, store.RecordQuery{Family: record.Waitpoints, After: after, Prefix: executionPrefix, Limit: ff.MaxPage})
		if err != nil {
			return page, named("list pending waitpoints", err)
		}
		for _, rec := range found {
			w := rec.(*record.Waitpoint)
			after = w.WaitpointKey
			if w.State != ff.WaitpointPending && w.State != ff.WaitpointActive || waitpoint.Expired(w, tx.Now()) {
				continue
			}
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].WaitpointID.String()
				return page, nil
			}
			page.Items = append(page.Items, pointOf(w))
		}
		if len(found) < ff.MaxPage {
			return page, nil
		}
	}
}

// ListSuspended lists suspended executions.
func (r Rules) ListSuspended(ctx context.Context, st store.Store, q ff.ListSuspended) (ff.Page[ff.SuspendedExecution], error) {
	var page ff.Page[ff.SuspendedExecution]
	found, err := r.List(ctx, st, ff.ListExecutions{
		Lane: q.Lane, Namespace: q.Namespace, States: []ff.PublicState{ff.PublicSuspended}, After: q.After, Limit: q.Limit,
	})
	if err != nil {
		return page, err
	}
	page.Next = found.Next
	reads := store.Reads{}
	for _, e := range found.Items {
		reads.Records = append(reads.Records, suspensionKey(e.ExecutionID))
	}
	if len(reads.Records) == 0 {
		return page, nil
	}
	tx, err := st.View(ctx, reads)
	if err != nil {
		return page, named("list suspended", err)
	}
	for _, key := range reads.Records {
		s := store.Get[*record.Suspension](tx, key)
		if !s.Open() { // it was resumed in between
			continue
		}
		page.Items = append(page.Items, ff.SuspendedExecution{
			ExecutionID: s.ExecutionID, SuspendedAt: s.SuspendedAt, TimeoutAt: s.TimeoutAt, Reason: s.Reason,
		})
	}
	return page, nil
}
