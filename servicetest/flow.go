package servicetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var flowTests = []behaviour{
	{"ChainRunsHopByHop", testFlowChain},
	{"TakenIDsAreRefused", testFlowTakenID},
	{"SubmittedWholeOrNotAtAll", testFlowWhole},
	{"SubmittedTwiceIsOne", testFlowTwice},
	{"PlansAreChecked", testFlowPlans},
	{"EveryPointOfTheDecisionTable", testFlowDecisions},
	{"SkipsPropagate", testFlowSkips},
	{"SiblingsAreCancelled", testFlowSiblings},
	{"SiblingsOthersNeedAreNot", testFlowSharedSiblings},
	{"LateOutcomesChangeNothing", testFlowLate},
	{"LargeFanOutAndFanIn", testFlowLarge},
	{"ResultIsPassedOn", testFlowPassing},
	{"DelayCountsBehindUpstreams", testFlowDelay},
	{"RequiredBesidesAny", testFlowRequired},
	{"ChildrenOfAHandler", testFlowChildren},
	{"ChildrenThatHaveEnded", testFlowChildrenEnded},
	{"ListsArePaged", testFlowLists},
}

// graph is a flow of a test: nodes by name, and what of them is claimed.
type graph struct {
	*env
	id    ff.FlowID
	names []string
	held  map[string]ff.Claimed
}

// node is a node with its dependencies: "c < a b" waits for both, "c < any a b", "c < any! a b" lets the others run,
// "c < 2 of a b d", "c < 2! of a b d", "c < ended a b".
func (e *env) node(text string) ff.FlowNode {
	name, after, _ := strings.Cut(text, " < ")
	n := ff.FlowNode{Name: name, Submit: e.command(ff.Submit{Kind: name})}
	words := strings.Fields(after)
	if len(words) == 0 {
		return n
	}
	kind, run := strings.CutSuffix(words[0], "!")
	if run {
		n.Policy.OnSatisfied = ff.LetRun
	}
	switch {
	case kind == "any":
		n.Policy.Kind, words = ff.AnyOf, words[1:]
	case kind == "ended":
		n.Policy.Kind, words = ff.AllEnded, words[1:]
	case len(words) > 1 && words[1] == "of":
		n.Policy.Kind = ff.Quorum
		_, err := fmt.Sscan(kind, &n.Policy.K)
		e.ok(err)
		words = words[2:]
	}
	n.After = words
	return n
}

// flow submits nodes, see [env.node].
func (e *env) flow(nodes ...string) *graph {
	e.Helper()
	g := &graph{env: e, held: make(map[string]ff.Claimed)}
	var cmd ff.SubmitFlow
	for _, text := range nodes {
		n := e.node(text)
		cmd.Nodes, g.names = append(cmd.Nodes, n), append(g.names, n.Name)
	}
	return g.submitted(cmd)
}

func (g *graph) submitted(cmd ff.SubmitFlow) *graph {
	g.Helper()
	id, err := g.svc.SubmitFlow(g.Context(), cmd)
	g.ok(err)
	g.id = id
	return g
}

func (g *graph) node(name string) ff.ExecutionID {
	return ff.NodeID(g.id, name, ff.DefaultPartitions())
}

// start claims nodes, as soon as that is possible.
func (g *graph) start(names ...string) {
	g.Helper()
	for _, name := range names {
		if _, held := g.held[name]; held {
			continue
		}
		g.eventually("claim "+name, func() bool {
			c, err := g.svc.ClaimExecution(g.Context(), ff.ClaimExecution{ExecutionID: g.node(name), LeaseTTL: leaseTTL})
			if !errors.Is(err, ff.ErrExecutionNotEligible) {
				g.ok(err)
				g.held[name] = c
			}
			return err == nil
		})
	}
}

// end ends nodes, which are claimed first if they are not held.
func (g *graph) end(outcome string, names ...string) {
	g.Helper()
	for _, name := range names {
		g.start(name)
		c := g.held[name]
		delete(g.held, name)
		switch outcome {
		case "success":
			g.ok(g.svc.Complete(g.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte(name)}))
		case "failed":
			_, err := g.svc.Fail(g.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: ff.FailurePermanent})
			g.ok(err)
		case "cancelled":
			_, err := g.svc.Cancel(g.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Reason: "no"})
			g.ok(err)
		}
	}
}

