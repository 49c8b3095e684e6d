package admission

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var home = ff.Partition{Family: ff.FamilyFlow}

// world is a store of records, and executions that come and go under one budget and one quota.
type world struct {
	records map[record.Key]record.Keyed
	now     ff.Timestamp
	running map[int]*record.Execution
	begun   []ff.Timestamp // when executions were let run: an oracle that keeps all of them
}

func newWorld(b *record.Budget, q *record.Quota) *world {
	w := &world{records: map[record.Key]record.Keyed{}, now: 1_000_000, running: map[int]*record.Execution{}}
	w.records[b.BudgetKey], w.records[q.QuotaKey] = b, q
	return w
}

func (w *world) books() *Books {
	return NewBooks(home, func(key record.Key) record.Keyed { return w.records[key] })
}

func (w *world) keep(b *Books) {
	for _, r := range b.Changed() {
		w.records[r.Key()] = r
	}
}

var (
	theBudget = ff.BudgetID{1}
	theQuota  = ff.QuotaID{2}
)

func (w *world) budget() *record.Budget { return w.books().Budget(theBudget) }

func (w *world) use() *record.QuotaUse {
	return w.books().use(record.QuotaUseKey{Home: home, QuotaID: theQuota, UseKey: "k"})
}

func execution(n int, estimate int64) *record.Execution {
	u := record.BudgetUse{ID: theBudget}
	if estimate > 0 {
		u.Estimate = ff.Amounts{"t": estimate}
	}
	return &record.Execution{
		ID: ff.ExecutionIDFrom(0, [16]byte{byte(n), byte(n >> 8)}),
		Limits: &record.Limits{
			Budgets: []record.BudgetUse{u}, Quotas: []ff.QuotaUse{{ID: theQuota, Key: "k"}},
		},
	}
}

// TestK1_K12_K13_WhatRunsKeepsEveryLimit: whatever comes and goes, reports, resets and is reclaimed, usage and reservations stay
// within the hard limit, the reservations are what those that run may yet draw, no more run than the cap, and no window has
// more beginnings than the rate.
func TestK1_K12_K13_WhatRunsKeepsEveryLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hard := rapid.Int64Range(1, 200).Draw(t, "hard")
		q := &record.Quota{
			QuotaKey: record.QuotaKey{Home: home, QuotaID: theQuota}, Rate: rapid.Int64Range(0, 5).Draw(t, "rate"),
			MaxConcurrent: rapid.Int64Range(0, 4).Draw(t, "cap"), WindowKind: ff.SlidingWindow,
		}
		if q.Rate > 0 {
			q.WindowMS = rapid.Int64Range(1000, 5000).Draw(t, "window")
		}
		w := newWorld(&record.Budget{
			BudgetKey: record.BudgetKey{Home: home, BudgetID: theBudget}, Mode: ff.Strict, OnHardLimit: ff.LimitWaits, Hard: ff.Amounts{"t": hard},
		}, q)
		known := map[int]*record.Execution{}
		reset := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(0, 7).Draw(t, "who")
			e := known[n]
			if e == nil {
				e = execution(n, rapid.Int64Range(0, 60).Draw(t, "estimate"))
				known[n] = e
			}
			b := w.books()
			switch rapid.SampledFrom([]string{"admit", "admit", "release", "report", "report", "reclaim", "reset", "wait"}).Draw(t, "what") {
			case "admit":
				if w.running[n] != nil {
					break
				}
				before := len(b.Changed())
				l, refused := b.Admit(e, w.now)
				if refused != nil {
					if len(b.Changed()) != before {
						t.Fatal("K15: a refusal changes something")
					}
					break
				}
				r := *e
				r.Limits, r.Epoch = l, e.Epoch+1
				known[n], w.running[n] = &r, &r
				w.begun = append(w.begun, w.now)
			case "release":
				if w.running[n] == nil {
					break
				}
				r := *e
				r.Limits = b.Release(e, w.now)
				known[n] = &r
				delete(w.running, n)
			case "reclaim": // the lease ran out, another goes on
				if w.running[n] != nil {
					r := *e
					r.Epoch++
					known[n], w.running[n] = &r, &r
				}
			case "report":
				amount := rapid.Int64Range(1, 50).Draw(t, "amount")
				before := w.budget()
				res, limits, err := b.Report(&ff.ReportUsage{BudgetID: theBudget, ExecutionID: e.ID, Amounts: ff.Amounts{"t": amount}}, e, w.now)
				if err != nil {
					t.Fatal(err)
				}
				left := int64(0)
				if w.running[n] != nil {
					left = e.Limits.Budgets[0].Reserved["t"]
				}
				switch {
				case res.Outcome == ff.UsageHardBreach && amount <= left:
					t.Fatalf("%d of a reservation of %d was refused", amount, left)
				case res.Outcome == ff.UsageHardBreach && b.Budget(theBudget).Usage["t"] != before.Usage["t"]:
					t.Fatal("K2: a breach changes the usage")
				case res.Outcome == ff.UsageHardBreach && limits != nil:
					t.Fatal("K2: a breach draws on a reservation")
				case (limits != nil) != (res.Outcome != ff.UsageHardBreach && left > 0):
					t.Fatalf("%d of a reservation of %d: limits %v", amount, left, limits)
				}
				if limits != nil {
					if got, want := limits.Budgets[0].Reserved["t"], max(0, left-amount); got != want {
						t.Fatalf("%d are left of a reservation of %d after %d, want %d", got, left, amount, want)
					}
					r := *e
					r.Limits = limits
					known[n], w.running[n] = &r, &r
				}
			case "reset":
				b.Reset(theBudget, w.now)
				reset = true
			case "wait":
				w.now += ff.Timestamp(rapid.Int64Range(1, 2000).Draw(t, "ms"))
			}
			w.keep(b)
			w.check(t, q, hard, reset)
		}
	})
}

