package main

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench/internal/place"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/worker"
)

type ours struct {
	place place.Place
	eng   *engine.Engine
	close func() error
}

func openOurs(ctx context.Context) (peer, error) {
	p, err := newPlace(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Migrate(ctx); err != nil {
		return nil, err
	}
	st, closeStore, err := backend.Open(ctx, p.URL())
	if err != nil {
		return nil, err
	}
	eng, err := engine.Open(ctx, st, engine.Config{})
	return &ours{place: p, eng: eng, close: closeStore}, err
}

func noop() flowfabric.Submit {
	return flowfabric.Submit{Lane: "bench", Kind: "noop", Payload: []byte("1")}
}

func (o *ours) Submit(ctx context.Context) error {
	_, err := o.eng.Submit(ctx, noop())
	return err
}

func (o *ours) SubmitMany(ctx context.Context, n int) error {
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = noop()
	}
	_, err := o.eng.SubmitMany(ctx, cmds)
	return err
}

func (o *ours) Start(ctx context.Context, slots int, job func()) (func(), error) {
	w := worker.New(o.eng, worker.Config{Lanes: []flowfabric.LaneID{"bench"}, Concurrency: slots})
	worker.Handle(w, "noop", func(context.Context, *worker.Task, int) (struct{}, error) {
		job()
		return struct{}{}, nil
	})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Run(ctx) // what is left to do shows in the count
	}()
	return func() { cancel(); <-ended }, nil
}

func (o *ours) CPU() time.Duration { return o.place.CPU() }

func (o *ours) Close() {
	_ = o.eng.Close(context.Background())
	_ = o.close()
	_ = o.place.Drop(context.Background())
}
