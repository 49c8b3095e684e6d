package flowfabric

import (
	"time"
)

type (
	budgetKind struct{}
	quotaKind  struct{}
)

type (
	// BudgetID identifies a budget.
	BudgetID = UUID[budgetKind]
	// QuotaID identifies a quota.
	QuotaID = UUID[quotaKind]
)

// NewBudgetID mints a random budget id.
func NewBudgetID() BudgetID { return newUUID[budgetKind]() }

// NewQuotaID mints a random quota id.
func NewQuotaID() QuotaID { return newUUID[quotaKind]() }

// Bounds of budgets and quotas (chapter 60).
const (
	// MaxDimensions bounds the dimensions a budget limits, and those of one report.
	MaxDimensions = 64
	// MaxExecutionLimits bounds the budgets, and likewise the quotas, one execution is under.
	MaxExecutionLimits = 8
	// MaxAmount bounds every limit, amount and total: 2^63-1.
	MaxAmount = 1<<63 - 1
	// UsageDedup is how long the key of a report is remembered.
	UsageDedup = 24 * time.Hour
	// MaxQuotaRate and MaxQuotaConcurrency bound a quota.
	MaxQuotaRate        = 1_000_000
	MaxQuotaConcurrency = 1_000_000
	// MaxQuotaWindow bounds the window of a quota; the shortest is a second.
	MaxQuotaWindow = 31 * 24 * time.Hour
	// MaxScopedLimits bounds the budgets and quotas that are attached to one scope.
	MaxScopedLimits = 4
)

// Conventional dimensions. The set is open; a name has 1 to [MaxNameBytes] bytes.
const (
	DimensionInputTokens    = "total_input_tokens"
	DimensionOutputTokens   = "total_output_tokens"
	DimensionThinkingTokens = "total_thinking_tokens"
	DimensionTokens         = "total_tokens"
	DimensionCost           = "total_cost" // microdollars
	DimensionWallMS         = "wall_ms"
)

// Amounts are numbers by dimension, each 0 to [MaxAmount].
type Amounts map[string]int64

// ScopeType is what a budget or a quota applies to by itself.
type ScopeType string

// Scopes. What is submitted into one is under its budgets and quotas from then on.
const (
	ScopeNone      ScopeType = ""          // only what names it
	ScopeExecution ScopeType = "execution" // an id
	ScopeFlow      ScopeType = "flow"      // a flow id
	ScopeLane      ScopeType = "lane"
	ScopeTag       ScopeType = "tag"    // key=value
	ScopeTenant    ScopeType = "tenant" // a namespace
)

// Scope is what a budget or quota applies to.
type Scope struct {
	Type ScopeType `json:"scope_type,omitzero"`
	ID   string    `json:"scope_id,omitzero"` // 1 to [MaxNameBytes] bytes; empty for [ScopeNone]
}

// EnforcementMode says whether a budget's limits hold anything back.
type EnforcementMode string

// Enforcement modes.
const (
	Strict   EnforcementMode = "strict"
	Advisory EnforcementMode = "advisory" // breaches are counted and told, and hold nothing back
)

// LimitAction is what follows when an execution finds its budget used up.
type LimitAction string

// Actions on a hard limit.
const (
	// LimitWaits keeps the execution back until there is room: after a raise, a reset, or what others give back.
	LimitWaits LimitAction = "wait"
	// LimitDenies refuses new submissions, too, with [ErrBudgetExceeded]. What was submitted before waits.
	LimitDenies LimitAction = "deny_child"
	// LimitSuspends keeps the execution back until an operator unblocks it, which lets it run once, or cancels it.
	LimitSuspends LimitAction = "suspend"
	// LimitCancels cancels the execution.
	LimitCancels LimitAction = "close_scope"
	// LimitFails fails the execution, category budget_exceeded.
	LimitFails LimitAction = "fail"
	// LimitWarns lets it run.
	LimitWarns LimitAction = "warn"
)

// CreateBudget defines a budget.
type CreateBudget struct {
	BudgetID    BudgetID        `json:"budget_id,omitzero"` // zero: a new one
	Scope       Scope           `json:"scope,omitzero"`
	Mode        EnforcementMode `json:"mode,omitzero"`          // default [Strict]
	OnHardLimit LimitAction     `json:"on_hard_limit,omitzero"` // default [LimitWaits]
	Hard        Amounts         `json:"hard,omitzero"`          // a dimension without limit, or with 0, is counted and never breaks
	Soft        Amounts         `json:"soft,omitzero"`
	// ResetInterval, if not 0, sets the usage back to nothing again and again: at least a second, at most 100 years.
	ResetInterval time.Duration `json:"reset_interval_ms,omitzero"`
	FirstReset    Timestamp     `json:"first_reset,omitzero"` // default: an interval from now
}

