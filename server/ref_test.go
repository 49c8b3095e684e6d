package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// slow is a service whose rotations and tails last until they are let go, or their time is over.
type slow struct {
	flowfabric.Service
	entered chan struct{}
	hold    chan struct{}
	err     error // of what was let go
}

func (s *slow) wait(ctx context.Context) error {
	s.entered <- struct{}{}
	select {
	case <-s.hold:
		return s.err
	case <-ctx.Done():
		return &flowfabric.Error{Code: flowfabric.CodeTimeout, Err: context.Cause(ctx)}
	}
}

func (s *slow) RotateSecret(ctx context.Context, _ flowfabric.RotateSecret) (flowfabric.RotateResult, error) {
	return flowfabric.RotateResult{}, s.wait(ctx)
}

func (s *slow) TailStream(ctx context.Context, _ flowfabric.TailStream) (flowfabric.StreamPage, error) {
	return flowfabric.StreamPage{}, s.wait(ctx)
}

const (
	rotatePath = "/v1/admin/rotate-waitpoint-secret"
	rotateBody = `{"new_kid":"k2","new_secret_hex":"00112233445566778899aabbccddeeff"}`
	tailPath   = "/v1/executions/" + unknown + "/attempts/0/stream/tail?block_ms=30000"
)

// refusal is what the reference says of a refusal.
func refusal(answer map[string]any) map[string]any {
	some := map[string]any{}
	for _, name := range []string{"error", "kind", "retryable"} {
		if v, ok := answer[name]; ok {
			some[name] = v
		}
	}
	return some
}

func TestReference_OneRotationAtATime(t *testing.T) {
	svc := &slow{entered: make(chan struct{}), hold: make(chan struct{})}
	h := over(t, svc, server.Config{})
	first := make(chan int)
	go func() {
		status, _, _ := ask(t, h, "POST", rotatePath, rotateBody)
		first <- status
	}()
	<-svc.entered
	status, header, answer := ask(t, h, "POST", rotatePath, rotateBody)
	want := map[string]any{"error": "too many concurrent admin_rotate calls (server max: 1); retry with backoff", "retryable": true}
	if diff := cmp.Diff(want, refusal(answer)); diff != "" || status != 429 || header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q (-want +got):\n%s", status, header.Get("Retry-After"), diff)
	}
	close(svc.hold)
	if status := <-first; status != 200 {
		t.Errorf("the first: status %d", status)
	}
}

func TestReference_FaultsOfARotationAreTheServers(t *testing.T) {
	for _, c := range []struct {
		code   flowfabric.Code
		status int
		want   map[string]any
	}{
		{"timeout", 504, map[string]any{
			"error":     "rotation exceeded 120s server-side timeout; retry is safe (per-partition rotation is idempotent on the same new_kid + secret_hex)",
			"retryable": true,
		}},
		{"unavailable", 503, map[string]any{"error": "backend op unavailable: rotate", "kind": "unavailable", "retryable": true}},
	} {
		svc := &slow{
			entered: make(chan struct{}, 1), hold: make(chan struct{}),
			err: &flowfabric.Error{Code: c.code, Op: "rotate", Err: context.DeadlineExceeded},
		}
		close(svc.hold)
		status, _, answer := ask(t, over(t, svc, server.Config{}), "POST", rotatePath, rotateBody)
		if diff := cmp.Diff(c.want, refusal(answer)); diff != "" || status != c.status {
			t.Errorf("status %d, want %d (-want +got):\n%s", status, c.status, diff)
		}
	}
}

func TestReference_AStopReleasesTailsAndTakesNoMore(t *testing.T) {
	svc := &slow{entered: make(chan struct{}), hold: make(chan struct{})}
	srv := over(t, svc, server.Config{})
	tail := make(chan string)
	go func() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tailPath, nil)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		tail <- w.Body.String()
	}()
	<-svc.entered
	stopped(t, srv)
	if got := <-tail; got != `{"frames":[],"count":0}` {
		t.Errorf("the tail is answered %s", got)
	}
	for path, want := range map[string]map[string]any{
		tailPath:   {"error": "backend op unavailable: stream_ops", "kind": "unavailable", "retryable": false},
		rotatePath: {"error": "backend op unavailable: admin_rotate", "kind": "unavailable", "retryable": false},
	} {
		method := map[bool]string{true: "POST", false: "GET"}[path == rotatePath]
		status, header, answer := ask(t, srv, method, path, rotateBody)
		if diff := cmp.Diff(want, refusal(answer)); diff != "" || status != 503 || header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d (-want +got):\n%s", path, status, diff)
		}
	}
}

