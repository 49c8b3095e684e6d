package server

import (
	"fmt"
	"math"
	"net/http"
	"reflect"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefLimits() {
	s.addRef(route{
		method: http.MethodPost, path: "/v1/budgets", op: wire.CreateBudget.Op, name: "post_budget", limit: control, body: reflect.TypeFor[newBudget](),
		answers: createdOr[budgetMade](),
	}, s.refCreateBudget)
	s.addRef(route{
		method: http.MethodGet, path: "/v1/budgets/{id}", op: wire.DescribeBudget.Op, name: "get_budget", answers: ok[budgetStatus](),
	}, s.refBudget)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/budgets/{id}/usage", op: wire.ReportUsage.Op, name: "post_budget_usage", limit: control,
		body: reflect.TypeFor[usageReport](), answers: append(ok[usageBreach](), ok[word]()...),
	}, s.refUsage)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/budgets/{id}/reset", op: wire.ResetBudget.Op, name: "post_budget_reset", limit: control,
		answers: ok[budgetReset](),
	}, s.refResetBudget)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/quotas", op: wire.CreateQuota.Op, name: "post_quota", limit: control, body: reflect.TypeFor[newQuota](),
		answers: createdOr[quotaMade](),
	}, s.refCreateQuota)
}

// budgetOf reads the budget id of a path.
func budgetOf(r *http.Request) (flowfabric.BudgetID, error) {
	return pathUUID[flowfabric.BudgetID](r, "id", "invalid budget_id")
}

// newBudget is the body of POST /v1/budgets. The three lists are parallel; a limit of 0 is none.
type newBudget struct {
	BudgetID        lenient[flowfabric.BudgetID] `json:"budget_id"`
	ScopeType       flowfabric.ScopeType         `json:"scope_type"`
	ScopeID         string                       `json:"scope_id"`
	Mode            flowfabric.EnforcementMode   `json:"enforcement_mode"`
	OnHardLimit     flowfabric.LimitAction       `json:"on_hard_limit"`
	OnSoftLimit     string                       `json:"on_soft_limit"` // warn, which is what a soft limit does
	ResetIntervalMS uint64                       `json:"reset_interval_ms"`
	Dimensions      []string                     `json:"dimensions"`
	HardLimits      []uint64                     `json:"hard_limits"`
	SoftLimits      []uint64                     `json:"soft_limits"`
	Now             int64                        `json:"now"`
}

// budgetMade answers it.
type budgetMade struct {
	Created          *ofBudget `json:"Created,omitzero"`
	AlreadySatisfied *ofBudget `json:"AlreadySatisfied,omitzero"`
}

type ofBudget struct {
	BudgetID flowfabric.BudgetID `json:"budget_id"`
}

func (s *Server) refCreateBudget(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newBudget](r)
	if err != nil {
		return 0, nil, err
	}
	hard, soft, err := in.limits()
	if err != nil {
		return 0, nil, err
	}
	if in.OnSoftLimit != "" && in.OnSoftLimit != string(flowfabric.LimitWarns) {
		return 0, nil, invalidInput("on_soft_limit", "on_soft_limit must be warn")
	}
	res, err := call(r.Context(), s, wire.CreateBudget, flowfabric.CreateBudget{
		BudgetID: in.BudgetID.id, Scope: flowfabric.Scope{Type: in.ScopeType, ID: in.ScopeID}, Mode: in.Mode, OnHardLimit: in.OnHardLimit,
		Hard: hard, Soft: soft, ResetInterval: spanMS(in.ResetIntervalMS),
	})
	if err != nil {
		return 0, nil, err
	}
	if res.Result != flowfabric.LimitCreated {
		return http.StatusOK, budgetMade{AlreadySatisfied: &ofBudget{res.BudgetID}}, nil
	}
	return http.StatusCreated, budgetMade{Created: &ofBudget{res.BudgetID}}, nil
}

func invalidInput(field, detail string) error {
	return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: detail, Attrs: map[string]string{"field": field}}
}

