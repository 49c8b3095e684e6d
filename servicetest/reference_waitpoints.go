package servicetest

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// signalBody is a signal to a waitpoint, with a fresh id.
func signalBody(id ff.ExecutionID, point ff.WaitpointID, token, more string) string {
	return `{"execution_id":"` + id.String() + `","waitpoint_id":"` + point.String() + `","signal_id":"` + ff.NewSignalID().String() + `","signal_name":"pwp_signal",
		"signal_category":"external","source_type":"user","source_identity":"alice","target_scope":"waitpoint","waitpoint_token":"` + token + `","now":1` + more + `}`
}

func testRefWaitpoints(e *env) {
	a := e.api(ffserver.Config{})
	c, point := e.parked(ff.Suspend{Condition: ff.OnNamed(approvalKey, "pwp_signal"), Timeout: time.Hour})
	id := c.ExecutionID
	got := a.ask("GET", at(id, "/pending-waitpoints"), "")
	list, _ := a.parse(got.text).([]any)
	if len(list) != 1 || got.status != 200 || got.header.Get("Deprecation") != "" || strings.Contains(string(got.text), "waitpoint_token") || got.header.Get("X-Next-Cursor") != "" {
		e.Errorf("the listing is %d %s %v", got.status, got.text, got.header)
	}
	kid, _ := point.Token.Fingerprint()
	entry := list[0].(map[string]any)
	fingerprint, _ := entry["token_fingerprint"].(string)
	e.equal("an entry", []any{entry["state"], entry["required_signal_names"], entry["token_kid"], len(fingerprint), fmt.Sprint(entry["activated_at"])},
		[]any{"active", []any{"pwp_signal"}, kid, 16, fmt.Sprint(e.pace.now())})

	token := a.is("GET", at(id, "/waitpoints/"+point.WaitpointID.String()+"/token"), "", 200, `{"token":"`+point.Token.Reveal()+`"}`)
	e.equal("Cache-Control", token.header.Get("Cache-Control"), "no-store")
	unknown := `{"error":"waitpoint token not found (consumed, expired, or unknown id)"}`
	missing := a.is("GET", at(id, "/waitpoints/"+ff.NewWaitpointID().String()+"/token"), "", 404, unknown)
	e.equal("Cache-Control", missing.header.Get("Cache-Control"), "no-store")
	stranger := e.submit(ff.Submit{Lane: e.lane + "s"})
	a.is("GET", at(stranger, "/waitpoints/"+point.WaitpointID.String()+"/token"), "", 404, unknown) // H07
	a.is("GET", at(stranger, "/pending-waitpoints"), "", 200, `[]`)
	a.refusedWith("GET", at(id, "/waitpoints/x/token"), "", 400, "waitpoint_id: ")

	e.unchanged("signals without authority", id, func() {
		for _, token := range []string{"", "x", kid + ":" + strings.Repeat("0", 64), "k9" + strings.TrimPrefix(point.Token.Reveal(), kid)} {
			a.refusedWith("POST", at(id, "/signal"), signalBody(id, point.WaitpointID, token, ""), 400, "invalid_token")
		}
		a.refusedWith("POST", at(id, "/signal"), signalBody(id, ff.NewWaitpointID(), point.Token.Reveal(), ""), 400, "invalid_token")
		a.refusedWith("POST", at(id, "/signal"), signalBody(id, point.WaitpointID, point.Token.Reveal(), `,"payload":[1],"payload_b64":"AQ=="`), 400, "invalid_input: payload and payload_b64")
		a.refusedWith("POST", at(id, "/signal"), signalBody(id, point.WaitpointID, point.Token.Reveal(), `,"dedup_ttl_ms":18446744073709551615`), 400, "invalid_input: dedup_ttl")
		a.refusedWith("POST", at(id, "/signal"), signalBody(id, point.WaitpointID, point.Token.Reveal(), `,"resume_delay_ms":3600001`), 400, "invalid_input: resume_delay")
	})
	first := signalBody(id, point.WaitpointID, point.Token.Reveal(), `,"idempotency_key":"k","payload_b64":"AQ==","max_signals_per_execution":1,"resume_delay_ms":0`)
	sent, _ := a.member([]byte(first), "signal_id").(string)
	a.is("POST", at(id, "/signal"), first, 200, `{"Accepted":{"signal_id":"`+sent+`","effect":"resume_condition_satisfied"}}`)
	a.is("POST", at(id, "/signal"), signalBody(id, point.WaitpointID, point.Token.Reveal(), `,"idempotency_key":"k"`), 200, `{"Duplicate":{"existing_signal_id":"`+sent+`"}}`)
	a.is("GET", at(id, "/waitpoints/"+point.WaitpointID.String()+"/token"), "", 404, unknown) // consumed
	a.is("GET", at(id, "/pending-waitpoints"), "", 200, `[]`)

	expired, gone := e.on(e.T, string(e.lane)+"e").parked(ff.Suspend{Timeout: time.Minute, TimeoutBehavior: ff.TimeoutFails})
	e.advance(time.Minute)
	a.is("GET", at(expired.ExecutionID, "/waitpoints/"+gone.WaitpointID.String()+"/token"), "", 404, unknown)
	testPendingPages(a)
}

