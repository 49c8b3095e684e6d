package servicetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var laneTests = []behaviour{
	{"OneThatNobodyUsedHasTheDefaults", testLaneDefaults},
	{"TheFirstSubmissionRegistersIt", testLaneRegistered},
	{"ListedOnceInOrder", testLaneList},
	{"PausedTakesSubmissionsAndHandsOutNothing", testLanePaused},
	{"DrainingHandsOutAndTakesNothing", testLaneDraining},
	{"DisabledDoesNeither", testLaneDisabled},
	{"AnotherEngineRefusesWithinASecond", testLaneOtherEngine},
	{"ResumingWakesWaitingClaims", testLaneResume},
	{"FieldsThatAreNotGivenStay", testLanePartial},
	{"AChangeIsTold", testLaneEvent},
	{"SettingsOutOfBoundsAreRefused", testLaneBounds},
	{"ConcurrencyIsBounded", testLaneConcurrency},
	{"EveryEndOfALeaseFreesItsSlot", testLaneSlots},
	{"AFreedSlotWakesAWaitingClaim", testLaneSlotWakes},
	{"ConcurrencyHoldsUnderRace", testLaneRace},
	{"CountsTellHowMuchWorkThereIs", testLaneCounts},
}

// setLane changes the settings of the lane.
func (e *env) setLane(cmd ff.UpdateLane) ff.LaneSnapshot {
	e.Helper()
	if cmd.Lane == "" {
		cmd.Lane = e.lane
	}
	s, err := e.svc.UpdateLane(e.Context(), cmd)
	e.ok(err)
	return s
}

func (e *env) setState(state ff.LaneState) {
	e.Helper()
	e.setLane(ff.UpdateLane{State: &state})
}

func testLaneDefaults(e *env) {
	got, err := e.svc.Lane(e.Context(), e.lane)
	e.ok(err)
	e.equal("lane", got, ff.LaneSnapshot{Lane: e.lane, State: ff.LaneActive, Weight: 1})
	counts, err := e.svc.LaneCounts(e.Context(), e.lane)
	e.ok(err)
	e.equal("counts", counts, ff.LaneCounts{Lane: e.lane})
}

func testLaneRegistered(e *env) {
	first := e.pace.now()
	e.submit(ff.Submit{})
	e.advance(time.Second)
	e.submit(ff.Submit{})
	got, err := e.svc.Lane(e.Context(), e.lane)
	e.ok(err)
	e.equal("lane", got, ff.LaneSnapshot{Lane: e.lane, State: ff.LaneActive, Weight: 1, RegisteredAt: first, UpdatedAt: first})
}

func testLaneList(e *env) {
	want := []ff.LaneID{e.lane + "-a", e.lane + "-ab", e.lane + "-b", e.lane + "-c", e.lane + "-d"}
	for _, i := range []int{3, 0, 2, 1} {
		e.submit(ff.Submit{Lane: want[i]})
	}
	e.setLane(ff.UpdateLane{Lane: want[4], Weight: new(7)})
	var got []ff.LaneID
	q := ff.ListLanes{After: string(e.lane), Limit: 2}
	for len(got) < len(want) {
		page, err := e.svc.ListLanes(e.Context(), q)
		e.ok(err)
		for _, l := range page.Items {
			if got = append(got, l.Lane); l.Lane == want[4] {
				e.equal("weight", l.Weight, 7)
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	e.equal("lanes", got[:min(len(want), len(got))], want)
	_, err := e.svc.ListLanes(e.Context(), ff.ListLanes{Limit: ff.MaxPage + 1})
	e.refused("a page that is too long", err, ff.CodeInvalidInput)
}

// testLanePaused: executions of a paused lane stay as they are, so that it can go on at once.
func testLanePaused(e *env) {
	other := e.engine()
	id := e.submit(ff.Submit{})
	e.setState(ff.LanePaused)
	second := e.submit(ff.Submit{})
	e.nothingClaimable("on a paused lane")
	e.equal("by another engine", len(e.offering(other, 1)), 0)
	e.inState(id, newReady)
	e.setState(ff.LaneActive)
	var got []ff.ExecutionID
	for _, c := range e.claimUpTo(10) {
		got = append(got, c.ExecutionID)
	}
	e.equal("claimed", got, []ff.ExecutionID{id, second})
}

func testLaneDraining(e *env) {
	id := e.submit(ff.Submit{})
	e.setState(ff.LaneDraining)
	_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{}))
	e.refused("a submission to a draining lane", err, ff.CodeLaneClosed)
	_, err = e.svc.SubmitMany(e.Context(), []ff.Submit{e.command(ff.Submit{Lane: e.lane + "other"}), e.command(ff.Submit{})})
	e.refused("many", err, ff.CodeLaneClosed)
	e.equal("retryable", ff.Retryable(err), true)
	page, err := e.svc.List(e.Context(), ff.ListExecutions{Lane: e.lane + "other"})
	e.ok(err)
	e.equal("written of a call that was refused", len(page.Items), 0)
	e.equal("claimed", e.claim().ExecutionID, id)
}

func testLaneDisabled(e *env) {
	e.submit(ff.Submit{})
	e.setState(ff.LaneDisabled)
	_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{}))
	e.refused("a submission to a disabled lane", err, ff.CodeLaneClosed)
	e.nothingClaimable("on a disabled lane")
}

