package admission

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// ledgers is an oracle of one budget: what each spent in this period, by dimension; 0 is nobody.
type ledgers struct {
	usage          ff.Amounts
	spent          map[int]ff.Amounts
	breaches, soft int64
}

func (l *ledgers) add(who int, amounts ff.Amounts) {
	if l.spent[who] == nil {
		l.spent[who] = ff.Amounts{}
	}
	for d, n := range amounts {
		l.usage[d] += n
		l.spent[who][d] += n
	}
}

// TestReports_FollowTheLedger: reports, releases and resets, in any order, leave what a ledger of every unit says (chapter 60):
// K2 and K10 of breaches, K3 and K4 of sums, K7 and K8 of releases, K9 of resets, K11 of dimensions without a limit.
func TestReports_FollowTheLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hard, soft := ff.Amounts{"a": rapid.Int64Range(1, 60).Draw(t, "hard a"), "b": 40}, ff.Amounts{"b": 20}
		b := &record.Budget{BudgetKey: record.BudgetKey{Home: home, BudgetID: theBudget}, Mode: ff.Strict, OnHardLimit: ff.LimitWaits, Hard: hard, Soft: soft}
		w := newWorld(b, &record.Quota{QuotaKey: record.QuotaKey{Home: home, QuotaID: theQuota}})
		model := &ledgers{usage: ff.Amounts{}, spent: map[int]ff.Amounts{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now += 7
			who := rapid.IntRange(0, 3).Draw(t, "who")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				w.reset(t, model)
			case 1, 2:
				w.release(t, model, max(1, who))
			default:
				amounts := ff.Amounts(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "free"}), rapid.Int64Range(0, 15), 1, 3).Draw(t, "amounts"))
				w.report(t, model, who, amounts)
			}
			w.agrees(t, model)
		}
	})
}

// spender is an execution under the budget, nil for nobody.
func spender(who int) *record.Execution {
	if who == 0 {
		return nil
	}
	return execution(who, 0)
}

func (w *world) report(t *rapid.T, model *ledgers, who int, amounts ff.Amounts) {
	books := w.books()
	cmd := &ff.ReportUsage{BudgetID: theBudget, Amounts: amounts}
	e := spender(who)
	if e != nil {
		cmd.ExecutionID = e.ID
	}
	res, _, err := books.Report(cmd, e, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.keep(books)
	hard := w.budget().Hard
	broken := false
	for d, n := range amounts {
		broken = broken || hard[d] > 0 && model.usage[d]+n > hard[d]
	}
	if broken != (res.Outcome == ff.UsageHardBreach) {
		t.Fatalf("K2: %v on %v of %v came to %s", amounts, model.usage, hard, res.Outcome)
	}
	if broken {
		model.breaches++
		return
	}
	model.add(who, amounts)
	_, reported := amounts["b"]
	soft := reported && model.usage["b"] > 20
	if soft {
		model.soft++
	}
	if soft != (res.Outcome == ff.UsageSoftBreach) {
		t.Fatalf("K10: %v used came to %s", model.usage, res.Outcome)
	}
}

func (w *world) release(t *rapid.T, model *ledgers, who int) {
	for again := range 2 { // K8: the second time nothing is left to give back
		books := w.books()
		gave := books.GiveBack(theBudget, spender(who), w.now)
		w.keep(books)
		if again > 0 && gave {
			t.Fatal("K8: a release was made twice")
		}
	}
	for d, n := range model.spent[who] {
		model.usage[d] -= n
	}
	delete(model.spent, who)
}

func (w *world) reset(t *rapid.T, model *ledgers) {
	before := maps.Clone(w.budget().Hard)
	books := w.books()
	books.Reset(theBudget, w.now)
	w.keep(books)
	model.usage, model.spent = ff.Amounts{}, map[int]ff.Amounts{}
	if diff := cmp.Diff(before, w.budget().Hard); diff != "" {
		t.Fatalf("K9: a reset changes the limits:\n%s", diff)
	}
}

// agrees compares the books with the model. A dimension that nothing is left of may be there with 0, or not at all.
func (w *world) agrees(t *rapid.T, model *ledgers) {
	b := w.budget()
	sums := ff.Amounts{}
	for who := range 4 {
		if who == 0 {
			continue
		}
		ledger := w.books().ledger(spender(who), theBudget)
		for _, d := range []string{"a", "b", "free"} {
			var have int64
			if ledger != nil && ledger.Period == b.Period {
				have = ledger.Spent[d]
			}
			if have != model.spent[who][d] {
				t.Fatalf("K7, K9: the ledger of %d has %d %s, want %d", who, have, d, model.spent[who][d])
			}
			sums[d] += have
		}
	}
	for _, d := range []string{"a", "b", "free"} {
		if b.Usage[d] != model.usage[d] {
			t.Fatalf("K3, K11: %d %s are used, want %d", b.Usage[d], d, model.usage[d])
		}
		if sums[d] > b.Usage[d] {
			t.Fatalf("K4: the ledgers have %d %s, %d are used", sums[d], d, b.Usage[d])
		}
		if b.Hard[d] > 0 && b.Usage[d] > b.Hard[d] {
			t.Fatalf("K1: %d %s are used of %d", b.Usage[d], d, b.Hard[d])
		}
	}
	if b.BreachCount != model.breaches || b.SoftBreachCount != model.soft {
		t.Fatalf("K10: %d and %d breaches are counted, want %d and %d", b.BreachCount, b.SoftBreachCount, model.breaches, model.soft)
	}
}
