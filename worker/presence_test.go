package worker_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// idleOn runs a worker without tasks on svc.
func idleOn(svc ff.Service, cfg worker.Config) *run {
	w := worker.New(svc, cfg)
	worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) { return struct{}{}, nil })
	return start(w)
}

// busyOn runs a worker whose tasks run until it stops.
func busyOn(svc ff.Service, cfg worker.Config) *run {
	cfg.DrainTimeout = -1
	w := worker.New(svc, cfg)
	worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, nil
	})
	return start(w)
}

func (f *fake) registered() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.registry, ", ")
}

func TestPresence_RegistersGivesSignsOfLifeAndSignsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(task(1, "send", "{}")), config()
		cfg.Concurrency, cfg.Prefetch = 1, -1 // with a task it claims nothing
		r := busyOn(f, cfg)
		pass(60 * time.Second)
		r.stopClean(t)
		if got, want := f.registered(), "register 1m0s, heartbeat, heartbeat, heartbeat, dead shutdown"; got != want {
			t.Errorf("the registry heard %q, want %q", got, want)
		}
		for i := 1; i < 4; i++ {
			if gap := f.signs[i] - f.signs[i-1]; gap > 20*time.Second || i > 1 && gap != 20*time.Second {
				t.Errorf("sign %d came after %s, want a third of the TTL, or less for the first", i, gap)
			}
		}
	})
}

// TestPresence_AClaimThatWaitsIsASignOfLife: the engine gives it, so the worker does not call.
func TestPresence_AClaimThatWaitsIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(), config()
		cfg.PollWait = time.Minute
		r := idleOn(f, cfg)
		pass(59 * time.Second)
		signs := f.signs
		r.stopClean(t)
		for _, at := range signs {
			if at >= 2*time.Second { // until then nobody knows whether the engine has the claim
				t.Errorf("the worker calls after %s, while its claim waits: %s", at, f.registered())
			}
		}
		if ttl := f.claims[0].LivenessTTL; ttl != time.Minute {
			t.Errorf("the claim asks for a TTL of %s, want 1m", ttl)
		}
	})
}

// TestPresence_AClaimThatHasJustBegunIsNone: nobody knows whether the engine has it.
func TestPresence_AClaimThatHasJustBegunIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(), config()
		cfg.PollWait = 1999 * time.Millisecond
		r := idleOn(f, cfg)
		pass(60 * time.Second)
		r.stopClean(t)
		if got, want := f.registered(), "register 1m0s, heartbeat, heartbeat, heartbeat, dead shutdown"; got != want {
			t.Errorf("the registry heard %q, want %q", got, want)
		}
	})
}

// A worker registers before its first claim, over the connection that this will use. A registry that fails or hangs keeps it from
// its work for two seconds at most, and is asked again.
func TestPresence_ClaimsWhetherOrNotItIsRegistered(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(ctx context.Context) error
		first  time.Duration // of the claims
	}{
		"registered": {func(context.Context) error { <-after(100 * time.Millisecond); return nil }, 100 * time.Millisecond},
		"refused":    {func(context.Context) error { return coded(ff.CodeUnavailable) }, 0},
		"hangs":      {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, cfg := newFake(task(1, "send", "{}")), config()
				cfg.Concurrency, cfg.Prefetch = 1, -1
				f.onRegister = tc.answer
				r := busyOn(f, cfg)
				if tc.first > 0 {
					pass(tc.first - time.Millisecond)
					if f.asked() > 0 {
						t.Error("it claims before it is registered")
					}
					pass(2 * time.Millisecond)
				}
				synctest.Wait()
				if n := f.asked(); n != 1 {
					t.Errorf("%d claims after %s, want one", n, tc.first)
				}
				pass(25 * time.Second)
				r.stopClean(t)
				if n := strings.Count(f.registered(), "register"); (n == 1) != (name == "registered") {
					t.Errorf("the registry heard %q", f.registered())
				}
			})
		})
	}
}

func TestPresence_ShortLeasesHaveTheShortestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(), config()
		cfg.LeaseTTL = 100 * time.Millisecond
		r := idleOn(f, cfg)
		r.stopClean(t)
		if got, want := f.registered(), "register 1s, dead shutdown"; got != want {
			t.Errorf("the registry heard %q, want %q", got, want)
		}
	})
}

// TestPresence_ForgottenWorkersRegisterAgain: a heartbeat never creates an entry, so the worker has to.
func TestPresence_ForgottenWorkersRegisterAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(task(1, "send", "{}")), config()
		cfg.Concurrency, cfg.Prefetch = 1, -1
		f.onHeartbeat = func() (ff.HeartbeatResult, error) { return ff.HeartbeatResult{}, nil }
		r := busyOn(f, cfg)
		pass(20 * time.Second)
		r.stopClean(t)
		if got, want := f.registered(), "register 1m0s, heartbeat, register 1m0s, dead shutdown"; got != want {
			t.Errorf("the registry heard %q, want %q", got, want)
		}
	})
}

func TestPresence_FailedSignsAreRepeatedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(task(1, "send", "{}")), config()
		cfg.Concurrency, cfg.Prefetch = 1, -1
		f.onHeartbeat = func() (ff.HeartbeatResult, error) { return ff.HeartbeatResult{}, coded(ff.CodeUnavailable) }
		r := busyOn(f, cfg)
		pass(21 * time.Second)
		r.stopClean(t)
		if n := strings.Count(f.registered(), "heartbeat"); n < 2 {
			t.Errorf("%d signs of life in the second after one failed", n-1)
		}
	})
}

// TestPresence_WhoLeavesHandlersBehindDoesNotSignOff: an engine may take the leases of who signs off, and let another
// worker begin while a handler still runs here.
func TestPresence_WhoLeavesHandlersBehindDoesNotSignOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cfg := newFake(task(1, "send", "{}")), config()
		cfg.DrainTimeout = -1
		w := worker.New(f, cfg)
		release := make(chan struct{})
		worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) { <-release; return struct{}{}, nil })
		r := start(w)
		if err := r.stop(); err == nil {
			t.Error("Run left a handler behind and said nothing")
		}
		close(release)
		if got := f.registered(); strings.Contains(got, "dead") {
			t.Errorf("the registry heard %q", got)
		}
	})
}

// watched is an engine in this process, which tells of leases it takes away.
type watched struct {
	*fake
	lost chan ff.ExecutionID
}

func (w *watched) WatchLeases(ff.WorkerInstanceID) (<-chan ff.ExecutionID, func()) {
	return w.lost, func() {}
}

func TestLease_LostInThisProcessEndsTheHandlerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(task(1, "send", "{}"), task(2, "send", "{}"))
		f.onRenew = func(_ context.Context, cmd ff.Renew) error {
			if number(cmd.ExecutionID) == 1 {
				return coded(ff.CodeLeaseRevoked)
			}
			return nil
		}
		svc := &watched{fake: f, lost: make(chan ff.ExecutionID, 1)}
		w := worker.New(svc, config())
		ended := make(map[int]time.Duration)
		worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, _ struct{}) (struct{}, error) {
			if number(t.ID()) == 1 {
				<-ctx.Done()
				ended[1] = now().Sub(f.start)
			}
			return struct{}{}, ctx.Err()
		})
		r := start(w)
		pass(time.Second)
		svc.lost <- task(1, "", "").ExecutionID
		synctest.Wait()
		if ended[1] != time.Second {
			t.Errorf("the handler ended after %s, want 1s", ended[1])
		}
		r.stopClean(t)
	})
}
