// Flow counts the words of a text: it cuts the text up, has the parts counted by children that it waits for, and publishes
// the sum as soon as one of two reviewers has agreed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/flow"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

const text = "one two three\nfour five\nsix"

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "flow")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "flow.db"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"words"}})
	worker.Handle(w, "count", count)
	worker.Handle(w, "part", func(_ context.Context, _ *worker.Task, line string) (int, error) {
		return len(strings.Fields(line)), nil
	})
	worker.Handle(w, "review", func(_ context.Context, t *worker.Task, agrees bool) (bool, error) {
		if !agrees {
			return false, worker.Permanent(fmt.Errorf("%s does not like it", t.Tags()[flowfabric.TagNode]))
		}
		return true, nil
	})
	worker.Handle(w, "publish", func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		words, err := worker.Output[int](ctx, t, "count")
		return fmt.Sprintf("%d words", words), err
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	id, err := eng.SubmitFlow(ctx, flow.New("words", flow.Lane("words")).
		Node("count", text).
		Node("ada", false, flow.Kind("review"), flow.After("count")).
		Node("grace", true, flow.Kind("review"), flow.After("count")).
		Node("publish", nil, flow.After("count"), flow.AnyOf("ada", "grace")))
	if err != nil {
		return err
	}
	sum, err := eng.WaitFlow(ctx, id, 30*time.Second)
	if err != nil {
		return err
	}
	r, err := eng.Result(ctx, flowfabric.NodeID(id, "publish", flowfabric.DefaultPartitions()))
	if err != nil {
		return err
	}
	fmt.Printf("the flow has %d members and is %s; published: %s\n", sum.NodeCount, sum.State, r.Payload)
	stop()
	return <-ended
}

// count is one node that adds others: a child for each line. It runs twice, once before them and once after.
func count(ctx context.Context, t *worker.Task, in string) (int, error) {
	lines := strings.Split(in, "\n")
	name := func(i int) string { return fmt.Sprintf("count line %d", i) }
	if !t.Resumed() {
		var parts []flowfabric.FlowNode
		for i, line := range lines {
			payload, err := json.Marshal(line)
			if err != nil {
				return 0, err
			}
			parts = append(parts, flowfabric.FlowNode{
				Name: name(i), Submit: flowfabric.Submit{Lane: "words", Kind: "part", Payload: payload},
			})
		}
		return 0, worker.AwaitChildren(flowfabric.GroupPolicy{Kind: flowfabric.AllOf}, parts...)
	}
	total := 0
	for i := range lines {
		n, err := worker.Output[int](ctx, t, name(i))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
