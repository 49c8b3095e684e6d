package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var explainTests = []behaviour{
	{"UnknownIdsAreRefused", testExplainUnknown},
	{"OneThatIsReadySaysSo", testExplainReady},
	{"OneThatIsRunningNamesItsHolder", testExplainRunning},
	{"DelaysAndRetriesSayWhen", testExplainDelays},
	{"BlocksSayWhatUnblocks", testExplainBlocks},
	{"LanesAndWorkers", testExplainLane},
	{"DependenciesNameWhatIsOpen", testExplainDependencies},
	{"EndsSayHowAndWhetherAReplayIsLeft", testExplainEnded},
	{"FlowsNameWhoHoldsThemUp", testExplainFlow},
	{"ItChangesNothing", testExplainChangesNothing},
	{"FlowsWithManyMembers", testExplainManyMembers},
}

func (e *env) explain(id ff.ExecutionID) ff.Explanation {
	e.Helper()
	x, err := e.svc.Explain(e.Context(), id)
	e.ok(err)
	return x
}

// explained fails the test unless an execution is explained so: the verdict, then each gate with the first letter of its
// state.
func (e *env) explained(id ff.ExecutionID, want string) ff.Explanation {
	e.Helper()
	x := e.explain(id)
	words := []string{string(x.Verdict) + ":"}
	for _, g := range x.Gates {
		words = append(words, string(g.Code)+"/"+string(g.State[:1]))
	}
	if got := strings.Join(words, " "); got != want {
		e.Errorf("explained as %s, want %s", got, want)
	}
	return x
}

// served registers a worker of the lane, so that no explanation doubts that there is one.
func (e *env) served(capabilities ...string) {
	e.Helper()
	_, err := e.svc.RegisterWorker(e.Context(), ff.RegisterWorker{
		WorkerID: "explained", WorkerInstanceID: ff.WorkerInstanceID("explained-" + strings.ReplaceAll(string(e.lane), " ", "")),
		Lanes: []ff.LaneID{e.lane}, Capabilities: capabilities, LivenessTTL: time.Hour,
	})
	e.ok(err)
}

func testExplainUnknown(e *env) {
	_, err := e.svc.Explain(e.Context(), ff.SoloExecutionID(e.lane, ff.DefaultPartitions()))
	e.refused("an unknown execution", err, ff.CodeExecutionNotFound)
	_, err = e.svc.Explain(e.Context(), ff.ExecutionIDFrom(9999, [16]byte{1}))
	e.refused("a partition that does not exist", err, ff.CodeInvalidInput)
	_, err = e.svc.ExplainFlow(e.Context(), ff.NewFlowID())
	e.refused("an unknown flow", err, ff.CodeFlowNotFound)
}

func testExplainReady(e *env) {
	e.served()
	at := e.pace.now()
	first, second := e.submit(ff.Submit{Priority: 9}), e.submit(ff.Submit{})
	x := e.explained(first, "claimable: queue/o")
	e.equal("head", []any{x.ExecutionID, x.PublicState, x.Replayable, x.Gates[0].Since}, []any{first, ff.PublicWaiting, false, at})
	e.equal("detail", x.Gates[0].Detail, "it is the next to be claimed of those on its lane with the same required capabilities")
	x = e.explained(second, "claimable: queue/o")
	e.equal("detail of the second", x.Gates[0].Detail, "others on its lane with the same required capabilities stand before it")
	e.complete(e.claim())
	e.complete(e.claim())
}

func testExplainRunning(e *env) {
	e.served()
	c := e.running(ff.Submit{Deadline: e.pace.now().Add(time.Hour)})
	x := e.explained(c.ExecutionID, "running: lease_held/o deadline/o")
	g := x.First()
	e.equal("holder", []any{g.Code, g.Lease.WorkerInstanceID, g.Lease.Epoch, g.At}, []any{ff.GateLeaseHeld, ff.WorkerInstanceID("worker-1"), uint64(1), c.LeaseExpiresAt})
	e.equal("deadline", x.Gates[1].At, e.pace.now().Add(time.Hour))
	e.advance(leaseTTL)
	x = e.explained(c.ExecutionID, "claimable: lease_expired/o queue/o deadline/o")
	e.equal("since", x.First().Since, c.LeaseExpiresAt)
	e.complete(e.claim())
}

