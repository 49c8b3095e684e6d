package simulation

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "the only world to run; 0: new ones")
	stepsFlag = flag.Int("steps", 100_000, "steps in all, at least")
)

// stepsPerWorld is how much happens in a world before it is let come to its end.
const stepsPerWorld = 300

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSimulation(t *testing.T) {
	defer uuid.SetRand(nil)
	if *seedFlag != 0 {
		newWorld(t, *seedFlag).run()
		return
	}
	steps := *stepsFlag
	if testing.Short() {
		steps /= 20
	}
	done, worlds, faults, audits, admitted, parked, appended, refused := 0, 0, 0, 0, 0, 0, 0, 0
	for ; done < steps; worlds++ {
		w := newWorld(t, rand.Uint64()|1)
		w.run()
		done += stepsPerWorld
		faults += w.disk.faults
		audits += w.audits
		admitted += len(w.limits.seen)
		parked += len(w.limits.parked)
		appended += w.streams.appended
		refused += w.streams.refused
	}
	t.Logf("%d steps in %d worlds, with %d audits and %d lost commits and replies", done, worlds, audits, faults)
	t.Logf("limits let run %d times, and kept back %d times", admitted, parked)
	t.Logf("%d frames were sent, %d appends were not accepted", appended, refused)
	if appended < done/20 || refused < done/100 {
		t.Errorf("%d frames were sent, and %d appends not accepted: the simulation tests streams too little", appended, refused)
	}
	if admitted < done/500 || parked < done/500 {
		t.Errorf("limits let run %d times and kept back %d times: the simulation tests them too little", admitted, parked)
	}
	if faults < done/100 {
		t.Errorf("only %d commits or replies were lost in %d steps: the simulation tests too little", faults, done)
	}
}

// drawn leaves out versions that are drawn by lot.
var drawn = cmp.Options{
	cmpopts.IgnoreFields(record.Budget{}, "Version"), cmpopts.IgnoreFields(record.Quota{}, "Version"), cmpopts.IgnoreFields(record.QuotaUse{}, "Version"),
}

// TestSimulation_ASeedRepeatsItsWorld: else no failure could be looked into.
func TestSimulation_ASeedRepeatsItsWorld(t *testing.T) {
	defer uuid.SetRand(nil)
	for range 10 {
		first := newWorld(t, rand.Uint64()|1)
		first.run()
		again := newWorld(t, first.seed)
		again.run()
		if diff := cmp.Diff(first.done, again.done); diff != "" {
			t.Fatalf("seed %d, what was done:\n%s", first.seed, diff)
		}
		if diff := cmp.Diff(first.dump(), again.dump(), exact, drawn); diff != "" {
			t.Fatalf("seed %d, what it came to:\n%s", first.seed, diff)
		}
	}
}

func (w *world) run() {
	defer w.stop()
	for range stepsPerWorld {
		steps[w.rng.IntN(len(steps))](w)
		if w.disk.changed {
			w.audit()
		}
	}
	w.finish()
	w.forget()
}

// finish lets everything come to its end: the line is good again, nobody cancels or replays any more, workers complete
// what they claim. Then every flow must have ended, and nothing may be owed.
func (w *world) finish() {
	w.disk.healthy = true
	for _, e := range w.edges { // one that is staged and not applied holds its downstream up, as it should
		w.refused[e.EdgeID] = w.apply(e) != nil
	}
	w.loosen()
	for range 400 {
		w.time.Advance(time.Second)
		for range 50 {
			if _, err := w.engine.Step(w.Context()); err != nil {
				w.broken("carry on: %v", err)
			}
		}
		open := 0
		for _, id := range w.members {
			if !w.member(id).State.Finished() {
				open++
				w.complete(id)
			}
		}
		if open == 0 && !w.owing(w.audit()) {
			return
		}
	}
	w.stuck()
}

