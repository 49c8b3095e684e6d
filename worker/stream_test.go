package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
	"github.com/flowfabric/flowfabric/worker"
)

func (e *tap) AppendFrames(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
	e.mu.Lock()
	e.log.appended = append(e.log.appended, cmd)
	appends := e.says.appends
	e.mu.Unlock()
	if appends != nil {
		return appends(ctx, cmd)
	}
	return e.Engine.AppendFrames(ctx, cmd)
}

// calls are the payloads of each call of AppendFrames with their numbers, "1 a, 2 b".
func (b *bed) calls() (calls []string) {
	for _, cmd := range b.heard().appended {
		var frames []string
		for _, f := range cmd.Frames {
			frames = append(frames, fmt.Sprintf("%d %s", f.Seq, f.Payload))
		}
		calls = append(calls, strings.Join(frames, ", "))
	}
	return calls
}

func (b *bed) wantCalls(want ...string) {
	b.Helper()
	if diff := cmp.Diff(want, b.calls()); diff != "" {
		b.Errorf("calls of AppendFrames (-want +got):\n%s", diff)
	}
}

// wantStream wants the frames of an attempt: type and payload.
func (b *bed) wantStream(attempt int, want ...string) {
	b.Helper()
	if diff := cmp.Diff(want, framesOf(b.T, b.Engine, b.id, attempt)); diff != "" {
		b.Errorf("stream of attempt %d (-want +got):\n%s", attempt, diff)
	}
}

func framesOf(t *testing.T, svc ff.Streams, id ff.ExecutionID, attempt int) (frames []string) {
	t.Helper()
	page, err := svc.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id, AttemptIndex: attempt, Limit: ff.MaxStreamPage})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range page.Frames {
		frames = append(frames, f.Type+" "+string(f.Payload))
	}
	return frames
}

func TestStream_FramesAreWhatWasWritten(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		n, err := fmt.Fprint(out, "Hello")
		return n, errors.Join(err,
			out.Flush(),
			out.Text("log", "two"),
			out.JSON("usage", map[string]int{"tokens": 3}),
			out.Summary(map[string]any{"title": "Hi", "draft": true}),
			out.Summary(map[string]any{"draft": nil}),
			out.Live("progress", 40),
			out.Frame(ff.Frame{Payload: []byte{0xff}, Kind: ff.FrameBlob, Encoding: ff.FrameBinary, CorrelationID: "c"}))
	}, func(b *bed) {
		if got := b.result(); got != "5" {
			b.Errorf("written %s bytes, want 5", got)
		}
		page, err := b.ReadStream(b.Context(), ff.ReadStream{ExecutionID: b.id})
		if err != nil {
			b.Fatal(err)
		}
		for i := range page.Frames {
			if page.Frames[i].ProducedAt == 0 {
				b.Errorf("frame %d does not say when it was produced", i)
			}
			page.Frames[i].ID, page.Frames[i].ProducedAt = ff.FrameID{}, 0
		}
		if diff := cmp.Diff([]ff.StreamFrame{
			{Kind: "event", Type: "text_chunk", Payload: []byte("Hello"), Encoding: "utf8", Mode: "durable"},
			{Kind: "event", Type: "log", Payload: []byte("two"), Encoding: "utf8", Mode: "durable"},
			{Kind: "event", Type: "usage", Payload: []byte(`{"tokens":3}`), Encoding: "json", Mode: "durable"},
			{Kind: "event", Type: "event", Payload: []byte(`{"draft":true,"title":"Hi"}`), Encoding: "json", Mode: "summary", SummaryVersion: 1},
			{Kind: "event", Type: "event", Payload: []byte(`{"draft":null}`), Encoding: "json", Mode: "summary", SummaryVersion: 2},
			{Kind: "event", Type: "progress", Payload: []byte(`40`), Encoding: "json", Mode: "best_effort"},
			{Kind: "blob", Type: "blob", Payload: []byte{0xff}, Encoding: "binary", Mode: "durable", CorrelationID: "c"},
		}, page.Frames); diff != "" {
			b.Errorf("frames (-want +got):\n%s", diff)
		}
		s, err := b.ReadSummary(b.Context(), b.id, 0)
		if err != nil || string(s.Document) != `{"title":"Hi"}` {
			b.Errorf("summary %s, %v", s.Document, err)
		}
	})
}