// states are the public states of the nodes, "a=completed b=waiting".
func (g *graph) states(names ...string) string {
	g.Helper()
	if len(names) == 0 {
		names = g.names
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = name + "=" + string(g.describe(g.node(name)).PublicState)
	}
	return strings.Join(list, " ")
}

// become fails the test unless the nodes reach states soon: what an errand does comes after the call.
func (g *graph) become(want string) {
	g.Helper()
	var names []string
	for w := range strings.FieldsSeq(want) {
		name, _, _ := strings.Cut(w, "=")
		names = append(names, name)
	}
	got := ""
	g.eventually("states "+want, func() bool { got = g.states(names...); return got == want })
}

// group is the state and counters of the edges that lead to a node: "pending 1/0/0 of 3".
func (g *graph) group(name string) string {
	g.Helper()
	page, err := g.svc.ListNodes(g.Context(), ff.ListNodes{FlowID: g.id, Limit: 1000})
	g.ok(err)
	for _, n := range page.Items {
		if n.Node == name && n.Group != nil {
			return fmt.Sprintf("%s %d/%d/%d of %d", n.Group.State, n.Group.Satisfied, n.Group.Failed, n.Group.Skipped, n.Group.Total)
		}
	}
	return "none"
}

func (g *graph) snapshot() ff.FlowSnapshot {
	g.Helper()
	s, err := g.svc.DescribeFlow(g.Context(), g.id)
	g.ok(err)
	return s
}

// testFlowTakenID: an execution that has the id of a node is not written over.
func testFlowTakenID(e *env) {
	flow := ff.NewFlowID()
	taken := ff.NodeID(flow, "b", ff.DefaultPartitions())
	e.submit(ff.Submit{ID: taken, Payload: []byte("its own")})
	e.untouched("a flow with the id of an execution", func() {
		_, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{FlowID: flow, Nodes: []ff.FlowNode{e.node("a"), e.node("b < a")}})
		e.refused("submit", err, ff.CodeExecutionAlreadyInFlow)
	})
}

func testFlowChain(e *env) {
	g := e.flow("a", "b < a", "c < b")
	e.equal("states", g.states(), "a=waiting b=waiting_children c=waiting_children")
	e.inState(g.node("b"), "runnable/unowned/blocked_by_dependencies/waiting_for_children/none/pending_first_attempt")
	s := g.snapshot()
	e.equal("flow", []any{s.State, s.Progress, s.NodeCount, s.EdgeCount, s.GraphRevision, s.Namespace}, []any{ff.FlowOpen, ff.FlowBlocked, 3, 2, uint64(5), ff.Namespace("default")})
	g.start("a")
	e.equal("claimed", g.held["a"].FlowID, g.id)
	e.equal("progress", g.snapshot().Progress, ff.FlowRunning)
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=waiting c=waiting_children")
	g.end("success", "b")
	waited := make(chan ff.FlowSummary, 1)
	go func() {
		sum, _ := e.svc.WaitFlow(e.Context(), g.id, time.Minute)
		waited <- sum
	}()
	g.end("success", "c")
	e.eventually("the wait ends", func() bool { e.pace.nudge(); return len(waited) == 1 })
	sum := <-waited
	e.equal("summary", []any{sum.State, sum.NodeCount, sum.Ended}, []any{ff.FlowCompleted, 3, 3})
	s = g.snapshot()
	e.equal("flow", []any{s.State, s.Progress, s.Counts.Total, s.Counts.Completed}, []any{ff.FlowCompleted, ff.FlowCompleted, 3, 3})
	if s.EndedAt == 0 {
		e.Error("the flow has no time of its end")
	}
}

func testFlowWhole(e *env) {
	late := e.node("b < a")
	late.Submit.Deadline = 1
	e.untouched("a flow one node of which is refused", func() {
		_, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{Nodes: []ff.FlowNode{e.node("a"), late}})
		e.refused("submit flow", err, ff.CodeInvalidInput)
	})
}

func testFlowTwice(e *env) {
	cmd := ff.SubmitFlow{FlowID: ff.NewFlowID(), Nodes: []ff.FlowNode{e.node("a"), e.node("b < a")}}
	g := (&graph{env: e, names: []string{"a", "b"}, held: make(map[string]ff.Claimed)}).submitted(cmd)
	g.end("success", "a")
	e.untouched("a repeat", func() { g.submitted(cmd) })
	g.end("success", "b")
}

