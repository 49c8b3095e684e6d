package servicetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// Chapter 60: how budgets and quotas are administered, and what reports count.
var limitAdminTests = []behaviour{
	{"K5_AReportToldAgainCountsOnce", testReportRepeated},
	{"FIX_B5_ABreachDoesNotUseItsKeyUp", testReportBreachKey},
	{"K2_K6_K10_AReportCountsAllOrNothing", testReportWhole},
	{"K7_K8_AReleaseGivesBackWhatWasSpentOnce", testReleaseBudget},
	{"WhatIsMadeAgainCountsAnew", testMadeAgain},
	{"K9_AResetLeavesNothingUsed", testResetBudget},
	{"FIX_B6_WhatWasConsumedMayBeRecorded", testReportRecorded},
	{"FIX_B10_ARepeatedDefinitionIsOne", testLimitsDefinedTwice},
	{"FIX_B10_UnknownLimitsAreNotFound", testLimitsNotFound},
	{"ABudgetThatIsHeldIsNotDeleted", testHeldBudgetStays},
	{"ListsArePaged", testLimitLists},
	{"BoundsHoldAtTheBound", testLimitBounds},
	{"TheTightestStops", testLimitHierarchy},
	{"ChangesAreEventsThatNameTheActor", testLimitEvents},
}

func testReportRepeated(e *env) {
	if !e.limited() {
		return
	}
	b, other := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}}), e.budget(ff.CreateBudget{})
	c := e.running(ff.Submit{Policy: underBudget(b, 0)})
	cmd := ff.ReportUsage{BudgetID: b, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 7}, DedupKey: "call-1"}
	e.equal("first", e.used(cmd), ff.UsageResult{Outcome: ff.UsageOK})
	for range 3 {
		e.equal("its reply was lost", e.used(cmd), ff.UsageResult{Outcome: ff.UsageAlreadyApplied})
	}
	cmd.BudgetID = other
	e.equal("of another budget", e.used(cmd), ff.UsageResult{Outcome: ff.UsageOK})
	cmd.BudgetID = b
	e.complete(c)
	e.advance(24*time.Hour - time.Millisecond)
	e.equal("a day later", e.used(cmd), ff.UsageResult{Outcome: ff.UsageAlreadyApplied})
	e.equal("usage", e.budgetStatus(b).Usage, ff.Amounts{"t": 7})
	e.advance(time.Millisecond)
	e.equal("forgotten", e.used(cmd), ff.UsageResult{Outcome: ff.UsageOK})
	e.equal("usage", e.budgetStatus(b).Usage, ff.Amounts{"t": 14})
}

func testReportBreachKey(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	cmd := ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 11}, DedupKey: "k"}
	breach := ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "t", Limit: 10, Action: ff.LimitWaits}
	e.equal("breach", e.used(cmd), breach)
	e.equal("again", e.used(cmd), breach)
	_, err := e.svc.UpdateBudget(e.Context(), ff.UpdateBudget{BudgetID: b, Hard: ff.Amounts{"t": 11}})
	e.ok(err)
	e.equal("raised", e.used(cmd), ff.UsageResult{Outcome: ff.UsageOK})
	s := e.budgetStatus(b)
	e.equal("counts", []any{s.Usage, s.BreachCount, s.SoftBreachCount, s.LastBreachDim}, []any{ff.Amounts{"t": 11}, int64(2), int64(0), "t"})
}

// testReportWhole: dimensions are looked at in ascending order, and a breach of one counts none (chapter 60, section 3.2).
func testReportWhole(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"b": 10, "c": 5}, Soft: ff.Amounts{"b": 4, "d": 1}})
	e.equal("without limit", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"a": 1 << 40}}), ff.UsageResult{Outcome: ff.UsageOK}) // K11
	e.equal("soft limit reached", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"b": 4, "d": 1}}), ff.UsageResult{Outcome: ff.UsageOK})
	e.equal("soft limit broken", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"d": 1, "b": 1}}),
		ff.UsageResult{Outcome: ff.UsageSoftBreach, Dimension: "b", Usage: 5, Limit: 4})
	e.equal("hard limits broken", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"c": 6, "b": 6, "a": 1}}),
		ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "b", Usage: 5, Limit: 10, Action: ff.LimitWaits})
	e.equal("the later one alone", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"c": 6, "b": 5, "a": 1}}),
		ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "c", Limit: 5, Action: ff.LimitWaits})
	s := e.budgetStatus(b)
	e.equal("usage", s.Usage, ff.Amounts{"a": 1 << 40, "b": 5, "d": 2})
	e.equal("breaches", []any{s.BreachCount, s.SoftBreachCount, s.LastBreachDim, s.LastBreachAt}, []any{int64(2), int64(1), "c", e.pace.now()})
}

