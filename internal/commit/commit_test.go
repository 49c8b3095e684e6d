package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

func TestDo_OneCallerCommitsAtOnce(t *testing.T) {
	inBubble(t, &fake{}, func(b *bench) {
		began := clock.Real().Now()
		for n := range uint64(3) {
			if err := b.Do(b.Context(), unit(n)); err != nil {
				b.Fatal(err)
			}
		}
		equal(b, "batches", b.store.sizes(), []int{1, 1, 1})
		equal(b, "time waited", clock.Real().Now().Sub(began), time.Duration(0))
	})
}

func TestDo_WhatQueuesDuringACommitSharesTheNext(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		calls := []*call{b.start(b.Context(), unit(0))}
		for n := range uint64(4) {
			calls = append(calls, b.start(b.Context(), unit(2*n+1), unit(2*n+2)))
		}
		b.store.hold <- struct{}{}
		synctest.Wait()
		equal(b, "batches", b.store.orders(), [][]uint64{{0}, {1, 2, 3, 4, 5, 6, 7, 8}})
		for i, c := range calls {
			equal(b, fmt.Sprintf("call %d waits", i), c.running(), i > 0)
		}
		b.store.hold <- struct{}{}
		synctest.Wait()
		for i, c := range calls {
			equal(b, fmt.Sprintf("call %d waits", i), c.running(), false)
		}
	})
}

// TestDo_KeepsTheOrderOfAnOrder: units of one Order are in one queue, in which they keep their order over batches.
func TestDo_KeepsTheOrderOfAnOrder(t *testing.T) {
	inBubble(t, &fake{lanes: 3, held: true}, func(b *bench) {
		for n := range 60 {
			u := unit(uint64(n % 6))
			u.Reads.Executions = make([]flowfabric.ExecutionID, n+1) // tells the unit, and cuts batches
			b.start(b.Context(), u)
		}
		close(b.store.hold)
		synctest.Wait()
		last := make(map[uint64]int)
		total := 0
		for _, batch := range b.store.batches {
			for _, u := range batch {
				if n := len(u.Reads.Executions); n <= last[u.Order] {
					b.Errorf("unit %d of order %d came after unit %d", n, u.Order, last[u.Order])
				} else {
					last[u.Order] = n
				}
				total++
				if u.Order%3 != batch[0].Order%3 {
					b.Errorf("a batch holds units of orders %d and %d, which are of two queues", batch[0].Order, u.Order)
				}
			}
		}
		equal(b, "units", total, 60)
	})
}

func TestDo_RoutesByShard(t *testing.T) {
	inBubble(t, &fake{shards: 2, held: true}, func(b *bench) {
		var units []*store.Unit
		for n := range uint64(6) {
			u := unit(n)
			u.Partition.Index = uint16(n)
			units = append(units, u)
		}
		b.start(b.Context(), units...)
		close(b.store.hold)
		synctest.Wait()
		var even, odd []uint64
		for _, batch := range b.store.batches {
			for _, u := range batch {
				if u.Order%2 != batch[0].Order%2 {
					b.Errorf("a batch spans shards: %v", b.store.orders())
				}
				if u.Order%2 == 0 {
					even = append(even, u.Order)
				} else {
					odd = append(odd, u.Order)
				}
			}
		}
		equal(b, "shard 0", even, []uint64{0, 2, 4})
		equal(b, "shard 1", odd, []uint64{1, 3, 5})
	})
}

func TestDo_BoundsABatchByItsExecutions(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		b.start(b.Context(), unit(0))
		var units []*store.Unit
		for _, n := range []int{400, 400, 200, 1, 1000, 5000, 1, 1} {
			u := unit(0)
			u.Reads.Claimable = []store.ClaimQuery{{Limit: n - n/2}}
			u.Reads.Due = []store.DueQuery{{Limit: n / 2}}
			units = append(units, u)
		}
		b.start(b.Context(), units...)
		close(b.store.hold)
		synctest.Wait()
		equal(b, "batches", b.store.sizes(), []int{1, 3, 1, 1, 1, 2})
	})
}

func TestDo_DeliversEachUnitsOwnError(t *testing.T) {
	refused := errors.New("refused")
	st := &fake{answer: func(_ context.Context, units []*store.Unit) error {
		for _, u := range units {
			if u.Order == 1 {
				u.Err = refused
			}
		}
		return nil
	}}
	inBubble(t, st, func(b *bench) {
		units := []*store.Unit{unit(0), unit(1), unit(2)}
		equal(b, "error", b.Do(b.Context(), units...), nil)
		equal(b, "errors", []bool{units[0].Err == nil, errors.Is(units[1].Err, refused), units[2].Err == nil}, []bool{true, true, true})
	})
}