func testFlowPlans(e *env) {
	n := func(text string) ff.FlowNode { return e.node(text) }
	with := func(n ff.FlowNode, change func(*ff.FlowNode)) ff.FlowNode { change(&n); return n }
	many := make([]ff.FlowNode, ff.MaxFlowNodes+1)
	for i := range many {
		many[i] = n(fmt.Sprint("n", i))
	}
	for what, c := range map[string]struct {
		nodes []ff.FlowNode
		want  ff.Code
	}{
		"nothing":           {nil, ff.CodeInvalidInput},
		"an unknown node":   {[]ff.FlowNode{n("a < z")}, ff.CodeInvalidInput},
		"one name twice":    {[]ff.FlowNode{n("a"), n("a")}, ff.CodeInvalidInput},
		"one edge twice":    {[]ff.FlowNode{n("a"), n("b < a a")}, ff.CodeInvalidInput},
		"no name":           {[]ff.FlowNode{{Submit: e.command(ff.Submit{})}}, ff.CodeInvalidInput},
		"a long name":       {[]ff.FlowNode{n(strings.Repeat("n", ff.MaxNodeName+1))}, ff.CodeInvalidInput},
		"itself":            {[]ff.FlowNode{n("a < a")}, ff.CodeSelfReferencingEdge},
		"a circle":          {[]ff.FlowNode{n("x"), n("a < c x"), n("b < a"), n("c < b")}, ff.CodeCycleDetected},
		"a quorum of none":  {[]ff.FlowNode{n("a"), n("b < 0 of a")}, ff.CodeInvalidInput},
		"too large a k":     {[]ff.FlowNode{n("a"), n("b < 2 of a")}, ff.CodeInvalidInput},
		"an unknown policy": {[]ff.FlowNode{n("a"), with(n("b < a"), func(n *ff.FlowNode) { n.Policy.Kind = "most" })}, ff.CodeInvalidInput},
		"input of others":   {[]ff.FlowNode{n("a"), with(n("b"), func(n *ff.FlowNode) { n.InputFrom = "a" })}, ff.CodeInvalidInput},
		"an id":             {[]ff.FlowNode{with(n("a"), func(n *ff.FlowNode) { n.Submit.ID = ff.SoloExecutionID("x", ff.DefaultPartitions()) })}, ff.CodeInvalidInput},
		"a key":             {[]ff.FlowNode{with(n("a"), func(n *ff.FlowNode) { n.Submit.IdempotencyKey = "k" })}, ff.CodeInvalidInput},
		"too many nodes":    {many, ff.CodeInvalidInput},
		"a large payload":   {[]ff.FlowNode{with(n("a"), func(n *ff.FlowNode) { n.Submit.Payload = make([]byte, ff.MaxPayloadBytes+1) })}, ff.CodePayloadTooLarge},
	} {
		e.untouched(what, func() {
			_, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{Nodes: c.nodes})
			e.refused(what, err, c.want)
		})
	}
}

// testFlowDecisions: chapter 20, section 20.10, the worked points.
func testFlowDecisions(e *env) {
	for _, c := range []struct {
		policy                string
		n, good, bad, skipped int
		want                  string // state of the downstream
	}{
		{"", 3, 3, 0, 0, "waiting"},
		{"", 3, 2, 1, 0, "skipped"},
		{"", 3, 1, 0, 0, "waiting_children"},
		{"any ", 3, 1, 0, 0, "waiting"},
		{"any! ", 3, 1, 0, 0, "waiting"},
		{"any ", 3, 0, 3, 0, "skipped"},
		{"any ", 3, 0, 2, 0, "waiting_children"},
		{"2! of ", 3, 2, 0, 1, "waiting"},
		{"3 of ", 5, 0, 3, 0, "skipped"},
		{"3 of ", 5, 2, 2, 0, "waiting_children"},
		{"3 of ", 3, 0, 1, 0, "skipped"},
		{"ended ", 3, 1, 1, 1, "waiting"},
		{"ended ", 3, 1, 1, 0, "waiting_children"},
	} {
		var nodes, ups []string
		for i := range c.n {
			up := fmt.Sprint("u", i)
			ups = append(ups, up)
			if i >= c.good+c.bad && i < c.good+c.bad+c.skipped { // it is skipped because what it depends on fails
				nodes = append(nodes, "x"+up, up+" < x"+up)
			} else {
				nodes = append(nodes, up)
			}
		}
		g := e.flow(append(nodes, "d < "+c.policy+strings.Join(ups, " "))...)
		for i, up := range ups {
			switch {
			case i < c.good:
				g.end("success", up)
			case i < c.good+c.bad:
				g.end("failed", up)
			case i < c.good+c.bad+c.skipped:
				g.end("failed", "x"+up)
			}
		}
		g.become("d=" + c.want)
		_, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Wait: time.Second})
		e.ok(err)
	}
}

