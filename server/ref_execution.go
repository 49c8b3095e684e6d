package server

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefExecutions() {
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions", op: wire.Submit.Op, name: "create_execution", limit: large, body: reflect.TypeFor[submission](),
		answers: []answer{{status: http.StatusCreated, body: reflect.TypeFor[submitted]()}, {status: http.StatusOK, body: reflect.TypeFor[submitted]()}},
	}, s.refSubmit)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}", op: wire.Describe.Op, name: "get_execution", query: reflect.TypeFor[include](),
		answers: ok[executionInfo](),
	}, s.refExecution)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/state", op: wire.Describe.Op, name: "get_execution_state", answers: ok[flowfabric.PublicState](),
	}, s.refState)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/result", op: wire.GetResult.Op, name: "get_execution_result",
		answers: []answer{{status: http.StatusOK, media: octetStream}},
	}, s.refResult)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions/{id}/cancel", op: wire.Cancel.Op, name: "cancel_execution", limit: control,
		body: reflect.TypeFor[cancellation](), answers: ok[cancelled](),
	}, s.refCancel)
	s.addRef(route{
		method: http.MethodPut, path: "/v1/executions/{id}/priority", op: wire.ChangePriority.Op, name: "change_execution_priority", limit: control,
		body: reflect.TypeFor[newPriority](), answers: ok[priorityChanged](),
	}, s.refPriority)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions/{id}/replay", op: wire.Replay.Op, name: "replay_execution", limit: control,
		answers: ok[replayed](),
	}, s.refReplay)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions/{id}/revoke-lease", op: wire.RevokeLease.Op, name: "revoke_execution_lease", limit: control,
		answers: ok[revoked](),
	}, s.refRevoke)
}

// ok is a 200 with a body of a type.
func ok[T any]() []answer { return []answer{{status: http.StatusOK, body: reflect.TypeFor[T]()}} }

// include are further members of an execution that a caller wants to see: a list of tags, policy, lease, failure and attempts.
type include struct {
	Include []string `json:"include,omitzero"`
}

// executionInfo answers GET /v1/executions/{id}. The members from Tags on are there if they were asked for, and there is
// anything to tell.
type executionInfo struct {
	ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
	Namespace    flowfabric.Namespace   `json:"namespace"`
	Lane         flowfabric.LaneID      `json:"lane_id"`
	Priority     int                    `json:"priority"`
	Kind         string                 `json:"execution_kind"`
	State        stateVector            `json:"state_vector"`
	PublicState  flowfabric.PublicState `json:"public_state"`
	CreatedAt    decimal                `json:"created_at"`
	StartedAt    decimal                `json:"started_at,omitzero"`
	CompletedAt  decimal                `json:"completed_at,omitzero"`
	AttemptIndex int                    `json:"current_attempt_index"` // 0 before the first
	FlowID       *flowfabric.FlowID     `json:"flow_id"`
	Blocking     string                 `json:"blocking_detail"`

	Tags     map[string]string            `json:"tags,omitzero"`
	Policy   *flowfabric.Policy           `json:"policy,omitzero"`
	Lease    *flowfabric.LeaseSnapshot    `json:"lease,omitzero"`
	Failure  *failure                     `json:"failure,omitzero"`
	Attempts []flowfabric.AttemptSnapshot `json:"attempts,omitzero"` // the first 1,000
}

// stateVector is the state of an execution in the words of the reference.
type stateVector struct {
	Phase          flowfabric.Phase          `json:"lifecycle_phase"`
	Ownership      flowfabric.Ownership      `json:"ownership_state"`
	Eligibility    flowfabric.Eligibility    `json:"eligibility_state"`
	BlockingReason flowfabric.BlockingReason `json:"blocking_reason"`
	Outcome        flowfabric.Outcome        `json:"terminal_outcome"`
	AttemptState   flowfabric.AttemptState   `json:"attempt_state"`
	PublicState    flowfabric.PublicState    `json:"public_state"`
}

// failure is why an execution failed, or was cancelled.
type failure struct {
	Reason             string                     `json:"reason,omitzero"`
	Category           flowfabric.FailureCategory `json:"category,omitzero"`
	CancellationReason string                     `json:"cancellation_reason,omitzero"`
	CancelledBy        flowfabric.Source          `json:"cancelled_by,omitzero"`
}

// decimal is an instant as some members of the reference have it: the milliseconds as a string.
type decimal flowfabric.Timestamp

