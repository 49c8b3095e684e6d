package ops

import (
	"fmt"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

const ready = "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"

func TestExplain_DependenciesSayWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		what            string
		group           record.Group
		upstreams       []string
		code            ff.GateCode
		detail, release string
		listed          []string
	}{
		{
			"all_of",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Success: 1, Running: 2, Total: 3},
			[]string{"success", "open", "open"},
			"dependencies", "it needs all 3 upstreams to succeed; 1 have", "the success of the other 2",
			[]string{"u1 waiting applied", "u2 waiting applied"},
		},
		{
			"any_of",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AnyOf}, Fail: 1, Running: 1, Total: 2},
			[]string{"failed", "open"},
			"dependencies", "it needs one of 2 upstreams to succeed", "the success of one of them",
			[]string{"u1 waiting applied"},
		},
		{
			"quorum",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.Quorum, K: 2}, Success: 1, Skip: 1, Running: 1, Total: 3},
			[]string{"success", "skipped", "open"},
			"dependencies", "it needs 2 of 3 upstreams to succeed; 1 have", "the success of 1 more",
			[]string{"u2 waiting applied"},
		},
		{
			"quorum of more than there are",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.Quorum, K: 5}, Success: 1, Total: 1},
			[]string{"success"},
			"dependencies", "it needs 5 of 1 upstreams to succeed; 1 have", "the success of 4 more; for that, 4 more edges have to be added", nil,
		},
		{
			"all_ended",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllEnded}, Success: 1, Fail: 1, Running: 1, Total: 3},
			[]string{"success", "failed", "open"},
			"dependencies", "it needs all 3 upstreams to end; 2 have", "the end of the other 1",
			[]string{"u2 waiting applied"},
		},
		{
			"required besides",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AnyOf}, Success: 1, Running: 1, Total: 2, Required: 1},
			[]string{"success", "open"},
			"dependencies", "it needs one of 1 upstreams to succeed, and 1 besides, whatever the others do; 0 have",
			"the success of one of them, and of 1 that must succeed in any case",
			[]string{"u1 waiting applied"},
		},
		{
			"impossible",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupImpossible, Fail: 1, Skip: 1, Running: 1, Total: 3},
			[]string{"failed", "open", "skipped"},
			"dependencies_impossible",
			"what it depends on cannot be had any more: 2 of 3 upstreams did not succeed", "none: the engine skips it",
			[]string{"u0 failed impossible", "u2 skipped impossible"},
		},
		{
			"unknown policy",
			record.Group{Policy: ff.GroupPolicy{Kind: "most"}, Success: 1, Running: 1, Total: 2},
			[]string{"success", "open"},
			"unknown_policy", `the policy over its 2 upstreams is "most", which nobody knows: it is never decided`, "",
			[]string{"u1 waiting applied"},
		},
		{
			"no edges",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}},
			nil,
			"dependencies", "it waits for other executions, and no edge leads to it", "an edge that is staged, applied and satisfied", nil,
		},
		{
			"satisfied",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupSatisfied, Success: 1, Total: 1},
			[]string{"success"},
			"dependencies", "what it depends on is decided; it was not let go yet", "the engine, at once", nil,
		},
		{
			"a row that does not count its edges",
			record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Success: 1, Running: 1},
			[]string{"success", "open"},
			"dependencies", "it needs all 2 upstreams to succeed; 1 have", "the success of the other 1",
			[]string{"u1 waiting applied"},
		},
	} {
		b := newBench(t)
		e := inVector(behind)
		b.memberBehind(e, &c.group, c.upstreams...)
		x := b.explain(e)
		g := x.First()
		b.equal(c.what, []any{x.Verdict, g.Code, g.State, g.Detail, g.Release, g.Since}, []any{ff.VerdictHeld, c.code, ff.GateClosed, c.detail, c.release, t0})
		b.equal(c.what+": listed", namesOf(g.Dependencies), c.listed)
		b.equal(c.what+": more", g.More, 0)
	}
}

