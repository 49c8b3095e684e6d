package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
	"github.com/flowfabric/flowfabric/worker"
)

// limited are the limits of the work of a test. Each execution may come to consume what it has reserved, and never more.
type limited struct {
	Raised flowfabric.BudgetID // an operator raises it, a little at a time
	Reset  flowfabric.BudgetID // begins anew every second
	Quota  flowfabric.QuotaID  // of concurrency and rate, under two keys
}

const (
	kindOfLimited = "limited"
	unit          = "units"
	estimate      = 10 // units of an execution

	atOnce     = 4 // executions under a key of the quota
	inWindow   = 25
	rateWindow = time.Second

	directly = "direct/" // begins the keys of reports that no execution is behind, each of one unit
)

// submitLimited creates executions under limits, and between them reports usage of its own, which competes with what they
// reserve.
func (n *node) submitLimited(ctx context.Context, eng flowfabric.Service, rep *report) {
	for i := 0; ctx.Err() == nil; i++ {
		limits := &flowfabric.Limits{
			Budgets: []flowfabric.BudgetUse{{ID: n.Limited.Raised, Estimate: flowfabric.Amounts{unit: estimate}}},
			Quotas:  []flowfabric.QuotaUse{{ID: n.Limited.Quota, Key: []string{"a", "b"}[i%2]}},
		}
		if i%3 != 0 {
			limits.Budgets = append(limits.Budgets, flowfabric.BudgetUse{ID: n.Limited.Reset, Estimate: flowfabric.Amounts{unit: estimate}})
		}
		policy := *workPolicy
		policy.Limits = limits
		res, err := eng.Submit(ctx, flowfabric.Submit{Lane: lane, Kind: kindOfLimited, Policy: &policy})
		switch {
		case err == nil:
			rep.say("%s %s", ackSubmitted, res.ID)
		case ctx.Err() == nil:
			rep.refused("submit", err)
		}
		n.spend(ctx, eng, rep, directly+flowfabric.NewFlowID().String())
		loop.Sleep(ctx, wall, n.Pause, nil)
	}
}

// spend reports one unit, and reports it again until there is an answer. One that is refused for the limit is let go.
func (n *node) spend(ctx context.Context, eng flowfabric.Service, rep *report, key string) {
	for ctx.Err() == nil {
		res, err := eng.ReportUsage(ctx, flowfabric.ReportUsage{BudgetID: n.Limited.Raised, Amounts: flowfabric.Amounts{unit: 1}, DedupKey: key})
		switch {
		case err == nil:
			if res.Outcome != flowfabric.UsageHardBreach {
				rep.say("%s %s", ackSpent, key)
			}
			return
		case ctx.Err() == nil:
			rep.refused("report", err)
		}
		loop.Sleep(ctx, wall, 10*time.Millisecond, nil)
	}
}

// handleLimited consumes two to ten units in two reports, which count once whatever happens to its attempts. It has
// reserved them, so that none can be refused.
func (n *node) handleLimited(w *worker.Worker, rep *report) {
	worker.Handle(w, kindOfLimited, func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		id := t.ID().UUID()
		for i, amount := range []int64{1 + int64(id[14]%5), 1 + int64(id[13]%5)} {
			res, err := worker.Budget(ctx).ReportOnce(fmt.Sprint("cost-", i), flowfabric.Amounts{unit: amount})
			if res.Outcome == flowfabric.UsageHardBreach {
				rep.say("%s reserved-usage breach false", ackRefused)
			}
			if err != nil {
				return "", err
			}
			loop.Sleep(ctx, wall, n.Work, nil)
		}
		return "ok", n.failSome(t)
	})
}

// Processes that work under budgets and a quota are killed at random instants, and on Postgres have their connections cut, so
// that replies are lost. At no time is more of a budget used and reserved than its limit, by one unit, and under no key of
// the quota do more run, or are more begun in a window, than it lets (K1, K12, K13); in the end everything has ended,
// nothing is reserved any more, and what is counted is what was told (K3, K5).
func TestKill9_ExceedsNoLimit(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killLimited(t, freshSQLite(t), func() {}) })
	t.Run("Postgres", func(t *testing.T) {
		url := freshPostgres(t)
		killLimited(t, url, func() {
			execute(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		})
	})
}

