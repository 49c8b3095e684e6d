package ops

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Bounds of what repeats.
const (
	shortestReset = time.Second
	shortestQuota = time.Second
)

func budgetKey(id ff.BudgetID) record.BudgetKey {
	return record.BudgetKey{Home: limitsHome, BudgetID: id}
}

// onLimits is an operation on a budget or quota.
func (r Rules) onLimits(name string, order uint64, keys []record.Key, decide func(tx *store.Tx) error) *Op {
	op := &Op{name: name}
	op.Partition, op.Order, op.Reads.Records, op.Decide, op.Beliefs = limitsHome, order, keys, decide, r.Beliefs
	return op
}

// hasLimits refuses calls that a store of several shards cannot answer.
func (r Rules) hasLimits() error {
	if !r.OneShard {
		return errNoLimits
	}
	return nil
}

// digestOfDefinition is of what a repeat must have in common with the first.
func digestOfDefinition(v any) []byte {
	text, _ := json.Marshal(v) // validated: cannot fail
	sum := sha256.Sum256(text)
	return sum[:]
}

// withoutZeros is a copy of limits without those that are none.
func withoutZeros(a ff.Amounts) ff.Amounts {
	n := maps.Clone(a)
	maps.DeleteFunc(n, func(_ string, limit int64) bool { return limit == 0 })
	if len(n) == 0 {
		return nil
	}
	return n
}

func checkScope(s ff.Scope, code ff.Code) error {
	bad := func(problem string) error {
		return &ff.Error{Code: code, Detail: "scope " + problem, Attrs: map[string]string{"field": "scope"}}
	}
	switch {
	case s.Type == ff.ScopeNone && s.ID == "":
		return nil
	case !slices.Contains(ScopeTypes, s.Type):
		return bad("type is not known; want execution, flow, lane, tag or tenant")
	case ff.ValidateName("scope_id", s.ID) != nil:
		return bad("id must have 1 to 256 bytes of UTF-8")
	}
	return nil
}

var limitActions = []ff.LimitAction{ff.LimitWaits, ff.LimitDenies, ff.LimitSuspends, ff.LimitCancels, ff.LimitFails, ff.LimitWarns}

func checkEnforcement(mode ff.EnforcementMode, action ff.LimitAction) error {
	switch {
	case mode != ff.Strict && mode != ff.Advisory:
		return invalid("enforcement_mode", "must be strict or advisory")
	case !slices.Contains(limitActions, action):
		return invalid("on_hard_limit", "is not known")
	}
	return nil
}

func checkReset(every time.Duration) error {
	if every == 0 {
		return nil
	}
	return checkSpan("reset_interval", every, shortestReset, maxSpan)
}

// CreateBudget defines a budget; out gets whether it was there.
func (r Rules) CreateBudget(cmd ff.CreateBudget, out *ff.CreateResult) (*Op, error) {
	const name = "create budget"
	cmd.Mode, cmd.OnHardLimit = cmp.Or(cmd.Mode, ff.Strict), cmp.Or(cmd.OnHardLimit, ff.LimitWaits)
	cmd.Hard, cmd.Soft = withoutZeros(cmd.Hard), withoutZeros(cmd.Soft)
	if err := firstError(
		r.hasLimits(), checkScope(cmd.Scope, ff.CodeInvalidBudgetScope), checkEnforcement(cmd.Mode, cmd.OnHardLimit),
		ff.ValidateAmounts("hard_limits", cmd.Hard, false), ff.ValidateAmounts("soft_limits", cmd.Soft, false),
		checkReset(cmd.ResetInterval), checkInstant("first_reset", cmd.FirstReset),
	); err != nil {
		return nil, named(name, err)
	}
	key, digest := budgetKey(cmd.BudgetID), digestOfDefinition(cmd)
	return r.onLimits(name, record.OrderOfLimits(cmd.BudgetID), append(scopeKeysOf(cmd.Scope), key), func(tx *store.Tx) error {
		if b := store.Get[*record.Budget](tx, key); b != nil {
			*out = ff.LimitAlreadySatisfied
			if string(b.Definition) != string(digest) {
				return &ff.Error{Code: ff.CodeBudgetConflict, Detail: "a budget of that id is defined otherwise; use another id, or update it"}
			}
			return nil
		}
		now := tx.Now()
		b := &record.Budget{
			BudgetKey: key, Scope: cmd.Scope, Mode: cmd.Mode, OnHardLimit: cmd.OnHardLimit, Hard: cmd.Hard, Soft: cmd.Soft,
			ResetIntervalMS: cmd.ResetInterval.Milliseconds(), CreatedAt: now, UpdatedAt: now, Definition: digest,
		}
		if cmd.ResetInterval > 0 {
			b.NextResetAt = cmp.Or(cmd.FirstReset, now.Add(cmd.ResetInterval))
		}
		tx.Put(b)
		*out = ff.LimitCreated
		return attach(tx, cmd.Scope, func(s *record.LimitScope) int {
			s.Budgets = append(slices.Clone(s.Budgets), cmd.BudgetID)
			return len(s.Budgets)
		})
	}), nil
}

