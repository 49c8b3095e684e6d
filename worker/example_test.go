package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func Example() {
	eng := newFake(task(1, "greet", `{"name":"Ann"}`)) // an engine.Engine or a client.Client
	ctx, stop := context.WithCancel(context.Background())

	type Person struct{ Name string }
	type Greeting struct{ Text string }

	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "greet", func(_ context.Context, t *worker.Task, in Person) (Greeting, error) {
		defer stop() // this worker serves one task
		fmt.Println("attempt", t.Attempt(), "of", t.ID())
		return Greeting{Text: "Hello, " + in.Name}, nil
	})
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s\n", eng.completed[0].Result)
	// Output:
	// attempt 0 of {fp:7}:00000000-0000-0000-0000-000000000001
	// {"Text":"Hello, Ann"}
}

func ExamplePermanent() {
	eng := newFake(task(1, "charge", `{"card":"expired"}`))
	ctx, stop := context.WithCancel(context.Background())

	errDeclined := errors.New("card declined")
	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "charge", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
		defer stop()
		return struct{}{}, worker.Permanent(fmt.Errorf("charge: %w", errDeclined))
	})
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(eng.failed[0].Category, "failure,", eng.failed[0].Reason)
	// Output: permanent failure, charge: card declined
}

func ExampleDelay() {
	eng := newFake(task(1, "publish", "{}"))
	ctx, stop := context.WithCancel(context.Background())

	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "publish", func(_ context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
		defer stop()
		if !t.Resumed() { // the site is closed at night
			return struct{}{}, worker.Delay(8 * time.Hour)
		}
		return struct{}{}, nil
	})
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("continues after", eng.delayed[0].For)
	// Output: continues after 8h0m0s
}

func ExampleConfig_middleware() {
	eng := newFake(task(1, "send", "{}"))
	ctx, stop := context.WithCancel(context.Background())

	announce := func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, t *worker.Task) ([]byte, error) {
			fmt.Println("begin", t.Kind())
			result, err := next(ctx, t)
			fmt.Println("end", t.Kind(), err)
			return result, err
		}
	}
	w := worker.New(eng, worker.Config{
		Lanes:      []ff.LaneID{"mail"},
		Middleware: []func(worker.Handler) worker.Handler{announce},
	})
	worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
		defer stop()
		return struct{}{}, nil
	})
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// begin send
	// end send <nil>
}