func namesOf(list []ff.Dependency) []string {
	var names []string
	for _, d := range list {
		names = append(names, fmt.Sprintf("%s %s %s", d.Node, d.PublicState, d.State))
	}
	return names
}

func TestExplain_ListsTheFirstTwentyEdges(t *testing.T) {
	for _, open := range []int{20, 21, 25} {
		b := newBench(t)
		e := inVector(behind)
		upstreams := []string{"success"}
		for range open {
			upstreams = append(upstreams, "open")
		}
		b.memberBehind(e, &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Success: 1, Running: open, Total: open + 1}, upstreams...)
		x := b.explain(e)
		g := x.First()
		b.equal("listed", []int{len(g.Dependencies), g.More, g.Group.Total}, []int{20, open - 20, open + 1})
		b.equal("first", g.Dependencies[0].Node, "u1")
	}
}

func TestExplain_StagedEdgesDoNotHoldBack(t *testing.T) {
	b := newBench(t)
	b.worker("mail")
	e := inVector(ready)
	e.Ready = true
	b.memberBehind(e, &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Total: 1}, "open")
	b.equal("explained", shortly(b.explain(e)), "claimable: dependencies/o queue/o")
}

func TestExplain_SkippedMembersNameWhatFailed(t *testing.T) {
	b := newBench(t)
	e := inVector("terminal unowned not_applicable none skipped none")
	b.memberBehind(e, &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupImpossible, Success: 1, Fail: 1, Total: 2}, "success", "failed")
	x := b.explain(e)
	b.equal("explained", shortly(x), "ended: ended/c dependencies_impossible/o")
	b.equal("failed", namesOf(x.Gates[1].Dependencies), []string{"u1 failed impossible"})
}

func TestExplain_Lanes(t *testing.T) {
	for _, c := range []struct {
		lane  record.Lane
		taken int
		want  string
	}{
		{record.Lane{State: ff.LanePaused}, 0, "held: lane_paused/c queue/o"},
		{record.Lane{State: ff.LaneDisabled}, 0, "held: lane_disabled/c queue/o"},
		{record.Lane{State: ff.LaneDraining}, 0, "claimable: lane_draining/o queue/o"},
		{record.Lane{State: ff.LaneActive, MaxConcurrency: 2}, 1, "claimable: queue/o"},
		{record.Lane{State: ff.LaneActive, MaxConcurrency: 2}, 2, "held: lane_full/c queue/o"},
		{record.Lane{State: ff.LanePaused, MaxConcurrency: 2}, 2, "held: lane_paused/c lane_full/c queue/o"},
	} {
		b := newBench(t)
		b.worker("mail")
		c.lane.LaneKey = b.laneKey(ff.Partition{Family: ff.FamilyFlow}, "mail")
		c.lane.UpdatedAt = t0 - 5
		b.keep(&c.lane)
		for range c.taken {
			held := inVector("active leased not_applicable none none running_attempt")
			held.LeaseExpiresAt, held.Slot = t0+1000, true
			b.put(held)
		}
		e := inVector(ready)
		e.Ready = true
		b.put(e)
		x := b.explain(e)
		b.equal(string(c.lane.State), shortly(x), c.want)
		if c.lane.State != ff.LaneActive {
			b.equal("since", x.Gates[0].Since, t0-5)
		}
	}
}