// forget lets the time pass that is kept what has ended. Then nothing is left of flows, but for those that are empty: they
// have not ended.
func (w *world) forget() {
	w.time.Advance(ff.DefaultRetention)
	for range 400 {
		w.time.Advance(time.Second)
		if _, err := w.engine.Step(w.Context()); err != nil {
			w.broken("carry on: %v", err)
		}
		w.trim()
		d := w.audit()
		d.Records = slices.DeleteFunc(d.Records, func(rec record.Keyed) bool {
			f, ok := rec.(*record.Flow)
			return rec.Key().Family() == record.Lanes || limitsForgotten(rec) || ok && f.NodeCount == 0 && f.State == ff.FlowOpen
		})
		if len(d.Executions)+len(d.Attempts)+len(d.Records)+len(d.Frames) == 0 {
			return
		}
	}
	for _, rec := range w.dump().Records {
		w.note("%+v", rec)
	}
	w.broken("what has ended is not forgotten")
}

// complete claims an execution and completes it, if it can be claimed.
func (w *world) complete(id ff.ExecutionID) {
	var c ff.Claimed
	op, err := w.rules.ClaimExecution(ff.ClaimExecution{ExecutionID: id, LeaseTTL: leaseTTL}, &c)
	if err == nil {
		err = w.do(op, nil)
	}
	if err != nil {
		if waitsForLimit(w.member(id)) {
			return
		}
		_ = w.letGo(id)
		_ = w.wake(id)
		w.giveUp(id)
		return
	}
	done, err := w.rules.Complete(ff.Complete{ExecutionID: id, Fence: c.Fence})
	if err == nil {
		err = w.do(done, nil)
	}
	if err != nil {
		w.broken("complete %s in the end: %v", id, err)
	}
}

// giveUp cancels what waits for something that only somebody outside could do: the replay of a skipped member whose
// upstreams nobody replays, or a member behind an edge that was not applied before its flow was cancelled.
func (w *world) giveUp(id ff.ExecutionID) {
	e := w.member(id)
	hopeless := slices.ContainsFunc(w.edges, func(edge ff.StageEdge) bool { return edge.Downstream == id && w.refused[edge.EdgeID] })
	switch {
	case e.State.Eligibility == ff.BlockedByDependencies && (e.State.AttemptState == ff.PendingReplayAttempt || hopeless):
	case e.AwaitsUpstream && w.reopened(id): // it was cancelled as such a replay, replayed again, and given one more upstream
	default:
		return
	}
	var res ff.CancelResult
	op, err := w.rules.Cancel(ff.Cancel{ExecutionID: id, Reason: "given up"}, &res)
	if err == nil {
		err = w.do(op, nil)
	}
	if err != nil {
		w.broken("give up %s: %v", id, err)
	}
}

// reopened reports whether a member's edges were opened again, and one of them since waits for the replay of an upstream that
// has ended.
func (w *world) reopened(id ff.ExecutionID) bool {
	records := w.dump().Records
	round := 0
	for _, rec := range records {
		if g, ok := rec.(*record.Group); ok && g.Downstream == id {
			round = g.Round
		}
	}
	return slices.ContainsFunc(records, func(rec record.Keyed) bool {
		e, ok := rec.(*record.Edge)
		return ok && e.Downstream == id && e.Applied && e.Round < round && w.member(e.Upstream).State.Finished()
	})
}

// owing reports whether something is still to be carried on.
func (w *world) owing(d *store.Dump) bool {
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Errand, *record.Backlog, *record.BacklogMember:
			return true
		case *record.Flow:
			if rec.Sealed && !rec.State.Terminal() {
				return true
			}
		}
	}
	return false
}

// stuck says what did not come to its end, and why.
func (w *world) stuck() {
	for _, id := range w.members {
		if e := w.member(id); !e.State.Finished() {
			x, err := w.rules.Explain(w.Context(), w.disk, id)
			w.note("%s is %s: %+v %v", id, e.State, x.Gates, err)
		}
	}
	for _, rec := range w.audit().Records {
		switch rec := rec.(type) {
		case *record.Errand, *record.Backlog, *record.BacklogMember, *record.Flow:
			w.note("%+v", rec)
		case *record.Group:
			if e := w.member(rec.Downstream); !e.State.Finished() {
				w.note("group %+v", rec)
			}
		case *record.Edge:
			if e := w.member(rec.Downstream); !e.State.Finished() {
				w.note("edge %+v from %s", rec, w.member(rec.Upstream).State)
			}
		}
	}
	w.broken("not everything came to its end")
}