func testReleaseBudget(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}})
	c := e.running(ff.Submit{Policy: underBudget(b, 0)})
	report := ff.ReportUsage{BudgetID: b, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 30}, DedupKey: "k"}
	e.used(report)
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 5}})
	e.ok(e.svc.ReleaseBudget(e.Context(), b, ff.ExecutionIDFrom(c.ExecutionID.Partition().Index, [16]byte{9})))
	e.equal("by a stranger", e.budgetStatus(b).Usage, ff.Amounts{"t": 35})
	for range 2 {
		e.ok(e.svc.ReleaseBudget(e.Context(), b, c.ExecutionID))
		e.equal("released", e.budgetStatus(b).Usage, ff.Amounts{"t": 5})
	}
	e.equal("the key is used up", e.used(report).Outcome, ff.UsageAlreadyApplied)
	report.DedupKey = ""
	e.used(report)
	e.equal("spent anew", e.budgetStatus(b).Usage, ff.Amounts{"t": 35})
	e.complete(c)
}

// testMadeAgain: a quota or budget that is made again under the id of one that was deleted.
func testMadeAgain(e *env) {
	if !e.limited() {
		return
	}
	q := ff.CreateQuota{QuotaID: ff.NewQuotaID(), MaxConcurrent: 2}
	e.quota(q)
	before := e.running(ff.Submit{Policy: underQuota(q.QuotaID, "k")})
	ids := e.several(3, ff.Submit{Policy: underQuota(q.QuotaID, "k")})
	e.ok(e.svc.DeleteQuota(e.Context(), q.QuotaID))
	meanwhile := e.claim()
	e.quota(q)
	e.equal("who runs is counted", e.active(q.QuotaID, "k"), 2)
	e.nothingClaimable("with both slots taken")
	e.complete(meanwhile)
	e.equal("one has ended", e.active(q.QuotaID, "k"), 1)
	next := e.soonClaims(1)[0]
	e.equal("one more may run", slices.Contains(ids, next.ExecutionID), true)
	e.complete(before)
	e.complete(next)
	e.complete(e.soonClaims(1)[0])
	e.equal("in the end", e.active(q.QuotaID, "k"), 0)

	b := ff.CreateBudget{BudgetID: ff.NewBudgetID(), Hard: ff.Amounts{"t": 100}}
	e.budget(b)
	c := e.running(ff.Submit{Policy: underBudget(b.BudgetID, 0)})
	e.used(ff.ReportUsage{BudgetID: b.BudgetID, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 30}})
	e.ok(e.svc.DeleteBudget(e.Context(), b.BudgetID))
	e.advance(time.Millisecond)
	e.budget(b)
	e.ok(e.svc.ReleaseBudget(e.Context(), b.BudgetID, c.ExecutionID))
	e.equal("nothing of it was consumed yet", e.budgetStatus(b.BudgetID).Usage, ff.Amounts{})
	e.used(ff.ReportUsage{BudgetID: b.BudgetID, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 5}})
	e.ok(e.svc.ReleaseBudget(e.Context(), b.BudgetID, c.ExecutionID))
	e.equal("what was consumed of it is given back", e.budgetStatus(b.BudgetID).Usage, ff.Amounts{})
	e.complete(c)
}

func testResetBudget(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100, "u": 1}})
	c := e.running(ff.Submit{Policy: underBudget(b, 40)})
	e.used(ff.ReportUsage{BudgetID: b, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 30, "u": 1}})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"u": 1}})
	s, err := e.svc.ResetBudget(e.Context(), b)
	e.ok(err)
	e.equal("reset", []any{s.Usage, s.Hard, s.Reserved, s.ResetCount, s.BreachCount, s.LastBreachDim, s.NextResetAt},
		[]any{ff.Amounts{}, ff.Amounts{"t": 100, "u": 1}, ff.Amounts{"t": 10}, int64(1), int64(1), "", ff.Timestamp(0)})
	ledger, err := e.svc.Ledger(e.Context(), c.ExecutionID)
	e.ok(err)
	e.equal("ledger", len(ledger), 0)
	e.ok(e.svc.ReleaseBudget(e.Context(), b, c.ExecutionID)) // of the period before: nothing
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 2}})
	e.ok(e.svc.ReleaseBudget(e.Context(), b, c.ExecutionID))
	e.complete(c)
	s = e.budgetStatus(b)
	e.equal("at the end", []ff.Amounts{s.Usage, s.Reserved}, []ff.Amounts{{"t": 2}, {}})
}

