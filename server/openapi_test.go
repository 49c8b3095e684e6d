package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/internal/apicheck"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/server"
)

// get reads a path.
func get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w
}

func TestOpenAPI_IsADocumentOfOpenAPI31(t *testing.T) {
	h := over(t, &ailing{}, server.Config{Version: "1.2.3", Token: "t"}) // which it does not need
	text := get(t, h, "/openapi.json").Body.Bytes()
	if err := apicheck.Validate(text); err != nil {
		t.Error(err)
	}
	if again := get(t, over(t, &ailing{}, server.Config{Version: "1.2.3"}), "/v1/openapi.json").Body.Bytes(); !bytes.Equal(text, again) {
		t.Error("the document differs from server to server")
	}
}

// operation is what the document says of one.
type operation struct {
	ID         string                    `json:"operationId"`
	Summary    string                    `json:"summary"`
	Tags       []string                  `json:"tags"`
	Role       string                    `json:"x-role"`
	Repeatable *bool                     `json:"x-repeatable"`
	Class      string                    `json:"x-class"`
	MaxBytes   int64                     `json:"x-max-bytes"`
	Security   []any                     `json:"security"`
	Parameters []param                   `json:"parameters"`
	Body       map[string]any            `json:"requestBody"`
	Responses  map[string]map[string]any `json:"responses"`
}

type param struct {
	Name, In, Style string
	Required        bool
	Explode         *bool
	Schema          map[string]any
}

type openAPI struct {
	Paths map[string]map[string]operation `json:"paths"`
}

func read(t testing.TB, h http.Handler) openAPI {
	t.Helper()
	var doc openAPI
	if err := json.Unmarshal(get(t, h, "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPI_TellsOfEveryOperation(t *testing.T) {
	doc := read(t, over(t, &ailing{}, server.Config{}))
	ids := map[string]string{}
	for path, item := range doc.Paths {
		for method, op := range item {
			at := method + " " + path
			if other := ids[op.ID]; other != "" {
				t.Errorf("%s and %s are both %s", at, other, op.ID)
			}
			ids[op.ID] = at
			if op.ID == "" || op.Summary == "" || len(op.Tags) != 1 || op.Tags[0] == "" {
				t.Errorf("%s: operation %q, summary %q, tags %v", at, op.ID, op.Summary, op.Tags)
			}
			if strings.HasPrefix(path, "/v1/calls/") && (op.Role == "" || op.Repeatable == nil || op.Body == nil) {
				t.Errorf("%s: role %q, repeatable %v, body %v", at, op.Role, op.Repeatable, op.Body)
			}
		}
	}
	for name := range wire.Ops {
		if ids[name] != "post /v1/calls/"+name {
			t.Errorf("operation %s is at %q", name, ids[name])
		}
	}
}

func TestOpenAPI_TellsWhatAnOperationIs(t *testing.T) {
	doc := read(t, over(t, &ailing{}, server.Config{}))
	explain := doc.Paths["/v1/executions/{execution_id}/explain"]["get"]
	if explain.Role != "viewer" || explain.Repeatable == nil || !*explain.Repeatable || explain.Body != nil {
		t.Errorf("explain: %+v", explain)
	}
	if p := explain.Parameters; len(p) != 1 || p[0].Name != "execution_id" || p[0].In != "path" || !p[0].Required || p[0].Schema["pattern"] == nil {
		t.Errorf("parameters of explain: %+v", p)
	}
	if doc.Paths["/v1/calls/replay"]["post"].Repeatable == nil || *doc.Paths["/v1/calls/replay"]["post"].Repeatable {
		t.Error("a replay may not be repeated")
	}
	events := map[string]string{}
	for _, p := range doc.Paths["/v1/events/{family}"]["get"].Parameters {
		events[p.Name] = p.In + " " + p.Style
	}
	want := map[string]string{
		"family": "path ", "after": "query ", "filter.types": "query form", "filter.namespace": "query ", "filter.execution_id": "query ",
		"filter.flow_id": "query ", "filter.lane": "query ", "filter.kind": "query ", "filter.tag_key": "query ", "filter.tag_value": "query ",
		"limit": "query ", "wait_ms": "query ",
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("parameters of events (-want +got):\n%s", diff)
	}
	live := doc.Paths["/livez"]["get"]
	if live.Security == nil || len(live.Security) != 0 {
		t.Errorf("security of livez is %v, want none", live.Security)
	}
	signal := doc.Paths["/v1/calls/deliver_signal"]["post"]
	if diff := cmp.Diff([]any{map[string]any{}, map[string]any{"bearer": []any{}}}, signal.Security); diff != "" {
		t.Errorf("security of deliver_signal (-want +got):\n%s", diff)
	}
	for status, res := range doc.Paths["/v1/calls/submit"]["post"].Responses {
		if status != "200" && res["$ref"] != "#/components/responses/Error"+status {
			t.Errorf("submit, %s: %v", status, res)
		}
	}
}

func TestDocs_NeedsNothingFromElsewhere(t *testing.T) {
	w := get(t, over(t, &ailing{}, server.Config{}), "/docs")
	page := w.Body.String()
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "innerHTML") {
		t.Error("the page names another place, or takes text for HTML")
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}
