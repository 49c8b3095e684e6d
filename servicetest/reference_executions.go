package servicetest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

func testRefExecutions(e *env) {
	a := e.api(ffserver.Config{})
	id := a.mint()
	a.create(id, `,"tags":{"team.name":"a","team":"b"},"policy":{"max_replay_count":3}`)
	created := a.ask("GET", at(id, "?include=tags,policy"), "")
	for path, want := range map[string]any{
		"namespace": "acme", "lane_id": string(e.lane), "execution_kind": "llm_call", "public_state": "waiting",
		"tags":   map[string]any{"team.name": "a", "team": "b"},
		"policy": a.parse([]byte(`{"max_replay_count":3}`)),
	} {
		e.equal(path, a.member(created.text, path), want)
	}
	if v := a.member(a.ask("GET", at(id, ""), "").text, "tags"); v != nil {
		e.Errorf("tags are told without being asked for: %v", v)
	}
	e.equal("the storage clock counts", e.describe(id).CreatedAt, e.pace.now())
	e.ok(e.svc.SetTags(e.Context(), ff.SetTags{ExecutionID: id, Tags: map[string]string{"env.name": "c"}}))
	e.equal("tags", e.describe(id).Tags, map[string]string{"team.name": "a", "team": "b", "env.name": "c"})

	a.is("PUT", at(id, "/priority"), `{"new_priority":500}`, 200, `{"Changed":{"execution_id":"`+id.String()+`"}}`)
	e.equal("priority", fmt.Sprint(a.member(a.ask("GET", at(id, ""), "").text, "priority")), "500")
	for sent, kept := range map[string]int{"-2147483648": 0, "2147483647": 9000} {
		a.is("PUT", at(id, "/priority"), `{"new_priority":`+sent+`}`, 200, `{"Changed":{"execution_id":"`+id.String()+`"}}`)
		e.equal("priority "+sent, e.describe(id).Priority, kept)
	}

	cancel := `{"execution_id":"` + id.String() + `","reason":"enough","now":1}`
	done := `{"Cancelled":{"execution_id":"` + id.String() + `","public_state":"cancelled"}}`
	a.is("POST", at(id, "/cancel"), cancel, 200, done)
	a.is("POST", at(id, "/cancel"), cancel, 200, done)
	a.is("GET", at(id, "/state"), "", 200, `"cancelled"`)
	got := a.ask("GET", at(id, "?include=failure,attempts,lease"), "")
	e.equal("phase", a.member(got.text, "state_vector", "lifecycle_phase"), any("terminal"))
	e.equal("failure", a.member(got.text, "failure"), any(map[string]any{"cancellation_reason": "enough", "cancelled_by": "operator_override"}))
	e.equal("completed_at", a.member(got.text, "completed_at"), any(fmt.Sprint(e.pace.now())))
	a.is("POST", at(id, "/replay"), "what a body says does not matter", 200, `{"Replayed":{"public_state":"waiting"}}`, "Content-Type", "text/plain")

	later := a.mint()
	until := e.pace.now() + 60_000
	a.is("POST", "/v1/executions", a.submission(later, fmt.Sprintf(`,"delay_until":%d`, until)), 201,
		`{"Created":{"execution_id":"`+later.String()+`","public_state":"delayed"}}`)
	past := a.mint()
	a.create(past, `,"delay_until":1,"input_payload_b64":null`)

	encoded := a.mint()
	a.is("POST", "/v1/executions", strings.Replace(a.submission(encoded, ""), `"input_payload":[]`, `"input_payload_b64":"`+base64.StdEncoding.EncodeToString([]byte{0, 255})+`"`, 1), 201,
		`{"Created":{"execution_id":"`+encoded.String()+`","public_state":"waiting"}}`)
	for range 3 {
		if c := e.claim(); c.ExecutionID == encoded {
			e.equal("payload", c.Payload, []byte{0, 255})
		}
	}
	testFencedCancel(a, encoded)
}