func testReportRecorded(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	cmd := ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 25}, DedupKey: "k", Record: true}
	e.equal("recorded", e.used(cmd), ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "t", Limit: 10, Action: ff.LimitWaits, Counted: true})
	e.equal("again", e.used(cmd).Outcome, ff.UsageAlreadyApplied)
	e.equal("usage", e.budgetStatus(b).Usage, ff.Amounts{"t": 25})
}

func testLimitsDefinedTwice(e *env) {
	if !e.limited() {
		return
	}
	budget := ff.CreateBudget{BudgetID: ff.NewBudgetID(), Hard: ff.Amounts{"t": 10, "u": 0}}
	e.budget(budget)
	_, res, err := e.svc.CreateBudget(e.Context(), budget)
	e.ok(err)
	e.equal("the same budget", res, ff.LimitAlreadySatisfied)
	budget.Hard = ff.Amounts{"t": 11}
	_, _, err = e.svc.CreateBudget(e.Context(), budget)
	e.refused("another budget", err, "budget_attach_conflict")
	e.equal("limits", e.budgetStatus(budget.BudgetID).Hard, ff.Amounts{"t": 10})

	quota := ff.CreateQuota{QuotaID: ff.NewQuotaID(), MaxConcurrent: 1}
	e.quota(quota)
	_, res, err = e.svc.CreateQuota(e.Context(), quota)
	e.ok(err)
	e.equal("the same quota", res, ff.LimitAlreadySatisfied)
	quota.MaxConcurrent = 2
	_, _, err = e.svc.CreateQuota(e.Context(), quota)
	e.refused("another quota", err, "quota_attach_conflict")
	q, err := e.svc.DescribeQuota(e.Context(), quota.QuotaID)
	e.ok(err)
	e.equal("quota", q, ff.QuotaStatus{
		QuotaID: quota.QuotaID, WindowKind: "sliding", MaxConcurrent: 1, CreatedAt: e.pace.now(), UpdatedAt: e.pace.now(),
	})
}

func testLimitsNotFound(e *env) {
	if !e.limited() {
		return
	}
	b, q := ff.NewBudgetID(), ff.NewQuotaID()
	for name, err := range map[string]error{
		"describe": errOf(e.svc.DescribeBudget(e.Context(), b)),
		"update":   errOf(e.svc.UpdateBudget(e.Context(), ff.UpdateBudget{BudgetID: b})),
		"reset":    errOf(e.svc.ResetBudget(e.Context(), b)),
		"report":   errOf(e.svc.ReportUsage(e.Context(), ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 1}})),
		"release":  e.svc.ReleaseBudget(e.Context(), b, ff.ExecutionIDFrom(1, [16]byte{9})),
		"delete":   e.svc.DeleteBudget(e.Context(), b),
	} {
		e.refused(name+" budget", err, "budget_not_found")
	}
	for name, err := range map[string]error{
		"describe": errOf(e.svc.DescribeQuota(e.Context(), q)),
		"update":   errOf(e.svc.UpdateQuota(e.Context(), ff.UpdateQuota{QuotaID: q})),
		"keys":     errOf(e.svc.ListQuotaKeys(e.Context(), ff.ListQuotaKeys{QuotaID: q})),
		"delete":   e.svc.DeleteQuota(e.Context(), q),
	} {
		e.refused(name+" quota", err, "quota_not_found")
	}
}

// testHeldBudgetStays: else what runs would give back to a budget made anew what it never took of it.
func testHeldBudgetStays(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}})
	c := e.running(ff.Submit{Policy: underBudget(b, 60)})
	e.refused("while it is held", e.svc.DeleteBudget(e.Context(), b), "budget_attach_conflict")
	e.equal("reserved", e.budgetStatus(b).Reserved, ff.Amounts{"t": 60})
	e.complete(c)
	e.ok(e.svc.DeleteBudget(e.Context(), b))
	e.refused("then", errOf(e.svc.DescribeBudget(e.Context(), b)), "budget_not_found")
}

