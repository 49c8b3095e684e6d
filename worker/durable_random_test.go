package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// seen is what the runs of a handler have got from its steps. What one run got, all later ones must get.
type seen struct {
	mu     sync.Mutex
	values map[string]int
	clash  []string
}

func (s *seen) note(step string, value int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.values[step]; ok && was != value {
		s.clash = append(s.clash, fmt.Sprintf("%s was %d and is %d", step, was, value))
	}
	s.values[step] = value
}

// TestSteps_WhatARunHasSeenAllLaterOnesSee takes the lease at random moments from a handler that uses everything there is,
// fails it at random places, and lets records get lost on their way there and back.
func TestSteps_WhatARunHasSeenAllLaterOnesSee(t *testing.T) {
	for seed := range uint64(30) {
		var (
			mu    sync.Mutex
			dice  = rand.New(rand.NewPCG(seed, 1))
			nonce int
			got   = seen{values: make(map[string]int)}
			runs  atomic.Int64 // one that has lost its lease may still be at it when the next begins
		)
		roll := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return dice.IntN(n)
		}
		draw := func(context.Context) (int, error) {
			<-after(time.Duration(roll(200)) * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			nonce++
			return nonce, nil
		}
		step := func(ctx context.Context, name string) error {
			n, err := worker.Step(ctx, name, draw)
			if err == nil {
				got.note(name, n)
			}
			if err == nil && runs.Load() < 10 && roll(8) == 0 {
				return errBoom // a failure between steps
			}
			return err
		}
		handler := func(ctx context.Context, _ *worker.Task) (any, error) {
			runs.Add(1)
			for _, name := range []string{"a", "b", "c"} {
				if err := step(ctx, name); err != nil {
					return nil, err
				}
			}
			out, err := worker.Map(ctx, "map", make([]int, 6), func(ctx context.Context, _ int) (int, error) { return draw(ctx) }, worker.Parallel(3))
			if err != nil {
				return nil, err
			}
			for i, n := range out {
				got.note(fmt.Sprint("map ", i), n)
			}
			if err := worker.Sleep(ctx, "nap", 5*time.Second); err != nil {
				return nil, err
			}
			answer, err := worker.WaitSignal[int](ctx, "answer")
			if err != nil {
				return nil, err
			}
			got.note("answer", answer)
			return answer, step(ctx, "d")
		}
		many := uint32(100)
		policy := &ff.Policy{Retry: &ff.RetryPolicy{MaxRetries: &many, Backoff: &ff.Backoff{Type: ff.BackoffFixed}}}
		durablyWith(t, config(), policy, handler, func(b *bed) {
			b.say(says{record: func(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
				fate := roll(8)
				if fate == 0 {
					return ff.StepMemo{}, coded(ff.CodeUnavailable)
				}
				memo, err := b.Engine.RecordStep(ctx, cmd)
				if fate == 1 {
					return ff.StepMemo{}, coded(ff.CodeTimeout)
				}
				return memo, err
			}})
			for range 200 {
				b.pass(time.Duration(50+roll(600)) * time.Millisecond)
				b.disturb(roll)
			}
			b.pass(time.Minute)
			if r := b.result(); r != "7" {
				b.Errorf("seed %d: result %s", seed, r)
			}
		})
		if d := cmp.Diff([]string(nil), got.clash); d != "" || len(got.values) != 11 {
			t.Errorf("seed %d: %d steps in %d runs: %s", seed, len(got.values), runs.Load(), d)
		}
	}
}

// disturb takes the lease or, if the execution waits for a signal, sends it.
func (b *bed) disturb(roll func(int) int) {
	b.Helper()
	if roll(4) == 0 {
		_, err := b.RevokeLease(b.Context(), ff.RevokeLease{ExecutionID: b.id, Reason: "test"})
		var e *ff.Error
		if err != nil && !errors.As(err, &e) { // there may be none to take
			b.Fatal(err)
		}
	}
	s, err := b.Describe(b.Context(), b.id)
	if err != nil {
		b.Fatal(err)
	}
	if s.PublicState == ff.PublicSuspended {
		b.signal("answer", "x", "", 7)
	}
	synctest.Wait()
}
