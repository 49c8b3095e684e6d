package admission

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Refusal says why an execution may not run now.
type Refusal struct {
	Reason ff.BlockingReason
	Detail string
	// At is the record that refused, a budget or the use of a quota.
	At   record.Key
	Gate string
	Rate bool // it is the rate of a quota
	// Dimension of the budget that has no room; empty for a quota.
	Dimension string
	Full      bool // there is no room; else there is, and others wait for it
	// Action is what is to follow; [ff.LimitWaits] for a quota.
	Action ff.LimitAction
}

// Admit lets an execution run, if all its limits have room: the slots and reservations are taken, and are in the limits it
// returns. Else nothing is changed. An execution that was admitted already stays so.
func (b *Books) Admit(e *record.Execution, now ff.Timestamp) (*record.Limits, *Refusal) {
	l := e.Limits
	if l == nil || l.Admitted {
		return l, nil
	}
	if !l.Pass {
		for _, q := range l.Quotas {
			if refused := b.quotaRefuses(q, now); refused != nil {
				return nil, refused
			}
		}
		for _, u := range l.Budgets {
			if refused := b.budgetRefuses(e, u); refused != nil {
				return nil, refused
			}
		}
	}
	n := *l
	n.Admitted, n.Gate, n.Pass, n.Since = true, "", false, e.Epoch+1
	for _, q := range l.Quotas {
		b.takeSlot(q, now)
	}
	n.Budgets = make([]record.BudgetUse, len(l.Budgets))
	for i, u := range l.Budgets {
		n.Budgets[i] = b.reserve(e, u, now)
	}
	return &n, nil
}

// Queue is where a new execution has to wait: where it is refused, or behind others that wait already. Nil for nowhere.
func (b *Books) Queue(e *record.Execution, now ff.Timestamp) *Refusal {
	for _, q := range e.Limits.Quotas {
		if refused := b.quotaRefuses(q, now); refused != nil {
			return refused
		}
		if key := b.useKey(q); b.quota(q.ID) != nil && b.use(key).Waiting > 0 {
			return &Refusal{Reason: ff.WaitingForQuota, At: key, Gate: key.Gate(), Action: ff.LimitWaits, Detail: "others wait in front"}
		}
	}
	for _, u := range e.Limits.Budgets {
		if refused := b.budgetRefuses(e, u); refused != nil {
			return refused
		}
		if def := b.Budget(u.ID); def != nil && def.Waiting > 0 && !hasRoom(def) {
			return &Refusal{Reason: ff.WaitingForBudget, At: def.BudgetKey, Gate: def.Gate(), Action: ff.LimitWaits, Detail: "others wait in front"}
		}
	}
	return nil
}

// quotaRefuses looks at the rate before the concurrency (chapter 60, section 7.2).
func (b *Books) quotaRefuses(q ff.QuotaUse, now ff.Timestamp) *Refusal {
	def := b.quota(q.ID)
	if def == nil {
		return nil
	}
	key := b.useKey(q)
	use := b.use(key)
	r := &Refusal{Reason: ff.WaitingForQuota, At: key, Gate: key.Gate(), Action: ff.LimitWaits, Full: true}
	if entries := begun(def, use.Window, now); def.Rate > 0 && total(entries) >= def.Rate {
		r.Rate = true
		r.Detail = fmt.Sprintf("quota %s: rate limit %d/%d per %gs window", q.ID, total(entries), def.Rate, window(def).Seconds())
		return r
	}
	if def.MaxConcurrent > 0 && use.Active >= def.MaxConcurrent {
		r.Detail = fmt.Sprintf("quota %s: concurrency cap %d", q.ID, def.MaxConcurrent)
		return r
	}
	return nil
}

// budgetRefuses: what an execution may yet spend must be free; without such an estimate, something must be.
func (b *Books) budgetRefuses(e *record.Execution, u record.BudgetUse) *Refusal {
	def := b.Budget(u.ID)
	if def == nil || def.Mode == ff.Advisory || def.OnHardLimit == ff.LimitWarns {
		return nil
	}
	need := b.need(e, u)
	for _, d := range def.Hard.Dimensions() {
		used := sum(def.Usage[d], def.Reserved[d])
		if n := need[d]; n > 0 && sum(used, n) <= def.Hard[d] || n == 0 && used < def.Hard[d] {
			continue
		}
		detail := fmt.Sprintf("budget ff:budget:%s:usage: %s %d/%d", u.ID, d, used, def.Hard[d])
		if need[d] > 0 {
			detail += fmt.Sprintf(", %d needed", need[d])
		}
		return &Refusal{Reason: ff.WaitingForBudget, At: def.BudgetKey, Gate: def.Gate(), Dimension: d, Detail: detail, Action: def.OnHardLimit, Full: true}
	}
	return nil
}

// need is what is left of an estimate.
func (b *Books) need(e *record.Execution, u record.BudgetUse) ff.Amounts {
	if len(u.Estimate) == 0 {
		return nil
	}
	var spent ff.Amounts
	if e.Epoch > 0 { // else it has never begun: see [KeysToAdmit]
		spent = b.spent(e, u.ID)
	}
	need := make(ff.Amounts, len(u.Estimate))
	for d, n := range u.Estimate {
		if left := n - spent[d]; left > 0 {
			need[d] = left
		}
	}
	return need
}

