package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/handle"
)

// SealHandle implements [flowfabric.Handles].
func (e *Engine) SealHandle(ctx context.Context, c flowfabric.Claimed) (flowfabric.Handle, error) {
	const op = "seal handle"
	if err := e.open(op); err != nil {
		return "", err
	}
	key, err := e.keys.signing(ctx)
	if err != nil {
		return "", called(op, err)
	}
	h, err := handle.Seal(key, c.HandleInfo())
	return h, called(op, err)
}

// OpenHandle implements [flowfabric.Handles].
func (e *Engine) OpenHandle(ctx context.Context, h flowfabric.Handle) (flowfabric.HandleInfo, error) {
	const op = "open handle"
	if err := e.open(op); err != nil {
		return flowfabric.HandleInfo{}, err
	}
	sealed, err := handle.Parse(h)
	if err != nil {
		return flowfabric.HandleInfo{}, called(op, err)
	}
	secret, err := e.keys.verifying(ctx, sealed.Kid())
	if err != nil {
		return flowfabric.HandleInfo{}, called(op, err)
	}
	if secret == nil {
		return flowfabric.HandleInfo{}, &flowfabric.Error{
			Code: flowfabric.CodeCorruption, Op: op,
			Detail: "not a valid handle: the key it was signed with is not known or has expired; claim again, or take a handle from the deployment's own engines",
		}
	}
	info, err := sealed.Open(secret)
	return info, called(op, err)
}

// called gives an error a code and the name of the call that failed.
func called(op string, err error) error {
	err = commit.Coded(err)
	if e, ok := err.(*flowfabric.Error); ok && e.Op == "" { //nolint:errorlint // what Coded returns, not what it wraps
		n := *e
		n.Op = op
		return &n
	}
	return err
}
