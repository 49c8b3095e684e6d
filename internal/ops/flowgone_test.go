package ops

import (
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// A flow that ended long ago is removed in several commits. Nothing that comes between them brings the rest of it back.
func TestRemoveGraph_NothingComesBetween(t *testing.T) {
	b := newBench(t)
	flow := ff.FlowID{1}
	s, err := b.NewFlow(ff.SubmitFlow{FlowID: flow, Nodes: []ff.FlowNode{
		{Name: "up", Submit: ff.Submit{Lane: "l", Kind: "k"}},
		{Name: "down", Submit: ff.Submit{Lane: "l", Kind: "k"}, After: []string{"up"}},
	}})
	b.equal("new flow", err, nil)
	known := func(ff.LaneID, int64) bool { return true }
	b.equal("submit", b.apply(b.SubmitFlow(s, known), nil), nil)
	up, down := ff.NodeID(flow, "up", b.Partitions), ff.NodeID(flow, "down", b.Partitions)
	b.equal("cancel", b.apply(b.Cancel(ff.Cancel{ExecutionID: up, Reason: "test"}, &ff.CancelResult{})), nil)
	b.equal("downstream", b.get(down).Public, ff.PublicSkipped)

	b.now += ff.Timestamp(ff.DefaultRetention.Milliseconds())
	key := b.flowKey(flow)
	edge := record.EdgeKey{Home: key.Home, FlowID: flow, EdgeID: ff.NodeEdgeID(flow, "up", "down")}
	b.equal("remove edges", b.apply(b.RemoveGraph(key, []record.Key{edge}, nil), nil), nil)
	b.now -= 5 // another engine, whose clock is behind
	b.refused(b.apply(b.Replay(ff.Replay{ExecutionID: down, Reason: "test"}, &ff.ReplayResult{})), ff.ErrFlowNotFound)
	b.refused(b.apply(b.AddMember(ff.AddMember{FlowID: flow, ExecutionID: ff.FlowExecutionID(flow, b.Partitions)}, &ff.AddMemberResult{})), ff.ErrFlowNotFound)
	b.refused(b.apply(b.ApplyEdge(ff.ApplyEdge{FlowID: flow, EdgeID: edge.EdgeID, Upstream: up, Downstream: down}, &ff.ApplyEdgeResult{})), ff.ErrInvalidDependency)

	group := groupKeyOf(key, down)
	b.equal("remove groups", b.apply(b.RemoveGraph(key, []record.Key{group}, nil), nil), nil)
	b.equal("let members go", b.apply(b.RemoveGraph(key, nil, []ff.ExecutionID{up, down}), nil), nil)
	b.equal("remove the flow", b.apply(b.RemoveGraph(key, nil, nil), nil), nil)
	tx, err := b.store.View(t.Context(), store.Reads{Records: []record.Key{key, edge, group}})
	b.equal("view", err, nil)
	for _, k := range []record.Key{key, edge, group} {
		if tx.Record(k) != nil {
			t.Errorf("%v is there", k)
		}
	}
	b.equal("the members' flows", []ff.FlowID{b.get(up).FlowID, b.get(down).FlowID}, []ff.FlowID{{}, {}})
}

// TestCancelFlow_NotOneThatIsGone: an open flow whose members have all ended is forgotten like any other.
func TestCancelFlow_NotOneThatIsGone(t *testing.T) {
	b := newBench(t)
	flow := ff.FlowID{2}
	b.equal("create", b.apply(b.CreateFlow(ff.CreateFlow{FlowID: flow}, &ff.CreateFlowResult{})), nil)
	s, err := b.NewSubmission(ff.Submit{ID: ff.FlowExecutionID(flow, b.Partitions), Lane: "l", Kind: "k"})
	b.equal("new submission", err, nil)
	b.equal("submit", b.apply(b.Submit([]*Submission{s}, true, func(ff.LaneID, int64) bool { return true }), nil), nil)
	b.equal("add", b.apply(b.AddMember(ff.AddMember{FlowID: flow, ExecutionID: s.ID()}, &ff.AddMemberResult{})), nil)
	b.equal("cancel the member", b.apply(b.Cancel(ff.Cancel{ExecutionID: s.ID(), Reason: "test"}, &ff.CancelResult{})), nil)
	b.now += ff.Timestamp(ff.DefaultRetention.Milliseconds())
	b.refused(b.apply(b.CancelFlow(&FlowCancel{FlowID: flow, By: ff.SourceCancelFlow})), ff.ErrFlowNotFound)
}