func testFlowSkips(e *env) {
	g := e.flow("a", "b < a", "c < b", "d < any! c e", "e", "f < b", "g < ended f")
	g.end("failed", "a")
	e.equal("states", g.states(), "a=failed b=skipped c=skipped d=waiting_children e=waiting f=skipped g=waiting")
	e.inState(g.node("b"), "terminal/unowned/not_applicable/none/skipped/none")
	e.equal("events", e.events(g.node("c")), []told{{"completion", "skipped", 0, ""}})
	e.equal("group", g.group("d"), "pending 0/0/1 of 2")
	g.end("success", "e", "d", "g")
	s := g.snapshot()
	e.equal("flow", []any{s.State, s.Counts.Skipped, s.Counts.Completed, s.Counts.Failed}, []any{ff.FlowFailed, 3, 3, 1})
}

func testFlowSiblings(e *env) {
	g := e.flow("a", "b", "c", "d < any a b c")
	g.start("a", "b")
	g.end("success", "a")
	g.become("a=completed b=cancelled c=cancelled d=waiting")
	s := e.inState(g.node("b"), selfCancelled) // phase terminal
	e.equal("by", []any{s.CancelledBy, s.CancellationReason}, []any{ff.SourceEngine, "sibling_quorum_satisfied"})
	e.equal("events of one that was leased", e.events(g.node("b"))[2:], []told{{"lease", "revoked", 1, "cancelled"}, {"completion", "cancelled", 2, ""}})
	err := e.svc.Complete(e.Context(), ff.Complete{ExecutionID: g.node("b"), Fence: g.held["b"].Fence})
	e.refused("the late holder", err, ff.CodeExecutionNotActive)
	g.become("c=cancelled")
	e.equal("group", g.group("d"), "satisfied 1/2/0 of 3")
	g.end("success", "d")

	g = e.flow("a", "b", "c", "d", "e < 3 of a b c d")
	g.end("failed", "a", "b")
	g.become("a=failed b=failed c=cancelled d=cancelled e=skipped")
	e.equal("reason", e.describe(g.node("c")).CancellationReason, "sibling_quorum_impossible")
	g = e.flow("a", "b", "c < any! a b")
	g.end("success", "a")
	e.advance(time.Second)
	e.equal("let run", g.states(), "a=completed b=waiting c=waiting")
	g.end("success", "b", "c")
}

func testFlowSharedSiblings(e *env) {
	g := e.flow("a", "b", "c", "d < any a b c", "x < b")
	g.end("success", "a")
	g.become("c=cancelled")
	e.equal("states", g.states(), "a=completed b=waiting c=cancelled d=waiting x=waiting_children")
	g.end("success", "b", "d", "x")
	e.equal("flow", g.snapshot().State, ff.FlowFailed) // c was cancelled
}

func testFlowLate(e *env) {
	g := e.flow("a", "b", "c < any! a b", "d < a b")
	g.end("success", "a")
	g.start("c")
	g.end("failed", "b")
	e.equal("states", g.states(), "a=completed b=failed c=active d=skipped")
	e.equal("group", g.group("c"), "satisfied 1/1/0 of 2")
	g.end("success", "c")
}

