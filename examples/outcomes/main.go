// Outcomes shows how a handler can end: with a result, with a failure that is retried, with one that is not, or by putting
// the work off; and how an operator replays what failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	st := memory.New(memory.Config{})
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"demo"}})
	worker.Handle(w, "flaky", func(_ context.Context, t *worker.Task, _ struct{}) (string, error) {
		if t.Attempt() < 2 {
			return "", fmt.Errorf("attempt %d: the service is busy", t.Attempt())
		}
		return fmt.Sprintf("done in attempt %d", t.Attempt()), nil
	})
	worker.Handle(w, "hopeless", func(_ context.Context, t *worker.Task, _ struct{}) (string, error) {
		if t.AttemptType() == flowfabric.AttemptReplay {
			return "the address was put right", nil
		}
		return "", worker.Permanent(errors.New("there is no such address"))
	})
	worker.Handle(w, "later", func(_ context.Context, t *worker.Task, _ struct{}) (string, error) {
		if !t.Resumed() {
			return "", worker.Delay(50 * time.Millisecond) // the same attempt continues
		}
		return "waited", nil
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	ids := map[string]flowfabric.ExecutionID{}
	for _, kind := range []string{"flaky", "hopeless", "later"} {
		res, err := eng.Submit(ctx, flowfabric.Submit{
			Lane: "demo", Kind: kind, Payload: []byte("{}"), Policy: flowfabric.Retry(3, flowfabric.FixedBackoff(20*time.Millisecond)),
		})
		if err != nil {
			return err
		}
		ids[kind] = res.ID
		if err := show(ctx, eng, kind, res.ID); err != nil {
			return err
		}
	}
	if _, err := eng.Replay(ctx, flowfabric.Replay{ExecutionID: ids["hopeless"], Actor: "ada", Reason: "address corrected"}); err != nil {
		return err
	}
	if err := show(ctx, eng, "hopeless, replayed", ids["hopeless"]); err != nil {
		return err
	}
	stop()
	return <-ended
}

func show(ctx context.Context, eng *engine.Engine, name string, id flowfabric.ExecutionID) error {
	res, err := eng.Wait(ctx, id, 30*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s %s%s\n", name, res.Outcome, res.Payload, res.FailureReason)
	return nil
}
