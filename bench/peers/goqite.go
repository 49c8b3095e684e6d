package main

import (
	"context"
	_ "embed"
	"sync"
	"time"

	"maragu.dev/goqite"
	"maragu.dev/goqite/jobs"
)

// goqitePeer works on a table that its user makes.
type goqitePeer struct {
	db    *sqliteFile
	queue *goqite.Queue
}

//go:embed goqite.sql
var goqiteSchema string

func openGoqite(ctx context.Context) (peer, error) {
	db, err := openSQLite()
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, goqiteSchema); err != nil {
		return nil, err
	}
	return &goqitePeer{db, goqite.New(goqite.NewOpts{DB: db.DB, Name: "noop", Timeout: time.Minute})}, nil
}

func (g *goqitePeer) Submit(ctx context.Context) error {
	_, err := jobs.Create(ctx, g.queue, "noop", goqite.Message{Body: []byte("1")})
	return err
}

func (g *goqitePeer) SubmitMany(ctx context.Context, n int) error {
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range n {
		if _, err := jobs.CreateTx(ctx, tx, g.queue, "noop", goqite.Message{Body: []byte("1")}); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (g *goqitePeer) Start(ctx context.Context, slots int, job func()) (func(), error) {
	r := jobs.NewRunner(jobs.NewRunnerOpts{Limit: slots, PollInterval: time.Millisecond, Queue: g.queue})
	r.Register("noop", func(context.Context, []byte) error { job(); return nil })
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.Start(ctx) })
	return func() { cancel(); wg.Wait() }, nil
}

func (*goqitePeer) CPU() time.Duration { return 0 }
func (g *goqitePeer) Close()           { g.db.remove() }