func (w *world) check(t *rapid.T, q *record.Quota, hard int64, reset bool) {
	b, use := w.budget(), w.use()
	reserved := int64(0)
	for _, e := range w.running {
		reserved += e.Limits.Budgets[0].Reserved["t"]
	}
	switch {
	case b.Reserved["t"] != reserved:
		t.Fatalf("%d are reserved, those that run may draw %d", b.Reserved["t"], reserved)
	case b.Usage["t"]+b.Reserved["t"] > hard:
		t.Fatalf("K1: %d used and %d reserved of %d (reset: %t)", b.Usage["t"], b.Reserved["t"], hard, reset)
	case use.Active != int64(len(w.running)):
		t.Fatalf("K13: %d active, %d run", use.Active, len(w.running))
	case q.MaxConcurrent > 0 && use.Active > q.MaxConcurrent:
		t.Fatalf("K13: %d run, the cap is %d", use.Active, q.MaxConcurrent)
	}
	if q.Rate > 0 {
		for i := int(q.Rate); i < len(w.begun); i++ {
			if w.begun[i]-w.begun[i-int(q.Rate)] < ff.Timestamp(q.WindowMS) {
				t.Fatalf("K12: more than %d began within %d ms: %v", q.Rate, q.WindowMS, w.begun)
			}
		}
	}
}

// TestK12_AHighRateIsNeverExceeded: entries are grouped, and the group counts as of its end.
func TestK12_AHighRateIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &record.Quota{Rate: 300, WindowMS: 10_000, WindowKind: ff.SlidingWindow}
		var entries []record.WindowEntry
		var begunAt []ff.Timestamp
		now := ff.Timestamp(rapid.Int64Range(0, 100).Draw(t, "start"))
		for range 900 {
			now += ff.Timestamp(rapid.Int64Range(0, 40).Draw(t, "ms"))
			entries = begun(q, entries, now)
			if freeAt(q, entries, now) != 0 {
				continue
			}
			entries = enter(q, entries, now)
			begunAt = append(begunAt, now)
			if len(entries) > steps+1 {
				t.Fatalf("%d entries are kept", len(entries))
			}
		}
		for i := 300; i < len(begunAt); i++ {
			if begunAt[i]-begunAt[i-300] < 10_000 {
				t.Fatalf("301 began within %d ms", begunAt[i]-begunAt[i-300])
			}
		}
	})
}

// TestK16_AfterTheTimeThatIsToldThereIsRoom restates chapter 60, section 7.2: an entry exactly a window old is over.
func TestK16_AfterTheTimeThatIsToldThereIsRoom(t *testing.T) {
	q := &record.Quota{Rate: 2, WindowMS: 60_000, WindowKind: ff.SlidingWindow}
	entries := []record.WindowEntry{{At: 1000, N: 1}, {At: 5000, N: 1}}
	if at := freeAt(q, begun(q, entries, 60_999), 60_999); at != 61_000 {
		t.Errorf("free at %d, want 61000", at)
	}
	if at := freeAt(q, begun(q, entries, 61_000), 61_000); at != 0 {
		t.Errorf("at the time itself: %d, want room", at)
	}
}

