package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func TestStep_RecordIsRepeatedWhileItsOutcomeIsUnknown(t *testing.T) {
	calls := 0
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		return worker.Step(ctx, "charge", counted(&calls))
	}, func(b *bed) {
		tries := 0
		b.say(says{record: func(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
			memo, err := b.Engine.RecordStep(ctx, cmd)
			switch tries++; tries {
			case 1:
				return ff.StepMemo{}, coded(ff.CodeTimeout) // it was recorded, and nobody knows
			case 2:
				return ff.StepMemo{}, coded(ff.CodeUnavailable)
			default:
				return memo, err
			}
		}})
		b.pass(time.Hour + time.Minute)
		if got := b.result(); got != "1" || calls != 1 || tries != 3 {
			b.Errorf("result %s after %d calls and %d records", got, calls, tries)
		}
	})
}

func TestStep_LostLeaseEndsTheHandler(t *testing.T) {
	var got, cause error
	var by []uint64
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		by = append(by, t.Fence().Epoch)
		if len(by) == 1 {
			_, got = worker.Step(ctx, "slow", func(context.Context) (int, error) {
				<-after(time.Second)
				return 1, nil
			})
			cause = context.Cause(ctx)
			return nil, got
		}
		return worker.Step(ctx, "slow", func(context.Context) (int, error) { return 2, nil })
	}, func(b *bed) {
		b.say(says{record: func(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
			if cmd.Fence.Epoch == 1 {
				cmd.Fence.Epoch = 7 // a zombie
			}
			return b.Engine.RecordStep(ctx, cmd)
		}})
		b.pass(time.Minute)
		if got := b.result(); got != "2" || len(by) != 2 {
			b.Errorf("result %s; leases %v", got, by)
		}
	})
	if !errors.Is(got, worker.ErrLeaseLost) || !errors.Is(got, ff.ErrStaleLease) {
		t.Errorf("Step: %v", got)
	}
	if !errors.Is(cause, worker.ErrLeaseLost) {
		t.Errorf("the handler's context: %v", cause)
	}
}

func TestStep_AnswersThatMeanTheLeaseIsLost(t *testing.T) {
	for _, code := range []ff.Code{
		ff.CodeStaleLease, ff.CodeLeaseExpired, ff.CodeLeaseRevoked, ff.CodeExecutionNotActive, ff.CodeExecutionNotFound, ff.CodeAlreadySuspended,
	} {
		f := stepFake(t, coded(code), func(ctx context.Context) error {
			err := do(ctx, "x")
			if !errors.Is(err, worker.ErrLeaseLost) {
				t.Errorf("%s: Step: %v", code, err)
			}
			return err
		})
		if f.heard() != "" {
			t.Errorf("%s: heard %q", code, f.heard())
		}
	}
}

// TestStep_CrashRepeatsOnlyWhatWasNotRecorded: the lease is taken while the tenth step is being recorded.
func TestStep_CrashRepeatsOnlyWhatWasNotRecorded(t *testing.T) {
	const steps, crash = 12, 10
	for recorded, want := range map[bool]int{true: 1, false: 2} {
		var calls [steps]int
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
				return nil, err
			}
			sum := 0
			for i := range steps {
				n, err := worker.Step(ctx, "call", func(context.Context) (int, error) {
					calls[i]++
					return i, nil
				})
				if err != nil {
					return nil, err
				}
				sum += n
			}
			return sum, nil
		}, func(b *bed) {
			records := 0
			b.say(says{record: func(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
				if records++; records != crash {
					return b.Engine.RecordStep(ctx, cmd)
				}
				if recorded {
					if _, err := b.Engine.RecordStep(ctx, cmd); err != nil {
						t.Error(err)
					}
				}
				if _, err := b.RevokeLease(context.WithoutCancel(ctx), ff.RevokeLease{ExecutionID: b.id, Reason: "crash"}); err != nil {
					t.Error(err)
				}
				return b.Engine.RecordStep(ctx, cmd)
			}})
			b.pass(time.Hour + time.Minute)
			if got := b.result(); got != "66" {
				b.Errorf("result %s", got)
			}
		})
		for i, n := range calls {
			if i == crash-1 && n != want || i != crash-1 && n != 1 {
				t.Errorf("recorded %t: step %d was done %d times", recorded, i+1, n)
			}
		}
	}
}

// TestStep_DoneDuringAShutdownIsRecorded: the step that runs when the time of a drain is over is not done twice.
func TestStep_DoneDuringAShutdownIsRecorded(t *testing.T) {
	f := stepFake(t, nil, func(ctx context.Context) error {
		_, err := worker.Step(ctx, "slow", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			<-after(time.Second)
			return 1, nil
		})
		if err != nil {
			return err
		}
		_, err = worker.Step(ctx, "next", func(ctx context.Context) (int, error) { return 0, ctx.Err() })
		return err
	})
	if len(f.recorded) != 1 || f.recorded[0].Name != "slow" {
		t.Errorf("recorded %+v", f.recorded)
	}
	if f.heard() != "release 1" {
		t.Errorf("heard %q, want the execution given back", f.heard())
	}
}

// recorder is a fake that remembers steps, which takes it a second.
type recorder struct {
	*fake
	refuse   error
	recorded []ff.RecordStep
}

func (f *recorder) RecordStep(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
	select {
	case <-ctx.Done():
		return ff.StepMemo{}, ctx.Err()
	case <-after(time.Second):
	}
	if f.refuse != nil {
		return ff.StepMemo{}, f.refuse
	}
	f.recorded = append(f.recorded, cmd)
	at := ff.Timestamp(0).Add(now().Sub(f.start))
	return ff.StepMemo{
		Name: cmd.Name, Key: cmd.Key, Result: cmd.Result, Encoding: cmd.Encoding, RecordedAt: at, Until: at.Add(cmd.For),
	}, nil
}

// stepFake runs a handler on a worker that is stopped at once and does not wait. Records are refused if refuse is set.
func stepFake(t *testing.T, refuse error, handler func(ctx context.Context) error) (f *recorder) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f = &recorder{fake: newFake(task(1, "send", "{}")), refuse: refuse}
		cfg := config()
		cfg.DrainTimeout = -1
		w := worker.New(f, cfg)
		worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
			return struct{}{}, handler(ctx)
		})
		start(w).stopClean(t)
	})
	return f
}

func TestStep_CancelEndsTheHandler(t *testing.T) {
	var got error
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, got = worker.Step(ctx, "slow", func(context.Context) (int, error) {
			<-after(time.Second) // it does not look at its context
			return 1, nil
		})
		return nil, got
	}, func(b *bed) {
		if _, err := b.Cancel(b.Context(), ff.Cancel{ExecutionID: b.id, Source: ff.SourceOperatorOverride, Reason: "enough"}); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Minute)
		b.wantState(ff.PublicCancelled)
	})
	if !errors.Is(got, worker.ErrCancelled) {
		t.Errorf("Step: %v", got)
	}
}
