package server

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"reflect"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefWaitpoints() {
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/pending-waitpoints", op: wire.ListPending.Op, name: "list_execution_waitpoints",
		query: reflect.TypeFor[waitpointPage](), answers: ok[[]pendingWaitpoint](),
	}, s.refPending)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions/{id}/waitpoints/{waitpoint_id}/token", op: wire.WaitpointToken.Op, name: "get_waitpoint_token",
		answers: ok[waitpointToken](),
	}, s.refToken)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions/{id}/signal", op: wire.DeliverSignal.Op, name: "signal_execution", limit: medium,
		body: reflect.TypeFor[signal](), answers: ok[signalled](),
	}, s.refSignal)
}

// waitpointPage are the parameters of GET …/pending-waitpoints. The header X-Next-Cursor is the after of the next page; there is
// none on the last (H06).
type waitpointPage struct {
	After *lenient[flowfabric.WaitpointID] `json:"after,omitzero"`
	Limit uint64                           `json:"limit,omitzero"` // 1 to 1,000, which more counts for; default 100
}

// pendingWaitpoint is a waitpoint of an execution that can be signalled. It does not tell the token.
type pendingWaitpoint struct {
	WaitpointID flowfabric.WaitpointID    `json:"waitpoint_id"`
	Key         string                    `json:"waitpoint_key"`
	State       flowfabric.WaitpointState `json:"state"` // pending or active
	// RequiredSignalNames are empty for any.
	RequiredSignalNames []string               `json:"required_signal_names"`
	CreatedAt           flowfabric.Timestamp   `json:"created_at"`
	ActivatedAt         flowfabric.Timestamp   `json:"activated_at,omitzero"`
	ExpiresAt           flowfabric.Timestamp   `json:"expires_at,omitzero"`
	ExecutionID         flowfabric.ExecutionID `json:"execution_id"`
	TokenKid            string                 `json:"token_kid"`
	TokenFingerprint    string                 `json:"token_fingerprint"`
}

func (s *Server) refPending(w http.ResponseWriter, r *http.Request) (int, any, error) {
	q := waitpointPage{Limit: 100}
	if err := readQuery(r, &q); err != nil {
		return 0, nil, err
	}
	if q.Limit < 1 {
		return 0, nil, refuseInput("limit", "limit must be >= 1")
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	if !s.there(id) {
		return 0, nil, flowfabric.ErrExecutionNotFound
	}
	ask := flowfabric.ListPendingWaitpoints{ExecutionID: id, Limit: int(min(q.Limit, flowfabric.MaxPage))}
	if q.After != nil {
		ask.After = q.After.id
	}
	page, err := call(r.Context(), s, wire.ListPending, ask)
	if err != nil {
		return 0, nil, err
	}
	list := make([]pendingWaitpoint, len(page.Items))
	for i, p := range page.Items {
		list[i] = pendingWaitpoint{
			WaitpointID: p.WaitpointID, Key: p.Key, State: p.State, RequiredSignalNames: append([]string{}, p.RequiredSignalNames...),
			CreatedAt: p.CreatedAt, ActivatedAt: p.ActivatedAt, ExpiresAt: p.ExpiresAt, ExecutionID: id, TokenKid: p.TokenKid,
			TokenFingerprint: p.TokenFingerprint,
		}
	}
	if page.Next != "" {
		w.Header().Set("X-Next-Cursor", page.Next)
	}
	return http.StatusOK, list, nil
}

// waitpointToken answers GET …/token.
type waitpointToken struct {
	Token flowfabric.WaitpointToken `json:"token"`
}

// refToken tells the token of a waitpoint that can be signalled, and that is the execution's (H07).
func (s *Server) refToken(w http.ResponseWriter, r *http.Request) (int, any, error) {
	w.Header().Set("Cache-Control", "no-store")
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	point, err := pathUUID[flowfabric.WaitpointID](r, "waitpoint_id", "waitpoint_id")
	if err != nil {
		return 0, nil, err
	}
	missing := refuseMissing("waitpoint token not found (consumed, expired, or unknown id)", flowfabric.CodeWaitpointNotFound)
	if !s.there(id) {
		return 0, nil, missing
	}
	found := func(err error) error {
		if errors.Is(err, flowfabric.ErrExecutionNotFound) || errors.Is(err, flowfabric.ErrWaitpointNotFound) {
			return missing
		}
		return err
	}
	// Whether it can be signalled is for the store's clock to say: so it is looked for among those that can.
	page, err := call(r.Context(), s, wire.ListPending, flowfabric.ListPendingWaitpoints{ExecutionID: id, After: before(point), Limit: 1})
	if err == nil && (len(page.Items) == 0 || page.Items[0].WaitpointID != point) {
		err = missing
	}
	if err != nil {
		return 0, nil, found(err)
	}
	token, err := call(r.Context(), s, wire.WaitpointToken, wire.OfWaitpoint{ExecutionID: id, WaitpointID: point})
	if err != nil {
		return 0, nil, found(err)
	}
	return http.StatusOK, waitpointToken{token.Token}, nil
}

// before is the UUID in front of id, which is not the nil UUID.
func before(id flowfabric.WaitpointID) flowfabric.WaitpointID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]--; id[i] != math.MaxUint8 {
			break
		}
	}
	return id
}

