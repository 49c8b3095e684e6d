package servicetest

import (
	"fmt"
	"io"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// testRefCaps: on every route with a cap a body one byte below or at it is read, and one byte above is not; so is a body that
// does not say how long it is.
func testRefCaps(e *env) {
	a := e.api(ffserver.Config{})
	const largest, medium, control = 1 << 20, 256 << 10, 64 << 10
	id, flow, budget := a.mint(), ff.NewFlowID().String(), ff.NewBudgetID().String()
	for _, r := range []struct {
		method, path, template string
		limit                  int
	}{
		{"POST", "/v1/executions", "/v1/executions", largest},
		{"POST", at(id, "/cancel"), "/v1/executions/{id}/cancel", control},
		{"POST", at(id, "/signal"), "/v1/executions/{id}/signal", medium},
		{"PUT", at(id, "/priority"), "/v1/executions/{id}/priority", control},
		{"POST", at(id, "/replay"), "/v1/executions/{id}/replay", control},
		{"POST", at(id, "/revoke-lease"), "/v1/executions/{id}/revoke-lease", control},
		{"POST", at(id, "/reclaim"), "/v1/executions/{id}/reclaim", control},
		{"POST", "/v1/workers/w/claim", "/v1/workers/{worker_id}/claim", control},
		{"POST", "/v1/flows", "/v1/flows", control},
		{"POST", "/v1/flows/" + flow + "/members", "/v1/flows/{id}/members", control},
		{"POST", "/v1/flows/" + flow + "/cancel", "/v1/flows/{id}/cancel", control},
		{"POST", "/v1/flows/" + flow + "/edges", "/v1/flows/{id}/edges", control},
		{"POST", "/v1/flows/" + flow + "/edges/apply", "/v1/flows/{id}/edges/apply", control},
		{"POST", "/v1/budgets", "/v1/budgets", control},
		{"POST", "/v1/budgets/" + budget + "/usage", "/v1/budgets/{id}/usage", control},
		{"POST", "/v1/budgets/" + budget + "/reset", "/v1/budgets/{id}/reset", control},
		{"POST", "/v1/quotas", "/v1/quotas", control},
		{"POST", "/v1/admin/rotate-waitpoint-secret", "/v1/admin/rotate-waitpoint-secret", control},
	} {
		body := func(size int) string { return `{"x":"` + strings.Repeat("x", size-len(`{"x":""}`)) + `"}` }
		for _, size := range []int{r.limit - 1, r.limit} {
			if got := a.ask(r.method, r.path, body(size)); got.status == 413 || got.status >= 500 && got.status != 503 {
				e.Errorf("%s %s with %d bytes: %d %s", r.method, r.path, size, got.status, got.text)
			}
		}
		want := fmt.Sprintf(`{"error":"payload_too_large","limit_bytes":%d,"route":"%s","code":"payload_too_large"}`, r.limit, r.template)
		a.is(r.method, r.path, body(r.limit+1), 413, want)
		a.is(r.method, r.path, body(r.limit+1), 413, want, "Content-Type", "text/plain")        // the size comes first
		chunked := a.send(r.method, r.path, io.MultiReader(strings.NewReader(body(r.limit+1)))) // of unknown length
		e.equal(r.path+" in chunks", []any{chunked.status, refusalOf(a.parse(chunked.text), a.parse([]byte(want)))}, []any{413, a.parse([]byte(want))})
	}
}

// testRefWrong: what is wrong with a request before anything looks at what it is about.
func testRefWrong(e *env) {
	a := e.api(ffserver.Config{})
	id := a.mint()
	a.create(id, "")
	e.untouched("requests that are wrong", func() {
		badJSON(a, id)
		badPaths(a, id)
	})
}

func badJSON(a *api, id ff.ExecutionID) {
	a.Helper()
	cancel := at(id, "/cancel")
	good := `{"execution_id":"` + id.String() + `","reason":"r","now":1}`
	syntax := `{"error":"invalid JSON: Bad Request","code":"invalid_input"}`
	for _, body := range []string{"", "{", good + "x", good + good, `{"now":01}`, "\xff", `{"reason":"` + "\xff" + `"}`} {
		a.is("POST", cancel, body, 400, syntax)
	}
	for body, field := range map[string]string{
		`[]`: "", `null`: "", `"x"`: "", `{}`: "/execution_id", `{"execution_id":null}`: "/execution_id", `{"execution_id":7}`: "/execution_id", `{"execution_id":"x"}`: "/execution_id",
		`{"execution_id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8"}`:                                      "/execution_id",
		strings.Replace(good, `"r"`, `7`, 1):                                                           "/reason",
		strings.Replace(good, `"now":1`, `"now":"1"`, 1):                                               "/now",
		strings.Replace(good, `"now":1`, `"now":1.5`, 1):                                               "/now",
		strings.Replace(good, `"now":1`, `"now":9223372036854775808`, 1):                               "/now",
		strings.Replace(good, `,"now":1`, "", 1):                                                       "/now",
		strings.Replace(good, `"now"`, `"source":null,"now"`, 1):                                       "/source",
		strings.Replace(good, `"now"`, `"lease_epoch":-1,"now"`, 1):                                    "/lease_epoch",
		strings.Replace(good, `"now"`, `"lease_epoch":18446744073709551616,"now"`, 1):                  "/lease_epoch",
		strings.Replace(good, `"now"`, `"lease_id":"x","now"`, 1):                                      "/lease_id",
		strings.Replace(good, `"now"`, `"lease_id":"{c56a4180-65aa-42ec-a945-5fd21dec0538)","now"`, 1): "/lease_id",
	} {
		want := `{"error":"invalid JSON: Unprocessable Entity","code":"invalid_input"`
		if field != "" {
			want += `,"field":"` + field + `"`
		}
		a.is("POST", cancel, body, 422, want+"}")
	}
	got := a.ask("POST", cancel, `{"execution_id":"a secret"}`)
	if strings.Contains(string(got.text), "secret") {
		a.Errorf("a refusal repeats what was sent: %s", got.text)
	}
	a.is("POST", cancel, strings.Replace(good, `"reason"`, `"reason":"q","reason"`, 1), 422, `{"error":"invalid JSON: Unprocessable Entity"}`)
	for _, media := range []string{"", "text/plain", "application/x-json", "application/jsonp", "json", "application/json; charset", "multipart/form-data"} {
		a.is("POST", cancel, good, 415, `{"error":"invalid JSON: Unsupported Media Type","code":"invalid_input"}`, "Content-Type", media)
	}
	for _, body := range []string{`"input_payload":"e30="`, `"input_payload":null`, `"input_payload":[256]`, `"input_payload":[-1]`, `"input_payload":[1.0]`, `"input_payload":["1"]`, `"input_payload":{}`, `"x":1`} {
		a.is("POST", "/v1/executions", strings.Replace(a.submission(a.mint(), ""), `"input_payload":[]`, body, 1), 422, `{"error":"invalid JSON: Unprocessable Entity","field":"/input_payload"}`)
	}
	a.refusedWith("POST", "/v1/executions", a.submission(a.mint(), `,"input_payload_b64":""`), 400, "invalid_input: input_payload and input_payload_b64 are both given")
	a.is("POST", "/v1/executions", strings.Replace(a.submission(a.mint(), ""), `"input_payload":[]`, `"input_payload_b64":"!"`, 1), 422, `{"error":"invalid JSON: Unprocessable Entity","field":"/input_payload_b64"}`)
	for more, field := range map[string]string{
		`,"tags":null`: "/tags", `,"tags":{"a":1}`: "/tags/a", `,"partition_id":65536`: "/partition_id", `,"idempotency_key":7`: "/idempotency_key",
	} {
		a.is("POST", "/v1/executions", a.submission(a.mint(), more), 422, `{"error":"invalid JSON: Unprocessable Entity","field":"`+field+`"}`)
	}
	for lane, status := range map[string]int{"": 422, "ä": 422, strings.Repeat("l", 65): 422} {
		a.is("POST", "/v1/executions", strings.Replace(a.submission(a.mint(), ""), `"lane_id":"`+string(a.lane), `"lane_id":"`+lane, 1), status, `{"error":"invalid JSON: Unprocessable Entity","field":"/lane_id"}`)
	}
	a.refusedWith("POST", "/v1/executions", strings.Replace(a.submission(a.mint(), ""), `"acme"`, `"a b"`, 1), 400, "invalid_input: namespace")
}

func badPaths(a *api, id ff.ExecutionID) {
	a.Helper()
	another := a.mint().String()
	body := `{"execution_id":"` + another + `","reason":"r","now":1}`
	a.is("POST", at(id, "/cancel"), body, 400, `{"error":"path execution_id does not match body execution_id"}`)
	a.refusedWith("POST", at(id, "/signal"), strings.Replace(signalBody(id, ff.NewWaitpointID(), "t", ""), id.String(), another, 1), 400, "path execution_id does not match body execution_id")
	flow := ff.NewFlowID().String()
	for path, more := range map[string]string{
		"/members": `"execution_id":"` + another + `"`, "/cancel": `"reason":"r","cancellation_policy":"cancel_all"`,
		"/edges":       `"edge_id":"` + flow + `","upstream_execution_id":"` + another + `","downstream_execution_id":"` + another + `","expected_graph_revision":1`,
		"/edges/apply": `"edge_id":"` + flow + `","upstream_execution_id":"` + another + `","downstream_execution_id":"` + another + `","graph_revision":1`,
	} {
		body := `{"flow_id":"` + flow + `",` + more + `,"now":1}`
		a.is("POST", "/v1/flows/"+ff.NewFlowID().String()+path, body, 400, `{"error":"path flow_id does not match body flow_id"}`)
		a.refusedWith("POST", "/v1/flows/x"+path, body, 400, "invalid flow_id: ")
		a.refusedWith("POST", "/v1/flows/x"+path, `{}`, 422, "invalid JSON: ") // the body comes first
	}
	const uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	for text, problem := range map[string]string{
		"x": "execution_id is missing the `{fp:N}:` hash-tag prefix: x", uuid: "execution_id is missing the `{fp:N}:` hash-tag prefix: " + uuid,
		"%7Bfp:x%7D:" + uuid:     "execution_id partition index is not a valid u16: {fp:x}:" + uuid,
		"%7Bfp:65536%7D:" + uuid: "execution_id partition index is not a valid u16: {fp:65536}:" + uuid,
		"%7Bfp:1%7D:x":           "execution_id UUID suffix is not a valid UUID: {fp:1}:x",
		"%ff":                    "execution_id is missing the `{fp:N}:` hash-tag prefix: it is not UTF-8",
		"%7Bfp:0%7D:00000000-0000-0000-0000-000000000000": "execution_id UUID suffix is not a valid UUID: it is nil",
	} {
		for _, path := range []string{"", "/state", "/result", "/pending-waitpoints", "/attempts/0/stream", "/attempts/0/stream/tail", "/waitpoints/" + uuid + "/token"} {
			a.is("GET", "/v1/executions/"+text+path, "", 400, `{"error":"invalid execution_id: `+problem+`","code":"invalid_input"}`)
		}
		for _, path := range []string{"/replay", "/revoke-lease"} {
			a.is("POST", "/v1/executions/"+text+path, "", 400, `{"error":"invalid execution_id: `+problem+`"}`)
		}
	}
	for _, path := range []string{"/v1/executions/", at(id, "/state/"), "/v1/flows/", "/v1/executions/" + uuid + "/nothing", "/v2/executions"} {
		a.is("GET", path, "", 404, `{"error":"not found","code":"not_found"}`)
	}
	for path, allow := range map[string]string{at(id, "/state"): "GET, HEAD", at(id, "/cancel"): "POST", at(id, "/priority"): "PUT", "/v1/executions": "GET, HEAD, POST"} {
		got := a.is("DELETE", path, "", 405, `{"error":"method not allowed","code":"method_not_allowed"}`)
		a.equal("Allow", got.header.Get("Allow"), allow)
	}
	a.refusedWith("GET", at(id, "?include=tags,nothing"), "", 400, "invalid_input: include: ")
	a.refusedWith("GET", at(id, "?include=tags&include=policy"), "", 400, "Failed to deserialize query string: include: duplicate field")
	head := a.ask("HEAD", at(id, ""), "")
	a.equal("HEAD", []any{head.status, len(head.text)}, []any{200, 0})
}
