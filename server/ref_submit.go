package server

import (
	"cmp"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// submission is the body of POST /v1/executions (chapter 70, section 4, route 2).
type submission struct {
	ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	Namespace   string                 `json:"namespace"`
	Lane        laneText               `json:"lane_id"`
	Kind        string                 `json:"execution_kind"`
	// One of the two must be given.
	Payload           *octets           `json:"input_payload,omitzero"`
	PayloadB64        *[]byte           `json:"input_payload_b64,omitzero"`
	PayloadEncoding   *string           `json:"payload_encoding,omitzero"`
	Priority          int32             `json:"priority"` // clamped to what the engine takes
	Creator           string            `json:"creator_identity"`
	IdempotencyKey    *string           `json:"idempotency_key,omitzero"`
	Tags              map[string]string `json:"tags,omitzero"`
	Policy            *policy           `json:"policy,omitzero"`
	DelayUntil        *int64            `json:"delay_until,omitzero"`
	ExecutionDeadline *int64            `json:"execution_deadline_at,omitzero"`
	// PartitionID is not used: the id says it.
	PartitionID *uint16 `json:"partition_id,omitzero"`
	Now         int64   `json:"now"`
}

// policy is how an execution is treated. Members of the reference's that change nothing are not among them, and are passed over
// like any other that nobody knows.
type policy struct {
	Retry         *retryPolicy                   `json:"retry_policy,omitzero"`
	Timeouts      *timeoutPolicy                 `json:"timeout_policy,omitzero"`
	MaxReclaims   *uint32                        `json:"max_reclaim_count,omitzero"`
	MaxReplays    *uint32                        `json:"max_replay_count,omitzero"`
	Suspension    *suspensionPolicy              `json:"suspension_policy,omitzero"`
	BudgetIDs     []lenient[flowfabric.BudgetID] `json:"budget_ids,omitzero"`
	QuotaPolicyID *lenient[flowfabric.QuotaID]   `json:"quota_policy_id,omitzero"`
	Limits        *flowfabric.Limits             `json:"limits,omitzero"`
	Routing       *routing                       `json:"routing_requirements,omitzero"`
	DedupWindowMS *int64                         `json:"dedup_window_ms,omitzero"`
	RetentionMS   *int64                         `json:"retention_ms,omitzero"`
	Aging         *flowfabric.AgingPolicy        `json:"aging_policy,omitzero"`
	Stream        *streamPolicy                  `json:"stream_policy,omitzero"`
	MaxSignals    *uint32                        `json:"max_signals_per_execution,omitzero"`
}

type (
	retryPolicy struct {
		MaxRetries          *uint32                    `json:"max_retries,omitzero"`
		Backoff             *backoff                   `json:"backoff,omitzero"`
		RetryableCategories []string                   `json:"retryable_categories,omitzero"`
		OnExhausted         flowfabric.ExhaustedAction `json:"on_exhausted,omitzero"`
	}
	timeoutPolicy struct {
		AttemptTimeoutMS    *int64                   `json:"attempt_timeout_ms,omitzero"`
		OnAttemptTimeout    flowfabric.TimeoutAction `json:"on_attempt_timeout,omitzero"`
		ExecutionDeadlineMS *int64                   `json:"execution_deadline_ms,omitzero"`
	}
	suspensionPolicy struct {
		DefaultTimeoutMS *int64                     `json:"default_timeout_ms,omitzero"`
		TimeoutBehavior  flowfabric.TimeoutBehavior `json:"timeout_behavior,omitzero"`
	}
	routing struct {
		RequiredCapabilities []string `json:"required_capabilities,omitzero"`
	}
	streamPolicy struct {
		MaxFrames int64 `json:"retention_maxlen,omitzero"`
		MaxBytes  int64 `json:"max_bytes,omitzero"`
	}
)

// backoff is a [flowfabric.Backoff] of which every number must be given.
type backoff flowfabric.Backoff

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (b *backoff) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var tag struct {
		Type flowfabric.BackoffType `json:"type"`
	}
	const want = wire.Want(`{"type":"fixed","delay_ms"} or {"type":"exponential","initial_delay_ms","max_delay_ms","multiplier"}`)
	if wire.DecodeMembers(text, &tag, false) != nil {
		return want
	}
	switch tag.Type {
	case flowfabric.BackoffFixed:
		var in struct {
			DelayMS int64 `json:"delay_ms"`
		}
		err = wire.DecodeMembers(text, &in, false)
		*b = backoff{Type: tag.Type, DelayMS: in.DelayMS}
	case flowfabric.BackoffExponential:
		var in struct {
			InitialDelayMS int64   `json:"initial_delay_ms"`
			MaxDelayMS     int64   `json:"max_delay_ms"`
			Multiplier     float64 `json:"multiplier"`
			Jitter         bool    `json:"jitter,omitzero"`
		}
		err = wire.DecodeMembers(text, &in, false)
		*b = backoff{
			Type: tag.Type, InitialDelayMS: in.InitialDelayMS, MaxDelayMS: in.MaxDelayMS, Multiplier: in.Multiplier, Jitter: in.Jitter,
		}
	default:
		return want
	}
	if err != nil {
		return want
	}
	return nil
}

