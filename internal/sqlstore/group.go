package sqlstore

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func groupHome(g *record.Group) *flowfabric.Partition { return &g.Home }

func groupMember(g *record.Group) *flowfabric.ExecutionID { return &g.Downstream }

// groups is ff_edge_group. Its columns up to cancel_siblings_reason are the ones chapter 20.2 binds, less
// cancel_siblings_pending_members, which an errand replaces; the rest is ours.
var groups = Table[record.Group]{Name: "ff_edge_group", Keys: 2, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(g *record.Group) *flowfabric.FlowID { return &g.FlowID }),
		uuidOf("downstream_eid", groupMember),
		homeOf(groupHome, groupMember),
	),
	[]Column[record.Group]{
		{
			Name: "policy", Kind: JSON,
			Write:   func(g *record.Group, w Writer) { writeJSON(w, storedPolicy(g.Policy)) },
			Read:    func(g *record.Group, v Reader) { g.Policy = readPolicy(v.Text()) },
			Changed: func(a, b *record.Group) bool { return a.Policy != b.Policy },
		},
		{
			Name: "k_target", Kind: Int32,
			Write:   func(g *record.Group, w Writer) { w.Int(int64(successesNeeded(g.Policy))) },
			Read:    func(*record.Group, Reader) {}, // the policy says it
			Changed: func(a, b *record.Group) bool { return successesNeeded(a.Policy) != successesNeeded(b.Policy) },
		},
		integer("success_count", Int32, func(g *record.Group) *int { return &g.Success }),
		integer("fail_count", Int32, func(g *record.Group) *int { return &g.Fail }),
		integer("skip_count", Int32, func(g *record.Group) *int { return &g.Skip }),
		integer("running_count", Int32, func(g *record.Group) *int { return &g.Running }),
		boolean("cancel_siblings_pending_flag", func(g *record.Group) *bool { return &g.SiblingsPending }),
		text("group_state", func(g *record.Group) *flowfabric.GroupState { return &g.State }),
		optionalInteger("satisfied_at_ms", Int64, func(g *record.Group) *flowfabric.Timestamp { return &g.SatisfiedAt }),
		optionalText("cancel_siblings_reason", "", func(g *record.Group) *string { return &g.SiblingsReason }),
		integer("version", Int64, func(g *record.Group) *int64 { return &g.Version }),
		integer("total_count", Int32, func(g *record.Group) *int { return &g.Total }),
		integer("required_count", Int32, func(g *record.Group) *int { return &g.Required }),
		integer("required_success_count", Int32, func(g *record.Group) *int { return &g.RequiredSuccess }),
		integer("round", Int32, func(g *record.Group) *int { return &g.Round }),
		integer("wave", Int32, func(g *record.Group) *int { return &g.Wave }),
		optionalUUID("data_edge", func(g *record.Group) *flowfabric.EdgeID { return &g.DataEdge }),
		optionalMemberOf("data_from", groupHome, func(g *record.Group) *flowfabric.ExecutionID { return &g.DataFrom }),
	},
)}

// groupPolicy is the JSON that ff_edge_group.policy holds.
type groupPolicy struct {
	Kind        flowfabric.PolicyKind  `json:"kind"`
	K           *int                   `json:"k,omitempty"`
	OnSatisfied flowfabric.OnSatisfied `json:"on_satisfied,omitempty"`
}

func storedPolicy(p flowfabric.GroupPolicy) *groupPolicy {
	stored := &groupPolicy{Kind: cmp.Or(p.Kind, flowfabric.AllOf), OnSatisfied: p.OnSatisfied}
	if p.K != 0 {
		stored.K = &p.K
	}
	return stored
}

// readPolicy reads a policy. Of a kind it does not know it keeps what is there, so that the rules can refuse to decide.
func readPolicy(s string) flowfabric.GroupPolicy {
	var stored groupPolicy
	_ = json.Unmarshal([]byte(s), &stored)
	p := flowfabric.GroupPolicy{Kind: stored.Kind, OnSatisfied: stored.OnSatisfied}
	if stored.K != nil {
		p.K = *stored.K
	}
	switch p.Kind {
	case "", flowfabric.AllOf:
		return flowfabric.GroupPolicy{Kind: flowfabric.AllOf}
	case flowfabric.AnyOf:
		p.K = 0
	case flowfabric.Quorum:
		if stored.K == nil {
			p.K = 1
		}
	default:
		return p
	}
	if p.OnSatisfied != flowfabric.LetRun {
		p.OnSatisfied = flowfabric.CancelRemaining
	}
	return p
}

// successesNeeded is k_target: 0 for all.
func successesNeeded(p flowfabric.GroupPolicy) int {
	switch p.Kind {
	case flowfabric.AnyOf:
		return 1
	case flowfabric.Quorum:
		return p.K
	default:
		return 0
	}
}

func errandMember(e *record.Errand) *flowfabric.ExecutionID { return &e.ExecutionID }

// errands is ff_errand.
var errands = Table[record.Errand]{Name: "ff_errand", Keys: 3, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(e *record.Errand) *flowfabric.FlowID { return &e.FlowID }),
		uuidOf("execution_id", errandMember),
		text("kind", func(e *record.Errand) *record.ErrandKind { return &e.Kind }),
		homeOf(func(e *record.Errand) *flowfabric.Partition { return &e.Home }, errandMember),
	),
	[]Column[record.Errand]{
		integer("version", Int64, func(e *record.Errand) *int64 { return &e.Version }),
		optionalUUID("after_edge", func(e *record.Errand) *flowfabric.EdgeID { return &e.After }),
		optionalInteger("enqueued_at_ms", Int64, func(e *record.Errand) *flowfabric.Timestamp { return &e.EnqueuedAt }),
	},
)}
