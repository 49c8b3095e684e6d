package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// TxOptions are what the calls in a caller's transaction have to know of the deployment: each field must be what the
// engines have in the field of that name of their Config. The zero value is right for one that leaves both alone.
type TxOptions struct {
	Partitions flowfabric.PartitionConfig // default [flowfabric.DefaultPartitions]
	Retention  time.Duration              // default [flowfabric.DefaultRetention]
}

func (o TxOptions) rules() ops.Rules {
	return ops.Rules{Partitions: cmp.Or(o.Partitions, flowfabric.DefaultPartitions()), Retention: o.Retention, OneShard: true}
}

// SubmitTx submits executions in the caller's transaction: if it is rolled back they were never submitted; once it is
// committed they are claimable by every engine of the database, which are woken. At most [flowfabric.MaxSubmitMany] in a
// call. Results are in the order of cmds; one that was rejected has its Err, and the others stand.
//
// The writes are made under a savepoint, so that after an error the transaction is as it was before the call and can still
// be used. Under an isolation level above READ COMMITTED a conflict cannot be resolved there, and the whole transaction has
// to be repeated. Time is the server's at the call, not at the commit. The first submission to a lane, and the first that
// requires a set of capabilities there, holds up others like it until the transaction ends: keep it short. The database
// must have the schema: see [Migrate].
func SubmitTx(ctx context.Context, tx pgx.Tx, opts TxOptions, cmds ...flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	return submitIn(ctx, pgxHost{tx}, opts, cmds)
}

// SubmitSQLTx is [SubmitTx] in a transaction of database/sql, with any driver for PostgreSQL that takes $1 parameters.
func SubmitSQLTx(ctx context.Context, tx *sql.Tx, opts TxOptions, cmds ...flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	return submitIn(ctx, sqlHost{tx}, opts, cmds)
}

// CompleteTx completes an execution in the caller's transaction, so that the caller's own rows and the completion are
// committed together or not at all. It is fenced like [flowfabric.Executions].Complete and fails with the same errors;
// then nothing of it is written. What SubmitTx says of savepoints holds here, too.
func CompleteTx(ctx context.Context, tx pgx.Tx, opts TxOptions, cmd flowfabric.Complete) error {
	return completeIn(ctx, pgxHost{tx}, opts, cmd)
}

// CompleteSQLTx is [CompleteTx] in a transaction of database/sql, as with [SubmitSQLTx].
func CompleteSQLTx(ctx context.Context, tx *sql.Tx, opts TxOptions, cmd flowfabric.Complete) error {
	return completeIn(ctx, sqlHost{tx}, opts, cmd)
}

// RecordStepTx remembers a step in the caller's transaction, so that what the step did to the caller's own rows and the
// memo are committed together or not at all. It is fenced like [flowfabric.Steps].RecordStep: the execution cannot change
// hands until the transaction ends, so keep that short. If the step is remembered already, that is told, and the caller
// must roll back what it did. What SubmitTx says of savepoints holds here, too.
func RecordStepTx(ctx context.Context, tx pgx.Tx, opts TxOptions, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	return recordIn(ctx, pgxHost{tx}, opts, cmd)
}

// RecordStepSQLTx is [RecordStepTx] in a transaction of database/sql, as with [SubmitSQLTx].
func RecordStepSQLTx(ctx context.Context, tx *sql.Tx, opts TxOptions, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	return recordIn(ctx, sqlHost{tx}, opts, cmd)
}

func recordIn(ctx context.Context, h host, opts TxOptions, cmd flowfabric.RecordStep) (memo flowfabric.StepMemo, err error) {
	op, err := opts.rules().RecordStep(cmd, &memo)
	if err != nil {
		return flowfabric.StepMemo{}, err
	}
	if err := doIn(ctx, h, op); err != nil {
		return flowfabric.StepMemo{}, err
	}
	return memo, nil
}

func submitIn(ctx context.Context, h host, opts TxOptions, cmds []flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	if len(cmds) == 0 {
		return nil, nil
	}
	op, results, err := opts.rules().SubmitAlone(cmds)
	if err != nil {
		return nil, err
	}
	if err := doIn(ctx, h, op); err != nil {
		return nil, err
	}
	return results(), nil
}

func completeIn(ctx context.Context, h host, opts TxOptions, cmd flowfabric.Complete) error {
	op, err := opts.rules().Complete(cmd)
	if err != nil {
		return err
	}
	return doIn(ctx, h, op)
}

// doIn runs an operation in a caller's transaction. It believes nothing, so that every session reads, and with that the
// clock. A refusal writes nothing, not even what time has done to the execution: an engine will find that out again.
func doIn(ctx context.Context, h host, op *ops.Op) error {
	op.Assume = nil
	again := false
	err := store.Execute(ctx, []*store.Unit{&op.Strict().Unit}, func(ctx context.Context) (store.Session, error) {
		g := &guest{host: h, careful: again}
		again = true
		return g, g.begin(ctx)
	})
	if err != nil {
		return codedInTx(err)
	}
	return op.Outcome()
}

// codedInTx makes an engine error of what kept an operation from running.
func codedInTx(err error) error {
	code, detail := flowfabric.CodeBug, "the store refused the write"
	switch {
	case errors.Is(err, pgx.ErrTxClosed), errors.Is(err, sql.ErrTxDone):
		code, detail = flowfabric.CodeInvalidInput, "the transaction has ended: pass one that is open"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code, detail = flowfabric.CodeTimeout, "the call ended before the store answered: roll the transaction back"
	case errors.Is(err, store.ErrTransient):
		code, detail = flowfabric.CodeUnavailable, "roll the transaction back and repeat it"
	}
	return &flowfabric.Error{Code: code, Op: "in the caller's transaction", Detail: detail, Err: err}
}