// MarshalText implements [encoding.TextMarshaler].
func (d decimal) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(d), 10), nil }

func vectorOf(v flowfabric.StateVector, public flowfabric.PublicState) stateVector {
	phase := v.Phase
	if phase == flowfabric.PhaseCancelled { // which every reader treats as terminal
		phase = flowfabric.PhaseTerminal
	}
	return stateVector{
		Phase: phase, Ownership: v.Ownership, Eligibility: v.Eligibility, BlockingReason: v.BlockingReason, Outcome: v.Outcome,
		AttemptState: v.AttemptState, PublicState: public,
	}
}

// described reads the id of the path and what it names.
func (s *Server) described(r *http.Request) (flowfabric.ExecutionSnapshot, error) {
	id, err := executionOf(r)
	if err != nil {
		return flowfabric.ExecutionSnapshot{}, err
	}
	missing := refuseMissing("execution not found: "+id.String(), flowfabric.CodeExecutionNotFound)
	if !s.there(id) {
		return flowfabric.ExecutionSnapshot{}, missing
	}
	e, err := call(r.Context(), s, wire.Describe, wire.OfExecution{ExecutionID: id})
	if errors.Is(err, flowfabric.ErrExecutionNotFound) {
		err = missing
	}
	return e, err
}

func (s *Server) refExecution(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	var q include
	if err := readQuery(r, &q); err != nil {
		return 0, nil, err
	}
	e, err := s.described(r)
	if err != nil {
		return 0, nil, err
	}
	info := executionInfo{
		ExecutionID: e.ExecutionID, Namespace: e.Namespace, Lane: e.Lane, Priority: e.Priority, Kind: e.Kind, State: vectorOf(e.State, e.PublicState),
		PublicState: e.PublicState, CreatedAt: decimal(e.CreatedAt), StartedAt: decimal(e.StartedAt), CompletedAt: decimal(e.CompletedAt),
		Blocking: e.BlockingDetail,
	}
	if e.Attempt != nil {
		info.AttemptIndex = e.Attempt.Index
	}
	if !e.FlowID.IsZero() {
		info.FlowID = &e.FlowID
	}
	for _, word := range q.Include {
		if err := s.tellMore(r, &info, &e, word); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, info, nil
}

// tellMore adds what a word of include asks for.
func (s *Server) tellMore(r *http.Request, info *executionInfo, e *flowfabric.ExecutionSnapshot, word string) error {
	switch word {
	case "tags":
		info.Tags = e.Tags
	case "policy":
		info.Policy = e.Policy
	case "lease":
		info.Lease = e.Lease
	case "failure":
		if f := (failure{e.FailureReason, e.FailureCategory, e.CancellationReason, e.CancelledBy}); f != (failure{}) {
			info.Failure = &f
		}
	case "attempts":
		page, err := call(r.Context(), s, wire.Attempts, flowfabric.ListAttempts{ExecutionID: e.ExecutionID, Limit: flowfabric.MaxPage})
		info.Attempts = page.Items
		return err
	default:
		return refuseInput("include", "invalid_input: include: want any of tags, policy, lease, failure, attempts")
	}
	return nil
}

func (s *Server) refState(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	e, err := s.described(r)
	return http.StatusOK, e.PublicState, err
}

const octetStream = "application/octet-stream"

func (s *Server) refResult(w http.ResponseWriter, r *http.Request) (int, any, error) {
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	missing := func(why flowfabric.Code) (int, any, error) {
		return 0, nil, refuseMissing("execution result not found: "+id.String(), why)
	}
	if !s.there(id) {
		return missing(flowfabric.CodeExecutionNotFound)
	}
	res, err := call(r.Context(), s, wire.GetResult, wire.OfExecution{ExecutionID: id})
	switch {
	case errors.Is(err, flowfabric.ErrExecutionNotFound):
		return missing(flowfabric.CodeExecutionNotFound)
	case err != nil:
		return 0, nil, err
	case res.Outcome == flowfabric.OutcomeNone:
		return missing("not_finished")
	case len(res.Payload) == 0:
		return missing("no_result")
	}
	w.Header().Set("Content-Type", octetStream)
	w.Header().Set("Content-Length", strconv.Itoa(len(res.Payload)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(res.Payload) // the caller may have gone
	return 0, nil, nil
}

// cancellation is the body of POST /v1/executions/{id}/cancel.
type cancellation struct {
	ExecutionID flowfabric.ExecutionID         `json:"execution_id"`
	Reason      string                         `json:"reason"`
	Source      flowfabric.Source              `json:"source,omitzero"` // default operator_override
	LeaseID     *lenient[flowfabric.LeaseID]   `json:"lease_id,omitzero"`
	LeaseEpoch  *uint64                        `json:"lease_epoch,omitzero"`
	AttemptID   *lenient[flowfabric.AttemptID] `json:"attempt_id,omitzero"`
	Now         int64                          `json:"now"`
}

// cancelled answers it.
type cancelled struct {
	Cancelled createdExecution `json:"Cancelled"`
}

func (s *Server) refCancel(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[cancellation](r)
	if err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	if err := sameID("execution_id", id, in.ExecutionID); err != nil {
		return 0, nil, err
	}
	fence, err := s.fenceOf(r, id, in)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.Cancel, flowfabric.Cancel{ExecutionID: id, Reason: in.Reason, Source: in.Source, Fence: fence})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, cancelled{createdExecution{res.ExecutionID, res.PublicState}}, nil
}

// fenceOf is the fence of a cancel. The reference's has no attempt index, and an epoch alone is enough of it: of the lease with
// that epoch, which is the only one to have it, what was left out is filled in.
func (s *Server) fenceOf(r *http.Request, id flowfabric.ExecutionID, in *cancellation) (flowfabric.Fence, error) {
	var f flowfabric.Fence
	if in.LeaseID != nil {
		f.LeaseID = in.LeaseID.id
	}
	if in.AttemptID != nil {
		f.AttemptID = in.AttemptID.id
	}
	f.Epoch = deref(in.LeaseEpoch)
	if f.IsZero() {
		return f, nil
	}
	e, err := call(r.Context(), s, wire.Describe, wire.OfExecution{ExecutionID: id})
	if err != nil {
		return f, err
	}
	if e.Lease == nil || e.Attempt == nil || e.Lease.Epoch != f.Epoch {
		return f, nil
	}
	f.AttemptIndex = e.Attempt.Index
	if in.LeaseID == nil {
		f.LeaseID = e.Lease.LeaseID
	}
	if in.AttemptID == nil {
		f.AttemptID = e.Attempt.AttemptID
	}
	return f, nil
}

// newPriority is the body of PUT /v1/executions/{id}/priority.
type newPriority struct {
	NewPriority int32 `json:"new_priority"` // clamped to what the engine takes
}

// priorityChanged answers it.
type priorityChanged struct {
	Changed ofExecution `json:"Changed"`
}

func (s *Server) refPriority(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newPriority](r)
	if err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.ChangePriority, flowfabric.ChangePriority{ExecutionID: id, NewPriority: int(in.NewPriority)})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, priorityChanged{ofExecution{res.ExecutionID}}, nil
}

