package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// limits are the budgets and quotas of a world, and what must be true of them.
type limits struct {
	budgets []ff.BudgetID
	quotas  []ff.QuotaUse
	passes  bool // operators let run what limits hold back: then no limit is hard
	reports int  // numbers their keys

	usage  map[ff.BudgetID]int64 // what was counted since the last reset
	period map[ff.BudgetID]int64
	seen   map[admission]bool
	parked map[record.Key]bool            // every place at a gate there was
	begun  map[ff.QuotaUse][]ff.Timestamp // every execution that was ever let run
}

// admission names one time an execution was let run.
type admission struct {
	execution ff.ExecutionID
	since     uint64
}

const dimension = "t"

// makeLimits gives every second world budgets and quotas: one of concurrency, one of each kind of window.
func (w *world) makeLimits() {
	w.limits = limits{
		usage: make(map[ff.BudgetID]int64), period: make(map[ff.BudgetID]int64), seen: make(map[admission]bool), parked: make(map[record.Key]bool),
		begun: make(map[ff.QuotaUse][]ff.Timestamp),
	}
	if w.rng.IntN(2) == 0 {
		return
	}
	w.limits.passes = w.rng.IntN(4) == 0
	for range 2 {
		cmd := ff.CreateBudget{BudgetID: ff.NewBudgetID(), Hard: ff.Amounts{dimension: 20 + w.rng.Int64N(100)}, Soft: ff.Amounts{dimension: 50}}
		cmd.OnHardLimit, _ = pick(w, []ff.LimitAction{ff.LimitWaits, ff.LimitWaits, ff.LimitFails, ff.LimitCancels})
		if w.rng.IntN(2) == 0 {
			cmd.ResetInterval = 3 * time.Second
		}
		var res ff.CreateResult
		op, err := w.rules.CreateBudget(cmd, &res)
		w.must("create budget", op, err)
		w.limits.budgets = append(w.limits.budgets, cmd.BudgetID)
	}
	for _, cmd := range []ff.CreateQuota{
		{MaxConcurrent: 1 + w.rng.Int64N(3)},
		{Rate: 1 + w.rng.Int64N(3), Window: time.Second, Jitter: time.Duration(w.rng.IntN(2)) * 200 * time.Millisecond},
		{Rate: 1 + w.rng.Int64N(3), Window: 1500 * time.Millisecond, WindowKind: ff.FixedWindow, MaxConcurrent: w.rng.Int64N(3)},
	} {
		cmd.QuotaID = ff.NewQuotaID()
		var res ff.CreateResult
		op, err := w.rules.CreateQuota(cmd, &res)
		w.must("create quota", op, err)
		for _, key := range []string{"a", "b"} {
			w.limits.quotas = append(w.limits.quotas, ff.QuotaUse{ID: cmd.QuotaID, Key: key})
		}
	}
}

// must commits what cannot be refused, until its reply arrives, and reports whether one was lost. Repeats may write again,
// and may be told that they are repeats.
func (w *world) must(what string, op *ops.Op, err error) (lost bool) {
	w.Helper()
	for err == nil {
		if err = w.disk.Apply(w.Context(), []*store.Unit{&op.Unit}); err == nil {
			if err = op.Outcome(); err == nil {
				return lost
			}
		} else if errors.Is(err, errLost) {
			lost, err = lost || w.disk.lastApplied, nil
		}
	}
	w.broken("%s: %v", what, err)
	return lost
}

// someLimits puts most executions under some of what there is.
func (w *world) someLimits() *ff.Limits {
	if len(w.limits.budgets) == 0 || w.rng.IntN(4) == 0 {
		return nil
	}
	l := &ff.Limits{}
	for _, id := range w.limits.budgets {
		if w.rng.IntN(2) == 0 {
			continue
		}
		u := ff.BudgetUse{ID: id}
		if w.rng.IntN(3) > 0 {
			u.Estimate = ff.Amounts{dimension: 1 + w.rng.Int64N(40)}
		}
		l.Budgets = append(l.Budgets, u)
	}
	for i := 0; i < len(w.limits.quotas); i += 2 {
		if n := w.rng.IntN(4); n < 2 {
			l.Quotas = append(l.Quotas, w.limits.quotas[i+n])
		}
	}
	return l
}

