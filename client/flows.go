package client

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// AddMember implements [flowfabric.Flows].
func (c *Client) AddMember(ctx context.Context, cmd flowfabric.AddMember) (flowfabric.AddMemberResult, error) {
	return call(ctx, c, wire.AddMember, cmd)
}

// StageEdge implements [flowfabric.Flows].
func (c *Client) StageEdge(ctx context.Context, cmd flowfabric.StageEdge) (flowfabric.StageEdgeResult, error) {
	return call(ctx, c, wire.StageEdge, cmd)
}

// ApplyEdge implements [flowfabric.Flows].
func (c *Client) ApplyEdge(ctx context.Context, cmd flowfabric.ApplyEdge) (flowfabric.ApplyEdgeResult, error) {
	return call(ctx, c, wire.ApplyEdge, cmd)
}

// WaitChildren implements [flowfabric.Flows].
func (c *Client) WaitChildren(ctx context.Context, cmd flowfabric.WaitChildren) error {
	_, err := call(ctx, c, wire.WaitChildren, cmd)
	return err
}

// SetFlowTags implements [flowfabric.Flows].
func (c *Client) SetFlowTags(ctx context.Context, cmd flowfabric.SetFlowTags) error {
	_, err := call(ctx, c, wire.SetFlowTags, cmd)
	return err
}

// CancelFlowHeader implements [flowfabric.Flows].
func (c *Client) CancelFlowHeader(ctx context.Context, cmd flowfabric.CancelFlowHeader) (flowfabric.CancelFlowHeaderResult, error) {
	return call(ctx, c, wire.CancelFlowHeader, cmd)
}

// AckCancelMember implements [flowfabric.Flows].
func (c *Client) AckCancelMember(ctx context.Context, cmd flowfabric.AckCancelMember) error {
	_, err := call(ctx, c, wire.AckCancelMember, cmd)
	return err
}

// DescribeFlow implements [flowfabric.Flows].
func (c *Client) DescribeFlow(ctx context.Context, id flowfabric.FlowID) (flowfabric.FlowSnapshot, error) {
	return call(ctx, c, wire.DescribeFlow, wire.OfFlow{FlowID: id})
}

// ListFlows implements [flowfabric.Flows].
func (c *Client) ListFlows(ctx context.Context, q flowfabric.ListFlows) (flowfabric.Page[flowfabric.FlowSummary], error) {
	return call(ctx, c, wire.ListFlows, q)
}

// ListNodes implements [flowfabric.Flows].
func (c *Client) ListNodes(ctx context.Context, q flowfabric.ListNodes) (flowfabric.Page[flowfabric.NodeSnapshot], error) {
	return call(ctx, c, wire.ListNodes, q)
}

// ListEdges implements [flowfabric.Flows].
func (c *Client) ListEdges(ctx context.Context, q flowfabric.ListEdges) (flowfabric.Page[flowfabric.EdgeSnapshot], error) {
	return call(ctx, c, wire.ListEdges, q)
}

// DescribeEdge implements [flowfabric.Flows].
func (c *Client) DescribeEdge(ctx context.Context, flow flowfabric.FlowID, id flowfabric.EdgeID) (flowfabric.EdgeSnapshot, error) {
	return call(ctx, c, wire.DescribeEdge, wire.OfEdge{FlowID: flow, EdgeID: id})
}

// SubmitFlow implements [flowfabric.Flows].
func (c *Client) SubmitFlow(ctx context.Context, plan flowfabric.FlowPlan) (flowfabric.FlowID, error) {
	cmd, err := plan.Plan()
	if err != nil {
		return flowfabric.FlowID{}, err
	}
	if cmd.FlowID.IsZero() {
		cmd.FlowID = flowfabric.NewFlowID()
	}
	res, err := call(ctx, c, wire.SubmitFlow, cmd)
	return res.FlowID, err
}

// CreateFlow implements [flowfabric.Flows].
func (c *Client) CreateFlow(ctx context.Context, cmd flowfabric.CreateFlow) (flowfabric.CreateFlowResult, error) {
	if cmd.FlowID.IsZero() {
		cmd.FlowID = flowfabric.NewFlowID()
	}
	return call(ctx, c, wire.CreateFlow, cmd)
}

// SetGroupPolicy implements [flowfabric.Flows].
func (c *Client) SetGroupPolicy(ctx context.Context, cmd flowfabric.SetGroupPolicy) (bool, error) {
	res, err := call(ctx, c, wire.SetGroupPolicy, cmd)
	return res.Changed, err
}

// CancelFlow implements [flowfabric.Flows].
func (c *Client) CancelFlow(ctx context.Context, cmd flowfabric.CancelFlow) (flowfabric.CancelFlowResult, error) {
	return callFor(ctx, c, wire.CancelFlow, cmd, cmd.Wait, true)
}

// FlowTags implements [flowfabric.Flows].
func (c *Client) FlowTags(ctx context.Context, id flowfabric.FlowID) (map[string]string, error) {
	res, err := call(ctx, c, wire.FlowTags, wire.OfFlow{FlowID: id})
	return res.Tags, err
}

// WaitFlow implements [flowfabric.Flows].
func (c *Client) WaitFlow(ctx context.Context, id flowfabric.FlowID, wait time.Duration) (flowfabric.FlowSummary, error) {
	return callFor(ctx, c, wire.AwaitFlow, wire.WaitFlow{FlowID: id, Wait: wait}, wait, true)
}
