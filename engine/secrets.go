package engine

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/store/record"
)

// SeedSecret implements [flowfabric.Secrets].
func (e *Engine) SeedSecret(ctx context.Context, cmd flowfabric.SeedSecret) (flowfabric.SeedResult, error) {
	const op = "seed secret"
	secret, err := cmd.Validate()
	if err != nil {
		return flowfabric.SeedResult{}, called(op, err)
	}
	if err := e.open(op); err != nil {
		return flowfabric.SeedResult{}, err
	}
	known, _, err := e.rules.Secrets(ctx, e.st)
	if err != nil {
		return flowfabric.SeedResult{}, called(op, err)
	}
	var current *record.Secret
	if err := e.do(ctx, e.rules.SeedSecret(cmd.Kid, secret, known, &current)); err != nil {
		return flowfabric.SeedResult{}, err
	}
	e.keys.forget()
	if current.Kid != cmd.Kid {
		return flowfabric.SeedResult{}, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: op, Detail: fmt.Sprintf("the secret %q signs already; rotate it instead", current.Kid),
		}
	}
	return flowfabric.SeedResult{
		Kid: cmd.Kid, AlreadySeeded: current.Version > 1 || len(known) > 0,
		SameSecret: subtle.ConstantTimeCompare(current.Secret, secret) == 1,
	}, nil
}

// RotateSecret implements [flowfabric.Secrets].
func (e *Engine) RotateSecret(ctx context.Context, cmd flowfabric.RotateSecret) (flowfabric.RotateResult, error) {
	const op = "rotate secret"
	if err := e.open(op); err != nil {
		return flowfabric.RotateResult{}, err
	}
	known, _, err := e.rules.Secrets(ctx, e.st)
	if err != nil {
		return flowfabric.RotateResult{}, called(op, err)
	}
	var res flowfabric.RotateResult
	rotate, err := e.rules.RotateSecret(cmd, known, &res)
	if err != nil {
		return flowfabric.RotateResult{}, err
	}
	if err := e.do(ctx, rotate); err != nil {
		return flowfabric.RotateResult{}, err
	}
	e.keys.forget()
	if !res.Noop && res.PreviousKid != "" {
		res.OpenWaitpoints = e.openWaitpoints(ctx, res.PreviousKid, cmd.Grace)
	}
	return res, nil
}

// openWaitpoints counts what waits for signals under a secret that has just been retired, and warns of it.
func (e *Engine) openWaitpoints(ctx context.Context, kid string, grace time.Duration) int {
	n, err := e.st.CountSignedBy(ctx, kid, flowfabric.MaxOpenWaitpoints)
	switch {
	case err != nil:
		e.log.WarnContext(ctx, "waitpoints whose tokens a retired secret signed could not be counted", "kid", kid, "error", err)
		return -1
	case n > 0:
		e.log.WarnContext(ctx, "waitpoints are open whose tokens verify no longer than the grace of the secret that was retired",
			"kid", kid, "open", n, "grace", grace)
	}
	return n
}

// ListSecrets implements [flowfabric.Secrets].
func (e *Engine) ListSecrets(ctx context.Context) ([]flowfabric.SecretSnapshot, error) {
	if err := e.open("list secrets"); err != nil {
		return nil, err
	}
	list, err := e.rules.ListSecrets(ctx, e.st)
	return list, commit.Coded(err)
}