// claimSome claims as workers do: the first that are ready. What its limits refuse is parked.
func (w *world) claimSome() {
	want := &ops.Want{Claim: ff.Claim{
		Lanes: []ff.LaneID{lane}, WorkerID: "w", WorkerInstanceID: "w-1", Max: 1 + w.rng.IntN(3), LeaseTTL: leaseTTL,
	}}
	op := w.rules.Claim(w.disk.Shards()[0], 0, []*ops.LaneAsk{{Lane: lane, Routes: []int64{0}}}, []*ops.Want{want})
	op.Once = true // a repeat claims what is there then
	if err := w.do(op, nil); err != nil {
		w.note("claim some: %v", err)
		return
	}
	for _, c := range want.Got {
		w.claims = append(w.claims, c)
		w.note("claim some: %s", c.ExecutionID)
	}
}

// reportUsage tells what an execution, or nobody, has consumed, until the answer arrives: it counts once.
func (w *world) reportUsage() {
	id, ok := pick(w, w.limits.budgets)
	if !ok {
		return
	}
	w.limits.reports++
	cmd := ff.ReportUsage{BudgetID: id, Amounts: ff.Amounts{dimension: 1 + w.rng.Int64N(20)}, DedupKey: fmt.Sprint(w.limits.reports)}
	if c, ok := w.grant(); ok && w.rng.IntN(5) > 0 {
		cmd.ExecutionID = c.ExecutionID
	}
	cmd.Record = w.limits.passes && w.rng.IntN(4) == 0
	before := w.budget(id)
	var res ff.UsageResult
	op, err := w.rules.ReportUsage(cmd, &res)
	lost := w.must("report usage", op, err)
	w.note("report %d of %s by %s, told again: %t: %+v", cmd.Amounts[dimension], id, cmd.ExecutionID, lost, res)
	counted := w.budget(id).Usage[dimension] - before.Usage[dimension]
	want := cmd.Amounts[dimension]
	if res.Outcome == ff.UsageHardBreach && !res.Counted {
		want = 0
	}
	if counted != want {
		w.broken("K5: %d was told, %d was counted", want, counted)
	}
	if again := res.Outcome == ff.UsageAlreadyApplied; again && !lost {
		w.broken("a first report was told it is a repeat")
	}
	w.limits.usage[id] += counted
}

func (w *world) budget(id ff.BudgetID) *record.Budget {
	b, err := w.rules.Budget(w.Context(), w.disk, id)
	if err != nil {
		w.broken("budget: %v", err)
	}
	return b
}

// raise raises a limit.
func (w *world) raise() {
	id, ok := pick(w, w.limits.budgets)
	if !ok {
		return
	}
	if w.rng.IntN(2) == 0 {
		hard := w.budget(id).Hard[dimension] + w.rng.Int64N(40)
		w.raiseTo(id, hard)
		return
	}
	q, _ := pick(w, w.limits.quotas)
	def, err := w.rules.Quota(w.Context(), w.disk, q.ID)
	if err != nil {
		w.broken("quota: %v", err)
	}
	cmd := ff.UpdateQuota{QuotaID: q.ID}
	if n := def.Rate + 1; def.Rate > 0 {
		cmd.Rate = &n
	}
	if n := def.MaxConcurrent + 1; def.MaxConcurrent > 0 {
		cmd.MaxConcurrent = &n
	}
	var keys []record.Key
	uses, err := w.rules.QuotaUses(w.Context(), w.disk, q.ID, "", ff.MaxPage)
	for _, u := range uses {
		if u.Waiting > 0 {
			keys = append(keys, u.QuotaUseKey)
		}
	}
	if err != nil {
		w.broken("uses: %v", err)
	}
	var res ff.QuotaStatus
	op, err := w.rules.UpdateQuota(cmd, keys, &res)
	w.must("raise quota", op, err)
	w.note("raise quota %s to %+v", q.ID, res)
}

func (w *world) raiseTo(id ff.BudgetID, hard int64) {
	var res ff.BudgetStatus
	op, err := w.rules.UpdateBudget(ff.UpdateBudget{BudgetID: id, Hard: ff.Amounts{dimension: hard}}, &res)
	w.must("raise budget", op, err)
	w.note("raise budget %s to %d", id, hard)
}