// stopped lets a server serve nothing, and stop.
func stopped(t *testing.T, srv *server.Server) {
	t.Helper()
	l := httptest.NewUnstartedServer(nil).Listener
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := srv.Serve(ctx, l); err != nil {
		t.Error(err)
	}
}

func TestReference_AStoreThatDoesNotAnswerInTimeIs504(t *testing.T) {
	status, _, answer := ask(t, over(t, &late{}, server.Config{}), "GET", "/v1/executions/"+unknown, "")
	if diff := cmp.Diff(map[string]any{"error": "engine: describe: timeout", "retryable": true}, refusal(answer)); diff != "" || status != 504 {
		t.Errorf("status %d (-want +got):\n%s", status, diff)
	}
}

// late is a service that cannot say in time.
type late struct{ flowfabric.Service }

func (*late) Describe(context.Context, flowfabric.ExecutionID) (flowfabric.ExecutionSnapshot, error) {
	return flowfabric.ExecutionSnapshot{}, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "describe", Err: context.DeadlineExceeded}
}

// manyMembers is a service with a flow whose cancel takes several commits.
type manyMembers struct {
	flowfabric.Service
	summary flowfabric.FlowSummary
	waited  time.Duration
}

func (m *manyMembers) CancelFlow(_ context.Context, cmd flowfabric.CancelFlow) (flowfabric.CancelFlowResult, error) {
	return flowfabric.CancelFlowResult{Policy: cmd.Policy, Count: 2500, Members: make([]flowfabric.ExecutionID, 1000)}, nil
}

func (m *manyMembers) WaitFlow(_ context.Context, _ flowfabric.FlowID, wait time.Duration) (flowfabric.FlowSummary, error) {
	m.waited = wait
	return m.summary, nil
}

func TestReference_AFlowWhoseCancelTakesTooLongIsScheduled(t *testing.T) {
	const flow = "550e8400-e29b-41d4-a716-446655440000"
	for _, c := range []struct {
		query   string
		ended   int
		waited  time.Duration
		variant string
	}{
		{"", 0, 0, "CancellationScheduled"},
		{"?wait=true", 2500, time.Minute, "Cancelled"},
		{"?wait=true&wait_timeout_ms=1500", 2499, 1500 * time.Millisecond, "CancellationScheduled"},
	} {
		svc := &manyMembers{summary: flowfabric.FlowSummary{NodeCount: 2500, Ended: c.ended}}
		status, _, answer := ask(t, over(t, svc, server.Config{}), "POST", "/v1/flows/"+flow+"/cancel"+c.query,
			`{"flow_id":"`+flow+`","reason":"r","cancellation_policy":"cancel_all","now":1}`)
		told, _ := answer[c.variant].(map[string]any)
		if status != 200 || told == nil || svc.waited != c.waited || c.variant != "Cancelled" && told["member_count"] != float64(2500) {
			t.Errorf("%q: waited %s, status %d, want %s", c.query, svc.waited, status, c.variant)
		}
	}
}

