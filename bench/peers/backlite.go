package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mikestefanello/backlite"
)

type backlitePeer struct {
	db     *sqliteFile
	client *backlite.Client // adds
}

type backliteTask struct{ N int }

// Config implements [backlite.Task].
func (backliteTask) Config() backlite.QueueConfig {
	return backlite.QueueConfig{Name: "noop", MaxAttempts: 1, Timeout: time.Minute}
}

func openBacklite(context.Context) (peer, error) {
	db, err := openSQLite()
	if err != nil {
		return nil, err
	}
	b := &backlitePeer{db: db}
	b.client, err = b.newClient(1, func() {})
	if err != nil {
		return nil, err
	}
	return b, b.client.Install()
}

func (b *backlitePeer) newClient(slots int, job func()) (*backlite.Client, error) {
	c, err := backlite.NewClient(backlite.ClientConfig{DB: b.db.DB, NumWorkers: slots, ReleaseAfter: time.Hour})
	if err != nil {
		return nil, err
	}
	c.Register(backlite.NewQueue(func(context.Context, backliteTask) error { job(); return nil }))
	return c, nil
}

func (b *backlitePeer) Submit(ctx context.Context) error { return b.SubmitMany(ctx, 1) }

func (b *backlitePeer) SubmitMany(ctx context.Context, n int) error {
	tasks := make([]backlite.Task, n)
	for i := range tasks {
		tasks[i] = backliteTask{i}
	}
	_, err := b.client.Add(tasks...).Ctx(ctx).Save()
	return err
}

// Start has the client that adds run the jobs, too: it does not look for what another has added.
func (b *backlitePeer) Start(ctx context.Context, slots int, job func()) (func(), error) {
	var stopping atomic.Bool
	c, err := b.newClient(slots, func() {
		if !stopping.Load() {
			job()
		}
	})
	if err != nil {
		return nil, err
	}
	b.client = c
	c.Start(ctx)
	c.Notify()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		c.Stop(ctx)
		stopping.Store(true)
	}, nil
}

func (*backlitePeer) CPU() time.Duration { return 0 }
func (b *backlitePeer) Close()           { b.db.remove() }
