package admission

import (
	"fmt"
	"maps"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Report counts what was consumed (chapter 60, section 3.2). e is the execution that has, nil if none is named. What it pays
// out of its reservation is taken off that: limits are those of e then, nil if they stay as they are. A report that breaks a
// hard limit counts nothing but the breach, unless it is to be recorded all the same.
func (b *Books) Report(cmd *ff.ReportUsage, e *record.Execution, now ff.Timestamp) (res ff.UsageResult, limits *record.Limits, err error) {
	def := b.Budget(cmd.BudgetID)
	held := heldOf(e, cmd.BudgetID)
	names := cmd.Amounts.Dimensions()
	for _, d := range names {
		if n := cmd.Amounts[d]; n > ff.MaxAmount-def.Usage[d] {
			return ff.UsageResult{}, nil, &ff.Error{
				Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("amounts: the usage of %q would exceed %d", d, int64(ff.MaxAmount)),
			}
		}
	}
	res = ff.UsageResult{Outcome: ff.UsageOK}
	for _, d := range names {
		n := cmd.Amounts[d]
		others := def.Reserved[d] - min(n, held[d])
		if hard := def.Hard[d]; hard > 0 && sum(sum(def.Usage[d], n), others) > hard {
			res = ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: d, Usage: def.Usage[d], Limit: hard, Action: def.OnHardLimit}
			break
		}
	}
	n := b.budgetToChange(cmd.BudgetID)
	n.UpdatedAt = now
	if res.Outcome == ff.UsageHardBreach {
		n.BreachCount++
		n.LastBreachAt, n.LastBreachDim = now, res.Dimension
		if !cmd.Record && def.Mode == ff.Strict && def.OnHardLimit != ff.LimitWarns {
			return res, nil, nil
		}
		res.Counted = true
	}
	drawn := ff.Amounts{}
	for _, d := range names {
		n.Usage[d] += cmd.Amounts[d]
		if paid := min(cmd.Amounts[d], held[d]); paid > 0 {
			lower(n.Reserved, d, paid)
			drawn[d] = paid
		}
	}
	if e != nil {
		b.enterSpent(e, n, cmd.Amounts, now)
	}
	if len(drawn) > 0 {
		limits = draw(e.Limits, cmd.BudgetID, drawn)
	}
	for _, d := range names {
		if soft := def.Soft[d]; soft > 0 && n.Usage[d] > soft {
			n.SoftBreachCount++
			if res.Outcome == ff.UsageOK {
				res = ff.UsageResult{Outcome: ff.UsageSoftBreach, Dimension: d, Usage: n.Usage[d], Limit: soft}
			}
			break
		}
	}
	return res, limits, nil
}

// heldOf is what is left of the reservation of an execution that runs.
func heldOf(e *record.Execution, id ff.BudgetID) ff.Amounts {
	if e == nil || e.Limits == nil || !e.Limits.Admitted {
		return nil
	}
	for _, u := range e.Limits.Budgets {
		if u.ID == id {
			return u.Reserved
		}
	}
	return nil
}

// draw takes amounts off what is left of a reservation.
func draw(l *record.Limits, id ff.BudgetID, amounts ff.Amounts) *record.Limits {
	n := *l
	n.Budgets = slices.Clone(l.Budgets)
	for i := range n.Budgets {
		if u := &n.Budgets[i]; u.ID == id {
			u.Reserved = maps.Clone(u.Reserved)
			for d, paid := range amounts {
				lower(u.Reserved, d, paid)
			}
		}
	}
	return &n
}

// enterSpent writes what an execution consumed into its ledger.
func (b *Books) enterSpent(e *record.Execution, def *record.Budget, amounts ff.Amounts, now ff.Timestamp) {
	l := b.ledgerToChange(e, def.BudgetID)
	if !current(l, def) {
		l.Period, l.Spent = def.Period, ff.Amounts{}
	}
	for d, n := range amounts {
		l.Spent[d] = sum(l.Spent[d], n)
	}
	l.UpdatedAt = now
}

// GiveBack takes what an execution has consumed off a budget again (chapter 60, section 4), and reports whether that was
// anything.
func (b *Books) GiveBack(id ff.BudgetID, e *record.Execution, now ff.Timestamp) bool {
	spent := b.spent(e, id)
	if len(spent) == 0 {
		return false
	}
	def := b.budgetToChange(id)
	for d, n := range spent {
		lower(def.Usage, d, n)
	}
	def.UpdatedAt = now
	l := b.ledgerToChange(e, id)
	l.Spent, l.UpdatedAt = ff.Amounts{}, now
	b.wakeBudget(def, now)
	return true
}

// Reset begins a new period of a budget: nothing of it is used. What executions that run have reserved stays reserved. The
// next reset is a multiple of the interval behind the one that was due (FIX-B13), or an interval from now if none was.
func (b *Books) Reset(id ff.BudgetID, now ff.Timestamp) *record.Budget {
	def := b.budgetToChange(id)
	def.Usage = ff.Amounts{}
	def.LastBreachAt, def.LastBreachDim = 0, ""
	def.Period++
	def.LastResetAt, def.UpdatedAt = now, now
	switch every := ff.Timestamp(def.ResetIntervalMS); {
	case every == 0:
		def.NextResetAt = 0
	case def.NextResetAt == 0 || def.NextResetAt > now:
		def.NextResetAt = now + every
	default:
		def.NextResetAt += ((now-def.NextResetAt)/every + 1) * every
	}
	b.wakeBudget(def, now)
	return def
}

// Change changes how a budget is defined, and lets those be looked at who wait and may go on then.
func (b *Books) Change(id ff.BudgetID, now ff.Timestamp, change func(*record.Budget, ff.Timestamp) error) (*record.Budget, error) {
	n := b.budgetToChange(id)
	if err := change(n, now); err != nil {
		return nil, err
	}
	n.UpdatedAt = now
	n.WakeAt = 0
	if n.Waiting > 0 && (hasRoom(n) || n.Mode == ff.Advisory || n.OnHardLimit == ff.LimitWarns || n.OnHardLimit == ff.LimitCancels) {
		n.WakeAt = now
	}
	return n, nil
}
