package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/apicheck"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving returns a server over an engine in memory.
func serving(t *testing.T, cfg server.Config) http.Handler {
	t.Helper()
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return over(t, eng, cfg)
}

func over(t *testing.T, svc flowfabric.Service, cfg server.Config) *server.Server {
	t.Helper()
	s, err := server.New(svc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes a request with a JSON body and returns the status, the header and the JSON of the answer.
func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) (int, http.Header, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	apicheck.Checked(t, h).ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: the answer %q is no JSON object: %v", method, path, w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: content type %q", method, path, got)
	}
	return w.Code, w.Header(), answer
}

const unknown = "{fp:7}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"

func TestServer_AnswersWhatItCannotServe(t *testing.T) {
	h := serving(t, server.Config{})
	for _, c := range []struct {
		name, method, path, body, contentType string
		status                                int
		want                                  map[string]any
	}{
		{"no such path", "GET", "/v1/nothing", "", "", 404, map[string]any{"error": "not found", "code": "not_found"}},
		{"no such method", "DELETE", "/v1/calls/submit", "", "", 405, map[string]any{"error": "method not allowed", "code": "method_not_allowed"}},
		{"no JSON", "POST", "/v1/calls/submit", "{", "", 400, map[string]any{
			"error": "invalid JSON: Bad Request", "code": "invalid_input", "detail": "the body is not valid JSON, at byte 1",
		}},
		{"unknown member", "POST", "/v1/calls/submit", `{"lane":"a","lan":"b"}`, "", 422, map[string]any{
			"error": "invalid JSON: Unprocessable Entity", "code": "invalid_input", "field": "/lan", "detail": "unknown field",
		}},
		{"wrong type", "POST", "/v1/calls/submit", `{"priority":"high"}`, "", 422, map[string]any{
			"error": "invalid JSON: Unprocessable Entity", "code": "invalid_input", "field": "/priority", "detail": "want an integer, not a JSON string",
		}},
		{"other content type", "POST", "/v1/calls/submit", `{}`, "text/plain", 415, map[string]any{
			"error": "invalid JSON: Unsupported Media Type", "code": "invalid_input", "detail": "the content type must be application/json",
		}},
		{"not valid", "POST", "/v1/calls/submit", `{"lane":"a"}`, "", 400, map[string]any{
			"error": "invalid_input: kind is empty", "code": "invalid_input", "op": "submit",
			"detail": "kind is empty", "attrs": map[string]any{"field": "kind"},
		}},
		{"not found", "GET", "/v1/executions/" + unknown + "/describe", "", "", 404, map[string]any{
			"error": "not found: execution", "code": "execution_not_found", "op": "describe", "detail": unknown,
		}},
		{"bad id in a path", "GET", "/v1/executions/7/describe", "", "", 400, map[string]any{
			"error": "invalid_input: execution_id: want a string that is valid", "code": "invalid_input", "op": "describe",
			"detail": "execution_id: want a string that is valid", "attrs": map[string]any{"field": "execution_id"},
		}},
		{"unknown query", "GET", "/v1/flows?limt=3", "", "", 400, map[string]any{
			"error": "invalid_input: limt: unknown parameter", "code": "invalid_input", "op": "list_flows",
			"detail": "limt: unknown parameter", "attrs": map[string]any{"field": "limt"},
		}},
		{"empty batch", "POST", "/v1/leases/complete", `{"items":[]}`, "", 400, map[string]any{
			"error": "invalid_input: items must have 1 to 1,000 commands", "code": "invalid_input", "op": "complete",
			"detail": "items must have 1 to 1,000 commands", "attrs": map[string]any{"field": "items"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := []string{"X-Request-Id", "r-1"}
			if c.contentType != "" {
				header = append(header, "Content-Type", c.contentType)
			}
			status, got, answer := ask(t, h, c.method, c.path, c.body, header...)
			c.want["request_id"] = "r-1"
			if diff := cmp.Diff(c.want, answer); diff != "" || status != c.status {
				t.Errorf("status %d, want %d; answer (-want +got):\n%s", status, c.status, diff)
			}
			if status == 405 && got.Get("Allow") != "POST" {
				t.Errorf("Allow is %q", got.Get("Allow"))
			}
		})
	}
}

func TestServer_ABodyMayHaveEightMebibytes(t *testing.T) {
	h := serving(t, server.Config{})
	body := func(size int) string { return `{"lane":"` + strings.Repeat("x", size-len(`{"lane":""}`)) + `"}` }
	if status, _, _ := ask(t, h, "POST", "/v1/calls/submit", body(8<<20)); status != 400 {
		t.Errorf("status %d at the bound, want 400 for the lane", status)
	}
	status, _, answer := ask(t, h, "POST", "/v1/calls/submit", body(8<<20+1), "X-Request-Id", "r")
	want := map[string]any{"error": "payload_too_large", "code": "payload_too_large", "limit_bytes": float64(8 << 20), "route": "/v1/calls/submit", "request_id": "r"}
	if diff := cmp.Diff(want, answer); diff != "" || status != 413 {
		t.Errorf("status %d, answer (-want +got):\n%s", status, diff)
	}
}

func TestServer_RequestIDsAreThoseOfCallersIfTheyArePrintable(t *testing.T) {
	h := serving(t, server.Config{})
	long := strings.Repeat("a", 128)
	for id, taken := range map[string]bool{"r-1": true, long: true, long + "a": false, "a b": false, "ü": false, "": false} {
		_, header, _ := ask(t, h, "GET", "/v1/capabilities", "", "X-Request-Id", id)
		if got := header.Get("X-Request-Id"); (got == id) != taken || got == "" {
			t.Errorf("request id %q is answered with %q", id, got)
		}
	}
}

func TestServer_ResourcesAreOperations(t *testing.T) {
	h := serving(t, server.Config{})
	status, _, created := ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail","kind":"send","tags":{"team.name":"a"},"payload":"e30=","delay_ms":60000}`)
	if status != 200 || created["outcome"] != "created" {
		t.Fatalf("status %d, %v", status, created)
	}
	id := created["id"].(string)
	status, _, described := ask(t, h, "GET", "/v1/executions/"+strings.NewReplacer("{", "%7B", "}", "%7D", ":", "%3A").Replace(id)+"/describe", "")
	if status != 200 || described["execution_id"] != id || described["public_state"] != "delayed" {
		t.Errorf("status %d, %v", status, described)
	}
	status, _, tagged := ask(t, h, "PUT", "/v1/executions/"+id+"/tags", `{"execution_id":"`+unknown+`","tags":{"env.name":"test"}}`)
	if status != 200 || len(tagged) != 0 {
		t.Errorf("status %d, %v: the id of the path counts", status, tagged)
	}
	status, _, lanes := ask(t, h, "GET", "/v1/lanes?limit=1", "")
	if items, _ := lanes["items"].([]any); status != 200 || len(items) != 1 {
		t.Errorf("status %d, %v", status, lanes)
	}
	_, _, waited := ask(t, h, "GET", "/v1/executions/"+id+"/wait?timeout_ms=1", "")
	if waited["outcome"] != "none" {
		t.Errorf("waited: %v", waited)
	}
}

func TestServer_ABatchAnswersEachCommandOnItsOwn(t *testing.T) {
	h := serving(t, server.Config{})
	for range 2 {
		if status, _, answer := ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail","kind":"send"}`); status != 200 {
			t.Fatal(answer)
		}
	}
	_, _, claimed := ask(t, h, "POST", "/v1/leases/claim", `{"lanes":["mail"],"worker_id":"w","worker_instance_id":"w-1","max":2}`)
	list, _ := claimed["executions"].([]any)
	if len(list) != 2 {
		t.Fatalf("claimed %v", claimed)
	}
	item := func(i int) string {
		c := list[i].(map[string]any)
		text, err := json.Marshal(map[string]any{"execution_id": c["execution_id"], "fence": c["fence"]})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	status, _, answer := ask(t, h, "POST", "/v1/leases/complete", `{"items":[`+item(0)+`,{"execution_id":"`+unknown+`"},{"bad":1},`+item(1)+`]}`)
	results, _ := answer["results"].([]any)
	if status != 200 || len(results) != 4 {
		t.Fatalf("status %d, %v", status, answer)
	}
	var codes []any
	for _, r := range results {
		e, _ := r.(map[string]any)["error"].(map[string]any)
		codes = append(codes, e["code"])
	}
	if diff := cmp.Diff([]any{nil, "execution_not_found", "invalid_input", nil}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// blocking is a service whose waits last until they are let go, and whose reads panic.
type blocking struct {
	flowfabric.Service
	entered chan struct{}
	hold    chan struct{}
}

func (b *blocking) Wait(ctx context.Context, _ flowfabric.ExecutionID, _ time.Duration) (flowfabric.Result, error) {
	b.entered <- struct{}{}
	select {
	case <-b.hold:
		return flowfabric.Result{Outcome: flowfabric.OutcomeSuccess}, nil
	case <-ctx.Done():
		return flowfabric.Result{}, &flowfabric.Error{Code: flowfabric.CodeTimeout, Err: context.Cause(ctx)}
	}
}

func (b *blocking) ListLanes(context.Context, flowfabric.ListLanes) (flowfabric.Page[flowfabric.LaneSnapshot], error) {
	panic("a secret")
}

func TestServer_OneRequestTooManyIsToldWhenToComeAgain(t *testing.T) {
	svc := &blocking{entered: make(chan struct{}), hold: make(chan struct{})}
	h := over(t, svc, server.Config{MaxWaits: 1})
	first := make(chan int)
	go func() {
		status, _, _ := ask(t, h, "POST", "/v1/calls/wait", `{}`)
		first <- status
	}()
	<-svc.entered
	status, header, answer := ask(t, h, "POST", "/v1/calls/wait", `{}`, "X-Request-Id", "r")
	want := map[string]any{
		"error": "too many concurrent waits calls (server max: 1); retry with backoff", "kind": "resource_exhausted", "retryable": true,
		"code": "resource_exhausted", "attrs": map[string]any{"pool": "waits", "max": "1", "retry_after_ms": "100"}, "retry_after_ms": float64(100),
		"request_id": "r",
	}
	if diff := cmp.Diff(want, answer); diff != "" || status != 429 || header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q, answer (-want +got):\n%s", status, header.Get("Retry-After"), diff)
	}
	close(svc.hold)
	if status := <-first; status != 200 {
		t.Errorf("the first: status %d", status)
	}
}

func TestServer_APanicIsAnErrorThatTellsNothing(t *testing.T) {
	var log bytes.Buffer
	h := over(t, &blocking{}, server.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	status, _, answer := ask(t, h, "GET", "/v1/lanes", "")
	if status != 500 || answer["code"] != "bug" || strings.Contains(answer["error"].(string), "secret") {
		t.Errorf("status %d, %v", status, answer)
	}
	if !strings.Contains(log.String(), "a secret") || !strings.Contains(log.String(), "server_test.go") {
		t.Errorf("the log does not tell what panicked, and where: %s", &log)
	}
}

func TestServe_AStopAnswersWaitsAtOnce(t *testing.T) {
	svc := &blocking{entered: make(chan struct{}), hold: make(chan struct{})}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- over(t, svc, server.Config{}).Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func() (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String()+"/v1/calls/wait", strings.NewReader("{}"))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return res.StatusCode, errors.Join(err, res.Body.Close())
	}
	waiting := make(chan int)
	go func() {
		status, err := post()
		if err != nil {
			t.Error(err)
		}
		waiting <- status
	}()
	<-svc.entered
	stop()
	if status := <-waiting; status != http.StatusServiceUnavailable {
		t.Errorf("the wait is answered %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := post(); err == nil {
		t.Error("a server that has stopped takes requests")
	}
}

func TestNew_RefusesABadConfig(t *testing.T) {
	for name, cfg := range map[string]server.Config{
		"reads": {MaxReads: -1}, "writes": {MaxWrites: 1_000_001}, "waits": {MaxWaits: -5}, "timeout": {RequestTimeout: time.Second - 1},
		"long timeout": {RequestTimeout: 10*time.Minute + 1}, "shutdown": {ShutdownTimeout: time.Millisecond - 1},
	} {
		if _, err := server.New(&blocking{}, cfg); !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%s: %v, want invalid_input", name, err)
		}
	}
}
