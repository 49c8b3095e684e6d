package client

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// UpdateProgress implements [flowfabric.Workers].
func (c *Client) UpdateProgress(ctx context.Context, cmd flowfabric.UpdateProgress) error {
	_, err := c.progress.do(ctx, cmd)
	return err
}

// Complete implements [flowfabric.Workers].
func (c *Client) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	_, err := c.complete.do(ctx, cmd)
	return err
}

// Fail implements [flowfabric.Workers].
func (c *Client) Fail(ctx context.Context, cmd flowfabric.Fail) (flowfabric.FailResult, error) {
	return c.fail.do(ctx, cmd)
}

// Release implements [flowfabric.Workers].
func (c *Client) Release(ctx context.Context, cmd flowfabric.Release) error {
	_, err := c.release.do(ctx, cmd)
	return err
}

// RegisterWorker implements [flowfabric.Registry].
func (c *Client) RegisterWorker(ctx context.Context, cmd flowfabric.RegisterWorker) (flowfabric.RegisterResult, error) {
	return call(ctx, c, wire.Register, cmd)
}

// HeartbeatWorker implements [flowfabric.Registry].
func (c *Client) HeartbeatWorker(ctx context.Context, cmd flowfabric.HeartbeatWorker) (flowfabric.HeartbeatResult, error) {
	return call(ctx, c, wire.Heartbeat, cmd)
}

// MarkWorkerDead implements [flowfabric.Registry].
func (c *Client) MarkWorkerDead(ctx context.Context, cmd flowfabric.MarkWorkerDead) (flowfabric.MarkDeadResult, error) {
	return call(ctx, c, wire.MarkDead, cmd)
}

// ListWorkers implements [flowfabric.Registry].
func (c *Client) ListWorkers(ctx context.Context, q flowfabric.ListWorkers) (flowfabric.Page[flowfabric.WorkerSnapshot], error) {
	return call(ctx, c, wire.ListWorkers, q)
}

// ListExpiredLeases implements [flowfabric.Registry].
func (c *Client) ListExpiredLeases(ctx context.Context, q flowfabric.ListExpiredLeases) (flowfabric.Page[flowfabric.ExpiredLease], error) {
	return call(ctx, c, wire.ListExpired, q)
}

// Claim implements [flowfabric.Workers]. When the answer does not come, because ctx has ended or the connection was lost, what
// the server may have handed out is asked for again and given back, so that nobody has to wait until its lease runs out; that may
// hold work for a moment which came since.
func (c *Client) Claim(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	if cmd.RequestID == "" {
		cmd.RequestID, cmd.FirstTry = rand.Text(), true
	}
	again := cmd
	again.FirstTry = false
	res, err := callAgain(ctx, c, wire.Claim, cmd, &again, cmd.Wait, true)
	if errors.Is(err, flowfabric.ErrTimeout) {
		c.giveBack(ctx, again)
	}
	return res.Executions, err
}

// giveBack releases what a claim was granted whose answer was lost.
func (c *Client) giveBack(ctx context.Context, cmd flowfabric.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	cmd.Wait = 0
	c.late.Go(func() {
		defer cancel()
		res, _ := callFor(ctx, c, wire.Claim, cmd, 0, true) // else the leases run out
		for _, got := range res.Executions {
			_ = c.Release(ctx, flowfabric.Release{ExecutionID: got.ExecutionID, Fence: got.Fence})
		}
	})
}

// Renew implements [flowfabric.Workers].
func (c *Client) Renew(ctx context.Context, cmd flowfabric.Renew) (flowfabric.Timestamp, error) {
	res, err := c.renew.do(ctx, cmd)
	return res.At, err
}

// RenewMany implements [flowfabric.Workers].
func (c *Client) RenewMany(ctx context.Context, cmds []flowfabric.Renew) ([]flowfabric.RenewResult, error) {
	res, err := call(ctx, c, wire.RenewAll, wire.RenewMany{Leases: cmds})
	return res.Results, err
}

// Delay implements [flowfabric.Workers].
func (c *Client) Delay(ctx context.Context, cmd flowfabric.Delay) (flowfabric.Timestamp, error) {
	res, err := c.delay.do(ctx, cmd)
	return res.At, err
}

// SealHandle implements [flowfabric.Handles].
func (c *Client) SealHandle(ctx context.Context, claimed flowfabric.Claimed) (flowfabric.Handle, error) {
	res, err := call(ctx, c, wire.SealHandle, claimed)
	return res.Handle, err
}

// OpenHandle implements [flowfabric.Handles].
func (c *Client) OpenHandle(ctx context.Context, h flowfabric.Handle) (flowfabric.HandleInfo, error) {
	return call(ctx, c, wire.OpenHandle, wire.OfHandle{Handle: h})
}
