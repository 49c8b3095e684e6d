package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// Transactions are how [StepTx] writes to the caller's database, which is the one the engine stands on.
type Transactions[Tx any] struct {
	// Run runs fn in a transaction: it commits if fn returns nil, and rolls back and returns the error if not; for example
	// pgx.BeginFunc of a pool.
	Run func(ctx context.Context, fn func(tx Tx) error) error
	// Record records a step in a transaction: postgres.RecordStepTx, postgres.RecordStepSQLTx or sqlite.RecordStepTx, with
	// their options.
	Record func(ctx context.Context, tx Tx, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error)
}

// errRepeated rolls a transaction back whose step was recorded by somebody else meanwhile.
var errRepeated = errors.New("the step was recorded before")

// StepTx is [Step] for what is done to the database the engine stands on: the rows that fn writes in its transaction and the
// memo are committed together or not at all, under the task's lease. So fn's effect happens once, whatever crashes. If fn
// fails, its transaction is rolled back, and the error is recorded as by Step. The execution cannot change hands while the
// transaction commits, so keep it short.
func StepTx[T, Tx any](ctx context.Context, name string, db Transactions[Tx], fn func(ctx context.Context, tx Tx) (T, error), opts ...StepOption) (T, error) {
	var none T
	var o stepOptions
	for _, set := range opts {
		set(&o)
	}
	c, err := begin(ctx, name, o.key)
	if err != nil {
		return none, err
	}
	memo, found, err := c.memos.find(ctx, c.id, isStep)
	if err != nil {
		return none, err
	}
	if !found {
		if memo, err = doIn(ctx, c, db, fn); err != nil {
			return none, err
		}
	}
	if err := errorOf(&memo, nil); err != nil {
		return none, err
	}
	return resultOf[T](c, &memo)
}

// doIn does a step in a transaction and records it there.
func doIn[T, Tx any](ctx context.Context, c call, db Transactions[Tx], fn func(ctx context.Context, tx Tx) (T, error)) (memo flowfabric.StepMemo, err error) {
	t := c.memos.task
	var failed error // of the step itself
	ctx, done := t.session.inStep(ctx, c.id)
	defer func() { done(err) }()
	err = db.Run(ctx, func(tx Tx) error {
		out, err := fn(context.WithValue(ctx, insideStep{}, c), tx)
		if err != nil {
			failed = err
			return err
		}
		cmd := c.record()
		if cmd.Result, cmd.Encoding, err = encode(out, flowfabric.MaxStepBytes); err != nil {
			failed = Permanent(err)
			return failed
		}
		cmd.ExecutionID, cmd.Fence = t.ID(), t.Fence()
		if memo, err = db.Record(ctx, tx, cmd); err == nil && memo.Repeated {
			err = errRepeated
		}
		return err
	})
	switch {
	case failed != nil:
		return c.do(ctx, func(context.Context) ([]byte, string, error) { return nil, "", failed })
	case err != nil && !errors.Is(err, errRepeated):
		if loss := lossOf(err); loss != nil {
			t.session.loseLease(ctx, t, loss)
			err = loss
		}
		return memo, fmt.Errorf("step %q: %w", c.id.name, err)
	}
	c.memos.keep(memo)
	return memo, nil
}
