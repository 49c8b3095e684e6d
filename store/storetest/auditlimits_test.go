package storetest_test

import (
	"slices"
	"strings"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

var (
	limitsHome = ff.Partition{Family: ff.FamilyFlow}
	useKey     = record.QuotaUseKey{Home: limitsHome, QuotaID: ff.QuotaID{2}, UseKey: "k"}
)

// limited is a store with an execution that runs under a budget and a quota, has drawn 3 of the 10 that were reserved for it and holds 7,
// and another that waits for the quota. The budget is attached to a tenant.
func limited() *store.Dump {
	under := func(reserved ff.Amounts) *record.Limits {
		return &record.Limits{
			Budgets: []record.BudgetUse{{ID: ff.BudgetID{1}, Estimate: ff.Amounts{"t": 10}, Reserved: reserved}},
			Quotas:  []ff.QuotaUse{{ID: ff.QuotaID{2}, Key: "k"}},
		}
	}
	runs := &record.Execution{
		ID: id(1), Lane: "mail", CreatedAt: now - 9, StartedAt: now - 5, TotalAttempts: 1, Epoch: 1, Public: ff.PublicActive,
		State: ff.StateVector{
			Phase: "active", Ownership: "leased", Eligibility: "not_applicable", BlockingReason: "none", Outcome: "none",
			AttemptState: "running_attempt",
		},
		LeaseID: ff.LeaseID{1}, WorkerID: "w", WorkerInstanceID: "w-1", LeaseExpiresAt: now + 5, AttemptID: ff.AttemptID{1}, DueAt: now + 5,
		Limits: under(ff.Amounts{"t": 7}),
	}
	runs.Limits.Admitted, runs.Limits.Since = true, 1
	waits := &record.Execution{
		ID: id(2), Lane: "mail", CreatedAt: now - 8, Public: "rate_limited",
		State: ff.StateVector{
			Phase: "runnable", Ownership: "unowned", Eligibility: "blocked_by_quota", BlockingReason: "waiting_for_quota", Outcome: "none",
			AttemptState: "pending_first_attempt",
		},
		Limits: under(nil),
	}
	waits.Limits.Gate = useKey.Gate()
	tenant := ff.Scope{Type: ff.ScopeTenant, ID: "acme"}
	return &store.Dump{
		Now:        now,
		Executions: []*record.Execution{runs, waits},
		Events:     []record.Event{{Family: record.FamilyLease, Type: "acquired", ExecutionID: id(1), Epoch: 1, At: now - 5}},
		Due:        []store.DueEntry{{DueAt: now + 5, ExecutionID: id(1)}},
		Records: []record.Keyed{
			&record.Budget{
				BudgetKey: record.BudgetKey{Home: limitsHome, BudgetID: ff.BudgetID{1}}, Scope: tenant, Hard: ff.Amounts{"t": 20},
				Usage: ff.Amounts{"t": 4}, Reserved: ff.Amounts{"t": 7},
			},
			&record.Quota{QuotaKey: record.QuotaKey{Home: limitsHome, QuotaID: ff.QuotaID{2}}, MaxConcurrent: 1},
			&record.QuotaUse{QuotaUseKey: useKey, Active: 1, Waiting: 1},
			&record.Ledger{
				LedgerKey: record.LedgerKey{ExecutionID: id(1), BudgetID: ff.BudgetID{1}}, Spent: ff.Amounts{"t": 3},
			},
			&record.Parking{ParkingKey: record.ParkingKey{Gate: useKey.Gate(), Place: record.ParkingPlace(waits), ExecutionID: id(2)}},
			&record.LimitScope{LimitScopeKey: record.LimitScopeKey{Home: limitsHome, Scope: tenant}, Budgets: []ff.BudgetID{{1}}},
			&record.LimitScope{LimitScopeKey: record.LimitScopeKey{Home: limitsHome, Scope: ff.Scope{Type: ff.ScopeTenant}}},
			&record.UsageKey{AppliedAt: now, ExpiresAt: now + 86_400_000},
		},
	}
}

func TestAudit_SoundLimitsHaveNoViolations(t *testing.T) { storetest.Audit(t, limited()) }

func TestViolations_EachBrokenRuleOfLimitsIsReported(t *testing.T) {
	runs := func(d *store.Dump) *record.Limits { return d.Executions[0].Limits }
	waits := func(d *store.Dump) *record.Limits { return d.Executions[1].Limits }
	budget := func(d *store.Dump) *record.Budget { return d.Records[0].(*record.Budget) }
	use := func(d *store.Dump) *record.QuotaUse { return d.Records[2].(*record.QuotaUse) }
	ledger := func(d *store.Dump) *record.Ledger { return d.Records[3].(*record.Ledger) }
	without := func(n int) func(d *store.Dump) {
		return func(d *store.Dump) { d.Records = slices.Delete(d.Records, n, n+1) }
	}
	for _, c := range []struct {
		name   string
		damage func(d *store.Dump)
		want   string
	}{
		{"runs without admission", func(d *store.Dump) { runs(d).Admitted = false }, "K17: it is active; that its limits admitted it is false"},
		{"admitted and waits", func(d *store.Dump) { waits(d).Admitted = true }, "K17: it is runnable; that its limits admitted it is true"},
		{"waits and holds", func(d *store.Dump) { waits(d).Budgets[0].Reserved = ff.Amounts{"t": 1} }, "K13: it is runnable and holds map[t:1]"},
		{"holds more than its estimate", func(d *store.Dump) { runs(d).Budgets[0].Reserved["t"] = 11 }, "it holds 11 t of an estimate of 10"},
		{"holds nothing of a dimension", func(d *store.Dump) { runs(d).Budgets[0].Reserved["t"] = 0 }, "it holds 0 t of an estimate of 10"},
		{"too little reserved", func(d *store.Dump) { budget(d).Reserved["t"] = 6 }, "6 t are reserved; executions hold 7"},
		{"reserved for nobody", func(d *store.Dump) { budget(d).Reserved["u"] = 1 }, "1 u are reserved; executions hold 0"},
		{"spent and not counted", func(d *store.Dump) { budget(d).Usage["t"] = 2 }, "executions spent 3 t; 2 are counted"},
		{"one waits for the budget", func(d *store.Dump) { budget(d).Waiting = 1 }, "K19: 0 wait for budget 01000000-0000-0000-0000-000000000000, which counts 1"},
		{"room and nobody looks", func(d *store.Dump) { budget(d).Waiting = 1 }, "which has room, and nobody looks"},
		{"a slot too many", func(d *store.Dump) { use(d).Active = 2 }, "counts 2 that run; there are 1"},
		{"no use", without(2), `K13: 1 run under key "k" of quota`},
		{"nobody counted", func(d *store.Dump) { use(d).Waiting = 0 }, "which counts 0"},
		{"a slot is free", func(d *store.Dump) { d.Records[1].(*record.Quota).MaxConcurrent = 2 }, "where 1 run, and nobody looks"},
		{"no place", without(4), "and has no place 09000/"},
		{"place of nobody", func(d *store.Dump) { waits(d).Gate = "" }, "where it does not wait"},
		{"at no gate", func(d *store.Dump) { waits(d).Gate = "" }, "it waits for a quota, at no gate"},
		{"ready at a gate", func(d *store.Dump) { d.Executions[1].Ready = true }, "it is blocked_by_quota, ready: true, and waits at quota/"},
		{"not listed", func(d *store.Dump) { d.Records[5].(*record.LimitScope).Budgets = nil }, "which does not list it"},
		{"type not looked at", without(6), "a type nobody looks at"},
		{"lists nothing", func(d *store.Dump) { d.Records[5].(*record.LimitScope).Quotas = []ff.QuotaID{{7}} }, "which is not of it"},
		{"remembered for ever", func(d *store.Dump) { d.Records[7].(*record.UsageKey).ExpiresAt = 0 }, "is remembered until 0"},
		{"ledger of nobody", func(d *store.Dump) { ledger(d).ExecutionID = id(7) }, "is not there, but a record of family ledger is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := limited()
			c.damage(d)
			got := storetest.Violations(d)
			if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, c.want) }) {
				t.Errorf("violations %q, want one that says %q", got, c.want)
			}
		})
	}
}
