package sqlite

import (
	"cmp"
	"context"
	"errors"
	"time"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// TxOptions are what the calls in a caller's transaction have to know of the deployment. Partitions and Retention must be
// what the engines have in the field of that name of their Config. The zero value is right for one that leaves both alone.
type TxOptions struct {
	Partitions flowfabric.PartitionConfig // default [flowfabric.DefaultPartitions]
	Retention  time.Duration              // default [flowfabric.DefaultRetention]
	// Store is the store this process has open on the same file, if it has one: its clock is the clock of the calls, and
	// its engines notice the caller's commit at the latest after as long again as it took the caller to commit. Without it
	// the clock is the machine's. Every engine on the file notices within 100 ms.
	Store *Store
}

func (o TxOptions) rules() ops.Rules {
	return ops.Rules{Partitions: cmp.Or(o.Partitions, flowfabric.DefaultPartitions()), Retention: o.Retention, OneShard: true}
}

func (o TxOptions) clock() store.Clock {
	if o.Store != nil {
		return o.Store.cfg.Clock
	}
	return machineClock()
}

// SubmitTx submits executions in the transaction that is open on the caller's connection: if it is rolled back they were
// never submitted; once it is committed they are claimable by every engine on the file. At most
// [flowfabric.MaxSubmitMany] in a call. Results are in the order of cmds; one that was rejected has its Err, and the others
// stand.
//
// The file must be one that [Open] has opened before. Begin with BEGIN IMMEDIATE: a transaction that has read before
// another connection wrote can no longer write. While it is open no engine can commit, so keep it short. The writes are
// made under a savepoint, so that after an error the transaction is as it was before the call and can still be used.
func SubmitTx(ctx context.Context, conn *driver.Conn, opts TxOptions, cmds ...flowfabric.Submit) ([]flowfabric.SubmitResult, error) {
	if len(cmds) == 0 {
		return nil, nil
	}
	op, results, err := opts.rules().SubmitAlone(cmds)
	if err != nil {
		return nil, err
	}
	if err := doIn(ctx, conn, opts, op); err != nil {
		return nil, err
	}
	return results(), nil
}

// CompleteTx completes an execution in the transaction that is open on the caller's connection, so that the caller's own
// rows and the completion are committed together or not at all. It is fenced like [flowfabric.Executions].Complete and
// fails with the same errors; then nothing of it is written. What SubmitTx says of transactions holds here, too.
func CompleteTx(ctx context.Context, conn *driver.Conn, opts TxOptions, cmd flowfabric.Complete) error {
	op, err := opts.rules().Complete(cmd)
	if err != nil {
		return err
	}
	return doIn(ctx, conn, opts, op)
}

// RecordStepTx remembers a step in the transaction that is open on the caller's connection, so that what the step did to
// the caller's own rows and the memo are committed together or not at all. It is fenced like
// [flowfabric.Steps].RecordStep. If the step is remembered already, that is told, and the caller must roll back what it did.
// What SubmitTx says of transactions holds here, too.
func RecordStepTx(ctx context.Context, conn *driver.Conn, opts TxOptions, cmd flowfabric.RecordStep) (memo flowfabric.StepMemo, err error) {
	op, err := opts.rules().RecordStep(cmd, &memo)
	if err != nil {
		return flowfabric.StepMemo{}, err
	}
	if err := doIn(ctx, conn, opts, op); err != nil {
		return flowfabric.StepMemo{}, err
	}
	return memo, nil
}

// doIn runs an operation in a caller's transaction. A refusal writes nothing, not even what time has done to the
// execution: an engine will find that out again.
func doIn(ctx context.Context, db *driver.Conn, opts TxOptions, op *ops.Op) error {
	if db.AutocommitEnabled() {
		return inTx(flowfabric.CodeInvalidInput, "no transaction is open on the connection: begin one with BEGIN IMMEDIATE", nil)
	}
	err := store.Execute(ctx, []*store.Unit{&op.Strict().Unit}, func(ctx context.Context) (store.Session, error) {
		return beginGuest(ctx, db, opts.clock())
	})
	if err != nil {
		return codedInTx(err)
	}
	if err := op.Outcome(); err != nil {
		return err
	}
	if opts.Store != nil {
		opts.Store.expectCommit()
	}
	return nil
}

// codedInTx makes an engine error of what kept an operation from running.
func codedInTx(err error) error {
	switch {
	case errors.Is(err, errNoSchema):
		return inTx(flowfabric.CodeInvalidInput, "the connection's file is not one that sqlite.Open has opened", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return inTx(flowfabric.CodeTimeout, "the call ended before it was done: roll the transaction back", err)
	case errors.Is(err, store.ErrTransient):
		return inTx(flowfabric.CodeUnavailable, "roll the transaction back and repeat it, from BEGIN IMMEDIATE", err)
	}
	return inTx(flowfabric.CodeBug, "the store refused the write", err)
}

func inTx(code flowfabric.Code, detail string, err error) error {
	return &flowfabric.Error{Code: code, Op: "in the caller's transaction", Detail: detail, Err: err}
}