func testLimitLists(e *env) {
	if !e.limited() {
		return
	}
	budgets, quotas := make(map[ff.BudgetID]int), make(map[ff.QuotaID]int)
	for range 5 {
		budgets[e.budget(ff.CreateBudget{})]++
		quotas[e.quota(ff.CreateQuota{MaxConcurrent: 1})]++
	}
	for after, more := "", true; more; more = after != "" {
		page, err := e.svc.ListBudgets(e.Context(), ff.ListBudgets{After: after, Limit: 2})
		e.ok(err)
		for _, b := range page.Items {
			budgets[b.BudgetID]++
		}
		after = page.Next
	}
	for after, more := "", true; more; more = after != "" {
		page, err := e.svc.ListQuotas(e.Context(), ff.ListQuotas{After: after, Limit: 2})
		e.ok(err)
		for _, q := range page.Items {
			quotas[q.QuotaID]++
		}
		after = page.Next
	}
	made := 0
	for _, n := range budgets {
		made += n / 2
	}
	for _, n := range quotas {
		made += n / 2
	}
	e.equal("made and listed once", made, 10)
	_, err := e.svc.ListBudgets(e.Context(), ff.ListBudgets{After: "x"})
	e.refused("no cursor", err, "invalid_input")
	_, err = e.svc.ListQuotas(e.Context(), ff.ListQuotas{Limit: ff.MaxPage + 1})
	e.refused("too many", err, "invalid_input")
}

func testLimitBounds(e *env) {
	if !e.limited() {
		return
	}
	amounts := func(n int) ff.Amounts {
		a := make(ff.Amounts)
		for i := range n {
			a[fmt.Sprint("d", i)] = 1
		}
		return a
	}
	name := strings.Repeat("n", 256)
	for what, c := range map[string]struct {
		cmd  ff.CreateBudget
		want ff.Code
	}{
		"64 dimensions":     {ff.CreateBudget{Hard: amounts(64), Soft: amounts(64)}, ""},
		"65 hard":           {ff.CreateBudget{Hard: amounts(65)}, "invalid_input"},
		"65 soft":           {ff.CreateBudget{Soft: amounts(65)}, "invalid_input"},
		"longest name":      {ff.CreateBudget{Hard: ff.Amounts{name: 1<<63 - 1}}, ""},
		"longer name":       {ff.CreateBudget{Hard: ff.Amounts{name + "n": 1}}, "invalid_input"},
		"no name":           {ff.CreateBudget{Hard: ff.Amounts{"": 1}}, "invalid_input"},
		"below nothing":     {ff.CreateBudget{Hard: ff.Amounts{"t": -1}}, "invalid_input"},
		"a second":          {ff.CreateBudget{ResetInterval: time.Second}, ""},
		"under a second":    {ff.CreateBudget{ResetInterval: time.Second - time.Millisecond}, "invalid_input"},
		"unknown mode":      {ff.CreateBudget{Mode: "lenient"}, "invalid_input"},
		"unknown action":    {ff.CreateBudget{OnHardLimit: "shrug"}, "invalid_input"},
		"unknown scope":     {ff.CreateBudget{Scope: ff.Scope{Type: "planet", ID: "x"}}, "invalid_budget_scope"},
		"scope without id":  {ff.CreateBudget{Scope: ff.Scope{Type: ff.ScopeLane}}, "invalid_budget_scope"},
		"id without a type": {ff.CreateBudget{Scope: ff.Scope{ID: "x"}}, "invalid_budget_scope"},
	} {
		_, _, err := e.svc.CreateBudget(e.Context(), c.cmd)
		e.refused(what, err, c.want)
	}
	day := 24 * time.Hour
	for what, c := range map[string]struct {
		cmd  ff.CreateQuota
		want ff.Code
	}{
		"most":                {ff.CreateQuota{Rate: 1_000_000, Window: 31 * day, MaxConcurrent: 1_000_000, Jitter: 31 * day}, ""},
		"rate":                {ff.CreateQuota{Rate: 1_000_001, Window: day}, "invalid_quota_spec"},
		"concurrency":         {ff.CreateQuota{MaxConcurrent: 1_000_001}, "invalid_quota_spec"},
		"long window":         {ff.CreateQuota{Rate: 1, Window: 31*day + time.Millisecond}, "invalid_quota_spec"},
		"short window":        {ff.CreateQuota{Rate: 1, Window: time.Second - time.Millisecond}, "invalid_quota_spec"},
		"shortest window":     {ff.CreateQuota{Rate: 1, Window: time.Second}, ""},
		"rate without window": {ff.CreateQuota{Rate: 1}, "invalid_quota_spec"}, // FIX-B11
		"window without rate": {ff.CreateQuota{Window: time.Second}, "invalid_quota_spec"},
		"jitter":              {ff.CreateQuota{Rate: 1, Window: time.Second, Jitter: 1001 * time.Millisecond}, "invalid_quota_spec"},
		"kind":                {ff.CreateQuota{Rate: 1, Window: time.Second, WindowKind: "bay"}, "invalid_quota_spec"},
	} {
		_, _, err := e.svc.CreateQuota(e.Context(), c.cmd)
		e.refused(what, err, c.want)
	}
	b := e.budget(ff.CreateBudget{})
	report := func(what string, a ff.Amounts, key string, want ff.Code) {
		e.Helper()
		e.refused(what, errOf(e.svc.ReportUsage(e.Context(), ff.ReportUsage{BudgetID: b, Amounts: a, DedupKey: key})), want)
	}
	report("nothing", nil, "", "invalid_input")
	report("64 dimensions", amounts(64), name, "")
	report("65 dimensions", amounts(65), "", "invalid_input")
	report("longer key", amounts(1), name+"k", "invalid_input")
	report("below nothing", ff.Amounts{"t": -1}, "", "invalid_input")
	report("the most there is", ff.Amounts{"t": 1<<63 - 1}, "", "")
	report("one more", ff.Amounts{"t": 1}, "", "invalid_input") // FIX-B20
	e.equal("usage", e.budgetStatus(b).Usage["t"], int64(1<<63-1))
}