func testExplainDelays(e *env) {
	e.served()
	id := e.submit(ff.Submit{Delay: time.Minute, Policy: ff.Retry(3, ff.FixedBackoff(time.Hour))})
	x := e.explained(id, "held: delay/c")
	e.equal("delayed", []any{x.First().Release, x.First().At, x.First().Since}, []any{"time", e.pace.now().Add(time.Minute), e.pace.now()})
	e.advance(time.Minute)
	e.explained(id, "claimable: queue/o")
	e.fail(e.claim(), "transient")
	x = e.explained(id, "held: retry_backoff/c")
	e.equal("retry", x.First().At, e.pace.now().Add(time.Hour))
	e.block(id)
	e.explained(id, "held: retry_backoff/c blocked_by_operator/c")
	e.cancel(id, "")
}

func testExplainBlocks(e *env) {
	e.served()
	for reason, want := range blocks {
		id := e.submit(ff.Submit{})
		e.ok(e.svc.Block(e.Context(), ff.Block{ExecutionID: id, Reason: reason, Detail: "see ticket"}))
		x := e.explained(id, "held: "+string(want.gate)+"/c")
		g := x.First()
		e.equal("unblocked by", []any{g.Reason, g.Since}, []any{reason, e.pace.now()})
		if !strings.Contains(g.Detail, "see ticket") {
			e.Errorf("%s: detail %q does not tell what the operator said", reason, g.Detail)
		}
		e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id, ExpectedReason: g.Reason}))
		e.explained(id, "claimable: queue/o")
		e.complete(e.claim())
	}
}

func testExplainLane(e *env) {
	id := e.submit(ff.Submit{Policy: &ff.Policy{Routing: &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu"}}}})
	e.explained(id, "claimable: no_worker/p queue/o")
	e.served()
	x := e.explained(id, "claimable: no_capable_worker/p queue/o")
	e.equal("missing", x.First().Missing, []string{"gpu"})
	e.served("gpu")
	e.explained(id, "claimable: queue/o")
	for state, want := range map[ff.LaneState]string{
		ff.LanePaused: "held: lane_paused/c queue/o", ff.LaneDisabled: "held: lane_disabled/c queue/o",
		ff.LaneDraining: "claimable: lane_draining/o queue/o", ff.LaneActive: "claimable: queue/o",
	} {
		_, err := e.svc.UpdateLane(e.Context(), ff.UpdateLane{Lane: e.lane, State: &state})
		e.ok(err)
		e.explained(id, want)
	}
	active, one := ff.LaneActive, 1
	_, err := e.svc.UpdateLane(e.Context(), ff.UpdateLane{Lane: e.lane, State: &active, MaxConcurrency: &one})
	e.ok(err)
	c := e.running(ff.Submit{}) // the first needs what this claim does not offer
	full := "c"
	if len(e.store.Shards()) > 1 {
		full = "p" // the bound is of each shard
	}
	if x := e.explain(id); x.First().Code != ff.GateLaneFull || string(x.First().State[:1]) != full {
		e.Errorf("with the one slot taken: %+v", x.First())
	}
	e.complete(c)
	e.explained(id, "claimable: queue/o")
	e.cancel(id, "")
}

func testExplainDependencies(e *env) {
	e.served()
	g := e.flow("a", "b", "c", "d < 2 of a b c", "z < d")
	x := e.explained(g.node("d"), "held: dependencies/c")
	e.equal("open", x.First().Detail, "it needs 2 of 3 upstreams to succeed; 0 have")
	g.end("success", "a")
	g.start("b")
	x = e.explained(g.node("d"), "held: dependencies/c")
	gate := x.First()
	e.equal("one is done", []any{gate.Release, gate.More, gate.Group.Satisfied, gate.Group.Total, x.Node, x.FlowID}, []any{"the success of 1 more", 0, 1, 3, "d", g.id})
	states := make(map[string]ff.PublicState)
	for _, d := range gate.Dependencies {
		states[d.Node] = d.PublicState
		e.equal("edge", d.State, ff.EdgeApplied)
	}
	e.equal("open edges", states, map[string]ff.PublicState{"b": "active", "c": "waiting"})
	g.end("success", "b")
	e.explained(g.node("d"), "claimable: queue/o")
	g.end("failed", "d")
	g.become("z=skipped")
	x = e.explained(g.node("z"), "ended: ended/c dependencies_impossible/o")
	e.equal("what failed", []any{x.Gates[1].Dependencies[0].Node, x.Gates[1].Dependencies[0].PublicState}, []any{"d", ff.PublicFailed})
}

func testExplainEnded(e *env) {
	c := e.running(ff.Submit{})
	at := e.pace.now()
	e.fail(c, "permanent")
	x := e.explained(c.ExecutionID, "ended: ended/c")
	e.equal("failed", []any{x.Replayable, x.First().Since}, []any{true, at})
	e.replay(c.ExecutionID)
	e.complete(e.claim())
	x = e.explained(c.ExecutionID, "ended: ended/c")
	e.equal("completed", x.First().Detail, "it has completed")
	g := e.flow("a")
	_, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Wait: time.Second, Reason: "enough"})
	e.ok(err)
	x = e.explained(g.node("a"), "ended: ended/c")
	e.equal("with its flow", x.Replayable, false)
	if !strings.HasPrefix(x.First().Detail, "it was cancelled: enough; it cannot be replayed") {
		e.Errorf("detail: %s", x.First().Detail)
	}
}

// holding are the kinds of members that hold a flow up, with their names.
func (g *graph) holding(want string) ff.FlowExplanation {
	g.Helper()
	x, err := g.svc.ExplainFlow(g.Context(), g.id)
	g.ok(err)
	var kinds []string
	for _, h := range x.Holding {
		var names []string
		for _, m := range h.Members {
			names = append(names, m.Node)
		}
		kinds = append(kinds, fmt.Sprintf("%s %d %s", h.Code, h.Count, strings.Join(names, ",")))
	}
	g.equal("holding", strings.Join(kinds, "; "), want)
	return x
}

func testExplainFlow(e *env) {
	e.served()
	g := e.flow("a", "b < a", "c", "d < b c", "e < d")
	g.start("a")
	x := g.holding("lease_held 1 a; queue 1 c")
	e.equal("head", []any{x.FlowID, x.State, x.NodeCount, x.Ended, x.Complete, x.Counts.Active, x.Counts.WaitingChildren}, []any{g.id, ff.FlowOpen, 5, 0, true, 1, 3})
	e.block(g.node("c"))
	x = g.holding("lease_held 1 a; blocked_by_operator 1 c")
	e.equal("a until", x.Holding[0].Members[0].At, g.held["a"].LeaseExpiresAt)
	g.end("success", "a")
	g.end("success", "b")
	x = g.holding("blocked_by_operator 1 c")
	e.equal("ended", []int{x.Ended, x.Counts.Completed}, []int{2, 2})
	e.equal("what releases it", x.Holding[0].Members[0].Release, "an unblock that expects the reason paused_by_operator")
	e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: g.node("c"), ExpectedReason: ff.PausedByOperator}))
	g.end("success", "c", "d", "e")
	x = g.holding("")
	e.equal("over", []any{x.State, x.Ended, x.Cancel == nil}, []any{ff.FlowCompleted, 5, true})

	g = e.flow("a")
	_, err := e.svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Policy: ff.CancelAll, Reason: "enough"})
	e.ok(err)
	x = g.holding("")
	e.equal("cancel", []any{x.Cancel.Policy, x.Cancel.Reason, x.Cancel.Spreading, x.Cancel.Outstanding}, []any{ff.CancelAll, "enough", false, 1})
	e.ok(e.svc.AckCancelMember(e.Context(), ff.AckCancelMember{FlowID: g.id, ExecutionID: g.node("a")}))
	e.equal("acknowledged", g.holding("").Cancel, (*ff.FlowCancelProgress)(nil))
}

