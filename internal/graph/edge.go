package graph

import (
	"fmt"
	"strconv"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// CreatedBy is recorded with edges.
const CreatedBy = "engine"

// NewEdge is an edge that is staged.
func NewEdge(key record.EdgeKey, upstream, downstream ff.ExecutionID, now ff.Timestamp) *record.Edge {
	return &record.Edge{
		EdgeKey: key, Upstream: upstream, Downstream: downstream, DependencyKind: ff.SuccessOnly, State: ff.EdgePending,
		CreatedAt: now, CreatedBy: CreatedBy,
	}
}

// Stage adds an edge that was just made to the group of its downstream, in its present wave. g may be nil. A group that is
// decided takes no more edges.
func Stage(e *record.Edge, g *record.Group) (*record.Group, error) {
	if g == nil {
		g = NewGroup(record.GroupKey{Home: e.Home, FlowID: e.FlowID, Downstream: e.Downstream})
	}
	if g.State != ff.GroupPending && g.State != "" {
		return nil, &ff.Error{
			Code:   ff.CodeExecutionNotActive,
			Detail: fmt.Sprintf("group_already_terminal: the edges that lead to %s are %s; no more can be added", e.Downstream, g.State),
		}
	}
	n := *g
	e.Wave = g.Wave
	n.Total++
	if e.Required {
		n.Required++
	}
	return &n, nil
}

// Apply makes an edge hold its downstream back. ne is nil when it does already, or when its upstream's end was counted
// before. An edge that was staged before the downstream waited for children of its own joins that wait.
func Apply(e *record.Edge, g *record.Group, now ff.Timestamp) (ne *record.Edge, ng *record.Group) {
	if e.Applied || e.ResolvedAt != 0 {
		return nil, nil
	}
	edge, group := *e, *g
	edge.Applied, edge.AppliedAt, edge.State = true, now, ff.EdgeApplied
	if e.Wave != g.Wave {
		if g.State != ff.GroupPending {
			return &edge, &group
		}
		edge.Wave = g.Wave
		group.Total++
		if e.Required {
			group.Required++
		}
	}
	group.Running++
	return &edge, &group
}

// Exists is the refusal of an edge whose id is used; it tells what by.
func Exists(e *record.Edge) error {
	return &ff.Error{
		Code:   ff.CodeDependencyAlreadyExists,
		Detail: fmt.Sprintf("edge %s leads from %s to %s", e.EdgeID, e.Upstream, e.Downstream),
		Attrs: map[string]string{
			"edge_id": e.EdgeID.String(), "flow_id": e.FlowID.String(), "upstream_execution_id": e.Upstream.String(),
			"downstream_execution_id": e.Downstream.String(), "dependency_kind": e.DependencyKind,
			"data_passing_ref": e.DataPassingRef, "edge_state": string(e.State), "created_at_ms": strconv.FormatInt(int64(e.CreatedAt), 10),
		},
	}
}