func TestStream_WhatComesDuringACallGoesWithTheNext(t *testing.T) {
	first, answer := make(chan struct{}), make(chan struct{})
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		out := worker.Stream(ctx)
		fmt.Fprint(out, "one")
		<-first
		for _, text := range []string{"two", "-", "three"} {
			fmt.Fprint(out, text)
		}
		_ = out.Text("log", "apart")
		fmt.Fprint(out, "four")
		fmt.Fprint(out, "five")
		close(answer)
		return nil, nil
	}, func(b *bed) {
		calls := 0
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			if calls++; calls == 1 {
				close(first)
				<-answer
			}
			return b.Engine.AppendFrames(ctx, cmd)
		}})
		b.pass(time.Hour + time.Minute)
		b.wantCalls("1 one", "2 two-three, 3 apart, 4 fourfive")
		b.wantStream(0, "text_chunk one", "text_chunk two-three", "log apart", "text_chunk fourfive")
	})
}

func TestStream_AnAnswerThatIsLostAddsNothingTwice(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		out := worker.Stream(ctx)
		_ = out.Text("log", "a")
		_ = out.Summary(map[string]any{"n": 1})
		return nil, out.Flush()
	}, func(b *bed) {
		calls := 0
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			switch calls++; calls {
			case 1:
				_, err := b.Engine.AppendFrames(ctx, cmd)
				return ff.Appended{}, errors.Join(err, coded(ff.CodeTimeout)) // they were appended, and nobody knows
			case 2:
				return ff.Appended{}, coded(ff.CodeUnavailable)
			default:
				return b.Engine.AppendFrames(ctx, cmd)
			}
		}})
		b.pass(time.Hour + time.Minute)
		b.result()
		b.wantStream(0, "log a", `event {"n":1}`)
		if s, err := b.ReadSummary(b.Context(), b.id, 0); err != nil || s.Version != 1 {
			b.Errorf("summary of version %d, %v; want 1", s.Version, err)
		}
		if calls < 3 {
			b.Errorf("%d calls; the test has lost no answer", calls)
		}
	})
}

func TestStream_EverythingIsSentBeforeTheOutcome(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context) error{
		"complete": func(context.Context) error { return nil },
		"fail":     func(context.Context) error { return errors.New("no") },
		"panic":    func(context.Context) error { panic("no") },
		"delay":    func(context.Context) error { return worker.Delay(time.Hour) },
		"cancel":   func(context.Context) error { return worker.Cancel("enough") },
		"suspend": func(ctx context.Context) error {
			_, err := worker.WaitSignal[string](ctx, "go")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
				out := worker.Stream(ctx)
				for i := range 5 {
					_ = out.Text("n", fmt.Sprint(i))
				}
				return nil, end(ctx)
			}, func(b *bed) {
				b.wantStream(0, "n 0", "n 1", "n 2", "n 3", "n 4")
			})
		})
	}
}

func TestStream_AResumedAttemptGoesOnInItsStream(t *testing.T) {
	durably(t, func(ctx context.Context, task *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		_ = out.Text("run", fmt.Sprint("resumed ", task.Resumed()))
		_, err := worker.WaitSignal[string](ctx, "go")
		if err != nil {
			return nil, err
		}
		return nil, out.Text("run", "went on")
	}, func(b *bed) {
		b.wantState(ff.PublicSuspended)
		b.signal("go", "go", "", nil)
		b.result()
		b.wantStream(0, "run resumed false", "run resumed true", "run went on")
		for _, cmd := range b.heard().appended {
			if cmd.Fence.Epoch > 1 && cmd.Frames[0].Seq > 2 {
				b.Errorf("the second lease begins with number %d", cmd.Frames[0].Seq)
			}
		}
	})
}

func TestStream_AStepThatIsDoneDoesNotWriteAgainAfterACrash(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		flowfabrictest.Handle(env, "send", func(ctx context.Context, task *worker.Task, _ struct{}) (any, error) {
			out := worker.Stream(ctx)
			if err := errors.Join(out.Text("before", fmt.Sprint(task.Attempt())), out.Flush()); err != nil {
				return nil, err
			}
			return worker.Step(ctx, "step", func(ctx context.Context) (int, error) {
				inside := worker.Stream(ctx)
				return 1, errors.Join(inside.Text("inside", fmt.Sprint(task.Attempt())), inside.Flush())
			})
		})
		env.KillAfterStep(1)
		id := env.Submit("send", struct{}{})
		env.Result(id, nil)
		if diff := cmp.Diff([]string{"before 0", "inside 0"}, framesOf(t, env.Engine, id, 0)); diff != "" {
			t.Errorf("attempt 0 (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"before 1"}, framesOf(t, env.Engine, id, 1)); diff != "" {
			t.Errorf("attempt 1 (-want +got):\n%s", diff)
		}
	})
}