// scopeKeysOf are the records of a scope.
func scopeKeysOf(s ff.Scope) []record.Key {
	if s.Type == ff.ScopeNone {
		return nil
	}
	return ScopeKeys([]ff.Scope{s, UsedScope(s.Type)})
}

// attach changes what is attached to a scope. add returns how many there are of the kind it adds to.
func attach(tx *store.Tx, s ff.Scope, add func(*record.LimitScope) int) error {
	if s.Type == ff.ScopeNone {
		return nil
	}
	key := record.LimitScopeKey{Home: limitsHome, Scope: s}
	n := record.LimitScope{LimitScopeKey: key}
	if old := store.Get[*record.LimitScope](tx, key); old != nil {
		n = *old
	}
	if add(&n) > ff.MaxScopedLimits {
		return &ff.Error{Code: ff.CodeResourceExhausted, Detail: "too many budgets or quotas are attached to the scope; at most 4 of each may be"}
	}
	tx.Put(&n)
	if used := (record.LimitScopeKey{Home: limitsHome, Scope: UsedScope(s.Type)}); tx.Record(used) == nil {
		tx.Put(&record.LimitScope{LimitScopeKey: used})
	}
	return nil
}

// detach takes something off a scope.
func detach(tx *store.Tx, s ff.Scope, remove func(*record.LimitScope)) {
	if s.Type == ff.ScopeNone {
		return
	}
	key := record.LimitScopeKey{Home: limitsHome, Scope: s}
	old := store.Get[*record.LimitScope](tx, key)
	if old == nil {
		return
	}
	n := *old
	if remove(&n); len(n.Budgets)+len(n.Quotas) == 0 {
		tx.Delete(key)
		return
	}
	tx.Put(&n)
}

// UpdateBudget changes a budget; out gets it as it is then.
func (r Rules) UpdateBudget(cmd ff.UpdateBudget, out *ff.BudgetStatus) (*Op, error) {
	const name = "update budget"
	mode, action, every := ff.Strict, ff.LimitWaits, time.Duration(0)
	if cmd.Mode != nil {
		mode = *cmd.Mode
	}
	if cmd.OnHardLimit != nil {
		action = *cmd.OnHardLimit
	}
	if cmd.ResetInterval != nil {
		every = *cmd.ResetInterval
	}
	if err := firstError(
		r.hasLimits(), checkEnforcement(mode, action), ff.ValidateAmounts("hard_limits", cmd.Hard, false),
		ff.ValidateAmounts("soft_limits", cmd.Soft, false), checkReset(every), ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes),
	); err != nil {
		return nil, named(name, err)
	}
	return r.changeBudget(name, cmd.BudgetID, cmd.Actor, out, func(b *record.Budget, now ff.Timestamp) error {
		if cmd.Mode != nil {
			b.Mode = mode
		}
		if cmd.OnHardLimit != nil {
			b.OnHardLimit = action
		}
		b.Hard, b.Soft = overlaid(b.Hard, cmd.Hard), overlaid(b.Soft, cmd.Soft)
		if len(b.Hard) > ff.MaxDimensions || len(b.Soft) > ff.MaxDimensions {
			return invalid("hard_limits", "too_many_dimensions: at most 64 are allowed")
		}
		if cmd.ResetInterval != nil {
			b.ResetIntervalMS, b.NextResetAt = every.Milliseconds(), 0
			if every > 0 {
				b.NextResetAt = now.Add(every)
			}
		}
		return nil
	})
}

