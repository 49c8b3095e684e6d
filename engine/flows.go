package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// SubmitFlow implements [flowfabric.Flows].
func (e *Engine) SubmitFlow(ctx context.Context, p flowfabric.FlowPlan) (flowfabric.FlowID, error) {
	cmd, err := p.Plan()
	if err != nil {
		return flowfabric.FlowID{}, err
	}
	if within := tracing.ParentOf(ctx); within != "" { // each member is told of the span of the flow
		cmd.Nodes = slices.Clone(cmd.Nodes)
		for i := range cmd.Nodes {
			submit := &cmd.Nodes[i].Submit
			submit.TraceParent = cmp.Or(submit.TraceParent, within)
		}
	}
	f, err := e.rules.NewFlow(cmd)
	if err != nil {
		return flowfabric.FlowID{}, err
	}
	if i, err := e.intake.admit(ctx, f.Commands()); err != nil {
		return flowfabric.FlowID{}, fmt.Errorf("node %q: %w", cmd.Nodes[i].Name, err)
	}
	if e.rules.OneShard {
		known, err := e.scopes.of(ctx, f.Drafts())
		if err != nil {
			return flowfabric.FlowID{}, err
		}
		f.Scope(known)
	}
	if err := e.do(ctx, e.rules.SubmitFlow(f, e.sched.Known)); err != nil {
		return flowfabric.FlowID{}, err
	}
	return f.ID, nil
}

// CreateFlow implements [flowfabric.Flows].
func (e *Engine) CreateFlow(ctx context.Context, cmd flowfabric.CreateFlow) (res flowfabric.CreateFlowResult, err error) {
	return res, e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CreateFlow(cmd, &res) })
}

// AddMember implements [flowfabric.Flows].
func (e *Engine) AddMember(ctx context.Context, cmd flowfabric.AddMember) (res flowfabric.AddMemberResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.AddMember(cmd, &res) })
	return res, err
}

// StageEdge implements [flowfabric.Flows].
func (e *Engine) StageEdge(ctx context.Context, cmd flowfabric.StageEdge) (res flowfabric.StageEdgeResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.StageEdge(cmd, &res) })
	return res, err
}

// ApplyEdge implements [flowfabric.Flows].
func (e *Engine) ApplyEdge(ctx context.Context, cmd flowfabric.ApplyEdge) (res flowfabric.ApplyEdgeResult, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.ApplyEdge(cmd, &res) })
	return res, err
}

// SetGroupPolicy implements [flowfabric.Flows].
func (e *Engine) SetGroupPolicy(ctx context.Context, cmd flowfabric.SetGroupPolicy) (changed bool, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.SetGroupPolicy(cmd, &changed) })
	return changed, err
}

// SetFlowTags implements [flowfabric.Flows].
func (e *Engine) SetFlowTags(ctx context.Context, cmd flowfabric.SetFlowTags) error {
	return e.doOp(ctx, func() (*ops.Op, error) { return e.rules.SetFlowTags(cmd) })
}

// FlowTags implements [flowfabric.Flows].
func (e *Engine) FlowTags(ctx context.Context, id flowfabric.FlowID) (map[string]string, error) {
	if err := e.open("flow tags"); err != nil {
		return nil, err
	}
	tags, err := e.rules.FlowTags(ctx, e.st, id)
	return tags, commit.Coded(err)
}

// DescribeEdge implements [flowfabric.Flows].
func (e *Engine) DescribeEdge(ctx context.Context, flow flowfabric.FlowID, id flowfabric.EdgeID) (flowfabric.EdgeSnapshot, error) {
	if err := e.open("describe edge"); err != nil {
		return flowfabric.EdgeSnapshot{}, err
	}
	s, err := e.rules.DescribeEdge(ctx, e.st, flow, id)
	return s, commit.Coded(err)
}

// doOp makes an operation and commits it.
func (e *Engine) doOp(ctx context.Context, newOp func() (*ops.Op, error)) error {
	op, err := newOp()
	if err != nil {
		return err
	}
	return e.do(ctx, op)
}

