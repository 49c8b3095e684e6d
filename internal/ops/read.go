package ops

import (
	"context"
	"maps"
	"strconv"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Read loads an execution and its current attempt, if that is stored.
func (r Rules) read(ctx context.Context, st store.Store, id ff.ExecutionID) (*record.Execution, *record.Attempt, error) {
	if err := r.checkID(id); err != nil {
		return nil, nil, err
	}
	tx, err := st.View(ctx, store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		return nil, nil, err
	}
	e := tx.Execution(id)
	if e == nil {
		return nil, nil, notFound(id)
	}
	if e = lifecycle.Normalize(e, nil); lifecycle.AttemptOpen(e) || e.TotalAttempts == 0 && e.State.AttemptState == ff.PendingFirstAttempt {
		return e, nil, nil
	}
	key := record.AttemptKey{ExecutionID: id, Index: e.AttemptIndex}
	if tx, err = st.View(ctx, store.Reads{Attempts: []record.AttemptKey{key}}); err != nil {
		return nil, nil, err
	}
	att := tx.Attempt(key)
	return lifecycle.Normalize(e, att), att, nil
}

// Describe tells the state of an execution.
func (r Rules) Describe(ctx context.Context, st store.Store, id ff.ExecutionID) (ff.ExecutionSnapshot, error) {
	e, att, err := r.read(ctx, st, id)
	if err != nil {
		return ff.ExecutionSnapshot{}, named("describe", err)
	}
	s := ff.ExecutionSnapshot{
		ExecutionID: e.ID, FlowID: e.FlowID, Lane: e.Lane, Namespace: e.Namespace, Kind: e.Kind, Creator: e.Creator,
		Priority: e.Priority, State: e.State, PublicState: lifecycle.PublicState(e.State), BlockingDetail: e.BlockingDetail,
		RequiredCapabilities: e.Capabilities, Tags: maps.Clone(e.Tags), Policy: e.Policy.Normalized(), TraceParent: e.TraceParent,
		CreatedAt: e.CreatedAt, StartedAt: e.StartedAt, CompletedAt: e.CompletedAt,
		LastTransitionAt: e.LastTransitionAt, LastMutationAt: e.LastMutationAt, DelayUntil: e.DelayUntil,
		DeadlineAt: e.DeadlineAt, RetainUntil: e.RetainUntil,
		TotalAttempts: e.TotalAttempts, RetryCount: e.RetryCount, ReclaimCount: e.ReclaimCount, ReplayCount: e.ReplayCount,
		FailureReason: e.FailureReason, FailureCategory: e.FailureCategory,
		CancellationReason: e.CancellationReason, CancelledBy: e.CancelledBy,
		Progress: ff.ProgressSnapshot{
			Percent: e.ProgressPercent, Message: e.ProgressMessage, Details: e.ProgressDetails, UpdatedAt: e.ProgressUpdatedAt,
		},
	}
	switch {
	case lifecycle.AttemptOpen(e):
		a := openAttempt(e)
		s.Attempt = &a
	case att != nil:
		a := storedAttempt(att)
		s.Attempt = &a
	}
	if e.State.Ownership == ff.Leased {
		s.Lease = leaseSnapshot(e)
	}
	return s, nil
}

func leaseSnapshot(e *record.Execution) *ff.LeaseSnapshot {
	return &ff.LeaseSnapshot{
		LeaseID: e.LeaseID, Epoch: e.Epoch, WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID,
		AcquiredAt: e.LeaseAcquiredAt, RenewedAt: e.LeaseRenewedAt, ExpiresAt: e.LeaseExpiresAt,
		AttemptEndsAt: e.AttemptEndsAt,
	}
}

// Result returns how an execution ended.
func (r Rules) Result(ctx context.Context, st store.Store, id ff.ExecutionID) (ff.Result, error) {
	e, _, err := r.read(ctx, st, id)
	if err != nil {
		return ff.Result{}, named("result", err)
	}
	res := ff.Result{Outcome: e.State.Outcome}
	if e.State.Finished() {
		res.Payload, res.Encoding = e.Result, e.ResultEncoding
		res.FailureReason, res.FailureCategory, res.CompletedAt = e.FailureReason, e.FailureCategory, e.CompletedAt
	}
	return res, nil
}

// Attempts lists attempts by index. The cursor is the index to go on from.
func (r Rules) Attempts(ctx context.Context, st store.Store, q ff.ListAttempts) (ff.Page[ff.AttemptSnapshot], error) {
	var page ff.Page[ff.AttemptSnapshot]
	from, limit, err := pageOf(q.After, q.Limit)
	if err != nil {
		return page, named("attempts", err)
	}
	e, _, err := r.read(ctx, st, q.ExecutionID)
	if err != nil {
		return page, named("attempts", err)
	}
	tx, err := st.View(ctx, store.Reads{AttemptsOf: []store.AttemptsQuery{{ExecutionID: e.ID, From: from, Limit: limit + 1}}})
	if err != nil {
		return page, err
	}
	for _, a := range tx.AttemptsOf(0) {
		if !lifecycle.AttemptOpen(e) || a.Index != e.AttemptIndex { // the open one is told by its execution
			page.Items = append(page.Items, storedAttempt(a))
		}
	}
	if lifecycle.AttemptOpen(e) && e.AttemptIndex >= from && len(page.Items) <= limit {
		page.Items = append(page.Items, openAttempt(e))
	}
	if len(page.Items) > limit {
		page.Next = strconv.Itoa(page.Items[limit].Index)
		page.Items = page.Items[:limit]
	}
	return page, nil
}

func pageOf(after string, limit int) (from, n int, err error) {
	if n = limit; n == 0 {
		n = ff.DefaultPage
	}
	if err := checkLimit(n); err != nil {
		return 0, 0, err
	}
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil || from < 0 {
			return 0, 0, invalid("after", "is not a cursor of this list")
		}
	}
	return from, n, nil
}

func openAttempt(e *record.Execution) ff.AttemptSnapshot {
	state := ff.AttemptStarted
	if e.State.Phase != ff.PhaseActive {
		state = ff.AttemptSuspended
	}
	return ff.AttemptSnapshot{
		AttemptID: e.AttemptID, Index: e.AttemptIndex, Type: e.AttemptType, State: state, LeaseEpoch: e.Epoch,
		WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID, StartedAt: e.AttemptStartedAt,
	}
}

func storedAttempt(a *record.Attempt) ff.AttemptSnapshot {
	return ff.AttemptSnapshot{
		AttemptID: a.AttemptID, Index: a.Index, Type: a.Type, State: a.State, LeaseEpoch: a.LeaseEpoch,
		WorkerID: a.WorkerID, WorkerInstanceID: a.WorkerInstanceID, StartedAt: a.StartedAt, EndedAt: a.EndedAt,
		FailureReason: a.FailureReason, FailureCategory: a.FailureCategory,
	}
}
