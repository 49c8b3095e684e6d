package sqlstore

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func edgeHome(e *record.Edge) *flowfabric.Partition { return &e.Home }

// edges is ff_edge. Its columns up to policy_version are the ones chapter 20.2 binds; the rest is ours.
var edges = Table[record.Edge]{Name: "ff_edge", Keys: 2, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(e *record.Edge) *flowfabric.FlowID { return &e.FlowID }),
		uuidKey("edge_id", func(e *record.Edge) *flowfabric.EdgeID { return &e.EdgeID }),
		home(edgeHome),
		memberOf("upstream_eid", edgeHome, func(e *record.Edge) *flowfabric.ExecutionID { return &e.Upstream }),
		memberOf("downstream_eid", edgeHome, func(e *record.Edge) *flowfabric.ExecutionID { return &e.Downstream }),
		Column[record.Edge]{
			Name: "policy_version", Kind: Int32,
			Write: func(_ *record.Edge, w Writer) { w.Int(0) },
			Read:  func(*record.Edge, Reader) {},
		},
		boolean("required", func(e *record.Edge) *bool { return &e.Required }),
	),
	[]Column[record.Edge]{
		{
			Name: "policy", Kind: JSON,
			Write: func(e *record.Edge, w Writer) {
				p := edgePolicyOf(e)
				writeJSON(w, &p)
			},
			Read:    func(e *record.Edge, v Reader) { setEdgePolicy(e, v.Text()) },
			Changed: func(a, b *record.Edge) bool { return edgePolicyOf(a) != edgePolicyOf(b) },
		},
		integer("version", Int64, func(e *record.Edge) *int64 { return &e.Version }),
		integer("round", Int32, func(e *record.Edge) *int { return &e.Round }),
		integer("wave", Int32, func(e *record.Edge) *int { return &e.Wave }),
	},
)}

// edgePolicy is the JSON that ff_edge.policy holds.
type edgePolicy struct {
	DependencyKind string               `json:"dependency_kind"`
	Condition      string               `json:"satisfaction_condition"`
	DataPassingRef string               `json:"data_passing_ref"`
	State          flowfabric.EdgeState `json:"edge_state"`
	CreatedAt      flowfabric.Timestamp `json:"created_at_ms"`
	CreatedBy      string               `json:"created_by"`
	StagedAt       flowfabric.Timestamp `json:"staged_at_ms"`
	AppliedAt      appliedAt            `json:"applied_at_ms,omitzero"`
	ResolvedAt     flowfabric.Timestamp `json:"resolved_at_ms,omitzero"`
	Outcome        flowfabric.Outcome   `json:"resolved_outcome,omitzero"`
}

func edgePolicyOf(e *record.Edge) edgePolicy {
	return edgePolicy{
		DependencyKind: e.DependencyKind, Condition: "all_required", DataPassingRef: e.DataPassingRef, State: e.State,
		CreatedAt: e.CreatedAt, CreatedBy: e.CreatedBy, StagedAt: e.CreatedAt,
		AppliedAt:  appliedAt{not: !e.Applied, at: e.AppliedAt},
		ResolvedAt: e.ResolvedAt, Outcome: e.Outcome,
	}
}

// setEdgePolicy reads the policy. Absent keys, and keys of another type, have the readings of the chapter.
func setEdgePolicy(e *record.Edge, s string) {
	p := edgePolicy{DependencyKind: flowfabric.SuccessOnly, State: flowfabric.EdgePending, CreatedBy: "engine"}
	_ = json.Unmarshal([]byte(s), &p)
	e.DependencyKind, e.DataPassingRef, e.State = p.DependencyKind, p.DataPassingRef, p.State
	e.CreatedAt, e.CreatedBy = p.CreatedAt, p.CreatedBy
	e.Applied, e.AppliedAt = !p.AppliedAt.not, p.AppliedAt.at
	e.ResolvedAt, e.Outcome = p.ResolvedAt, p.Outcome
}

// appliedAt is when an edge was applied: null while it was not. An absent key, as in rows written by hand, is the zero
// value: applied, nobody knows when.
type appliedAt struct {
	not bool
	at  flowfabric.Timestamp
}

// MarshalJSON implements [json.Marshaler].
func (a appliedAt) MarshalJSON() ([]byte, error) {
	if a.not {
		return []byte("null"), nil
	}
	return json.Marshal(a.at)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *appliedAt) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*a = appliedAt{not: true}
		return nil
	}
	return json.Unmarshal(b, &a.at)
}