// replayed answers POST /v1/executions/{id}/replay.
type replayed struct {
	Replayed struct {
		PublicState flowfabric.PublicState `json:"public_state"`
	} `json:"Replayed"`
}

func (s *Server) refReplay(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := noBody(r); err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.Replay, flowfabric.Replay{ExecutionID: id})
	if err != nil {
		return 0, nil, err
	}
	var out replayed
	out.Replayed.PublicState = res.PublicState
	return http.StatusOK, out, nil
}

// revoked answers POST /v1/executions/{id}/revoke-lease. The epoch is a string here, and a number everywhere else.
type revoked struct {
	Revoked *struct {
		LeaseID    string `json:"lease_id"`
		LeaseEpoch string `json:"lease_epoch"`
	} `json:"Revoked,omitzero"`
	AlreadySatisfied *struct {
		Reason string `json:"reason"`
	} `json:"AlreadySatisfied,omitzero"`
}

func (s *Server) refRevoke(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := noBody(r); err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.RevokeLease, flowfabric.RevokeLease{ExecutionID: id, Reason: "operator_revoke"})
	if err != nil {
		return 0, nil, err
	}
	out := revoked{}
	if res.Outcome == flowfabric.Revoked {
		out.Revoked = &struct {
			LeaseID    string `json:"lease_id"`
			LeaseEpoch string `json:"lease_epoch"`
		}{res.LeaseID, strconv.FormatUint(res.Epoch, 10)}
	} else {
		out.AlreadySatisfied = &struct {
			Reason string `json:"reason"`
		}{res.Reason}
	}
	return http.StatusOK, out, nil
}