// testFencedCancel: a holder's cancel must present its fence, of which the epoch is enough.
func testFencedCancel(a *api, id ff.ExecutionID) {
	a.Helper()
	holder := func(more string) string {
		return `{"execution_id":"` + id.String() + `","reason":"r","source":"lease_holder","now":1` + more + `}`
	}
	a.unchanged("cancels without the fence", id, func() {
		a.is("POST", at(id, "/cancel"), holder(""), 400, `{"error":"invalid_input: give the fence of the claim","code":"fence_required"}`)
		a.is("POST", at(id, "/cancel"), holder(`,"lease_epoch":7`), 400,
			`{"error":"invalid_input: lease id, epoch and attempt id go together","code":"partial_fence_triple"}`)
		a.is("POST", at(id, "/cancel"), holder(`,"lease_epoch":7,"lease_id":"c56a4180-65aa-42ec-a945-5fd21dec0538","attempt_id":"c56a4180-65aa-42ec-a945-5fd21dec0538"`), 409,
			`{"error":"state_conflict: StaleLease","kind":"state_conflict","retryable":false}`)
	})
	a.is("POST", at(id, "/cancel"), holder(`,"lease_epoch":1,"lease_id":null`), 200, `{"Cancelled":{"execution_id":"`+id.String()+`","public_state":"cancelled"}}`)
}

func testRefNothing(e *env) {
	a := e.api(ffserver.Config{})
	id := a.mint()
	far := strings.Replace(id.String(), id.Partition().String(), "{fp:256}", 1)
	for _, id := range []string{id.String(), far} {
		path := "/v1/executions/" + id
		a.is("GET", path, "", 404, `{"error":"execution not found: `+id+`","code":"execution_not_found"}`)
		a.is("GET", path+"/state", "", 404, `{"error":"execution not found: `+id+`"}`)
		a.is("GET", path+"/result", "", 404, `{"error":"execution result not found: `+id+`","code":"execution_not_found"}`)
		a.is("GET", path+"/pending-waitpoints", "", 404, `{"error":"not found: execution","code":"execution_not_found"}`)
		got := a.is("GET", path+"/waitpoints/3f333df6-90a4-4fda-8dd3-9485d27cee36/token", "", 404, `{"error":"waitpoint token not found (consumed, expired, or unknown id)"}`)
		e.equal("Cache-Control", got.header.Get("Cache-Control"), "no-store")
		a.is("GET", path+"/attempts/0/stream", "", 200, `{"frames":[],"count":0}`)
		a.is("GET", path+"/attempts/4294967295/stream/tail", "", 200, `{"frames":[],"count":0}`)
	}
	a.is("POST", at(id, "/replay"), "", 404, `{"error":"not found: execution"}`)
	a.is("POST", at(id, "/revoke-lease"), "", 404, `{"error":"not found: execution"}`)
	a.is("PUT", at(id, "/priority"), `{"new_priority":1}`, 404, `{"error":"not found: execution"}`)
	a.is("POST", at(id, "/cancel"), `{"execution_id":"`+id.String()+`","reason":"r","now":1}`, 404, `{"error":"not found: execution"}`)
	a.is("POST", at(id, "/reclaim"), `{"worker_id":"w","worker_instance_id":"w-1","lane_id":"l","grant_ttl_ms":1000}`, 404, `{"error":"not found: execution"}`)
	flow := ff.NewFlowID().String()
	a.is("POST", "/v1/flows/"+flow+"/cancel", `{"flow_id":"`+flow+`","reason":"r","cancellation_policy":"cancel_all","now":1}`, 404, `{"error":"not found: flow","code":"flow_not_found"}`)
	// what would change something must not be where nobody looks (H02)
	for method, path := range map[string]string{"POST": "/replay", "PUT": "/priority"} {
		a.is(method, "/v1/executions/"+far+path, `{"new_priority":1}`, 400, `{"error":"invalid_input: partition index 256 out of range 0..256"}`)
	}
	a.untouched("a submission to a partition that is not there", func() {
		a.is("POST", "/v1/executions", strings.Replace(a.submission(id, ""), id.String(), far, 1), 400, `{"error":"invalid_input: partition index 256 out of range 0..256"}`)
	})
}

