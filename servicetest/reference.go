package servicetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// referenceTests are of the routes of the reference (chapter 70): its examples, the checks of its own tests (section 12), and
// what those leave out. Bodies and answers are literals, as a client of the reference has them.
var referenceTests = []behaviour{
	{"TheExamplesOfTheChapter", testExamples},
	{"Executions", testRefExecutions},
	{"NothingIsFound", testRefNothing},
	{"Lists", testRefLists},
	{"FilteredLists", testRefFilteredLists},
	{"Waitpoints", testRefWaitpoints},
	{"ASuspensionGoesRoundOverHTTP", testRefSuspendRound},
	{"Results", testRefResults},
	{"Streams", testRefStreams},
	{"AStreamHasSoManyReaders", testRefStreamBurst},
	{"Claims", testRefClaims},
	{"Reclaims", testRefReclaims},
	{"AFlowGraph", testRefFlowGraph},
	{"FlowCancels", testRefFlowCancels},
	{"Limits", testRefLimits},
	{"Rotations", testRefRotations},
	{"BodiesHaveCaps", testRefCaps},
	{"WhatIsWrongIsSaid", testRefWrong},
	{"Policies", testRefPolicies},
}

// api is a server over the engine, on a port of its own.
type api struct {
	*env
	url string
}

func (e *env) api(cfg ffserver.Config) *api {
	e.Helper()
	cfg.Clock = e.pace
	srv, err := ffserver.New(e.svc, cfg)
	e.ok(err)
	listening := httptest.NewServer(srv)
	e.Cleanup(listening.Close)
	return &api{e, listening.URL}
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	text   []byte
}

// ask makes a request; a body is JSON unless a header says otherwise.
func (a *api) ask(method, path, body string, header ...string) reply {
	a.Helper()
	return a.send(method, path, strings.NewReader(body), header...)
}

func (a *api) send(method, path string, body io.Reader, header ...string) reply {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), method, a.url+path, body)
	a.ok(err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	a.ok(err)
	text, err := io.ReadAll(res.Body)
	a.ok(err)
	a.ok(res.Body.Close())
	return reply{res.StatusCode, res.Header, text}
}

// is makes a request and fails the test unless it is answered with a status and a JSON text, and nothing besides. Of a refusal
// the members error, kind and retryable must be those of want, or absent as there; code must be if want has one.
func (a *api) is(method, path, body string, status int, want string, header ...string) reply {
	a.Helper()
	got := a.ask(method, path, body, header...)
	if got.status != status {
		a.Errorf("%s %s: %d %s; want %d %s", method, path, got.status, got.text, status, want)
		return got
	}
	if want == "" {
		if len(got.text) > 0 {
			a.Errorf("%s %s: %s; want no body", method, path, got.text)
		}
		return got
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		a.Errorf("%s %s: content type %q", method, path, ct)
	}
	wanted, have := a.parse([]byte(want)), a.parse(got.text)
	if status >= 400 {
		have = refusalOf(have, wanted)
	}
	if diff := cmp.Diff(wanted, have); diff != "" {
		a.Errorf("%s %s (-want +got):\n%s", method, path, diff)
	}
	return got
}

// refusalOf leaves out what a refusal has beside the members of the reference.
func refusalOf(have, want any) any {
	all, ok := have.(map[string]any)
	if !ok {
		return have
	}
	asked, _ := want.(map[string]any)
	some := map[string]any{}
	for _, name := range []string{"error", "kind", "retryable", "limit_bytes", "route", "code", "field"} {
		_, wanted := asked[name]
		if v, has := all[name]; has && (wanted || name != "code" && name != "field") {
			some[name] = v
		}
	}
	return some
}

// parse reads JSON, numbers as they are written.
func (a *api) parse(text []byte) any {
	a.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		a.Fatalf("%q is no JSON: %v", text, err)
	}
	return v
}

// member is a member of a JSON object, by its path.
func (a *api) member(text []byte, path ...string) any {
	a.Helper()
	v := a.parse(text)
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			a.Fatalf("%s has no member %v", text, path)
		}
		v = object[name]
	}
	return v
}

// refused fails the test unless a request is answered with a status and an error that begins with a text.
func (a *api) refusedWith(method, path, body string, status int, prefix string, header ...string) {
	a.Helper()
	got := a.ask(method, path, body, header...)
	text, _ := a.member(got.text, "error").(string)
	if got.status != status || !strings.HasPrefix(text, prefix) {
		a.Errorf("%s %s: %d %s; want %d and an error that begins with %q", method, path, got.status, got.text, status, prefix)
	}
	if code, _ := a.member(got.text, "code").(string); code == "" {
		a.Errorf("%s %s: %s has no code", method, path, got.text)
	}
}

// create makes an execution by POST /v1/executions, on the lane of the test. more are further members, each behind a comma.
func (a *api) create(id ff.ExecutionID, more string) {
	a.Helper()
	a.is("POST", "/v1/executions", a.submission(id, more), 201, `{"Created":{"execution_id":"`+id.String()+`","public_state":"waiting"}}`)
}

func (a *api) submission(id ff.ExecutionID, more string) string {
	return `{"execution_id":"` + id.String() + `","namespace":"acme","lane_id":"` + string(a.lane) + `","execution_kind":"llm_call","input_payload":[],
		"priority":5,"creator_identity":"api-gw","now":1` + more + `}`
}

// mint is a new id on the lane of the test.
func (a *api) mint() ff.ExecutionID { return ff.SoloExecutionID(a.lane, ff.DefaultPartitions()) }

// at is the path of an execution.
func at(id ff.ExecutionID, rest string) string {
	return "/v1/executions/" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(id.String()) + rest
}

// grantedTo claims for a worker what is to be had, and opens the grant.
func (a *api) grantedTo(worker, body string) ff.Claimed {
	a.Helper()
	got := a.ask("POST", "/v1/workers/"+worker+"/claim", body)
	if got.status != 200 {
		a.Fatalf("claimed: %d %s", got.status, got.text)
	}
	key, _ := a.member(got.text, "grant_key").(string)
	info, err := a.svc.OpenHandle(a.Context(), ff.Handle(key))
	a.ok(err)
	a.equal("the worker of the grant", info.WorkerID, ff.WorkerID(worker))
	return ff.Claimed{ExecutionID: info.ExecutionID, Fence: info.Fence}
}

// claimBody is a claim of the lane of the test.
func (a *api) claimBody() string {
	return `{"lane_id":"` + string(a.lane) + `","worker_instance_id":"w-1","grant_ttl_ms":10000}`
}

// json is the JSON form of a value of the vocabulary.
func (a *api) json(v any) string {
	a.Helper()
	text, err := json.Marshal(v)
	a.ok(err)
	return string(text)
}
