package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// one runs a single task of kind "send" with the handlers register adds, and returns what the engine heard.
func one(t *testing.T, cfg worker.Config, payload string, register func(*worker.Worker)) *fake {
	t.Helper()
	var f *fake
	synctest.Test(t, func(t *testing.T) {
		f = newFake(task(1, "send", payload))
		w := worker.New(f, cfg)
		register(w)
		start(w).stopClean(t)
	})
	return f
}

func failing(err error) func(*worker.Worker) {
	return func(w *worker.Worker) {
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) { return struct{}{}, err })
	}
}

type mail struct {
	To string `json:"to"`
}

type receipt struct {
	Sent int `json:"sent"`
}

func TestHandle_PayloadAndResultAreJSON(t *testing.T) {
	f := one(t, config(), `{"to":"ann"}`, func(w *worker.Worker) {
		worker.Handle(w, "send", func(_ context.Context, _ *worker.Task, in mail) (receipt, error) {
			return receipt{Sent: len(in.To)}, nil
		})
	})
	want := []ff.Complete{{
		ExecutionID: task(1, "", "").ExecutionID, Fence: task(1, "", "").Fence,
		Result: []byte(`{"sent":3}`), ResultEncoding: "json",
	}}
	if d := cmp.Diff(want, f.completed, cmp.AllowUnexported(ff.ExecutionID{})); d != "" {
		t.Error(d)
	}
}

func TestHandle_BytesAndRawMessagePassThrough(t *testing.T) {
	f := one(t, config(), "not json", func(w *worker.Worker) {
		worker.Handle(w, "send", func(_ context.Context, _ *worker.Task, in []byte) ([]byte, error) { return in, nil })
	})
	if got := f.completed[0]; string(got.Result) != "not json" || got.ResultEncoding != "raw" {
		t.Errorf("result %q, encoding %q", got.Result, got.ResultEncoding)
	}
	f = one(t, config(), `{"a" : 1}`, func(w *worker.Worker) {
		worker.Handle(w, "send", func(_ context.Context, _ *worker.Task, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	})
	if got := f.completed[0]; string(got.Result) != `{"a" : 1}` || got.ResultEncoding != "json" {
		t.Errorf("result %q, encoding %q", got.Result, got.ResultEncoding)
	}
}

func TestHandle_EmptyStructMeansNone(t *testing.T) {
	f := one(t, config(), "ignored", failing(nil))
	if got := f.completed[0]; got.Result != nil || got.ResultEncoding != "" {
		t.Errorf("result %q, encoding %q; want none", got.Result, got.ResultEncoding)
	}
}

func TestHandle_UndecodablePayloadFailsForGood(t *testing.T) {
	f := one(t, config(), `{"to":1}`, func(w *worker.Worker) {
		worker.Handle(w, "send", func(context.Context, *worker.Task, mail) (receipt, error) {
			t.Error("the handler ran")
			return receipt{}, nil
		})
	})
	if got := f.failed[0]; got.Category != ff.FailurePermanent || !strings.HasPrefix(got.Reason, "decode payload of 8 bytes as worker_test.mail: ") {
		t.Errorf("failed with %s: %s", got.Category, got.Reason)
	}
}

func TestHandle_UnencodableOrHugeResultFailsForGood(t *testing.T) {
	f := one(t, config(), "{}", func(w *worker.Worker) {
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (func(), error) { return func() {}, nil })
	})
	if got := f.failed[0]; got.Category != ff.FailurePermanent || !strings.HasPrefix(got.Reason, "encode result func(): ") {
		t.Errorf("failed with %s: %s", got.Category, got.Reason)
	}
	f = one(t, config(), "{}", func(w *worker.Worker) {
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) ([]byte, error) { return make([]byte, 1<<20+1), nil })
	})
	if got := f.failed[0]; got.Category != ff.FailurePermanent || got.Reason != "result has 1048577 bytes; at most 1048576 are allowed" {
		t.Errorf("failed with %s: %s", got.Category, got.Reason)
	}
}

func TestHandle_PanicsOnMistakes(t *testing.T) {
	ok := func(context.Context, *worker.Task, struct{}) (struct{}, error) { return struct{}{}, nil }
	for name, register := range map[string]func(w *worker.Worker){
		"empty kind":  func(w *worker.Worker) { worker.Handle(w, "", ok) },
		"taken kind":  func(w *worker.Worker) { worker.Handle(w, "a", ok); worker.Handle(w, "a", ok) },
		"nil handler": func(w *worker.Worker) { worker.Handle[struct{}, struct{}](w, "a", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			register(worker.New(newFake(), config()))
		})
	}
}