func killLimited(t *testing.T, url string, cut func()) {
	beside(t)
	kills := either(5, 80)
	st := opened(t, url)
	eng := embedded(t, st)
	l := &limitWatch{limited: defineLimits(t, eng), st: st, most: map[flowfabric.BudgetID]int64{}}
	f := &fleet{url: url}
	submits := node{Callers: 1, Pause: 50 * time.Millisecond, Limited: &l.limited}
	works := node{Slots: 16, Work: 4 * time.Millisecond, Flaky: true, Limited: &l.limited}
	for _, n := range []node{submits, submits, works, works, works} {
		f.add(t, n)
	}
	f.awaitReady(t)
	watched := l.start(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for round := range kills {
		f.awaitLimited(t, eng, l.Raised, 15)
		let(t, time.Duration(random.IntN(300))*time.Millisecond)
		if round%2 == 1 {
			cut()
			continue
		}
		victim := random.IntN(len(f.running))
		if round == 0 {
			victim = 2 // at least one that works
		}
		f.replace(t, victim)
	}
	f.awaitLimited(t, eng, l.Raised, 15)
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	raise(t, eng, l.Raised, 1<<40)
	awaitEnd(t, st, time.Minute)
	f.stop(t, func(*process) bool { return true })
	watched()
	d := dump(t, st)
	f.judge(t, d)
	f.judgeLimits(t, d, l)
}

func defineLimits(t *testing.T, eng flowfabric.Service) limited {
	t.Helper()
	l := limited{flowfabric.NewBudgetID(), flowfabric.NewBudgetID(), flowfabric.NewQuotaID()}
	_, _, err := eng.CreateBudget(t.Context(), flowfabric.CreateBudget{BudgetID: l.Raised, Hard: flowfabric.Amounts{unit: 60}})
	if err == nil {
		_, _, err = eng.CreateBudget(t.Context(), flowfabric.CreateBudget{
			BudgetID: l.Reset, Hard: flowfabric.Amounts{unit: 200}, ResetInterval: time.Second,
		})
	}
	if err == nil {
		_, _, err = eng.CreateQuota(t.Context(), flowfabric.CreateQuota{QuotaID: l.Quota, Rate: inWindow, Window: rateWindow, MaxConcurrent: atOnce})
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// awaitLimited waits for n completions more, and keeps the limit just above what is used, so that it always binds.
func (f *fleet) awaitLimited(t *testing.T, eng flowfabric.Service, id flowfabric.BudgetID, n int) {
	t.Helper()
	_, before := f.totals()
	last := wall.Now()
	until(t, time.Minute, fmt.Sprintf("%d more were completed", n), func() bool {
		if wall.Now().Sub(last) >= 200*time.Millisecond {
			last = wall.Now()
			raise(t, eng, id, 60)
		}
		_, now := f.totals()
		return now >= before+n
	})
}

// raise gives a budget room for more units.
func raise(t *testing.T, eng flowfabric.Service, id flowfabric.BudgetID, more int64) {
	t.Helper()
	until(t, time.Minute, "the limit is raised", func() bool { // its connection may be one of those that are cut
		b, err := eng.DescribeBudget(t.Context(), id)
		if err == nil {
			_, err = eng.UpdateBudget(t.Context(), flowfabric.UpdateBudget{BudgetID: id, Hard: flowfabric.Amounts{unit: max(b.Hard[unit], b.Usage[unit]+more)}})
		}
		return err == nil
	})
}

// limitWatch looks at the books while they are written.
type limitWatch struct {
	limited
	st store.Store

	looks, audits, full int // of the looks, how many found a limit reached
	most                map[flowfabric.BudgetID]int64
}

// start watches until the returned function is called.
func (l *limitWatch) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; loop.Sleep(ctx, wall, 10*time.Millisecond, nil); i++ {
			l.look(ctx, t)
			if i%either(50, 500) == 0 {
				l.audit(ctx, t)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		t.Logf("%d looks at the books, %d with a limit reached; %d audits", l.looks, l.full, l.audits)
		if l.looks == 0 || l.audits == 0 || l.full == 0 {
			t.Error("nobody has seen a limit reached while it was run under")
		}
	}
}

// look checks each book, which is one record, as it is at an instant. A look that fails shows nothing; the next one may.
func (l *limitWatch) look(ctx context.Context, t *testing.T) {
	budgets, err := l.st.Records(ctx, store.RecordQuery{Family: record.Budgets, Limit: 10})
	if err != nil {
		return
	}
	uses, err := l.st.Records(ctx, store.RecordQuery{Family: record.QuotaUses, Limit: 10})
	if err != nil {
		return
	}
	l.looks++
	full := false
	for _, rec := range budgets {
		full = l.withinBudget(t, rec.(*record.Budget)) || full
	}
	for _, rec := range uses {
		u := rec.(*record.QuotaUse)
		if u.Active > atOnce {
			t.Errorf("%d run under key %s, at most %d may", u.Active, u.UseKey, atOnce)
		}
		full = full || u.Active == atOnce
	}
	if full {
		l.full++
	}
}

// withinBudget checks a budget, and reports whether nothing more fits.
func (l *limitWatch) withinBudget(t *testing.T, b *record.Budget) (full bool) {
	sum := b.Usage[unit] + b.Reserved[unit]
	if sum > b.Hard[unit] {
		t.Errorf("of budget %s %d is used and %d reserved; the limit is %d", b.BudgetID, b.Usage[unit], b.Reserved[unit], b.Hard[unit])
	}
	l.most[b.BudgetID] = max(l.most[b.BudgetID], sum)
	return sum+estimate > b.Hard[unit]
}

// audit checks everything as of one instant: among it that what is reserved, and the slots that are taken, are those of what
// runs.
func (l *limitWatch) audit(ctx context.Context, t *testing.T) {
	d, err := l.st.(store.Dumper).Dump(ctx)
	if err != nil {
		return
	}
	l.audits++
	storetest.Audit(t, d)
}

// judgeLimits checks, once all work has ended, what the books say against what was told.
func (f *fleet) judgeLimits(t *testing.T, d *store.Dump, l *limitWatch) {
	t.Helper()
	spent, counted := map[flowfabric.BudgetID]int64{}, map[string]bool{}
	budgets := map[flowfabric.BudgetID]*record.Budget{}
	for _, rec := range d.Records {
		if b, ok := rec.(*record.Budget); ok {
			budgets[b.BudgetID] = b
		}
	}
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Ledger:
			if rec.Period == budgets[rec.BudgetID].Period {
				spent[rec.BudgetID] += rec.Spent[unit]
			}
		case *record.UsageKey:
			if strings.HasPrefix(rec.Dedup, directly) {
				counted[rec.Dedup] = true
				spent[rec.BudgetID]++
			}
		case *record.QuotaUse:
			if rec.Active != 0 || rec.Waiting != 0 {
				t.Errorf("%d run and %d wait under key %s", rec.Active, rec.Waiting, rec.UseKey)
			}
		case *record.Parking:
			t.Errorf("%s is parked at %s", rec.ExecutionID, rec.Gate)
		}
	}
	for id, b := range budgets {
		if len(b.Reserved) > 0 || b.Usage[unit] != spent[id] || b.Waiting != 0 {
			t.Errorf("of budget %s %d is counted, %d was spent, %v is reserved, %d wait", id, b.Usage[unit], spent[id], b.Reserved, b.Waiting)
		}
		t.Logf("budget %s: %d counted, at most %d used and reserved at a time, %d breaches, %d resets", id, b.Usage[unit], l.most[id], b.BreachCount, b.Period)
	}
	acknowledged := 0
	for _, p := range f.all {
		for _, a := range p.heard(ackSpent) {
			acknowledged++
			if !counted[a.id] {
				t.Errorf("report %s was acknowledged to %s and is not counted", a.id, p.Name)
			}
		}
	}
	t.Logf("%d reports of no execution counted, %d of them acknowledged", len(counted), acknowledged)
	judgeConsumed(t, d, l.Raised)
	judgeRate(t, d)
}

// judgeConsumed checks that each execution that succeeded is charged exactly for what its handler consumed.
func judgeConsumed(t *testing.T, d *store.Dump, raised flowfabric.BudgetID) {
	t.Helper()
	charged := map[flowfabric.ExecutionID]int64{}
	for _, rec := range d.Records {
		if ledger, ok := rec.(*record.Ledger); ok && ledger.BudgetID == raised {
			charged[ledger.ExecutionID] = ledger.Spent[unit]
		}
	}
	for _, e := range d.Executions {
		id := e.ID.UUID()
		if want := 2 + int64(id[14]%5) + int64(id[13]%5); charged[e.ID] != want {
			t.Errorf("%s is charged for %d units, its handler consumed %d", e.ID, charged[e.ID], want)
		}
	}
}

// judgeRate checks that no window of the quota has more beginnings under a key than it lets.
func judgeRate(t *testing.T, d *store.Dump) {
	t.Helper()
	keys := map[flowfabric.ExecutionID]string{}
	for _, e := range d.Executions {
		keys[e.ID] = e.Limits.Quotas[0].Key
	}
	begun := map[string][]flowfabric.Timestamp{}
	for i := range d.Events {
		if ev := &d.Events[i]; ev.Family == record.FamilyLease && ev.Type == "acquired" {
			begun[keys[ev.ExecutionID]] = append(begun[keys[ev.ExecutionID]], ev.At)
		}
	}
	for key, at := range begun {
		slices.Sort(at)
		for i := inWindow; i < len(at); i++ {
			if at[i].Sub(at[i-inWindow]) < rateWindow {
				t.Errorf("%d began under key %s within %s", inWindow+1, key, at[i].Sub(at[i-inWindow]))
			}
		}
		t.Logf("key %s: %d began", key, len(at))
	}
}
