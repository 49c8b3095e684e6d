package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

func (e *tap) ReportUsage(ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error) {
	e.mu.Lock()
	e.log.reported = append(e.log.reported, cmd)
	reports := e.says.reports
	e.mu.Unlock()
	if reports != nil {
		return reports(ctx, cmd)
	}
	return e.Engine.ReportUsage(ctx, cmd)
}

// budgeted runs one execution under a budget by a handler, and lets a test look at it once everything rests. answer, if not
// nil, stands between the handler and the engine.
func budgeted(t *testing.T, budget ff.CreateBudget, estimate ff.Amounts,
	answer func(b *bed, ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error),
	handler func(ctx context.Context, t *worker.Task) (any, error), look func(b *bed, id ff.BudgetID),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := eng.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		id, _, err := eng.CreateBudget(t.Context(), budget)
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{T: t, tap: &tap{Engine: eng}}
		if answer != nil {
			b.say(says{reports: func(ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error) { return answer(b, ctx, cmd) }})
		}
		w := worker.New(b.tap, config())
		worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, _ struct{}) (any, error) { return handler(ctx, t) })
		r := start(w)
		defer r.stopClean(t)
		policy := &ff.Policy{Retry: &ff.RetryPolicy{}, Limits: &ff.Limits{Budgets: []ff.BudgetUse{{ID: id, Estimate: estimate}}}}
		res, err := eng.Submit(t.Context(), ff.Submit{Lane: "mail", Kind: "send", Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		b.id = res.ID
		b.pass(time.Second)
		look(b, id)
	})
}

func (b *bed) wantUsage(id ff.BudgetID, want ff.Amounts) {
	b.Helper()
	s, err := b.DescribeBudget(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	if diff := cmp.Diff(want, s.Usage); diff != "" {
		b.Errorf("usage (-want +got):\n%s", diff)
	}
}

// spend is a handler that consumes amounts of "t" one after the other, and keeps the answers.
func spend(answers *[]ff.UsageResult, amounts ...int64) func(ctx context.Context, t *worker.Task) (any, error) {
	return func(ctx context.Context, _ *worker.Task) (any, error) {
		for _, n := range amounts {
			res, err := worker.Budget(ctx).Report(ff.Amounts{"t": n})
			*answers = append(*answers, res)
			if err != nil {
				return nil, fmt.Errorf("after %d: %w", n, err)
			}
		}
		return nil, nil
	}
}

func TestBudget_ReportTellsOfBreaches(t *testing.T) {
	var got []ff.UsageResult
	budget := ff.CreateBudget{Hard: ff.Amounts{"t": 10}, Soft: ff.Amounts{"t": 5}, OnHardLimit: ff.LimitWarns}
	budgeted(t, budget, nil, nil, spend(&got, 4, 2, 5), func(b *bed, id ff.BudgetID) {
		b.result()
		if diff := cmp.Diff([]ff.UsageResult{
			{Outcome: "ok"},
			{Outcome: "soft_breach", Dimension: "t", Usage: 6, Limit: 5},
			{Outcome: "hard_breach", Dimension: "t", Usage: 6, Limit: 10, Action: "warn", Counted: true},
		}, got); diff != "" {
			b.Errorf("answers (-want +got):\n%s", diff)
		}
		b.wantUsage(id, ff.Amounts{"t": 11})
	})
}

func TestBudget_AHardBreachEndsTheHandlerAsTheBudgetSays(t *testing.T) {
	for action, want := range map[ff.LimitAction]struct {
		state  ff.PublicState
		reason string
		parked bool
	}{
		ff.LimitWaits:    {ff.PublicRateLimited, "", true},
		ff.LimitDenies:   {ff.PublicRateLimited, "", true},
		ff.LimitSuspends: {"", "", true},
		ff.LimitFails:    {ff.PublicFailed, "after 6: ", false},
		ff.LimitCancels:  {ff.PublicCancelled, "", false},
	} {
		t.Run(string(action), func(t *testing.T) {
			var got []ff.UsageResult
			var ended error
			budgeted(t, ff.CreateBudget{Hard: ff.Amounts{"t": 10}, OnHardLimit: action}, nil, nil,
				func(ctx context.Context, task *worker.Task) (any, error) {
					out, err := spend(&got, 5, 6, 7)(ctx, task)
					ended = err
					return out, err
				}, func(b *bed, id ff.BudgetID) {
					s, err := b.Describe(b.Context(), b.id)
					if err != nil {
						b.Fatal(err)
					}
					if want.state != "" && s.PublicState != want.state || want.state == "" && s.PublicState == ff.PublicActive {
						b.Errorf("state %q (%s), want %q", s.PublicState, s.BlockingDetail, want.state)
					}
					if !strings.HasPrefix(s.FailureReason, want.reason) || want.reason != "" && s.FailureCategory != ff.FailureBudget {
						b.Errorf("failed as %s: %s", s.FailureCategory, s.FailureReason)
					}
					if !errors.Is(ended, ff.ErrBudgetExceeded) || errors.Is(ended, worker.ErrParked) != want.parked {
						b.Errorf("error %v, parked %t; want parked %t", ended, errors.Is(ended, worker.ErrParked), want.parked)
					}
					if len(got) != 2 {
						b.Errorf("%d reports; want the handler to have run once, to its second", len(got))
					}
					b.wantUsage(id, ff.Amounts{"t": 11})
				})
		})
	}
}

func TestBudget_AnExecutionThatWaitsForItsBudgetGoesOnWithARaise(t *testing.T) {
	runs := 0
	budgeted(t, ff.CreateBudget{Hard: ff.Amounts{"t": 10}}, nil, nil, func(ctx context.Context, _ *worker.Task) (any, error) {
		if runs++; runs == 1 {
			_, err := worker.Budget(ctx).Report(ff.Amounts{"t": 11})
			return nil, err
		}
		return runs, nil
	}, func(b *bed, id ff.BudgetID) {
		b.pass(time.Hour)
		if runs != 1 {
			b.Errorf("%d runs without room", runs)
		}
		if _, err := b.UpdateBudget(b.Context(), ff.UpdateBudget{BudgetID: id, Hard: ff.Amounts{"t": 20}}); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Minute)
		if got := b.result(); got != "2" {
			b.Errorf("result %s, want that of the second run", got)
		}
	})
}

