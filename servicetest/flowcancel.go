package servicetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var flowCancelTests = []behaviour{
	{"AllMembers", testFlowCancelAll},
	{"PendingMembers", testFlowCancelPending},
	{"NoMembers", testFlowCancelOnly},
	{"TheFirstCounts", testFlowCancelTwice},
	{"BadInput", testFlowCancelInput},
	{"HeaderAndAcknowledgements", testFlowCancelHeader},
	{"ForgottenAcknowledgements", testFlowCancelGrace},
	{"ManyMembers", testFlowCancelMany},
}

// told of the cancel of the flow.
func (g *graph) told() []string {
	g.Helper()
	var out []string
	for _, ev := range g.dump().Events {
		if ev.Family == record.FamilyOperator && ev.ExecutionID.UUID() == [16]byte(g.id) {
			var details map[string]any
			g.ok(json.Unmarshal(ev.Details, &details))
			sorted, err := json.Marshal(details)
			g.ok(err)
			out = append(out, ev.Type+" "+string(sorted))
		}
	}
	return out
}

// testFlowCancelAll: S15, chapter 20, section 20.15, I: F14, F15.
func testFlowCancelAll(e *env) {
	g := e.flow("a", "b", "c < b", "d")
	g.end("success", "a")
	g.start("b")
	before := e.describe(g.node("a"))
	res, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Reason: "enough", Actor: "ops", Wait: time.Second})
	e.ok(err)
	want := []ff.ExecutionID{g.node("b"), g.node("c"), g.node("d")}
	slices.SortFunc(want, ff.ExecutionID.Compare)
	e.equal("answer", res, ff.CancelFlowResult{Policy: ff.CancelAll, Count: 3, Members: want})
	e.equal("states", g.states(), "a=completed b=cancelled c=cancelled d=cancelled")
	e.equal("what had ended stays", e.describe(g.node("a")), before)
	e.inState(g.node("b"), cancelled)
	s := e.inState(g.node("d"), neverBegan)
	e.equal("by", []any{s.CancelledBy, s.CancellationReason}, []any{ff.SourceCancelFlow, "enough"})
	e.equal("events", e.events(g.node("d")), []told{{"completion", "cancelled", 0, ""}})
	err = e.svc.Complete(e.Context(), ff.Complete{ExecutionID: g.node("b"), Fence: g.held["b"].Fence})
	e.refused("the late holder", err, ff.CodeExecutionNotActive)
	f := g.snapshot()
	e.equal("flow", []any{f.State, f.CancelReason, f.CancellationPolicy, f.Counts.Cancelled}, []any{ff.FlowCancelled, "enough", ff.CancelAll, 3})
	e.equal("event", g.told(), []string{fmt.Sprintf(
		`flow_cancel_requested {"actor":"ops","cancellation_policy":"cancel_all","flow_id":"%s","member_count":3,"reason":"enough"}`, g.id)})
	_, err = g.stage("a", "d")
	e.refused("no more edges", err, ff.CodeFlowAlreadyTerminal)
	_, err = e.svc.Replay(e.Context(), ff.Replay{ExecutionID: g.node("a")})
	e.refused("no replays", err, ff.CodeFlowAlreadyTerminal)
}

func testFlowCancelPending(e *env) {
	g := e.flow("a", "b", "c < a", "d")
	g.start("a")
	res, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Policy: ff.CancelPending})
	e.ok(err)
	e.equal("cancelled", len(res.Members), 3)
	e.equal("states", g.states(), "a=active b=cancelled c=cancelled d=cancelled")
	g.end("success", "a")
	e.equal("states", g.states(), "a=completed b=cancelled c=cancelled d=cancelled")
}

func testFlowCancelOnly(e *env) {
	g := e.flow("a", "b < a")
	res, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Policy: "cancel_flow_only"})
	e.ok(err)
	e.equal("answer", res, ff.CancelFlowResult{Policy: ff.FlowOnly})
	g.end("success", "a")
	g.end("success", "b") // what is there goes on
	e.equal("flow", g.snapshot().State, ff.FlowCancelled)
}

func testFlowCancelTwice(e *env) {
	g := e.flow("a", "b")
	e.ok(errOf(e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Policy: ff.FlowOnly, Reason: "first"})))
	e.untouched("a second cancel", func() {
		res, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Reason: "second"})
		e.ok(err)
		e.equal("answer", []any{res.Policy, len(res.Members)}, []any{ff.FlowOnly, 2})
	})
	g.end("success", "a", "b")
	g = e.flow("a")
	g.end("success", "a")
	e.untouched("the cancel of a completed flow", func() { // W19
		e.ok(errOf(e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id})))
	})
}

