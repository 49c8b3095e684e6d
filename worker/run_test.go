package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func TestRun_RefusesAnInvalidConfig(t *testing.T) {
	for field, c := range map[string]worker.Config{
		"Lanes":              {},
		"lane_id":            {Lanes: []ff.LaneID{"ü"}},
		"worker_id":          {Lanes: []ff.LaneID{"a"}, WorkerID: "a b"},
		"worker_instance_id": {Lanes: []ff.LaneID{"a"}, InstanceID: "a b"},
		"Concurrency":        {Lanes: []ff.LaneID{"a"}, Concurrency: -1},
		"Prefetch":           {Lanes: []ff.LaneID{"a"}, Prefetch: 1001},
		"MaxUnacked":         {Lanes: []ff.LaneID{"a"}, MaxUnacked: -1},
		"LeaseTTL":           {Lanes: []ff.LaneID{"a"}, LeaseTTL: time.Millisecond},
		"PollWait":           {Lanes: []ff.LaneID{"a"}, PollWait: time.Hour},
	} {
		t.Run(field, func(t *testing.T) {
			err := worker.New(newFake(), c).Run(t.Context())
			var e *ff.Error
			if !errors.As(err, &e) || e.Code != ff.CodeInvalidInput || e.Attrs["field"] != field {
				t.Errorf("Run: %v", err)
			}
		})
	}
	err := worker.New(newFake(), worker.Config{Lanes: []ff.LaneID{"a"}, Capabilities: []string{"a,b"}}).Run(t.Context())
	if !errors.Is(err, ff.ErrInvalidCapabilities) {
		t.Errorf("Run: %v", err)
	}
}

func TestRun_NeedsAHandlerAndRunsOnce(t *testing.T) {
	w := worker.New(newFake(), config())
	if err := w.Run(t.Context()); err == nil {
		t.Error("ran without a handler")
	}
	failing(nil)(w)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ended); err != nil {
		t.Error(err)
	}
	if err := w.Run(ended); err == nil {
		t.Error("ran twice")
	}
}

func TestClaim_AsksForWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		cfg := config()
		cfg.WorkerID, cfg.InstanceID, cfg.Capabilities, cfg.Concurrency, cfg.Prefetch = "pool", "p1", []string{"gpu"}, 8, 4
		w := worker.New(f, cfg)
		letGo := holding(w)
		r := start(w)
		want := ff.Claim{
			Lanes: []ff.LaneID{"mail"}, WorkerID: "pool", WorkerInstanceID: "p1", Capabilities: []string{"gpu"},
			Max: 12, Wait: 50 * time.Second, LivenessTTL: time.Minute, LeaseTTL: 30 * time.Second,
		}
		if d := cmp.Diff([]ff.Claim{want}, f.claims); d != "" {
			t.Error(d)
		}
		f.add(tasks(9, "send")...)
		pass(time.Second)
		if n := len(f.claims); n != 2 || f.claims[1].Max != 3 {
			t.Errorf("%d claims; the last asks for %d", n, f.claims[n-1].Max)
		}
		f.add(task(10, "send", ""))
		pass(time.Second)
		if n := len(f.claims); n != 2 {
			t.Errorf("%d claims, though less than a quarter is free", n)
		}
		letGo()
		synctest.Wait()
		if n := len(f.completed); n != 10 {
			t.Errorf("%d completed", n)
		}
		r.stopClean(t)
	})
}

func TestClaim_FailureIsRepeatedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onClaim = func(context.Context, ff.Claim) error {
			if now().Sub(f.start) < time.Minute {
				return coded(ff.CodeUnavailable)
			}
			return nil
		}
		w := worker.New(f, config())
		failing(nil)(w)
		r := start(w)
		pass(10 * time.Second)
		if n := f.asked(); n < 6 || n > 10 {
			t.Errorf("%d claims in ten seconds", n)
		}
		pass(time.Minute)
		if f.heard() != "complete 1" {
			t.Errorf("heard %q", f.heard())
		}
		r.stopClean(t)
	})
}

func TestClaim_InvalidEndsRunAfterADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onClaim = func(context.Context, ff.Claim) error {
			if f.asked() > 1 {
				return coded(ff.CodeInvalidInput)
			}
			return nil
		}
		w := worker.New(f, config())
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
			<-after(10 * time.Second)
			return struct{}{}, nil
		})
		err := w.Run(t.Context())
		if !errors.Is(err, ff.ErrInvalidInput) || err.Error() != "claim: invalid_input" {
			t.Errorf("Run: %v", err)
		}
		if f.heard() != "complete 1" {
			t.Errorf("heard %q", f.heard())
		}
	})
}

func TestConcurrency_IsNotExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(100, "send")...)
		cfg := config()
		cfg.Concurrency = 7
		w := worker.New(f, cfg)
		var running, most atomic.Int32
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			<-after(time.Second)
			return struct{}{}, nil
		})
		r := start(w)
		pass(15 * time.Second)
		if len(f.completed) != 100 || most.Load() != 7 {
			t.Errorf("%d completed with at most %d at once", len(f.completed), most.Load())
		}
		r.stopClean(t)
	})
}