func testFlowLarge(e *env) {
	const n = 300
	nodes, after := []string{"a"}, "z <"
	for i := range n {
		nodes = append(nodes, fmt.Sprintf("n%d < a", i))
		after += fmt.Sprintf(" n%d", i)
	}
	g := e.flow(append(nodes, after)...)
	g.end("success", "a")
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint("n", i))
	}
	g.end("success", all...)
	g.become("z=waiting")
	e.equal("group", g.group("z"), fmt.Sprintf("satisfied %d/0/0 of %d", n, n))
	g.end("success", "z")
	e.equal("flow", g.snapshot().State, ff.FlowCompleted)

	g = e.flow(append(nodes, after)...)
	g.end("failed", "a")
	e.eventually("all are skipped", func() bool { return g.snapshot().Counts.Skipped == n+1 })
	e.equal("flow", g.snapshot().State, ff.FlowFailed)
}

func testFlowPassing(e *env) {
	b := e.node("b < a x")
	b.InputFrom, b.Submit.Payload = "a", []byte("own")
	c := e.node("c < a x")
	c.Submit.Payload = []byte("own")
	g := (&graph{env: e, held: make(map[string]ff.Claimed)}).submitted(ff.SubmitFlow{Nodes: []ff.FlowNode{e.node("a"), e.node("x"), b, c}})
	g.end("success", "a", "x")
	g.start("b", "c")
	e.equal("payloads", []string{string(g.held["b"].Payload), string(g.held["c"].Payload)}, []string{"a", "own"})
	g.end("success", "b", "c")
}

func testFlowDelay(e *env) {
	b := e.node("b < a")
	b.Submit.Delay = time.Minute
	g := (&graph{env: e, names: []string{"a", "b"}, held: make(map[string]ff.Claimed)}).submitted(ff.SubmitFlow{Nodes: []ff.FlowNode{e.node("a"), b}})
	e.equal("states", g.states(), "a=waiting b=delayed")
	e.advance(time.Minute)
	e.equal("states", g.states(), "a=waiting b=waiting_children")
	g.end("success", "a")
	g.end("success", "b")

	g = (&graph{env: e, names: []string{"a", "b"}, held: make(map[string]ff.Claimed)}).submitted(ff.SubmitFlow{Nodes: []ff.FlowNode{e.node("a"), b}})
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=delayed")
	e.advance(time.Minute)
	g.end("success", "b")
}

func testFlowRequired(e *env) {
	d := e.node("d < any a b c")
	d.Required = []string{"c"}
	make3 := func() *graph {
		return (&graph{env: e, names: []string{"a", "b", "c", "d"}, held: make(map[string]ff.Claimed)}).
			submitted(ff.SubmitFlow{Nodes: []ff.FlowNode{e.node("a"), e.node("b"), e.node("c"), d}})
	}
	g := make3()
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=waiting c=waiting d=waiting_children")
	g.end("success", "c")
	g.become("a=completed b=cancelled c=completed d=waiting")
	g.end("success", "d")
	g = make3()
	g.end("success", "a")
	g.end("failed", "c")
	g.become("a=completed b=cancelled c=failed d=skipped")
	g = make3()
	g.end("failed", "a", "b")
	g.become("a=failed b=failed c=cancelled d=skipped")
}

func (g *graph) waitChildren(parent string, p ff.GroupPolicy, nodes ...string) error {
	g.Helper()
	g.start(parent)
	c := g.held[parent]
	cmd := ff.WaitChildren{ExecutionID: c.ExecutionID, Fence: c.Fence, Policy: p}
	for _, text := range nodes {
		cmd.Children = append(cmd.Children, g.env.node(text))
	}
	err := g.svc.WaitChildren(g.Context(), cmd)
	if err == nil {
		g.ok(g.svc.WaitChildren(g.Context(), cmd)) // a repeat changes nothing
		delete(g.held, parent)
	}
	return err
}