// TestCommitted_IsToldBeforeTheCaller: of every unit that was committed without an error of its own, and of no other.
func TestCommitted_IsToldBeforeTheCaller(t *testing.T) {
	st := &fake{answer: func(_ context.Context, units []*store.Unit) error {
		if units[0].Order == 1 {
			units[0].Err = errors.New("refused")
		}
		if units[0].Order == 2 {
			return errors.New("broken")
		}
		return nil
	}}
	synctest.Test(t, func(t *testing.T) {
		var told []uint64
		c := New(st, clock.Real(), func(u *store.Unit) { told = append(told, u.Order) }, nil)
		defer c.Close(context.Background())
		for n := range uint64(4) {
			if err := c.Do(t.Context(), unit(n)); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				equal(t, "told when the caller returns", told, []uint64{0})
			}
		}
		equal(t, "told", told, []uint64{0, 3})
	})
}

func TestApply_BisectsUntilThePoisonedUnitStandsAlone(t *testing.T) {
	poison := errors.New("value too long")
	st := &fake{answer: func(_ context.Context, units []*store.Unit) error {
		if slices.ContainsFunc(units, func(u *store.Unit) bool { return u.Order == 6 }) {
			return poison
		}
		return nil
	}}
	st.held = true
	inBubble(t, st, func(b *bench) {
		first := b.start(b.Context(), unit(100))
		var units []*store.Unit
		for n := range uint64(8) {
			units = append(units, unit(n))
		}
		c := b.start(b.Context(), units...)
		close(b.store.hold)
		<-c.done
		<-first.done
		for _, u := range units {
			if u.Order != 6 {
				equal(b, fmt.Sprintf("error of unit %d", u.Order), u.Err, nil)
				continue
			}
			wantErr(b, "poisoned unit", u.Err, flowfabric.ErrBug)
			wantErr(b, "poisoned unit", u.Err, poison)
		}
		equal(b, "batches", b.store.orders(), [][]uint64{{100}, {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3}, {4, 5, 6, 7}, {4, 5}, {6, 7}, {6}, {7}})
	})
}

func TestApply_TriesATransientFailureAgain(t *testing.T) {
	tries := 0
	st := &fake{answer: func(context.Context, []*store.Unit) error {
		if tries++; tries < 4 {
			return fmt.Errorf("%w: connection reset", store.ErrTransient)
		}
		return nil
	}}
	inBubble(t, st, func(b *bench) {
		began := clock.Real().Now()
		u := unit(0)
		equal(b, "error", b.Do(b.Context(), u), nil)
		equal(b, "unit's error", u.Err, nil)
		equal(b, "tries", tries, 4)
		if waited := clock.Real().Now().Sub(began); waited < 100*time.Millisecond || waited > 140*time.Millisecond {
			b.Errorf("waited %s between the tries, want 20, 40 and 80 ms less a fifth of jitter", waited)
		}
	})
}

func TestApply_GivesUpOnALastingTransientFailure(t *testing.T) {
	st := &fake{answer: func(context.Context, []*store.Unit) error {
		return fmt.Errorf("%w: no route to host", store.ErrTransient)
	}}
	inBubble(t, st, func(b *bench) {
		u, once := unit(0), &store.Unit{Order: 0, Once: true}
		equal(b, "error", b.Do(b.Context(), u, once), nil)
		for _, u := range []*store.Unit{u, once} {
			wantErr(b, "unit", u.Err, flowfabric.ErrUnavailable)
			wantErr(b, "unit", u.Err, store.ErrTransient)
			equal(b, "retryable", flowfabric.Retryable(u.Err), true)
		}
	})
}