func TestStream_AFullBufferMakesWritingWait(t *testing.T) {
	for name, frames := range map[string]struct{ count, size int }{
		"frames": {ff.MaxAppendFrames, 1},
		"bytes":  {ff.MaxAppendBytes / ff.MaxFrameBytes, ff.MaxFrameBytes},
	} {
		t.Run(name, func(t *testing.T) {
			var full, waited, live error
			written := 0
			durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
				if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
					return nil, err
				}
				out := worker.Stream(ctx)
				_ = out.Text("n", "first") // is under way all the time
				synctest.Wait()
				for ; written < frames.count; written++ {
					if err := out.Text("n", strings.Repeat("x", frames.size)); err != nil {
						return nil, err
					}
				}
				began := now()
				live = out.Live("progress", 1)
				if now().Sub(began) > 0 {
					t.Error("a live frame has waited")
				}
				short, stop := context.WithTimeout(ctx, time.Second)
				defer stop()
				full = worker.Stream(short).Text("n", "x")
				if got := now().Sub(began); got != time.Second {
					t.Errorf("a frame too many has waited %s, want 1s", got)
				}
				waited = out.Text("n", "last")
				if got := now().Sub(began); got != 10*time.Second {
					t.Errorf("the next frame has waited %s, want 10s", got)
				}
				return nil, nil
			}, func(b *bed) {
				calls := 0
				b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
					if calls++; calls == 1 {
						<-after(10 * time.Second)
					}
					return b.Engine.AppendFrames(ctx, cmd)
				}})
				b.pass(time.Hour + time.Minute)
				b.result()
				if !errors.Is(full, context.DeadlineExceeded) || waited != nil || live != nil {
					b.Errorf("errors %v, %v and %v; want the end of the context alone", full, waited, live)
				}
				if got := len(framesOf(b.T, b.Engine, b.id, 0)); got != frames.count+2 {
					b.Errorf("%d frames in the stream, want %d", got, frames.count+2)
				}
				if calls != 3 {
					b.Errorf("%d calls, want 3", calls)
				}
			})
		})
	}
}

func TestStream_AnAppendThatFindsTheLeaseGoneEndsTheHandler(t *testing.T) {
	var wrote, cause, later error
	var by []uint64
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		by = append(by, t.Fence().Epoch)
		out := worker.Stream(ctx)
		if len(by) > 1 {
			return nil, out.Text("n", "second")
		}
		<-after(time.Second) // until the test listens
		_ = out.Text("n", "zombie")
		wrote = out.Flush()
		<-ctx.Done()
		cause, later = context.Cause(ctx), out.Text("n", "zombie")
		return nil, nil
	}, func(b *bed) {
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			if cmd.Fence.Epoch == 1 {
				return ff.Appended{}, coded(ff.CodeStaleOwner)
			}
			return b.Engine.AppendFrames(ctx, cmd)
		}})
		b.pass(time.Minute)
		for _, err := range []error{wrote, cause, later} {
			if !errors.Is(err, worker.ErrLeaseLost) {
				b.Errorf("error %v, want ErrLeaseLost", err)
			}
		}
		b.result()
		if len(by) != 2 || by[1] == 1 {
			b.Errorf("runs under the epochs %v; want a second one under another", by)
		}
		b.wantStream(1, "n second")
	})
}

func TestStream_AnAppendToACancelledExecutionSaysSo(t *testing.T) {
	var wrote error
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		_ = out.Text("n", "before")
		<-ctx.Done()
		wrote = out.Text("n", "after")
		return nil, wrote
	}, func(b *bed) {
		if _, err := b.Cancel(b.Context(), ff.Cancel{ExecutionID: b.id, Source: ff.SourceOperatorOverride, Actor: "ann"}); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Second)
		if !errors.Is(wrote, worker.ErrCancelled) {
			b.Errorf("error %v, want ErrCancelled", wrote)
		}
		b.wantStream(0, "n before")
	})
}

