package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

type decision struct {
	By string `json:"by"`
}

func TestWaitSignal_ParksUntilTheSignal(t *testing.T) {
	runs := 0
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		runs++
		d, err := worker.WaitSignal[decision](ctx, "legal", worker.For(ff.WaitForApproval))
		if err != nil {
			return nil, fmt.Errorf("wrapped: %w", err)
		}
		if runs < 4 {
			return nil, worker.Delay(time.Minute)
		}
		return d, nil
	}, func(b *bed) {
		b.wantState(ff.PublicSuspended)
		s, err := b.Describe(b.Context(), b.id)
		if err != nil || s.State.BlockingReason != ff.WaitingForApproval {
			b.Errorf("blocked for %s, %v", s.State.BlockingReason, err)
		}
		b.pass(time.Hour)
		b.signal("legal", "approved", "ann", decision{By: "ann"})
		if runs != 2 || b.heard().looks != 1 {
			b.Errorf("%d runs, %d looks at the waitpoint; want 2 and 1", runs, b.heard().looks)
		}
		b.pass(time.Hour)
		if got := b.result(); got != `{"by":"ann"}` || b.heard().looks != 1 {
			b.Errorf("result %s; %d looks, though the answer was recorded", got, b.heard().looks)
		}
		if d := cmp.Diff([]string{"legal"}, b.names()); d != "" {
			b.Error(d)
		}
	})
}

// TestWaitSignal_AnswerBeforeTheParkIsNotLost: the handler runs again at once, under the same lease.
func TestWaitSignal_AnswerBeforeTheParkIsNotLost(t *testing.T) {
	var epochs []uint64
	var resumed []bool
	var b *bed
	announced := 0
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		epochs, resumed = append(epochs, t.Fence().Epoch), append(resumed, t.Resumed())
		return worker.WaitSignal[decision](ctx, "legal", worker.Announce(func(_ context.Context, w worker.Waiting) error {
			announced++
			if w.ExecutionID != t.ID() || w.Token == "" || w.Until != 0 {
				return fmt.Errorf("announced %+v", w)
			}
			b.signalTo(w.WaitpointID, "approved", "bot", decision{By: "bot"})
			return nil
		}))
	}, func(at *bed) {
		b = at
		b.pass(time.Hour + time.Minute)
		if got := b.result(); got != `{"by":"bot"}` || announced != 1 {
			b.Errorf("result %s; announced %d times", got, announced)
		}
	})
	if len(epochs) != 2 || epochs[0] != epochs[1] || !resumed[1] {
		t.Errorf("leases %v, resumed %v", epochs, resumed)
	}
}

func TestWaitSignal_SuspendMayBeRepeated(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		return worker.WaitSignal[decision](ctx, "legal")
	}, func(b *bed) {
		b.say(says{unheard: 2})
		b.pass(time.Hour + time.Minute)
		b.wantState(ff.PublicSuspended)
		if len(b.heard().suspends) != 3 || b.heard().suspends[0].SuspensionID != b.heard().suspends[2].SuspensionID {
			b.Errorf("suspended by %+v", b.heard().suspends)
		}
		b.signal("legal", "approved", "", decision{By: "ann"})
		b.result()
	})
}

func TestWaitSignal_PayloadIsReadLikeATasks(t *testing.T) {
	type answers struct {
		Raw, Typed string
		Bad        bool
	}
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		var a answers
		raw, err := worker.WaitSignal[[]byte](ctx, "raw")
		if err != nil {
			return nil, err
		}
		typed, err := worker.WaitSignal[decision](ctx, "typed")
		if err != nil {
			return nil, err
		}
		_, err = worker.WaitSignal[decision](ctx, "bad")
		if errors.Is(err, worker.ErrParked) {
			return nil, err
		}
		a.Raw, a.Typed, a.Bad = string(raw), typed.By, err != nil
		return a, nil
	}, func(b *bed) {
		b.signal("raw", "x", "", []int{1})
		b.signal("typed", "x", "", decision{By: "ann"})
		b.signal("bad", "x", "", []int{2})
		if got := b.result(); got != `{"Raw":"[1]","Typed":"ann","Bad":true}` {
			b.Errorf("result %s", got)
		}
	})
}

