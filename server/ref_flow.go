package server

import (
	"net/http"
	"reflect"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefFlows() {
	s.addRef(route{
		method: http.MethodPost, path: "/v1/flows", op: wire.CreateFlow.Op, name: "post_flow", limit: control, body: reflect.TypeFor[newFlow](),
		answers: createdOr[flowMade](),
	}, s.refCreateFlow)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/flows/{id}/members", op: wire.AddMember.Op, name: "post_flow_member", limit: control,
		body: reflect.TypeFor[newMember](), answers: createdOr[memberAdded](),
	}, s.refAddMember)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/flows/{id}/cancel", op: wire.CancelFlow.Op, name: "post_flow_cancel", limit: control,
		query: reflect.TypeFor[cancelWait](), body: reflect.TypeFor[flowCancellation](), answers: ok[flowCancelled](),
	}, s.refCancelFlow)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/flows/{id}/edges", op: wire.StageEdge.Op, name: "post_flow_edge", limit: control,
		body: reflect.TypeFor[newEdge](), answers: []answer{{status: http.StatusCreated, body: reflect.TypeFor[edgeStaged]()}},
	}, s.refStageEdge)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/flows/{id}/edges/apply", op: wire.ApplyEdge.Op, name: "post_flow_edge_apply", limit: control,
		body: reflect.TypeFor[stagedEdge](), answers: append(ok[edgeApplied](), ok[word]()...),
	}, s.refApplyEdge)
}

// createdOr is a 201, or a 200 if it was there, with a body of a type.
func createdOr[T any]() []answer {
	return append([]answer{{status: http.StatusCreated, body: reflect.TypeFor[T]()}}, ok[T]()...)
}

// word is a variant that says all by its name.
type word string

// flowOf reads the flow id of a path.
func flowOf(r *http.Request) (flowfabric.FlowID, error) {
	return pathUUID[flowfabric.FlowID](r, "id", "invalid flow_id")
}

// newFlow is the body of POST /v1/flows.
type newFlow struct {
	FlowID    lenient[flowfabric.FlowID] `json:"flow_id"`
	Kind      string                     `json:"flow_kind"`
	Namespace flowfabric.Namespace       `json:"namespace"`
	Now       int64                      `json:"now"`
}

// flowMade answers it.
type flowMade struct {
	Created          *ofFlow `json:"Created,omitzero"`
	AlreadySatisfied *ofFlow `json:"AlreadySatisfied,omitzero"`
}

type ofFlow struct {
	FlowID flowfabric.FlowID `json:"flow_id"`
}

func (s *Server) refCreateFlow(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newFlow](r)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.CreateFlow, flowfabric.CreateFlow{FlowID: in.FlowID.id, Kind: in.Kind, Namespace: in.Namespace})
	if err != nil {
		return 0, nil, err
	}
	if !res.Created {
		return http.StatusOK, flowMade{AlreadySatisfied: &ofFlow{res.FlowID}}, nil
	}
	return http.StatusCreated, flowMade{Created: &ofFlow{res.FlowID}}, nil
}

// newMember is the body of POST /v1/flows/{id}/members.
type newMember struct {
	FlowID      lenient[flowfabric.FlowID] `json:"flow_id"`
	ExecutionID flowfabric.ExecutionID     `json:"execution_id"`
	Now         int64                      `json:"now"`
}

// memberAdded answers it.
type memberAdded struct {
	Added *struct {
		ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
		NewNodeCount int                    `json:"new_node_count"`
	} `json:"Added,omitzero"`
	AlreadyMember *struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		NodeCount   int                    `json:"node_count"`
	} `json:"AlreadyMember,omitzero"`
}

func (s *Server) refAddMember(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newMember](r)
	if err != nil {
		return 0, nil, err
	}
	flow, err := namedFlow(r, in.FlowID)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.AddMember, flowfabric.AddMember{FlowID: flow, ExecutionID: in.ExecutionID})
	if err != nil {
		return 0, nil, err
	}
	var out memberAdded
	if res.Added {
		out.Added = &struct {
			ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
			NewNodeCount int                    `json:"new_node_count"`
		}{in.ExecutionID, res.NodeCount}
		return http.StatusCreated, out, nil
	}
	out.AlreadyMember = &struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		NodeCount   int                    `json:"node_count"`
	}{in.ExecutionID, res.NodeCount}
	return http.StatusOK, out, nil
}