func overlaid(a, by ff.Amounts) ff.Amounts {
	n := maps.Clone(a)
	if n == nil {
		n = ff.Amounts{}
	}
	maps.Copy(n, by)
	return withoutZeros(n)
}

// eventBudgetUpdated is the type of the operator event of a change to a budget.
const eventBudgetUpdated = "budget_updated"

// changeBudget changes a budget that exists, and lets those go on that it has room for then.
func (r Rules) changeBudget(name string, id ff.BudgetID, actor string, out *ff.BudgetStatus, change func(*record.Budget, ff.Timestamp) error) (*Op, error) {
	return r.onLimits(name, record.OrderOfLimits(id), []record.Key{budgetKey(id)}, func(tx *store.Tx) error {
		if tx.Record(budgetKey(id)) == nil {
			return budgetNotFound(id)
		}
		books := booksOf(tx)
		b, err := books.Change(id, tx.Now(), change)
		if err != nil {
			return err
		}
		keepBooks(tx, books)
		tx.Append(adminEvent(budgetKey(id).Home, eventBudgetUpdated, tx.Now(), struct {
			BudgetID        ff.BudgetID        `json:"budget_id"`
			Mode            ff.EnforcementMode `json:"mode"`
			OnHardLimit     ff.LimitAction     `json:"on_hard_limit"`
			Hard            ff.Amounts         `json:"hard_limits,omitempty"`
			Soft            ff.Amounts         `json:"soft_limits,omitempty"`
			ResetIntervalMS int64              `json:"reset_interval_ms,omitempty"`
			Actor           string             `json:"actor,omitempty"`
		}{id, b.Mode, b.OnHardLimit, b.Hard, b.Soft, b.ResetIntervalMS, actor}))
		*out = statusOf(b)
		return nil
	}), nil
}

// ResetBudget begins a new period of a budget.
func (r Rules) ResetBudget(id ff.BudgetID, out *ff.BudgetStatus) (*Op, error) {
	const name = "reset budget"
	if err := r.hasLimits(); err != nil {
		return nil, named(name, err)
	}
	return r.onLimits(name, record.OrderOfLimits(id), []record.Key{budgetKey(id)}, func(tx *store.Tx) error {
		if tx.Record(budgetKey(id)) == nil {
			return budgetNotFound(id)
		}
		books := booksOf(tx)
		*out = statusOf(books.Reset(id, tx.Now()))
		keepBooks(tx, books)
		return nil
	}), nil
}

// DeleteBudget removes a budget. What is under it is held back by it no longer.
func (r Rules) DeleteBudget(b *record.Budget) *Op {
	key := b.BudgetKey
	return r.onLimits("delete budget", record.OrderOfLimits(b.BudgetID), append(scopeKeysOf(b.Scope), key), func(tx *store.Tx) error {
		switch now := store.Get[*record.Budget](tx, key); {
		case now == nil:
			return budgetNotFound(b.BudgetID)
		case now.Waiting > 0:
			return &ff.Error{Code: ff.CodeBudgetConflict, Detail: "executions wait for it; take its limits away first, and let them go on"}
		case len(now.Reserved) > 0: // a budget made anew under the id would be given back what was never taken of it
			return &ff.Error{Code: ff.CodeBudgetConflict, Detail: "executions that run hold reservations of it; delete it when they have ended"}
		}
		tx.Delete(key)
		detach(tx, b.Scope, func(s *record.LimitScope) {
			s.Budgets = slices.DeleteFunc(slices.Clone(s.Budgets), func(id ff.BudgetID) bool { return id == b.BudgetID })
		})
		return nil
	})
}

