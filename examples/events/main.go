// Events shows a feed of what has ended: it misses nothing and tells nothing twice, though its reader is restarted in the
// middle.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// reader is the name under which the place of the feed is kept.
const reader = "mail"

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "events.db"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"orders"}})
	worker.Handle(w, "order", func(_ context.Context, _ *worker.Task, number int) (int, error) {
		if number%5 == 0 {
			return 0, worker.Permanent(fmt.Errorf("order %d: nothing left", number))
		}
		return number, nil
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	// From now on: what is submitted next is told.
	now, err := eng.ReadEvents(ctx, flowfabric.ReadEvents{Family: flowfabric.EventsCompletion})
	if err != nil {
		return err
	}
	if err := ack(ctx, eng, now.Next); err != nil {
		return err
	}
	for i := range 10 {
		_, err := eng.Submit(ctx, flowfabric.Submit{Lane: "orders", Kind: "order", Payload: fmt.Appendf(nil, "%d", i+1)})
		if err != nil {
			return err
		}
	}
	for _, most := range []int{4, 6} { // the reader is stopped after four, and comes back
		if err := feed(ctx, eng, most); err != nil {
			return err
		}
		fmt.Println("-- the reader stops")
	}
	stop()
	return <-ended
}

// feed tells of most ends behind the place it has reached.
func feed(ctx context.Context, svc flowfabric.Service, most int) error {
	kept, err := svc.EventReader(ctx, reader)
	if err != nil {
		return err
	}
	q := flowfabric.ReadEvents{Family: flowfabric.EventsCompletion, After: kept.Cursor, Filter: flowfabric.EventFilter{Kind: "order"}}
	for event, err := range flowfabric.Subscribe(ctx, svc, q) {
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", event.ExecutionID, event.Type)
		if err := ack(ctx, svc, event.Cursor); err != nil { // when what follows from the event is done
			return err
		}
		if most--; most == 0 {
			return nil
		}
	}
	return nil
}

func ack(ctx context.Context, svc flowfabric.Service, cursor flowfabric.EventCursor) error {
	_, err := svc.AckEvents(ctx, flowfabric.AckEvents{Name: reader, Family: flowfabric.EventsCompletion, Cursor: cursor})
	return err
}