func testFlowCancelInput(e *env) {
	g := e.flow("a")
	e.untouched("bad cancels", func() {
		cancel := func(c ff.CancelFlow) error { return errOf(e.svc.CancelFlow(e.Context(), c)) }
		e.refused("policy", cancel(ff.CancelFlow{FlowID: g.id, Policy: "everything"}), ff.CodeInvalidInput)
		e.refused("reason", cancel(ff.CancelFlow{FlowID: g.id, Reason: string(make([]byte, ff.MaxReasonBytes+1))}), ff.CodeInvalidInput)
		e.refused("wait", cancel(ff.CancelFlow{FlowID: g.id, Wait: ff.MaxFlowWait + 1}), ff.CodeInvalidInput)
		e.refused("flow", cancel(ff.CancelFlow{FlowID: ff.NewFlowID()}), ff.CodeFlowNotFound)
		_, err := e.svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: ff.NewFlowID(), Policy: ff.CancelAll})
		e.refused("header", err, ff.CodeFlowNotFound)
		_, err = e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: g.node("a"), Source: ff.SourceEngine})
		e.refused("who speaks for the engine", err, ff.CodeInvalidInput)
	})
	g.end("success", "a")
}

// testFlowCancelHeader: chapter 30, sections 30.7 and 30.8, O11 to O13.
func testFlowCancelHeader(e *env) {
	g := e.flow("a", "b", "c")
	g.end("success", "c")
	cmd := ff.CancelFlowHeader{FlowID: g.id, Reason: "", Policy: ff.CancelAll}
	res, err := e.svc.CancelFlowHeader(e.Context(), cmd)
	e.ok(err)
	want := []ff.ExecutionID{g.node("a"), g.node("b")}
	slices.SortFunc(want, ff.ExecutionID.Compare)
	e.equal("first", res, ff.CancelFlowHeaderResult{Policy: ff.CancelAll, Members: want})
	e.equal("by", e.describe(want[0]).CancelledBy, ff.SourceCancelFlowHeader)
	e.untouched("a second header", func() {
		cmd.Policy, cmd.Reason = ff.FlowOnly, "other"
		res, err := e.svc.CancelFlowHeader(e.Context(), cmd)
		e.ok(err)
		policy, reason := "cancel_all", ""
		e.equal("second", res, ff.CancelFlowHeaderResult{AlreadyTerminal: true, StoredPolicy: &policy, StoredReason: &reason, Members: want})
	})
	e.equal("event", len(g.told()), 1)
	ack := func(id ff.ExecutionID) {
		e.ok(e.svc.AckCancelMember(e.Context(), ff.AckCancelMember{FlowID: g.id, ExecutionID: id}))
	}
	owed := func() (headers, members int) {
		for _, r := range e.dump().Records {
			switch r := r.(type) {
			case *record.Backlog:
				if r.FlowID == g.id {
					headers++
				}
			case *record.BacklogMember:
				if r.FlowID == g.id {
					members++
				}
			}
		}
		return headers, members
	}
	h, m := owed()
	e.equal("backlog", []int{h, m}, []int{1, 2})
	ack(want[0])
	ack(want[0])
	h, m = owed()
	e.equal("backlog", []int{h, m}, []int{1, 1})
	ack(want[1])
	h, m = owed()
	e.equal("backlog", []int{h, m}, []int{0, 0})
	e.untouched("acknowledging what is not owed", func() {
		ack(want[1])
		e.ok(e.svc.AckCancelMember(e.Context(), ff.AckCancelMember{FlowID: ff.NewFlowID(), ExecutionID: ff.SoloExecutionID("x", ff.DefaultPartitions())}))
	})
	res, err = e.svc.CancelFlowHeader(e.Context(), cmd)
	e.ok(err)
	e.equal("all members, once nothing is owed", len(res.Members), 3)
}

// testFlowCancelGrace: who does not acknowledge within 30 s is spared the rest.
func testFlowCancelGrace(e *env) {
	g := e.flow("a", "b")
	e.ok(errOf(e.svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Policy: ff.CancelAll})))
	e.advance(29 * time.Second)
	owed := func() (n int) {
		for _, r := range e.dump().Records {
			if m, ok := r.(*record.BacklogMember); ok && m.FlowID == g.id {
				n++
			}
		}
		return n
	}
	e.equal("within the grace", owed(), 2)
	e.advance(2 * time.Second)
	e.eventually("the backlog is drained", func() bool { e.pace.nudge(); return owed() == 0 })
}

// testFlowCancelMany: more members than one commit cancels.
func testFlowCancelMany(e *env) {
	const n = 1100
	var nodes []string
	for i := range n {
		nodes = append(nodes, fmt.Sprint("n", i))
	}
	g := e.flow(nodes...)
	res, err := e.svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Policy: ff.CancelAll})
	e.ok(err)
	e.equal("members", len(res.Members), n)
	e.equal("ascending", slices.IsSortedFunc(res.Members, ff.ExecutionID.Compare), true)
	e.equal("cancelled", g.snapshot().Counts.Cancelled, n)

	g = e.flow(nodes...)
	short, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id})
	e.ok(err)
	e.equal("listed", len(short.Members), ff.MaxCancelledMembers)
	e.eventually("the rest is cancelled, too", func() bool { e.pace.nudge(); return g.snapshot().Counts.Cancelled == n })
}