// WaitChildren implements [flowfabric.Flows].
func (e *Engine) WaitChildren(ctx context.Context, cmd flowfabric.WaitChildren) error {
	rec, known := e.held.lookup(cmd.ExecutionID)
	if !known || rec == nil || rec.FlowID.IsZero() {
		if err := e.open("wait children"); err != nil {
			return err
		}
		var err error
		if rec, err = e.rules.Execution(ctx, e.st, "wait children", cmd.ExecutionID); err != nil {
			return commit.Coded(err)
		}
	}
	w, err := e.rules.NewChildren(cmd, rec)
	if err != nil {
		return err
	}
	if i, err := e.intake.admit(ctx, w.Commands()); err != nil {
		return fmt.Errorf("child %q: %w", cmd.Children[i].Name, err)
	}
	if e.rules.OneShard {
		known, err := e.scopes.of(ctx, w.Drafts())
		if err != nil {
			return err
		}
		w.Scope(known)
	}
	return e.doHeld(ctx, cmd.ExecutionID, e.rules.WaitChildren(w, e.sched.Known))
}

// CancelFlow implements [flowfabric.Flows].
func (e *Engine) CancelFlow(ctx context.Context, cmd flowfabric.CancelFlow) (flowfabric.CancelFlowResult, error) {
	var res flowfabric.CancelFlowResult
	if cmd.Wait < 0 || cmd.Wait > flowfabric.MaxFlowWait {
		return res, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: "cancel flow", Detail: fmt.Sprintf("wait is %s; it must be between 0 and %s", cmd.Wait, flowfabric.MaxFlowWait),
		}
	}
	c := &ops.FlowCancel{
		FlowID: cmd.FlowID, Policy: cmd.Policy, Reason: cmd.Reason, Actor: cmd.Actor, By: flowfabric.SourceCancelFlow,
	}
	if c.Reason == "" {
		c.Reason = "flow_cancelled"
	}
	if err := e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CancelFlow(c) }); err != nil {
		return res, err
	}
	if c.AlreadyTerminal {
		members, err := e.rules.CancelledMembers(ctx, e.st, cmd.FlowID, flowfabric.MaxCancelledMembers)
		return flowfabric.CancelFlowResult{AlreadyTerminal: true, Policy: c.Flow.CancellationPolicy, Members: members}, commit.Coded(err)
	}
	res.Policy, res.Count, res.Members = c.Policy, c.Count, c.Members
	if c.More && cmd.Wait > 0 {
		ctx, stop := context.WithTimeout(ctx, cmd.Wait)
		defer stop()
		more, err := e.spreadCancel(ctx, c)
		res.Members = append(res.Members, more...)
		if err != nil {
			return res, err
		}
	}
	res.Members = res.Members[:min(len(res.Members), flowfabric.MaxCancelledMembers)]
	return res, nil
}

// spreadCancel carries the cancel of a flow on to its last member and returns those it cancelled.
func (e *Engine) spreadCancel(ctx context.Context, c *ops.FlowCancel) ([]flowfabric.ExecutionID, error) {
	key := record.BacklogKey{Home: c.Flow.Home, FlowID: c.FlowID}
	var all []flowfabric.ExecutionID
	for more := c.More; more; {
		var cancelled []flowfabric.ExecutionID
		if err := e.do(ctx, e.rules.SpreadCancel(key, &cancelled, &more)); err != nil {
			return all, err
		}
		all = append(all, cancelled...)
	}
	return all, nil
}

