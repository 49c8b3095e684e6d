package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// untilDone registers a handler of kind "send" that runs until its context ends and passes on why.
func untilDone(w *worker.Worker) <-chan error {
	causes := make(chan error, 100)
	worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return struct{}{}, ctx.Err()
	})
	return causes
}

// holding registers a handler of kind "send" that runs until the returned function is called.
func holding(w *worker.Worker) (letGo func()) {
	c := make(chan struct{})
	worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
		<-c
		return struct{}{}, nil
	})
	return func() { close(c) }
}

func TestRenewal_OneCallForAllAtAThirdOfTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(50, "send")...)
		cfg := config()
		cfg.Concurrency = 30 // 20 wait for a slot, under their leases
		w := worker.New(f, cfg)
		letGo := holding(w)
		r := start(w)
		pass(time.Minute)
		want := []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second, 50 * time.Second, 60 * time.Second}
		if d := cmp.Diff(want, f.renewals()); d != "" {
			t.Error(d)
		}
		for _, cmds := range f.renews {
			if len(cmds) != 50 || cmds[0].TTL != 30*time.Second || cmds[0].Fence.IsZero() || cmds[0].Progress != nil {
				t.Errorf("%d leases in a call, the first %+v", len(cmds), cmds[0])
			}
		}
		letGo()
		synctest.Wait()
		r.stopClean(t)
		if len(f.completed) != 50 {
			t.Errorf("%d completed", len(f.completed))
		}
	})
}

func TestRenewal_SharesACallWithLeasesAlmostDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		w := worker.New(f, config())
		letGo := holding(w)
		r := start(w)
		pass(2 * time.Second)
		f.add(task(2, "send", ""))
		pass(10 * time.Second)
		if d := cmp.Diff([]time.Duration{10 * time.Second}, f.renewals()); d != "" {
			t.Error(d)
		}
		if len(f.renews[0]) != 2 {
			t.Errorf("%d leases in the call", len(f.renews[0]))
		}
		letGo()
		r.stopClean(t)
	})
}

func TestRenewal_ClaimThatWaitedIsRenewedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		w := worker.New(f, config())
		letGo := holding(w)
		r := start(w)
		pass(25 * time.Second)
		f.add(task(1, "send", ""))
		pass(20 * time.Second)
		if d := cmp.Diff([]time.Duration{30 * time.Second, 40 * time.Second}, f.renewals()); d != "" {
			t.Error(d)
		}
		letGo()
		r.stopClean(t)
	})
}

func TestRenewal_MovesTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worker.New(newFake(task(1, "send", "")), config())
		var at []ff.Timestamp
		worker.Handle(w, "send", func(_ context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			at = append(at, t.LeaseExpiresAt())
			<-after(11 * time.Second)
			at = append(at, t.LeaseExpiresAt())
			return struct{}{}, nil
		})
		r := start(w)
		pass(12 * time.Second)
		r.stopClean(t)
		if d := cmp.Diff([]ff.Timestamp{30_000, 40_000}, at); d != "" {
			t.Error(d)
		}
	})
}

func TestLostLease_CancelsTheHandlerAndDropsItsResult(t *testing.T) {
	notActive := func(outcome, phase string) error {
		return &ff.Error{Code: ff.CodeExecutionNotActive, Attrs: map[string]string{"terminal_outcome": outcome, "lifecycle_phase": phase}}
	}
	for name, c := range map[string]struct{ answer, want error }{
		"stale":     {coded(ff.CodeStaleLease), worker.ErrLeaseLost},
		"expired":   {coded(ff.CodeLeaseExpired), worker.ErrLeaseLost},
		"revoked":   {coded(ff.CodeLeaseRevoked), worker.ErrLeaseLost},
		"not found": {coded(ff.CodeExecutionNotFound), worker.ErrLeaseLost},
		"ended":     {notActive("success", "terminal"), worker.ErrLeaseLost},
		"cancelled": {notActive("cancelled", "terminal"), worker.ErrCancelled},
		"phase":     {notActive("none", "cancelled"), worker.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(task(1, "send", ""))
				f.onRenew = func(context.Context, ff.Renew) error { return c.answer }
				w := worker.New(f, config())
				causes := untilDone(w)
				r := start(w)
				cause := <-causes
				if !errors.Is(cause, c.want) || !errors.Is(cause, c.answer) {
					t.Errorf("cause %v; want %v because of %v", cause, c.want, c.answer)
				}
				if at := now().Sub(f.start); at != 10*time.Second {
					t.Errorf("cancelled after %s", at)
				}
				r.stopClean(t)
				if f.heard() != "" {
					t.Errorf("heard %q after the lease was lost", f.heard())
				}
			})
		})
	}
}