func testRefLists(e *env) {
	a := e.api(ffserver.Config{})
	partition := fmt.Sprint(ff.DefaultPartitions().OfLane(e.lane).Index)
	var want []any
	for range 15 {
		id := a.mint()
		a.create(id, "")
		want = append(want, id.String())
	}
	cancelled := want[3].(string)
	a.ask("POST", "/v1/executions/"+cancelled+"/cancel", `{"execution_id":"`+cancelled+`","reason":"r","now":1}`)
	slices.SortFunc(want, func(x, y any) int { return strings.Compare(x.(string), y.(string)) })
	var got []any
	cursor, pages := "", 0
	for ; pages < 3; pages++ {
		page := a.ask("GET", "/v1/executions?partition="+partition+"&limit=5&cursor="+url.QueryEscape(cursor), "")
		ids, _ := a.member(page.text, "executions").([]any)
		if len(ids) != 5 {
			e.Fatalf("page %d: %s", pages, page.text)
		}
		got = append(got, ids...)
		cursor, _ = a.member(page.text, "next_cursor").(string)
	}
	e.equal("pages of five", got, want)
	e.equal("the cursor of the last page", cursor, "")
	lastID := url.QueryEscape(want[14].(string))
	none := `{"executions":[],"next_cursor":null}`
	a.is("GET", "/v1/executions?partition="+partition+"&limit=5&cursor="+lastID, "", 200, none)
	a.is("GET", "/v1/executions?partition="+partition+"&limit=0", "", 200, none)
	a.is("GET", "/v1/executions?partition=65535", "", 200, none)
	all := a.ask("GET", "/v1/executions?partition="+partition+"&limit=1000000&foo=bar", "")
	ids, _ := a.member(all.text, "executions").([]any)
	e.equal("a limit above the bound", ids, want)
	page, err := e.svc.ListPartition(e.Context(), ff.ListPartition{Partition: ff.DefaultPartitions().OfLane(e.lane).Index, Limit: 15})
	e.ok(err)
	for i, id := range page.Items {
		e.equal("listed by the library", any(id.String()), want[i])
	}
	e.equal("Next of all", page.Next, "")
	for what, q := range map[string]ff.ListPartition{
		"a page too long": {Limit: 1001}, "a page below": {Limit: -1}, "a cursor of another partition": {Partition: 1, After: ff.ExecutionIDFrom(2, page.Items[0].UUID())},
	} {
		_, err := e.svc.ListPartition(e.Context(), q)
		e.refused(what, err, ff.CodeInvalidInput)
	}
	for query, text := range map[string]string{
		"":                                    "Failed to deserialize query string: partition: missing field",
		"?partition=":                         "Failed to deserialize query string: partition: want an integer",
		"?partition=x":                        "Failed to deserialize query string: partition: want an integer",
		"?partition=65536":                    "Failed to deserialize query string: partition: want an integer",
		"?partition=-1":                       "Failed to deserialize query string: partition: want an integer",
		"?partition=1&partition=2":            "Failed to deserialize query string: partition: duplicate field",
		"?partition=1&limit=x":                "Failed to deserialize query string: limit: want an integer",
		"?partition=1&limit=-1":               "Failed to deserialize query string: limit: want an integer",
		"?partition=%zz":                      "Failed to deserialize query string: ",
		"?partition=1&cursor=x":               "invalid cursor: execution_id is missing the `{fp:N}:` hash-tag prefix: x",
		"?partition=1&cursor=" + lastID + "1": "invalid cursor: ",
		"?partition=255&cursor=" + lastID:     "invalid cursor: want an id of the partition",
		"?lane=a&state=none":                  "invalid_input: states has",
		"?flow_id=x":                          "Failed to deserialize query string: flow_id: want a string",
		"?kind=k&cursor=" + lastID:            "invalid_input: after is not a cursor",
		"?flow_id=" + exFlow + "&kind=k":      "invalid_input: flow_id stands alone",
		"?tag.a.b=c&tag.b.c=d":                "invalid_input: one tag can be asked for",
	} {
		a.refusedWith("GET", "/v1/executions"+query, "", 400, text)
	}
}

