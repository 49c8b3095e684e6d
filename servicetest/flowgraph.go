package servicetest

import (
	"fmt"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var flowGraphTests = []behaviour{
	{"CreatedOnce", testFlowCreate},
	{"TagsAreSet", testFlowTags},
	{"EdgesAreDescribed", testDescribeEdge},
	{"MembersAreAddedOnce", testFlowMembers},
	{"StageChecksInOrder", testFlowStage},
	{"StageRacesForTheRevision", testFlowStageRace},
	{"CyclesAreFound", testFlowCycles},
	{"ApplyBlocksAndReleases", testFlowApply},
	{"LateApplyCountsAtOnce", testFlowLateApply},
	{"ApplyToOneThatRuns", testFlowApplyActive},
	{"StagedButNotAppliedCounts", testFlowStagedOnly},
	{"PolicyBeforeEdges", testFlowPolicy},
	{"QuorumAboveTheEdges", testFlowQuorumGrows},
	{"DataPassing", testFlowDataPassing},
	{"StageToAParentThatWaits", testStageToAWaitingParent},
	{"StagedBeforeTheParentWaited", testStagedBeforeTheWait},
	{"ParallelEdges", testParallelEdges},
}

// member submits an execution and adds it to the flow.
func (g *graph) member(name string) ff.ExecutionID {
	g.Helper()
	id := ff.NodeID(g.id, name, ff.DefaultPartitions())
	g.submit(ff.Submit{ID: id, Tags: map[string]string{ff.TagNode: name}})
	_, err := g.svc.AddMember(g.Context(), ff.AddMember{FlowID: g.id, ExecutionID: id})
	g.ok(err)
	return id
}

// emptyFlow creates a flow with members but without edges.
func (e *env) emptyFlow(names ...string) *graph {
	e.Helper()
	res, err := e.svc.CreateFlow(e.Context(), ff.CreateFlow{Kind: "test"})
	e.ok(err)
	g := &graph{env: e, id: res.FlowID, names: names, held: make(map[string]ff.Claimed)}
	for _, name := range names {
		g.member(name)
	}
	return g
}

// stage stages an edge at the flow's revision.
func (g *graph) stage(up, down string) (ff.EdgeID, error) {
	g.Helper()
	id := ff.NewEdgeID()
	_, err := g.svc.StageEdge(g.Context(), ff.StageEdge{
		FlowID: g.id, EdgeID: id, Upstream: g.node(up), Downstream: g.node(down), ExpectedRevision: g.snapshot().GraphRevision,
	})
	return id, err
}

func (g *graph) apply(id ff.EdgeID, up, down string) ff.ApplyEdgeResult {
	g.Helper()
	res, err := g.svc.ApplyEdge(g.Context(), ff.ApplyEdge{FlowID: g.id, EdgeID: id, Upstream: g.node(up), Downstream: g.node(down)})
	g.ok(err)
	return res
}

// depend stages and applies an edge.
func (g *graph) depend(up, down string) {
	g.Helper()
	id, err := g.stage(up, down)
	g.ok(err)
	g.apply(id, up, down)
}

// testFlowCreate: S1, W24.
func testFlowCreate(e *env) {
	id := ff.NewFlowID()
	cmd := ff.CreateFlow{FlowID: id, Kind: "etl", Namespace: "n", Tags: map[string]string{"team.name": "x"}}
	res, err := e.svc.CreateFlow(e.Context(), cmd)
	e.ok(err)
	e.equal("first", res, ff.CreateFlowResult{FlowID: id, Created: true})
	e.untouched("a repeat", func() {
		res, err := e.svc.CreateFlow(e.Context(), cmd)
		e.ok(err)
		e.equal("repeat", res, ff.CreateFlowResult{FlowID: id})
		cmd.Kind = "other"
		res, err = e.svc.CreateFlow(e.Context(), cmd)
		e.ok(err)
		e.equal("another kind", res, ff.CreateFlowResult{FlowID: id, Differs: true})
	})
	s, err := e.svc.DescribeFlow(e.Context(), id)
	e.ok(err)
	e.equal("flow", []any{s.Kind, s.Namespace, s.State, s.GraphRevision, s.Tags}, []any{"etl", ff.Namespace("n"), ff.FlowOpen, uint64(0), map[string]string{"team.name": "x"}})
	minted, err := e.svc.CreateFlow(e.Context(), ff.CreateFlow{})
	e.ok(err)
	if minted.FlowID.IsZero() || !minted.Created {
		e.Errorf("minted: %+v", minted)
	}
	_, err = e.svc.CreateFlow(e.Context(), ff.CreateFlow{Tags: map[string]string{"BAD": "x"}})
	e.refused("a bad tag", err, ff.CodeInvalidTagKey)
}

func testFlowTags(e *env) {
	g := e.emptyFlow()
	set := func(tags map[string]string) error {
		return e.svc.SetFlowTags(e.Context(), ff.SetFlowTags{FlowID: g.id, Tags: tags})
	}
	e.ok(set(map[string]string{"team.name": "x", "team.size": "3"}))
	e.advance(time.Second)
	e.ok(set(map[string]string{"team.name": "y", "area.a": ""}))
	want := map[string]string{"team.name": "y", "team.size": "3", "area.a": ""}
	tags, err := e.svc.FlowTags(e.Context(), g.id)
	e.ok(err)
	e.equal("tags", tags, want)
	s, err := e.svc.DescribeFlow(e.Context(), g.id)
	e.ok(err)
	e.equal("flow", []any{s.Tags, s.GraphRevision, s.LastMutationAt}, []any{want, uint64(0), e.pace.now()})
	many := make(map[string]string)
	for i := range 62 {
		many[fmt.Sprint("many.n", i)] = "v"
	}
	e.untouched("what is refused, and what changes nothing", func() {
		e.ok(set(map[string]string{"team.name": "y"}))
		e.refused("none", set(nil), ff.CodeInvalidInput)
		e.refused("a bad key", set(map[string]string{"ok.ok": "", "BAD": "x"}), ff.CodeInvalidTagKey)
		e.refused("65 in all", set(many), ff.CodeInvalidInput)
		stranger := ff.NewFlowID()
		e.refused("unknown flow", e.svc.SetFlowTags(e.Context(), ff.SetFlowTags{FlowID: stranger, Tags: many}), ff.CodeFlowNotFound)
		e.refused("tags of an unknown flow", errOf(e.svc.FlowTags(e.Context(), stranger)), ff.CodeFlowNotFound)
	})
	delete(many, "many.n0")
	e.ok(set(many))
}

func testDescribeEdge(e *env) {
	g := e.flow("a", "b < a")
	page, err := e.svc.ListEdges(e.Context(), ff.ListEdges{FlowID: g.id, From: g.node("a")})
	e.ok(err)
	e.equal("edges", len(page.Items), 1)
	s, err := e.svc.DescribeEdge(e.Context(), g.id, page.Items[0].EdgeID)
	e.ok(err)
	e.equal("edge", s, page.Items[0])
	e.equal("its ends", []ff.ExecutionID{s.Upstream, s.Downstream}, []ff.ExecutionID{g.node("a"), g.node("b")})
	_, err = e.svc.DescribeEdge(e.Context(), g.id, ff.EdgeID{1})
	e.refused("unknown edge", err, ff.CodeInvalidDependency)
	other := e.flow("a")
	_, err = e.svc.DescribeEdge(e.Context(), other.id, s.EdgeID)
	e.refused("an edge of another flow", err, ff.CodeInvalidDependency)
}

// testFlowMembers: S2, chapter 20, section 20.6.
func testFlowMembers(e *env) {
	g := e.emptyFlow()
	add := func(flow ff.FlowID, id ff.ExecutionID) (ff.AddMemberResult, error) {
		return e.svc.AddMember(e.Context(), ff.AddMember{FlowID: flow, ExecutionID: id})
	}
	id := ff.FlowExecutionID(g.id, ff.DefaultPartitions())
	e.untouched("what cannot be added", func() {
		e.refused("unknown execution", errOf(add(g.id, id)), ff.CodeExecutionNotFound)
		stranger := ff.NewFlowID()
		e.refused("unknown flow", errOf(add(stranger, ff.FlowExecutionID(stranger, ff.DefaultPartitions()))), ff.CodeFlowNotFound)
		elsewhere := ff.ExecutionIDFrom((ff.DefaultPartitions().OfFlow(g.id).Index+1)%256, id.UUID())
		e.refused("another partition", errOf(add(g.id, elsewhere)), ff.CodeInvalidInput)
	})
	e.submit(ff.Submit{ID: id})
	res, err := add(g.id, id)
	e.ok(err)
	e.equal("added", res, ff.AddMemberResult{Added: true, NodeCount: 1, GraphRevision: 1})
	e.untouched("a repeat", func() {
		res, err = add(g.id, id)
		e.ok(err)
		e.equal("repeat", res, ff.AddMemberResult{NodeCount: 1, GraphRevision: 1})
	})
	other := ff.NewFlowID()
	for ff.DefaultPartitions().OfFlow(other) != ff.DefaultPartitions().OfFlow(g.id) {
		other = ff.NewFlowID()
	}
	_, err = e.svc.CreateFlow(e.Context(), ff.CreateFlow{FlowID: other})
	e.ok(err)
	e.refused("two flows", errOf(add(other, id)), ff.CodeExecutionAlreadyInFlow)
	ended := ff.FlowExecutionID(g.id, ff.DefaultPartitions())
	e.submit(ff.Submit{ID: ended})
	e.ok(errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: ended})))
	e.refused("one that has ended", errOf(add(g.id, ended)), ff.CodeExecutionNotActive)
	e.ok(errOf(e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id})))
	late := ff.FlowExecutionID(g.id, ff.DefaultPartitions())
	e.submit(ff.Submit{ID: late})
	e.refused("a cancelled flow", errOf(add(g.id, late)), ff.CodeFlowAlreadyTerminal)
	e.ok(errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: late})))
}

