package client

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// CloseWaitpoint implements [flowfabric.Suspensions].
func (c *Client) CloseWaitpoint(ctx context.Context, cmd flowfabric.CloseWaitpoint) (flowfabric.CloseResult, error) {
	return call(ctx, c, wire.CloseWaitpoint, cmd)
}

// Approve implements [flowfabric.Suspensions].
func (c *Client) Approve(ctx context.Context, cmd flowfabric.Approval) (flowfabric.SignalResult, error) {
	return call(ctx, c, wire.Approve, cmd)
}

// SignalByLink implements [flowfabric.Suspensions].
func (c *Client) SignalByLink(ctx context.Context, cmd flowfabric.SignalByLink) (flowfabric.SignalResult, error) {
	return call(ctx, c, wire.SignalByLink, cmd)
}

// Resume implements [flowfabric.Suspensions].
func (c *Client) Resume(ctx context.Context, cmd flowfabric.ResumeExecution) (flowfabric.ResumeResult, error) {
	return call(ctx, c, wire.Resume, cmd)
}

// DescribeSuspension implements [flowfabric.Suspensions].
func (c *Client) DescribeSuspension(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.SuspensionSnapshot, error) {
	return call(ctx, c, wire.DescribeSuspension, wire.OfExecution{ExecutionID: id})
}

// DescribeWaitpoint implements [flowfabric.Suspensions].
func (c *Client) DescribeWaitpoint(ctx context.Context, id flowfabric.ExecutionID, waitpoint flowfabric.WaitpointID) (flowfabric.WaitpointSignals, error) {
	return call(ctx, c, wire.DescribeWaitpoint, wire.OfWaitpoint{ExecutionID: id, WaitpointID: waitpoint})
}

// ResumeSignals implements [flowfabric.Suspensions].
func (c *Client) ResumeSignals(ctx context.Context, id flowfabric.ExecutionID) (flowfabric.ResumeSignals, error) {
	return call(ctx, c, wire.ResumeSignals, wire.OfExecution{ExecutionID: id})
}

// ListPendingWaitpoints implements [flowfabric.Suspensions].
func (c *Client) ListPendingWaitpoints(ctx context.Context, q flowfabric.ListPendingWaitpoints) (flowfabric.Page[flowfabric.WaitpointSnapshot], error) {
	return call(ctx, c, wire.ListPending, q)
}

// ListSuspended implements [flowfabric.Suspensions].
func (c *Client) ListSuspended(ctx context.Context, q flowfabric.ListSuspended) (flowfabric.Page[flowfabric.SuspendedExecution], error) {
	return call(ctx, c, wire.ListSuspended, q)
}

// Suspend implements [flowfabric.Suspensions].
func (c *Client) Suspend(ctx context.Context, cmd flowfabric.Suspend) (flowfabric.Suspended, error) {
	if cmd.SuspensionID.IsZero() {
		cmd.SuspensionID = flowfabric.NewSuspensionID()
	}
	return c.suspend.do(ctx, cmd)
}

// CreateWaitpoint implements [flowfabric.Suspensions].
func (c *Client) CreateWaitpoint(ctx context.Context, cmd flowfabric.CreateWaitpoint) (flowfabric.WaitpointGrant, error) {
	if cmd.WaitpointID.IsZero() {
		cmd.WaitpointID = flowfabric.NewWaitpointID()
	}
	return callFor(ctx, c, wire.CreateWaitpoint, cmd, 0, true)
}

// DeliverSignal implements [flowfabric.Suspensions].
func (c *Client) DeliverSignal(ctx context.Context, cmd flowfabric.Signal) (flowfabric.SignalResult, error) {
	if cmd.SignalID.IsZero() {
		cmd.SignalID = flowfabric.NewSignalID()
	}
	return call(ctx, c, wire.DeliverSignal, cmd)
}

// SealLink implements [flowfabric.Suspensions].
func (c *Client) SealLink(ctx context.Context, cmd flowfabric.SealLink) (flowfabric.SignalLink, error) {
	res, err := call(ctx, c, wire.SealLink, cmd)
	return res.Link, err
}

// WaitpointToken implements [flowfabric.Suspensions].
func (c *Client) WaitpointToken(ctx context.Context, id flowfabric.ExecutionID, waitpoint flowfabric.WaitpointID) (flowfabric.WaitpointToken, error) {
	res, err := call(ctx, c, wire.WaitpointToken, wire.OfWaitpoint{ExecutionID: id, WaitpointID: waitpoint})
	return res.Token, err
}
