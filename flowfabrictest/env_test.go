package flowfabrictest_test

import (
	"context"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
	"github.com/flowfabric/flowfabric/worker"
)

func TestEnv_RunsHandlersInVirtualTime(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		runs := 0
		flowfabrictest.Handle(env, "late", func(_ context.Context, _ *worker.Task, in string) (string, error) {
			if runs++; runs == 1 {
				return "", worker.Delay(72 * time.Hour)
			}
			return in + " done", nil
		})
		id := env.Submit("late", "three days")
		if s := env.State(id); s != flowfabric.PublicDelayed || runs != 1 {
			t.Errorf("state %s after %d runs", s, runs)
		}
		env.Advance(71 * time.Hour)
		if runs != 1 {
			t.Errorf("it ran %d times before its time", runs)
		}
		env.Advance(time.Hour)
		var out string
		if env.Result(id, &out); out != "three days done" {
			t.Errorf("result %q", out)
		}
	})
}

func TestEnv_CrashLosesWhatRuns(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		var attempts []int
		flowfabrictest.Handle(env, "slow", func(ctx context.Context, t *worker.Task, _ struct{}) (int, error) {
			attempts = append(attempts, t.Attempt())
			if t.Attempt() == 0 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return t.Attempt(), nil
		})
		id := env.Submit("slow", nil)
		env.RunUntilIdle()
		env.CrashWorker()
		var by int
		if env.Result(id, &by); by != 1 || len(attempts) != 2 {
			t.Errorf("result of attempt %d; attempts %v", by, attempts)
		}
	})
}
