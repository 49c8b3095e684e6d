package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

var errBoom = errors.New("boom")

// counted is a step's function that counts its calls and returns their number.
func counted(calls *int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		*calls++
		return *calls, nil
	}
}

func TestStep_DoneIsNotDoneAgainByARetry(t *testing.T) {
	var fetched, parsed, runs int
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		runs++
		a, err := worker.Step(ctx, "fetch", counted(&fetched))
		if err != nil {
			return nil, err
		}
		if t.RetryCount() == 0 {
			return nil, errBoom
		}
		b, err := worker.Step(ctx, "parse", counted(&parsed))
		return []int{a, b}, err
	}, func(b *bed) {
		if b.heard().lists != 0 {
			b.Errorf("a first attempt has read its steps %d times", b.heard().lists)
		}
		b.pass(time.Minute)
		if got := b.result(); got != "[1,1]" || runs != 2 || fetched != 1 {
			b.Errorf("result %s after %d runs; fetched %d times", got, runs, fetched)
		}
		if b.heard().lists != 1 {
			b.Errorf("the steps were read %d times, want once", b.heard().lists)
		}
		page, err := b.ListSteps(b.Context(), ff.ListSteps{ExecutionID: b.id})
		if err != nil {
			b.Fatal(err)
		}
		var got []string
		for _, m := range page.Items {
			got = append(got, fmt.Sprintf("%s %s at %d: %s %s by %d/%d", m.Name, m.Key, m.Position, m.Result, m.Encoding, m.AttemptIndex, m.Epoch))
		}
		want := []string{"fetch #1 at 1: 1 json by 0/1", "parse #1 at 2: 1 json by 1/2"}
		if d := cmp.Diff(want, got); d != "" {
			b.Error(d)
		}
	})
}

// TestStep_ResultHasBeenThroughTheRecord: the first run gets what later ones get.
func TestStep_ResultHasBeenThroughTheRecord(t *testing.T) {
	type secretive struct{ Open, hidden string }
	var got []secretive
	var raw [][]byte
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		v, err := worker.Step(ctx, "typed", func(context.Context) (secretive, error) { return secretive{"a", "b"}, nil })
		got = append(got, v)
		r, err2 := worker.Step(ctx, "raw", func(context.Context) ([]byte, error) { return []byte("abc"), nil })
		raw = append(raw, slices.Clone(r))
		r[0] = 'x' // what a handler does to it must not be remembered
		if again, err := worker.Step(ctx, "raw", func(context.Context) ([]byte, error) { return []byte("abc"), nil }, worker.Key("2")); err == nil {
			raw = append(raw, again)
		}
		if !t.Resumed() {
			return nil, worker.Delay(time.Second)
		}
		return nil, errors.Join(err, err2)
	}, func(b *bed) {
		b.pass(time.Minute)
		b.result()
	})
	if d := cmp.Diff([]secretive{{Open: "a"}, {Open: "a"}}, got, cmp.AllowUnexported(secretive{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]byte{[]byte("abc"), []byte("abc"), []byte("abc"), []byte("abc")}, raw); d != "" {
		t.Error(d)
	}
}

func TestStep_ErrorIsFoundAgainWhileTheAttemptGoesOn(t *testing.T) {
	for category, give := range map[ff.FailureCategory]error{
		"transient": errBoom, "permanent": worker.Permanent(errBoom), "quota": fmt.Errorf("%w", worker.FailWith("quota", errBoom)),
	} {
		var calls int
		var got []error
		durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
			_, err := worker.Step(ctx, "charge", func(context.Context) (int, error) {
				calls++
				return 0, give
			})
			got = append(got, err)
			if !t.Resumed() {
				return nil, worker.Delay(time.Second)
			}
			return "dealt with", nil
		}, func(b *bed) {
			b.pass(time.Minute)
			b.result()
		})
		if calls != 1 || len(got) != 2 {
			t.Fatalf("%s: %d calls in %d runs", category, calls, len(got))
		}
		if !errors.Is(got[0], errBoom) {
			t.Errorf("%s: the run that met it got %v", category, got[0])
		}
		for i, err := range got {
			var s *worker.StepError
			if !errors.As(err, &s) || err.Error() != "boom" || s.Name != "charge" || s.Key != "#1" || s.Message != "boom" || s.Category != category {
				t.Errorf("%s: run %d got %#v", category, i+1, err)
			}
		}
	}
}

func TestStep_RetryDoesAgainWhatFailed(t *testing.T) {
	for _, c := range []struct {
		give     error
		runs     int
		category ff.FailureCategory
	}{{errBoom, 4, "transient"}, {worker.Permanent(errBoom), 1, "permanent"}} {
		calls := 0
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			_, err := worker.Step(ctx, "charge", func(context.Context) (int, error) {
				calls++
				return 0, c.give
			})
			return nil, err
		}, func(b *bed) {
			b.pass(time.Hour)
			if reason, category := b.failure(); reason != "boom" || category != c.category || calls != c.runs {
				b.Errorf("failed as %s %q after %d calls, want %s after %d", category, reason, calls, c.category, c.runs)
			}
			b.replay(ff.StepRetention{})
			b.pass(time.Hour)
			if _, category := b.failure(); category != c.category || (calls > c.runs) != (c.category == "transient") {
				b.Errorf("after a replay: %s, %d calls", category, calls)
			}
		})
	}
}