// UpdateBudget changes a budget. Nil fields stay.
type UpdateBudget struct {
	BudgetID      BudgetID         `json:"budget_id,omitzero"`
	Mode          *EnforcementMode `json:"mode,omitzero"`
	OnHardLimit   *LimitAction     `json:"on_hard_limit,omitzero"`
	Hard          Amounts          `json:"hard,omitzero"` // of the dimensions named; 0 takes a limit away
	Soft          Amounts          `json:"soft,omitzero"`
	ResetInterval *time.Duration   `json:"reset_interval_ms,omitzero"` // 0: no more resets
	Actor         string           `json:"actor,omitzero"`
}

// CreateResult says whether a budget or quota was made.
type CreateResult string

// Results of making one.
const (
	LimitCreated          CreateResult = "created"
	LimitAlreadySatisfied CreateResult = "already_satisfied" // it was there, defined in the same way
)

// BudgetStatus tells of a budget (chapter 60, section 6).
type BudgetStatus struct {
	BudgetID        BudgetID        `json:"budget_id,omitzero"`
	Scope           Scope           `json:"scope,omitzero"`
	Mode            EnforcementMode `json:"mode,omitzero"`
	OnHardLimit     LimitAction     `json:"on_hard_limit,omitzero"`
	Usage           Amounts         `json:"usage,omitzero"`    // of the dimensions that were touched since the last reset
	Reserved        Amounts         `json:"reserved,omitzero"` // held back for executions that run
	Hard            Amounts         `json:"hard,omitzero"`
	Soft            Amounts         `json:"soft,omitzero"`
	BreachCount     int64           `json:"breach_count,omitzero"`
	SoftBreachCount int64           `json:"soft_breach_count,omitzero"`
	LastBreachAt    Timestamp       `json:"last_breach_at,omitzero"`
	LastBreachDim   string          `json:"last_breach_dim,omitzero"`
	Waiting         int64           `json:"waiting,omitzero"` // executions that wait for it, about
	ResetInterval   time.Duration   `json:"reset_interval_ms,omitzero"`
	NextResetAt     Timestamp       `json:"next_reset_at,omitzero"`
	LastResetAt     Timestamp       `json:"last_reset_at,omitzero"`
	ResetCount      int64           `json:"reset_count,omitzero"`
	CreatedAt       Timestamp       `json:"created_at,omitzero"`
	UpdatedAt       Timestamp       `json:"updated_at,omitzero"`
}

// ReportUsage tells what was consumed.
type ReportUsage struct {
	BudgetID BudgetID `json:"budget_id,omitzero"`
	// ExecutionID, when set, is what consumed it: the amounts are entered in its ledger, and are taken from what is reserved
	// for it first. No fence is asked for: who has consumed has consumed.
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Amounts     Amounts     `json:"amounts,omitzero"` // 1 to [MaxDimensions] dimensions
	// DedupKey, when set, makes the report count once in [UsageDedup]. A report that was refused does not use it up.
	DedupKey string `json:"dedup_key,omitzero"` // at most [MaxNameBytes]
	// Record counts what was consumed even where it breaks a limit, which is told all the same (chapter 60, FIX-B6).
	Record bool `json:"record,omitzero"`
}

// UsageOutcome is how a report ended.
type UsageOutcome string

// Outcomes of a report.
const (
	UsageOK             UsageOutcome = "ok"
	UsageSoftBreach     UsageOutcome = "soft_breach"
	UsageHardBreach     UsageOutcome = "hard_breach" // nothing was counted, unless Record
	UsageAlreadyApplied UsageOutcome = "already_applied"
)

// UsageResult is the answer to a report. Dimension, Usage and Limit are of the breach, in ascending order of dimensions the
// first: Usage is after the report for a soft one, and before it for a hard one.
type UsageResult struct {
	Outcome   UsageOutcome `json:"outcome,omitzero"`
	Dimension string       `json:"dimension,omitzero"`
	Usage     int64        `json:"usage,omitzero"`
	Limit     int64        `json:"limit,omitzero"`
	// Action, of a hard breach, is what the budget wants to follow.
	Action LimitAction `json:"action,omitzero"`
	// Counted, of a hard breach: the amounts were counted all the same.
	Counted bool `json:"counted,omitzero"`
}