// testPendingPages: a suspension with many waitpoints is told page by page (H06).
func testPendingPages(a *api) {
	a.Helper()
	var bindings []ff.WaitpointBinding
	var parts []ff.Condition
	for n := range 5 {
		key := fmt.Sprintf("k%d", n)
		bindings = append(bindings, ff.WaitpointBinding{Key: key})
		parts = append(parts, ff.OnSignal(key))
	}
	c := a.on(a.T, string(a.lane)+"p").running(ff.Submit{})
	a.suspend(c, ff.Suspend{Waitpoints: bindings, Condition: ff.OnAll(parts...)})
	seen := make(map[any]bool)
	cursor, pages := "", 0
	for more := true; more; more = cursor != "" {
		got := a.ask("GET", at(c.ExecutionID, "/pending-waitpoints?limit=2&after="+url.QueryEscape(cursor)), "")
		if cursor == "" {
			got = a.ask("GET", at(c.ExecutionID, "/pending-waitpoints?limit=2"), "")
		}
		list, _ := a.parse(got.text).([]any)
		for _, entry := range list {
			seen[entry.(map[string]any)["waitpoint_id"]] = true
		}
		cursor = got.header.Get("X-Next-Cursor")
		if pages++; pages > 3 {
			a.Fatal("the pages have no end")
		}
	}
	a.equal("waitpoints of three pages", []int{len(seen), pages}, []int{5, 3})
	a.refusedWith("GET", at(c.ExecutionID, "/pending-waitpoints?limit=0"), "", 400, "limit must be >= 1")
	a.refusedWith("GET", at(c.ExecutionID, "/pending-waitpoints?after=x"), "", 400, "Failed to deserialize query string: after: ")
}

// testRefSuspendRound: claim over HTTP, suspend by the worker protocol, signal and claim again over HTTP, complete.
func testRefSuspendRound(e *env) {
	a := e.api(ffserver.Config{})
	id := a.mint()
	a.create(id, "")
	c := a.grantedTo("pool", a.claimBody())
	fence := fmt.Sprintf(`{"lease_id":"%s","epoch":%d,"attempt_id":"%s"}`, c.Fence.LeaseID, c.Fence.Epoch, c.Fence.AttemptID)
	suspended := a.ask("POST", "/v1/leases/suspend", `{"items":[{"execution_id":"`+id.String()+`","fence":`+fence+`,"condition":`+a.json(ff.OnSignal(approvalKey))+`}]}`)
	results, _ := a.member(suspended.text, "results").([]any)
	if suspended.status != 200 || len(results) != 1 {
		e.Fatalf("suspend: %d %s", suspended.status, suspended.text)
	}
	value, _ := results[0].(map[string]any)["value"].(map[string]any)
	points, _ := value["waitpoints"].([]any)
	if len(points) != 1 {
		e.Fatalf("suspend: %s", suspended.text)
	}
	point := points[0].(map[string]any)
	var waitpoint ff.WaitpointID
	e.ok(waitpoint.UnmarshalText([]byte(point["waitpoint_id"].(string))))
	a.is("GET", at(id, "/state"), "", 200, `"suspended"`)
	a.is("POST", "/v1/workers/pool/claim", a.claimBody(), 204, "")
	body := signalBody(id, waitpoint, point["token"].(string), "")
	sent, _ := a.member([]byte(body), "signal_id").(string)
	a.is("POST", at(id, "/signal"), body, 200, `{"Accepted":{"signal_id":"`+sent+`","effect":"resume_condition_satisfied"}}`)
	c = a.grantedTo("pool", a.claimBody())
	e.equal("the attempt goes on", []any{c.ExecutionID, c.Fence.AttemptIndex, c.Fence.Epoch}, []any{id, 0, uint64(2)})
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: c.Fence}))
	a.is("GET", at(id, "/state"), "", 200, `"completed"`)
}