// submitted answers POST /v1/executions.
type submitted struct {
	Created   *createdExecution `json:"Created,omitzero"`
	Duplicate *ofExecution      `json:"Duplicate,omitzero"`
}

type createdExecution struct {
	ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	PublicState flowfabric.PublicState `json:"public_state"` // waiting or delayed
}

// ofExecution names an execution.
type ofExecution struct {
	ExecutionID flowfabric.ExecutionID `json:"execution_id"`
}

func (s *Server) refSubmit(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[submission](r)
	if err != nil {
		return 0, nil, err
	}
	cmd, err := in.command()
	if err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.Submit, cmd)
	if err != nil {
		return 0, nil, err
	}
	if res.Outcome != flowfabric.Created {
		return http.StatusOK, submitted{Duplicate: &ofExecution{res.ID}}, nil
	}
	state := flowfabric.PublicWaiting
	if cmd.DelayUntil > 0 { // whether that is still to come is for the store's clock to say
		now, err := call(r.Context(), s, wire.Describe, wire.OfExecution{ExecutionID: res.ID})
		if err != nil || now.DelayUntil != 0 {
			state = flowfabric.PublicDelayed
		}
	}
	return http.StatusCreated, submitted{Created: &createdExecution{res.ID, state}}, nil
}

func (in *submission) command() (flowfabric.Submit, error) {
	if in.Payload == nil && in.PayloadB64 == nil {
		return flowfabric.Submit{}, missingMember("input_payload", "an array")
	}
	payload, err := payloadOf("input_payload", in.Payload, in.PayloadB64)
	if err != nil {
		return flowfabric.Submit{}, err
	}
	if in.ExecutionID.IsZero() {
		return flowfabric.Submit{}, refuseInput("execution_id", "invalid_input: execution_id is the nil UUID")
	}
	cmd := flowfabric.Submit{
		ID: in.ExecutionID, Lane: flowfabric.LaneID(in.Lane), Kind: in.Kind, Namespace: flowfabric.Namespace(in.Namespace), Payload: payload,
		PayloadEncoding: deref(in.PayloadEncoding), Priority: min(max(int(in.Priority), flowfabric.MinPriority), flowfabric.MaxPriority),
		Creator: in.Creator, IdempotencyKey: deref(in.IdempotencyKey), Tags: in.Tags, AnyTags: true, Policy: in.Policy.command(),
		DelayUntil: flowfabric.Timestamp(deref(in.DelayUntil)), Deadline: flowfabric.Timestamp(deref(in.ExecutionDeadline)),
	}
	return cmd, nil
}

// command is the policy of the engine. Whether it is valid is for the service to say.
func (p *policy) command() *flowfabric.Policy {
	if p == nil {
		return nil
	}
	out := &flowfabric.Policy{
		MaxReclaims: p.MaxReclaims, MaxReplays: p.MaxReplays, DedupWindowMS: p.DedupWindowMS, RetentionMS: p.RetentionMS, Aging: p.Aging,
		MaxSignals: p.MaxSignals, Limits: p.limits(),
	}
	if r := p.Retry; r != nil {
		out.Retry = &flowfabric.RetryPolicy{
			MaxRetries: r.MaxRetries, Backoff: (*flowfabric.Backoff)(r.Backoff), RetryableCategories: r.RetryableCategories, OnExhausted: r.OnExhausted,
		}
	}
	if t := p.Timeouts; t != nil {
		out.Timeouts = &flowfabric.TimeoutPolicy{
			AttemptTimeoutMS: deref(t.AttemptTimeoutMS), OnAttemptTimeout: t.OnAttemptTimeout, ExecutionDeadlineMS: deref(t.ExecutionDeadlineMS),
		}
	}
	if t := p.Suspension; t != nil {
		out.Suspension = &flowfabric.SuspensionPolicy{DefaultTimeoutMS: deref(t.DefaultTimeoutMS), TimeoutBehavior: t.TimeoutBehavior}
	}
	if p.Routing != nil {
		out.Routing = &flowfabric.RoutingRequirements{RequiredCapabilities: p.Routing.RequiredCapabilities}
	}
	if p.Stream != nil {
		out.Stream = &flowfabric.StreamPolicy{MaxFrames: p.Stream.MaxFrames, MaxBytes: p.Stream.MaxBytes}
	}
	return out
}

// limits are those of the member limits and those that are named on their own.
func (p *policy) limits() *flowfabric.Limits {
	if p.Limits == nil && len(p.BudgetIDs) == 0 && p.QuotaPolicyID == nil {
		return nil
	}
	l := *cmp.Or(p.Limits, &flowfabric.Limits{})
	for _, b := range p.BudgetIDs {
		l.Budgets = append(l.Budgets, flowfabric.BudgetUse{ID: b.id})
	}
	if p.QuotaPolicyID != nil {
		l.Quotas = append(l.Quotas, flowfabric.QuotaUse{ID: p.QuotaPolicyID.id})
	}
	return &l
}

// deref is the zero value for nothing.
func deref[T any](v *T) T {
	if v == nil {
		var none T
		return none
	}
	return *v
}
