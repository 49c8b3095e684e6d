package wire

import (
	"encoding"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// Resource is an operation by the path people expect (chapter 70, section 13.1). Names in braces are members of the command,
// and so are the names of the query of a GET; a command that has a body takes its other members from there.
type Resource struct {
	Method, Path string
	Op           *Op
}

// InQuery reports whether the command is in the query, as there is no body.
func (r Resource) InQuery() bool { return r.Method == http.MethodGet || r.Method == http.MethodDelete }

// Name is unique among all routes: that of the operation, told apart from its path below [CallPath].
func (r Resource) Name() string { return r.Op.Name + "_resource" }

// Resources are those beside the routes of the reference.
var Resources = []Resource{
	{"POST", "/v1/executions:batch", SubmitAll.Op},
	{"GET", "/v1/executions/{execution_id}/describe", Describe.Op},
	{"GET", "/v1/executions/{execution_id}/wait", Wait.Op},
	{"GET", "/v1/executions/{execution_id}/attempts", Attempts.Op},
	{"GET", "/v1/executions/{execution_id}/explain", Explain.Op},
	{"GET", "/v1/executions/{execution_id}/steps", ListSteps.Op},
	{"GET", "/v1/executions/{execution_id}/ledger", ReadLedger.Op},
	{"GET", "/v1/executions/{execution_id}/suspension", DescribeSuspension.Op},
	{"GET", "/v1/executions/{execution_id}/signals", ResumeSignals.Op},
	{"GET", "/v1/executions/{execution_id}/waitpoints/{waitpoint_id}", DescribeWaitpoint.Op},
	{"GET", "/v1/executions/{execution_id}/attempts/{attempt_index}/summary", ReadSummary.Op},
	{"GET", "/v1/executions/{execution_id}/attempts/{attempt_index}/stream/info", DescribeStream.Op},
	{"PUT", "/v1/executions/{execution_id}/tags", SetTags.Op},
	{"POST", "/v1/executions/{execution_id}/resume", Resume.Op},
	{"POST", "/v1/executions/{execution_id}/block", Block.Op},
	{"POST", "/v1/executions/{execution_id}/unblock", Unblock.Op},
	{"POST", "/v1/flows:submit", SubmitFlow.Op},
	{"GET", "/v1/flows", ListFlows.Op},
	{"GET", "/v1/flows/{flow_id}", DescribeFlow.Op},
	{"GET", "/v1/flows/{flow_id}/members", ListNodes.Op},
	{"GET", "/v1/flows/{flow_id}/edges", ListEdges.Op},
	{"GET", "/v1/flows/{flow_id}/explain", ExplainFlow.Op},
	{"GET", "/v1/flows/{flow_id}/wait", AwaitFlow.Op},
	{"PUT", "/v1/flows/{flow_id}/tags", SetFlowTags.Op},
	{"PUT", "/v1/flows/{flow_id}/groups/{downstream}/policy", SetGroupPolicy.Op},
	{"GET", "/v1/budgets", ListBudgets.Op},
	{"GET", "/v1/budgets/{budget_id}/status", DescribeBudget.Op},
	{"PATCH", "/v1/budgets/{budget_id}", UpdateBudget.Op},
	{"DELETE", "/v1/budgets/{budget_id}", DeleteBudget.Op},
	{"POST", "/v1/budgets/{budget_id}/record-spend", ReportUsage.Op},
	{"POST", "/v1/budgets/{budget_id}/release", GiveBack.Op},
	{"GET", "/v1/quotas", ListQuotas.Op},
	{"GET", "/v1/quotas/{quota_id}", DescribeQuota.Op},
	{"PATCH", "/v1/quotas/{quota_id}", UpdateQuota.Op},
	{"DELETE", "/v1/quotas/{quota_id}", DeleteQuota.Op},
	{"GET", "/v1/quotas/{quota_id}/keys", ListQuotaKeys.Op},
	{"GET", "/v1/lanes", ListLanes.Op},
	{"GET", "/v1/lanes/{lane_id}", GetLane.Op},
	{"GET", "/v1/lanes/{lane_id}/counts", LaneCounts.Op},
	{"PATCH", "/v1/lanes/{lane}", UpdateLane.Op},
	{"GET", "/v1/workers", ListWorkers.Op},
	{"GET", "/v1/leases/expired", ListExpired.Op},
	{"GET", "/v1/waitpoints", ListSuspended.Op},
	{"POST", "/v1/workers/{worker_id}/register", Register.Op},
	{"POST", "/v1/workers/{worker_instance_id}/heartbeat", Heartbeat.Op},
	{"DELETE", "/v1/workers/{worker_instance_id}", MarkDead.Op},
	{"POST", "/v1/leases/claim", Claim.Op},
	{"POST", "/v1/signals/{link}", SignalByLink.Op},
	{"GET", "/v1/events/{family}", ReadEvents.Op},
	{"GET", "/v1/event-readers", ListReaders.Op},
	{"GET", "/v1/event-readers/{name}", GetEventReader.Op},
	{"PUT", "/v1/event-readers/{name}", AckEvents.Op},
	{"DELETE", "/v1/event-readers/{name}", ForgetReader.Op},
	{"GET", "/v1/secrets", ListSecrets.Op},
	{"GET", "/v1/keys", ListKeys.Op},
	{"POST", "/v1/keys", CreateKey.Op},
	{"POST", "/v1/keys/{key_id}/rotate", RotateKey.Op},
	{"DELETE", "/v1/keys/{key_id}", RevokeKey.Op},
}

// Set gives the member of a command named as in JSON a value from a path or a query. Lists are separated by commas.
func Set(command any, name, text string) error {
	field, ok := member(reflect.ValueOf(command).Elem(), name)
	if !ok {
		return &BadJSON{Field: "/" + name, Detail: "unknown parameter"}
	}
	if err := setText(field, text); err != nil {
		return &BadJSON{Field: "/" + name, Detail: "want " + kindOf(field.Type()) + " that is valid"}
	}
	return nil
}

// SetQuery gives a command what a query says. A member that is an object is named with a dot: tags.team=search.
func SetQuery(command any, query url.Values) error {
	for name, texts := range query {
		if len(texts) != 1 {
			return &BadJSON{Field: "/" + name, Detail: "duplicate parameter"}
		}
		if err := Set(command, name, texts[0]); err != nil {
			return err
		}
	}
	return nil
}

// member finds a member by its JSON name, also in what is embedded or behind a dot.
func member(v reflect.Value, name string) (reflect.Value, bool) {
	first, rest, nested := strings.Cut(name, ".")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != first {
			continue
		}
		if !nested {
			return v.Field(i), true
		}
		if f.Type.Kind() == reflect.Struct {
			return member(v.Field(i), rest)
		}
	}
	return reflect.Value{}, false
}

func setText(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == spanType {
		d, err := spanOf(text)
		v.SetInt(int64(d))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	case reflect.Slice:
		for part := range strings.SplitSeq(text, ",") {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := setText(item, part); err != nil {
				return err
			}
			v.Set(reflect.Append(v, item))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setText(v.Elem(), text)
	default:
		return fmt.Errorf("%s does not stand in a path or query", v.Type())
	}
	return nil
}