func TestLostLease_ConcernsItsTaskAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(3, "send")...)
		f.onRenew = func(_ context.Context, cmd ff.Renew) error {
			if number(cmd.ExecutionID) == 2 {
				return coded(ff.CodeStaleLease)
			}
			return nil
		}
		w := worker.New(f, config())
		causes := untilDone(w)
		r := start(w)
		pass(15 * time.Second)
		if len(causes) != 1 {
			t.Errorf("%d handlers were cancelled", len(causes))
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if len(causes) != 3 {
			t.Errorf("%d handlers were cancelled at the end", len(causes))
		}
	})
}

func TestLostLease_OfATaskThatWaitsIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(2, "send")...)
		f.onRenew = func(_ context.Context, cmd ff.Renew) error {
			if number(cmd.ExecutionID) == 2 {
				return coded(ff.CodeLeaseRevoked)
			}
			return nil
		}
		cfg := config()
		cfg.Concurrency = 1
		w := worker.New(f, cfg)
		letGo := holding(w)
		r := start(w)
		pass(15 * time.Second)
		letGo()
		synctest.Wait()
		if f.heard() != "complete 1" {
			t.Errorf("heard %q", f.heard())
		}
		r.stopClean(t)
	})
}

func TestUnreachableEngine_EndsTheHandlerWhenTheTTLHasPassed(t *testing.T) {
	for name, answer := range map[string]func(ctx context.Context) error{
		"refusing": func(context.Context) error { return coded(ff.CodeUnavailable) },
		"silent":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(task(1, "send", ""))
				f.onRenewals = func(ctx context.Context, _ []ff.Renew) error { return answer(ctx) }
				w := worker.New(f, config())
				causes := untilDone(w)
				r := start(w)
				if cause := <-causes; !errors.Is(cause, worker.ErrLeaseLost) || cause.Error() != "lease lost: no renewal for 30s" {
					t.Errorf("cause %v", cause)
				}
				if at := now().Sub(f.start); at != 30*time.Second {
					t.Errorf("cancelled after %s", at)
				}
				if n := len(f.renewals()); n < 2 || n > 10 {
					t.Errorf("%d tries to renew", n)
				}
				r.stopClean(t)
			})
		})
	}
}

func TestRenewal_RecoversFromAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onRenewals = func(context.Context, []ff.Renew) error {
			if now().Sub(f.start) < 25*time.Second {
				return errors.New("connection refused")
			}
			return nil
		}
		w := worker.New(f, config())
		letGo := holding(w)
		r := start(w)
		pass(2 * time.Minute)
		letGo()
		r.stopClean(t)
		if f.heard() != "complete 1" {
			t.Errorf("heard %q", f.heard())
		}
	})
}

func TestProgress_LatestIsSentWithinASecondOrWithARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		w := worker.New(f, config())
		worker.Handle(w, "send", func(_ context.Context, task *worker.Task, _ struct{}) (struct{}, error) {
			for i := range 1000 {
				task.Progress(i/10, "working")
			}
			if err := task.Heartbeat(map[string]int{"row": 7}); err != nil {
				t.Error(err)
			}
			<-after(5 * time.Second)
			task.Progress(300, "done")
			return struct{}{}, nil
		})
		r := start(w)
		pass(3 * time.Second)
		if d := cmp.Diff([]time.Duration{time.Second}, f.renewals()); d != "" {
			t.Error(d)
		}
		got := f.renews[0][0].Progress
		if got == nil || *got.Percent != 99 || *got.Message != "working" || string(got.Details) != `{"row":7}` {
			t.Errorf("reported %+v", got)
		}
		pass(3 * time.Second)
		if f.heard() != "progress 1, complete 1" {
			t.Fatalf("heard %q", f.heard())
		}
		if last := f.progress[0].Progress; *last.Percent != 100 || *last.Message != "done" || last.Details != nil {
			t.Errorf("reported %+v at the end", last)
		}
		r.stopClean(t)
	})
}

func TestProgress_IsSentAgainAfterAFailedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onRenewals = func(context.Context, []ff.Renew) error {
			if len(f.renewals()) == 1 {
				return coded(ff.CodeUnavailable)
			}
			return nil
		}
		w := worker.New(f, config())
		worker.Handle(w, "send", func(_ context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			t.Progress(40, "sorting")
			<-after(8 * time.Second)
			return struct{}{}, nil
		})
		r := start(w)
		pass(9 * time.Second)
		if d := cmp.Diff([]time.Duration{time.Second, 3500 * time.Millisecond}, f.renewals()); d != "" {
			t.Error(d)
		}
		if got := f.renews[1][0].Progress; got == nil || *got.Percent != 40 {
			t.Errorf("reported %+v", got)
		}
		r.stopClean(t)
	})
}

func TestHeartbeat_RefusesWhatCannotBeStored(t *testing.T) {
	one(t, config(), "", func(w *worker.Worker) {
		worker.Handle(w, "send", func(_ context.Context, task *worker.Task, _ struct{}) (struct{}, error) {
			if err := task.Heartbeat(func() {}); err == nil {
				t.Error("a function was accepted")
			}
			if err := task.Heartbeat(make([]byte, 16<<10)); err == nil {
				t.Error("21 KiB were accepted")
			}
			return struct{}{}, nil
		})
	})
}
