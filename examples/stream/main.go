// Stream is an agent whose answer is watched while a model makes it: one viewer is there from the start, loses its connection
// and goes on with its cursor; another comes when half has been said. Both see every word once, in order, over an attempt that
// fails in the middle and the one that follows. The model is a script of the program's own.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

// model yields the words of an answer.
type model func(ctx context.Context, attempt int, question string) iter.Seq2[string, error]

// answer is the handler: it passes on what the model says, as it says it.
func (m model) answer(ctx context.Context, t *worker.Task, question string) (string, error) {
	out := worker.Stream(ctx)
	var text strings.Builder
	for word, err := range m(ctx, t.Attempt(), question) {
		if err != nil {
			return "", err
		}
		text.WriteString(word)
		if _, err := fmt.Fprint(out, word); err != nil {
			return "", err
		}
		// For a viewer that wants to know how far it is, and not every word.
		if err := out.Summary(map[string]any{"characters": text.Len()}); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

const said = "A stream is what an attempt says while it runs, kept for whoever comes late."

// scripted says the words of said, one every pause. Its first attempt breaks off after so many.
func scripted(pause time.Duration, breaksAfter int) model {
	return func(ctx context.Context, attempt int, _ string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			tick := time.NewTicker(pause) //nolint:forbidigo // how fast a model talks is nothing to test
			defer tick.Stop()
			for i, word := range strings.SplitAfter(said, " ") {
				if attempt == 0 && i == breaksAfter {
					yield("", errors.New("the model has hung up"))
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					yield("", context.Cause(ctx))
					return
				}
				if !yield(word, nil) {
					return
				}
			}
		}
	}
}

// viewer watches an execution.
type viewer struct {
	seen   []string // what each attempt said
	cursor flowfabric.StreamCursor
}

// watch follows from where the viewer was, until the execution has ended or enough says so.
func (v *viewer) watch(ctx context.Context, svc flowfabric.StreamFollower, id flowfabric.ExecutionID, enough func() bool) error {
	for item, err := range flowfabric.Follow(ctx, svc, flowfabric.FollowStream{ExecutionID: id, After: v.cursor}) {
		if err != nil {
			return err
		}
		v.cursor = item.Cursor
		switch item.Kind {
		case flowfabric.StreamBegins:
			v.seen = append(v.seen, "")
		case flowfabric.StreamFrames:
			if item.Frame.Type == worker.TextChunk {
				v.seen[len(v.seen)-1] += string(item.Frame.Payload)
			}
		case flowfabric.StreamEnds:
		}
		if enough() {
			return nil
		}
	}
	return nil
}

// words is how many words the viewer has seen of the last attempt.
func (v *viewer) words() int { return strings.Count(v.seen[len(v.seen)-1], " ") }

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "stream")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "stream.db"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"agents"}})
	worker.Handle(w, "ask", scripted(50*time.Millisecond, 6).answer)
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()
	err = show(ctx, eng)
	stop()
	return errors.Join(err, <-ended)
}

// show asks a question and lets two viewers watch the answer.
func show(ctx context.Context, eng *engine.Engine) error {
	sub, err := eng.Submit(ctx, flowfabric.Submit{
		Lane: "agents", Kind: "ask", Payload: []byte(`"What is a stream?"`),
		Policy: flowfabric.Retry(1, flowfabric.FixedBackoff(100*time.Millisecond)),
	})
	if err != nil {
		return err
	}
	var first, late viewer
	if err := first.watch(ctx, eng, sub.ID, func() bool { return first.words() >= 4 }); err != nil {
		return err
	}
	fmt.Printf("the first viewer has seen %q, and loses its connection at %s\n", first.seen, first.cursor)

	whole := func() bool { return false }
	lateDone := make(chan error, 1)
	go func() { lateDone <- late.watch(ctx, eng, sub.ID, whole) }()
	err = errors.Join(first.watch(ctx, eng, sub.ID, whole), <-lateDone)
	if err != nil {
		return err
	}
	for name, v := range map[string]viewer{"first": first, "late": late} {
		if len(v.seen) != 2 || !strings.HasPrefix(said, v.seen[0]) || v.seen[1] != said {
			return fmt.Errorf("the %s viewer has seen %q", name, v.seen)
		}
	}
	summary, err := eng.ReadSummary(ctx, sub.ID, 1)
	if err != nil {
		return err
	}
	fmt.Printf("both have seen %q, an attempt that broke off, and then %q\n", late.seen[0], late.seen[1])
	fmt.Printf("its summary is %s\n", summary.Document)
	return nil
}