// testFlowStage: S3, S4, chapter 20, section 20.7.
func testFlowStage(e *env) {
	g := e.emptyFlow("a", "b", "c")
	cmd := ff.StageEdge{FlowID: g.id, EdgeID: ff.NewEdgeID(), Upstream: g.node("a"), Downstream: g.node("b"), ExpectedRevision: 3}
	change := func(f func(*ff.StageEdge)) error {
		c := cmd
		f(&c)
		return errOf(e.svc.StageEdge(e.Context(), c))
	}
	e.untouched("refused edges", func() {
		e.refused("itself", change(func(c *ff.StageEdge) { c.Downstream = c.Upstream }), ff.CodeSelfReferencingEdge)
		e.refused("kind", change(func(c *ff.StageEdge) { c.DependencyKind = "always" }), ff.CodeInvalidDependency)
		e.refused("revision", change(func(c *ff.StageEdge) { c.ExpectedRevision = 99 }), ff.CodeStaleGraphRevision)
		e.refused("stranger", change(func(c *ff.StageEdge) { c.Upstream = ff.FlowExecutionID(g.id, ff.DefaultPartitions()) }), ff.CodeExecutionNotInFlow)
		e.refused("reference", change(func(c *ff.StageEdge) { c.DataPassingRef = string(make([]byte, ff.MaxDataRefBytes+1)) }), ff.CodeInvalidInput)
		e.refused("no id", change(func(c *ff.StageEdge) { c.EdgeID = ff.EdgeID{} }), ff.CodeInvalidInput)
	})
	res, err := e.svc.StageEdge(e.Context(), cmd)
	e.ok(err)
	e.equal("staged", res, ff.StageEdgeResult{EdgeID: cmd.EdgeID, GraphRevision: 4})
	e.untouched("a repeat", func() {
		err := change(func(*ff.StageEdge) {})
		e.refused("repeat", err, ff.CodeDependencyAlreadyExists)
	})
	e.equal("states", g.states(), "a=waiting b=waiting c=waiting") // staged only
	page, err := e.svc.ListEdges(e.Context(), ff.ListEdges{FlowID: g.id, From: g.node("a")})
	e.ok(err)
	e.equal("edge", []any{len(page.Items), page.Items[0].State, page.Items[0].DependencyKind}, []any{1, ff.EdgePending, "success_only"})
	e.equal("applied", g.apply(cmd.EdgeID, "a", "b"), ff.ApplyEdgeResult{Applied: true, Unsatisfied: 1})
	e.untouched("a second apply", func() {
		e.equal("again", g.apply(cmd.EdgeID, "a", "b"), ff.ApplyEdgeResult{Unsatisfied: 1})
	})
	_, err = e.svc.ApplyEdge(e.Context(), ff.ApplyEdge{FlowID: g.id, EdgeID: cmd.EdgeID, Upstream: g.node("a"), Downstream: g.node("c")})
	e.refused("another downstream", err, ff.CodeInvalidDependency)
	_, err = e.svc.ApplyEdge(e.Context(), ff.ApplyEdge{FlowID: g.id, EdgeID: ff.NewEdgeID(), Upstream: g.node("a"), Downstream: g.node("b")})
	e.refused("unknown edge", err, ff.CodeInvalidDependency)
	g.end("success", "a", "b")
	_, err = g.stage("c", "b")
	e.refused("an ended downstream", err, ff.CodeExecutionNotActive)
	g.end("success", "c")
}

