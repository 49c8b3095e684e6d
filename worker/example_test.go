package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
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

// The second step fails, and is tried again; the first is not.
func ExampleStep() {
	eng := openEngine()
	defer eng.Close(context.Background())
	ctx, stop := context.WithCancel(context.Background())

	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "order", func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		payment, err := worker.Step(ctx, "charge", func(context.Context) (string, error) {
			fmt.Println("charge")
			return "payment 7", nil
		})
		if err != nil {
			return "", err
		}
		return worker.Step(ctx, "ship", func(context.Context) (string, error) {
			fmt.Println("ship for", payment)
			if t.RetryCount() == 0 {
				return "", errors.New("no courier")
			}
			stop() // this worker serves one task
			return "shipped", nil
		})
	})
	retryAtOnce := &ff.Policy{Retry: &ff.RetryPolicy{Backoff: &ff.Backoff{Type: ff.BackoffFixed}}}
	if _, err := eng.Submit(ctx, ff.Submit{Lane: "mail", Kind: "order", Policy: retryAtOnce}); err != nil {
		fmt.Println(err)
	}
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// charge
	// ship for payment 7
	// ship for payment 7
}

// The handler waits for a person, without a slot or a lease, and goes on with the answer.
func ExampleWaitSignal() {
	eng := openEngine()
	defer eng.Close(context.Background())
	ctx, stop := context.WithCancel(context.Background())

	type Decision struct{ By string }
	mail := make(chan ff.SignalLink, 1)
	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "deploy", func(ctx context.Context, _ *worker.Task, _ struct{}) (string, error) {
		d, err := worker.WaitSignal[Decision](ctx, "legal", worker.Within(72*time.Hour), worker.Announce(
			func(ctx context.Context, w worker.Waiting) error {
				link, err := w.Link(ctx, "approved", "ann@example.com")
				mail <- link
				return err
			}))
		if err != nil {
			return "", err
		}
		defer stop() // this worker serves one task
		fmt.Println("approved by", d.By)
		return "deployed", nil
	})
	if _, err := eng.Submit(ctx, ff.Submit{Lane: "mail", Kind: "deploy"}); err != nil {
		fmt.Println(err)
	}
	go func() { // Ann, some days later
		_, err := eng.SignalByLink(ctx, ff.SignalByLink{Link: <-mail, Payload: []byte(`{"By":"Ann"}`)})
		if err != nil {
			fmt.Println(err)
		}
	}()
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: approved by Ann
}

func openEngine() *engine.Engine {
	eng, err := engine.Open(context.Background(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		panic(err)
	}
	return eng
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
