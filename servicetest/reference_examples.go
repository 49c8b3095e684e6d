package servicetest

import (
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// What the examples of chapter 70, section 4, speak of.
const (
	exFlow     = "550e8400-e29b-41d4-a716-446655440000"
	exUpstream = "{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	exChild    = "{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427"
	exPath     = "/v1/executions/%7Bfp:24%7D:6ba7b810-9dad-41d1-80b4-00c04fd430c8"
)

// testExamples goes through the examples of the chapter in an order in which they can follow each other. Where the chapter's own
// would not, times are other ones than there.
func testExamples(e *env) {
	a := e.api(ffserver.Config{})
	clockTo := func(ms ff.Timestamp) {
		e.Helper()
		e.pace.Advance(ms.Sub(e.pace.now()))
	}
	clockTo(1767225600000)
	a.is("GET", "/healthz", "", 200, `{"status":"ok"}`)

	// 17: a flow; 2 and 3: its members to be; 1: the partition
	flow := `{"flow_id":"550e8400-e29b-41d4-a716-446655440000","flow_kind":"dag","namespace":"acme","now":1767225600000}`
	a.is("POST", "/v1/flows", flow, 201, `{"Created":{"flow_id":"550e8400-e29b-41d4-a716-446655440000"}}`)
	a.is("POST", "/v1/flows", flow, 200, `{"AlreadySatisfied":{"flow_id":"550e8400-e29b-41d4-a716-446655440000"}}`)
	submission := `{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","namespace":"acme","lane_id":"default",
		"execution_kind":"llm_call","input_payload":[123,125],"payload_encoding":"json","priority":5,
		"creator_identity":"api-gw","idempotency_key":"order-17","tags":{"team":"search"},
		"policy":{"retry_policy":{"max_retries":2,"backoff":{"type":"fixed","delay_ms":50}},
			"routing_requirements":{"required_capabilities":["gpu"]}},
		"partition_id":24,"now":1767225600000}`
	a.is("POST", "/v1/executions", submission, 201, `{"Created":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","public_state":"waiting"}}`)
	a.is("POST", "/v1/executions", submission, 200, `{"Duplicate":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"}}`)
	a.is("POST", "/v1/executions", strings.Replace(submission, "6ba7b810", "7ba7b810", 1), 200, // the same key
		`{"Duplicate":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"}}`)
	a.is("GET", exPath, "", 200, `{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","namespace":"acme","lane_id":"default","priority":5,
		"execution_kind":"llm_call","state_vector":{"lifecycle_phase":"runnable","ownership_state":"unowned",
		"eligibility_state":"eligible_now","blocking_reason":"waiting_for_worker","terminal_outcome":"none",
		"attempt_state":"pending_first_attempt","public_state":"waiting"},"public_state":"waiting",
		"created_at":"1767225600000","current_attempt_index":0,"flow_id":null,"blocking_detail":""}`)
	a.is("GET", exPath+"/state", "", 200, `"waiting"`)
	a.is("GET", "/v1/executions/%7Bfp:24%7D:6ba7b810-9dad-41d1-80b4-00c04fd430c9/state", "", 404,
		`{"error":"execution not found: {fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c9","code":"execution_not_found"}`)
	child := strings.NewReplacer("6ba7b810-9dad-41d1-80b4-00c04fd430c8", "1b4e28ba-2fa1-41d2-883f-0016d3cca427", `"idempotency_key":"order-17",`, "").Replace(submission)
	a.is("POST", "/v1/executions", child, 201, `{"Created":{"execution_id":"{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427","public_state":"waiting"}}`)
	last := strings.NewReplacer("1b4e28ba-2fa1-41d2", "ffffffff-2fa1-41d2", `"lane_id":"default"`, `"lane_id":"other"`).Replace(child)
	a.is("POST", "/v1/executions", last, 201, `{"Created":{"execution_id":"{fp:24}:ffffffff-2fa1-41d2-883f-0016d3cca427","public_state":"waiting"}}`)
	a.is("GET", "/v1/executions?partition=24&limit=2", "", 200, `{"executions":["{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427",
		"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"],"next_cursor":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"}`)

	// 18, 20, 21: the graph
	clockTo(1767225601000)
	member := func(id string) string {
		return `{"flow_id":"` + exFlow + `","execution_id":"` + id + `","now":1767225601000}`
	}
	a.is("POST", "/v1/flows/"+exFlow+"/members", member(exUpstream), 201,
		`{"Added":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","new_node_count":1}}`)
	a.is("POST", "/v1/flows/"+exFlow+"/members", member(exUpstream), 200,
		`{"AlreadyMember":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","node_count":1}}`)
	a.is("POST", "/v1/flows/"+exFlow+"/members", member(exChild), 201,
		`{"Added":{"execution_id":"{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427","new_node_count":2}}`)
	edge := `{"flow_id":"550e8400-e29b-41d4-a716-446655440000","edge_id":"9b2c4f6e-3c1d-4b5a-8f7e-112233445566",
		"upstream_execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		"downstream_execution_id":"{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427","expected_graph_revision":2,"now":1767225602000}`
	a.is("POST", "/v1/flows/"+exFlow+"/edges", edge, 201, `{"Staged":{"edge_id":"9b2c4f6e-3c1d-4b5a-8f7e-112233445566","new_graph_revision":3}}`)
	another := strings.Replace(edge, "9b2c4f6e", "8b2c4f6e", 1)
	a.is("POST", "/v1/flows/"+exFlow+"/edges", another, 409, `{"error":"contention: StaleGraphRevision","kind":"contention","retryable":true}`)
	back := strings.NewReplacer("upstream_", "downstream_", "downstream_", "upstream_", `revision":2`, `revision":3`).Replace(another)
	a.is("POST", "/v1/flows/"+exFlow+"/edges", back, 409, `{"error":"cycle_detected: CycleDetected","kind":"cycle_detected","retryable":false}`)
	staged := `{"flow_id":"550e8400-e29b-41d4-a716-446655440000","edge_id":"9b2c4f6e-3c1d-4b5a-8f7e-112233445566",
		"downstream_execution_id":"{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427",
		"upstream_execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","graph_revision":3,"now":1767225602500}`
	a.is("POST", "/v1/flows/"+exFlow+"/edges/apply", staged, 200, `{"Applied":{"unsatisfied_count":1}}`)
	a.is("POST", "/v1/flows/"+exFlow+"/edges/apply", staged, 200, `"AlreadyApplied"`)

	// 10, 14, 11, 12: priority, a claim, no replay, a revocation
	a.is("PUT", exPath+"/priority", `{"new_priority":500}`, 200, `{"Changed":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"}}`)
	claim := `{"lane_id":"default","worker_instance_id":"pool-a-7","capabilities":["gpu"],"grant_ttl_ms":5000}`
	clockTo(1767225610000)
	g := a.ask("POST", "/v1/workers/pool-a/claim", claim)
	key, _ := a.member(g.text, "grant_key").(string)
	want := `{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","partition_key":"{fp:24}","grant_key":"` + key + `","expires_at_ms":1767225615000}`
	e.equal("the grant", a.parse(g.text), a.parse([]byte(want)))
	a.is("POST", "/v1/workers/pool-a/claim", claim, 204, "")
	a.is("PUT", exPath+"/priority", `{"new_priority":500}`, 409, `{"error":"contention: ExecutionNotEligible","kind":"contention","retryable":true}`)
	a.is("POST", exPath+"/replay", "", 409, `{"error":"execution_not_terminal: ExecutionNotTerminal","kind":"execution_not_terminal","retryable":false}`)
	info, err := e.svc.OpenHandle(e.Context(), ff.Handle(key))
	e.ok(err)
	revocation := a.ask("POST", exPath+"/revoke-lease", "")
	id, _ := a.member(revocation.text, "Revoked", "lease_id").(string)
	e.equal("the revocation", a.parse(revocation.text), a.parse([]byte(`{"Revoked":{"lease_id":"`+id+`","lease_epoch":"2"}}`)))
	a.is("POST", exPath+"/revoke-lease", "", 200, `{"AlreadySatisfied":{"reason":"no_active_lease"}}`)
	_, err = e.svc.Renew(e.Context(), ff.Renew{ExecutionID: info.ExecutionID, Fence: info.Fence})
	if err == nil {
		e.Error("a lease that was revoked can be renewed")
	}

	// 5, 6, 9: a suspension
	c := a.grantedTo("pool-a", claim)
	waitpoint := ff.WaitpointID{0x3f, 0x33, 0x3d, 0xf6, 0x90, 0xa4, 0x4f, 0xda, 0x8d, 0xd3, 0x94, 0x85, 0xd2, 0x7c, 0xee, 0x36}
	point := e.suspend(c, ff.Suspend{
		Waitpoints: []ff.WaitpointBinding{{WaitpointID: waitpoint, Key: "wpk:approve-1"}}, Condition: ff.OnNamed("wpk:approve-1", "approved"),
		Timeout: time.Hour,
	}).Waitpoints[0]
	kid, fingerprint := point.Token.Fingerprint()
	a.is("GET", exPath+"/pending-waitpoints", "", 200, `[{"waitpoint_id":"3f333df6-90a4-4fda-8dd3-9485d27cee36","waitpoint_key":"wpk:approve-1","state":"active",
		"required_signal_names":["approved"],"created_at":1767225610000,"activated_at":1767225610000,"expires_at":1767229210000,
		"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","token_kid":"`+kid+`","token_fingerprint":"`+fingerprint+`"}]`)
	a.is("GET", exPath+"/waitpoints/3f333df6-90a4-4fda-8dd3-9485d27cee36/token", "", 200, `{"token":"`+point.Token.Reveal()+`"}`)
	a.is("GET", exPath+"/waitpoints/3f333df6-90a4-4fda-8dd3-9485d27cee37/token", "", 404, `{"error":"waitpoint token not found (consumed, expired, or unknown id)"}`)
	signal := `{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","waitpoint_id":"3f333df6-90a4-4fda-8dd3-9485d27cee36",
		"signal_id":"7d444840-9dc0-41d1-b245-5ffdce74fad2","signal_name":"approved","signal_category":"external",
		"source_type":"user","source_identity":"alice","target_scope":"waitpoint","payload":[116,114,117,101],
		"waitpoint_token":"` + point.Token.Reveal() + `","now":1767225610000}`
	a.is("POST", exPath+"/signal", signal, 200, `{"Accepted":{"signal_id":"7d444840-9dc0-41d1-b245-5ffdce74fad2","effect":"resume_condition_satisfied"}}`)
	a.is("POST", exPath+"/signal", signal, 200, `{"Duplicate":{"existing_signal_id":"7d444840-9dc0-41d1-b245-5ffdce74fad2"}}`)

	// 15, 16, 7: output and result
	clockTo(1767225613000)
	c = a.grantedTo("pool-a", claim)
	_, err = e.svc.AppendFrames(e.Context(), ff.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: []ff.Frame{{Type: "progress", Payload: []byte(`{"pct":50}`)}}})
	e.ok(err)
	a.is("GET", exPath+"/attempts/0/stream/tail?after=1767225613000-0&block_ms=0", "", 200, `{"frames":[],"count":0}`)
	clockTo(1767225614000)
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte(`{"answer":42}`)}))
	a.is("GET", exPath+"/attempts/0/stream?limit=2", "", 200, `{"frames":[{"id":"1767225613000-0","fields":{"frame_type":"progress","ts":"1767225613000",
		"payload":"{\"pct\":50}","encoding":"utf8","source":"worker","mode":"durable"}}],"count":1,"closed_at":1767225614000,"closed_reason":"attempt_success"}`)
	result := a.ask("GET", exPath+"/result", "")
	if result.status != 200 || string(result.text) != `{"answer":42}` || result.header.Get("Content-Type") != "application/octet-stream" {
		e.Errorf("the result is %d %q, %s", result.status, result.text, result.header.Get("Content-Type"))
	}
	a.is("POST", exPath+"/replay", "", 200, `{"Replayed":{"public_state":"waiting"}}`)

	// 8, 19: cancels
	a.is("POST", exPath+"/cancel", `{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","reason":"customer request","now":1767225605000}`, 200,
		`{"Cancelled":{"execution_id":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8","public_state":"cancelled"}}`)
	a.is("POST", exPath+"/replay", "", 200, `{"Replayed":{"public_state":"waiting"}}`)
	cancel := `{"flow_id":"550e8400-e29b-41d4-a716-446655440000","reason":"superseded","cancellation_policy":"cancel_all","now":1767225620000}`
	a.is("POST", "/v1/flows/550e8400-e29b-41d4-a716-446655440000/cancel?wait=true", cancel, 200, `{"Cancelled":{"cancellation_policy":"cancel_all",
		"member_execution_ids":["{fp:24}:1b4e28ba-2fa1-41d2-883f-0016d3cca427","{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"]}}`)
}
