package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// Keyed families of budgets and quotas (chapter 60). They and the executions under them are on one shard, so that what an
// execution is admitted with is committed with its lease.
const (
	Budgets     Family = "budget"
	UsageKeys   Family = "usage_key"
	Ledgers     Family = "ledger"
	Quotas      Family = "quota"
	QuotaUses   Family = "quota_use"
	Parkings    Family = "parking"
	LimitScopes Family = "limit_scope"
)

// BudgetKey names a budget.
type BudgetKey struct {
	Home     flowfabric.Partition
	BudgetID flowfabric.BudgetID
}

// Family implements [Key].
func (BudgetKey) Family() Family { return Budgets }

// Partition implements [Key].
func (k BudgetKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k BudgetKey) Parts() []string { return []string{k.BudgetID.String()} }

// Budget is a budget with what was used of it (ff_budget_policy): one row, so that all reports of a commit are one write.
type Budget struct {
	BudgetKey
	Version         int64
	Scope           flowfabric.Scope
	Mode            flowfabric.EnforcementMode
	OnHardLimit     flowfabric.LimitAction
	Hard            flowfabric.Amounts // without zeros
	Soft            flowfabric.Amounts // without zeros
	Usage           flowfabric.Amounts
	Reserved        flowfabric.Amounts // without zeros
	BreachCount     int64
	SoftBreachCount int64
	LastBreachAt    flowfabric.Timestamp
	LastBreachDim   string
	// Period counts the resets: what a ledger of an earlier one says is over.
	Period          int64
	ResetIntervalMS int64
	NextResetAt     flowfabric.Timestamp // 0 for never
	LastResetAt     flowfabric.Timestamp
	// Waiting counts executions that were parked here; some may have gone since. WakeAt is when to look whether any can go on.
	Waiting   int64
	WakeAt    flowfabric.Timestamp
	CreatedAt flowfabric.Timestamp
	UpdatedAt flowfabric.Timestamp
	// Definition is a digest of what it was made with, to tell a repeat from another definition.
	Definition []byte
}

// Key implements [Keyed].
func (b *Budget) Key() Key { return b.BudgetKey }

// VersionField implements [Keyed].
func (b *Budget) VersionField() *int64 { return &b.Version }

// DueTime implements [Keyed].
func (b *Budget) DueTime() flowfabric.Timestamp { return earlier(b.NextResetAt, b.WakeAt) }

// Gate is where executions that wait for the budget are parked.
func (b *Budget) Gate() string { return "budget/" + b.BudgetID.String() }

