package storetest

import (
	"maps"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// dimensionOf is a dimension of a budget.
type dimensionOf struct {
	budget ff.BudgetID
	name   string
}

// limits is what is stored about budgets and quotas, and what the executions say of the same.
type limits struct {
	budgets map[ff.BudgetID]*record.Budget
	quotas  map[ff.QuotaID]*record.Quota
	uses    map[record.QuotaUseKey]*record.QuotaUse
	ledgers map[record.LedgerKey]*record.Ledger
	parked  map[record.ParkingKey]*record.Parking
	scopes  map[ff.Scope]*record.LimitScope

	home     ff.Partition
	reserved map[dimensionOf]int64        // what executions hold of budgets
	active   map[record.QuotaUseKey]int64 // and of quotas
	waiting  map[string]int64             // and how many wait at a gate
}

// limits checks what chapter 60 says of budgets and quotas at rest: what runs, and nothing else, holds slots and
// reservations, and the books of budgets and quotas agree with it (K3, K4, K13); each parking is of an execution that waits
// at its gate, and each that waits has one; who waits where there is room is looked at (K19).
func (a *audit) limits(d *store.Dump) {
	l := limitsIn(d)
	for _, e := range d.Executions {
		if e.Limits != nil {
			a.held(l, e)
			a.parking(l, e)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.parked), compareParkings) {
		a.add(key.ExecutionID, "is parked at %s, place %s, where it does not wait", key.Gate, key.Place)
	}
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Budget:
			a.budget(l, rec)
			a.attached(l, rec.Scope, func(s *record.LimitScope) bool { return slices.Contains(s.Budgets, rec.BudgetID) }, rec.Gate())
		case *record.Quota:
			a.attached(l, rec.Scope, func(s *record.LimitScope) bool { return slices.Contains(s.Quotas, rec.QuotaID) }, "quota/"+rec.QuotaID.String())
		case *record.QuotaUse:
			a.quotaUse(l, rec)
		case *record.LimitScope:
			a.limitScope(l, rec)
		case *record.UsageKey:
			if rec.ExpiresAt != rec.AppliedAt.Add(ff.UsageDedup) {
				a.note("report %q of %d is remembered until %d", rec.Dedup, rec.AppliedAt, rec.ExpiresAt)
			}
		}
	}
	for key, n := range l.active {
		if l.quotas[key.QuotaID] != nil && l.uses[key] == nil {
			a.note("K13: %d run under key %q of quota %s, which nothing says", n, key.UseKey, key.QuotaID)
		}
	}
}

func limitsIn(d *store.Dump) *limits {
	l := &limits{
		budgets: make(map[ff.BudgetID]*record.Budget), quotas: make(map[ff.QuotaID]*record.Quota),
		uses: make(map[record.QuotaUseKey]*record.QuotaUse), ledgers: make(map[record.LedgerKey]*record.Ledger),
		parked: make(map[record.ParkingKey]*record.Parking), scopes: make(map[ff.Scope]*record.LimitScope),
		reserved: make(map[dimensionOf]int64), active: make(map[record.QuotaUseKey]int64), waiting: make(map[string]int64),
	}
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Budget:
			l.budgets[rec.BudgetID], l.home = rec, rec.Home
		case *record.Quota:
			l.quotas[rec.QuotaID], l.home = rec, rec.Home
		case *record.QuotaUse:
			l.uses[rec.QuotaUseKey], l.home = rec, rec.Home
		case *record.Ledger:
			l.ledgers[rec.LedgerKey] = rec
		case *record.Parking:
			l.parked[rec.ParkingKey] = rec
		case *record.LimitScope:
			l.scopes[rec.Scope] = rec
		}
	}
	return l
}

// held: an execution holds its slots and reservations while it is active, and at no other time; a claim that was granted
// admitted it (K17). What it holds is entered in l.
func (a *audit) held(l *limits, e *record.Execution) {
	active := e.State.Phase == ff.PhaseActive
	if active != e.Limits.Admitted {
		a.add(e.ID, "K17: it is %s; that its limits admitted it is %t", e.State.Phase, e.Limits.Admitted)
	}
	if !e.Limits.Admitted {
		for _, u := range e.Limits.Budgets {
			if len(u.Reserved) > 0 {
				a.add(e.ID, "K13: it is %s and holds %v of budget %s", e.State.Phase, u.Reserved, u.ID)
			}
		}
		return
	}
	for _, q := range e.Limits.Quotas {
		l.active[record.QuotaUseKey{Home: l.home, QuotaID: q.ID, UseKey: q.Key}]++
	}
	for _, u := range e.Limits.Budgets {
		for name, n := range u.Reserved {
			if n <= 0 || n > u.Estimate[name] {
				a.add(e.ID, "it holds %d %s of an estimate of %d", n, name, u.Estimate[name])
			}
			l.reserved[dimensionOf{u.ID, name}] += n
		}
	}
}

