package worker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// Handlers of all lengths, an engine that fails many calls, before or after it did the work: every task is
// reported, none is reported in two ways, and no lease is lost.
func TestRun_EveryTaskIsReportedInSpiteOfAnUnreliableEngine(t *testing.T) {
	const n = 500
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		dice := rand.New(rand.NewPCG(seed, 1))
		var mu sync.Mutex
		roll := func(sides int) bool {
			mu.Lock()
			defer mu.Unlock()
			return dice.IntN(sides) == 0
		}
		flaky := func(sides int) error {
			if roll(sides) {
				return coded(ff.CodeUnavailable)
			}
			return nil
		}
		f := newFake(tasks(n, "send")...)
		f.onClaim = func(context.Context, ff.Claim) error { return flaky(5) }
		f.onRenewals = func(context.Context, []ff.Renew) error { return flaky(10) }
		f.onComplete = func(_ context.Context, cmd ff.Complete) error {
			if roll(5) { // done, and the answer is lost
				return errors.Join(errors.New("connection reset"), write(f, "complete", cmd.ExecutionID, &f.completed, cmd))
			}
			return flaky(5)
		}
		f.onFail = func(context.Context, ff.Fail) error { return flaky(5) }

		cfg := config()
		cfg.Concurrency = 40
		w := worker.New(f, cfg)
		worker.Handle(w, "send", func(ctx context.Context, task *worker.Task, _ struct{}) (struct{}, error) {
			no := number(task.ID())
			for range no % 7 {
				task.Progress(no%100, "on it")
				select {
				case <-after(time.Duration(no) * 50 * time.Millisecond):
				case <-ctx.Done():
					t.Errorf("task %d was cancelled: %v", no, context.Cause(ctx))
				}
			}
			if no%5 == 0 {
				return struct{}{}, errors.New("no luck")
			}
			return struct{}{}, nil
		})
		r := start(w)
		pass(time.Hour)
		r.stopClean(t)

		completed, failed := map[int]bool{}, map[int]bool{}
		for _, c := range f.completed {
			completed[number(c.ExecutionID)] = true
		}
		for _, c := range f.failed {
			failed[number(c.ExecutionID)] = true
		}
		for no := 1; no <= n; no++ {
			if want := no%5 == 0; failed[no] != want || completed[no] == want {
				t.Errorf("seed %d: task %d: completed %t, failed %t", seed, no, completed[no], failed[no])
			}
		}
	})
}
