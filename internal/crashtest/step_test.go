package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/worker"
)

const (
	kindOfSteps = "steps"
	stepsEach   = 10
)

// handleSteps runs ten steps one after the other, and reports when each begins and when it is known to be recorded.
func (n *node) handleSteps(w *worker.Worker, rep *report) {
	worker.Handle(w, kindOfSteps, func(ctx context.Context, t *worker.Task, _ struct{}) (int, error) {
		sum := 0
		for i := range stepsEach {
			name := fmt.Sprint("step-", i)
			got, err := worker.Step(ctx, name, func(context.Context) (int, error) {
				rep.say("%s %s/%s", ackBegan, t.ID(), name)
				loop.Sleep(ctx, wall, n.Work, nil)
				return i, nil
			})
			if err != nil {
				return 0, err
			}
			rep.say("%s %s/%s", ackRecorded, t.ID(), name)
			sum += got
		}
		return sum, nil
	})
}

// Workers are killed in the middle of handlers of ten steps. No step that was recorded runs again, only the one that was
// under way, and every execution comes to the sum of its steps.
func TestKill9_RepeatsOnlyTheStepThatWasUnderWay(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killSteps(t, freshSQLite(t)) })
	t.Run("Postgres", func(t *testing.T) { killSteps(t, freshPostgres(t)) })
}

func killSteps(t *testing.T, url string) {
	beside(t)
	kills := either(3, 30)
	st := opened(t, url)
	f := &fleet{url: url}
	works := node{Slots: 16, Work: 5 * time.Millisecond}
	for _, n := range []node{{Callers: 2, Pause: 10 * time.Millisecond, Steps: true}, works, works} {
		f.add(t, n)
	}
	f.awaitReady(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for range kills {
		f.awaitProgress(t, time.Minute, 20)
		let(t, time.Duration(random.IntN(200))*time.Millisecond)
		f.replace(t, 1+random.IntN(2)) // one of those that work
	}
	f.awaitProgress(t, time.Minute, 20)
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	awaitEnd(t, st, time.Minute)
	f.stop(t, func(*process) bool { return true })
	d := dump(t, st)
	f.judge(t, d)
	f.judgeSteps(t, d)
}

// judgeSteps checks what ran against what was recorded.
func (f *fleet) judgeSteps(t *testing.T, d *store.Dump) {
	t.Helper()
	stored := map[string]bool{}
	for _, rec := range d.Records {
		if s, ok := rec.(*record.Step); ok {
			stored[s.ExecutionID.String()+"/"+s.Name] = true
		}
	}
	recorded, runs := map[string]time.Time{}, 0
	for _, p := range f.all {
		for _, a := range p.heard(ackRecorded) {
			if first, ok := recorded[a.id]; !ok || a.at.Before(first) {
				recorded[a.id] = a.at
			}
			if !stored[a.id] {
				t.Errorf("%s was told recorded to %s and is missing", a.id, p.Name)
			}
		}
	}
	for _, p := range f.all {
		for _, a := range p.heard(ackBegan) {
			runs++
			if at, ok := recorded[a.id]; ok && a.at.After(at) {
				t.Errorf("%s began on %s after it was recorded", a.id, p.Name)
			}
		}
	}
	for _, e := range d.Executions {
		if e.State.Outcome == flowfabric.OutcomeSuccess && string(e.Result) != "45" {
			t.Errorf("%s came to %q, want 45", e.ID, e.Result)
		}
	}
	if runs <= len(stored) {
		t.Errorf("%d runs of %d steps: no kill has met a step under way", runs, len(stored))
	}
	t.Logf("%d steps of %d executions, %d runs", len(stored), len(d.Executions), runs)
}
