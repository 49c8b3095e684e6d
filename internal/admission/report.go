package admission

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Report counts what was consumed (chapter 60, section 3.2). e is the execution that has, nil if none is named. A report
// that breaks a hard limit counts nothing but the breach, unless it is to be recorded all the same.
func (b *Books) Report(cmd *ff.ReportUsage, e *record.Execution, now ff.Timestamp) (ff.UsageResult, error) {
	def := b.Budget(cmd.BudgetID)
	held := b.heldOf(e, cmd.BudgetID)
	names := cmd.Amounts.Dimensions()
	for _, d := range names {
		if n := cmd.Amounts[d]; n > ff.MaxAmount-def.Usage[d] {
			return ff.UsageResult{}, &ff.Error{
				Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("amounts: the usage of %q would exceed %d", d, int64(ff.MaxAmount)),
			}
		}
	}
	res := ff.UsageResult{Outcome: ff.UsageOK}
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
			return res, nil
		}
		res.Counted = true
	}
	for _, d := range names {
		n.Usage[d] += cmd.Amounts[d]
		if drawn := min(cmd.Amounts[d], held[d]); drawn > 0 {
			lower(n.Reserved, d, drawn)
		}
	}
	if e != nil {
		b.enterSpent(e, n, cmd.Amounts, held, now)
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
	return res, nil
}

// heldOf is what is left of the reservation of an execution that runs.
func (b *Books) heldOf(e *record.Execution, id ff.BudgetID) ff.Amounts {
	if e == nil || e.Limits == nil || !e.Limits.Admitted {
		return nil
	}
	for _, u := range e.Limits.Budgets {
		if u.ID == id {
			return b.left(e, u)
		}
	}
	return nil
}

// enterSpent writes what an execution consumed into its ledger, and how much of that its reservation has paid.
func (b *Books) enterSpent(e *record.Execution, def *record.Budget, amounts, held ff.Amounts, now ff.Timestamp) {
	l := b.ledgerToChange(e, def.BudgetID)
	if !current(l, def) {
		l.Period, l.Spent = def.Period, ff.Amounts{}
	}
	if since := admittedSince(e); l.DrawnEpoch != since {
		l.DrawnEpoch, l.Drawn = since, ff.Amounts{}
	}
	for d, n := range amounts {
		l.Spent[d] = sum(l.Spent[d], n)
		if drawn := min(n, held[d]); drawn > 0 {
			l.Drawn[d] += drawn
		}
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

// admittedSince names the admission an execution runs under; 0 for none.
func admittedSince(e *record.Execution) uint64 {
	if e.Limits == nil || !e.Limits.Admitted {
		return 0
	}
	return e.Limits.Since
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
