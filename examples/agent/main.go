// Agent is a tool-calling loop: it asks a model what to do, does it, tells the model, and so on until the model has an
// answer. Each call is a durable step: when the process dies in the middle of the third tool call, the next one repeats that
// call alone, and not a token is paid for twice. The model is a scripted server of the program's own.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

// Turn is one message of a conversation. Of the model it asks for a tool, or has an answer.
type Turn struct {
	Role   string `json:"role"`
	Text   string `json:"text,omitempty"`
	Tool   string `json:"tool,omitempty"`
	Input  string `json:"input,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// agent is the handler and what it needs of the world.
type agent struct {
	model func(ctx context.Context, talk []Turn) (Turn, error)
	tools map[string]func(ctx context.Context, input string) (string, error)
}

// maxTurns bounds what a question may cost.
const maxTurns = 20

func (a agent) run(ctx context.Context, _ *worker.Task, question string) (string, error) {
	talk := []Turn{{Role: "user", Text: question}}
	for range maxTurns {
		turn, err := worker.Step(ctx, "model", func(ctx context.Context) (Turn, error) { return a.model(ctx, talk) })
		if err != nil {
			return "", err
		}
		if turn.Answer != "" {
			return turn.Answer, nil
		}
		talk = append(talk, turn)
		said, err := worker.Step(ctx, "tool "+turn.Tool, func(ctx context.Context) (string, error) {
			tool, ok := a.tools[turn.Tool]
			if !ok {
				return "", worker.Permanent(fmt.Errorf("there is no tool %q", turn.Tool))
			}
			return tool(ctx, turn.Input)
		})
		if err != nil {
			said = "error: " + err.Error() // the model may know what to do about it
		}
		talk = append(talk, Turn{Role: "tool", Text: said})
	}
	return "", worker.Permanent(fmt.Errorf("no answer after %d turns", maxTurns))
}

// script is what the model says, turn by turn.
var script = []Turn{
	{Role: "model", Tool: "search", Input: "capital of France"},
	{Role: "model", Tool: "search", Input: "population of Paris"},
	{Role: "model", Tool: "multiply", Input: "2102650 2"},
	{Role: "model", Answer: "Twice the population of Paris is 4205300."},
}

// scripted answers like a model over HTTP, and counts what it was asked.
func scripted(calls *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		var talk []Turn
		if err := json.NewDecoder(r.Body).Decode(&talk); err != nil || len(talk)/2 >= len(script) {
			http.Error(w, "I do not understand", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(script[len(talk)/2])
	})
}

// ask calls the model at a URL.
func ask(url string) func(context.Context, []Turn) (Turn, error) {
	return func(ctx context.Context, talk []Turn) (Turn, error) {
		body, err := json.Marshal(talk)
		if err != nil {
			return Turn{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return Turn{}, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return Turn{}, err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
			return Turn{}, fmt.Errorf("the model answered %s: %s", res.Status, text)
		}
		var turn Turn
		return turn, json.NewDecoder(res.Body).Decode(&turn)
	}
}

// tools are what the agent can do, counted.
func tools(calls *atomic.Int64) map[string]func(context.Context, string) (string, error) {
	facts := map[string]string{"capital of France": "Paris", "population of Paris": "2102650"}
	return map[string]func(context.Context, string) (string, error){
		"search": func(_ context.Context, q string) (string, error) {
			calls.Add(1)
			return facts[q], nil
		},
		"multiply": func(_ context.Context, in string) (string, error) {
			calls.Add(1)
			var x, y int
			_, err := fmt.Fscan(strings.NewReader(in), &x, &y)
			return fmt.Sprint(x * y), err
		},
	}
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "agent.db"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()
	var asked, done atomic.Int64
	server := httptest.NewServer(scripted(&asked))
	defer server.Close()

	id, err := eng.Submit(ctx, flowfabric.Submit{Lane: "agents", Kind: "ask", Payload: []byte(`"What is twice the population of Paris?"`)})
	if err != nil {
		return err
	}
	a := agent{model: ask(server.URL), tools: tools(&done)}
	// The first process is stopped when it is about to ask the model for the third time; the next one finds what was done.
	third := make(chan struct{})
	first := a
	first.model = func(ctx context.Context, talk []Turn) (Turn, error) {
		if len(talk) == 5 {
			close(third)
			<-ctx.Done()
			return Turn{}, context.Cause(ctx)
		}
		return a.model(ctx, talk)
	}
	if err := work(ctx, eng, first, func() error { <-third; return nil }); err != nil {
		return err
	}
	fmt.Printf("the first process made %d model calls and %d tool calls, and stopped\n", asked.Load(), done.Load())
	var r flowfabric.Result
	if err := work(ctx, eng, a, func() (err error) {
		r, err = eng.Wait(ctx, id.ID, 30*time.Second)
		return err
	}); err != nil {
		return err
	}
	fmt.Printf("%s: %s, after %d model calls and %d tool calls in all\n", r.Outcome, r.Payload, asked.Load(), done.Load())
	if asked.Load() != int64(len(script)) || done.Load() != int64(len(script)-1) {
		return errors.New("something was done twice")
	}
	return nil
}

// work runs a worker until something has happened.
func work(ctx context.Context, eng *engine.Engine, a agent, until func() error) error {
	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"agents"}, DrainTimeout: -1})
	worker.Handle(w, "ask", a.run)
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()
	err := until()
	stop()
	return errors.Join(err, <-ended)
}
