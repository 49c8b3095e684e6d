package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/worker"
)

func (x pgxTx) step(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
	return postgres.RecordStepTx(ctx, x.tx, postgres.TxOptions{}, cmd)
}

func (x sqlTx) step(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
	return postgres.RecordStepSQLTx(ctx, x.tx, postgres.TxOptions{}, cmd)
}

func TestRecordStepTx_CommitsWithTheCallersRows(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%t", commit), func(t *testing.T) {
			inCallersTx(t, func(e *txEnv) {
				_, err := e.eng.Submit(e.Context(), mailJob)
				e.must(err)
				c := e.claim(0)[0]
				cmd := ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: "charge", Result: []byte(`"paid"`)}
				tx := e.begin()
				e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
				memo, err := tx.step(e.Context(), cmd)
				e.must(err)
				e.must(tx.end(e.Context(), commit))
				steps, err := e.eng.ListSteps(e.Context(), ff.ListSteps{ExecutionID: c.ExecutionID})
				e.must(err)
				want := 0
				if commit {
					want = 1
				}
				if memo.Repeated || string(memo.Result) != `"paid"` || len(steps.Items) != want || e.orders() != want {
					e.Errorf("memo %+v; %d steps and %d orders, want %d of each", memo, len(steps.Items), e.orders(), want)
				}
				cmd.Result = []byte(`"paid again"`)
				again, err := e.eng.RecordStep(e.Context(), cmd) // the lease was kept
				e.must(err)
				if again.Repeated != commit {
					e.Errorf("recorded again: %+v", again)
				}
			})
		})
	}
}

func TestRecordStepTx_IsFenced(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		_, err := e.eng.Submit(e.Context(), mailJob)
		e.must(err)
		c := e.claim(0)[0]
		_, err = e.eng.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})
		e.must(err)
		tx := e.begin()
		if _, err := tx.step(e.Context(), ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: "charge"}); !errors.Is(err, ff.ErrLeaseRevoked) {
			e.Errorf("a zombie recorded a step: %v", err)
		}
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (2)`)) // the transaction can still be used
		e.must(tx.end(e.Context(), true))
	})
}

// The order is written once, whatever happens to the handler around it: its transaction fails, and it fails behind it.
func TestStepTx_TheEffectHappensOnce(t *testing.T) {
	e := &txEnv{T: t, url: migrated(t)}
	e.pool = pool(t, e.url, 4)
	run(t, e.url, `CREATE TABLE orders (id integer PRIMARY KEY)`)
	t.Cleanup(func() { run(t, e.url, `DROP TABLE orders`) })
	e.eng = e.engine()
	var did, runs atomic.Int32
	db := worker.Transactions[pgx.Tx]{
		Run: func(ctx context.Context, fn func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, e.pool, fn) },
		Record: func(ctx context.Context, tx pgx.Tx, cmd ff.RecordStep) (ff.StepMemo, error) {
			memo, err := postgres.RecordStepTx(ctx, tx, postgres.TxOptions{}, cmd)
			if err == nil && runs.Load() == 1 {
				err = errors.New("the first transaction breaks down before its commit")
			}
			return memo, err
		},
	}
	w := worker.New(e.eng, worker.Config{Lanes: []ff.LaneID{"orders"}, DrainTimeout: -1})
	worker.Handle(w, "order", func(ctx context.Context, _ *worker.Task, _ struct{}) (int, error) {
		n := runs.Add(1)
		id, err := worker.StepTx(ctx, "insert", db, func(ctx context.Context, tx pgx.Tx) (int, error) {
			_, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1)`, 40+did.Add(1))
			return int(40 + did.Load()), err
		})
		if err == nil && n == 2 {
			err = errors.New("the second run fails behind its step")
		}
		return id, err
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	res, err := e.eng.Submit(t.Context(), ff.Submit{Lane: "orders", Kind: "order", Policy: ff.Retry(3, ff.FixedBackoff(0))})
	e.must(err)
	r, err := e.eng.Wait(t.Context(), res.ID, ff.MaxClaimWait)
	e.must(err)
	stop()
	e.must(<-ended)
	if r.Outcome != ff.OutcomeSuccess || string(r.Payload) != "42" || e.orders() != 1 || did.Load() != 2 || runs.Load() != 3 {
		t.Errorf("%s %s %s: %d orders after %d inserts in %d runs; want 1 after 2 in 3", r.Outcome, r.Payload, r.FailureReason, e.orders(), did.Load(), runs.Load())
	}
}