// TestStep_NoErrorIsNoResult: an error without a text must not be taken for a result.
func TestStep_NoErrorIsNoResult(t *testing.T) {
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		_, err := worker.Step(ctx, "mute", func(context.Context) (int, error) { return 0, errors.New("") })
		if err == nil {
			return "no error", nil
		}
		if !t.Resumed() {
			return nil, worker.Delay(time.Second)
		}
		return err.Error(), nil
	}, func(b *bed) {
		b.pass(time.Minute)
		if got := b.result(); got != `"*errors.errorString"` {
			b.Errorf("got %s", got)
		}
	})
}

func TestStep_EndOfTheRunIsNotRecorded(t *testing.T) {
	calls := 0
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		return worker.Step(ctx, "later", func(context.Context) (int, error) {
			if calls++; calls == 1 {
				return 0, fmt.Errorf("closed: %w", worker.Delay(time.Hour))
			}
			return calls, nil
		})
	}, func(b *bed) {
		b.wantState(ff.PublicDelayed)
		if len(b.heard().recorded) != 0 {
			b.Errorf("recorded %+v", b.heard().recorded)
		}
		b.pass(time.Hour)
		if got := b.result(); got != "2" {
			b.Errorf("result %s", got)
		}
	})
}

func TestStep_ErrorUnderAnEndedContextIsNotRecorded(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		ended, stop := context.WithCancel(ctx)
		_, err := worker.Step(ended, "part", func(context.Context) (int, error) {
			stop()
			return 0, errBoom
		})
		return errors.Is(err, errBoom), nil
	}, func(b *bed) {
		if got := b.result(); got != "true" || len(b.heard().recorded) != 0 {
			b.Errorf("result %s; recorded %+v", got, b.heard().recorded)
		}
	})
}

func TestStep_InsideAStepIsRefused(t *testing.T) {
	var inner []error
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.Step(ctx, "outer", func(ctx context.Context) (int, error) {
			_, step := worker.Step(ctx, "inner", counted(new(int)))
			_, wait := worker.WaitSignal[int](ctx, "inner")
			_, each := worker.Map(ctx, "inner", []int{1}, func(context.Context, int) (int, error) { return 0, nil })
			inner = append(inner, step, worker.Sleep(ctx, "inner", time.Second), wait, each)
			return 0, step
		})
		return nil, err
	}, func(b *bed) {
		if _, category := b.failure(); category != ff.FailurePermanent || len(b.heard().recorded) != 0 {
			b.Errorf("failed as %s; recorded %+v", category, b.heard().recorded)
		}
	})
	for _, err := range inner {
		if !errors.Is(err, worker.ErrNestedStep) {
			t.Errorf("got %v", err)
		}
	}
}

func TestStep_OutsideAHandler(t *testing.T) {
	if _, err := worker.Step(t.Context(), "x", counted(new(int))); !errors.Is(err, worker.ErrNoTask) {
		t.Errorf("Step: %v", err)
	}
	if err := worker.Sleep(t.Context(), "x", time.Second); !errors.Is(err, worker.ErrNoTask) {
		t.Errorf("Sleep: %v", err)
	}
	if _, err := worker.WaitSignals(t.Context(), "x"); !errors.Is(err, worker.ErrNoTask) {
		t.Errorf("WaitSignals: %v", err)
	}
	if key := worker.StepKey(t.Context()); key != "" {
		t.Errorf("StepKey: %q", key)
	}
}

func TestStep_NamesAndKeysHaveBounds(t *testing.T) {
	long := strings.Repeat("n", ff.MaxNameBytes)
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		var refused []string
		for what, err := range map[string]error{
			"good":       do(ctx, long, worker.Key(long)),
			"no name":    do(ctx, ""),
			"long name":  do(ctx, long+"n"),
			"long key":   do(ctx, "a", worker.Key(long+"n")),
			"no key":     do(ctx, "a", worker.Key("")),
			"number":     do(ctx, "a", worker.Key("#1")),
			"no bytes":   do(ctx, "a", worker.Key("a\x00")),
			"good again": do(ctx, "a", worker.Key("1")),
		} {
			if errors.Is(err, ff.ErrInvalidInput) {
				refused = append(refused, what)
			}
		}
		slices.Sort(refused)
		return strings.Join(refused, ", "), nil
	}, func(b *bed) {
		if got := b.result(); got != `"long key, long name, no bytes, no key, no name, number"` {
			b.Errorf("refused are %s", got)
		}
	})
}

func do(ctx context.Context, name string, opts ...worker.StepOption) error {
	_, err := worker.Step(ctx, name, func(context.Context) (struct{}, error) { return struct{}{}, nil }, opts...)
	return err
}

