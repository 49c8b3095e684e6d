package ops

import (
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Cancel ends an execution; out gets its public state.
func (r Rules) Cancel(cmd ff.Cancel, out *ff.CancelResult) (*Op, error) {
	if err := r.checkCancel(&cmd); err != nil {
		return nil, named("cancel", err)
	}
	return r.onExecution("cancel", cmd.ExecutionID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
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
	op := r.onExecution("change priority", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
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
	op := r.onMember("replay", cmd.ExecutionID, true, func(tx *store.Tx, e *record.Execution, att *record.Attempt) (lifecycle.Change, error) {
		groups, err := reopen(tx, e, att)
		if err != nil {
			return lifecycle.Change{}, err
		}
		ch, err := lifecycle.Replay(e, att, groups, &cmd, tx.Now())
		if err == nil {
			*out = ff.ReplayResult{PublicState: ch.Execution.Public}
		}
		return ch, err
	})
	op.Once = true // every success counts as a replay
	return op, nil
}

// reopen does for the replay of a member of a flow what its flow and its edges need, and returns how many groups of edges
// it has re-opened. A flow that has no record is none of its business.
func reopen(tx *store.Tx, e *record.Execution, att *record.Attempt) (groups int, err error) {
	if e.FlowID.IsZero() || !e.State.Finished() {
		return 0, nil
	}
	flow, group := flowKeyOf(e), groupKeyOf(flowKeyOf(e), e.ID)
	recount, siblings := errandKey(e, record.Recount), errandKey(e, record.CancelSiblings)
	if missing, any := tx.Missing(store.Reads{Records: []record.Key{flow, group, recount, siblings}}); any {
		return 0, tx.Need(missing)
	}
	if f := store.Get[*record.Flow](tx, flow); f != nil {
		if f, err = graph.MemberReplayed(f, e.State.Outcome, tx.Now()); err != nil {
			return 0, err
		}
		tx.Put(f)
	}
	g := store.Get[*record.Group](tx, group)
	if g == nil || !lifecycle.SkippedMember(e, att) {
		return 0, nil
	}
	tx.Put(graph.Reopen(g))
	again := &record.Errand{ErrandKey: recount, EnqueuedAt: tx.Now()}
	if old := store.Get[*record.Errand](tx, recount); old != nil { // of an earlier replay: from the first edge again
		again.Version = old.Version
	}
	tx.Put(again)
	if store.Get[*record.Errand](tx, siblings) != nil {
		tx.Delete(siblings)
	}
	return 1, nil
}

// RevokeLease takes a lease away; out says what was done.
func (r Rules) RevokeLease(cmd ff.RevokeLease, out *ff.RevokeResult) (*Op, error) {
	if err := r.checkRevoke(&cmd); err != nil {
		return nil, named("revoke lease", err)
	}
	return r.onExecution("revoke lease", cmd.ExecutionID, true, func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		ch, res, err := lifecycle.RevokeLease(e, att, &cmd, now)
		*out = res
		return ch, err
	}), nil
}

// Block keeps a waiting execution from being claimed.
func (r Rules) Block(cmd ff.Block) (*Op, error) {
	if err := r.checkBlock(&cmd); err != nil {
		return nil, named("block", err)
	}
	return r.onExecution("block", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.Block(e, &cmd, now)
	}), nil
}

// Unblock lets a blocked execution go on.
func (r Rules) Unblock(cmd ff.Unblock) (*Op, error) {
	if err := r.checkUnblock(&cmd); err != nil {
		return nil, named("unblock", err)
	}
	op := r.onExecution("unblock", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.Unblock(e, &cmd, now)
	})
	op.Once = true // a repeat finds nothing blocked
	return op, nil
}

// ClaimExecution leases a named execution to an operator; out gets the grant.
func (r Rules) ClaimExecution(cmd ff.ClaimExecution, out *ff.Claimed) (*Op, error) {
	if err := r.checkClaimExecution(&cmd); err != nil {
		return nil, named("claim execution", err)
	}
	grant := lifecycle.Grant{
		WorkerID: cmd.WorkerID, WorkerInstanceID: cmd.WorkerInstanceID, LeaseID: ff.NewLeaseID(), AttemptID: ff.NewAttemptID(), TTL: cmd.LeaseTTL,
	}
	op := r.onMember("claim execution", cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		ch, err := lifecycle.ClaimByOperator(e, grant, cmd.Actor, tx.Now())
		if err != nil || ch.Execution == nil {
			return ch, err
		}
		if missing, any := tx.Missing(store.Reads{Records: limitsKeys([]*record.Execution{e})}); any {
			return lifecycle.Change{}, tx.Need(missing)
		}
		books := booksOf(tx)
		limits, refused := books.Admit(e, tx.Now())
		if refused != nil {
			return lifecycle.Change{}, refusal(refused)
		}
		keepBooks(tx, books)
		ch.Execution.Limits = limits
		*out = claimed(ch.Execution, ff.Claim{LeaseTTL: cmd.LeaseTTL}, lifecycle.Resumes(e))
		return ch, nil
	})
	op.Once = true // a repeat would find the lease of the first
	return op, nil
}

// SetTags adds tags to an execution.
func (r Rules) SetTags(cmd ff.SetTags) (*Op, error) {
	if err := r.checkSetTags(&cmd); err != nil {
		return nil, named("set tags", err)
	}
	cmd.Tags = maps.Clone(cmd.Tags) // the commit may outlive the call
	return r.onExecution("set tags", cmd.ExecutionID, false, func(e *record.Execution, _ *record.Attempt, now ff.Timestamp) (lifecycle.Change, error) {
		return lifecycle.SetTags(e, &cmd, now)
	}), nil
}
