package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/flowfabric/flowfabric/bench/internal/place"
)

type riverPeer struct {
	place  place.Place
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx] // inserts
}

type riverArgs struct{ N int }

func (riverArgs) Kind() string { return "noop" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	job func()
}

func (w *riverWorker) Work(context.Context, *river.Job[riverArgs]) error {
	w.job()
	return nil
}

func openRiver(ctx context.Context) (peer, error) {
	p, err := newPlace(ctx)
	if err != nil {
		return nil, err
	}
	pool, err := poolOf(ctx, p)
	if err != nil {
		return nil, err
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	return &riverPeer{place: p, pool: pool, client: client}, err
}

// poolOf opens as many connections as 16 callers can use.
func poolOf(ctx context.Context, p place.Place) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(p.URL())
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 20
	return pgxpool.NewWithConfig(ctx, cfg)
}

func (r *riverPeer) Submit(ctx context.Context) error {
	_, err := r.client.Insert(ctx, riverArgs{1}, nil)
	return err
}

func (r *riverPeer) SubmitMany(ctx context.Context, n int) error {
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = riverArgs{i}
	}
	_, err := r.client.InsertManyFast(ctx, params)
	return err
}

// Start polls as often as River allows.
func (r *riverPeer) Start(ctx context.Context, slots int, job func()) (func(), error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{job: job})
	client, err := river.NewClient(riverpgxv5.New(r.pool), &river.Config{
		Workers: workers, Logger: slog.New(slog.DiscardHandler), FetchCooldown: time.Millisecond, FetchPollInterval: 5 * time.Millisecond,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}},
	})
	if err != nil {
		return nil, err
	}
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	return func() { _ = client.Stop(context.WithoutCancel(ctx)) }, nil
}

func (r *riverPeer) CPU() time.Duration { return r.place.CPU() }

func (r *riverPeer) Close() {
	r.pool.Close()
	_ = r.place.Drop(context.Background())
}