func testFlowStageRace(e *env) {
	g := e.emptyFlow("a", "b", "c")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = e.svc.StageEdge(e.Context(), ff.StageEdge{
				FlowID: g.id, EdgeID: ff.NewEdgeID(), Upstream: g.node("a"), Downstream: g.node("b"), ExpectedRevision: 3,
			})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		e.refused("a loser", err, ff.CodeStaleGraphRevision)
	}
	e.equal("winners", won, 1)
	e.equal("revision", g.snapshot().GraphRevision, uint64(4))
}

func testFlowCycles(e *env) {
	g := e.emptyFlow("a", "b", "c", "d", "x")
	for _, edge := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "d"}, {"x", "b"}} {
		_, err := g.stage(edge[0], edge[1])
		e.ok(err)
	}
	e.untouched("circles", func() {
		for _, edge := range [][2]string{{"b", "a"}, {"d", "a"}, {"d", "x"}, {"c", "b"}} {
			_, err := g.stage(edge[0], edge[1])
			e.refused(edge[0]+" to "+edge[1], err, ff.CodeCycleDetected)
		}
	})
	_, err := g.stage("a", "d") // a second way is none
	e.ok(err)
}

func testFlowApply(e *env) {
	g := e.emptyFlow("a", "b", "c")
	g.depend("a", "c")
	g.depend("b", "c")
	e.equal("states", g.states(), "a=waiting b=waiting c=waiting_children")
	g.end("success", "a")
	e.equal("states", g.states("c"), "c=waiting_children")
	g.end("success", "b")
	e.equal("states", g.states("c"), "c=waiting")
	g.end("success", "c")
	s := g.snapshot()
	e.equal("an open flow stays open", []any{s.State, s.Progress}, []any{ff.FlowOpen, ff.FlowCompleted})
	g.member("d")
	e.equal("and grows", g.snapshot().NodeCount, 4)
	g.end("success", "d")
}

// testFlowLateApply: W03, S24.
func testFlowLateApply(e *env) {
	g := e.emptyFlow("a", "b", "c", "d")
	id, err := g.stage("a", "b")
	e.ok(err)
	g.end("success", "a")
	e.equal("apply", g.apply(id, "a", "b"), ff.ApplyEdgeResult{})
	e.equal("states", g.states("a", "b"), "a=completed b=waiting")
	e.equal("group", g.group("b"), "satisfied 1/0/0 of 1")
	g.end("failed", "c")
	g.depend("c", "d") // staged after the end
	e.equal("states", g.states("c", "d"), "c=failed d=skipped")
	g.end("success", "b")
}

// testFlowApplyActive: W04: whatever the child does, it is held back when it next could be claimed.
func testFlowApplyActive(e *env) {
	for what, pause := range map[string]func(g *graph, c ff.Claimed){
		"delay": func(_ *graph, c ff.Claimed) {
			e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: time.Second})))
			e.advance(time.Second)
		},
		"release": func(_ *graph, c ff.Claimed) {
			e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
		},
		"retry": func(_ *graph, c ff.Claimed) {
			e.ok(errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Category: ff.FailureTransient})))
			e.advance(time.Hour)
		},
		"revoke": func(_ *graph, c ff.Claimed) {
			e.ok(errOf(e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})))
		},
		"expiry": func(*graph, ff.Claimed) { e.advance(2 * leaseTTL) },
	} {
		g := e.emptyFlow("a")
		id := ff.NodeID(g.id, "b", ff.DefaultPartitions())
		e.submit(ff.Submit{ID: id, Policy: &ff.Policy{Retry: &ff.RetryPolicy{MaxRetries: new(uint32(3))}}})
		e.ok(errOf(e.svc.AddMember(e.Context(), ff.AddMember{FlowID: g.id, ExecutionID: id})))
		g.start("b")
		g.depend("a", "b")
		e.equal(what+": it runs on", g.states("b"), "b=active")
		pause(g, g.held["b"])
		delete(g.held, "b")
		_, err := e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: id})
		e.refused(what+": held back", err, ff.CodeExecutionNotEligible)
		for _, c := range e.claimUpTo(10) {
			e.equal(what+": what is claimable", c.ExecutionID, g.node("a"))
			g.held["a"] = c
		}
		g.end("success", "a")
		g.end("success", "b")
	}
}

