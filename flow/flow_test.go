package flow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flow"
)

func TestPlan_HasWhatTheOptionsSay(t *testing.T) {
	f := flow.New("nightly", flow.Lane("etl"), flow.Namespace("n"), flow.Tags(map[string]string{"team.name": "x"})).
		Node("extract", struct{ URL string }{"u"}, flow.Priority(7), flow.Kind("fetch"), flow.OnLane("net")).
		Node("clean", []byte("raw"), flow.After("extract"), flow.InputFrom("extract")).
		Node("publish", nil, flow.After("clean"), flow.AnyOf("approve", "timeout"), flow.LetRun()).
		Node("approve", nil).
		Node("timeout", nil, flow.Delay(time.Hour)).
		Node("report", nil, flow.AllEnded("publish", "approve"))
	got, err := f.Plan()
	if err != nil {
		t.Fatal(err)
	}
	submit := func(kind string) flowfabric.Submit { return flowfabric.Submit{Lane: "etl", Kind: kind} }
	timeout, clean := submit("timeout"), submit("clean")
	timeout.Delay, clean.Payload = time.Hour, []byte("raw")
	want := flowfabric.SubmitFlow{
		Kind: "nightly", Namespace: "n", Tags: map[string]string{"team.name": "x"},
		Nodes: []flowfabric.FlowNode{
			{Name: "extract", Submit: flowfabric.Submit{Lane: "net", Kind: "fetch", Priority: 7, Payload: []byte(`{"URL":"u"}`)}},
			{Name: "clean", Submit: clean, After: []string{"extract"}, InputFrom: "extract"},
			{
				Name: "publish", Submit: submit("publish"), After: []string{"clean", "approve", "timeout"}, Required: []string{"clean"},
				Policy: flowfabric.GroupPolicy{Kind: flowfabric.AnyOf, OnSatisfied: flowfabric.LetRun},
			},
			{Name: "approve", Submit: submit("approve")},
			{Name: "timeout", Submit: timeout},
			{
				Name: "report", Submit: submit("report"), After: []string{"publish", "approve"},
				Policy: flowfabric.GroupPolicy{Kind: flowfabric.AllEnded},
			},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y flowfabric.ExecutionID) bool { return x == y })); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestPlan_TellsWhatIsWrong(t *testing.T) {
	for what, f := range map[string]*flow.Flow{
		"no JSON":            flow.New("x").Node("a", func() {}),
		"two choices":        flow.New("x").Node("a", nil).Node("b", nil, flow.AnyOf("a"), flow.Quorum(1, "a")),
		"a choice of none":   flow.New("x").Node("a", nil, flow.AnyOf()),
		"nothing to let run": flow.New("x").Node("a", nil).Node("b", nil, flow.After("a"), flow.LetRun()),
	} {
		if _, err := f.Plan(); !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%s: error %v, want invalid input", what, err)
		}
	}
}
