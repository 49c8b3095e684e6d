package flowfabric

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// validate checks the limits of a policy.
func (l *Limits) validate() error {
	if l == nil {
		return nil
	}
	if len(l.Budgets) > MaxExecutionLimits || len(l.Quotas) > MaxExecutionLimits {
		return invalidPolicy("limits", fmt.Sprintf("has %d budgets and %d quotas; at most %d of each are allowed",
			len(l.Budgets), len(l.Quotas), MaxExecutionLimits))
	}
	for i, b := range l.Budgets {
		field := fmt.Sprintf("limits.budgets[%d]", i)
		if b.ID.IsZero() {
			return invalidPolicy(field, "has no budget_id")
		}
		if slices.ContainsFunc(l.Budgets[:i], func(o BudgetUse) bool { return o.ID == b.ID }) {
			return invalidPolicy(field, "names a budget twice")
		}
		if err := b.Estimate.validate(false); err != nil {
			return invalidPolicy(field+".estimate", err.Error())
		}
	}
	for i, q := range l.Quotas {
		field := fmt.Sprintf("limits.quotas[%d]", i)
		if q.ID.IsZero() {
			return invalidPolicy(field, "has no quota_id")
		}
		if slices.ContainsFunc(l.Quotas[:i], func(o QuotaUse) bool { return o.ID == q.ID }) {
			return invalidPolicy(field, "names a quota twice")
		}
		if err := validateText("key", q.Key, 0, MaxNameBytes); err != nil {
			return invalidPolicy(field+".key", fmt.Sprintf("is longer than %d bytes or not UTF-8", MaxNameBytes))
		}
	}
	return nil
}

// validate checks dimensions and amounts. The error says what is wrong, without a code.
func (a Amounts) validate(some bool) error {
	if some && len(a) == 0 {
		return fmt.Errorf("names no dimension")
	}
	if len(a) > MaxDimensions {
		return fmt.Errorf("too_many_dimensions: limit=%d, got=%d", MaxDimensions, len(a))
	}
	for _, name := range a.Dimensions() {
		if validateText("dimension", name, 1, MaxNameBytes) != nil {
			return fmt.Errorf("names a dimension that is empty, longer than %d bytes or not UTF-8", MaxNameBytes)
		}
		if a[name] < 0 {
			return fmt.Errorf("has %d of %q; amounts are 0 to %d", a[name], clip(name), int64(MaxAmount))
		}
	}
	return nil
}

// Dimensions are the names in ascending order, in which limits are looked at.
func (a Amounts) Dimensions() []string { return slices.Sorted(maps.Keys(a)) }

// ValidateAmounts checks the dimensions and amounts of a field: [ErrInvalidInput]. some: there must be any.
func ValidateAmounts(field string, a Amounts, some bool) error {
	if err := a.validate(some); err != nil {
		return &Error{Code: CodeInvalidInput, Detail: field + " " + err.Error(), Attrs: map[string]string{"field": field}}
	}
	return nil
}

// normalized returns a copy without shared memory: nil if it is empty.
func (l *Limits) normalized() *Limits {
	if l == nil || len(l.Budgets)+len(l.Quotas) == 0 {
		return nil
	}
	n := &Limits{Budgets: slices.Clone(l.Budgets), Quotas: slices.Clone(l.Quotas)}
	for i := range n.Budgets {
		n.Budgets[i].Estimate = maps.Clone(n.Budgets[i].Estimate)
	}
	for i := range n.Quotas {
		n.Quotas[i].Key = cmp.Or(n.Quotas[i].Key, DefaultQuotaKey)
	}
	return n
}

func limitsOf(p *Policy) *Limits {
	if p.Limits == nil {
		p.Limits = &Limits{}
	}
	return p.Limits
}

func parseLimits(path string, raw json.RawMessage, p *Policy) error {
	l := limitsOf(p)
	each := func(read func(path string, raw json.RawMessage) error) func(string, json.RawMessage) error {
		return func(path string, raw json.RawMessage) error {
			var list []json.RawMessage
			if err := scalar(&list)(path, raw); err != nil {
				return err
			}
			for i, item := range list {
				if err := read(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return parseObject(path, raw, fields{
		"budgets": each(func(path string, raw json.RawMessage) error {
			var b BudgetUse
			err := parseObject(path, raw, fields{"budget_id": scalar(&b.ID), "estimate": scalar(&b.Estimate)})
			l.Budgets = append(l.Budgets, b)
			return err
		}),
		"quotas": each(func(path string, raw json.RawMessage) error {
			var q QuotaUse
			err := parseObject(path, raw, fields{"quota_id": scalar(&q.ID), "key": scalar(&q.Key)})
			l.Quotas = append(l.Quotas, q)
			return err
		}),
	})
}

// parseBudgetIDs reads budgets without estimates.
func parseBudgetIDs(path string, raw json.RawMessage, p *Policy) error {
	var ids []BudgetID
	if err := scalar(&ids)(path, raw); err != nil {
		return err
	}
	for _, id := range ids {
		limitsOf(p).Budgets = append(limitsOf(p).Budgets, BudgetUse{ID: id})
	}
	return nil
}

func parseQuotaID(path string, raw json.RawMessage, p *Policy) error {
	var id QuotaID
	if err := scalar(&id)(path, raw); err != nil {
		return err
	}
	limitsOf(p).Quotas = append(limitsOf(p).Quotas, QuotaUse{ID: id})
	return nil
}