// limits are the limits by dimension.
func (in *newBudget) limits() (hard, soft flowfabric.Amounts, err error) {
	n := len(in.Dimensions)
	switch {
	case n > flowfabric.MaxDimensions:
		return nil, nil, invalidInput("dimensions", fmt.Sprintf("too_many_dimensions: limit=%d, got=%d", flowfabric.MaxDimensions, n))
	case len(in.HardLimits) != n || len(in.SoftLimits) != n:
		return nil, nil, invalidInput("dimensions", fmt.Sprintf("dimension_limit_array_mismatch: %d dimensions, %d hard limits, %d soft limits",
			n, len(in.HardLimits), len(in.SoftLimits)))
	}
	hard, soft = flowfabric.Amounts{}, flowfabric.Amounts{}
	for i, name := range in.Dimensions {
		if _, twice := hard[name]; twice {
			return nil, nil, invalidInput("dimensions", "dimensions names one twice")
		}
		if in.HardLimits[i] > flowfabric.MaxAmount || in.SoftLimits[i] > flowfabric.MaxAmount {
			return nil, nil, tooLarge("hard_limits")
		}
		hard[name], soft[name] = int64(in.HardLimits[i]), int64(in.SoftLimits[i])
	}
	return hard, soft, nil
}

func tooLarge(field string) error {
	return invalidInput(field, field+" has an amount above 9223372036854775807")
}

// budgetStatus answers GET /v1/budgets/{id}. Times are strings here.
type budgetStatus struct {
	BudgetID        flowfabric.BudgetID        `json:"budget_id"`
	ScopeType       flowfabric.ScopeType       `json:"scope_type"`
	ScopeID         string                     `json:"scope_id"`
	Mode            flowfabric.EnforcementMode `json:"enforcement_mode"`
	Usage           flowfabric.Amounts         `json:"usage"`
	HardLimits      flowfabric.Amounts         `json:"hard_limits"`
	SoftLimits      flowfabric.Amounts         `json:"soft_limits"`
	BreachCount     int64                      `json:"breach_count"`
	SoftBreachCount int64                      `json:"soft_breach_count"`
	LastBreachAt    *decimal                   `json:"last_breach_at"`
	LastBreachDim   *string                    `json:"last_breach_dim"`
	NextResetAt     *decimal                   `json:"next_reset_at"`
	CreatedAt       *decimal                   `json:"created_at"`
}

func (s *Server) refBudget(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	id, err := budgetOf(r)
	if err != nil {
		return 0, nil, err
	}
	b, err := call(r.Context(), s, wire.DescribeBudget, wire.OfBudget{BudgetID: id})
	if err != nil {
		return 0, nil, err
	}
	out := budgetStatus{
		BudgetID: b.BudgetID, ScopeType: b.Scope.Type, ScopeID: b.Scope.ID, Mode: b.Mode, Usage: told(b.Usage), HardLimits: told(b.Hard),
		SoftLimits: told(b.Soft), BreachCount: b.BreachCount, SoftBreachCount: b.SoftBreachCount, LastBreachAt: orNull(decimal(b.LastBreachAt)),
		LastBreachDim: orNull(b.LastBreachDim), NextResetAt: orNull(decimal(b.NextResetAt)), CreatedAt: orNull(decimal(b.CreatedAt)),
	}
	return http.StatusOK, out, nil
}

// told is an object, if an empty one.
func told(a flowfabric.Amounts) flowfabric.Amounts {
	if a == nil {
		return flowfabric.Amounts{}
	}
	return a
}

// orNull is null for the zero value.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// usageReport is the body of POST /v1/budgets/{id}/usage.
type usageReport struct {
	Dimensions map[string]uint64 `json:"dimensions"`
	DedupKey   *string           `json:"dedup_key,omitzero"`
	Now        int64             `json:"now"`
}

// usageBreach answers it when a limit is passed. Otherwise the words Ok and AlreadyApplied do. Of several dimensions the first
// is named, in ascending order (H13).
type usageBreach struct {
	SoftBreach *softBreach `json:"SoftBreach,omitzero"` // it was counted
	HardBreach *hardBreach `json:"HardBreach,omitzero"` // it was not
}