// testExplainManyMembers: 450 members are three pages; 25 of a kind are counted, 20 listed.
func testExplainManyMembers(e *env) {
	e.served()
	cmd := ff.SubmitFlow{}
	var roots []string
	for i := range 25 {
		roots = append(roots, fmt.Sprint("r", i))
		cmd.Nodes = append(cmd.Nodes, e.node(roots[i]))
	}
	cmd.Nodes = append(cmd.Nodes, e.node("n0 < "+strings.Join(roots, " ")))
	for i := range 424 {
		cmd.Nodes = append(cmd.Nodes, e.node(fmt.Sprintf("n%d < n0", i+1)))
	}
	g := (&graph{env: e, held: make(map[string]ff.Claimed)}).submitted(cmd)
	x, err := e.svc.ExplainFlow(e.Context(), g.id)
	e.ok(err)
	e.equal("kinds", len(x.Holding), 1)
	h := x.Holding[0]
	e.equal("roots", []any{h.Code, h.Count, len(h.Members), x.Complete, x.Counts.Total}, []any{ff.GateQueue, 25, 20, true, 450})
	gate := e.explain(g.node("n0"))
	e.equal("edges", []int{len(gate.First().Dependencies), gate.First().More}, []int{20, 5})
	_, err = e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Wait: time.Minute})
	e.ok(err)
}

func testExplainChangesNothing(e *env) {
	g := e.flow("a", "b < a")
	e.untouched("explanations", func() {
		e.explain(g.node("a"))
		e.explain(g.node("b"))
		_, err := e.svc.ExplainFlow(e.Context(), g.id)
		e.ok(err)
	})
	g.end("success", "a", "b")
}