// CancelFlowHeader implements [flowfabric.Flows]. A flow of many members is cancelled in several commits, all of them before
// the call returns; should it not return, the due loop does the rest.
func (e *Engine) CancelFlowHeader(ctx context.Context, cmd flowfabric.CancelFlowHeader) (flowfabric.CancelFlowHeaderResult, error) {
	var res flowfabric.CancelFlowHeaderResult
	c := &ops.FlowCancel{
		FlowID: cmd.FlowID, Policy: cmd.Policy, Reason: cmd.Reason, Actor: cmd.Actor, By: flowfabric.SourceCancelFlowHeader,
		Acked: true,
	}
	if err := e.doOp(ctx, func() (*ops.Op, error) { return e.rules.CancelFlow(c) }); err != nil {
		return res, err
	}
	if !c.AlreadyTerminal && !c.More {
		return flowfabric.CancelFlowHeaderResult{Policy: c.Policy, Members: c.Members}, nil
	}
	if !c.AlreadyTerminal {
		res.Policy = c.Policy
		if _, err := e.spreadCancel(ctx, c); err != nil {
			return res, err
		}
		var err error // the due loop may have done a part of it
		res.Members, err = e.rules.CancelledMembers(ctx, e.st, cmd.FlowID, 0)
		return res, commit.Coded(err)
	}
	res.AlreadyTerminal, res.StoredReason = true, c.Flow.CancelReason
	if p := string(c.Flow.CancellationPolicy); p != "" {
		res.StoredPolicy = &p
	}
	members, err := e.rules.CancelledMembers(ctx, e.st, cmd.FlowID, 0)
	slices.SortFunc(members, flowfabric.ExecutionID.Compare)
	res.Members = members
	return res, commit.Coded(err)
}

// AckCancelMember implements [flowfabric.Flows].
func (e *Engine) AckCancelMember(ctx context.Context, cmd flowfabric.AckCancelMember) error {
	return e.doOp(ctx, func() (*ops.Op, error) { return e.rules.AckCancelMember(cmd) })
}

// DescribeFlow implements [flowfabric.Flows].
func (e *Engine) DescribeFlow(ctx context.Context, id flowfabric.FlowID) (flowfabric.FlowSnapshot, error) {
	if err := e.open("describe flow"); err != nil {
		return flowfabric.FlowSnapshot{}, err
	}
	s, err := e.rules.DescribeFlow(ctx, e.st, id)
	return s, commit.Coded(err)
}

// WaitFlow implements [flowfabric.Flows]. An end that another process commits is noticed within a second.
func (e *Engine) WaitFlow(ctx context.Context, id flowfabric.FlowID, wait time.Duration) (flowfabric.FlowSummary, error) {
	return waitFor(ctx, e, "wait for flow", flowWaiter(id), wait, func() (flowfabric.FlowSummary, bool, error) {
		if err := e.open("wait for flow"); err != nil {
			return flowfabric.FlowSummary{}, false, err
		}
		f, err := e.rules.Flow(ctx, e.st, id)
		if err != nil {
			return flowfabric.FlowSummary{}, false, commit.Coded(err)
		}
		return ops.FlowSummary(f), f.NodeCount > 0 && f.EndedCount >= f.NodeCount, nil
	})
}

// ListFlows implements [flowfabric.Flows].
func (e *Engine) ListFlows(ctx context.Context, q flowfabric.ListFlows) (flowfabric.Page[flowfabric.FlowSummary], error) {
	return list(e, "list flows", func(st store.Store) (flowfabric.Page[flowfabric.FlowSummary], error) {
		return e.rules.ListFlows(ctx, st, q)
	})
}

// ListNodes implements [flowfabric.Flows].
func (e *Engine) ListNodes(ctx context.Context, q flowfabric.ListNodes) (flowfabric.Page[flowfabric.NodeSnapshot], error) {
	return list(e, "list nodes", func(st store.Store) (flowfabric.Page[flowfabric.NodeSnapshot], error) {
		return e.rules.ListNodes(ctx, st, q)
	})
}

// ListEdges implements [flowfabric.Flows].
func (e *Engine) ListEdges(ctx context.Context, q flowfabric.ListEdges) (flowfabric.Page[flowfabric.EdgeSnapshot], error) {
	return list(e, "list edges", func(st store.Store) (flowfabric.Page[flowfabric.EdgeSnapshot], error) {
		return e.rules.ListEdges(ctx, st, q)
	})
}

func list[T any](e *Engine, op string, read func(store.Store) (flowfabric.Page[T], error)) (flowfabric.Page[T], error) {
	if err := e.open(op); err != nil {
		return flowfabric.Page[T]{}, err
	}
	page, err := read(e.st)
	return page, commit.Coded(err)
}