func TestWaitSignal_TimesOut(t *testing.T) {
	var got []error
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.WaitSignal[decision](ctx, "legal", worker.Within(time.Hour))
		if errors.Is(err, worker.ErrWaitTimeout) {
			got = append(got, err)
			if len(got) == 1 {
				return nil, worker.Delay(time.Minute)
			}
		}
		return nil, err
	}, func(b *bed) {
		b.pass(time.Hour - time.Second)
		b.wantState(ff.PublicSuspended)
		b.pass(time.Hour)
		reason, category := b.failure()
		if reason != `wait "legal": no signal came in time` || category != ff.FailurePermanent || len(got) != 2 {
			b.Errorf("failed as %s: %s; %d runs", category, reason, len(got))
		}
		if b.heard().looks != 1 {
			b.Errorf("%d looks at the waitpoint, want 1", b.heard().looks)
		}
	})
	for _, err := range got {
		var s *worker.StepError
		if !errors.As(err, &s) || s.Name != "legal" || s.Category != ff.FailurePermanent {
			t.Errorf("got %#v", err)
		}
	}
}

// TestWithin_CountsFromTheFirstTime: a crash between, however long, does not give it more time.
func TestWithin_CountsFromTheFirstTime(t *testing.T) {
	for away, waited := range map[time.Duration]time.Duration{30 * time.Minute: time.Hour, 3 * time.Hour: 3 * time.Hour} {
		var began, ended time.Time
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			first := began.IsZero()
			if first {
				began = now()
			}
			_, err := worker.WaitSignal[decision](ctx, "legal", worker.Within(time.Hour))
			switch {
			case first:
				return nil, worker.Delay(away) // it does not park
			case errors.Is(err, worker.ErrWaitTimeout):
				ended = now()
				return "timed out", nil
			}
			return nil, err
		}, func(b *bed) {
			b.pass(4 * time.Hour)
			if got := b.result(); got != `"timed out"` {
				b.Errorf("result %s", got)
			}
		})
		if took := ended.Sub(began); took < waited || took > waited+2*time.Second {
			t.Errorf("away for %s: timed out after %s, want %s", away, took, waited)
		}
	}
}

func TestWait_OperatorResumes(t *testing.T) {
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		signals, err := worker.WaitSignals(ctx, "many")
		if err != nil {
			return nil, err
		}
		_, err = worker.WaitSignal[decision](ctx, "one")
		if errors.Is(err, worker.ErrParked) {
			return nil, err
		}
		return []any{len(signals), errors.Is(err, worker.ErrResumedByOperator)}, nil
	}, func(b *bed) {
		for range 2 {
			if _, err := b.Resume(b.Context(), ff.ResumeExecution{ExecutionID: b.id, Actor: "ops"}); err != nil {
				b.Fatal(err)
			}
			b.pass(time.Second)
		}
		if got := b.result(); got != "[0,true]" {
			b.Errorf("result %s", got)
		}
	})
}

func TestWait_ClosedWaitpointSaysHow(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.WaitSignals(ctx, "legal")
		if errors.Is(err, worker.ErrWaitClosed) {
			return err.Error(), nil
		}
		return nil, err
	}, func(b *bed) {
		page, err := b.ListPendingWaitpoints(b.Context(), ff.ListPendingWaitpoints{ExecutionID: b.id})
		if err != nil || len(page.Items) != 1 {
			b.Fatal(page, err)
		}
		if _, err := b.CloseWaitpoint(b.Context(), ff.CloseWaitpoint{
			ExecutionID: b.id, WaitpointID: page.Items[0].WaitpointID, Reason: "no longer needed",
		}); err != nil {
			b.Fatal(err)
		}
		if _, err := b.Resume(b.Context(), ff.ResumeExecution{ExecutionID: b.id}); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Second)
		if got := b.result(); got != `"wait \"legal\": the waitpoint was closed: no longer needed"` {
			b.Errorf("result %s", got)
		}
	})
}

// TestWait_WaitpointClosedBeforeThePark: the handler hears of it at once, and does not wait for ever.
func TestWait_WaitpointClosedBeforeThePark(t *testing.T) {
	var b *bed
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		if err := worker.Sleep(ctx, "until the test listens", time.Hour); err != nil {
			return nil, err
		}
		_, err := worker.WaitSignals(ctx, "legal", worker.Announce(func(ctx context.Context, w worker.Waiting) error {
			_, err := b.CloseWaitpoint(ctx, ff.CloseWaitpoint{ExecutionID: t.ID(), WaitpointID: w.WaitpointID})
			return err
		}))
		return nil, err
	}, func(at *bed) {
		b = at
		b.pass(time.Hour + time.Minute)
		if reason, category := b.failure(); reason != `wait "legal": the waitpoint was closed: proactive_close` || category != ff.FailurePermanent {
			b.Errorf("failed as %s: %s", category, reason)
		}
	})
}