func TestCompletion_DoesNotHoldTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(3, "send")...)
		stored := make(chan struct{})
		f.onComplete = func(context.Context, ff.Complete) error { <-stored; return nil }
		cfg := config()
		cfg.Concurrency, cfg.MaxUnacked = 1, 2
		w := worker.New(f, cfg)
		var begun atomic.Int32
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
			begun.Add(1)
			return struct{}{}, nil
		})
		r := start(w)
		f.add(task(4, "send", ""))
		synctest.Wait()
		// Two results are on their way; the third handler has returned and its slot waits for room.
		if n := begun.Load(); n != 3 || f.heard() != "" {
			t.Errorf("%d handlers began; heard %q", n, f.heard())
		}
		pass(15 * time.Second)
		if n := len(f.renews[0]); n != 4 {
			t.Errorf("%d leases are renewed; want those of results on their way too", n)
		}
		close(stored)
		synctest.Wait()
		if n := len(f.completed); n != 4 {
			t.Errorf("%d completed", n)
		}
		r.stopClean(t)
	})
}

func TestCompletion_IsRepeatedUntilItIsStored(t *testing.T) {
	for name, answer := range map[string]error{
		"unavailable": coded(ff.CodeUnavailable), "timeout": coded(ff.CodeTimeout), "transport": errors.New("broken pipe"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(task(1, "send", ""))
				tries := 0
				f.onComplete = func(context.Context, ff.Complete) error {
					if tries++; tries < 4 {
						return answer
					}
					return nil
				}
				w := worker.New(f, config())
				failing(nil)(w)
				r := start(w)
				pass(time.Second)
				if f.heard() != "complete 1" || tries != 4 {
					t.Errorf("heard %q after %d tries", f.heard(), tries)
				}
				r.stopClean(t)
			})
		})
	}
}

func TestCompletion_IsGivenUpWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onComplete = func(context.Context, ff.Complete) error { return coded(ff.CodeUnavailable) }
		f.onRenewals = func(context.Context, []ff.Renew) error { return coded(ff.CodeUnavailable) }
		cfg := config()
		cfg.DrainTimeout = time.Hour
		w := worker.New(f, cfg)
		failing(nil)(w)
		r := start(w)
		r.stopClean(t)
		if at := now().Sub(f.start); at != 30*time.Second {
			t.Errorf("given up after %s", at)
		}
	})
}

func TestCompletion_RefusedAsInvalidFailsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onComplete = func(context.Context, ff.Complete) error { return coded(ff.CodePayloadTooLarge) }
		w := worker.New(f, config())
		failing(nil)(w)
		start(w).stopClean(t)
		if f.heard() != "fail 1" || f.failed[0].Category != "permanent" || f.failed[0].Reason != "complete: payload_too_large" {
			t.Errorf("heard %q: %+v", f.heard(), f.failed)
		}
	})
}

func TestCompletion_OfALostLeaseIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		tries := 0
		f.onComplete = func(context.Context, ff.Complete) error { tries++; return coded(ff.CodeStaleLease) }
		w := worker.New(f, config())
		failing(nil)(w)
		start(w).stopClean(t)
		if tries != 1 || f.heard() != "" {
			t.Errorf("%d tries, heard %q", tries, f.heard())
		}
	})
}

// A completion whose answer is slow makes the execution inactive before the worker knows. The renewal that learns so must
// not take the completion back.
func TestCompletion_SurvivesARenewalItCausedToBeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		f.onComplete = func(ctx context.Context, _ ff.Complete) error {
			select {
			case <-after(20 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		f.onRenew = func(context.Context, ff.Renew) error { return coded(ff.CodeExecutionNotActive) }
		w := worker.New(f, config())
		failing(nil)(w)
		start(w).stopClean(t)
		if f.heard() != "complete 1" || len(f.renewals()) != 1 {
			t.Errorf("heard %q after %d renewals", f.heard(), len(f.renewals()))
		}
	})
}

func TestDrain_FinishesWhatRunsAndReleasesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(3, "send")...)
		cfg := config()
		cfg.Concurrency = 1
		w := worker.New(f, cfg)
		worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
			<-after(20 * time.Second)
			return struct{}{}, ctx.Err()
		})
		r := start(w)
		r.stopClean(t)
		if got := f.heard(); got != "release 2, complete 1" {
			t.Errorf("heard %q", got)
		}
		if len(f.ready) != 1 {
			t.Errorf("%d tasks left at the engine; want the one that did not fit", len(f.ready))
		}
	})
}

func TestDrain_CancelsLateHandlersAndReleasesTheirTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", ""))
		w := worker.New(f, config())
		causes := untilDone(w)
		r := start(w)
		r.stopClean(t)
		if cause := <-causes; !errors.Is(cause, worker.ErrShutdown) {
			t.Errorf("cause %v", cause)
		}
		if at := now().Sub(f.start); f.heard() != "release 1" || at != 30*time.Second {
			t.Errorf("heard %q after %s", f.heard(), at)
		}
	})
}

func TestDrain_NamesHandlersThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(2, "send")...)
		cfg := config()
		cfg.DrainTimeout = -1
		w := worker.New(f, cfg)
		letGo := holding(w)
		r := start(w)
		err := r.stop()
		want := "worker: drain: 2 handlers have not returned and 0 results are not acknowledged 5s after their contexts were cancelled"
		if err == nil || err.Error() != want {
			t.Errorf("Run: %v", err)
		}
		if f.heard() != "" {
			t.Errorf("heard %q; the leases of handlers that still run must run out", f.heard())
		}
		letGo()
	})
}

func TestDrain_GivesBackWhatAClaimBringsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(tasks(2, "send")...)
		f.onClaim = func(ctx context.Context, _ ff.Claim) error { <-ctx.Done(); return nil }
		w := worker.New(f, config())
		failing(nil)(w)
		r := start(w)
		r.stopClean(t)
		if got := f.heard(); got != "release 1, release 2" && got != "release 2, release 1" {
			t.Errorf("heard %q", got)
		}
	})
}