// signal is the body of POST …/signal. What a sender says of its own limits is passed over: those of the execution hold (H08).
type signal struct {
	ExecutionID    flowfabric.ExecutionID          `json:"execution_id"`
	WaitpointID    lenient[flowfabric.WaitpointID] `json:"waitpoint_id"`
	SignalID       lenient[flowfabric.SignalID]    `json:"signal_id"`
	Name           string                          `json:"signal_name"`
	Category       string                          `json:"signal_category"`
	SourceType     string                          `json:"source_type"`
	SourceIdentity string                          `json:"source_identity"`
	TargetScope    string                          `json:"target_scope"`
	Token          flowfabric.WaitpointToken       `json:"waitpoint_token"`
	// At most one of the two may be given.
	Payload         *octets `json:"payload,omitzero"`
	PayloadB64      *[]byte `json:"payload_b64,omitzero"`
	PayloadEncoding *string `json:"payload_encoding,omitzero"`
	CorrelationID   *string `json:"correlation_id,omitzero"`
	IdempotencyKey  *string `json:"idempotency_key,omitzero"`
	CreatedAt       *int64  `json:"created_at,omitzero"`
	DedupTTLMS      *uint64 `json:"dedup_ttl_ms,omitzero"`
	ResumeDelayMS   *uint64 `json:"resume_delay_ms,omitzero"`
	MaxSignals      *uint64 `json:"max_signals_per_execution,omitzero"`
	SignalMaxLen    *uint64 `json:"signal_maxlen,omitzero"`
	Now             int64   `json:"now"`
}

// signalled answers it.
type signalled struct {
	Accepted  *acceptedSignal  `json:"Accepted,omitzero"`
	Duplicate *duplicateSignal `json:"Duplicate,omitzero"`
}

type acceptedSignal struct {
	SignalID flowfabric.SignalID     `json:"signal_id"`
	Effect   flowfabric.SignalEffect `json:"effect"`
}

type duplicateSignal struct {
	ExistingSignalID flowfabric.SignalID `json:"existing_signal_id"`
}

func (s *Server) refSignal(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[signal](r)
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
	payload, err := payloadOf("payload", in.Payload, in.PayloadB64)
	if err != nil {
		return 0, nil, err
	}
	cmd := flowfabric.Signal{
		ExecutionID: id, WaitpointID: in.WaitpointID.id, Token: in.Token, SignalID: in.SignalID.id, Name: in.Name, Category: in.Category,
		SourceType: in.SourceType, SourceIdentity: in.SourceIdentity, Payload: payload, Encoding: deref(in.PayloadEncoding),
		CorrelationID: deref(in.CorrelationID), IdempotencyKey: deref(in.IdempotencyKey), TargetScope: in.TargetScope,
		CreatedAt: flowfabric.Timestamp(deref(in.CreatedAt)), DedupTTL: spanMS(deref(in.DedupTTLMS)),
	}
	if in.ResumeDelayMS != nil {
		delay := spanMS(*in.ResumeDelayMS)
		cmd.ResumeDelay = &delay
	}
	res, err := call(r.Context(), s, wire.DeliverSignal, cmd)
	switch {
	case errors.Is(err, flowfabric.ErrMissingToken), errors.Is(err, flowfabric.ErrTokenExpired): // whoever has no right to know is not told which
		return 0, nil, flowfabric.ErrInvalidToken
	case err != nil:
		return 0, nil, err
	case res.Duplicate:
		return http.StatusOK, signalled{Duplicate: &duplicateSignal{res.SignalID}}, nil
	}
	return http.StatusOK, signalled{Accepted: &acceptedSignal{cmp.Or(res.SignalID, in.SignalID.id), res.Effect}}, nil
}

// spanMS is a number of milliseconds as a span; what is longer than any span is longer than any bound.
func spanMS(ms uint64) time.Duration {
	return time.Duration(min(ms, uint64(math.MaxInt64/time.Millisecond))) * time.Millisecond
}
