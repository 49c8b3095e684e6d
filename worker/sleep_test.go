package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func TestSleep_ParksAndIsNeverEarly(t *testing.T) {
	var began, woke time.Time
	runs := 0
	cfg := config()
	cfg.Concurrency = 1
	durablyWith(t, cfg, nil, func(ctx context.Context, _ *worker.Task) (any, error) {
		if runs++; runs == 1 {
			began = now()
		}
		if err := worker.Sleep(ctx, "cool down", 3*time.Hour); err != nil {
			if !errors.Is(err, worker.ErrParked) {
				t.Errorf("Sleep: %v", err)
			}
			return nil, fmt.Errorf("wrapped: %w", err)
		}
		woke = now()
		return "awake", nil
	}, func(b *bed) {
		b.wantState(ff.PublicDelayed)
		other, err := b.Submit(b.Context(), ff.Submit{Lane: "mail", Kind: "unknown"})
		if err != nil {
			b.Fatal(err)
		}
		b.pass(time.Second)
		if s, err := b.Describe(b.Context(), other.ID); err != nil || s.PublicState != ff.PublicDelayed {
			b.Errorf("the only slot is not free: the other is %s, %v", s.PublicState, err)
		}
		b.pass(3*time.Hour - 2*time.Second)
		b.wantState(ff.PublicDelayed)
		b.pass(2 * time.Second)
		if got := b.result(); got != `"awake"` || runs != 2 {
			b.Errorf("result %s after %d runs", got, runs)
		}
		if slept := woke.Sub(began); slept < 3*time.Hour || slept > 3*time.Hour+time.Second {
			b.Errorf("slept for %s", slept)
		}
	})
}

func TestSleep_ShortOnesKeepTheLease(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		parks  bool
		sleeps time.Duration
	}{
		{d: -time.Second},
		{d: 0},
		{d: time.Nanosecond, sleeps: time.Millisecond},
		{d: time.Second, sleeps: time.Second},
		{d: time.Second + time.Nanosecond, parks: true},
	} {
		durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
			began := now()
			if err := worker.Sleep(ctx, "nap", c.d); err != nil {
				return nil, err
			}
			return fmt.Sprint(t.Resumed(), now().Sub(began)), nil
		}, func(b *bed) {
			b.pass(time.Minute)
			want := fmt.Sprintf("%q", fmt.Sprint(c.parks, c.sleeps))
			if got := b.result(); got != want {
				b.Errorf("%s: parked, and slept here, %s; want %s", c.d, got, want)
			}
		})
	}
}

// TestSleep_TimeIsFixedByTheFirstCall: a worker that loses its lease begins nothing anew.
func TestSleep_TimeIsFixedByTheFirstCall(t *testing.T) {
	var awake []time.Duration
	began := time.Time{}
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		first := began.IsZero()
		if first {
			began = now()
		}
		err := worker.Sleep(ctx, "long", time.Hour)
		if first {
			return nil, errBoom // the handler fails instead, and is retried
		}
		if err == nil {
			awake = append(awake, now().Sub(began))
		}
		return nil, err
	}, func(b *bed) {
		b.pass(2 * time.Hour)
		b.result()
	})
	if len(awake) != 1 || awake[0] < time.Hour || awake[0] > time.Hour+time.Second {
		t.Errorf("awake after %s", awake)
	}
}

func TestSleep_OutOfBoundsIsRefused(t *testing.T) {
	most := time.Duration(ff.MaxSpanMS) * time.Millisecond
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		err := worker.Sleep(ctx, "too long", most+1)
		if !errors.Is(err, ff.ErrInvalidInput) {
			return nil, fmt.Errorf("a sleep beyond the bound: %w", err)
		}
		return nil, worker.Sleep(ctx, "long", most)
	}, func(b *bed) { b.wantState(ff.PublicDelayed) })
}

func TestSleep_EndsWithTheHandlersContext(t *testing.T) {
	f := stepFake(t, nil, func(ctx context.Context) error { return worker.Sleep(ctx, "nap", time.Second) })
	if f.heard() != "release 1" {
		t.Errorf("heard %q, want the execution given back", f.heard())
	}
}

func TestSleep_InGoroutinesParksUntilTheFirst(t *testing.T) {
	var ends []time.Duration
	began := now
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		results := make(chan error, 2)
		for _, d := range []time.Duration{time.Hour, 2 * time.Hour} {
			go func() { results <- worker.Sleep(ctx, d.String(), d) }()
		}
		return nil, errors.Join(<-results, <-results)
	}, func(b *bed) {
		start := began()
		for range 8 {
			s, err := b.Describe(b.Context(), b.id)
			if err != nil {
				b.Fatal(err)
			}
			if s.PublicState == ff.PublicCompleted {
				ends = append(ends, now().Sub(start).Truncate(time.Hour))
				break
			}
			<-after(time.Hour)
			synctest.Wait()
		}
	})
	if d := cmp.Diff([]time.Duration{2 * time.Hour}, ends); d != "" {
		t.Error(d)
	}
}
