package servicetest

import (
	ff "github.com/flowfabric/flowfabric"
)

var flowReplayTests = []behaviour{
	{"OfAMember", testFlowReplayNormal},
	{"OfASkippedMember", testFlowReplaySkipped},
	{"UpstreamFirst", testFlowReplayUpstreamFirst},
	{"OfAWholeBranch", testFlowReplayBranch},
}

func (g *graph) replayed(name string, want ff.PublicState) {
	g.Helper()
	res, err := g.svc.Replay(g.Context(), ff.Replay{ExecutionID: g.node(name)})
	g.ok(err)
	g.equal("replay of "+name, res.PublicState, want)
}

// testFlowReplayNormal: resolved edges stay resolved, and the flow is open again until the member has ended.
func testFlowReplayNormal(e *env) {
	g := e.flow("a", "b < a")
	g.end("success", "a", "b")
	e.equal("flow", g.snapshot().State, ff.FlowCompleted)
	g.replayed("a", ff.PublicWaiting)
	e.equal("states", g.states(), "a=waiting b=completed")
	e.equal("flow", g.snapshot().State, ff.FlowOpen)
	g.end("failed", "a")
	e.equal("states", g.states(), "a=failed b=completed")
	e.equal("group", g.group("b"), "satisfied 1/0/0 of 1")
	e.equal("flow", g.snapshot().State, ff.FlowFailed)
}

// testFlowReplaySkipped: chapter 30, section 30.4: the member waits again; edges that succeeded count, the others wait.
func testFlowReplaySkipped(e *env) {
	g := e.flow("a", "b", "c < a b")
	g.end("success", "a")
	g.end("failed", "b")
	e.equal("states", g.states(), "a=completed b=failed c=skipped")
	g.replayed("c", ff.PublicWaitingChildren)
	e.inState(g.node("c"), "runnable/unowned/blocked_by_dependencies/waiting_for_children/none/pending_replay_attempt")
	e.equal("group", g.group("c"), "pending 1/0/0 of 2")
	g.replayed("b", ff.PublicWaiting)
	g.end("failed", "b")
	e.equal("states", g.states(), "a=completed b=failed c=skipped")
	g.replayed("c", ff.PublicWaitingChildren)
	g.replayed("b", ff.PublicWaiting)
	g.end("success", "b")
	e.equal("states", g.states(), "a=completed b=completed c=waiting")
	g.end("success", "c")
	e.equal("flow", g.snapshot().State, ff.FlowCompleted)
}

// testFlowReplayUpstreamFirst: an upstream that was made good before the member was replayed counts.
func testFlowReplayUpstreamFirst(e *env) {
	g := e.flow("a", "b < a")
	g.end("failed", "a")
	g.replayed("a", ff.PublicWaiting)
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=skipped")
	g.replayed("b", ff.PublicWaitingChildren)
	g.become("b=waiting")
	g.end("success", "b")
}

func testFlowReplayBranch(e *env) {
	g := e.flow("a", "b < a", "c < b", "d < any! c x", "x")
	g.end("failed", "a")
	for _, name := range []string{"c", "b", "a"} {
		want := ff.PublicWaitingChildren
		if name == "a" {
			want = ff.PublicWaiting
		}
		g.replayed(name, want)
	}
	g.end("success", "a", "b", "c")
	e.equal("what was counted once stays counted", g.group("d"), "pending 0/0/1 of 2")
	g.end("success", "x", "d")
}