func TestBudget_AReportWhoseAnswerIsLostCountsOnceAndStillTellsOfTheBreach(t *testing.T) {
	var got []ff.UsageResult
	calls := 0
	budgeted(t, ff.CreateBudget{Hard: ff.Amounts{"t": 10}, OnHardLimit: ff.LimitFails}, nil,
		func(b *bed, ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error) {
			res, err := b.Engine.ReportUsage(ctx, cmd)
			if calls++; calls%2 == 1 && err == nil {
				return ff.UsageResult{}, coded(ff.CodeTimeout)
			}
			return res, err
		}, spend(&got, 4, 7, 1), func(b *bed, id ff.BudgetID) {
			b.wantUsage(id, ff.Amounts{"t": 11})
			if _, category := b.failure(); category != ff.FailureBudget {
				b.Errorf("failed as %s", category)
			}
			if diff := cmp.Diff([]ff.UsageResult{
				{Outcome: "already_applied"},
				{Outcome: "hard_breach", Dimension: "t", Usage: 11, Limit: 10, Action: "fail", Counted: true},
			}, got); diff != "" {
				b.Errorf("answers (-want +got):\n%s", diff)
			}
			keys := map[string]int{}
			for _, cmd := range b.heard().reported {
				keys[cmd.DedupKey]++
			}
			if len(keys) != 2 || calls != 4 {
				b.Errorf("%d calls under %d keys, want 4 under 2", calls, len(keys))
			}
		})
}