// LedgerEntry is what one execution has consumed of one budget since its last reset.
type LedgerEntry struct {
	BudgetID BudgetID `json:"budget_id,omitzero"`
	Spent    Amounts  `json:"spent,omitzero"`
}

// ListBudgets asks for budgets in the order of their ids.
type ListBudgets struct {
	After string `json:"after,omitzero"` // Next of the page before
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// WindowKind is how a quota counts time.
type WindowKind string

// Window kinds.
const (
	SlidingWindow WindowKind = "sliding" // in any stretch as long as the window; the default
	FixedWindow   WindowKind = "fixed"   // in each of the windows that begin at multiples of their length
)

// CreateQuota defines a quota: how often, and how many at once, executions of one key are let run.
type CreateQuota struct {
	QuotaID       QuotaID       `json:"quota_id,omitzero"` // zero: a new one
	Scope         Scope         `json:"scope,omitzero"`    // what is submitted into it is under the quota with [DefaultQuotaKey]
	Rate          int64         `json:"rate,omitzero"`     // executions begun in a window; 0 for no bound
	Window        time.Duration `json:"window_ms,omitzero"`
	WindowKind    WindowKind    `json:"window_kind,omitzero"`
	MaxConcurrent int64         `json:"max_concurrent,omitzero"` // 0 for no bound
	// Jitter spreads the times at which those that were held back are tried again, so that they do not come all at once: 0 to
	// the window.
	Jitter time.Duration `json:"jitter_ms,omitzero"`
}

// DefaultQuotaKey is the key of an execution that names none.
const DefaultQuotaKey = "default"

// UpdateQuota changes a quota. Nil fields stay.
type UpdateQuota struct {
	QuotaID       QuotaID        `json:"quota_id,omitzero"`
	Rate          *int64         `json:"rate,omitzero"`
	Window        *time.Duration `json:"window_ms,omitzero"`
	MaxConcurrent *int64         `json:"max_concurrent,omitzero"`
	Jitter        *time.Duration `json:"jitter_ms,omitzero"`
	Actor         string         `json:"actor,omitzero"`
}

// QuotaStatus tells of a quota.
type QuotaStatus struct {
	QuotaID       QuotaID       `json:"quota_id,omitzero"`
	Scope         Scope         `json:"scope,omitzero"`
	Rate          int64         `json:"rate,omitzero"`
	Window        time.Duration `json:"window_ms,omitzero"`
	WindowKind    WindowKind    `json:"window_kind,omitzero"`
	MaxConcurrent int64         `json:"max_concurrent,omitzero"`
	Jitter        time.Duration `json:"jitter_ms,omitzero"`
	CreatedAt     Timestamp     `json:"created_at,omitzero"`
	UpdatedAt     Timestamp     `json:"updated_at,omitzero"`
}

// QuotaKeyStatus tells of one key of a quota.
type QuotaKeyStatus struct {
	Key      string    `json:"key,omitzero"`
	Active   int64     `json:"active,omitzero"`    // executions that run
	InWindow int64     `json:"in_window,omitzero"` // begun within the window that ends now
	Waiting  int64     `json:"waiting,omitzero"`   // executions that wait for it, about
	FreeAt   Timestamp `json:"free_at,omitzero"`
}

// ListQuotas asks for quotas in the order of their ids.
type ListQuotas struct {
	After string `json:"after,omitzero"`
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// ListQuotaKeys asks for the keys of a quota that are in use, in byte order.
type ListQuotaKeys struct {
	QuotaID QuotaID `json:"quota_id,omitzero"`
	After   string  `json:"after,omitzero"`
	Limit   int     `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// Limits are the budgets and quotas an execution is under besides those of its scopes. A lease reserves the estimates, and
// a slot of each quota; both come back when the lease is over.
type Limits struct {
	Budgets []BudgetUse `json:"budgets,omitzero"` // at most [MaxExecutionLimits]
	Quotas  []QuotaUse  `json:"quotas,omitzero"`  // at most [MaxExecutionLimits]
}

// BudgetUse puts an execution under a budget.
type BudgetUse struct {
	ID BudgetID `json:"budget_id"`
	// Estimate is what the execution may come to consume in all. A lease is given when so much of it as was not spent yet is
	// free, and it is kept free from others. Without one a lease is given while every limit of the budget has room.
	Estimate Amounts `json:"estimate,omitzero"`
}

// QuotaUse puts an execution under a quota.
type QuotaUse struct {
	ID  QuotaID `json:"quota_id"`
	Key string  `json:"key,omitzero"` // default [DefaultQuotaKey]; at most [MaxNameBytes]
}