func testLaneOtherEngine(e *env) {
	other := e.engine()
	_, err := other.Submit(e.Context(), e.command(ff.Submit{})) // it has read the lane now
	e.ok(err)
	e.setState(ff.LaneDisabled)
	e.pace.Advance(time.Second)
	_, err = other.Submit(e.Context(), e.command(ff.Submit{}))
	e.refused("a second later", err, ff.CodeLaneClosed)
	e.setState(ff.LaneActive)
	e.pace.Advance(time.Second)
	_, err = other.Submit(e.Context(), e.command(ff.Submit{}))
	e.ok(err)
}

func testLaneResume(e *env) {
	e.setState(ff.LanePaused)
	id := e.submit(ff.Submit{})
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.equal("answered while paused", w.isDone(), false)
	e.setState(ff.LaneActive)
	e.equal("answered", e.answered(w), []ff.ExecutionID{id})
}

func testLanePartial(e *env) {
	e.setLane(ff.UpdateLane{Weight: new(5), MaxConcurrency: new(9)})
	e.advance(time.Second)
	got := e.setLane(ff.UpdateLane{State: new(ff.LaneDraining)})
	e.equal("lane", got, ff.LaneSnapshot{
		Lane: e.lane, State: ff.LaneDraining, Weight: 5, MaxConcurrency: 9, RegisteredAt: e.pace.now() - 1000, UpdatedAt: e.pace.now(),
	})
	again, err := e.svc.Lane(e.Context(), e.lane)
	e.ok(err)
	e.equal("read again", again, got)
}

func testLaneEvent(e *env) {
	e.setLane(ff.UpdateLane{State: new(ff.LanePaused), Weight: new(3), Reason: "too hot", Actor: "ada"})
	var found []map[string]any
	home := record.NoExecution(ff.DefaultPartitions().OfLane(e.lane))
	for _, ev := range e.dump().Events {
		if ev.Family == record.FamilyOperator && ev.Type == "lane_updated" && ev.ExecutionID == home {
			var details map[string]any
			e.ok(json.Unmarshal(ev.Details, &details))
			if details["lane"] == string(e.lane) {
				e.equal("at", ev.At, e.pace.now())
				found = append(found, details)
			}
		}
	}
	e.equal("told", found, []map[string]any{
		{"lane": string(e.lane), "state": "paused", "weight": 3.0, "reason": "too hot", "actor": "ada"},
	})
}

func testLaneBounds(e *env) {
	for what, cmd := range map[string]ff.UpdateLane{
		"no lane":                  {Lane: "\x00"},
		"a state nobody knows":     {State: new(ff.LaneState("frozen"))},
		"no weight":                {Weight: new(0)},
		"too much weight":          {Weight: new(1001)},
		"negative concurrency":     {MaxConcurrency: new(-1)},
		"too much concurrency":     {MaxConcurrency: new(100_001)},
		"too long a reason":        {Reason: string(make([]byte, ff.MaxReasonBytes+1))},
		"an actor with a NUL byte": {Actor: "a\x00"},
	} {
		if cmd.Lane == "" {
			cmd.Lane = e.lane
		}
		e.untouched(what, func() {
			_, err := e.svc.UpdateLane(e.Context(), cmd)
			e.refused(what, err, ff.CodeInvalidInput)
		})
	}
	e.setLane(ff.UpdateLane{Weight: new(1000), MaxConcurrency: new(100_000)})
}