func TestErrors_DecideWhatTheEngineHears(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"plain":             {boom, "transient: boom"},
		"permanent":         {worker.Permanent(boom), "permanent: boom"},
		"wrapped permanent": {fmt.Errorf("send: %w", worker.Permanent(boom)), "permanent: send: boom"},
		"category":          {worker.FailWith("rate_limited", boom), "rate_limited: boom"},
		"empty category":    {worker.FailWith("", boom), "transient: boom"},
		"not storable":      {errors.New("a\x00b\xffc"), "transient: a?b?c"},
		"long":              {errors.New(strings.Repeat("ä", 3000)), "transient: " + strings.Repeat("ä", 2048)},
		"own cancellation":  {context.Canceled, "transient: context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			f := one(t, config(), "{}", failing(c.err))
			if f.heard() != "fail 1" {
				t.Fatalf("heard %q", f.heard())
			}
			if d := cmp.Diff(c.want, string(f.failed[0].Category)+": "+f.failed[0].Reason); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestErrors_OfNilAreNil(t *testing.T) {
	if err := worker.Permanent(nil); err != nil {
		t.Errorf("Permanent(nil) = %v", err)
	}
}

func TestDelay_ContinuesLater(t *testing.T) {
	f := one(t, config(), "{}", failing(fmt.Errorf("quota: %w", worker.Delay(time.Minute))))
	if f.heard() != "delay 1" || f.delayed[0].For != time.Minute {
		t.Errorf("heard %q: %+v", f.heard(), f.delayed)
	}
	f = one(t, config(), "{}", failing(worker.Delay(0)))
	if f.heard() != "release 1" {
		t.Errorf("heard %q; want a delay of nothing to be a release", f.heard())
	}
}

func TestCancel_EndsTheExecutionAsWorker(t *testing.T) {
	f := one(t, config(), "{}", failing(worker.Cancel("no longer wanted")))
	if f.heard() != "cancel 1" {
		t.Fatalf("heard %q", f.heard())
	}
	if got := f.cancelled[0]; got.Source != "worker" || got.Reason != "no longer wanted" || got.Fence != task(1, "", "").Fence {
		t.Errorf("cancelled with %+v", got)
	}
}

func TestPanic_FailsTheAttempt(t *testing.T) {
	f := one(t, config(), "{}", func(w *worker.Worker) {
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) { panic("no ink") })
	})
	got := f.failed[0]
	if got.Category != "panic" || !strings.HasPrefix(got.Reason, "panic: no ink\n\ngoroutine ") || len(got.Reason) > 4096 {
		t.Errorf("failed with %s: %s", got.Category, got.Reason)
	}
}

func TestGoexit_FailsTheAttemptAndFreesTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(2, "send")...)
		cfg := config()
		cfg.Concurrency = 1
		w := worker.New(f, cfg)
		worker.Handle(w, "send", func(_ context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			if number(t.ID()) == 1 {
				runtime.Goexit()
			}
			return struct{}{}, nil
		})
		r := start(w)
		synctest.Wait()
		if len(f.failed) != 1 || len(f.completed) != 1 {
			t.Errorf("heard %q", f.heard())
		}
		r.stopClean(t)
	})
}

func TestUnknownKind_IsDelayed(t *testing.T) {
	f := one(t, config(), "{}", func(w *worker.Worker) {
		worker.Handle(w, "other", func(context.Context, *worker.Task, struct{}) (struct{}, error) { return struct{}{}, nil })
	})
	if f.heard() != "delay 1" {
		t.Fatalf("heard %q", f.heard())
	}
	if d := f.delayed[0].For; d < 8*time.Second || d > 10*time.Second {
		t.Errorf("delayed for %s", d)
	}
}

func TestMiddleware_FirstIsOutermost(t *testing.T) {
	var trace []string
	named := func(name string) func(worker.Handler) worker.Handler {
		return func(next worker.Handler) worker.Handler {
			return func(ctx context.Context, t *worker.Task) ([]byte, error) {
				trace = append(trace, name+" before")
				out, err := next(ctx, t)
				trace = append(trace, name+" after")
				return out, err
			}
		}
	}
	cfg := config()
	cfg.Middleware = []func(worker.Handler) worker.Handler{named("outer"), named("inner")}
	one(t, cfg, "{}", func(w *worker.Worker) {
		worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			if got, ok := worker.TaskFrom(ctx); ok && got == t {
				trace = append(trace, "handler")
			}
			return struct{}{}, nil
		})
	})
	want := []string{"outer before", "inner before", "handler", "inner after", "outer after"}
	if d := cmp.Diff(want, trace); d != "" {
		t.Error(d)
	}
}

func TestTask_TellsWhatWasClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := task(5, "send", "{}")
		c.Tags = map[string]string{"app.shop": "7"}
		c.Fence.AttemptIndex, c.RetryCount, c.Resumed, c.CreatedAt, c.AttemptType = 2, 1, true, 9, ff.AttemptRetry
		w := worker.New(newFake(c), config())
		worker.Handle(w, "send", func(_ context.Context, got *worker.Task, _ struct{}) (struct{}, error) {
			if got.ID() != c.ExecutionID || got.Kind() != "send" || got.Lane() != "mail" || got.Namespace() != "default" ||
				got.Attempt() != 2 || got.AttemptType() != "retry" || got.RetryCount() != 1 || !got.Resumed() ||
				got.CreatedAt() != 9 || got.LeaseExpiresAt() != 30_000 || got.Fence() != c.Fence ||
				got.PayloadEncoding() != "json" || got.Tags()["app.shop"] != "7" {
				t.Errorf("the task differs from what was claimed: %+v", got)
			}
			return struct{}{}, nil
		})
		start(w).stopClean(t)
	})
}
