// Lanes shows how an operator controls a queue: pause it, bound how much of it runs at once, look at what waits, find
// executions by their tags.
package main

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

const lane flowfabric.LaneID = "reports"

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	st := memory.New(memory.Config{})
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{Retention: time.Hour})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	// At most two reports at a time, whatever the workers could do, and none until the lane is resumed.
	paused, two := flowfabric.LanePaused, 2
	if _, err := eng.UpdateLane(ctx, flowfabric.UpdateLane{
		Lane: lane, State: &paused, MaxConcurrency: &two, Actor: "ada", Reason: "the warehouse is being loaded",
	}); err != nil {
		return err
	}
	var running, most atomic.Int64
	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{lane}, Concurrency: 10})
	worker.Handle(w, "report", func(ctx context.Context, _ *worker.Task, _ struct{}) (string, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond): //nolint:forbidigo // the work of the example
		}
		return "printed", ctx.Err()
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	var ids []flowfabric.ExecutionID
	for i := range 6 {
		team := []string{"sales", "stock"}[i%2]
		res, err := eng.Submit(ctx, flowfabric.Submit{
			Lane: lane, Kind: "report", Payload: []byte("{}"), Tags: map[string]string{"team.name": team},
		})
		if err != nil {
			return err
		}
		ids = append(ids, res.ID)
	}
	counts, err := eng.LaneCounts(ctx, lane)
	if err != nil {
		return err
	}
	fmt.Printf("paused: %d wait, %d run\n", counts.Waiting, counts.Active)

	active := flowfabric.LaneActive
	if _, err := eng.UpdateLane(ctx, flowfabric.UpdateLane{Lane: lane, State: &active, Actor: "ada"}); err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := eng.Wait(ctx, id, 30*time.Second); err != nil {
			return err
		}
	}
	page, err := eng.List(ctx, flowfabric.ListExecutions{
		Lane: lane, States: []flowfabric.PublicState{flowfabric.PublicCompleted}, TagKey: "team.name", TagValue: "sales",
	})
	if err != nil {
		return err
	}
	fmt.Printf("resumed: %d reports of sales completed, at most %d ran at once\n", len(page.Items), most.Load())
	stop()
	return <-ended
}