// testLimitHierarchy: an execution is under the budgets of its flow and of its tenant; the tightest stops it, and no other.
func testLimitHierarchy(e *env) {
	if !e.limited() {
		return
	}
	flow, tenant := ff.NewFlowID(), ff.Namespace("tight-"+string(e.lane))
	wide := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}, Scope: ff.Scope{Type: ff.ScopeTenant, ID: string(tenant)}})
	tight := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, Scope: ff.Scope{Type: ff.ScopeFlow, ID: flow.String()}})
	e.used(ff.ReportUsage{BudgetID: tight, Amounts: ff.Amounts{"t": 10}})
	_, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{FlowID: flow, Namespace: tenant, Nodes: []ff.FlowNode{
		{Name: "a", Submit: ff.Submit{Lane: e.lane, Kind: "test"}},
	}})
	e.ok(err)
	e.nothingClaimable("the flow's budget is used up")
	e.complete(e.running(ff.Submit{Namespace: tenant})) // outside the flow
	e.used(ff.ReportUsage{BudgetID: wide, Amounts: ff.Amounts{"t": 100}})
	e.ok(errOf(e.svc.ResetBudget(e.Context(), tight)))
	e.advance(10 * time.Second)
	e.nothingClaimable("the tenant's budget is used up")
	e.equal("waiting", []int64{e.budgetStatus(wide).Waiting, e.budgetStatus(tight).Waiting}, []int64{1, 0})
	e.ok(errOf(e.svc.ResetBudget(e.Context(), wide)))
	e.complete(e.soonClaims(1)[0])
}

func testLimitEvents(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	q, _, err := e.svc.CreateQuota(e.Context(), ff.CreateQuota{Rate: 5, Window: time.Minute})
	e.ok(err)
	after := e.nowCursor(ff.EventsOperator)
	e.ok(errOf(e.svc.UpdateBudget(e.Context(), ff.UpdateBudget{BudgetID: b, Hard: ff.Amounts{"t": 11}, ResetInterval: new(time.Hour), Actor: "ann"})))
	e.ok(errOf(e.svc.UpdateQuota(e.Context(), ff.UpdateQuota{QuotaID: q, Rate: new(int64(7)), Actor: "bob"})))
	got := map[string]any{}
	for _, ev := range e.read(ff.ReadEvents{Family: ff.EventsOperator, After: after}, 2) {
		var details map[string]any
		e.ok(json.Unmarshal(ev.Details, &details))
		got[ev.Type] = details
	}
	e.equal("events", got, map[string]any{
		"budget_updated": map[string]any{
			"budget_id": b.String(), "mode": "strict", "on_hard_limit": "wait", "hard_limits": map[string]any{"t": 11.0}, "reset_interval_ms": 3_600_000.0, "actor": "ann",
		},
		"quota_updated": map[string]any{"quota_id": q.String(), "rate": 7.0, "window_ms": 60_000.0, "actor": "bob"},
	})
}