func testFlowChildren(e *env) {
	g := e.flow("a", "p < a", "z < p")
	g.end("success", "a")
	g.start("p")
	first := g.held["p"]
	e.ok(g.waitChildren("p", ff.GroupPolicy{}, "p.1", "p.2", "p.3 < p.1 p.2"))
	e.inState(g.node("p"), "runnable/unowned/blocked_by_dependencies/waiting_for_children/none/attempt_interrupted")
	e.refused("the lease is gone", errOf(e.svc.Renew(e.Context(), ff.Renew{ExecutionID: first.ExecutionID, Fence: first.Fence})), ff.CodeExecutionNotActive)
	e.equal("states", g.states("p", "p.1", "p.2", "p.3", "z"), "p=waiting_children p.1=waiting p.2=waiting p.3=waiting_children z=waiting_children")
	g.end("success", "p.1")
	g.end("failed", "p.2")
	g.become("p=waiting p.3=skipped") // it hears of failures, too
	g.start("p")
	e.equal("goes on", []any{g.held["p"].Resumed, g.held["p"].Fence.AttemptIndex}, []any{true, 0})
	e.refused("somebody else's node", g.waitChildren("p", ff.GroupPolicy{}, "a"), ff.CodeInvalidInput)
	e.ok(g.waitChildren("p", ff.GroupPolicy{Kind: ff.AllOf}, "p.4"))
	g.end("success", "p.4")
	g.end("success", "p")
	g.end("success", "z")
	s := g.snapshot()
	e.equal("flow", []any{s.State, s.NodeCount, s.EdgeCount, s.GraphRevision}, []any{ff.FlowFailed, 7, 8, uint64(15)})

	c := e.running(ff.Submit{})
	err := e.svc.WaitChildren(e.Context(), ff.WaitChildren{ExecutionID: c.ExecutionID, Fence: c.Fence, Children: []ff.FlowNode{e.node("x")}})
	e.refused("outside flows", err, ff.CodeInvalidInput)
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
}

func testFlowChildrenEnded(e *env) {
	g := e.flow("p")
	e.ok(g.waitChildren("p", ff.GroupPolicy{}, "c"))
	g.end("success", "c")
	e.ok(g.waitChildren("p", ff.GroupPolicy{}, "c")) // all have ended: it may go on at once
	e.inState(g.node("p"), mayContinue)
	e.ok(g.waitChildren("p", ff.GroupPolicy{}, "c", "d"))
	e.equal("group", g.group("p"), "pending 1/0/0 of 2")
	g.end("success", "d")
	g.end("success", "p")

	g = e.flow("p", "z < p")
	e.ok(g.waitChildren("p", ff.GroupPolicy{}, "c"))
	g.end("failed", "c")
	e.ok(g.waitChildren("p", ff.GroupPolicy{Kind: ff.AllOf}, "c")) // which cannot be: it is skipped at once, and told so twice
	g.become("p=skipped z=skipped")
}

func testFlowLists(e *env) {
	g := e.flow("a", "b < a", "c < a", "d < b c a")
	var names []string
	for after, n := "", 0; ; n++ {
		page, err := e.svc.ListNodes(e.Context(), ff.ListNodes{FlowID: g.id, After: after, Limit: 3})
		e.ok(err)
		for _, node := range page.Items {
			names = append(names, node.Node)
		}
		if after = page.Next; after == "" || n > 2 {
			break
		}
	}
	slices.Sort(names)
	e.equal("nodes", names, []string{"a", "b", "c", "d"})
	var edges []string
	for after, n := "", 0; ; n++ {
		page, err := e.svc.ListEdges(e.Context(), ff.ListEdges{FlowID: g.id, To: g.node("d"), After: after, Limit: 2})
		e.ok(err)
		for _, edge := range page.Items {
			edges = append(edges, edge.Upstream.String()+string(edge.State))
		}
		if after = page.Next; after == "" || n > 2 {
			break
		}
	}
	want := []string{g.node("a").String() + "applied", g.node("b").String() + "applied", g.node("c").String() + "applied"}
	slices.Sort(want)
	slices.Sort(edges)
	e.equal("edges", edges, want)
	found := false
	for after := ""; ; {
		page, err := e.svc.ListFlows(e.Context(), ff.ListFlows{After: after, Limit: 2})
		e.ok(err)
		found = found || slices.ContainsFunc(page.Items, func(f ff.FlowSummary) bool { return f.FlowID == g.id && f.NodeCount == 4 })
		if after = page.Next; after == "" {
			break
		}
	}
	if !found {
		e.Error("the flow is not in the list of flows")
	}
	_, err := e.svc.ListNodes(e.Context(), ff.ListNodes{FlowID: g.id, After: "x"})
	e.refused("a bad cursor", err, ff.CodeInvalidInput)
	if _, err := e.svc.DescribeFlow(e.Context(), ff.NewFlowID()); !errors.Is(err, ff.ErrFlowNotFound) {
		e.Errorf("an unknown flow: %v", err)
	}
}