// refusing is a handler that writes a patch the engine refuses between two frames that it takes.
func refusing(end func(out *worker.StreamWriter) error) func(context.Context, *worker.Task) (any, error) {
	return func(ctx context.Context, _ *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		for i := range 3 {
			_ = out.Text("n", fmt.Sprint("before ", i))
		}
		_ = out.Summary([]string{"no object"})
		_ = out.Text("n", "behind")
		return nil, end(out)
	}
}

func TestStream_WhatIsRefusedEndsTheStreamThere(t *testing.T) {
	var flushed, later error
	durably(t, refusing(func(out *worker.StreamWriter) error {
		flushed = out.Flush()
		later = out.Text("n", "later")
		return nil
	}), func(b *bed) {
		b.result() // the handler has met the error, and says that all is well
		b.wantStream(0, "n before 0", "n before 1", "n before 2")
		for _, err := range []error{flushed, later} {
			if !errors.Is(err, ff.ErrInvalidInput) {
				b.Errorf("error %v, want ErrInvalidInput", err)
			}
		}
	})
}

func TestStream_WhatIsRefusedUnnoticedFailsTheExecution(t *testing.T) {
	durably(t, refusing(func(*worker.StreamWriter) error { return nil }), func(b *bed) {
		reason, category := b.failure()
		if category != ff.FailurePermanent || !strings.Contains(reason, "append to the stream: ") {
			b.Errorf("failed as %s: %s", category, reason)
		}
		b.wantStream(0, "n before 0", "n before 1", "n before 2")
	})
}

func TestStream_WhatCannotBeSentIsRefusedAtOnce(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		for what, c := range map[string]struct{ got, want error }{
			"large":         {out.Text("n", strings.Repeat("x", ff.MaxFrameBytes+1)), ff.ErrRetentionLimitExceeded},
			"large live":    {out.Live("n", strings.Repeat("x", ff.MaxFrameBytes)), ff.ErrRetentionLimitExceeded},
			"numbered":      {out.Frame(ff.Frame{Seq: 1}), ff.ErrInvalidInput},
			"name too long": {out.Text(strings.Repeat("x", ff.MaxNameBytes+1), ""), ff.ErrInvalidInput},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: error %v, want %v", what, c.got, c.want)
			}
		}
		if err := out.JSON("n", func() {}); err == nil {
			t.Error("a function was encoded")
		}
		return nil, errors.Join(out.Text("n", strings.Repeat("x", ff.MaxFrameBytes)), out.Flush())
	}, func(b *bed) {
		b.result()
		b.wantStream(0, "n "+strings.Repeat("x", ff.MaxFrameBytes))
	})
}

func TestStream_LongTextIsCutBetweenCharacters(t *testing.T) {
	text := "x" + strings.Repeat("é", ff.MaxFrameBytes) // the bound falls into a character
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		return fmt.Fprint(worker.Stream(ctx), text)
	}, func(b *bed) {
		if got := b.result(); got != fmt.Sprint(len(text)) {
			b.Errorf("written %s, want %d", got, len(text))
		}
		var got strings.Builder
		for _, f := range framesOf(b.T, b.Engine, b.id, 0) {
			piece := strings.TrimPrefix(f, "text_chunk ")
			if strings.ToValidUTF8(piece, "") != piece {
				b.Error("a character is cut")
			}
			got.WriteString(piece)
		}
		if got.String() != text {
			b.Error("the frames do not make up the text")
		}
	})
}

func TestStream_AfterTheHandlerNothingIsWritten(t *testing.T) {
	var out *worker.StreamWriter
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		out = worker.Stream(ctx)
		return nil, out.Text("n", "in time")
	}, func(b *bed) {
		b.result()
		if err := out.Text("n", "late"); err == nil {
			b.Error("a late frame was taken")
		}
		b.wantStream(0, "n in time")
	})
}

func TestStream_WithoutATaskNothingIsWritten(t *testing.T) {
	out := worker.Stream(t.Context())
	_, err := fmt.Fprint(out, "x")
	for _, err := range []error{err, out.Live("n", 1), out.Flush()} {
		if !errors.Is(err, worker.ErrNoTask) {
			t.Errorf("error %v, want ErrNoTask", err)
		}
	}
}

