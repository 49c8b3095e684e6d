package ops

import (
	"cmp"
	"fmt"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// ScopeTypes are the scopes a submission may be in.
var ScopeTypes = []ff.ScopeType{ff.ScopeExecution, ff.ScopeFlow, ff.ScopeLane, ff.ScopeTag, ff.ScopeTenant}

// ScopeKeys are the records of scopes, one after the other.
func ScopeKeys(scopes []ff.Scope) []record.Key {
	keys := make([]record.Key, len(scopes))
	for i, s := range scopes {
		keys[i] = record.LimitScopeKey{Home: limitsHome, Scope: s}
	}
	return keys
}

// UsedScope stands for all scopes of a type: its record is there as soon as something was ever attached to one of them.
func UsedScope(t ff.ScopeType) ff.Scope { return ff.Scope{Type: t} }

// ScopesOf are the scopes of some types that an execution is in.
func ScopesOf(e *record.Execution, types []ff.ScopeType) (scopes []ff.Scope) {
	for _, t := range types {
		switch t {
		case ff.ScopeNone:
		case ff.ScopeExecution:
			scopes = append(scopes, ff.Scope{Type: t, ID: e.ID.String()})
		case ff.ScopeFlow:
			if !e.FlowID.IsZero() {
				scopes = append(scopes, ff.Scope{Type: t, ID: e.FlowID.String()})
			}
		case ff.ScopeLane:
			scopes = append(scopes, ff.Scope{Type: t, ID: string(e.Lane)})
		case ff.ScopeTenant:
			scopes = append(scopes, ff.Scope{Type: t, ID: string(e.Namespace)})
		case ff.ScopeTag:
			for key, value := range e.Tags {
				scopes = append(scopes, ff.Scope{Type: t, ID: key + "=" + value})
			}
		}
	}
	slices.SortFunc(scopes, CompareScopes)
	return scopes
}

// CompareScopes orders scopes: it puts the narrower scope first: an execution before its flow, a flow before its tenant.
func CompareScopes(a, b ff.Scope) int {
	if n := slices.Index(ScopeTypes, a.Type) - slices.Index(ScopeTypes, b.Type); n != 0 {
		return n
	}
	return cmp.Compare(a.ID, b.ID)
}

// Scoped are the limits of scopes for executions that are about to be submitted. A nil one is not known: each is read.
type Scoped map[ff.ExecutionID]*ff.Limits

// Draft is as much of a new execution as says which scopes it is in.
func Draft(cmd *ff.Submit, flow ff.FlowID) *record.Execution {
	return &record.Execution{ID: cmd.ID, FlowID: flow, Lane: cmd.Lane, Namespace: cmd.Namespace, Tags: cmd.Tags}
}

// ScopedLimits are what is attached to scopes; nil for nothing. The first so many count.
func ScopedLimits(found []*record.LimitScope) *ff.Limits {
	var l *ff.Limits
	for _, s := range found {
		if s == nil {
			continue
		}
		if l == nil {
			l = &ff.Limits{}
		}
		for _, id := range s.Budgets {
			l.Budgets = append(l.Budgets, ff.BudgetUse{ID: id})
		}
		for _, id := range s.Quotas {
			l.Quotas = append(l.Quotas, ff.QuotaUse{ID: id, Key: ff.DefaultQuotaKey})
		}
	}
	return l
}

// scoped reads what is attached to the scopes of an execution, or asks for it.
func (r Rules) scoped(tx *store.Tx, e *record.Execution) (*ff.Limits, error) {
	used := make([]ff.Scope, len(ScopeTypes))
	for i, t := range ScopeTypes {
		used[i] = UsedScope(t)
	}
	if missing, any := tx.Missing(store.Reads{Records: ScopeKeys(used)}); any {
		return nil, tx.Need(missing)
	}
	var types []ff.ScopeType
	for i, key := range ScopeKeys(used) {
		if tx.Record(key) != nil {
			types = append(types, ScopeTypes[i])
		}
	}
	keys := ScopeKeys(ScopesOf(e, types))
	if missing, any := tx.Missing(store.Reads{Records: keys}); any {
		return nil, tx.Need(missing)
	}
	found := make([]*record.LimitScope, len(keys))
	for i, key := range keys {
		found[i] = store.Get[*record.LimitScope](tx, key)
	}
	return ScopedLimits(found), nil
}

// underLimits puts a new execution under its budgets and quotas. One that others wait in front of, or that is refused, waits
// from the start: a key that is used up costs those behind it nothing.
func (r Rules) underLimits(tx *store.Tx, e *record.Execution, known Scoped) (*record.Execution, error) {
	var own *ff.Limits
	if e.Policy != nil {
		own = e.Policy.Limits
	}
	if !r.OneShard {
		if own != nil {
			return nil, errNoLimits
		}
		return e, nil
	}
	scoped := known[e.ID]
	if known == nil {
		var err error
		if scoped, err = r.scoped(tx, e); err != nil {
			return nil, err
		}
	}
	l := limitsOf(own, scoped)
	if l == nil {
		return e, nil
	}
	n := *e
	n.Limits = l
	if missing, any := tx.Missing(store.Reads{Records: admission.Keys(limitsHome, &n)}); any {
		return nil, tx.Need(missing)
	}
	if err := knownLimits(tx, own); err != nil {
		return nil, err
	}
	books := booksOf(tx)
	refused := books.Queue(&n, tx.Now())
	if refused != nil && refused.Action == ff.LimitDenies && refused.Full {
		return nil, refusal(refused)
	}
	if refused == nil || !n.Ready {
		return &n, nil
	}
	parked, err := park(tx, books, &n, refused)
	if err != nil {
		return nil, err
	}
	keepBooks(tx, books)
	return parked, nil
}

// errNoLimits is the answer of stores that have no budgets and quotas.
var errNoLimits = &ff.Error{
	Code:   ff.CodeUnavailable,
	Detail: "this store has several shards; budgets and quotas need one, so that they change with the executions under them",
}

// knownLimits refuses budgets and quotas that are not there: a limit that was mistyped would hold nothing back.
func knownLimits(tx *store.Tx, own *ff.Limits) error {
	if own == nil {
		return nil
	}
	for _, u := range own.Budgets {
		if tx.Record(record.BudgetKey{Home: limitsHome, BudgetID: u.ID}) == nil {
			return budgetNotFound(u.ID)
		}
	}
	for _, u := range own.Quotas {
		if tx.Record(record.QuotaKey{Home: limitsHome, QuotaID: u.ID}) == nil {
			return quotaNotFound(u.ID)
		}
	}
	return nil
}

func budgetNotFound(id ff.BudgetID) error {
	return &ff.Error{Code: ff.CodeBudgetNotFound, Detail: fmt.Sprintf("there is no budget %s", id)}
}

func quotaNotFound(id ff.QuotaID) error {
	return &ff.Error{Code: ff.CodeQuotaNotFound, Detail: fmt.Sprintf("there is no quota %s", id)}
}

// limitKeysOf are the records of the limits a submission names.
func (r Rules) limitKeysOf(cmd *ff.Submit) []record.Key {
	if !r.OneShard || cmd.Policy == nil || cmd.Policy.Limits == nil {
		return nil
	}
	return admission.Keys(limitsHome, &record.Execution{ID: cmd.ID, Limits: limitsOf(cmd.Policy.Limits, nil)})
}
