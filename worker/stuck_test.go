package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// reports collects what a worker calls stuck.
type reports struct {
	mu   sync.Mutex
	list []worker.StuckReport
}

func (r *reports) add(s worker.StuckReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

// stuckOn runs a worker whose only handler does not return until release is closed.
func stuckOn(f *fake, cfg worker.Config, release <-chan struct{}) *run {
	w := worker.New(f, cfg)
	worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) { <-release; return struct{}{}, nil })
	return start(w)
}

func TestStuck_AHandlerIsReportedEachTimeItsRunHasDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got reports
		cfg := config()
		cfg.StuckAfter, cfg.OnStuck = time.Minute, got.add
		release := make(chan struct{})
		f := newFake(task(1, "send", "{}"))
		r := stuckOn(f, cfg, release)
		pass(5 * time.Minute)
		close(release)
		r.stopClean(t)
		id := task(1, "", "").ExecutionID
		want := []worker.StuckReport{
			{ExecutionID: id, Kind: "send", Lane: "mail", RunningFor: time.Minute},
			{ExecutionID: id, Kind: "send", Lane: "mail", RunningFor: 2 * time.Minute},
			{ExecutionID: id, Kind: "send", Lane: "mail", RunningFor: 4 * time.Minute},
		}
		same := cmp.Comparer(func(x, y ff.ExecutionID) bool { return x == y })
		if diff := cmp.Diff(want, got.list, same); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
	})
}

// TestStuck_ShortOnesAreReportedInTime: the report does not wait for the next look at the leases.
func TestStuck_ShortOnesAreReportedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got reports
		cfg := config()
		cfg.StuckAfter, cfg.OnStuck = 50*time.Millisecond, got.add
		release := make(chan struct{})
		f := newFake()
		r := stuckOn(f, cfg, release)
		pass(time.Second)
		f.add(task(1, "send", "{}"))
		pass(50 * time.Millisecond)
		if len(got.list) != 1 || got.list[0].RunningFor != 50*time.Millisecond {
			t.Errorf("reports are %+v", got.list)
		}
		close(release)
		r.stopClean(t)
	})
}

func TestStuck_AHandlerThatIgnoresTheLossOfItsLeaseIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got reports
		cfg := config()
		cfg.OnStuck = got.add
		release := make(chan struct{})
		f := newFake(task(1, "send", "{}"))
		f.onRenew = func(context.Context, ff.Renew) error { return coded(ff.CodeLeaseRevoked) }
		r := stuckOn(f, cfg, release)
		pass(10 * time.Second) // the renewal is due, and refused
		pass(5 * time.Second)
		if len(got.list) != 1 || got.list[0].StoppedFor < 5*time.Second || !errors.Is(got.list[0].LeaseLost, worker.ErrLeaseLost) {
			t.Errorf("reports are %+v", got.list)
		}
		close(release)
		r.stopClean(t)
	})
}

func TestStuck_NegativeReportsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got reports
		cfg := config()
		cfg.StuckAfter, cfg.OnStuck = -1, got.add
		release := make(chan struct{})
		r := stuckOn(newFake(task(1, "send", "{}")), cfg, release)
		pass(time.Hour)
		if len(got.list) != 0 {
			t.Errorf("reports are %+v", got.list)
		}
		close(release)
		r.stopClean(t)
	})
}