func testRefFilteredLists(e *env) {
	a := e.api(ffserver.Config{})
	first, second := a.mint(), a.mint()
	a.create(first, `,"tags":{"team.name":"a"}`)
	e.advance(time.Second)
	a.create(second, "")
	lane := url.QueryEscape(string(e.lane))
	list := func(query string) (ids []any) {
		e.Helper()
		got := a.ask("GET", "/v1/executions?"+query, "")
		if got.status != 200 {
			e.Fatalf("%s: %d %s", query, got.status, got.text)
		}
		items, _ := a.member(got.text, "items").([]any)
		for _, item := range items {
			ids = append(ids, item.(map[string]any)["execution_id"])
		}
		return ids
	}
	e.equal("of the lane, newest first", list("lane="+lane), []any{second.String(), first.String()})
	e.equal("with a tag", list("lane="+lane+"&tag.team.name=a"), []any{first.String()})
	e.equal("in a state", list("lane="+lane+"&state=completed,failed"), []any(nil))
	e.equal("from a time", list(fmt.Sprintf("lane=%s&created_from=%d&kind=llm_call&namespace=acme", lane, e.pace.now())), []any{second.String()})
	e.equal("no page", list("lane="+lane+"&limit=0"), []any(nil))
	page := a.ask("GET", "/v1/executions?limit=1&lane="+lane, "")
	next, _ := a.member(page.text, "next").(string)
	e.equal("the next page", list("limit=1&lane="+lane+"&cursor="+url.QueryEscape(next)), []any{first.String()})
	flow, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{Nodes: []ff.FlowNode{{Name: "n", Submit: ff.Submit{Lane: e.lane, Kind: "k"}}}})
	e.ok(err)
	e.equal("members of a flow", list("flow_id="+flow.String()), []any{ff.NodeID(flow, "n", ff.DefaultPartitions()).String()})
}

func testRefResults(e *env) {
	a := e.api(ffserver.Config{})
	for name, result := range map[string][]byte{"JSON": []byte(`{"answer":42}`), "binary": {0, 255, 254, '{'}, "nothing": nil} {
		id := a.mint()
		a.create(id, "")
		missing := `{"error":"execution result not found: ` + id.String() + `","code":"`
		a.is("GET", at(id, "/result"), "", 404, missing+`not_finished"}`)
		c := e.claim()
		e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: result}))
		if result == nil {
			a.is("GET", at(id, "/result"), "", 404, missing+`no_result"}`)
			continue
		}
		got := a.ask("GET", at(id, "/result"), "")
		if got.status != 200 || string(got.text) != string(result) || got.header.Get("Content-Type") != "application/octet-stream" {
			e.Errorf("%s: %d %q, %s", name, got.status, got.text, got.header.Get("Content-Type"))
		}
		head := a.ask("HEAD", at(id, "/result"), "")
		e.equal("HEAD", []any{head.status, len(head.text), head.header.Get("Content-Length")}, []any{200, 0, fmt.Sprint(len(result))})
	}
}

