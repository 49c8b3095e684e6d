package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
	"github.com/flowfabric/flowfabric/worker"
)

// viewer follows an execution from a cursor on until it ends, or until it has seen so many items; 0: to the end.
type viewer struct {
	done   chan struct{}
	told   []string
	cursor ff.StreamCursor
	err    error
}

func view(ctx context.Context, svc ff.StreamFollower, q ff.FollowStream, items int) *viewer {
	v := &viewer{done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for item, err := range ff.Follow(ctx, svc, q) {
			if err != nil {
				v.err = err
				return
			}
			v.cursor = item.Cursor
			v.told = append(v.told, fmt.Sprint(item.AttemptIndex, " ", item.Kind, " ", string(item.Frame.Payload), item.ClosedReason))
			if len(v.told) == items {
				return
			}
		}
	}()
	return v
}

func (v *viewer) want(t *testing.T, want ...string) {
	t.Helper()
	<-v.done
	if v.err != nil {
		t.Errorf("error %v", v.err)
	}
	if diff := cmp.Diff(want, v.told); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// story is a handler that writes, waits, fails once, and completes.
func story(ctx context.Context, task *worker.Task, _ struct{}) (any, error) {
	out := worker.Stream(ctx)
	if !task.Resumed() {
		_ = out.Text("n", fmt.Sprint("attempt ", task.Attempt()))
	}
	if _, err := worker.WaitSignal[string](ctx, "go"); err != nil {
		return nil, err
	}
	_ = out.Text("n", "went on")
	if task.Attempt() == 0 {
		return nil, errors.New("once")
	}
	return nil, nil
}

func TestFollow_OverSuspensionAndRetry(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		flowfabrictest.Handle(env, "story", story)
		id := env.SubmitCommand(ff.Submit{Kind: "story", Payload: []byte("{}"), Policy: ff.Retry(1, nil)})
		early := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 0)
		leaver := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 2)
		env.RunUntilIdle()
		<-leaver.done
		env.Signal(id, "go", "go", nil)
		env.Advance(time.Hour)
		whole := []string{
			"0 begins ", "0 frame attempt 0", "0 frame went on", "0 ends attempt_failure",
			"1 begins ", "1 frame attempt 1", "1 frame went on", "1 ends attempt_success",
		}
		early.want(t, whole...)
		leaver.want(t, whole[:2]...)
		view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 0).want(t, whole...)
		view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id, After: leaver.cursor}, 0).want(t, whole[2:]...)
		view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id, After: early.cursor}, 0).want(t)
	})
}

func TestFollow_OverACrash(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		flowfabrictest.Handle(env, "send", func(ctx context.Context, task *worker.Task, _ struct{}) (any, error) {
			out := worker.Stream(ctx)
			if err := errors.Join(out.Text("n", fmt.Sprint("attempt ", task.Attempt())), out.Flush()); err != nil {
				return nil, err
			}
			return worker.Step(ctx, "step", func(context.Context) (int, error) { return 1, nil })
		})
		env.KillAfterStep(1)
		id := env.Submit("send", struct{}{})
		v := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 0)
		env.Result(id, nil)
		<-v.done
		for i, told := range v.told { // a viewer that comes after the next worker is told by that one's claim
			v.told[i] = strings.Replace(told, "0 ends reclaimed", "0 ends lease_expired", 1)
		}
		v.want(t, "0 begins ", "0 frame attempt 0", "0 ends lease_expired", "1 begins ", "1 frame attempt 1", "1 ends attempt_success")
	})
}

func TestFollow_EndsWhateverEndsTheExecution(t *testing.T) {
	for name, c := range map[string]struct {
		cmd  ff.Submit
		want []string
	}{
		"before it began":        {ff.Submit{Kind: "story", DelayUntil: 253_402_300_799_999}, nil},
		"while it is suspended":  {ff.Submit{Kind: "story"}, []string{"0 begins ", "0 frame attempt 0", "0 ends attempt_cancelled"}},
		"while it is delayed":    {ff.Submit{Kind: "delay"}, []string{"0 begins ", "0 ends attempt_cancelled"}},
		"while a retry is to be": {ff.Submit{Kind: "fail"}, []string{"0 begins ", "0 ends attempt_failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
				flowfabrictest.Handle(env, "story", story)
				flowfabrictest.Handle(env, "delay", func(context.Context, *worker.Task, struct{}) (any, error) {
					return nil, worker.Delay(time.Hour)
				})
				flowfabrictest.Handle(env, "fail", func(context.Context, *worker.Task, struct{}) (any, error) {
					return nil, errors.New("no")
				})
				c.cmd.Payload, c.cmd.Policy = []byte("{}"), ff.Retry(1, &ff.Backoff{Type: ff.BackoffFixed, DelayMS: 3_600_000})
				id := env.SubmitCommand(c.cmd)
				v := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 0)
				env.Advance(time.Minute)
				if _, err := env.Engine.Cancel(t.Context(), ff.Cancel{ExecutionID: id, Source: ff.SourceOperatorOverride, Actor: "ann"}); err != nil {
					t.Fatal(err)
				}
				env.Advance(time.Minute)
				v.want(t, c.want...)
			})
		})
	}
}

func TestFollow_AReplayGoesOn(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		flowfabrictest.Handle(env, "send", func(ctx context.Context, task *worker.Task, _ struct{}) (any, error) {
			return nil, worker.Stream(ctx).Text("n", fmt.Sprint("replay ", task.ReplayCount()))
		})
		id := env.Submit("send", struct{}{})
		first := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id}, 0)
		env.Result(id, nil)
		first.want(t, "0 begins ", "0 frame replay 0", "0 ends attempt_success")
		if _, err := env.Engine.Replay(t.Context(), ff.Replay{ExecutionID: id}); err != nil {
			t.Fatal(err)
		}
		second := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: id, After: first.cursor}, 0)
		env.Result(id, nil)
		second.want(t, "0 begins ", `0 frame {"replay":1}`, "0 frame replay 1", "0 ends attempt_success")
	})
}

func TestFollow_OfNobodyFails(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		v := view(t.Context(), env.Engine, ff.FollowStream{ExecutionID: ff.ExecutionIDFrom(7, [16]byte{1})}, 0)
		synctest.Wait()
		<-v.done
		if !errors.Is(v.err, ff.ErrExecutionNotFound) {
			t.Errorf("error %v, want ErrExecutionNotFound", v.err)
		}
	})
}
