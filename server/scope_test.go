package server_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/server"
)

// tenant is what belongs to somebody: an execution on a lane and in a namespace of the same name, and a flow.
type tenant struct {
	name      string
	execution flowfabric.ExecutionID
	flow      flowfabric.FlowID
}

func (h *house) tenant(t *testing.T, name string) tenant {
	t.Helper()
	made, err := h.Submit(t.Context(), flowfabric.Submit{Lane: flowfabric.LaneID(name), Namespace: flowfabric.Namespace(name), Kind: "k"})
	if err != nil {
		t.Fatal(err)
	}
	flow, err := h.SubmitFlow(t.Context(), flowfabric.SubmitFlow{
		Namespace: flowfabric.Namespace(name), Nodes: []flowfabric.FlowNode{{Name: "a", Submit: flowfabric.Submit{Lane: flowfabric.LaneID(name), Kind: "k"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tenant{name, made.ID, flow}
}

// point makes a command name what belongs to a tenant, wherever it can name anything of that kind.
func (n tenant) point(v reflect.Value) {
	switch at := v.Addr().Interface().(type) {
	case *flowfabric.ExecutionID:
		*at = n.execution
	case *flowfabric.FlowID:
		*at = n.flow
	case *flowfabric.Namespace:
		*at = flowfabric.Namespace(n.name)
	case *flowfabric.LaneID:
		*at = flowfabric.LaneID(n.name)
	case *flowfabric.Condition: // is about signals, and may have others inside
	default:
		switch {
		case v.Kind() == reflect.Struct && v.NumField() > 0 && v.Type().Field(0).IsExported():
			for _, field := range v.Fields() {
				n.point(field)
			}
		case v.Kind() == reflect.Slice && (v.Type().Elem().Kind() == reflect.Struct || v.Type().Elem() == reflect.TypeFor[flowfabric.LaneID]()):
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			n.point(v.Index(0))
		}
	}
}

// What a limited caller is answered, in chapter 70's words, when it names what belongs to another.
const (
	forbidden   = "forbidden"
	noExecution = "execution_not_found"
	noFlow      = "flow_not_found"
	let         = "" // the command is not refused for its limits
)

// reachOf says, for every operation, what a caller limited to a namespace and one limited to a lane are answered when they
// name what belongs to others, and then when they name their own.
var reachOf = map[string][4]string{
	"submit": {forbidden, forbidden, let, let}, "submit_many": {forbidden, forbidden, let, let},
	"describe": {noExecution, noExecution, let, let}, "result": {noExecution, noExecution, let, let}, "wait": {noExecution, noExecution, let, let},
	"list_attempts": {noExecution, noExecution, let, let}, "cancel": {noExecution, noExecution, let, let},
	"set_tags": {noExecution, noExecution, let, let}, "explain": {noExecution, noExecution, let, let},
	"list_steps": {noExecution, noExecution, let, let}, "ledger": {noExecution, noExecution, let, let},
	"list_executions": {forbidden, forbidden, let, let}, "list_partition": {forbidden, forbidden, forbidden, forbidden},

	"claim": {forbidden, forbidden, forbidden, let},
	"renew": {noExecution, noExecution, let, let}, "renew_many": {noExecution, noExecution, let, let},
	"update_progress": {noExecution, noExecution, let, let}, "complete": {noExecution, noExecution, let, let},
	"fail": {noExecution, noExecution, let, let}, "delay": {noExecution, noExecution, let, let}, "release": {noExecution, noExecution, let, let},
	"wait_children": {noExecution, noExecution, let, let}, "suspend": {noExecution, noExecution, let, let},
	"record_step": {noExecution, noExecution, let, let}, "append_frames": {noExecution, noExecution, let, let},
	"report_usage": {noExecution, noExecution, let, let}, "seal_handle": {noExecution, noExecution, let, let}, "open_handle": {let, let, let, let},
	"register_worker": {forbidden, forbidden, let, let}, "heartbeat_worker": {forbidden, let, let, let},
	"mark_worker_dead": {forbidden, let, let, let}, "list_workers": {forbidden, forbidden, let, forbidden},
	"list_expired_leases": {forbidden, forbidden, let, forbidden},

	"change_priority": {noExecution, noExecution, let, let}, "replay": {noExecution, noExecution, let, let},
	"revoke_lease": {noExecution, noExecution, let, let}, "claim_execution": {noExecution, noExecution, let, let},
	"block": {noExecution, noExecution, let, let}, "unblock": {noExecution, noExecution, let, let}, "resume": {noExecution, noExecution, let, let},
	"update_lane": {forbidden, forbidden, forbidden, let}, "lane": {forbidden, forbidden, forbidden, let},
	"lane_counts": {forbidden, forbidden, forbidden, let}, "list_lanes": {forbidden, forbidden, forbidden, forbidden},

	"submit_flow": {forbidden, forbidden, let, forbidden}, "create_flow": {forbidden, forbidden, let, forbidden},
	"add_member": {noFlow, forbidden, let, forbidden}, "stage_edge": {noFlow, forbidden, let, forbidden},
	"apply_edge": {noFlow, forbidden, let, forbidden}, "set_group_policy": {noFlow, forbidden, let, forbidden},
	"set_flow_tags": {noFlow, forbidden, let, forbidden}, "cancel_flow": {noFlow, forbidden, let, forbidden},
	"cancel_flow_header": {noFlow, forbidden, let, forbidden}, "ack_cancel_member": {noFlow, forbidden, let, forbidden},
	"describe_flow": {noFlow, forbidden, let, forbidden}, "flow_tags": {noFlow, forbidden, let, forbidden},
	"wait_flow": {noFlow, forbidden, let, forbidden}, "list_flows": {forbidden, forbidden, forbidden, forbidden},
	"list_nodes": {noFlow, forbidden, let, forbidden}, "list_edges": {noFlow, forbidden, let, forbidden},
	"describe_edge": {noFlow, forbidden, let, forbidden}, "explain_flow": {noFlow, forbidden, let, forbidden},

	"create_waitpoint": {noExecution, noExecution, let, let}, "close_waitpoint": {noExecution, noExecution, let, let},
	"approve": {noExecution, noExecution, let, let}, "deliver_signal": {let, let, let, let}, "seal_link": {let, let, let, let},
	"signal_by_link": {let, let, let, let}, "describe_suspension": {noExecution, noExecution, let, let},
	"describe_waitpoint": {noExecution, noExecution, let, let}, "waitpoint_token": {noExecution, noExecution, let, let},
	"resume_signals": {noExecution, noExecution, let, let}, "list_pending_waitpoints": {noExecution, noExecution, let, let},
	"list_suspended": {forbidden, forbidden, let, let},

	"read_stream": {noExecution, noExecution, let, let}, "tail_stream": {noExecution, noExecution, let, let},
	"describe_stream": {noExecution, noExecution, let, let}, "read_summary": {noExecution, noExecution, let, let},
	"read_events": {forbidden, forbidden, let, let}, "ack_events": {forbidden, forbidden, forbidden, forbidden},
	"event_reader": {forbidden, forbidden, forbidden, forbidden}, "list_event_readers": {forbidden, forbidden, forbidden, forbidden},
	"forget_event_reader": {forbidden, forbidden, forbidden, forbidden},

	"create_budget": {forbidden, forbidden, forbidden, forbidden}, "update_budget": {forbidden, forbidden, forbidden, forbidden},
	"delete_budget": {forbidden, forbidden, forbidden, forbidden}, "reset_budget": {forbidden, forbidden, forbidden, forbidden},
	"describe_budget": {forbidden, forbidden, forbidden, forbidden}, "list_budgets": {forbidden, forbidden, forbidden, forbidden},
	"release_budget": {noExecution, noExecution, let, let},
	"create_quota":   {forbidden, forbidden, forbidden, forbidden}, "update_quota": {forbidden, forbidden, forbidden, forbidden},
	"delete_quota": {forbidden, forbidden, forbidden, forbidden}, "describe_quota": {forbidden, forbidden, forbidden, forbidden},
	"list_quotas": {forbidden, forbidden, forbidden, forbidden}, "list_quota_keys": {forbidden, forbidden, forbidden, forbidden},
	"seed_secret": {forbidden, forbidden, forbidden, forbidden}, "rotate_secret": {forbidden, forbidden, forbidden, forbidden},
	"list_secrets": {forbidden, forbidden, forbidden, forbidden}, "create_key": {forbidden, forbidden, forbidden, forbidden},
	"rotate_key": {forbidden, forbidden, forbidden, forbidden}, "revoke_key": {forbidden, forbidden, forbidden, forbidden},
	"verify_key": {forbidden, forbidden, forbidden, forbidden}, "list_keys": {forbidden, forbidden, forbidden, forbidden},
}

func TestLimits_EveryOperationIsKeptWithinThem(t *testing.T) {
	for name := range wire.Ops {
		if _, ok := reachOf[name]; !ok {
			t.Errorf("%s: say what a limited caller is checked against, here and in scope.go", name)
		}
	}
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	mine, theirs := h.tenant(t, "mine"), h.tenant(t, "theirs")
	keys := []flowfabric.KeyText{
		h.key(t, flowfabric.CreateKey{Roles: admin(), Namespaces: []flowfabric.Namespace{"mine"}}).Text,
		h.key(t, flowfabric.CreateKey{Roles: admin(), Lanes: []flowfabric.LaneID{"mine"}}).Text,
	}
	for _, name := range slices.Sorted(maps.Keys(reachOf)) {
		for i, want := range reachOf[name] {
			of := []tenant{theirs, mine}[i/2]
			in := reflect.New(wire.Ops[name].In)
			of.point(in.Elem())
			body, err := wire.Marshal(in.Interface())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, _, answer := ask(t, s, "POST", "/v1/calls/"+name, string(body), bearer(keys[i%2])...)
			got := codeOf(answer)
			if want == let && (got == forbidden || got == noExecution || got == noFlow || got == "unauthorized") || want != let && got != want {
				t.Errorf("%s of %s by a key limited to a %s: %v, want %q", name, of.name, []string{"namespace", "lane"}[i%2], answer, want)
			}
		}
	}
}

// codeOf is the code of an answer, or of the first of several.
func codeOf(answer map[string]any) string {
	if results, ok := answer["results"].([]any); ok && len(results) > 0 {
		if first, ok := results[0].(map[string]any)["error"].(map[string]any); ok {
			answer = first
		}
	}
	code, _ := answer["code"].(string)
	return code
}

// One of several that is not the caller's refuses the whole call, and of a batch that one alone.
func TestLimits_AreThoseOfEachCommand(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	mine, theirs := h.tenant(t, "mine"), h.tenant(t, "theirs")
	key := h.key(t, flowfabric.CreateKey{Roles: admin(), Namespaces: []flowfabric.Namespace{"mine", "other"}}).Text
	submit := func(ns string) string { return `{"lane":"a","kind":"k","namespace":"` + ns + `"}` }
	if _, _, answer := ask(t, s, "POST", "/v1/executions:batch", `{"executions":[`+submit("mine")+","+submit("theirs")+`]}`, bearer(key)...); codeOf(answer) != forbidden {
		t.Errorf("submissions to two namespaces: %v", answer)
	}
	if _, _, answer := ask(t, s, "POST", "/v1/calls/submit", `{"lane":"a","kind":"k"}`, bearer(key)...); codeOf(answer) != forbidden {
		t.Errorf("a submission to the default namespace: %v", answer)
	}
	_, _, answer := ask(t, s, "POST", "/v1/leases/cancel", `{"items":[{"execution_id":"`+theirs.execution.String()+`"},{"execution_id":"`+mine.execution.String()+`"}]}`, bearer(key)...)
	results := answer["results"].([]any)
	if got := codeOf(answer); got != noExecution || results[1].(map[string]any)["error"] != nil {
		t.Errorf("a batch: %v", answer)
	}
	// What is out of reach and what there is not are told in the same words.
	_, _, hidden := ask(t, s, "GET", "/v1/executions/"+theirs.execution.String()+"/describe", "", bearer(key)...)
	_, _, missing := ask(t, s, "GET", "/v1/executions/"+unknown+"/describe", "", bearer(key)...)
	text, _ := json.Marshal(hidden)
	want, _ := json.Marshal(missing)
	if got := strings.ReplaceAll(string(text), theirs.execution.String(), unknown); got != string(want) {
		t.Errorf("hidden: %s\nmissing: %s", got, want)
	}
}

func TestLimits_ListsAreNarrowed(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	mine, theirs := h.tenant(t, "mine"), h.tenant(t, "theirs")
	for _, id := range []flowfabric.ExecutionID{mine.execution, theirs.execution} {
		if _, err := h.Cancel(t.Context(), flowfabric.Cancel{ExecutionID: id, Source: flowfabric.SourceOperatorOverride}); err != nil {
			t.Fatal(err)
		}
	}
	one := h.key(t, flowfabric.CreateKey{Roles: admin(), Namespaces: []flowfabric.Namespace{"mine"}}).Text
	lane := h.key(t, flowfabric.CreateKey{Roles: admin(), Lanes: []flowfabric.LaneID{"mine"}}).Text
	two := h.key(t, flowfabric.CreateKey{Roles: admin(), Namespaces: []flowfabric.Namespace{"mine", "other"}}).Text
	for name, key := range map[string]flowfabric.KeyText{"one namespace": one, "one lane": lane} {
		_, _, executions := ask(t, s, "POST", "/v1/calls/list_executions", `{}`, bearer(key)...)
		_, _, events := ask(t, s, "POST", "/v1/calls/read_events", `{"family":"completion","after":"oldest"}`, bearer(key)...)
		text, _ := json.Marshal([]any{executions["items"], events["events"]})
		if !strings.Contains(string(text), mine.execution.String()) || strings.Contains(string(text), theirs.execution.String()) {
			t.Errorf("limited to %s, without a filter: %s", name, text)
		}
	}
	_, _, answer := ask(t, s, "POST", "/v1/calls/list_executions", `{}`, bearer(two)...)
	if answer["detail"] != "name one of the namespaces [mine other]" || codeOf(answer) != forbidden {
		t.Errorf("limited to two, without a filter: %v", answer)
	}
	if _, _, answer := ask(t, s, "GET", "/v1/events/completion?filter.namespace=theirs&after=oldest", "", bearer(one)...); codeOf(answer) != forbidden {
		t.Errorf("events of others: %v", answer)
	}
}

func TestLimits_AWorkerOfALaneWorks(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	h.tenant(t, "mine")
	key := h.key(t, flowfabric.CreateKey{Roles: []flowfabric.Role{"worker"}, Lanes: []flowfabric.LaneID{"mine"}}).Text
	call := func(op, body string) map[string]any {
		_, _, answer := ask(t, s, "POST", "/v1/calls/"+op, body, bearer(key)...)
		return answer
	}
	if got := call("claim", `{"lanes":["mine","theirs"],"worker_id":"w","worker_instance_id":"w-1"}`); got["detail"] != "the caller is limited to the lanes [mine]" {
		t.Errorf("claim of two lanes: %v", got)
	}
	claimed := call("claim", `{"lanes":["mine"],"worker_id":"w","worker_instance_id":"w-1"}`)
	c := claimed["executions"].([]any)[0].(map[string]any)
	body, _ := json.Marshal(map[string]any{"execution_id": c["execution_id"], "fence": c["fence"]})
	if got := call("complete", string(body)); got["code"] != nil {
		t.Errorf("complete: %v", got)
	}
	for _, instance := range []string{"mine", "theirs"} {
		if _, err := h.RegisterWorker(t.Context(), flowfabric.RegisterWorker{
			WorkerID: "w", WorkerInstanceID: flowfabric.WorkerInstanceID(instance), Namespace: "n", Lanes: []flowfabric.LaneID{flowfabric.LaneID(instance)}, LivenessTTL: time.Minute,
		}); err != nil {
			t.Fatal(err)
		}
	}
	var codes []string
	for _, instance := range []string{"mine", "theirs", "nobody"} {
		codes = append(codes, codeOf(call("mark_worker_dead", `{"namespace":"n","worker_instance_id":"`+instance+`"}`)))
	}
	if diff := cmp.Diff([]string{"", forbidden, ""}, codes); diff != "" {
		t.Errorf("end of registrations (-want +got):\n%s", diff)
	}
}
