package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric/bench/internal/place"
)

// dbosPeer enqueues workflows without steps. Its queues begin to run with Launch, so the jobs of a drain are enqueued by one
// launch that may run one at a time at most, and run by the next.
type dbosPeer struct {
	place place.Place
	pool  *pgxpool.Pool
	ctx   dbos.Context
	queue dbos.Queue

	mu  sync.Mutex
	job func()
}

func openDBOS(ctx context.Context) (peer, error) {
	p, err := newPlace(ctx)
	if err != nil {
		return nil, err
	}
	pool, err := poolOf(ctx, p)
	if err != nil {
		return nil, err
	}
	d := &dbosPeer{place: p, pool: pool}
	d.ctx, err = dbos.NewContext(ctx, dbos.Config{
		AppName: "peers", SystemDBPool: pool, Logger: slog.New(slog.DiscardHandler), ApplicationVersion: "1",
	})
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(d.ctx, d.work)
	if err := dbos.Launch(d.ctx); err != nil {
		return nil, err
	}
	d.queue, err = dbos.RegisterQueue(d.ctx, "idle", dbos.WithWorkerConcurrency(0))
	return d, err
}

func (d *dbosPeer) work(dbos.Context, int) (int, error) {
	d.mu.Lock()
	job := d.job
	d.mu.Unlock()
	if job != nil {
		job()
	}
	return 0, nil
}

func (d *dbosPeer) Submit(context.Context) error {
	_, err := dbos.RunWorkflow(d.ctx, d.work, 1, dbos.WithQueue(d.queue))
	return err
}

func (*dbosPeer) SubmitMany(context.Context, int) error { return errUnsupported }

func (d *dbosPeer) Start(_ context.Context, slots int, job func()) (func(), error) {
	d.mu.Lock()
	d.job = job
	d.mu.Unlock()
	_, err := dbos.RegisterQueue(d.ctx, "idle", dbos.WithWorkerConcurrency(slots), dbos.WithQueueBasePollingInterval(10*time.Millisecond),
		dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate))
	return func() {}, err
}

func (d *dbosPeer) CPU() time.Duration { return d.place.CPU() }

func (d *dbosPeer) Close() {
	_ = dbos.Shutdown(d.ctx, 5*time.Second)
	d.pool.Close()
	_ = d.place.Drop(context.Background())
}