// ReportUsage counts what was consumed; out gets the answer.
func (r Rules) ReportUsage(cmd ff.ReportUsage, out *ff.UsageResult) (*Op, error) {
	const name = "report usage"
	if err := firstError(
		r.hasLimits(), ff.ValidateAmounts("amounts", cmd.Amounts, true), ff.ValidateText("dedup_key", cmd.DedupKey, ff.MaxNameBytes),
	); err != nil {
		return nil, named(name, err)
	}
	if !cmd.ExecutionID.IsZero() {
		if err := r.checkID(cmd.ExecutionID); err != nil {
			return nil, named(name, err)
		}
	}
	cmd.Amounts = maps.Clone(cmd.Amounts)
	dedup := record.UsageKeyKey{Home: limitsHome, BudgetID: cmd.BudgetID, Dedup: cmd.DedupKey}
	keys := []record.Key{budgetKey(cmd.BudgetID)}
	if cmd.DedupKey != "" {
		keys = append(keys, dedup)
	}
	op := r.onLimits(name, record.OrderOfLimits(cmd.BudgetID), keys, func(tx *store.Tx) error {
		if tx.Record(budgetKey(cmd.BudgetID)) == nil {
			return budgetNotFound(cmd.BudgetID)
		}
		if cmd.DedupKey != "" {
			if seen := store.Get[*record.UsageKey](tx, dedup); seen != nil && seen.ExpiresAt > tx.Now() {
				*out = ff.UsageResult{Outcome: ff.UsageAlreadyApplied}
				return nil
			}
		}
		var e *record.Execution
		if !cmd.ExecutionID.IsZero() {
			if e = tx.Execution(cmd.ExecutionID); e == nil {
				return notFound(cmd.ExecutionID)
			}
		}
		books := booksOf(tx)
		res, limits, err := books.Report(&cmd, e, tx.Now())
		switch {
		case err != nil:
			return err
		case limits != nil:
			n := *e
			n.Limits = limits
			tx.PutExecution(&n)
		case e != nil:
			tx.GuardExecution(e.ID) // a reservation must not be made meanwhile that this would draw on
		}
		keepBooks(tx, books)
		if cmd.DedupKey != "" && (res.Outcome != ff.UsageHardBreach || res.Counted) {
			tx.Put(&record.UsageKey{UsageKeyKey: dedup, AppliedAt: tx.Now(), ExpiresAt: tx.Now().Add(ff.UsageDedup)})
		}
		*out = res
		return nil
	})
	if !cmd.ExecutionID.IsZero() {
		op.Reads.Executions = []ff.ExecutionID{cmd.ExecutionID}
		op.Reads.Records = append(op.Reads.Records, record.LedgerKey{ExecutionID: cmd.ExecutionID, BudgetID: cmd.BudgetID})
	}
	return op, nil
}

// ReleaseBudget takes what an execution has consumed off a budget again. One that has consumed nothing changes nothing.
func (r Rules) ReleaseBudget(id ff.BudgetID, execution ff.ExecutionID) (*Op, error) {
	const name = "release budget"
	if err := firstError(r.hasLimits(), r.checkID(execution)); err != nil {
		return nil, named(name, err)
	}
	op := r.onLimits(name, record.OrderOfLimits(id), []record.Key{
		budgetKey(id), record.LedgerKey{ExecutionID: execution, BudgetID: id},
	}, func(tx *store.Tx) error {
		if tx.Record(budgetKey(id)) == nil {
			return budgetNotFound(id)
		}
		books := booksOf(tx)
		books.GiveBack(id, &record.Execution{ID: execution}, tx.Now())
		keepBooks(tx, books)
		return nil
	})
	return op, nil
}