// resetBudget begins a new period of a budget.
func (w *world) resetBudget() {
	id, ok := pick(w, w.limits.budgets)
	if !ok {
		return
	}
	var res ff.BudgetStatus
	op, err := w.rules.ResetBudget(id, &res)
	if err == nil {
		op.Once = true // each is one more
		err = w.do(op, nil)
	}
	w.note("reset %s: %v", id, err)
}

// releaseBudget takes off what an execution has spent.
func (w *world) releaseBudget() {
	id, ok := pick(w, w.limits.budgets)
	c, held := w.grant()
	if !ok || !held {
		return
	}
	before := w.budget(id)
	op, err := w.rules.ReleaseBudget(id, c.ExecutionID)
	w.must("release budget", op, err)
	given := before.Usage[dimension] - w.budget(id).Usage[dimension]
	w.note("release %d of %s by %s", given, id, c.ExecutionID)
	w.limits.usage[id] -= given
	if given < 0 {
		w.broken("a release counts %d more", -given)
	}
}

// keepsLimits checks what a store at rest cannot tell of itself.
func (w *world) keepsLimits(d *store.Dump) {
	quotas := make(map[ff.QuotaID]*record.Quota)
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Budget:
			w.keepsBudget(rec)
		case *record.Quota:
			quotas[rec.QuotaID] = rec
		case *record.Parking:
			w.limits.parked[rec.ParkingKey] = true
		}
	}
	for _, rec := range d.Records {
		if u, ok := rec.(*record.QuotaUse); ok && !w.limits.passes {
			if most := quotas[u.QuotaID].MaxConcurrent; most > 0 && u.Active > most {
				w.broken("K13: %d run under %s of quota %s; at most %d may", u.Active, u.UseKey, u.QuotaID, most)
			}
		}
	}
	for _, e := range d.Executions {
		if e.Limits == nil || !e.Limits.Admitted || w.limits.seen[admission{e.ID, e.Limits.Since}] {
			continue
		}
		w.limits.seen[admission{e.ID, e.Limits.Since}] = true
		for _, q := range e.Limits.Quotas {
			w.begins(q, quotas[q.ID])
		}
	}
}

// keepsBudget: what is used and reserved is within the hard limit, and what is used is what was told.
func (w *world) keepsBudget(b *record.Budget) {
	if w.limits.period[b.BudgetID] != b.Period {
		w.limits.period[b.BudgetID], w.limits.usage[b.BudgetID] = b.Period, 0
	}
	if used, told := b.Usage[dimension], w.limits.usage[b.BudgetID]; used != told {
		w.broken("K3: of budget %s %d is used; %d was told", b.BudgetID, used, told)
	}
	if sum := b.Usage[dimension] + b.Reserved[dimension]; !w.limits.passes && sum > b.Hard[dimension] {
		w.broken("K1: of budget %s %d is used and %d reserved; the limit is %d", b.BudgetID, b.Usage[dimension], b.Reserved[dimension], b.Hard[dimension])
	}
}

// begins: an execution has been let run just now, as one of no more than the rate in the window that ends now (K12).
func (w *world) begins(use ff.QuotaUse, q *record.Quota) {
	now := w.now()
	list := append(w.limits.begun[use], now)
	w.limits.begun[use] = list
	from := now - ff.Timestamp(q.WindowMS) + 1
	if q.WindowKind == ff.FixedWindow {
		from = now - now%ff.Timestamp(max(1, q.WindowMS))
	}
	within := int64(0)
	for _, at := range slices.Backward(list) {
		if at < from {
			break
		}
		within++
	}
	if q.Rate > 0 && within > q.Rate && !w.limits.passes {
		w.broken("K12: %d began under %s of quota %s in one window; at most %d may", within, use.Key, q.QuotaID, q.Rate)
	}
}

// waitsForLimit reports whether an execution waits at a budget or quota, which lets it go by itself.
func waitsForLimit(e *record.Execution) bool { return e.Limits != nil && e.Limits.Gate != "" }

// loosen makes room in all budgets, in the end.
func (w *world) loosen() {
	for _, id := range w.limits.budgets {
		w.raiseTo(id, 1<<40)
	}
}

// limitsForgotten takes off a dump what is configuration, and is kept.
func limitsForgotten(rec record.Keyed) bool {
	return slices.Contains([]record.Family{record.Budgets, record.Quotas}, rec.Key().Family())
}