// namedFlow is the flow of the path, which the body must name, too.
func namedFlow(r *http.Request, body lenient[flowfabric.FlowID]) (flowfabric.FlowID, error) {
	flow, err := flowOf(r)
	if err != nil {
		return flow, err
	}
	return flow, sameID("flow_id", flow, body.id)
}

// flowCancellation is the body of POST /v1/flows/{id}/cancel.
type flowCancellation struct {
	FlowID lenient[flowfabric.FlowID]    `json:"flow_id"`
	Reason string                        `json:"reason"`
	Policy flowfabric.CancellationPolicy `json:"cancellation_policy"` // cancel_all, cancel_pending, flow_only or cancel_flow_only
	Now    int64                         `json:"now"`
}

// cancelWait are the parameters of POST /v1/flows/{id}/cancel.
type cancelWait struct {
	// Wait until all members have ended: true and 1 are the only words for it.
	Wait string `json:"wait,omitzero"`
	// WaitTimeoutMS is how long: 0 to 60,000, which is the default.
	WaitTimeoutMS uint64 `json:"wait_timeout_ms,omitzero"`
}

// flowCancelled answers it. The engine cancels members in the commit that cancels the flow, the first thousand, and in commits
// of as many that follow. None of them can be cancelled on its own or fail to be, so the reference's third variant,
// PartiallyCancelled, is not told: what was not done in time is CancellationScheduled, and is done all the same.
type flowCancelled struct {
	Cancelled             *cancelledFlow `json:"Cancelled,omitzero"`
	CancellationScheduled *scheduledFlow `json:"CancellationScheduled,omitzero"`
}

type cancelledFlow struct {
	Policy  flowfabric.CancellationPolicy `json:"cancellation_policy"`
	Members []flowfabric.ExecutionID      `json:"member_execution_ids"` // the first 1,000
}

type scheduledFlow struct {
	Policy  flowfabric.CancellationPolicy `json:"cancellation_policy"`
	Count   int                           `json:"member_count"`
	Members []flowfabric.ExecutionID      `json:"member_execution_ids"` // the first 1,000
}

const maxCancelWaitMS = 60_000

func (s *Server) refCancelFlow(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[flowCancellation](r)
	if err != nil {
		return 0, nil, err
	}
	flow, err := namedFlow(r, in.FlowID)
	if err != nil {
		return 0, nil, err
	}
	wait, most, err := readCancelWait(r)
	if err != nil {
		return 0, nil, err
	}
	if in.Policy == "" { // which is a default elsewhere
		return 0, nil, refuseInput("cancellation_policy", "invalid_input: cancellation_policy is empty; want cancel_all, cancel_pending or flow_only")
	}
	res, err := call(r.Context(), s, wire.CancelFlow, flowfabric.CancelFlow{FlowID: flow, Policy: in.Policy, Reason: in.Reason})
	if err != nil {
		return 0, nil, err
	}
	policy := in.Policy // in the caller's spelling
	if res.AlreadyTerminal && res.Policy != "" {
		policy = res.Policy
	}
	members := append([]flowfabric.ExecutionID{}, res.Members...)
	if !res.AlreadyTerminal && in.Policy == flowfabric.CancelAll && res.Count > 0 {
		done := false
		if wait {
			done, err = s.allCancelled(r, flow, &res, most)
		}
		if err != nil {
			return 0, nil, err
		}
		if !done {
			return http.StatusOK, flowCancelled{CancellationScheduled: &scheduledFlow{policy, res.Count, members}}, nil
		}
	}
	return http.StatusOK, flowCancelled{Cancelled: &cancelledFlow{policy, members}}, nil
}

// readCancelWait reads whether to wait, and how long at most. wait is not checked: what is no word for it is no.
func readCancelWait(r *http.Request) (wait bool, most time.Duration, err error) {
	query, err := queryOf(r)
	if err != nil {
		return false, 0, err
	}
	in := struct {
		WaitTimeoutMS uint64 `json:"wait_timeout_ms,omitzero"`
	}{maxCancelWaitMS}
	if err := readQuery(r, &in); err != nil {
		return false, 0, err
	}
	if in.WaitTimeoutMS > maxCancelWaitMS {
		return false, 0, refuseInput("wait_timeout_ms", "wait_timeout_ms exceeds 60000ms ceiling")
	}
	return isOn(query, "wait"), spanMS(in.WaitTimeoutMS), nil
}