func TestWaitSignals_DistinctApproversByLink(t *testing.T) {
	links := make(map[string]ff.SignalLink)
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		signals, err := worker.WaitSignals(ctx, "deploy", worker.FromDistinct(2), worker.Named("approve"), worker.Announce(
			func(ctx context.Context, w worker.Waiting) (err error) {
				for _, who := range []string{"ann", "bob", "cyd"} {
					if links[who], err = w.Link(ctx, "approve", who); err != nil {
						return err
					}
				}
				return nil
			}))
		var who []string
		for _, s := range signals {
			who = append(who, s.SourceIdentity)
		}
		return who, err
	}, func(b *bed) {
		for _, who := range []string{"cyd", "cyd", "ann"} {
			b.wantState(ff.PublicSuspended)
			b.signal("deploy", "comment", who, nil) // of another name
			if _, err := b.SignalByLink(b.Context(), ff.SignalByLink{Link: links[who]}); err != nil {
				b.Fatal(err)
			}
			b.pass(time.Second)
		}
		if got := b.result(); got != `["cyd","ann"]` {
			b.Errorf("result %s", got)
		}
	})
}

func TestWaitSignals_LargeAnswersStayWhereTheyAre(t *testing.T) {
	runs := 0
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		signals, err := worker.WaitSignals(ctx, "parts", worker.FromDistinct(5))
		if err != nil {
			return nil, err
		}
		if runs++; runs == 1 {
			return nil, worker.Delay(time.Minute)
		}
		size := 0
		for _, s := range signals {
			size += len(s.Payload)
		}
		return size, nil
	}, func(b *bed) {
		for i := range 5 {
			b.signal("parts", "part", fmt.Sprint(i), strings.Repeat("x", ff.MaxSignalBytes-2))
		}
		b.pass(time.Hour)
		if got := b.result(); got != fmt.Sprint(5*ff.MaxSignalBytes) {
			b.Errorf("result %s", got)
		}
		if size := len(b.heard().recorded[len(b.heard().recorded)-1].Result); size > ff.MaxNameBytes {
			b.Errorf("recorded %d bytes", size)
		}
	})
}

func TestWait_SeveralAtOnceKeepTheirSignals(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		var got [3]decision
		results := make(chan error, len(got))
		for i, name := range []string{"a", "b", "c"} {
			go func() {
				var err error
				got[i], err = worker.WaitSignal[decision](ctx, name)
				results <- err
			}()
		}
		return got, errors.Join(<-results, <-results, <-results)
	}, func(b *bed) {
		for _, name := range []string{"c", "a", "b"} {
			b.wantState(ff.PublicSuspended)
			b.signal(name, "x", "", decision{By: name})
		}
		b.pass(time.Second)
		if got := b.result(); got != `[{"by":"a"},{"by":"b"},{"by":"c"}]` {
			b.Errorf("result %s", got)
		}
	})
}

func TestWait_ReplayWaitsAndAnnouncesAnew(t *testing.T) {
	var points []ff.WaitpointID
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		if err := do(ctx, "before"); err != nil {
			return nil, err
		}
		return worker.WaitSignal[decision](ctx, "legal", worker.Within(time.Hour), worker.Announce(func(_ context.Context, w worker.Waiting) error {
			points = append(points, w.WaitpointID)
			return nil
		}))
	}, func(b *bed) {
		b.signal("legal", "x", "", decision{By: "ann"})
		b.result()
		b.replay(ff.StepRetention{})
		if got := b.result(); got != `{"by":"ann"}` || len(points) != 1 {
			b.Errorf("result %s of a replay that keeps all; announced %v", got, points)
		}
		b.pass(2 * time.Hour)
		b.replay(ff.StepRetention{DropFrom: "legal"})
		b.wantState(ff.PublicSuspended)
		b.signal("legal", "x", "", decision{By: "bob"})
		if got := b.result(); got != `{"by":"bob"}` || len(points) != 2 || points[0] == points[1] {
			b.Errorf("result %s of a replay that drops the wait; announced %v", got, points)
		}
		if n := len(slices.DeleteFunc(b.names(), func(s string) bool { return s != "before" })); n != 1 {
			b.Errorf("what came before was done %d times", n)
		}
	})
}