// parking: an execution that waits at a gate has its place there, which is then crossed off in l.
func (a *audit) parking(l *limits, e *record.Execution) {
	gate := e.Limits.Gate
	atGate := e.State.Eligibility == ff.BlockedByBudget || e.State.Eligibility == ff.BlockedByQuota
	if e.State.Eligibility == ff.BlockedByQuota && gate == "" {
		a.add(e.ID, "it waits for a quota, at no gate")
	}
	if gate == "" {
		return
	}
	if !atGate || e.Ready {
		a.add(e.ID, "it is %s, ready: %t, and waits at %s", e.State.Eligibility, e.Ready, gate)
	}
	place := record.ParkingKey{Gate: gate, Place: record.ParkingPlace(e), ExecutionID: e.ID}
	if l.parked[place] == nil {
		a.add(e.ID, "it waits at %s and has no place %s there", gate, place.Place)
	}
	delete(l.parked, place)
	l.waiting[gate]++
}

// budget: what is reserved of a budget is what executions hold of it, and what they spent of it was counted.
func (a *audit) budget(l *limits, b *record.Budget) {
	names := make(map[string]bool)
	for name := range b.Reserved {
		names[name] = true
	}
	for d := range l.reserved {
		if d.budget == b.BudgetID {
			names[d.name] = true
		}
	}
	for name := range names {
		if have, want := b.Reserved[name], l.reserved[dimensionOf{b.BudgetID, name}]; have != want {
			a.note("K3: of budget %s %d %s are reserved; executions hold %d", b.BudgetID, have, name, want)
		}
	}
	spent := make(ff.Amounts)
	for _, ledger := range l.ledgers {
		if ledger.BudgetID == b.BudgetID && ledger.Period == b.Period {
			for name, n := range ledger.Spent {
				spent[name] += n
			}
		}
	}
	for name, n := range spent {
		if n > b.Usage[name] {
			a.note("K4: of budget %s executions spent %d %s; %d are counted", b.BudgetID, n, name, b.Usage[name])
		}
	}
	if b.Waiting != l.waiting[b.Gate()] {
		a.note("K19: %d wait for budget %s, which counts %d", l.waiting[b.Gate()], b.BudgetID, b.Waiting)
	}
	free := true
	for name, hard := range b.Hard {
		free = free && b.Usage[name]+b.Reserved[name] < hard
	}
	if b.Waiting > 0 && free && b.WakeAt == 0 {
		a.note("K19: %d wait for budget %s, which has room, and nobody looks", b.Waiting, b.BudgetID)
	}
}

// quotaUse: no more run under a key than its quota lets, those and no others are counted, and whoever waits is looked at:
// soon, or when a slot is given back.
func (a *audit) quotaUse(l *limits, u *record.QuotaUse) {
	q := l.quotas[u.QuotaID]
	if q == nil { // deleted: what runs under it may end
		return
	}
	if u.Active != l.active[u.QuotaUseKey] {
		a.note("K13: key %q of quota %s counts %d that run; there are %d", u.UseKey, u.QuotaID, u.Active, l.active[u.QuotaUseKey])
	}
	if u.Waiting != l.waiting[u.Gate()] {
		a.note("K19: %d wait at key %q of quota %s, which counts %d", l.waiting[u.Gate()], u.UseKey, u.QuotaID, u.Waiting)
	}
	if u.Waiting > 0 && u.WakeAt == 0 && (q.MaxConcurrent == 0 || u.Active < q.MaxConcurrent) {
		a.note("K19: %d wait at key %q of quota %s, where %d run, and nobody looks", u.Waiting, u.UseKey, u.QuotaID, u.Active)
	}
	if u.Active == 0 && u.Waiting == 0 && u.WakeAt == 0 {
		a.note("nobody is under key %q of quota %s, and it is kept for ever", u.UseKey, u.QuotaID)
	}
}

// attached: what has a scope is in the list of the scope.
func (a *audit) attached(l *limits, s ff.Scope, listed func(*record.LimitScope) bool, what string) {
	if s.Type == ff.ScopeNone {
		return
	}
	if there := l.scopes[s]; there == nil || !listed(there) {
		a.note("%s is of scope %v, which does not list it", what, s)
	}
	if l.scopes[ff.Scope{Type: s.Type}] == nil {
		a.note("%s is of scope %v, a type nobody looks at", what, s)
	}
}

// limitScope: a scope lists what there is.
func (a *audit) limitScope(l *limits, s *record.LimitScope) {
	for _, id := range s.Budgets {
		if b := l.budgets[id]; b == nil || b.Scope != s.Scope {
			a.note("scope %v lists budget %s, which is not of it", s.Scope, id)
		}
	}
	for _, id := range s.Quotas {
		if q := l.quotas[id]; q == nil || q.Scope != s.Scope {
			a.note("scope %v lists quota %s, which is not of it", s.Scope, id)
		}
	}
}

func compareParkings(x, y record.ParkingKey) int { return record.CompareKeys(x, y) }