func TestStream_WhatIsWrittenAtAShutdownIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng := openEngine()
		defer eng.Close(context.Background())
		w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}, DrainTimeout: -1})
		worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (any, error) {
			<-ctx.Done()
			return nil, errors.Join(worker.Stream(ctx).Text("n", "bye"), ctx.Err())
		})
		r := start(w)
		sub, err := eng.Submit(t.Context(), ff.Submit{Lane: "mail", Kind: "send"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.stopClean(t)
		if diff := cmp.Diff([]string{"n bye"}, framesOf(t, eng, sub.ID, 0)); diff != "" {
			t.Errorf("stream (-want +got):\n%s", diff)
		}
		s, err := eng.Describe(t.Context(), sub.ID)
		if err != nil || s.PublicState != ff.PublicWaiting {
			t.Errorf("state %q, %v; want it to be given back", s.PublicState, err)
		}
	})
}

func TestStream_ALeaseThatIsFoundGoneAfterTheHandlerDropsItsResult(t *testing.T) {
	durably(t, func(ctx context.Context, task *worker.Task) (any, error) {
		if task.Attempt() == 0 {
			<-after(time.Second) // until the test listens
		}
		return task.Attempt(), worker.Stream(ctx).Text("n", fmt.Sprint(task.Attempt()))
	}, func(b *bed) {
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			if cmd.Fence.Epoch == 1 {
				<-after(time.Second) // the handler has returned
				return ff.Appended{}, coded(ff.CodeStaleOwner)
			}
			return b.Engine.AppendFrames(ctx, cmd)
		}})
		b.pass(time.Minute)
		if got := b.result(); got != "1" {
			b.Errorf("result %s, want that of the next attempt", got)
		}
	})
}

func TestStream_ALostLeaseEndsACallThatHangs(t *testing.T) {
	var wrote error
	durably(t, func(ctx context.Context, task *worker.Task) (any, error) {
		out := worker.Stream(ctx)
		if task.Fence().Epoch > 1 {
			return nil, out.Text("n", "second")
		}
		<-after(time.Second) // until the test listens
		_ = out.Text("n", "hangs")
		wrote = out.Flush()
		return nil, wrote
	}, func(b *bed) {
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			if cmd.Fence.Epoch == 1 {
				<-ctx.Done()
				return ff.Appended{}, &ff.Error{Code: ff.CodeTimeout, Err: context.Cause(ctx)}
			}
			return b.Engine.AppendFrames(ctx, cmd)
		}})
		b.pass(2 * time.Second)
		if _, err := b.RevokeLease(b.Context(), ff.RevokeLease{ExecutionID: b.id, Actor: "ann", Reason: "test"}); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Minute)
		if !errors.Is(wrote, worker.ErrLeaseLost) {
			b.Errorf("error %v, want ErrLeaseLost", wrote)
		}
		b.result()
		b.wantStream(0, "n second")
	})
}

func TestStream_FramesOfGoroutinesKeepTheirOrderUnderLostAnswers(t *testing.T) {
	const writers, each = 8, 300
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		<-after(time.Second) // until the test listens
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range each {
					if err := worker.Stream(ctx).Text(fmt.Sprint("w", w), fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		return nil, nil
	}, func(b *bed) {
		calls := 0
		b.say(says{appends: func(ctx context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
			<-after(time.Millisecond)
			res, err := b.Engine.AppendFrames(ctx, cmd)
			if calls++; err == nil && calls%2 == 1 {
				return ff.Appended{}, coded(ff.CodeTimeout)
			}
			return res, err
		}})
		b.pass(time.Minute)
		b.result()
		next := map[string]int{}
		for _, f := range framesOf(b.T, b.Engine, b.id, 0) {
			writer, text, _ := strings.Cut(f, " ")
			if text != fmt.Sprint(next[writer]) {
				b.Fatalf("of %s came %s, want %d", writer, text, next[writer])
			}
			next[writer]++
		}
		for w := range writers {
			if got := next[fmt.Sprint("w", w)]; got != each {
				b.Errorf("%d frames of writer %d, want %d", got, w, each)
			}
		}
		if calls > 20 {
			b.Errorf("%d calls for %d frames; want them to share", calls, writers*each)
		}
	})
}
