package worker_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

func TestMap_KeepsTheOrderAndTheBound(t *testing.T) {
	for parallel, takes := range map[int]time.Duration{1: 10 * time.Second, 3: 4 * time.Second, 10: time.Second, 1000: time.Second} {
		var running, most atomic.Int64
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			began := now()
			out, err := worker.Map(ctx, "square", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, func(_ context.Context, n int) (int, error) {
				most.Store(max(most.Load(), running.Add(1)))
				<-after(time.Second)
				running.Add(-1)
				return n * n, nil
			}, worker.Parallel(parallel))
			if took := now().Sub(began); took != takes {
				t.Errorf("parallel %d took %s, want %s", parallel, took, takes)
			}
			return out, err
		}, func(b *bed) {
			b.pass(time.Minute)
			if got := b.result(); got != "[0,1,4,9,16,25,36,49,64,81]" {
				b.Errorf("result %s", got)
			}
		})
		if most.Load() > int64(parallel) {
			t.Errorf("%d at once, though at most %d may run", most.Load(), parallel)
		}
	}
}

func TestMap_NothingIsNothing(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		return worker.Map(ctx, "none", nil, func(context.Context, int) (int, error) { return 0, nil }, worker.Parallel(8))
	}, func(b *bed) {
		if got := b.result(); got != "[]" {
			b.Errorf("result %s", got)
		}
	})
}

func TestMap_LaterRunDoesWhatIsLeft(t *testing.T) {
	var calls [5]atomic.Int64
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		var out []int
		for range 2 { // two maps of one name are two
			part, err := worker.Map(ctx, "part", []int{0, 1, 2, 3, 4}, func(_ context.Context, n int) (int, error) {
				if calls[n].Add(1) == 1 && n == 3 {
					return 0, errBoom
				}
				return n, nil
			}, worker.Parallel(2))
			if err != nil {
				return nil, err
			}
			out = append(out, part...)
		}
		return out, nil
	}, func(b *bed) {
		b.pass(time.Minute)
		if got := b.result(); got != "[0,1,2,3,4,0,1,2,3,4]" {
			b.Errorf("result %s", got)
		}
	})
	for n, want := range [5]int64{2, 2, 2, 3, 2} {
		if got := calls[n].Load(); got != want {
			t.Errorf("element %d: %d calls, want %d", n, got, want)
		}
	}
}

func TestMap_TellsTheErrorOfTheFirstElement(t *testing.T) {
	var began atomic.Int64
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.Map(ctx, "part", []int{2, 3, 1, 0, 0, 0}, func(_ context.Context, seconds int) (int, error) {
			began.Add(1)
			<-after(time.Duration(seconds) * time.Second)
			return 0, errors.New(strings.Repeat("x", seconds))
		}, worker.Parallel(3))
		return err.Error(), nil
	}, func(b *bed) {
		b.pass(time.Minute)
		if got := b.result(); got != `"xx"` || began.Load() != 3 {
			b.Errorf("result %s; %d began", got, began.Load())
		}
	})
}

func TestMap_PanicIsTheHandlers(t *testing.T) {
	var after atomic.Int64
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, err := worker.Map(ctx, "part", make([]int, 100), func(context.Context, int) (int, error) {
			if after.Add(1) == 1 {
				panic("oops")
			}
			return 0, nil
		}, worker.Parallel(2))
		return nil, err
	}, func(b *bed) {
		s, err := b.Describe(b.Context(), b.id)
		if err != nil || s.PublicState == ff.PublicCompleted {
			b.Errorf("state %s, %v", s.PublicState, err)
		}
		attempts, err := b.Attempts(b.Context(), ff.ListAttempts{ExecutionID: b.id})
		if err != nil || !strings.HasPrefix(attempts.Items[0].FailureReason, "panic: oops") {
			b.Errorf("attempts %+v, %v", attempts.Items, err)
		}
	})
}

func TestMap_EndOfAGoroutineIsTheHandlers(t *testing.T) {
	durably(t, func(ctx context.Context, t *worker.Task) (any, error) {
		return worker.Map(ctx, "part", []int{1, 2}, func(context.Context, int) (int, error) {
			if t.RetryCount() == 0 {
				runtime.Goexit()
			}
			return 7, nil
		}, worker.Parallel(2))
	}, func(b *bed) {
		b.pass(time.Minute)
		if got := b.result(); got != "[7,7]" {
			b.Errorf("result %s", got)
		}
	})
}

func TestParallel_OutOfBoundsIsRefused(t *testing.T) {
	for n, fine := range map[int]bool{-1: false, 0: false, 1: true, 1000: true, 1001: false} {
		durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
			_, err := worker.Map(ctx, "part", []int{1}, func(context.Context, int) (int, error) { return 0, nil }, worker.Parallel(n))
			return !errors.Is(err, ff.ErrInvalidInput), nil
		}, func(b *bed) {
			if got := b.result() == "true"; got != fine {
				b.Errorf("%d is accepted: %t", n, got)
			}
		})
	}
}
