package admission

import (
	"maps"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Books are the records that rules look at and change. A record is copied when it is first changed.
type Books struct {
	home    ff.Partition
	get     func(record.Key) record.Keyed
	changed map[record.Key]record.Keyed
	order   []record.Key
}

// NewBooks returns books over records that get returns, nil for none. home is where budgets and quotas live.
func NewBooks(home ff.Partition, get func(record.Key) record.Keyed) *Books {
	return &Books{home: home, get: get, changed: make(map[record.Key]record.Keyed)}
}

// Changed are the records that were changed, in the order in which they first were.
func (b *Books) Changed() []record.Keyed {
	list := make([]record.Keyed, len(b.order))
	for i, key := range b.order {
		list[i] = b.changed[key]
	}
	return list
}

// Read returns a record as it is in the books, nil for none.
func (b *Books) Read(key record.Key) record.Keyed {
	if r, ok := b.changed[key]; ok {
		return r
	}
	return b.get(key)
}

func (b *Books) put(r record.Keyed) {
	key := r.Key()
	if _, ok := b.changed[key]; !ok {
		b.order = append(b.order, key)
	}
	b.changed[key] = r
}

func read[R record.Keyed](b *Books, key record.Key) R {
	found, _ := b.Read(key).(R)
	return found
}

// BudgetKey names a budget.
func (b *Books) BudgetKey(id ff.BudgetID) record.BudgetKey {
	return record.BudgetKey{Home: b.home, BudgetID: id}
}

// Budget is a budget as it is, nil for none.
func (b *Books) Budget(id ff.BudgetID) *record.Budget {
	return read[*record.Budget](b, b.BudgetKey(id))
}

// budgetToChange is a copy of a budget that may be changed.
func (b *Books) budgetToChange(id ff.BudgetID) *record.Budget {
	key := b.BudgetKey(id)
	if r, ok := b.changed[key]; ok {
		return r.(*record.Budget)
	}
	n := *b.Budget(id)
	n.Usage, n.Reserved = cloned(n.Usage), cloned(n.Reserved)
	b.put(&n)
	return &n
}

func cloned(a ff.Amounts) ff.Amounts {
	if a == nil {
		return ff.Amounts{}
	}
	return maps.Clone(a)
}

func (b *Books) quota(id ff.QuotaID) *record.Quota {
	return read[*record.Quota](b, record.QuotaKey{Home: b.home, QuotaID: id})
}

func (b *Books) useKey(q ff.QuotaUse) record.QuotaUseKey {
	return record.QuotaUseKey{Home: b.home, QuotaID: q.ID, UseKey: q.Key}
}

// use is the use of a quota under a key: nothing if there is no record.
func (b *Books) use(key record.QuotaUseKey) *record.QuotaUse {
	if u := read[*record.QuotaUse](b, key); u != nil {
		return u
	}
	return &record.QuotaUse{QuotaUseKey: key}
}

func (b *Books) useToChange(key record.QuotaUseKey) *record.QuotaUse {
	if r, ok := b.changed[key]; ok {
		return r.(*record.QuotaUse)
	}
	n := *b.use(key)
	n.Window = slices.Clone(n.Window)
	b.put(&n)
	return &n
}

func (b *Books) ledger(e *record.Execution, id ff.BudgetID) *record.Ledger {
	return read[*record.Ledger](b, record.LedgerKey{ExecutionID: e.ID, BudgetID: id})
}

func (b *Books) ledgerToChange(e *record.Execution, id ff.BudgetID) *record.Ledger {
	key := record.LedgerKey{ExecutionID: e.ID, BudgetID: id}
	if r, ok := b.changed[key]; ok {
		return r.(*record.Ledger)
	}
	n := &record.Ledger{LedgerKey: key}
	if old := b.ledger(e, id); old != nil {
		*n = *old
	}
	n.Spent = cloned(n.Spent)
	b.put(n)
	return n
}

// Keys are the records that change when an execution begins to run or ends: those of its quotas and budgets.
func Keys(home ff.Partition, e *record.Execution) []record.Key {
	if e.Limits == nil {
		return nil
	}
	keys := make([]record.Key, 0, 2*len(e.Limits.Quotas)+len(e.Limits.Budgets)+1)
	for _, q := range e.Limits.Quotas {
		keys = append(keys, record.QuotaKey{Home: home, QuotaID: q.ID}, record.QuotaUseKey{Home: home, QuotaID: q.ID, UseKey: q.Key})
	}
	for _, u := range e.Limits.Budgets {
		keys = append(keys, record.BudgetKey{Home: home, BudgetID: u.ID})
	}
	return keys
}

// KeysToAdmit are the records that decide whether an execution may run: [Keys], and its ledgers. The ledger of one that was
// never leased does not count: what somebody has reported for it before it began is not taken off its estimate.
func KeysToAdmit(home ff.Partition, e *record.Execution) []record.Key {
	keys := Keys(home, e)
	if e.Limits == nil || e.Epoch == 0 {
		return keys
	}
	for _, u := range e.Limits.Budgets {
		if len(u.Estimate) > 0 {
			keys = append(keys, record.LedgerKey{ExecutionID: e.ID, BudgetID: u.ID})
		}
	}
	return keys
}
