// Quickstart submits one execution to an embedded engine on SQLite, runs a worker for it and prints the result.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

type mail struct{ To, Subject string }

type receipt struct{ ID string }

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	st, err := sqlite.Open(ctx, "quickstart.db", nil) // or postgres.Open(ctx, "postgres://…", nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"mail"}})
	worker.Handle(w, "send", func(_ context.Context, t *worker.Task, in mail) (receipt, error) {
		fmt.Printf("attempt %d: sending %q to %s\n", t.Attempt(), in.Subject, in.To)
		return receipt{ID: "42"}, nil
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	sent, err := eng.Submit(ctx, flowfabric.Submit{
		Lane: "mail", Kind: "send", Payload: []byte(`{"To":"ada@example.org","Subject":"hello"}`),
		IdempotencyKey: "welcome-ada", Policy: flowfabric.Retry(5, nil),
	})
	if err != nil {
		return err
	}
	res, err := eng.Wait(ctx, sent.ID, 30*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s: %s\n", sent.ID, res.Outcome, res.Payload)
	stop()
	return <-ended
}