func TestBudget_WhatIsReportedOnceCountsOnceOverRuns(t *testing.T) {
	runs := 0
	budgeted(t, ff.CreateBudget{}, nil, nil, func(ctx context.Context, _ *worker.Task) (any, error) {
		runs++
		_, err1 := worker.Budget(ctx).Report(ff.Amounts{"runs": 1})
		_, err2 := worker.Budget(ctx).ReportOnce("setup", ff.Amounts{"t": 7})
		_, err3 := worker.Budget(ctx).ReportOnce("more", ff.Amounts{"t": 1})
		if runs == 1 {
			return nil, worker.Delay(time.Minute)
		}
		return nil, errors.Join(err1, err2, err3)
	}, func(b *bed, id ff.BudgetID) {
		b.pass(time.Hour)
		b.result()
		b.wantUsage(id, ff.Amounts{"runs": 2, "t": 8})
	})
}

func TestBudget_ReportGetsThroughShortlyAfterTheContextHasEnded(t *testing.T) {
	var got []ff.UsageResult
	budgeted(t, ff.CreateBudget{}, nil, func(b *bed, ctx context.Context, cmd ff.ReportUsage) (ff.UsageResult, error) {
		select {
		case <-after(time.Second):
			return b.Engine.ReportUsage(ctx, cmd)
		case <-ctx.Done():
			return ff.UsageResult{}, ctx.Err()
		}
	}, func(ctx context.Context, task *worker.Task) (any, error) {
		broken, stop := context.WithCancel(ctx)
		stop()
		return spend(&got, 3)(broken, task)
	}, func(b *bed, id ff.BudgetID) {
		b.pass(time.Minute)
		b.result()
		b.wantUsage(id, ff.Amounts{"t": 3})
	})
}

func TestBudget_RoomIsWhatMayStillBeConsumed(t *testing.T) {
	var room []ff.Amounts
	ask := func(ctx context.Context) error {
		r, err := worker.Budget(ctx).Room()
		room = append(room, r)
		return err
	}
	budget := ff.CreateBudget{Hard: ff.Amounts{"t": 10, "cost": 5}}
	budgeted(t, budget, ff.Amounts{"t": 6}, nil, func(ctx context.Context, _ *worker.Task) (any, error) {
		err := ask(ctx)
		_, err2 := worker.Budget(ctx).Report(ff.Amounts{"t": 4, "calls": 1})
		return nil, errors.Join(err, err2, ask(ctx))
	}, func(b *bed, _ ff.BudgetID) {
		b.result()
		if diff := cmp.Diff([]ff.Amounts{{"t": 10, "cost": 5}, {"t": 6, "cost": 5}}, room); diff != "" {
			b.Errorf("room (-want +got):\n%s", diff)
		}
	})
}

func TestBudget_OfAnExecutionUnderNoneNothingIsCounted(t *testing.T) {
	durably(t, func(ctx context.Context, _ *worker.Task) (any, error) {
		res, err := worker.Budget(ctx).Report(ff.Amounts{"t": 1})
		room, err2 := worker.Budget(ctx).Room()
		if res.Outcome != ff.UsageOK || len(room) != 0 {
			t.Errorf("answer %+v, room %v", res, room)
		}
		return nil, errors.Join(err, err2)
	}, func(b *bed) {
		b.result()
		if n := len(b.heard().reported); n != 0 {
			b.Errorf("%d reports", n)
		}
	})
}

func TestBudget_BadReportsAreRefused(t *testing.T) {
	budgeted(t, ff.CreateBudget{}, nil, nil, func(ctx context.Context, _ *worker.Task) (any, error) {
		_, none := worker.Budget(ctx).Report(nil)
		_, negative := worker.Budget(ctx).Report(ff.Amounts{"t": -1})
		_, noKey := worker.Budget(ctx).ReportOnce("", ff.Amounts{"t": 1})
		for _, err := range []error{none, negative, noKey} {
			if !errors.Is(err, ff.ErrInvalidInput) {
				t.Errorf("error %v, want ErrInvalidInput", err)
			}
		}
		return nil, nil
	}, func(b *bed, id ff.BudgetID) {
		b.result()
		b.wantUsage(id, ff.Amounts{})
	})
	if _, err := worker.Budget(t.Context()).Report(ff.Amounts{"t": 1}); !errors.Is(err, worker.ErrNoTask) {
		t.Errorf("error %v, want ErrNoTask", err)
	}
}
