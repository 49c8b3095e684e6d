package servicetest

import (
	"fmt"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// refFlow is a flow made over HTTP.
type refFlow struct {
	*api
	id      ff.FlowID
	members []ff.ExecutionID
}

func (a *api) flow(members int) *refFlow {
	a.Helper()
	f := &refFlow{api: a, id: ff.NewFlowID()}
	a.is("POST", "/v1/flows", `{"flow_id":"`+f.id.String()+`","flow_kind":"dag","namespace":"acme","now":1}`, 201, `{"Created":{"flow_id":"`+f.id.String()+`"}}`)
	for n := range members {
		id := ff.FlowExecutionID(f.id, ff.DefaultPartitions())
		a.create(id, "")
		a.is("POST", f.path("/members"), f.member(id), 201, fmt.Sprintf(`{"Added":{"execution_id":"%s","new_node_count":%d}}`, id, n+1))
		f.members = append(f.members, id)
	}
	return f
}

func (f *refFlow) path(rest string) string { return "/v1/flows/" + f.id.String() + rest }

func (f *refFlow) member(id ff.ExecutionID) string {
	return `{"flow_id":"` + f.id.String() + `","execution_id":"` + id.String() + `","now":1}`
}

func (f *refFlow) edge(id ff.EdgeID, from, to, revision int, more string) string {
	return fmt.Sprintf(`{"flow_id":"%s","edge_id":"%s","upstream_execution_id":"%s","downstream_execution_id":"%s",
		"expected_graph_revision":%d,"graph_revision":%[5]d,"now":1%s}`, f.id, id, f.members[from], f.members[to], revision, more)
}

func testRefFlowGraph(e *env) {
	a := e.api(ffserver.Config{})
	f := a.flow(3)
	edges := []ff.EdgeID{ff.NewEdgeID(), ff.NewEdgeID()}
	for n, id := range edges { // 0 → 1 → 2
		a.is("POST", f.path("/edges"), f.edge(id, n, n+1, 3+n, `,"dependency_kind":"success_only","data_passing_ref":null`), 201,
			fmt.Sprintf(`{"Staged":{"edge_id":"%s","new_graph_revision":%d}}`, id, 4+n))
	}
	e.untouched("edges that are refused", func() {
		final := func(code, name string) string {
			return `{"error":"` + code + `: ` + name + `","kind":"` + code + `","retryable":false}`
		}
		a.is("POST", f.path("/edges"), f.edge(edges[0], 0, 2, 5, ""), 409, final("dependency_already_exists", "DependencyAlreadyExists"))
		a.is("POST", f.path("/edges"), f.edge(ff.NewEdgeID(), 2, 0, 5, ""), 409, final("cycle_detected", "CycleDetected"))
		a.is("POST", f.path("/edges"), f.edge(ff.NewEdgeID(), 1, 1, 5, ""), 409, final("self_referencing_edge", "SelfReferencingEdge"))
		a.is("POST", f.path("/edges"), f.edge(ff.NewEdgeID(), 0, 2, 4, ""), 409, `{"error":"contention: StaleGraphRevision","kind":"contention","retryable":true}`)
		a.refusedWith("POST", f.path("/edges"), f.edge(ff.NewEdgeID(), 0, 2, 5, `,"dependency_kind":"any"`), 400, "invalid_dependency")
		a.refusedWith("POST", f.path("/edges"), strings.Replace(f.edge(ff.NewEdgeID(), 0, 2, 5, ""), f.members[0].String(), ff.FlowExecutionID(f.id, ff.DefaultPartitions()).String(), 1), 400, "invalid_dependency")
		a.refusedWith("POST", f.path("/edges/apply"), f.edge(ff.NewEdgeID(), 0, 1, 5, ""), 400, "invalid_dependency")
		a.refusedWith("POST", f.path("/edges/apply"), f.edge(edges[0], 0, 1, 5, `,"dependency_kind":"any"`), 400, "invalid_dependency")
		other := a.mint()
		if other.Partition() != f.members[0].Partition() {
			a.refusedWith("POST", f.path("/members"), f.member(other), 400, "invalid_input: ")
		}
		a.is("POST", f.path("/members"), f.member(ff.FlowExecutionID(f.id, ff.DefaultPartitions())), 404, `{"error":"not found: execution"}`)
	})
	for n, id := range edges {
		a.is("POST", f.path("/edges/apply"), f.edge(id, n, n+1, 4+n, ""), 200, `{"Applied":{"unsatisfied_count":1}}`)
		a.is("POST", f.path("/edges/apply"), f.edge(id, n, n+1, 4+n, ""), 200, `"AlreadyApplied"`)
		a.is("GET", at(f.members[n+1], "/state"), "", 200, `"waiting_children"`)
	}
	told := a.ask("GET", at(f.members[1], ""), "")
	e.equal("flow_id", a.member(told.text, "flow_id"), any(f.id.String()))

	// staged and applied at once (H12)
	h := a.flow(2)
	atOnce := ff.NewEdgeID()
	a.is("POST", h.path("/edges"), h.edge(atOnce, 0, 1, 2, `,"apply":true`), 201, `{"Staged":{"edge_id":"`+atOnce.String()+`","new_graph_revision":3}}`)
	a.is("GET", at(h.members[1], "/state"), "", 200, `"waiting_children"`)
	// a member of another flow, and of one that was cancelled
	x := ff.FlowExecutionID(h.id, ff.DefaultPartitions())
	a.create(x, "")
	a.is("POST", h.path("/members"), h.member(x), 201, `{"Added":{"execution_id":"`+x.String()+`","new_node_count":3}}`)
	a.is("POST", h.path("/members"), h.member(x), 200, `{"AlreadyMember":{"execution_id":"`+x.String()+`","node_count":3}}`)
	cancel := `{"flow_id":"` + h.id.String() + `","reason":"r","cancellation_policy":"flow_only","now":1}`
	a.is("POST", h.path("/cancel"), cancel, 200, `{"Cancelled":{"cancellation_policy":"flow_only","member_execution_ids":[]}}`)
	y := ff.FlowExecutionID(h.id, ff.DefaultPartitions())
	a.create(y, "")
	a.is("POST", h.path("/members"), h.member(y), 409, `{"error":"flow_already_terminal: FlowAlreadyTerminal","kind":"flow_already_terminal","retryable":false}`)
}

func testRefFlowCancels(e *env) {
	a := e.api(ffserver.Config{})
	body := func(f *refFlow, policy string) string {
		return `{"flow_id":"` + f.id.String() + `","reason":"superseded","cancellation_policy":"` + policy + `","now":1}`
	}
	ids := func(f *refFlow) string { return `["` + f.members[0].String() + `","` + f.members[1].String() + `"]` }
	for _, query := range []string{"", "?wait=true"} { // no members
		f := a.flow(0)
		a.is("POST", f.path("/cancel"+query), body(f, "cancel_all"), 200, `{"Cancelled":{"cancellation_policy":"cancel_all","member_execution_ids":[]}}`)
		a.is("POST", f.path("/cancel"+query), body(f, "cancel_pending"), 200, `{"Cancelled":{"cancellation_policy":"cancel_all","member_execution_ids":[]}}`) // as stored
	}
	for query, wait := range map[string]bool{
		"": false, "?wait=true": true, "?wait=1": true, "?wait=True": false, "?wait=yes": false, "?wait=false&wait=true": true, "?wait=true&wait=0": false,
		"?wait=true&wait_timeout_ms=0": true, "?wait=1&wait_timeout_ms=60000": true,
	} {
		f := a.flow(2)
		want := `{"CancellationScheduled":{"cancellation_policy":"cancel_all","member_count":2,"member_execution_ids":` + ids(f) + `}}`
		if wait {
			want = `{"Cancelled":{"cancellation_policy":"cancel_all","member_execution_ids":` + ids(f) + `}}`
		}
		a.is("POST", f.path("/cancel"+query), body(f, "cancel_all"), 200, want)
		a.is("GET", at(f.members[1], "/state"), "", 200, `"cancelled"`)
		a.is("POST", f.path("/cancel"), body(f, "cancel_all"), 200, `{"Cancelled":{"cancellation_policy":"cancel_all","member_execution_ids":`+ids(f)+`}}`)
	}
	f := a.flow(2)
	e.untouched("cancels that are refused", func() {
		a.refusedWith("POST", f.path("/cancel"), body(f, "cancel_some"), 400, "invalid_input: ")
		a.refusedWith("POST", f.path("/cancel"), body(f, ""), 400, "invalid_input: ")
		a.refusedWith("POST", f.path("/cancel?wait_timeout_ms=60001"), body(f, "cancel_all"), 400, "wait_timeout_ms exceeds 60000ms ceiling")
		a.refusedWith("POST", f.path("/cancel?wait_timeout_ms=x"), body(f, "cancel_all"), 400, "Failed to deserialize query string: wait_timeout_ms: ")
	})
	a.is("POST", f.path("/cancel"), body(f, "cancel_flow_only"), 200, `{"Cancelled":{"cancellation_policy":"cancel_flow_only","member_execution_ids":[]}}`)
	a.is("GET", at(f.members[0], "/state"), "", 200, `"waiting"`)
	pending := a.flow(2)
	a.is("POST", pending.path("/cancel"), body(pending, "cancel_pending"), 200, `{"Cancelled":{"cancellation_policy":"cancel_pending","member_execution_ids":`+ids(pending)+`}}`)
	a.is("POST", at(pending.members[0], "/replay"), "", 409, `{"error":"flow_already_terminal: FlowAlreadyTerminal","kind":"flow_already_terminal","retryable":false}`)
}
