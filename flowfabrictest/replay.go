package flowfabrictest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// Outcome is what an execution has come to, as [ReplayAllCrashPoints] compares it.
type Outcome struct {
	Outcome flowfabric.Outcome
	Result  string
	Reason  string
}

// ReplayAllCrashPoints runs a handler without a crash, and then once for each step it records with a crash right behind it,
// and once with a crash right before its memo is written, when the step is done and nobody knows. Each time everything
// starts anew, and another worker carries on. It fails the test if any outcome differs from that of the first run. drive,
// which may be nil, does what the world does while the handler waits: it signals, and lets time pass.
//
// It returns the outcome. How often a step was really done the handler's fakes can tell: all but one of them once, and the
// one that was done before a crash before its memo twice.
func ReplayAllCrashPoints[In, Out any](
	t *testing.T, in In, handler func(ctx context.Context, t *worker.Task, in In) (Out, error), drive func(env *Env, id flowfabric.ExecutionID),
) Outcome {
	t.Helper()
	run := func(t *testing.T, c *crash) (o Outcome, steps int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			env := New(t)
			Handle(env, "handler", handler)
			o, steps = env.crashing(in, c, drive)
		})
		return o, steps
	}
	want, steps := run(t, nil)
	for n := 1; n <= steps; n++ {
		for _, before := range []bool{false, true} {
			name := fmt.Sprintf("crash after step %d", n)
			if before {
				name = fmt.Sprintf("crash before step %d is recorded", n)
			}
			t.Run(name, func(t *testing.T) {
				if got, _ := run(t, &crash{after: n, before: before}); got != want {
					t.Errorf("the outcome is %+v; without a crash it was %+v", got, want)
				}
			})
		}
	}
	return want
}

// crashing runs one execution to its end and returns what it came to, and how many steps were recorded.
func (env *Env) crashing(in any, c *crash, drive func(*Env, flowfabric.ExecutionID)) (Outcome, int) {
	env.Helper()
	payload, err := json.Marshal(in)
	if err != nil {
		env.Fatal(err)
	}
	id := env.Submit("handler", payload)
	if c == nil {
		c = &crash{} // never
	}
	env.start(c)
	first := env.line
	env.settle()
	if drive != nil {
		drive(env, id)
	}
	env.RunUntilIdle()
	res, err := env.Engine.Result(env.Context(), id)
	if err != nil {
		env.Fatal(err)
	}
	return Outcome{res.Outcome, string(res.Payload), res.FailureReason}, first.steps
}