func testFlowStagedOnly(e *env) {
	g := e.emptyFlow("a", "b", "c")
	_, err := g.stage("a", "c")
	e.ok(err)
	g.depend("b", "c")
	g.end("success", "b")
	e.equal("one edge is not enough", g.states("c"), "c=waiting_children") // W05
	g.end("success", "a")
	e.equal("states", g.states("c"), "c=waiting")
	g.end("success", "c")
}

// testFlowPolicy: S17, S18, chapter 20, section 20.8.
func testFlowPolicy(e *env) {
	g := e.emptyFlow("a", "b", "c")
	set := func(p ff.GroupPolicy) (bool, error) {
		return e.svc.SetGroupPolicy(e.Context(), ff.SetGroupPolicy{FlowID: g.id, Downstream: g.node("c"), Policy: p})
	}
	for _, p := range []ff.GroupPolicy{
		{Kind: "quorum"}, {Kind: "most"}, {Kind: "quorum", K: ff.MaxQuorum + 1}, {Kind: "any_of", OnSatisfied: "x"}, {Kind: "any_of", K: 2},
	} {
		e.untouched("a bad policy", func() { e.refused("policy", errOf(set(p)), ff.CodeInvalidInput) })
	}
	changed, err := set(ff.GroupPolicy{Kind: ff.Quorum, K: 2})
	e.ok(err)
	e.equal("set", changed, true)
	e.untouched("the same", func() {
		changed, err = set(ff.GroupPolicy{Kind: ff.Quorum, K: 2, OnSatisfied: ff.CancelRemaining})
		e.ok(err)
		e.equal("again", changed, false)
	})
	changed, err = set(ff.GroupPolicy{Kind: ff.Quorum, K: 1, OnSatisfied: ff.LetRun})
	e.ok(err)
	e.equal("another k", changed, true) // W23
	g.depend("a", "c")
	g.depend("b", "c")
	e.refused("after the first edge", errOf(set(ff.GroupPolicy{Kind: ff.AllOf})), ff.CodeInvalidInput)
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=waiting c=waiting")
	g.end("success", "b", "c")
	stranger := ff.NewFlowID()
	_, err = e.svc.SetGroupPolicy(e.Context(), ff.SetGroupPolicy{FlowID: stranger, Downstream: ff.FlowExecutionID(stranger, ff.DefaultPartitions())})
	e.refused("unknown flow", err, ff.CodeFlowNotFound)
}