func testRefPolicies(e *env) {
	a := e.api(ffserver.Config{})
	full := a.mint()
	a.create(full, `,"payload_encoding":null,"idempotency_key":null,"delay_until":null,"execution_deadline_at":null,"unknown":{"a":[1]},"policy":{
		"priority":7,"delay_until":null,"retry_policy":{"max_retries":4,"backoff":{"type":"exponential","initial_delay_ms":10,"max_delay_ms":100,"multiplier":3.5,"jitter":true},
			"retryable_categories":["transient"],"unknown":1},
		"timeout_policy":{"attempt_timeout_ms":1000,"execution_deadline_ms":null,"max_reclaim_count":3},"max_reclaim_count":5,
		"suspension_policy":{"default_timeout_ms":2000,"timeout_behavior":"cancel"},"fallback_policy":{"tiers":[{"provider":"p","model":"m"}]},
		"max_replay_count":6,"budget_ids":[],"routing_requirements":{"required_capabilities":["b","a"],"preferred_locality":"eu","isolation_level":null},
		"dedup_window_ms":9000,"stream_policy":{"durability_mode":"buffered","retention_maxlen":50,"retention_ttl_ms":null},"max_signals_per_execution":11}`)
	retries, reclaims, replays, signals, dedup := uint32(4), uint32(5), uint32(6), uint32(11), int64(9000)
	e.equal("policy", e.describe(full).Policy, &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: &retries, Backoff: &ff.Backoff{Type: ff.BackoffExponential, InitialDelayMS: 10, MaxDelayMS: 100, Multiplier: 3.5, Jitter: true},
			RetryableCategories: []string{"transient"},
		},
		Timeouts: &ff.TimeoutPolicy{AttemptTimeoutMS: 1000}, MaxReclaims: &reclaims, MaxReplays: &replays,
		Suspension:    &ff.SuspensionPolicy{DefaultTimeoutMS: 2000, TimeoutBehavior: ff.TimeoutCancels},
		Routing:       &ff.RoutingRequirements{RequiredCapabilities: []string{"a", "b"}},
		DedupWindowMS: &dedup, Stream: &ff.StreamPolicy{MaxFrames: 50}, MaxSignals: &signals,
	})
	a.untouched("policies that are refused", func() {
		for policy, field := range map[string]string{
			`7`: "/policy", `{"max_replay_count":-1}`: "/policy/max_replay_count", `{"max_replay_count":4294967296}`: "/policy/max_replay_count",
			`{"retry_policy":[]}`:                                    "/policy/retry_policy",
			`{"retry_policy":{"backoff":{"type":"none"}}}`:           "/policy/retry_policy/backoff",
			`{"retry_policy":{"backoff":{"delay_ms":1}}}`:            "/policy/retry_policy/backoff",
			`{"retry_policy":{"backoff":{"type":"fixed"}}}`:          "/policy/retry_policy/backoff",
			`{"retry_policy":{"retryable_categories":null}}`:         "/policy/retry_policy/retryable_categories",
			`{"budget_ids":null}`:                                    "/policy/budget_ids",
			`{"budget_ids":["x"]}`:                                   "/policy/budget_ids/0",
			`{"routing_requirements":{"required_capabilities":[1]}}`: "/policy/routing_requirements/required_capabilities/0",
		} {
			a.is("POST", "/v1/executions", a.submission(a.mint(), `,"policy":`+policy), 422, `{"error":"invalid JSON: Unprocessable Entity","code":"invalid_input","field":"`+field+`"}`)
		}
		a.refusedWith("POST", "/v1/executions", a.submission(a.mint(), `,"policy":{"dedup_window_ms":0}`), 400, "invalid_policy_json: dedup_window_ms")
		a.refusedWith("POST", "/v1/executions", a.submission(a.mint(), `,"policy":{"routing_requirements":{"required_capabilities":["a b"]}}`), 400, "invalid_capabilities: required:")
		for more, field := range map[string]string{
			`,"policy":{"required_capabilities":["gpu"]}`:                    "policy.required_capabilities",
			`,"policy":{"retry_policy":{"max":1}}`:                           "policy.retry_policy.max",
			`,"policy":{"routing_requirements":{"preferred_locality":"eu"}}`: "policy.routing_requirements.preferred_locality",
			`,"unknown":1`: "unknown",
		} {
			a.is("POST", "/v1/executions?strict=true", a.submission(a.mint(), more), 400, `{"error":"invalid_input: unknown field `+field+`","code":"invalid_input"}`)
		}
	})
	a.is("POST", "/v1/executions?strict=false", a.submission(full, `,"unknown":1`), 200, `{"Duplicate":{"execution_id":"`+full.String()+`"}}`)
}
