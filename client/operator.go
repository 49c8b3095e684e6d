package client

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// ChangePriority implements [flowfabric.Operator].
func (c *Client) ChangePriority(ctx context.Context, cmd flowfabric.ChangePriority) (flowfabric.ChangePriorityResult, error) {
	return call(ctx, c, wire.ChangePriority, cmd)
}

// Replay implements [flowfabric.Operator].
func (c *Client) Replay(ctx context.Context, cmd flowfabric.Replay) (flowfabric.ReplayResult, error) {
	return call(ctx, c, wire.Replay, cmd)
}

// RevokeLease implements [flowfabric.Operator].
func (c *Client) RevokeLease(ctx context.Context, cmd flowfabric.RevokeLease) (flowfabric.RevokeResult, error) {
	return call(ctx, c, wire.RevokeLease, cmd)
}

// ClaimExecution implements [flowfabric.Operator].
func (c *Client) ClaimExecution(ctx context.Context, cmd flowfabric.ClaimExecution) (flowfabric.Claimed, error) {
	return call(ctx, c, wire.ClaimExecution, cmd)
}

// Block implements [flowfabric.Operator].
func (c *Client) Block(ctx context.Context, cmd flowfabric.Block) error {
	_, err := call(ctx, c, wire.Block, cmd)
	return err
}

// Unblock implements [flowfabric.Operator].
func (c *Client) Unblock(ctx context.Context, cmd flowfabric.Unblock) error {
	_, err := call(ctx, c, wire.Unblock, cmd)
	return err
}

// UpdateLane implements [flowfabric.Lanes].
func (c *Client) UpdateLane(ctx context.Context, cmd flowfabric.UpdateLane) (flowfabric.LaneSnapshot, error) {
	return call(ctx, c, wire.UpdateLane, cmd)
}

// Lane implements [flowfabric.Lanes].
func (c *Client) Lane(ctx context.Context, lane flowfabric.LaneID) (flowfabric.LaneSnapshot, error) {
	return call(ctx, c, wire.GetLane, wire.OfLane{Lane: lane})
}

// ListLanes implements [flowfabric.Lanes].
func (c *Client) ListLanes(ctx context.Context, q flowfabric.ListLanes) (flowfabric.Page[flowfabric.LaneSnapshot], error) {
	return call(ctx, c, wire.ListLanes, q)
}

// LaneCounts implements [flowfabric.Lanes].
func (c *Client) LaneCounts(ctx context.Context, lane flowfabric.LaneID) (flowfabric.LaneCounts, error) {
	return call(ctx, c, wire.LaneCounts, wire.OfLane{Lane: lane})
}

// SeedSecret implements [flowfabric.Secrets].
func (c *Client) SeedSecret(ctx context.Context, cmd flowfabric.SeedSecret) (flowfabric.SeedResult, error) {
	return call(ctx, c, wire.SeedSecret, cmd)
}

// RotateSecret implements [flowfabric.Secrets].
func (c *Client) RotateSecret(ctx context.Context, cmd flowfabric.RotateSecret) (flowfabric.RotateResult, error) {
	return call(ctx, c, wire.RotateSecret, cmd)
}

// ListSecrets implements [flowfabric.Secrets].
func (c *Client) ListSecrets(ctx context.Context) ([]flowfabric.SecretSnapshot, error) {
	res, err := call(ctx, c, wire.ListSecrets, wire.Nothing{})
	return res.Secrets, err
}

// CreateKey implements [flowfabric.Keys].
func (c *Client) CreateKey(ctx context.Context, cmd flowfabric.CreateKey) (flowfabric.IssuedKey, error) {
	return call(ctx, c, wire.CreateKey, cmd)
}

// RotateKey implements [flowfabric.Keys].
func (c *Client) RotateKey(ctx context.Context, cmd flowfabric.RotateKey) (flowfabric.IssuedKey, error) {
	return call(ctx, c, wire.RotateKey, cmd)
}

// RevokeKey implements [flowfabric.Keys].
func (c *Client) RevokeKey(ctx context.Context, cmd flowfabric.RevokeKey) (flowfabric.KeySnapshot, error) {
	return call(ctx, c, wire.RevokeKey, cmd)
}

// VerifyKey implements [flowfabric.Keys].
func (c *Client) VerifyKey(ctx context.Context, cmd flowfabric.VerifyKey) (flowfabric.KeySnapshot, error) {
	return call(ctx, c, wire.VerifyKey, cmd)
}

// ListKeys implements [flowfabric.Keys].
func (c *Client) ListKeys(ctx context.Context, q flowfabric.ListKeys) (flowfabric.Page[flowfabric.KeySnapshot], error) {
	return call(ctx, c, wire.ListKeys, q)
}