// testFlowQuorumGrows: W06: a quorum above the edges that are known waits for more of them.
func testFlowQuorumGrows(e *env) {
	g := e.emptyFlow("a", "b", "c", "d")
	e.ok(errOf(e.svc.SetGroupPolicy(e.Context(), ff.SetGroupPolicy{FlowID: g.id, Downstream: g.node("d"), Policy: ff.GroupPolicy{Kind: ff.Quorum, K: 2}})))
	g.depend("a", "d")
	g.end("failed", "a")
	e.equal("group", g.group("d"), "pending 0/1/0 of 1")
	g.depend("b", "d")
	g.depend("c", "d")
	g.end("success", "b", "c")
	e.equal("states", g.states("d"), "d=waiting")
	g.end("success", "d")
}

func testFlowDataPassing(e *env) {
	g := e.emptyFlow("a", "b", "c")
	pass := func(up, id string) {
		edge, err := ff.ParseUUID[struct{}](id)
		e.ok(err)
		_, err = e.svc.StageEdge(e.Context(), ff.StageEdge{
			FlowID: g.id, EdgeID: ff.EdgeID(edge), Upstream: g.node(up), Downstream: g.node("c"), DataPassingRef: "result",
			ExpectedRevision: g.snapshot().GraphRevision,
		})
		e.ok(err)
		g.apply(ff.EdgeID(edge), up, "c")
	}
	pass("a", "ffffffff-0000-4000-8000-000000000000")
	pass("b", "00000000-0000-4000-8000-000000000000")
	g.end("success", "a", "b") // the highest edge counts, not the last
	g.start("c")
	e.equal("payload", string(g.held["c"].Payload), "a")
	g.end("success", "c")
}

// testStageToAWaitingParent: an edge that is staged to a parent which waits for its children is one more to wait for.
func testStageToAWaitingParent(e *env) {
	g := e.flow("parent", "other")
	g.start("parent")
	e.ok(g.waitChildren("parent", ff.GroupPolicy{}, "child"))
	g.names = append(g.names, "child")
	g.depend("other", "parent")
	g.end("success", "child")
	e.equal("parent behind the edge", g.states("parent"), "parent=waiting_children")
	g.end("success", "other")
	g.end("success", "parent")
	g.become("parent=completed other=completed child=completed")
}

// testStagedBeforeTheWait: an edge that was staged before its downstream waited for children, and is applied then, counts in
// that wait.
func testStagedBeforeTheWait(e *env) {
	g := e.flow("parent", "other")
	id, err := g.stage("other", "parent")
	e.ok(err)
	g.start("parent")
	e.ok(g.waitChildren("parent", ff.GroupPolicy{}, "child"))
	g.names = append(g.names, "child")
	e.equal("applied", g.apply(id, "other", "parent"), ff.ApplyEdgeResult{Applied: true, Unsatisfied: 2})
	g.end("success", "child", "other")
	g.end("success", "parent")
	g.become("parent=completed other=completed child=completed")
}

// testParallelEdges: of several edges between two members each counts, and the upstream is cancelled once.
func testParallelEdges(e *env) {
	g := e.emptyFlow("a", "b", "c")
	_, err := g.svc.SetGroupPolicy(e.Context(), ff.SetGroupPolicy{FlowID: g.id, Downstream: g.node("c"), Policy: ff.GroupPolicy{Kind: ff.AnyOf}})
	e.ok(err)
	g.depend("a", "c")
	g.depend("b", "c")
	g.depend("b", "c")
	g.end("success", "a")
	g.become("a=completed b=cancelled c=waiting")
	e.equal("group", g.group("c"), "satisfied 1/2/0 of 3")
}