// TestApply_UnknownOutcome: what may run twice is run again; what may not is told that nobody knows.
func TestApply_UnknownOutcome(t *testing.T) {
	lost := fmt.Errorf("%w: connection reset", store.ErrUnknownOutcome)
	tries := 0
	st := &fake{answer: func(context.Context, []*store.Unit) error {
		if tries++; tries == 2 {
			return lost
		}
		return nil
	}}
	st.held = true
	inBubble(t, st, func(b *bench) {
		b.start(b.Context(), unit(9))
		once := &store.Unit{Order: 1, Once: true}
		c := b.start(b.Context(), unit(0), once, unit(2))
		close(b.store.hold)
		<-c.done
		equal(b, "batches", b.store.orders(), [][]uint64{{9}, {0, 1, 2}, {0, 2}})
		wantErr(b, "once", once.Err, flowfabric.ErrTimeout)
		wantErr(b, "once", once.Err, store.ErrUnknownOutcome)
		equal(b, "others", []error{c.units[0].Err, c.units[2].Err}, []error{nil, nil})
	})
}

func TestDo_WithdrawsWhatHasNotBegun(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		running, giveUp := context.WithCancel(b.Context())
		begun := b.start(running, unit(1))
		ctx, cancel := context.WithCancelCause(b.Context())
		waiting := b.start(ctx, unit(2))
		late := b.start(b.Context(), unit(3))

		impatient := errors.New("impatient")
		cancel(impatient)
		<-waiting.done
		wantErr(b, "withdrawn", waiting.err, flowfabric.ErrTimeout)
		wantErr(b, "withdrawn", waiting.err, impatient)
		equal(b, "withdrawn", waiting.err.(*flowfabric.Error).Detail, "nothing was written: the commit had not begun") //nolint:errorlint // Do returns it bare

		giveUp()
		<-begun.done
		wantErr(b, "begun", begun.err, flowfabric.ErrTimeout)
		equal(b, "begun", begun.err.(*flowfabric.Error).Detail, "the outcome is unknown: the commit was under way") //nolint:errorlint // Do returns it bare

		close(b.store.hold)
		<-late.done
		equal(b, "batches", b.store.orders(), [][]uint64{{1}, {3}})
	})
}

func TestDo_FullQueueRefuses(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		b.start(b.Context(), unit(0))
		many := make([]*store.Unit, 50_000)
		for i := range many {
			many[i] = unit(0)
		}
		waiting := b.start(b.Context(), many...)
		refused := unit(0)
		equal(b, "error", b.Do(b.Context(), refused), nil)
		wantErr(b, "unit", refused.Err, flowfabric.ErrResourceExhausted)
		close(b.store.hold)
		<-waiting.done
		for _, u := range many {
			if u.Err != nil {
				b.Fatalf("a unit that was queued failed: %v", u.Err)
			}
		}
		again := unit(0)
		equal(b, "error afterwards", errors.Join(b.Do(b.Context(), again), again.Err), nil)
	})
}

func TestClose_CommitsWhatIsQueuedAndRefusesTheRest(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		running, waiting := b.start(b.Context(), unit(1)), b.start(b.Context(), unit(2))
		closed := make(chan struct{})
		go func() { b.Close(context.Background()); close(closed) }()
		synctest.Wait()
		late := unit(3)
		equal(b, "error", b.Do(b.Context(), late), nil)
		wantErr(b, "called after Close", late.Err, flowfabric.ErrUnavailable)
		close(b.store.hold)
		<-closed
		<-running.done
		<-waiting.done
		equal(b, "outcomes", []error{running.units[0].Err, waiting.units[0].Err}, []error{nil, nil})
		equal(b, "batches", b.store.orders(), [][]uint64{{1}, {2}})
		b.Close(context.Background())
	})
}

func TestClose_GivesUpWhenItsContextEnds(t *testing.T) {
	inBubble(t, &fake{held: true}, func(b *bench) {
		running, waiting := b.start(b.Context(), unit(1)), b.start(b.Context(), unit(2), unit(3))
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		b.Close(ctx)
		<-running.done
		<-waiting.done
		for _, u := range slices.Concat(running.units, waiting.units) {
			wantErr(b, "abandoned unit", u.Err, flowfabric.ErrUnavailable)
		}
	})
}

func TestCoded_TellsWhoseFaultItWas(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{nil, nil},
		{flowfabric.ErrExecutionNotFound, flowfabric.ErrExecutionNotFound},
		{fmt.Errorf("x: %w", store.ErrTransient), flowfabric.ErrUnavailable},
		{store.ErrClosed, flowfabric.ErrUnavailable},
		{fmt.Errorf("view: %w", context.Canceled), flowfabric.ErrTimeout},
		{fmt.Errorf("view: %w", context.DeadlineExceeded), flowfabric.ErrTimeout},
		{errors.New("syntax error"), flowfabric.ErrBug},
	} {
		if got := Coded(c.err); !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("Coded(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
