package apicheck

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const small = `{
 "openapi": "3.1.0", "info": {"title": "t", "version": "1"},
 "paths": {"/a/{id}": {"post": {
  "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}, {"name": "q", "in": "query", "schema": {"type": "string"}}],
  "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}},
  "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                "204": {"description": "none"}, "404": {"$ref": "#/components/responses/E"}}
 }}},
 "components": {
  "schemas": {"A": {"type": "object", "required": ["b"], "properties": {"b": {"enum": ["x"]}}},
              "ErrorBody": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}},
  "responses": {"E": {"description": "E", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}}}
 }
}`

func TestCheck_FindsWhatTheDocumentDoesNotSay(t *testing.T) {
	a, err := load(small)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, sent string
		status           int
		answer, problem  string // problem empty: none
	}{
		{"as it should be", "/a/1?q=2", `{"n":1}`, 200, `{"b":"x"}`, ""},
		{"a failure", "/a/1?r=2", `{"m":1}`, 404, `{"error":"no"}`, ""},
		{"nothing", "/a/1", `{}`, 204, "", ""},
		{"an unknown parameter", "/a/1?r=2", `{}`, 200, `{"b":"x"}`, `parameter "r"`},
		{"an unknown member of the request", "/a/1", `{"m":1}`, 200, `{"b":"x"}`, "'m' not allowed"},
		{"a wrong type", "/a/1", `{"n":"1"}`, 200, `{"b":"x"}`, "got string, want integer"},
		{"an unknown member", "/a/1", `{}`, 200, `{"b":"x","c":1}`, "'c' not allowed"},
		{"an unknown word", "/a/1", `{}`, 200, `{"b":"y"}`, "must be 'x'"},
		{"a missing member", "/a/1", `{}`, 200, `{}`, "missing property 'b'"},
		{"an unknown status", "/a/1", `{}`, 201, `{"b":"x"}`, "the status is not among [200 204 404]"},
		{"something for nothing", "/a/1", `{}`, 204, `{}`, "should be empty"},
		{"a failure of another form", "/a/1", `{}`, 404, `{"err":"no"}`, "'err' not allowed"},
		{"an unknown path", "/b", `{}`, 200, `{}`, "path is not in the document"},
		{"a path that is not there", "/b", `{}`, 404, `{"error":"no"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, nil)
			rec := &recorder{ResponseWriter: httptest.NewRecorder(), status: c.status}
			rec.Header().Set("Content-Type", "application/json")
			rec.text.WriteString(c.answer)
			err := a.check(r, r.URL.Query(), []byte(c.sent), rec)
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v; want %q", err, c.problem)
			}
		})
	}
}

func TestValidate_RefusesWhatIsNoDocument(t *testing.T) {
	for name, text := range map[string]string{
		"an operation without answers' descriptions": strings.Replace(small, `"description": "none"`, `"text": "none"`, 1),
		"a reference that leads nowhere":             strings.Replace(small, "schemas/A", "schemas/B", 1),
		"another version":                            strings.Replace(small, "3.1.0", "3.0.0", 1),
	} {
		if err := Validate([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