// spent is what an execution has consumed since the last reset.
func (b *Books) spent(e *record.Execution, id ff.BudgetID) ff.Amounts {
	def, l := b.Budget(id), b.ledger(e, id)
	if l == nil || def == nil || !current(l, def) {
		return nil
	}
	return l.Spent
}

// current reports whether a ledger is of this period of a budget, and not of one that was deleted before it was made.
func current(l *record.Ledger, def *record.Budget) bool {
	return l.Period == def.Period && l.UpdatedAt >= def.CreatedAt
}

// sum is a+b, or the largest number there is.
func sum(a, b int64) int64 {
	if a > ff.MaxAmount-b {
		return ff.MaxAmount
	}
	return a + b
}

// takeSlot counts an execution that begins, also under a quota that was deleted: one that is made under its id again counts who
// runs then.
func (b *Books) takeSlot(q ff.QuotaUse, now ff.Timestamp) {
	use := b.useToChange(b.useKey(q))
	use.Active++
	use.UpdatedAt = now
	if def := b.quota(q.ID); def != nil && def.Rate > 0 {
		use.Window = enter(def, begun(def, use.Window, now), now)
	} else {
		use.Window = nil
	}
}

func (b *Books) reserve(e *record.Execution, u record.BudgetUse, now ff.Timestamp) record.BudgetUse {
	need := b.need(e, u)
	if b.Budget(u.ID) == nil || len(need) == 0 {
		return u
	}
	def := b.budgetToChange(u.ID)
	for d, n := range need {
		def.Reserved[d] = sum(def.Reserved[d], n)
	}
	def.UpdatedAt = now
	u.Reserved = need
	return u
}

// Release takes back what an execution held: its slots, and what it has not spent of its reservations. It returns its
// limits without them. What holds nothing stays as it is. e is the execution as it was admitted.
func (b *Books) Release(e *record.Execution, now ff.Timestamp) *record.Limits {
	l := e.Limits
	if l == nil || !l.Admitted {
		return l
	}
	n := *l
	n.Admitted = false
	for _, q := range l.Quotas {
		b.giveSlot(q, now)
	}
	n.Budgets = make([]record.BudgetUse, len(l.Budgets))
	for i, u := range l.Budgets {
		b.giveBack(u, now)
		u.Reserved = nil
		n.Budgets[i] = u
	}
	return &n
}

func (b *Books) giveSlot(q ff.QuotaUse, now ff.Timestamp) {
	use := b.useToChange(b.useKey(q))
	use.Active = max(0, use.Active-1)
	use.UpdatedAt = now
	b.wakeUse(b.quota(q.ID), use, now)
}

func (b *Books) giveBack(u record.BudgetUse, now ff.Timestamp) {
	if len(u.Reserved) == 0 || b.Budget(u.ID) == nil {
		return
	}
	def := b.budgetToChange(u.ID)
	for d, left := range u.Reserved {
		lower(def.Reserved, d, left)
	}
	def.UpdatedAt = now
	b.wakeBudget(def, now)
}

// lower takes n off an amount, which is gone when nothing is left.
func lower(a ff.Amounts, d string, n int64) {
	if a[d] -= n; a[d] <= 0 {
		delete(a, d)
	}
}

// Times of gates and of what is in use.
const (
	// lookAgain is how long after some were let go on a gate is looked at again, for those among them that never claim.
	lookAgain = 5 * time.Second
	// idleFor is how long the use of a quota is kept when it says nothing.
	idleFor = time.Minute
)

// wakeUse sets when the use of a quota is to be looked at: at once if somebody waits and there is room.
func (b *Books) wakeUse(q *record.Quota, u *record.QuotaUse, now ff.Timestamp) {
	switch {
	case u.Waiting > 0 && (q == nil || b.roomIn(q, u, now)):
		u.WakeAt = now
	case u.Waiting > 0:
		u.WakeAt = spread(q, freeAt(q, begun(q, u.Window, now), now), now)
	case u.WakeAt == 0 && u.Active == 0:
		u.WakeAt = now.Add(idleFor)
		if q != nil {
			u.WakeAt = now.Add(max(idleFor, window(q)))
		}
	}
}

func (b *Books) roomIn(q *record.Quota, u *record.QuotaUse, now ff.Timestamp) bool {
	return (q.MaxConcurrent == 0 || u.Active < q.MaxConcurrent) && freeAt(q, begun(q, u.Window, now), now) == 0
}

// spread moves a time by some of a quota's jitter.
func spread(q *record.Quota, at, now ff.Timestamp) ff.Timestamp {
	if at == 0 || q.JitterMS == 0 {
		return at
	}
	mixed := uint64(at)*0x9e3779b97f4a7c15 ^ uint64(now)
	return at + ff.Timestamp(mixed%uint64(q.JitterMS+1))
}

// wakeBudget sets when a budget is to be looked at: at once if somebody waits and there is room.
func (b *Books) wakeBudget(def *record.Budget, now ff.Timestamp) {
	def.WakeAt = 0
	if def.Waiting > 0 && hasRoom(def) {
		def.WakeAt = now
	}
}

// hasRoom reports whether every limit has some.
func hasRoom(def *record.Budget) bool {
	for d, hard := range def.Hard {
		if sum(def.Usage[d], def.Reserved[d]) >= hard {
			return false
		}
	}
	return true
}