func testLaneConcurrency(e *env) {
	e.setLane(ff.UpdateLane{MaxConcurrency: new(3)})
	for range 10 {
		e.submit(ff.Submit{})
	}
	held := e.claimUpTo(10)
	e.equal("claimed", len(held), 3)
	e.nothingClaimable("at the bound")
	e.complete(held[0])
	e.equal("claimed after one has ended", len(e.claimUpTo(10)), 1)
	e.setLane(ff.UpdateLane{MaxConcurrency: new(5)})
	e.equal("claimed under a higher bound", len(e.claimUpTo(10)), 2)
	e.setLane(ff.UpdateLane{MaxConcurrency: new(1)})
	e.complete(held[1])
	e.nothingClaimable("under a lower bound, with four left")
	e.setLane(ff.UpdateLane{MaxConcurrency: new(0)})
	e.equal("claimed without a bound", len(e.claimUpTo(10)), 4)
}

func testLaneSlots(e *env) {
	e.setLane(ff.UpdateLane{MaxConcurrency: new(1)})
	policy := ff.Retry(5, ff.FixedBackoff(time.Hour))
	for what, end := range map[string]func(c ff.Claimed){
		"complete": e.complete,
		"retry":    func(c ff.Claimed) { e.fail(c, "transient") },
		"delay": func(c ff.Claimed) {
			e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: time.Hour})))
		},
		"cancel": func(c ff.Claimed) { e.cancel(c.ExecutionID, "enough") },
		"revoke": func(c ff.Claimed) {
			e.revoke(ff.RevokeLease{ExecutionID: c.ExecutionID})
			e.cancel(c.ExecutionID, "enough")
		},
		"release": func(c ff.Claimed) {
			e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
			e.cancel(c.ExecutionID, "enough")
		},
		"expiry": func(c ff.Claimed) {
			e.advance(leaseTTL)
			e.cancel(c.ExecutionID, "enough")
		},
	} {
		e.submit(ff.Submit{Policy: policy})
		c := e.claim()
		e.submit(ff.Submit{Policy: policy})
		e.nothingClaimable("before the end by " + what)
		end(c)
		next := e.claimUpTo(2)
		e.equal("claimed after the end by "+what, len(next), 1)
		e.complete(next[0])
	}
}

func testLaneSlotWakes(e *env) {
	e.setLane(ff.UpdateLane{MaxConcurrency: new(1)})
	first := e.running(ff.Submit{})
	second := e.submit(ff.Submit{})
	e.nothingClaimable("at the bound")
	w := e.waiting(e.Context(), e.svc, e.wants(1))
	e.complete(first)
	e.equal("answered", e.answered(w), []ff.ExecutionID{second})
}

// testLaneRace: whatever engines claim at once, no more slots are taken than there are.
func testLaneRace(e *env) {
	const bound, tasks = 3, 40
	e.setLane(ff.UpdateLane{MaxConcurrency: new(bound)})
	for range tasks {
		e.submit(ff.Submit{})
	}
	engines := e.engines()
	var held, most, done atomic.Int64
	together(8, func(i int) {
		svc := engines[i%2]
		for done.Load() < tasks {
			cmd := e.wants(2)
			cmd.WorkerInstanceID = ff.WorkerInstanceID(fmt.Sprint("worker-", i))
			got, err := svc.Claim(e.Context(), cmd)
			if err != nil {
				e.Errorf("claim: %v", err)
				return
			}
			most.Store(max(most.Load(), held.Add(int64(len(got)))))
			for _, c := range got {
				held.Add(-1) // before the slot is free: others may take it as soon as it is
				if err := svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
					e.Errorf("complete: %v", err)
					return
				}
				done.Add(1)
			}
			e.pace.Advance(time.Millisecond)
			e.pace.nudge()
		}
	})
	if most.Load() > bound {
		e.Errorf("%d executions were under a lease at once; the bound is %d on each shard", most.Load(), bound)
	}
	if e.Failed() {
		return
	}
	e.equal("slots taken in the end", slices.ContainsFunc(e.dump().Slots, func(s store.SlotEntry) bool { return s.Lane == e.lane }), false)
}

func testLaneCounts(e *env) {
	for range 4 {
		e.submit(ff.Submit{})
	}
	oldest := e.pace.now()
	e.submit(ff.Submit{Delay: time.Hour})
	e.claim()
	e.complete(e.claim())
	e.advance(time.Second)
	e.submit(ff.Submit{Priority: 5})
	got, err := e.svc.LaneCounts(e.Context(), e.lane)
	e.ok(err)
	e.equal("counts", got, ff.LaneCounts{Lane: e.lane, Waiting: 3, Active: 1, Delayed: 1, OldestAt: oldest})
}
