// Package apicheck holds what a server says and hears against the OpenAPI document it serves, for tests.
package apicheck

import (
	"bytes"
	_ "embed" // the meta schema
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// metaSchema is https://spec.openapis.org/oas/3.1/schema/2022-10-07, as the OpenAPI Initiative publishes it (Apache-2.0).
//
//go:embed openapi-3.1.json
var metaSchema []byte

// Checked passes requests to h and fails the test if one that h takes, or an answer of h, is not as the document at /openapi.json
// says: unknown paths, statuses, parameters, members and words are all wrong.
func Checked(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("there is no document: %d %s", w.Code, w.Body)
	}
	api, err := load(w.Body.String())
	if err != nil {
		t.Fatalf("the document: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := &tee{from: r.Body}
		r.Body = sent
		rec := &recorder{ResponseWriter: w}
		method, query, parsed := r.Method, r.URL.Query(), r.Clone(r.Context())
		defer func() {
			if p := recover(); p != nil {
				panic(p) // the connection is cut: there is no answer
			}
			if err := api.check(parsed, query, sent.text.Bytes(), rec); err != nil {
				t.Errorf("%s %s is answered %d: %v", method, parsed.URL, rec.status, err)
			}
		}()
		h.ServeHTTP(rec, r)
	})
}

// tee keeps what is read.
type tee struct {
	from io.ReadCloser
	text bytes.Buffer
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.text.Write(p[:n])
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

func (t *tee) Close() error { return t.from.Close() }

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.text.Write(p)
	return r.ResponseWriter.Write(p)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// api is a document that was read.
type api struct {
	doc map[string]any
	mux *http.ServeMux // knows which path of the document a request is for

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

var (
	loading sync.Mutex
	loaded  = map[string]*api{}
)

// load reads a document; servers of one build have the same.
func load(text string) (*api, error) {
	loading.Lock()
	defer loading.Unlock()
	if a := loaded[text]; a != nil {
		return a, nil
	}
	if err := Validate([]byte(text)); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	a := &api{doc: doc.(map[string]any), mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	closeObjects(a.doc["paths"])
	closeObjects(a.doc["components"])
	if err := a.compiler.AddResource("doc.json", a.doc); err != nil {
		return nil, err
	}
	for path, item := range a.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			a.mux.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
		}
	}
	loaded[text] = a
	return a, nil
}

// Validate holds a document against the schema of OpenAPI 3.1, and every reference in it must lead somewhere.
func Validate(text []byte) error {
	meta, err := jsonschema.UnmarshalJSON(bytes.NewReader(metaSchema))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("meta.json", meta); err != nil {
		return err
	}
	schema, err := c.Compile("meta.json")
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := schema.Validate(doc); err != nil {
		return err
	}
	return followAll(doc, doc)
}

func followAll(doc, v any) error {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && follow(doc, ref) == nil {
			return fmt.Errorf("%s leads nowhere", ref)
		}
		for _, member := range v {
			if err := followAll(doc, member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := followAll(doc, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func follow(doc any, ref string) any {
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		object, _ := doc.(map[string]any)
		doc = object[name]
	}
	return doc
}

// closeObjects refuses members that are not named, which the document itself does not: readers must bear them.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, named := v["properties"].(map[string]any); named && v["type"] == "object" && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, member := range v {
			closeObjects(member)
		}
	case []any:
		for _, item := range v {
			closeObjects(item)
		}
	}
}

func (a *api) check(r *http.Request, query map[string][]string, sent []byte, rec *recorder) error {
	_, pattern := a.mux.Handler(r)
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		if rec.status == http.StatusOK && r.Method == http.MethodOptions {
			return nil // a preflight
		}
		if rec.status < http.StatusBadRequest {
			return fmt.Errorf("the path is not in the document")
		}
		return a.validate("doc.json#/components/schemas/ErrorBody", rec.text.Bytes())
	}
	at := "doc.json#/paths/" + escape(path) + "/" + strings.ToLower(method)
	op := a.doc["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
	if rec.status < http.StatusBadRequest {
		if err := a.checkRequest(at, op, query, taken(sent, rec.text.Bytes())); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
	}
	if r.Method == http.MethodHead {
		return nil
	}
	status := strconv.Itoa(rec.status)
	answer, ok := op["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		return fmt.Errorf("the status is not among %v; the answer is %s", slices.Sorted(maps.Keys(op["responses"].(map[string]any))), &rec.text)
	}
	if ref, ok := answer["$ref"].(string); ok {
		at, answer = "doc.json"+ref, follow(a.doc, ref).(map[string]any)
	} else {
		at += "/responses/" + status
	}
	content, _ := answer["content"].(map[string]any)
	media, _, _ := strings.Cut(rec.Header().Get("Content-Type"), ";")
	if len(content) == 0 {
		if rec.text.Len() > 0 {
			return fmt.Errorf("the answer should be empty: %s", &rec.text)
		}
		return nil
	}
	if content[media] == nil {
		return fmt.Errorf("the answer is %q, not one of %v", media, slices.Sorted(maps.Keys(content)))
	}
	if media != "application/json" {
		return nil
	}
	return a.validate(at+"/content/"+escape(media)+"/schema", rec.text.Bytes())
}

func (a *api) checkRequest(at string, op map[string]any, query map[string][]string, sent []byte) error {
	known := map[string]bool{}
	params, _ := op["parameters"].([]any)
	for _, p := range params {
		if p := p.(map[string]any); p["in"] == "query" {
			known[p["name"].(string)] = true
		}
	}
	for name := range query {
		if !known[name] {
			return fmt.Errorf("the parameter %q is not in the document", name)
		}
	}
	if op["requestBody"] == nil || len(bytes.TrimSpace(sent)) == 0 {
		return nil
	}
	return a.validate(at+"/requestBody/content/application~1json/schema", sent)
}

// taken leaves out of a batch what its answer refuses.
func taken(sent, answered []byte) []byte {
	var batch struct {
		Items []json.RawMessage `json:"items"`
	}
	var answer struct {
		Results []struct{ Error json.RawMessage } `json:"results"`
	}
	if json.Unmarshal(sent, &batch) != nil || json.Unmarshal(answered, &answer) != nil || len(batch.Items) == 0 || len(batch.Items) != len(answer.Results) {
		return sent
	}
	good := []json.RawMessage{}
	for i, item := range batch.Items {
		if answer.Results[i].Error == nil {
			good = append(good, item)
		}
	}
	text, err := json.Marshal(map[string]any{"items": good})
	if err != nil {
		return sent
	}
	return text
}

// validate holds JSON against the schema at a place of the document.
func (a *api) validate(at string, text []byte) error {
	schema, err := a.schema(at)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%q is no JSON: %w", text, err)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%.2000s: %w", text, err)
	}
	return nil
}

func (a *api) schema(at string) (*jsonschema.Schema, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.schemas[at]; s != nil {
		return s, nil
	}
	s, err := a.compiler.Compile(at)
	if err != nil {
		return nil, err
	}
	a.schemas[at] = s
	return s, nil
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")

func escape(name string) string { return pointer.Replace(name) }