// FuzzReference: whatever a body or a query says, no route of the reference fails, and a refusal is JSON with a code.
func FuzzReference(f *testing.F) {
	const flow, budget = "550e8400-e29b-41d4-a716-446655440000", "a1a2a3a4-b1b2-41d2-8c1c-0011223344ff"
	routes := [][2]string{
		{"GET", "/v1/executions"},
		{"POST", "/v1/executions"},
		{"GET", "/v1/executions/{id}"},
		{"GET", "/v1/executions/{id}/state"},
		{"GET", "/v1/executions/{id}/pending-waitpoints"},
		{"GET", "/v1/executions/{id}/waitpoints/" + flow + "/token"},
		{"GET", "/v1/executions/{id}/result"},
		{"POST", "/v1/executions/{id}/cancel"},
		{"POST", "/v1/executions/{id}/signal"},
		{"PUT", "/v1/executions/{id}/priority"},
		{"POST", "/v1/executions/{id}/replay"},
		{"POST", "/v1/executions/{id}/revoke-lease"},
		{"POST", "/v1/executions/{id}/reclaim"},
		{"POST", "/v1/workers/w/claim"},
		{"GET", "/v1/executions/{id}/attempts/0/stream"},
		{"GET", "/v1/executions/{id}/attempts/0/stream/tail"},
		{"POST", "/v1/flows"},
		{"POST", "/v1/flows/" + flow + "/members"},
		{"POST", "/v1/flows/" + flow + "/cancel"},
		{"POST", "/v1/flows/" + flow + "/edges"},
		{"POST", "/v1/flows/" + flow + "/edges/apply"},
		{"POST", "/v1/budgets"},
		{"GET", "/v1/budgets/" + budget},
		{"POST", "/v1/budgets/" + budget + "/usage"},
		{"POST", "/v1/budgets/" + budget + "/reset"},
		{"POST", "/v1/quotas"},
		{"POST", rotatePath},
	}
	const id = "{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	f.Add(1, "strict=true", `{"execution_id":"`+id+`","namespace":"acme","lane_id":"default","execution_kind":"k","input_payload":[123,125],"priority":5,
		"creator_identity":"c","tags":{"team":"search"},"policy":{"retry_policy":{"backoff":{"type":"fixed","delay_ms":50}}},"now":1}`)
	f.Add(0, "partition=24&limit=3&cursor=", "")
	f.Add(7, "", `{"execution_id":"`+id+`","reason":"r","lease_epoch":1,"now":1}`)
	f.Add(8, "", `{"execution_id":"`+id+`","waitpoint_id":"`+flow+`","signal_id":"`+flow+`","signal_name":"n","signal_category":"","source_type":"","source_identity":"",
		"target_scope":"waitpoint","waitpoint_token":"k1:0","payload":[0,255],"now":1}`)
	f.Add(12, "", `{"worker_id":"w","worker_instance_id":"w","lane_id":"l","grant_ttl_ms":1}`)
	f.Add(13, "", `{"worker_instance_id":"w","lane_id":"l","grant_ttl_ms":1,"capabilities":["a"]}`)
	f.Add(15, "after=0-0&limit=1", "")
	f.Add(18, "wait=1&wait_timeout_ms=0", `{"flow_id":"`+flow+`","reason":"r","cancellation_policy":"cancel_all","now":1}`)
	f.Add(19, "", `{"flow_id":"`+flow+`","edge_id":"`+flow+`","upstream_execution_id":"`+id+`","downstream_execution_id":"`+id+`","expected_graph_revision":1,"now":1}`)
	f.Add(21, "", `{"budget_id":"`+budget+`","scope_type":"flow","scope_id":"f","enforcement_mode":"strict","on_hard_limit":"fail","on_soft_limit":"warn","reset_interval_ms":0,
		"dimensions":["t"],"hard_limits":[1],"soft_limits":[1],"now":1}`)
	f.Add(23, "", `{"dimensions":{"t":1},"now":1}`)
	f.Add(25, "", `{"quota_policy_id":"`+flow+`","window_seconds":60,"max_requests_per_window":1,"max_concurrent":1,"now":1}`)
	f.Add(26, "", rotateBody)
	eng, err := engine.Open(f.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := eng.Close(context.Background()); err != nil {
			f.Error(err)
		}
	})
	h, err := server.New(eng, server.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at int, query, body string) {
		if strings.Contains(query, "block_ms") || strings.Contains(query, "wait") {
			query = "" // it is only a matter of time
		}
		route := routes[max(at, -at-1)%len(routes)]
		r := httptest.NewRequestWithContext(t.Context(), route[0], "/", strings.NewReader(body))
		r.URL.Path, r.URL.RawQuery = strings.Replace(route[1], "{id}", id, 1), query
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s?%s with %q: %d %s", route[0], route[1], query, body, w.Code, w.Body)
		}
		var refused struct {
			Error, Code string
		}
		if w.Code >= 400 && (json.Unmarshal(w.Body.Bytes(), &refused) != nil || refused.Error == "" || refused.Code == "") {
			t.Errorf("%s %s?%s with %q: %d %s", route[0], route[1], query, body, w.Code, w.Body)
		}
	})
}