func TestWait_AnnouncementThatFails(t *testing.T) {
	tries := 0
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		return worker.WaitSignal[decision](ctx, "legal", worker.Announce(func(context.Context, worker.Waiting) error {
			if tries++; tries == 1 {
				return errBoom
			}
			return nil
		}))
	}, func(b *bed) {
		b.pass(time.Minute)
		b.wantState(ff.PublicSuspended)
		if tries != 2 {
			b.Errorf("announced %d times", tries)
		}
	})
}

func TestWait_OptionsHaveBounds(t *testing.T) {
	most := time.Duration(ff.MaxSpanMS) * time.Millisecond
	name := strings.Repeat("n", ff.MaxNameBytes-len("/announce"))
	cases := []struct {
		name string
		opt  worker.WaitOption
		fine bool
	}{
		{name, worker.Within(time.Millisecond), true},
		{name, worker.Within(most), true},
		{"a", worker.Within(0), false},
		{"a", worker.Within(time.Millisecond - 1), false},
		{"a", worker.Within(most + 1), false},
		{"a", worker.FromDistinct(1), true},
		{"a", worker.FromDistinct(ff.MaxCount), true},
		{"a", worker.FromDistinct(0), false},
		{"a", worker.FromDistinct(ff.MaxCount + 1), false},
		{"a", worker.Named(strings.Repeat("s", ff.MaxNameBytes)), true},
		{"a", worker.Named(strings.Repeat("s", ff.MaxNameBytes+1)), false},
		{"a", worker.Named(ff.TimeoutOnlyName), false},
		{"a", worker.For("my own"), true},
		{"a", worker.For(ff.WaitReason(strings.Repeat("r", ff.MaxNameBytes+1))), false},
		{name + "n", worker.Named("x"), false},
		{"", worker.Named("x"), false},
	}
	for i, c := range cases {
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			_, err := worker.WaitSignals(ctx, c.name, c.opt)
			return errors.Is(err, ff.ErrInvalidInput), nil
		}, func(b *bed) {
			if got := b.result() == "false"; got != c.fine {
				b.Errorf("case %d is accepted: %t", i, got)
			}
		})
	}
}

// TestWait_SwallowedParkCompletes is what the documentation warns of.
func TestWait_SwallowedParkCompletes(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.WaitSignals(ctx, "legal")
		return err != nil, nil
	}, func(b *bed) {
		if got := b.result(); got != "true" {
			b.Errorf("result %s", got)
		}
	})
}

func TestWait_ShutdownParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", "{}"))
		w := worker.New(&waitpoints{fake: f}, config())
		failingWith(w, func(ctx context.Context) error {
			_, err := worker.WaitSignals(ctx, "legal")
			<-after(time.Second) // the worker is told to stop meanwhile
			return err
		})
		start(w).stopClean(t)
		if f.heard() != "suspend 1" {
			t.Errorf("heard %q", f.heard())
		}
	})
}

func TestWait_RefusedSuspendIsAFailure(t *testing.T) {
	for _, code := range []ff.Code{ff.CodeInvalidInput, ff.CodeWaitpointAlreadyExists} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(task(1, "send", "{}"))
			w := worker.New(&waitpoints{fake: f, onSuspend: coded(code)}, config())
			failingWith(w, func(ctx context.Context) error {
				_, err := worker.WaitSignals(ctx, "legal")
				return err
			})
			start(w).stopClean(t)
			if len(f.failed) != 1 || f.failed[0].Category != ff.FailurePermanent {
				t.Errorf("%s: failures %+v, want one that is permanent", code, f.failed)
			}
		})
	}
}

// waitpoints is a fake that takes waits.
type waitpoints struct {
	*fake
	onSuspend error
}

func (f *waitpoints) CreateWaitpoint(_ context.Context, cmd ff.CreateWaitpoint) (ff.WaitpointGrant, error) {
	return ff.WaitpointGrant{WaitpointID: cmd.WaitpointID, Key: cmd.Key}, nil
}

func (f *waitpoints) Suspend(_ context.Context, cmd ff.Suspend) (ff.Suspended, error) {
	if f.onSuspend != nil {
		return ff.Suspended{}, f.onSuspend
	}
	return ff.Suspended{}, write(f.fake, "suspend", cmd.ExecutionID, &[]ff.Suspend{}, cmd)
}

func failingWith(w *worker.Worker, fn func(ctx context.Context) error) {
	worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) { return struct{}{}, fn(ctx) })
}
