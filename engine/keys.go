package engine

import (
	"context"
	"crypto/rand"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
)

// CreateKey implements [flowfabric.Keys].
func (e *Engine) CreateKey(ctx context.Context, cmd flowfabric.CreateKey) (flowfabric.IssuedKey, error) {
	const op = "create key"
	if err := e.open(op); err != nil {
		return flowfabric.IssuedKey{}, err
	}
	known, err := e.rules.Keys(ctx, e.st)
	if err != nil {
		return flowfabric.IssuedKey{}, called(op, err)
	}
	var id [flowfabric.KeyIDBytes]byte
	_, _ = rand.Read(id[:]) // never fails
	return e.issueKey(ctx, id, func(id flowfabric.KeyID, digest []byte, out *flowfabric.KeySnapshot) (*ops.Op, error) {
		return e.rules.CreateKey(cmd, id, digest, known, out)
	})
}

// RotateKey implements [flowfabric.Keys].
func (e *Engine) RotateKey(ctx context.Context, cmd flowfabric.RotateKey) (flowfabric.IssuedKey, error) {
	if err := e.open("rotate key"); err != nil {
		return flowfabric.IssuedKey{}, err
	}
	id, err := flowfabric.DecodeKeyID(cmd.KeyID)
	if err != nil {
		return flowfabric.IssuedKey{}, called("rotate key", err)
	}
	return e.issueKey(ctx, id, func(_ flowfabric.KeyID, digest []byte, out *flowfabric.KeySnapshot) (*ops.Op, error) {
		return e.rules.RotateKey(cmd, digest, out)
	})
}

// issueKey makes a secret for a key, and tells it once what its digest was needed for is committed.
func (e *Engine) issueKey(ctx context.Context, id [flowfabric.KeyIDBytes]byte, change func(flowfabric.KeyID, []byte, *flowfabric.KeySnapshot) (*ops.Op, error)) (flowfabric.IssuedKey, error) {
	var secret [flowfabric.KeySecretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	issued := flowfabric.IssuedKey{Text: flowfabric.NewKeyText(id, secret)}
	name, digest, err := issued.Text.Parse()
	if err == nil {
		err = e.doOp(ctx, func() (*ops.Op, error) { return change(name, digest[:], &issued.Key) })
	}
	if err != nil {
		return flowfabric.IssuedKey{}, err
	}
	return issued, nil
}

// RevokeKey implements [flowfabric.Keys].
func (e *Engine) RevokeKey(ctx context.Context, cmd flowfabric.RevokeKey) (key flowfabric.KeySnapshot, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.RevokeKey(cmd, &key) })
	return key, err
}

// VerifyKey implements [flowfabric.Keys].
func (e *Engine) VerifyKey(ctx context.Context, cmd flowfabric.VerifyKey) (flowfabric.KeySnapshot, error) {
	if err := e.open("verify key"); err != nil {
		return flowfabric.KeySnapshot{}, err
	}
	key, err := e.rules.VerifyKey(ctx, e.st, cmd)
	return key, commit.Coded(err)
}

// ListKeys implements [flowfabric.Keys].
func (e *Engine) ListKeys(ctx context.Context, q flowfabric.ListKeys) (flowfabric.Page[flowfabric.KeySnapshot], error) {
	if err := e.open("list keys"); err != nil {
		return flowfabric.Page[flowfabric.KeySnapshot]{}, err
	}
	page, err := e.rules.ListKeys(ctx, e.st, q)
	return page, commit.Coded(err)
}