// TestReset_KeepsToItsSchedule restates FIX-B13: the next reset is a multiple of the interval behind the one that was due.
func TestReset_KeepsToItsSchedule(t *testing.T) {
	for _, c := range []struct{ due, now, want ff.Timestamp }{
		{10_000, 10_000, 13_000},
		{10_000, 10_001, 13_000},
		{10_000, 13_000, 16_000},
		{10_000, 17_500, 19_000},
		{20_000, 10_000, 13_000}, // by hand, before it was due
	} {
		w := newWorld(&record.Budget{
			BudgetKey: record.BudgetKey{Home: home, BudgetID: theBudget}, ResetIntervalMS: 3000, NextResetAt: c.due,
			Usage: ff.Amounts{"t": 9},
		}, &record.Quota{QuotaKey: record.QuotaKey{Home: home, QuotaID: theQuota}})
		b := w.books().Reset(theBudget, c.now)
		if b.NextResetAt != c.want || len(b.Usage) != 0 || b.Period != 1 {
			t.Errorf("due at %d, reset at %d: next at %d, want %d; usage %v", c.due, c.now, b.NextResetAt, c.want, b.Usage)
		}
	}
}

// TestReport_BreaksInOrderOfDimensions restates chapter 60, section 3.2: K2, K6, K10, K11.
func TestReport_BreaksInOrderOfDimensions(t *testing.T) {
	w := newWorld(&record.Budget{
		BudgetKey: record.BudgetKey{Home: home, BudgetID: theBudget}, Mode: ff.Strict, OnHardLimit: ff.LimitWaits,
		Hard: ff.Amounts{"a": 10, "b": 10}, Soft: ff.Amounts{"a": 5},
	}, &record.Quota{QuotaKey: record.QuotaKey{Home: home, QuotaID: theQuota}})
	for i, c := range []struct {
		amounts ff.Amounts
		record  bool
		want    ff.UsageResult
		usage   string
	}{
		{ff.Amounts{"a": 5, "c": 99}, false, ff.UsageResult{Outcome: "ok"}, "map[a:5 c:99]"},
		{ff.Amounts{"a": 1}, false, ff.UsageResult{Outcome: "soft_breach", Dimension: "a", Usage: 6, Limit: 5}, "map[a:6 c:99]"},
		{
			ff.Amounts{"b": 11, "a": 5},
			false,
			ff.UsageResult{Outcome: "hard_breach", Dimension: "a", Usage: 6, Limit: 10, Action: "wait"},
			"map[a:6 c:99]",
		},
		{
			ff.Amounts{"b": 11},
			true,
			ff.UsageResult{Outcome: "hard_breach", Dimension: "b", Limit: 10, Action: "wait", Counted: true},
			"map[a:6 b:11 c:99]",
		},
		{ff.Amounts{"a": 4}, false, ff.UsageResult{Outcome: "soft_breach", Dimension: "a", Usage: 10, Limit: 5}, "map[a:10 b:11 c:99]"},
	} {
		b := w.books()
		res, _, err := b.Report(&ff.ReportUsage{BudgetID: theBudget, Amounts: c.amounts, Record: c.record}, nil, w.now)
		w.keep(b)
		if got := fmt.Sprint(w.budget().Usage); err != nil || res != c.want || got != c.usage {
			t.Errorf("report %d: %+v, %v, usage %s; want %+v, %s", i, res, err, got, c.want, c.usage)
		}
	}
	if b := w.budget(); b.BreachCount != 2 || b.SoftBreachCount != 2 || b.LastBreachDim != "b" {
		t.Errorf("%d breaches, %d soft ones, the last of %q", b.BreachCount, b.SoftBreachCount, b.LastBreachDim)
	}
	_, _, err := w.books().Report(&ff.ReportUsage{BudgetID: theBudget, Amounts: ff.Amounts{"c": ff.MaxAmount}}, nil, w.now)
	if e, ok := err.(*ff.Error); !ok || e.Code != "invalid_input" { //nolint:errorlint // it is not wrapped
		t.Errorf("a sum that is too large: %v", err)
	}
}

// TestK19_WhoWaitsWhereThereIsRoomIsLookedAt: who stands behind others that were just let go waits though the slot is free. If
// those never claim, nobody gives a slot back.
func TestK19_WhoWaitsWhereThereIsRoomIsLookedAt(t *testing.T) {
	for name, q := range map[string]*record.Quota{
		"concurrency": {MaxConcurrent: 1},
		"rate":        {Rate: 1, WindowMS: 1000, WindowKind: ff.SlidingWindow},
	} {
		q.QuotaKey = record.QuotaKey{Home: home, QuotaID: theQuota}
		w := newWorld(&record.Budget{BudgetKey: record.BudgetKey{Home: home, BudgetID: theBudget}}, q)
		b := w.books()
		key := record.QuotaUseKey{Home: home, QuotaID: theQuota, UseKey: "k"}
		b.Wait(&Refusal{Reason: ff.WaitingForQuota, At: key, Gate: key.Gate()}, w.now)
		w.keep(b)
		if at := w.use().WakeAt; at != w.now+5000 {
			t.Errorf("%s: it is looked at at %d, want %d", name, at, w.now+5000)
		}
	}
}
