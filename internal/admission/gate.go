package admission

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Wait counts one more execution that waits at what refused it.
func (b *Books) Wait(r *Refusal, now ff.Timestamp) {
	b.count(r.At, 1, now)
	if key, ok := r.At.(record.BudgetKey); ok && r.Action == ff.LimitCancels {
		b.budgetToChange(key.BudgetID).WakeAt = now // to be cancelled
	}
}

// Leave counts one less.
func (b *Books) Leave(at record.Key, now ff.Timestamp) { b.count(at, -1, now) }

func (b *Books) count(at record.Key, n int64, now ff.Timestamp) {
	switch key := at.(type) {
	case record.BudgetKey:
		if b.Budget(key.BudgetID) == nil {
			return
		}
		def := b.budgetToChange(key.BudgetID)
		def.Waiting = max(0, def.Waiting+n)
		if n > 0 && def.WakeAt == 0 {
			b.wakeBudgetLater(def, now)
		}
	case record.QuotaUseKey:
		use := b.useToChange(key)
		use.Waiting = max(0, use.Waiting+n)
		if n > 0 {
			b.wakeUseLater(key, use, now)
		}
	}
}

// wakeUseLater has a gate looked at when it opens. Somebody may wait though it is open, behind others that were let go and
// have not claimed yet: they may never.
func (b *Books) wakeUseLater(key record.QuotaUseKey, use *record.QuotaUse, now ff.Timestamp) {
	at := b.gateOpens(key, use, now)
	if q := b.quota(key.QuotaID); at == 0 && q != nil && b.roomIn(q, use, now) {
		at = now.Add(lookAgain)
	}
	if at != 0 && (use.WakeAt == 0 || at < use.WakeAt) {
		use.WakeAt = at
	}
}

// wakeBudgetLater: somebody may wait though there is some room, for he needs more than that. What gives more looks at once.
func (b *Books) wakeBudgetLater(def *record.Budget, now ff.Timestamp) {
	if hasRoom(def) {
		def.WakeAt = now.Add(lookAgain)
	}
}

func (b *Books) gateOpens(key record.QuotaUseKey, use *record.QuotaUse, now ff.Timestamp) ff.Timestamp {
	q := b.quota(key.QuotaID)
	if q == nil {
		return now
	}
	return spread(q, freeAt(q, begun(q, use.Window, now), now), now)
}

// GateOf is the record at whose gate an execution under limits is parked; nil if it is under it no more.
func GateOf(home ff.Partition, l *record.Limits) record.Key {
	for _, q := range l.Quotas {
		if key := (record.QuotaUseKey{Home: home, QuotaID: q.ID, UseKey: q.Key}); key.Gate() == l.Gate {
			return key
		}
	}
	for _, u := range l.Budgets {
		key := record.BudgetKey{Home: home, BudgetID: u.ID}
		if (&record.Budget{BudgetKey: key}).Gate() == l.Gate {
			return key
		}
	}
	return nil
}

// Looked sets when a gate is looked at again, after went of those that wait were let go. none says that it is certain that
// nobody waits. It returns false for the use of a quota that says nothing any more, which is to be removed.
func (b *Books) Looked(at record.Key, none bool, went int, now ff.Timestamp) bool {
	switch key := at.(type) {
	case record.BudgetKey:
		if b.Budget(key.BudgetID) == nil {
			return true
		}
		def := b.budgetToChange(key.BudgetID)
		def.WakeAt = 0
		if none {
			def.Waiting = 0
		}
		if def.Waiting > 0 && hasRoom(def) {
			def.WakeAt = now.Add(lookAgain)
		}
	case record.QuotaUseKey:
		use := b.useToChange(key)
		use.WakeAt = 0
		if none {
			use.Waiting = 0
		}
		q := b.quota(key.QuotaID)
		if q != nil {
			use.Window = begun(q, use.Window, now)
		} else {
			use.Window = nil
		}
		switch {
		case use.Waiting > 0 && (q == nil || went > 0 || b.roomIn(q, use, now)):
			use.WakeAt = now.Add(lookAgain)
			if next := b.gateOpens(key, use, now); q != nil && next != 0 && next < use.WakeAt {
				use.WakeAt = next
			}
		case use.Waiting > 0:
			use.WakeAt = b.gateOpens(key, use, now)
		case use.Active == 0 && len(use.Window) == 0:
			return false
		case use.Active == 0:
			use.WakeAt = use.Window[len(use.Window)-1].At.Add(window(q) + idleFor)
		}
	}
	return true
}