func TestStep_SizeOfAResultIsBounded(t *testing.T) {
	for size, fits := range map[int]bool{ff.MaxStepBytes: true, ff.MaxStepBytes + 1: false} {
		calls := 0
		durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
			out, err := worker.Step(ctx, "big", func(context.Context) ([]byte, error) {
				calls++
				return make([]byte, size), nil
			})
			if !t.Resumed() {
				return nil, worker.Delay(time.Second)
			}
			return len(out), err
		}, func(b *bed) {
			b.pass(time.Minute)
			if fits {
				if got := b.result(); got != "262144" {
					b.Errorf("result %s", got)
				}
			} else if reason, category := b.failure(); category != ff.FailurePermanent || reason != "result has 262145 bytes; at most 262144 are allowed" {
				b.Errorf("failed as %s: %s", category, reason)
			}
		})
		if calls != 1 {
			t.Errorf("%d bytes: %d calls", size, calls)
		}
	}
}

func TestStep_CallsOfOneNameAreNumbered(t *testing.T) {
	calls := 0
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		var got []int
		for range 3 {
			n, err := worker.Step(ctx, "page", counted(&calls))
			if err != nil {
				return nil, err
			}
			got = append(got, n)
		}
		for range 2 { // the same step
			n, err := worker.Step(ctx, "page", counted(&calls), worker.Key("last"))
			if err != nil {
				return nil, err
			}
			got = append(got, n)
		}
		if !t.Resumed() {
			return nil, worker.Delay(time.Second)
		}
		return got, nil
	}, func(b *bed) {
		b.pass(time.Minute)
		if got := b.result(); got != "[1,2,3,4,4]" {
			b.Errorf("result %s", got)
		}
	})
}

func TestStepKey_IsStableUntilAReplay(t *testing.T) {
	var keys []string
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		_, err := worker.Step(ctx, "charge", func(ctx context.Context) (int, error) {
			keys = append(keys, worker.StepKey(ctx))
			if !t.Resumed() {
				return 0, worker.Delay(time.Second)
			}
			return 0, nil
		})
		if err != nil {
			return nil, err
		}
		return worker.Step(ctx, "charge", func(ctx context.Context) (int, error) {
			keys = append(keys, worker.StepKey(ctx))
			return 0, nil
		})
	}, func(b *bed) {
		b.pass(time.Minute)
		b.result()
		b.replay(ff.StepRetention{DropFrom: "charge"})
		b.pass(time.Minute)
		b.result()
	})
	if len(keys) < 5 {
		t.Fatalf("keys %q", keys)
	}
	first, other, replayed := keys[0], keys[2], keys[3]
	if len(first) != 32 || keys[1] != first || other == first || replayed == first {
		t.Errorf("keys %q", keys)
	}
}

// TestStep_FirstRecordCounts: whoever recorded first decides what the step came to.
func TestStep_FirstRecordCounts(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		return worker.Step(ctx, "race", func(context.Context) (string, error) {
			first, err := worker.Step(ctx, "race", func(context.Context) (string, error) { return "first", nil }, worker.Key("k"))
			return "second after " + first, err
		}, worker.Key("k"))
	}, func(b *bed) {
		if got := b.result(); got != `"first"` {
			b.Errorf("result %s", got)
		}
	})
}

func TestStep_FirstErrorCounts(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.Step(ctx, "race", func(context.Context) (int, error) {
			_, err := worker.Step(ctx, "race", func(context.Context) (int, error) {
				return 0, worker.FailWith("quota", errors.New("first"))
			}, worker.Key("k"))
			return 0, errors.Join(errBoom, err)
		}, worker.Key("k"))
		var s *worker.StepError
		return []any{err.Error(), errors.As(err, &s) && s.Category == "quota", errors.Is(err, errBoom)}, nil
	}, func(b *bed) {
		if got := b.result(); got != `["first",true,false]` {
			b.Errorf("result %s", got)
		}
	})
}

// TestStep_ManyLargeResults: what is too much to keep in memory is read when it is asked for.
func TestStep_ManyLargeResults(t *testing.T) {
	const steps, fit = 70, 64 // results of 256 KiB, of which 16 MiB are kept
	calls := 0
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		for i := range steps {
			out, err := worker.Step(ctx, "big", func(context.Context) ([]byte, error) {
				calls++
				return bytes.Repeat([]byte{byte(i)}, ff.MaxStepBytes), nil
			})
			if err != nil || len(out) != ff.MaxStepBytes || out[0] != byte(i) {
				return nil, worker.Permanent(fmt.Errorf("step %d: %d bytes of %d: %w", i, len(out), out[0], err))
			}
		}
		if !t.Resumed() {
			return nil, worker.Delay(time.Second)
		}
		return nil, nil
	}, func(b *bed) {
		b.pass(time.Minute)
		b.result()
		if calls != steps || len(b.heard().recorded) != steps+steps-fit || b.heard().lists < 2 {
			b.Errorf("%d calls, %d records, %d lists", calls, len(b.heard().recorded), b.heard().lists)
		}
	})
}
