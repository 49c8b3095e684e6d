package sqlstore

import (
	"bytes"
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// uuidText maps an id to the text of a key: the tables of budgets and quotas keep their ids as text.
func uuidText[R any, K any](name string, field func(*R) *flowfabric.UUID[K]) Column[R] {
	return Column[R]{
		Name: name, Kind: Text,
		Write: func(r *R, w Writer) { w.Text(field(r).String()) },
		Read:  func(r *R, v Reader) { _ = field(r).UnmarshalText([]byte(v.Text())) }, // written by us
	}
}

// amounts maps numbers by dimension to a JSON object; none is NULL.
func amounts[R any](name string, field func(*R) *flowfabric.Amounts) Column[R] {
	return updatable(jsonColumn(name, field, func(a flowfabric.Amounts) bool { return len(a) == 0 }),
		func(a, b *R) bool { return !maps.Equal(*field(a), *field(b)) })
}

// dueColumn is the column of a due time that other fields say.
func dueColumn[R any](at func(*R) flowfabric.Timestamp) Column[R] {
	return Column[R]{
		Name: "due_at_ms", Kind: Int64,
		Write: func(r *R, w Writer) {
			if t := at(r); t != 0 {
				w.Int(int64(t))
			} else {
				w.Null()
			}
		},
		Read:    func(*R, Reader) {},
		Changed: func(a, b *R) bool { return at(a) != at(b) },
	}
}

// scopeColumns map a scope.
func scopeColumns[R any](field func(*R) *flowfabric.Scope) []Column[R] {
	return []Column[R]{
		text("scope_type", func(r *R) *flowfabric.ScopeType { return &field(r).Type }),
		text("scope_id", func(r *R) *string { return &field(r).ID }),
	}
}

// digest maps bytes that are compared.
func digest[R any](name string, field func(*R) *[]byte) Column[R] {
	return updatable(optionalBlob(name, field), func(a, b *R) bool { return !bytes.Equal(*field(a), *field(b)) })
}

// budgets is ff_budget_policy.
var budgets = Table[record.Budget]{Name: "ff_budget_policy", Keys: 1, Columns: slices.Concat(
	fixed(uuidText("budget_id", func(b *record.Budget) *flowfabric.BudgetID { return &b.BudgetID })),
	fixed(home(func(b *record.Budget) *flowfabric.Partition { return &b.Home })),
	scopeColumns(func(b *record.Budget) *flowfabric.Scope { return &b.Scope }),
	[]Column[record.Budget]{
		integer("version", Int64, func(b *record.Budget) *int64 { return &b.Version }),
		text("enforcement_mode", func(b *record.Budget) *flowfabric.EnforcementMode { return &b.Mode }),
		text("on_hard_limit", func(b *record.Budget) *flowfabric.LimitAction { return &b.OnHardLimit }),
		amounts("hard_limits", func(b *record.Budget) *flowfabric.Amounts { return &b.Hard }),
		amounts("soft_limits", func(b *record.Budget) *flowfabric.Amounts { return &b.Soft }),
		amounts("usage", func(b *record.Budget) *flowfabric.Amounts { return &b.Usage }),
		amounts("reserved", func(b *record.Budget) *flowfabric.Amounts { return &b.Reserved }),
		integer("breach_count", Int64, func(b *record.Budget) *int64 { return &b.BreachCount }),
		integer("soft_breach_count", Int64, func(b *record.Budget) *int64 { return &b.SoftBreachCount }),
		optionalInteger("last_breach_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.LastBreachAt }),
		optionalText("last_breach_dim", "", func(b *record.Budget) *string { return &b.LastBreachDim }),
		integer("reset_count", Int64, func(b *record.Budget) *int64 { return &b.Period }),
		integer("reset_interval_ms", Int64, func(b *record.Budget) *int64 { return &b.ResetIntervalMS }),
		optionalInteger("next_reset_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.NextResetAt }),
		optionalInteger("last_reset_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.LastResetAt }),
		integer("waiting", Int64, func(b *record.Budget) *int64 { return &b.Waiting }),
		optionalInteger("wake_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.WakeAt }),
		integer("created_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.CreatedAt }),
		integer("updated_at_ms", Int64, func(b *record.Budget) *flowfabric.Timestamp { return &b.UpdatedAt }),
		digest("definition", func(b *record.Budget) *[]byte { return &b.Definition }),
		dueColumn((*record.Budget).DueTime),
	},
)}

// usageKeys is ff_budget_usage_dedup.
var usageKeys = Table[record.UsageKey]{Name: "ff_budget_usage_dedup", Keys: 2, Columns: slices.Concat(
	fixed(
		uuidText("budget_id", func(u *record.UsageKey) *flowfabric.BudgetID { return &u.BudgetID }),
		text("dedup_key", func(u *record.UsageKey) *string { return &u.Dedup }),
		home(func(u *record.UsageKey) *flowfabric.Partition { return &u.Home }),
	),
	[]Column[record.UsageKey]{
		integer("version", Int64, func(u *record.UsageKey) *int64 { return &u.Version }),
		integer("applied_at_ms", Int64, func(u *record.UsageKey) *flowfabric.Timestamp { return &u.AppliedAt }),
		optionalInteger("expires_at_ms", Int64, func(u *record.UsageKey) *flowfabric.Timestamp { return &u.ExpiresAt }),
	},
)}

// ledgers is ff_budget_usage_by_exec.
var ledgers = Table[record.Ledger]{Name: "ff_budget_usage_by_exec", Keys: 3, Columns: slices.Concat(
	keyOfExecution(func(l *record.Ledger) *flowfabric.ExecutionID { return &l.ExecutionID },
		uuidText("budget_id", func(l *record.Ledger) *flowfabric.BudgetID { return &l.BudgetID })),
	[]Column[record.Ledger]{
		integer("version", Int64, func(l *record.Ledger) *int64 { return &l.Version }),
		integer("period", Int64, func(l *record.Ledger) *int64 { return &l.Period }),
		amounts("spent", func(l *record.Ledger) *flowfabric.Amounts { return &l.Spent }),
		integer("updated_at_ms", Int64, func(l *record.Ledger) *flowfabric.Timestamp { return &l.UpdatedAt }),
	},
)}

// quotas is ff_quota_policy.
var quotas = Table[record.Quota]{Name: "ff_quota_policy", Keys: 1, Columns: slices.Concat(
	fixed(uuidText("quota_policy_id", func(q *record.Quota) *flowfabric.QuotaID { return &q.QuotaID })),
	fixed(home(func(q *record.Quota) *flowfabric.Partition { return &q.Home })),
	scopeColumns(func(q *record.Quota) *flowfabric.Scope { return &q.Scope }),
	[]Column[record.Quota]{
		integer("version", Int64, func(q *record.Quota) *int64 { return &q.Version }),
		integer("max_requests_per_window", Int64, func(q *record.Quota) *int64 { return &q.Rate }),
		integer("window_ms", Int64, func(q *record.Quota) *int64 { return &q.WindowMS }),
		text("window_kind", func(q *record.Quota) *flowfabric.WindowKind { return &q.WindowKind }),
		integer("active_concurrency_cap", Int64, func(q *record.Quota) *int64 { return &q.MaxConcurrent }),
		integer("jitter_ms", Int64, func(q *record.Quota) *int64 { return &q.JitterMS }),
		integer("created_at_ms", Int64, func(q *record.Quota) *flowfabric.Timestamp { return &q.CreatedAt }),
		integer("updated_at_ms", Int64, func(q *record.Quota) *flowfabric.Timestamp { return &q.UpdatedAt }),
		digest("definition", func(q *record.Quota) *[]byte { return &q.Definition }),
	},
)}

// quotaUses is ff_quota_use.
var quotaUses = Table[record.QuotaUse]{Name: "ff_quota_use", Keys: 2, Columns: slices.Concat(
	fixed(
		uuidText("quota_policy_id", func(u *record.QuotaUse) *flowfabric.QuotaID { return &u.QuotaID }),
		text("dimension", func(u *record.QuotaUse) *string { return &u.UseKey }),
		home(func(u *record.QuotaUse) *flowfabric.Partition { return &u.Home }),
	),
	[]Column[record.QuotaUse]{
		integer("version", Int64, func(u *record.QuotaUse) *int64 { return &u.Version }),
		integer("active_concurrency", Int64, func(u *record.QuotaUse) *int64 { return &u.Active }),
		updatable(jsonColumn("window_entries", func(u *record.QuotaUse) *[]record.WindowEntry { return &u.Window }, none),
			func(a, b *record.QuotaUse) bool { return !slices.Equal(a.Window, b.Window) }),
		integer("waiting", Int64, func(u *record.QuotaUse) *int64 { return &u.Waiting }),
		integer("updated_at_ms", Int64, func(u *record.QuotaUse) *flowfabric.Timestamp { return &u.UpdatedAt }),
		optionalInteger("due_at_ms", Int64, func(u *record.QuotaUse) *flowfabric.Timestamp { return &u.WakeAt }),
	},
)}

// parkings is ff_limit_parking.
var parkings = Table[record.Parking]{Name: "ff_limit_parking", Keys: 2, Columns: slices.Concat(
	fixed(
		text("gate", func(p *record.Parking) *string { return &p.Gate }),
		text("place", func(p *record.Parking) *string { return &p.Place }),
		partitionOf("partition_key", func(p *record.Parking) *flowfabric.ExecutionID { return &p.ExecutionID }),
		uuidOf("execution_id", func(p *record.Parking) *flowfabric.ExecutionID { return &p.ExecutionID }),
	),
	[]Column[record.Parking]{
		integer("version", Int64, func(p *record.Parking) *int64 { return &p.Version }),
		integer("parked_at_ms", Int64, func(p *record.Parking) *flowfabric.Timestamp { return &p.ParkedAt }),
	},
)}

// limitScopes is ff_limit_scope.
var limitScopes = Table[record.LimitScope]{Name: "ff_limit_scope", Keys: 2, Columns: slices.Concat(
	fixed(scopeColumns(func(s *record.LimitScope) *flowfabric.Scope { return &s.Scope })...),
	fixed(home(func(s *record.LimitScope) *flowfabric.Partition { return &s.Home })),
	[]Column[record.LimitScope]{
		integer("version", Int64, func(s *record.LimitScope) *int64 { return &s.Version }),
		updatable(jsonColumn("budget_ids", func(s *record.LimitScope) *[]flowfabric.BudgetID { return &s.Budgets }, none),
			func(a, b *record.LimitScope) bool { return !slices.Equal(a.Budgets, b.Budgets) }),
		updatable(jsonColumn("quota_ids", func(s *record.LimitScope) *[]flowfabric.QuotaID { return &s.Quotas }, none),
			func(a, b *record.LimitScope) bool { return !slices.Equal(a.Quotas, b.Quotas) }),
	},
)}