type softBreach struct {
	Dimension string `json:"dimension"`
	Usage     int64  `json:"current_usage"`
	Limit     int64  `json:"soft_limit"`
}

type hardBreach struct {
	Dimension string `json:"dimension"`
	Usage     int64  `json:"current_usage"` // without what was reported
	Limit     int64  `json:"hard_limit"`
}

func (s *Server) refUsage(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[usageReport](r)
	if err != nil {
		return 0, nil, err
	}
	id, err := budgetOf(r)
	if err != nil {
		return 0, nil, err
	}
	amounts := make(flowfabric.Amounts, len(in.Dimensions))
	for name, n := range in.Dimensions {
		if n > flowfabric.MaxAmount {
			return 0, nil, tooLarge("dimensions")
		}
		amounts[name] = int64(n)
	}
	res, err := call(r.Context(), s, wire.ReportUsage, flowfabric.ReportUsage{BudgetID: id, Amounts: amounts, DedupKey: deref(in.DedupKey)})
	if err != nil {
		return 0, nil, err
	}
	switch res.Outcome {
	case flowfabric.UsageSoftBreach:
		return http.StatusOK, usageBreach{SoftBreach: &softBreach{res.Dimension, res.Usage, res.Limit}}, nil
	case flowfabric.UsageHardBreach:
		return http.StatusOK, usageBreach{HardBreach: &hardBreach{res.Dimension, res.Usage, res.Limit}}, nil
	case flowfabric.UsageAlreadyApplied:
		return http.StatusOK, alreadyApplied, nil
	default:
		return http.StatusOK, word("Ok"), nil
	}
}

// budgetReset answers POST /v1/budgets/{id}/reset.
type budgetReset struct {
	Reset struct {
		NextResetAt flowfabric.Timestamp `json:"next_reset_at"` // 0 for none
	} `json:"Reset"`
}

func (s *Server) refResetBudget(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	if err := noBody(r); err != nil {
		return 0, nil, err
	}
	id, err := budgetOf(r)
	if err != nil {
		return 0, nil, err
	}
	b, err := call(r.Context(), s, wire.ResetBudget, wire.OfBudget{BudgetID: id})
	if err != nil {
		return 0, nil, err
	}
	var out budgetReset
	out.Reset.NextResetAt = b.NextResetAt
	return http.StatusOK, out, nil
}

// newQuota is the body of POST /v1/quotas.
type newQuota struct {
	QuotaID       lenient[flowfabric.QuotaID] `json:"quota_policy_id"`
	WindowSeconds uint64                      `json:"window_seconds"`
	MaxRequests   uint64                      `json:"max_requests_per_window"`
	MaxConcurrent uint64                      `json:"max_concurrent"`
	Now           int64                       `json:"now"`
}

// quotaMade answers it.
type quotaMade struct {
	Created          *ofQuota `json:"Created,omitzero"`
	AlreadySatisfied *ofQuota `json:"AlreadySatisfied,omitzero"`
}

type ofQuota struct {
	QuotaID flowfabric.QuotaID `json:"quota_policy_id"`
}

func (s *Server) refCreateQuota(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[newQuota](r)
	if err != nil {
		return 0, nil, err
	}
	atMost := func(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
	res, err := call(r.Context(), s, wire.CreateQuota, flowfabric.CreateQuota{
		QuotaID: in.QuotaID.id, Rate: atMost(in.MaxRequests), MaxConcurrent: atMost(in.MaxConcurrent),
		Window: time.Duration(min(in.WindowSeconds, uint64(math.MaxInt64/time.Second))) * time.Second,
	})
	if err != nil {
		return 0, nil, err
	}
	if res.Result != flowfabric.LimitCreated {
		return http.StatusOK, quotaMade{AlreadySatisfied: &ofQuota{res.QuotaID}}, nil
	}
	return http.StatusCreated, quotaMade{Created: &ofQuota{res.QuotaID}}, nil
}