func TestExplain_Workers(t *testing.T) {
	for _, c := range []struct {
		what    string
		workers [][]string // lane, capabilities
		want    string
		missing []string
	}{
		{"none", nil, "claimable: no_worker/p queue/o", nil},
		{"of another lane", [][]string{{"else", "gpu", "ssd"}}, "claimable: no_worker/p queue/o", nil},
		{"that offers nothing", [][]string{{"mail"}}, "claimable: no_capable_worker/p queue/o", []string{"gpu", "ssd"}},
		{"that lacks one", [][]string{{"mail", "ssd"}, {"else", "gpu"}}, "claimable: no_capable_worker/p queue/o", []string{"gpu"}},
		{"each of which lacks one", [][]string{{"mail", "ssd"}, {"mail", "gpu"}}, "claimable: no_capable_worker/p queue/o", nil},
		{"that can", [][]string{{"mail", "arm", "gpu", "ssd"}}, "claimable: queue/o", nil},
	} {
		b := newBench(t)
		for _, w := range c.workers {
			b.worker(ff.LaneID(w[0]), w[1:]...)
		}
		e := inVector(ready)
		e.Ready, e.Capabilities, e.Route = true, []string{"gpu", "ssd"}, 7
		b.put(e)
		x := b.explain(e)
		b.equal("a worker "+c.what, shortly(x), c.want)
		b.equal("missing, with a worker "+c.what, x.First().Missing, c.missing)
	}
	b := newBench(t)
	b.worker("mail")
	b.now += 60_000 // the worker's time to live
	e := inVector(ready)
	e.Ready = true
	b.put(e)
	b.equal("a worker that is late", shortly(b.explain(e)), "claimable: no_worker/p queue/o")
}

func TestExplain_TimeCountsBeforeItIsNoticed(t *testing.T) {
	b := newBench(t)
	b.worker("mail")
	e := inVector("runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt")
	e.DelayUntil, e.DueAt, e.DeadlineAt = t0+1000, t0+1000, t0+2000
	b.put(e)
	for _, c := range []struct {
		at   ff.Timestamp
		want string
	}{
		{t0 + 999, "held: delay/c deadline/o"},
		{t0 + 1000, "held: not_queued/c deadline/o"},
		{t0 + 2000, "ended: ended/c"},
	} {
		b.now = c.at
		b.equal("explained", shortly(b.explain(e)), c.want)
	}
	b.equal("what is stored stays", b.get(e.ID).State, e.State)

	lost := inVector("active leased not_applicable none none running_attempt")
	lost.LeaseExpiresAt, lost.DueAt = t0+2000, t0+2000
	b.put(lost)
	b.equal("a lease that ran out", shortly(b.explain(lost)), "held: lease_expired/o not_queued/c")

	early := inVector("runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt")
	early.DelayUntil, early.DeadlineAt = t0+9000, t0+9000
	b.put(early)
	x := b.explain(early)
	b.equal("a deadline before the delay", x.Gates[1].Detail, "its deadline comes before its delay is over: it will expire")
}

func TestExplain_QueueTellsWhetherOthersAreBefore(t *testing.T) {
	b := newBench(t)
	b.worker("mail")
	details := make(map[string]string)
	for _, c := range []struct {
		name     string
		priority int
		route    int64
	}{{"low", 1, 0}, {"high", 9, 0}, {"other route", 1, 5}} {
		e := inVector(ready)
		e.Ready, e.Priority, e.Route = true, c.priority, c.route
		b.put(e)
		details[c.name] = string(e.ID.String())
	}
	for name, want := range map[string]string{
		"low":         "others on its lane with the same required capabilities stand before it",
		"high":        "it is the next to be claimed of those on its lane with the same required capabilities",
		"other route": "it is the next to be claimed of those on its lane with the same required capabilities",
	} {
		id, err := ff.ParseExecutionID(details[name])
		if err != nil {
			t.Fatal(err)
		}
		x := b.explain(b.get(id))
		b.equal(name, x.First().Detail, want)
	}
}