// statusOf tells of a budget.
func statusOf(b *record.Budget) ff.BudgetStatus {
	return ff.BudgetStatus{
		BudgetID: b.BudgetID, Scope: b.Scope, Mode: b.Mode, OnHardLimit: b.OnHardLimit,
		Usage: told(b.Usage), Reserved: told(b.Reserved), Hard: told(b.Hard), Soft: told(b.Soft),
		BreachCount: b.BreachCount, SoftBreachCount: b.SoftBreachCount, LastBreachAt: b.LastBreachAt, LastBreachDim: b.LastBreachDim,
		Waiting: b.Waiting, ResetInterval: time.Duration(b.ResetIntervalMS) * time.Millisecond, NextResetAt: b.NextResetAt,
		LastResetAt: b.LastResetAt, ResetCount: b.Period, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
}

// told is a copy for callers, empty rather than nil.
func told(a ff.Amounts) ff.Amounts {
	if a == nil {
		return ff.Amounts{}
	}
	return maps.Clone(a)
}

// Budget reads a budget.
func (r Rules) Budget(ctx context.Context, st store.Store, id ff.BudgetID) (*record.Budget, error) {
	if err := r.hasLimits(); err != nil {
		return nil, err
	}
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{budgetKey(id)}})
	if err != nil {
		return nil, err
	}
	b := store.Get[*record.Budget](tx, budgetKey(id))
	if b == nil {
		return nil, budgetNotFound(id)
	}
	return b, nil
}

// DescribeBudget tells of a budget.
func (r Rules) DescribeBudget(ctx context.Context, st store.Store, id ff.BudgetID) (ff.BudgetStatus, error) {
	b, err := r.Budget(ctx, st, id)
	if err != nil {
		return ff.BudgetStatus{}, named("describe budget", err)
	}
	return statusOf(b), nil
}

// ListBudgets lists budgets in the order of their ids.
func (r Rules) ListBudgets(ctx context.Context, st store.Store, q ff.ListBudgets) (ff.Page[ff.BudgetStatus], error) {
	var page ff.Page[ff.BudgetStatus]
	after, err := parseAfter[ff.BudgetID](q.After)
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(r.hasLimits(), err, checkLimit(limit)); err != nil {
		return page, named("list budgets", err)
	}
	found, err := st.Records(ctx, recordsPage(record.Budgets, q.After != "", budgetKey(after), limit))
	if err != nil {
		return page, named("list budgets", err)
	}
	for _, rec := range found {
		page.Items = append(page.Items, statusOf(rec.(*record.Budget)))
	}
	if len(found) == limit {
		page.Next = page.Items[limit-1].BudgetID.String()
	}
	return page, nil
}

func recordsPage(family record.Family, goOn bool, after record.Key, limit int) store.RecordQuery {
	q := store.RecordQuery{Family: family, Limit: limit}
	if goOn {
		q.After = after
	}
	return q
}

// parseAfter reads a cursor that is an id.
func parseAfter[ID any, P interface {
	*ID
	UnmarshalText(text []byte) error
}](text string) (id ID, err error) {
	if text == "" {
		return id, nil
	}
	if P(&id).UnmarshalText([]byte(text)) != nil {
		return id, invalid("after", "is not a cursor of this list")
	}
	return id, nil
}

// Ledger tells what an execution has consumed of its budgets, each since its last reset.
func (r Rules) Ledger(ctx context.Context, st store.Store, id ff.ExecutionID) ([]ff.LedgerEntry, error) {
	const name = "ledger"
	if err := firstError(r.hasLimits(), r.checkID(id)); err != nil {
		return nil, named(name, err)
	}
	found, err := st.Records(ctx, store.RecordQuery{
		Family: record.Ledgers, After: record.LedgerKey{ExecutionID: id}, Prefix: executionPrefix, Limit: ff.MaxPage,
	})
	if err != nil {
		return nil, named(name, err)
	}
	keys := make([]record.Key, len(found))
	for i, rec := range found {
		keys[i] = budgetKey(rec.(*record.Ledger).BudgetID)
	}
	tx, err := st.View(ctx, store.Reads{Records: keys})
	if err != nil {
		return nil, named(name, err)
	}
	list := []ff.LedgerEntry{}
	for i, rec := range found {
		l := rec.(*record.Ledger)
		if b := store.Get[*record.Budget](tx, keys[i]); b != nil && b.Period == l.Period && len(l.Spent) > 0 {
			list = append(list, ff.LedgerEntry{BudgetID: l.BudgetID, Spent: told(l.Spent)})
		}
	}
	return list, nil
}