// allCancelled waits until the members of a cancelled flow have ended, and reports whether they have.
func (s *Server) allCancelled(r *http.Request, flow flowfabric.FlowID, res *flowfabric.CancelFlowResult, most time.Duration) (bool, error) {
	if res.Count <= len(res.Members) { // all in the one commit
		return true, nil
	}
	sum, err := call(r.Context(), s, wire.AwaitFlow, wire.WaitFlow{FlowID: flow, Wait: most})
	return err == nil && sum.Ended >= sum.NodeCount, s.unlessStopping(err)
}

// newEdge is the body of POST /v1/flows/{id}/edges.
type newEdge struct {
	FlowID           lenient[flowfabric.FlowID] `json:"flow_id"`
	EdgeID           lenient[flowfabric.EdgeID] `json:"edge_id"`
	Upstream         flowfabric.ExecutionID     `json:"upstream_execution_id"`
	Downstream       flowfabric.ExecutionID     `json:"downstream_execution_id"`
	ExpectedRevision uint64                     `json:"expected_graph_revision"`
	DependencyKind   string                     `json:"dependency_kind,omitzero"` // success_only, which is the default
	DataPassingRef   *string                    `json:"data_passing_ref,omitzero"`
	// Apply: the edge holds its downstream back at once, in the same commit (H12).
	Apply bool  `json:"apply,omitzero"`
	Now   int64 `json:"now"`
}

// edgeStaged answers it.
type edgeStaged struct {
	Staged struct {
		EdgeID        flowfabric.EdgeID `json:"edge_id"`
		GraphRevision uint64            `json:"new_graph_revision"`
	} `json:"Staged"`
}

func (s *Server) refStageEdge(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newEdge](r)
	if err != nil {
		return 0, nil, err
	}
	flow, err := namedFlow(r, in.FlowID)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.StageEdge, flowfabric.StageEdge{
		FlowID: flow, EdgeID: in.EdgeID.id, Upstream: in.Upstream, Downstream: in.Downstream, DependencyKind: in.DependencyKind,
		DataPassingRef: deref(in.DataPassingRef), ExpectedRevision: in.ExpectedRevision, Apply: in.Apply,
	})
	if err != nil {
		return 0, nil, err
	}
	var out edgeStaged
	out.Staged.EdgeID, out.Staged.GraphRevision = res.EdgeID, res.GraphRevision
	return http.StatusCreated, out, nil
}

// stagedEdge is the body of POST /v1/flows/{id}/edges/apply.
type stagedEdge struct {
	FlowID     lenient[flowfabric.FlowID] `json:"flow_id"`
	EdgeID     lenient[flowfabric.EdgeID] `json:"edge_id"`
	Upstream   flowfabric.ExecutionID     `json:"upstream_execution_id"`
	Downstream flowfabric.ExecutionID     `json:"downstream_execution_id"`
	// GraphRevision is not used: an edge is applied whatever the graph has become since.
	GraphRevision  uint64  `json:"graph_revision"`
	DependencyKind string  `json:"dependency_kind,omitzero"`
	DataPassingRef *string `json:"data_passing_ref,omitzero"` // that of the staged edge counts
	Now            int64   `json:"now"`
}

// edgeApplied answers it, unless the edge was applied before: then the word AlreadyApplied does.
type edgeApplied struct {
	Applied struct {
		UnsatisfiedCount int `json:"unsatisfied_count"`
	} `json:"Applied"`
}

const alreadyApplied word = "AlreadyApplied"

func (s *Server) refApplyEdge(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[stagedEdge](r)
	if err != nil {
		return 0, nil, err
	}
	flow, err := namedFlow(r, in.FlowID)
	if err != nil {
		return 0, nil, err
	}
	if in.DependencyKind != "" && in.DependencyKind != flowfabric.SuccessOnly {
		return 0, nil, &flowfabric.Error{Code: flowfabric.CodeInvalidDependency, Detail: "the dependency kind is unknown; want " + flowfabric.SuccessOnly}
	}
	res, err := call(r.Context(), s, wire.ApplyEdge, flowfabric.ApplyEdge{
		FlowID: flow, EdgeID: in.EdgeID.id, Upstream: in.Upstream, Downstream: in.Downstream,
	})
	if err != nil {
		return 0, nil, err
	}
	if !res.Applied {
		return http.StatusOK, alreadyApplied, nil
	}
	var out edgeApplied
	out.Applied.UnsatisfiedCount = res.Unsatisfied
	return http.StatusOK, out, nil
}