func TestExplain_SaysWhyAReplayIsRefused(t *testing.T) {
	b := newBench(t)
	e := inVector("terminal unowned not_applicable none failed attempt_terminal")
	e.FailureReason, e.CompletedAt, e.ReplayCount, e.Policy = "no", t0, 10, nil
	b.put(e)
	x := b.explain(e)
	b.equal("replayed too often", []any{x.Replayable, x.Gates[0].Release, x.Gates[0].Since}, []any{false, "", t0})
	b.equal("detail", x.Gates[0].Detail, "it has failed: no; it cannot be replayed: it was replayed 10 times; the policy allows 10")
	e2 := *e
	e2.ReplayCount, e2.ID = 9, ff.SoloExecutionID("mail", b.Partitions)
	b.put(&e2)
	x = b.explain(&e2)
	b.equal("may be replayed once more", []any{x.Replayable, x.Gates[0].Release}, []any{true, "a replay; 9 of 10 were used"})

	member := inVector("terminal unowned not_applicable none failed attempt_terminal")
	b.memberBehind(member, nil)
	b.equal("a member of a live flow", b.explain(member).Replayable, true)
	flow := b.flowKey(member.FlowID)
	b.keep(&record.Flow{FlowKey: flow, Version: 1, State: ff.FlowCancelled, NodeCount: 1})
	b.equal("a member of a cancelled flow", b.explain(member).Replayable, false)
}

func TestExplain_ABlockOutlastsTheDelayBehindIt(t *testing.T) {
	for delay, want := range map[ff.Timestamp]string{
		t0 + 1: "held: delay/c blocked_by_operator/c", t0: "held: blocked_by_operator/c", 0: "held: blocked_by_operator/c",
	} {
		b := newBench(t)
		b.worker("mail")
		e := inVector("runnable unowned blocked_by_operator paused_by_operator none pending_first_attempt")
		e.DelayUntil = delay
		b.put(e)
		b.equal("blocked", shortly(b.explain(e)), want)
	}
}

func TestExplain_WhatWillComeOfOneThatRuns(t *testing.T) {
	b := newBench(t)
	e := inVector("active leased not_applicable none none running_attempt")
	e.LeaseExpiresAt, e.AttemptEndsAt, e.DeadlineAt, e.AwaitsUpstream = t0+1000, t0+3000, t0+5000, true
	b.memberBehind(e, &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Running: 1, Total: 1}, "open")
	x := b.explain(e)
	b.equal("explained", shortly(x), "running: lease_held/o dependencies/o attempt_timeout/o deadline/o")
	b.equal("at", []ff.Timestamp{x.Gates[0].At, x.Gates[2].At, x.Gates[3].At}, []ff.Timestamp{t0 + 1000, t0 + 3000, t0 + 5000})
	b.equal("what matters most", x.First().Code, ff.GateLeaseHeld)
}

// TestExplain_FlowBeingCancelled: members the cancel has not reached are told of it, if its policy names them.
func TestExplain_FlowBeingCancelled(t *testing.T) {
	for _, c := range []struct {
		what    string
		backlog record.Backlog
		want    string
	}{
		{"all members", record.Backlog{Policy: ff.CancelAll, Spreading: true}, "running: lease_held/o flow_cancel/o"},
		{"members nobody works on", record.Backlog{Policy: ff.CancelPending, Spreading: true}, "running: lease_held/o"},
		{"all have been reached", record.Backlog{Policy: ff.CancelAll, Outstanding: 1}, "running: lease_held/o"},
	} {
		b := newBench(t)
		e := inVector("active leased not_applicable none none running_attempt")
		e.LeaseExpiresAt = t0 + 1000
		b.memberBehind(e, nil)
		c.backlog.BacklogKey = record.BacklogKey(b.flowKey(e.FlowID))
		c.backlog.RequestedAt, c.backlog.Reason = t0-9, "enough"
		b.keep(&c.backlog)
		x := b.explain(e)
		b.equal(c.what, shortly(x), c.want)
		if len(x.Gates) > 1 {
			b.equal("since", x.Gates[1].Since, t0-9)
		}
		cancel := b.explainFlow(e.FlowID).Cancel
		b.equal("of the flow", []any{cancel.Policy, cancel.Reason, cancel.Spreading, cancel.Outstanding, cancel.RequestedAt},
			[]any{c.backlog.Policy, "enough", c.backlog.Spreading, c.backlog.Outstanding, t0 - 9})
	}
}
