package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
	"github.com/flowfabric/flowfabric/worker"
)

// scriptedAgent is an agent whose model reads the script without a network.
func scriptedAgent(asked, done *atomic.Int64) agent {
	return agent{tools: tools(done), model: func(_ context.Context, talk []Turn) (Turn, error) {
		asked.Add(1)
		return script[len(talk)/2], nil
	}}
}

func TestAgent_ACrashInItsThirdToolCallRepeatsOnlyThat(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		var asked, done atomic.Int64
		flowfabrictest.Handle(env, "ask", scriptedAgent(&asked, &done).run)
		env.KillAfterStep(5) // the third question to the model is answered; its tool call is next
		id := env.Submit("ask", "What is twice the population of Paris?")
		var answer string
		if env.Result(id, &answer); answer != "Twice the population of Paris is 4205300." {
			t.Errorf("answer %q", answer)
		}
		if asked.Load() != 4 || done.Load() != 3 {
			t.Errorf("%d model calls and %d tool calls; want 4 and 3", asked.Load(), done.Load())
		}
	})
}

func TestAgent_ACrashAnywhereGivesTheSameAnswer(t *testing.T) {
	var asked, done atomic.Int64
	o := flowfabrictest.ReplayAllCrashPoints(t, "What is twice the population of Paris?", scriptedAgent(&asked, &done).run, nil)
	if want := (flowfabrictest.Outcome{Outcome: flowfabric.OutcomeSuccess, Result: `"Twice the population of Paris is 4205300."`}); o != want {
		t.Errorf("outcome %+v, want %+v", o, want)
	}
}

func TestAgent_TheModelHearsOfAToolThatFails(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		a := agent{
			tools: map[string]func(context.Context, string) (string, error){
				"search": func(context.Context, string) (string, error) { return "", errors.New("503") },
			},
			model: func(_ context.Context, talk []Turn) (Turn, error) {
				if len(talk) == 1 {
					return Turn{Role: "model", Tool: "search"}, nil
				}
				return Turn{Role: "model", Answer: talk[2].Text}, nil
			},
		}
		flowfabrictest.Handle(env, "ask", func(ctx context.Context, t *worker.Task, q string) (string, error) { return a.run(ctx, t, q) })
		var answer string
		if env.Result(env.Submit("ask", "?"), &answer); answer != "error: 503" {
			t.Errorf("answer %q", answer)
		}
	})
}
