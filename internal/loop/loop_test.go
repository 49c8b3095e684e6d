package loop_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGroup_CloseEndsAndAwaitsItsComponents(t *testing.T) {
	g := loop.NewGroup(t.Context())
	var ended atomic.Int32
	for range 10 {
		g.Go(func(ctx context.Context) {
			<-ctx.Done()
			ended.Add(1)
		})
	}
	g.Close()
	if n := ended.Load(); n != 10 {
		t.Errorf("%d of 10 components have ended", n)
	}
	g.Close()
}

func TestGroup_ClosedStartsNothing(t *testing.T) {
	g := loop.NewGroup(t.Context())
	g.Close()
	if g.Go(func(context.Context) { t.Error("it was started") }) {
		t.Error("a closed group says that it started a component")
	}
}

// TestGroup_GoDuringClose: what is started while the group closes is either awaited or not started at all.
func TestGroup_GoDuringClose(t *testing.T) {
	for range 100 {
		g := loop.NewGroup(t.Context())
		var running atomic.Int32
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for g.Go(func(ctx context.Context) {
					running.Add(1)
					<-ctx.Done()
					running.Add(-1)
				}) {
				}
			})
		}
		g.Close()
		if n := running.Load(); n != 0 {
			t.Fatalf("%d components outlive Close", n)
		}
		callers.Wait()
	}
}

func TestWakeup_Coalesces(t *testing.T) {
	w := loop.NewWakeup()
	for range 3 {
		w.Wake()
	}
	<-w.C()
	select {
	case <-w.C():
		t.Error("three hints are more than one")
	default:
	}
}

func TestJitter_IsTheLastFifth(t *testing.T) {
	for range 1000 {
		if d := loop.Jitter(time.Second); d < 800*time.Millisecond || d > time.Second {
			t.Fatalf("Jitter(1s) = %s", d)
		}
	}
	if d := loop.Jitter(-1); d != 0 {
		t.Errorf("Jitter(-1) = %s", d)
	}
}

func TestEvery_PausesGrowWithErrorsAndHintsDoNotCutThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wall, hint := clock.Real(), loop.NewWakeup()
		began, calls := wall.Now(), 0
		loop.Every(ctx, wall, slog.New(slog.DiscardHandler), "test", hint, func(context.Context) (time.Duration, error) {
			hint.Wake()
			if calls++; calls == 4 {
				cancel()
			}
			return 0, errors.New("broken")
		})
		if took := wall.Now().Sub(began); took < 560*time.Millisecond || took > 700*time.Millisecond {
			t.Errorf("three pauses took %s, want 100, 200 and 400 ms less up to a fifth", took)
		}
	})
}

func TestEvery_AHintCutsTheWaitShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wall, hint := clock.Real(), loop.NewWakeup()
		began, calls := wall.Now(), 0
		loop.Every(ctx, wall, slog.New(slog.DiscardHandler), "test", hint, func(context.Context) (time.Duration, error) {
			if calls++; calls == 3 {
				cancel()
			}
			hint.Wake()
			return time.Hour, nil
		})
		if took := wall.Now().Sub(began); took != 0 {
			t.Errorf("it waited %s", took)
		}
	})
}
