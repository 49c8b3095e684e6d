package servicetest

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
)

// flowOps are the operations of flows in a script of [RunAgree].
const flowOps = `flow flow flow flow cancelflow cancelheader ack ack children children stage apply flowtags nodes`

// Nodes of a script's flows, and children of their members.
var (
	scriptNodes    = []string{"n0", "n1", "n2", "n3", "n4"}
	scriptChildren = []string{"c0", "c1"}
)

// newFlows gives the script flows, which do not exist yet, with the ids of their members to be.
func (s *script) newFlows(n int) {
	for i := range 2 {
		id := ff.FlowID(uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, n, i)))
		s.flows = append(s.flows, id)
		for _, name := range append(scriptNodes, scriptChildren...) {
			s.members = append(s.members, ff.NodeID(id, name, ff.DefaultPartitions()))
		}
	}
}

// drawFlow is an operation of a flow.
func (s *script) drawFlow(name string, fence func(*side) ff.Claimed) func(*side) string {
	flow := rapid.SampledFrom(s.flows).Draw(s.T, "flow")
	member := rapid.SampledFrom(s.members).Draw(s.T, "member")
	policy := rapid.SampledFrom([]ff.CancellationPolicy{"", ff.CancelPending, ff.FlowOnly, "nonsense"}).Draw(s.T, "policy")
	switch name {
	case "flow":
		return s.drawSubmitFlow(flow)
	case "cancelflow":
		return func(sd *side) string {
			return answer(sd.svc.CancelFlow(sd.Context(), ff.CancelFlow{FlowID: flow, Policy: policy, Reason: "script"}))
		}
	case "cancelheader":
		return func(sd *side) string {
			res, err := sd.svc.CancelFlowHeader(sd.Context(), ff.CancelFlowHeader{FlowID: flow, Policy: policy, Reason: "script"})
			res.StoredPolicy, res.StoredReason = nil, nil // pointers
			return answer(res, err)
		}
	case "ack":
		return func(sd *side) string {
			return answer("", sd.svc.AckCancelMember(sd.Context(), ff.AckCancelMember{FlowID: flow, ExecutionID: member}))
		}
	case "children":
		group := rapid.SampledFrom([]ff.GroupPolicy{{}, {Kind: ff.AnyOf}, {Kind: ff.AllOf}}).Draw(s.T, "group")
		children := s.scriptNodes(scriptChildren[:rapid.IntRange(1, len(scriptChildren)).Draw(s.T, "children")])
		return func(sd *side) string {
			c := fence(sd)
			return answer("", sd.svc.WaitChildren(sd.Context(), ff.WaitChildren{ExecutionID: c.ExecutionID, Fence: c.Fence, Children: children, Policy: group}))
		}
	case "stage", "apply":
		return s.drawEdge(name, flow, member)
	case "flowtags":
		return func(sd *side) string {
			return answer("", sd.svc.SetFlowTags(sd.Context(), ff.SetFlowTags{FlowID: flow, Tags: map[string]string{"a.b": string(policy)}}))
		}
	default:
		return func(sd *side) string { return sd.flowInWords(flow) }
	}
}

func (s *script) scriptNodes(names []string) []ff.FlowNode {
	nodes := make([]ff.FlowNode, len(names))
	for i, name := range names {
		nodes[i] = ff.FlowNode{Name: name, Submit: ff.Submit{Lane: s.lane, Kind: "test", Policy: s.drawPolicy()}}
	}
	return nodes
}

func (s *script) drawSubmitFlow(flow ff.FlowID) func(*side) string {
	nodes := s.scriptNodes(scriptNodes[:rapid.IntRange(2, len(scriptNodes)).Draw(s.T, "nodes")])
	for i := range nodes {
		for j := range i {
			if rapid.IntRange(0, 2).Draw(s.T, "edge") == 0 {
				nodes[i].After = append(nodes[i].After, nodes[j].Name)
			}
		}
		if n := len(nodes[i].After); n > 0 {
			nodes[i].Policy = drawGroupPolicy(s.T, n)
			if nodes[i].Policy.OnSatisfied != "" && rapid.Bool().Draw(s.T, "cancel the rest") {
				nodes[i].Policy.OnSatisfied = ff.CancelRemaining
			}
		}
	}
	return func(sd *side) string {
		return answer(sd.svc.SubmitFlow(sd.Context(), ff.SubmitFlow{FlowID: flow, Nodes: nodes}))
	}
}

// drawEdge stages or applies the edge between two members that has its id from them.
func (s *script) drawEdge(name string, flow ff.FlowID, up ff.ExecutionID) func(*side) string {
	down := rapid.SampledFrom(s.members).Draw(s.T, "downstream")
	id := ff.EdgeID(uuid.NewSHA1(up.UUID(), []byte(down.String())))
	return func(sd *side) string {
		if name == "apply" {
			return answer(sd.svc.ApplyEdge(sd.Context(), ff.ApplyEdge{FlowID: flow, EdgeID: id, Upstream: up, Downstream: down}))
		}
		f, _ := sd.svc.DescribeFlow(sd.Context(), flow)
		return answer(sd.svc.StageEdge(sd.Context(), ff.StageEdge{
			FlowID: flow, EdgeID: id, Upstream: up, Downstream: down, ExpectedRevision: f.GraphRevision,
		}))
	}
}

// flowInWords is all that a side tells of a flow.
func (sd *side) flowInWords(id ff.FlowID) string {
	f, err := sd.svc.DescribeFlow(sd.Context(), id)
	words := []string{answer(f, err)}
	for q := (ff.ListNodes{FlowID: id, Limit: 3}); ; {
		page, err := sd.svc.ListNodes(sd.Context(), q)
		if err != nil {
			return strings.Join(append(words, answer("", err)), "\n")
		}
		for _, n := range page.Items {
			group := ff.GroupSnapshot{}
			if n.Group != nil {
				group = *n.Group
			}
			n.Group = nil
			words = append(words, fmt.Sprintf("%+v %+v", n, group))
			edges, err := sd.svc.ListEdges(sd.Context(), ff.ListEdges{FlowID: id, To: n.ExecutionID})
			words = append(words, answer(edges.Items, err))
		}
		if q.After = page.Next; page.Next == "" {
			return strings.Join(words, "\n")
		}
	}
}
