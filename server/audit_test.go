package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/server"
)

// audited are the lines of an audit log, without the time.
func audited(t *testing.T, log *bytes.Buffer) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		delete(line, "time")
		lines = append(lines, line)
	}
	return lines
}

func TestAudit_NamesWhoActsAndWhatUpon(t *testing.T) {
	var log bytes.Buffer
	h := newHouse(t)
	s := h.serve(t, server.Config{Token: "the token", Audit: slog.New(slog.NewJSONHandler(&log, nil))})
	mine := h.tenant(t, "mine")
	ann := h.key(t, flowfabric.CreateKey{Name: "ann", Roles: []flowfabric.Role{"operator"}})
	id := mine.execution.String()
	call := func(op, body string, header ...string) map[string]any {
		_, _, answer := ask(t, s, "POST", "/v1/calls/"+op, body, header...)
		return answer
	}
	shared := []string{"Authorization", "Bearer the token", "X-Request-Id", "r"}
	call("block", `{"execution_id":"`+id+`","actor":"mallory","detail":"a secret"}`, bearer(ann.Text)...)
	call("unblock", `{"execution_id":"`+id+`","actor":"bob"}`, shared...)
	call("describe", `{"execution_id":"`+id+`"}`, shared...) // reads are not audited
	call("create_quota", `{"rate":5}`, bearer(ann.Text)...)
	call("rotate_secret", `{"new_kid":"k2","new_secret_hex":"00112233"}`, shared...)
	created := call("create_key", `{"name":"ci","roles":["worker"],"lanes":["a","b"]}`, shared...)
	call("complete", `{"execution_id":"`+unknown+`","source":"operator_override"}`, shared...)
	key := created["key"].(map[string]any)["key_id"]

	line := func(level, actor, actorKey, op, outcome string, on map[string]any) map[string]any {
		want := map[string]any{
			"level": level, "msg": "audit", "actor": actor, "actor_key": actorKey, "op": op, "outcome": outcome, "remote": "192.0.2.1:1234", "request_id": "r",
		}
		maps.Copy(want, on)
		return want
	}
	want := []map[string]any{
		line("INFO", "ann", string(ann.Key.KeyID), "block", "ok", map[string]any{"execution_id": id}),
		line("INFO", "api-token/bob", "", "unblock", "ok", map[string]any{"execution_id": id}),
		line("WARN", "ann", string(ann.Key.KeyID), "create_quota", "forbidden", nil),
		line("INFO", "api-token", "", "rotate_secret", "ok", map[string]any{"new_kid": "k2"}),
		line("INFO", "api-token", "", "create_key", "ok", map[string]any{"name": "ci", "roles": "[worker]", "lanes": "[a b]", "key_id": key}),
		line("INFO", "api-token", "", "complete", "execution_not_found", map[string]any{"execution_id": unknown}),
	}
	if diff := cmp.Diff(want, audited(t, &log)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	if text := log.String(); strings.Contains(text, "00112233") || strings.Contains(text, "a secret") || strings.Contains(text, created["text"].(string)) {
		t.Errorf("the audit log tells a secret: %s", text)
	}

	page, err := h.ReadEvents(t.Context(), flowfabric.ReadEvents{Family: flowfabric.EventsOperator, After: flowfabric.EventsFromOldest})
	if err != nil {
		t.Fatal(err)
	}
	actors := map[string]any{}
	for _, e := range page.Events {
		var details map[string]any
		if err := json.Unmarshal(e.Details, &details); err != nil {
			t.Fatal(err)
		}
		actors[e.Type+" "+anyText(details["name"])] = details["actor"]
	}
	wantActors := map[string]any{
		"blocked ": "ann", "unblocked ": "api-token/bob", "waitpoint_hmac_rotation_complete ": "api-token",
		"key_created ann": nil, "key_created ci": "api-token",
	}
	if diff := cmp.Diff(wantActors, actors); diff != "" {
		t.Errorf("actors of the stored events (-want +got):\n%s", diff)
	}
}

func anyText(v any) string {
	text, _ := v.(string)
	return text
}

// Where nobody is asked for an authority, the name a caller gives is all there is.
func TestAudit_WithoutAuthorityTellsTheNameThatIsGiven(t *testing.T) {
	var log bytes.Buffer
	h := newHouse(t)
	s := over(t, h, server.Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	ask(t, s, "PATCH", "/v1/lanes/mail", `{"state":"paused","actor":"bob"}`, "X-Request-Id", "r")
	want := []map[string]any{{
		"level": "INFO", "msg": "audit", "actor": "bob", "actor_key": "", "op": "update_lane", "outcome": "ok", "remote": "192.0.2.1:1234", "request_id": "r",
		"lane": "mail", "state": "paused",
	}}
	if diff := cmp.Diff(want, audited(t, &log)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

func TestSign_ACreatorMayBeToldByWhoeverSubmits(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	key := h.key(t, flowfabric.CreateKey{Name: "shop", Roles: []flowfabric.Role{"submitter"}}).Text
	creator := func(body string) string {
		_, _, made := ask(t, s, "POST", "/v1/calls/submit", body, bearer(key)...)
		_, _, told := ask(t, s, "POST", "/v1/calls/describe", `{"execution_id":"`+made["id"].(string)+`"}`, bearer(key)...)
		return anyText(told["creator"])
	}
	if got := creator(`{"lane":"a","kind":"k"}`); got != "shop" {
		t.Errorf("creator %q", got)
	}
	if got := creator(`{"lane":"a","kind":"k","creator":"a customer"}`); got != "a customer" {
		t.Errorf("creator %q", got)
	}
}