func earlier(a, b flowfabric.Timestamp) flowfabric.Timestamp {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// UsageKeyKey names a report that was counted.
type UsageKeyKey struct {
	Home     flowfabric.Partition
	BudgetID flowfabric.BudgetID
	Dedup    string
}

// Family implements [Key].
func (UsageKeyKey) Family() Family { return UsageKeys }

// Partition implements [Key].
func (k UsageKeyKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k UsageKeyKey) Parts() []string { return []string{k.BudgetID.String(), k.Dedup} }

// UsageKey remembers a report that was counted, until it is due (ff_budget_usage_dedup).
type UsageKey struct {
	UsageKeyKey
	Version   int64
	AppliedAt flowfabric.Timestamp
	ExpiresAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (u *UsageKey) Key() Key { return u.UsageKeyKey }

// VersionField implements [Keyed].
func (u *UsageKey) VersionField() *int64 { return &u.Version }

// DueTime implements [Keyed].
func (u *UsageKey) DueTime() flowfabric.Timestamp { return u.ExpiresAt }

// LedgerKey names what an execution has consumed of a budget.
type LedgerKey struct {
	ExecutionID flowfabric.ExecutionID
	BudgetID    flowfabric.BudgetID
}

// Family implements [Key].
func (LedgerKey) Family() Family { return Ledgers }

// Partition implements [Key].
func (k LedgerKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k LedgerKey) Parts() []string { return executionParts(k.ExecutionID, k.BudgetID.String()) }

// Ledger is what an execution has consumed of a budget (ff_budget_usage_by_exec). It is removed with the execution.
type Ledger struct {
	LedgerKey
	Version int64
	// Period is the budget's when Spent was counted: in a later one nothing was spent yet.
	Period    int64
	Spent     flowfabric.Amounts
	UpdatedAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (l *Ledger) Key() Key { return l.LedgerKey }

// VersionField implements [Keyed].
func (l *Ledger) VersionField() *int64 { return &l.Version }

// DueTime implements [Keyed].
func (l *Ledger) DueTime() flowfabric.Timestamp { return 0 }

// QuotaKey names a quota.
type QuotaKey struct {
	Home    flowfabric.Partition
	QuotaID flowfabric.QuotaID
}

// Family implements [Key].
func (QuotaKey) Family() Family { return Quotas }

// Partition implements [Key].
func (k QuotaKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k QuotaKey) Parts() []string { return []string{k.QuotaID.String()} }

// Quota is how a quota is defined (ff_quota_policy).
type Quota struct {
	QuotaKey
	Version       int64
	Scope         flowfabric.Scope
	Rate          int64
	WindowMS      int64
	WindowKind    flowfabric.WindowKind
	MaxConcurrent int64
	JitterMS      int64
	CreatedAt     flowfabric.Timestamp
	UpdatedAt     flowfabric.Timestamp
	Definition    []byte
}

// Key implements [Keyed].
func (q *Quota) Key() Key { return q.QuotaKey }

// VersionField implements [Keyed].
func (q *Quota) VersionField() *int64 { return &q.Version }

// DueTime implements [Keyed].
func (q *Quota) DueTime() flowfabric.Timestamp { return 0 }

// QuotaUseKey names the use of a quota under a key.
type QuotaUseKey struct {
	Home    flowfabric.Partition
	QuotaID flowfabric.QuotaID
	UseKey  string
}

// Family implements [Key].
func (QuotaUseKey) Family() Family { return QuotaUses }

// Partition implements [Key].
func (k QuotaUseKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k QuotaUseKey) Parts() []string { return []string{k.QuotaID.String(), k.UseKey} }

// QuotaUse is what runs, and what was begun, under a key of a quota (ff_quota_use). It is removed when it says nothing.
type QuotaUse struct {
	QuotaUseKey
	Version int64
	Active  int64
	Window  []WindowEntry // oldest first
	Waiting int64         // as of [Budget]
	WakeAt  flowfabric.Timestamp
	// UpdatedAt is when it was last written.
	UpdatedAt flowfabric.Timestamp
}

// WindowEntry counts executions that were begun at an instant.
type WindowEntry struct {
	At flowfabric.Timestamp `json:"t"`
	N  int64                `json:"n"`
}

// Key implements [Keyed].
func (u *QuotaUse) Key() Key { return u.QuotaUseKey }

// VersionField implements [Keyed].
func (u *QuotaUse) VersionField() *int64 { return &u.Version }

// DueTime implements [Keyed].
func (u *QuotaUse) DueTime() flowfabric.Timestamp { return u.WakeAt }

// Gate is where executions that wait for the quota under the key are parked: a text of bounded length.
func (k QuotaUseKey) Gate() string {
	sum := sha256.Sum256([]byte(k.UseKey))
	return fmt.Sprintf("quota/%s/%x", k.QuotaID, sum[:16])
}

// ParkingKey names the place of an execution that waits at a gate. Places are in the order of claims.
type ParkingKey struct {
	Gate        string
	Place       string // [ParkingPlace]
	ExecutionID flowfabric.ExecutionID
}

// ParkingPlace orders executions at a gate: by priority descending, then by age, then by id.
func ParkingPlace(e *Execution) string {
	return fmt.Sprintf("%05d/%020d/%s", flowfabric.MaxPriority-e.Priority, e.CreatedAt, e.ID.UUID())
}

// Family implements [Key].
func (ParkingKey) Family() Family { return Parkings }

// Partition implements [Key].
func (k ParkingKey) Partition() flowfabric.Partition { return k.ExecutionID.Partition() }

// Parts implements [Key].
func (k ParkingKey) Parts() []string { return []string{k.Gate, k.Place} }

// Parking says that an execution waits at a gate (ff_limit_parking). One whose execution has gone on is removed when the gate
// opens.
type Parking struct {
	ParkingKey
	Version  int64
	ParkedAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (p *Parking) Key() Key { return p.ParkingKey }

// VersionField implements [Keyed].
func (p *Parking) VersionField() *int64 { return &p.Version }

// DueTime implements [Keyed].
func (p *Parking) DueTime() flowfabric.Timestamp { return 0 }

// LimitScopeKey names a scope.
type LimitScopeKey struct {
	Home  flowfabric.Partition
	Scope flowfabric.Scope
}

// Family implements [Key].
func (LimitScopeKey) Family() Family { return LimitScopes }

// Partition implements [Key].
func (k LimitScopeKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k LimitScopeKey) Parts() []string { return []string{string(k.Scope.Type), k.Scope.ID} }

// LimitScope lists what is attached to a scope (ff_limit_scope).
type LimitScope struct {
	LimitScopeKey
	Version int64
	Budgets []flowfabric.BudgetID
	Quotas  []flowfabric.QuotaID
}

// Key implements [Keyed].
func (s *LimitScope) Key() Key { return s.LimitScopeKey }

// VersionField implements [Keyed].
func (s *LimitScope) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed].
func (s *LimitScope) DueTime() flowfabric.Timestamp { return 0 }

// Limits are the budgets and quotas an execution is under, and what its lease holds of them. A nil one is under none.
type Limits struct {
	Budgets []BudgetUse           `json:"b,omitempty"`
	Quotas  []flowfabric.QuotaUse `json:"q,omitempty"`
	// Admitted: what is below is held. It is while the execution is active.
	Admitted bool `json:"a,omitempty"`
	// Since is the epoch of the lease it was admitted with: the name of the admission, which a lease that ran out hands on.
	Since uint64 `json:"s,omitempty"`
	// Gate is where the execution is parked; empty if it is not.
	Gate string `json:"g,omitempty"`
	// Pass lets it be admitted once whatever is used up: an operator has said so.
	Pass bool `json:"p,omitempty"`
}

// BudgetUse is a budget an execution is under.
type BudgetUse struct {
	ID       flowfabric.BudgetID `json:"id"`
	Estimate flowfabric.Amounts  `json:"e,omitempty"`
	Reserved flowfabric.Amounts  `json:"r,omitempty"` // held back by the lease, and not yet drawn by reports
}

// OrderOfLimits puts what changes one budget or quota into one commit queue.
func OrderOfLimits[ID ~[16]byte](id ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }
