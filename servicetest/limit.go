package servicetest

import (
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Chapter 60: what budgets and quotas let run. A store of several shards has neither.
var limitTests = []behaviour{
	{"K13_NoMoreThanTheCapRunAtOnce", testQuotaConcurrency},
	{"K12_NoMoreThanTheRateBegin", testQuotaRate},
	{"K12_InAFixedWindow", testQuotaFixedWindow},
	{"ALimitedKeyHoldsNobodyElseBack", testLimitedKeySkipped},
	{"FIX_B2_EveryExitGivesTheSlotBack", testSlotComesBack},
	{"ALeaseThatRanOutKeepsItsSlot", testExpiredKeepsSlot},
	{"OneThatMustWaitForItsUpstreamsDoesNot", testLostBehindGivesSlot},
	{"FIX_B14_EstimatesAreKeptFree", testReservation},
	{"AReservationThatWasHandedOnIsDrawnOnce", testReservationReclaimed},
	{"ABudgetAtItsLimitLetsNobodyRun", testBudgetFull},
	{"ARaiseLetsThemGoOn", testBudgetRaised},
	{"AResetLetsThemGoOn", testBudgetResetWakes},
	{"AnAdvisoryBudgetHoldsNothingBack", testAdvisory},
	{"ADenyingBudgetRefusesSubmissions", testBudgetDenies},
	{"ASuspendingBudgetAsksAnOperator", testBudgetSuspends},
	{"AClosingBudgetCancelsWhatWaits", testBudgetCancels},
	{"FIX_B1_ScopesApplyByThemselves", testScopes},
	{"AClaimNamesItsBudgets", testClaimNamesBudgets},
	{"PriorityGoesFirst", testParkedPriority},
	{"UnknownLimitsAreRefused", testUnknownLimits},
	{"WhatWaitsCanBeCancelled", testParkedCancelled},
	{"AnOperatorsClaimIsAdmitted", testOperatorClaimAdmitted},
	{"ADeletedQuotaHoldsNothingBack", testQuotaDeleted},
}

const (
	quotaBlocked  = "runnable/unowned/blocked_by_quota/waiting_for_quota/none/pending_first_attempt"
	budgetBlocked = "runnable/unowned/blocked_by_budget/waiting_for_budget/none/pending_first_attempt"
)

// limited reports whether the store has budgets and quotas. One that has none says so.
func (e *env) limited() bool {
	e.Helper()
	if len(e.store.Shards()) == 1 {
		return true
	}
	_, _, err := e.svc.CreateQuota(e.Context(), ff.CreateQuota{MaxConcurrent: 1})
	e.refused("a quota on several shards", err, "unavailable")
	_, _, err = e.svc.CreateBudget(e.Context(), ff.CreateBudget{Hard: ff.Amounts{"t": 1}})
	e.refused("a budget on several shards", err, "unavailable")
	return false
}

func (e *env) quota(cmd ff.CreateQuota) ff.QuotaID {
	e.Helper()
	id, res, err := e.svc.CreateQuota(e.Context(), cmd)
	e.ok(err)
	e.equal("quota", res, ff.LimitCreated)
	return id
}

func (e *env) budget(cmd ff.CreateBudget) ff.BudgetID {
	e.Helper()
	id, res, err := e.svc.CreateBudget(e.Context(), cmd)
	e.ok(err)
	e.equal("budget", res, ff.LimitCreated)
	return id
}

// under is a policy with limits.
func under(l ff.Limits) *ff.Policy { return &ff.Policy{Limits: &l} }

func underQuota(id ff.QuotaID, key string) *ff.Policy {
	return under(ff.Limits{Quotas: []ff.QuotaUse{{ID: id, Key: key}}})
}

func underBudget(id ff.BudgetID, estimate int64) *ff.Policy {
	u := ff.BudgetUse{ID: id}
	if estimate > 0 {
		u.Estimate = ff.Amounts{"t": estimate}
	}
	return under(ff.Limits{Budgets: []ff.BudgetUse{u}})
}

// several submits n executions.
func (e *env) several(n int, cmd ff.Submit) []ff.ExecutionID {
	e.Helper()
	ids := make([]ff.ExecutionID, n)
	for i := range ids {
		ids[i] = e.submit(cmd)
	}
	return ids
}

// claims claims exactly n.
func (e *env) claims(n int) []ff.Claimed {
	e.Helper()
	got := e.claimUpTo(100)
	if len(got) != n {
		e.Fatalf("%d were claimed, want %d", len(got), n)
	}
	return got
}

// soonClaims claims n, one after the other, as they come to be let go on.
func (e *env) soonClaims(n int) (got []ff.Claimed) {
	e.Helper()
	e.eventually("claims", func() bool {
		e.pace.nudge()
		got = append(got, e.claimUpTo(n-len(got))...)
		return len(got) == n
	})
	return got
}

func (e *env) budgetStatus(id ff.BudgetID) ff.BudgetStatus {
	e.Helper()
	s, err := e.svc.DescribeBudget(e.Context(), id)
	e.ok(err)
	return s
}

func (e *env) used(cmd ff.ReportUsage) ff.UsageResult {
	e.Helper()
	res, err := e.svc.ReportUsage(e.Context(), cmd)
	e.ok(err)
	return res
}

func (e *env) quotaKeys(id ff.QuotaID) []ff.QuotaKeyStatus {
	e.Helper()
	page, err := e.svc.ListQuotaKeys(e.Context(), ff.ListQuotaKeys{QuotaID: id})
	e.ok(err)
	return page.Items
}

// active is how many run under a key.
func (e *env) active(id ff.QuotaID, key string) int {
	e.Helper()
	for _, k := range e.quotaKeys(id) {
		if k.Key == key {
			return int(k.Active)
		}
	}
	return 0
}

func testQuotaConcurrency(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 2})
	ids := e.several(5, ff.Submit{Policy: underQuota(q, "user")})
	got := e.claims(2)
	e.equal("active", e.active(q, "user"), 2)
	s := e.inState(ids[4], quotaBlocked)
	e.equal("detail", s.BlockingDetail, "quota "+q.String()+": concurrency cap 2")
	e.equal("public", s.PublicState, ff.PublicRateLimited)
	e.complete(got[0])
	next := e.soonClaims(1)
	e.equal("the oldest", next[0].ExecutionID, ids[2])
	e.nothingClaimable("at the cap")
	e.complete(got[1])
	e.complete(next[0])
	for _, c := range e.soonClaims(2) {
		e.complete(c)
	}
	e.equal("active at the end", e.active(q, "user"), 0)
}

func testQuotaRate(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{Rate: 2, Window: 10 * time.Second})
	ids := e.several(3, ff.Submit{Policy: underQuota(q, "")})
	for _, c := range e.claims(2) {
		e.complete(c) // they count all the same
	}
	s := e.inState(ids[2], quotaBlocked)
	e.equal("detail", s.BlockingDetail, "quota "+q.String()+": rate limit 2/2 per 10s window")
	at := e.pace.now()
	e.equal("key", e.quotaKeys(q), []ff.QuotaKeyStatus{{Key: "default", InWindow: 2, Waiting: 1, FreeAt: at + 10_000}})
	e.advance(10*time.Second - time.Millisecond)
	e.nothingClaimable("within the window")
	e.advance(time.Millisecond)
	e.complete(e.soonClaims(1)[0])
}

func testQuotaFixedWindow(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{Rate: 1, Window: 10 * time.Second, WindowKind: ff.FixedWindow})
	e.advance(time.Duration(10_000-e.pace.now()%10_000+9_000) * time.Millisecond) // a second before a window ends
	e.several(3, ff.Submit{Policy: underQuota(q, "")})
	e.complete(e.claims(1)[0])
	e.nothingClaimable("in the same window")
	e.advance(time.Second)
	e.complete(e.soonClaims(1)[0])
	e.nothingClaimable("in the next")
	e.advance(10 * time.Second)
	e.complete(e.soonClaims(1)[0])
}

func testLimitedKeySkipped(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	e.several(30, ff.Submit{Policy: underQuota(q, "busy"), Priority: 9})
	other := e.submit(ff.Submit{Policy: underQuota(q, "idle")})
	free := e.submit(ff.Submit{})
	got := e.claims(3)
	e.equal("the others", []ff.ExecutionID{got[1].ExecutionID, got[2].ExecutionID}, []ff.ExecutionID{other, free})
	for _, c := range got {
		e.complete(c)
	}
	for range 29 {
		e.complete(e.soonClaims(1)[0])
	}
	e.nothingClaimable("all are done")
}

// testSlotComesBack: whatever ends the lease, slot and reservation are there for another.
func testSlotComesBack(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	policy := under(ff.Limits{
		Quotas: []ff.QuotaUse{{ID: q, Key: "k"}}, Budgets: []ff.BudgetUse{{ID: b, Estimate: ff.Amounts{"t": 10}}},
	})
	policy.Retry = &ff.RetryPolicy{Backoff: ff.FixedBackoff(time.Hour)}
	for name, exit := range map[string]func(c ff.Claimed){
		"complete": func(c ff.Claimed) { e.complete(c) },
		"retry": func(c ff.Claimed) {
			e.ok(errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "x"})))
		},
		"delay": func(c ff.Claimed) {
			e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: time.Hour})))
		},
		"cancel":  func(c ff.Claimed) { e.cancel(c.ExecutionID, "enough") },
		"suspend": func(c ff.Claimed) { e.suspend(c, ff.Suspend{}) },
	} {
		c := e.running(ff.Submit{Policy: policy})
		e.equal(name+", before", []any{e.active(q, "k"), e.budgetStatus(b).Reserved}, []any{1, ff.Amounts{"t": 10}})
		exit(c)
		e.equal(name+", after", []any{e.active(q, "k"), e.budgetStatus(b).Reserved}, []any{0, ff.Amounts{}})
	}
	c := e.running(ff.Submit{Policy: policy})
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	e.equal("released", e.active(q, "k"), 0)
	c = e.claim()
	e.ok(errOf(e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})))
	e.equal("revoked", e.active(q, "k"), 0)
	e.complete(e.claim())
}

func testExpiredKeepsSlot(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	ids := e.several(2, ff.Submit{Policy: underQuota(q, "k")})
	e.claims(1)
	e.advance(leaseTTL)
	e.equal("active", e.active(q, "k"), 1)
	c := e.claims(1)[0]
	e.equal("who", c.ExecutionID, ids[0])
	e.equal("still", e.active(q, "k"), 1)
	e.complete(c)
	e.complete(e.soonClaims(1)[0])
	e.equal("at the end", e.active(q, "k"), 0)
}

// testLostBehindGivesSlot: a worker is lost that held the only slot, of an execution that was given an upstream meanwhile. The
// upstream needs that slot, and the execution the upstream.
func testLostBehindGivesSlot(e *env) {
	if !e.limited() {
		return
	}
	for what, lost := range map[string]func(g *graph){
		"lost after":  func(g *graph) { g.depend("a", "b"); e.advance(2 * leaseTTL) },
		"lost before": func(g *graph) { e.advance(2 * leaseTTL); g.depend("a", "b") },
	} {
		q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
		g := e.emptyFlow()
		for _, name := range []string{"b", "a"} {
			id := ff.NodeID(g.id, name, ff.DefaultPartitions())
			e.submit(ff.Submit{ID: id, Policy: underQuota(q, "k")})
			e.ok(errOf(e.svc.AddMember(e.Context(), ff.AddMember{FlowID: g.id, ExecutionID: id})))
		}
		g.start("b")
		zombie := g.held["b"]
		delete(g.held, "b")
		lost(g)
		e.eventually(what+": the slot is free", func() bool { return e.active(q, "k") == 0 })
		e.refused(what+": a late result", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: zombie.ExecutionID, Fence: zombie.Fence}), ff.CodeLeaseExpired)
		g.end("success", "a")
		g.start("b")
		again := g.held["b"]
		e.equal(what+": it is reclaimed", []any{again.AttemptType, again.Fence.AttemptIndex, again.Resumed}, []any{ff.AttemptReclaim, 1, false})
		e.equal(what+": counted", e.describe(again.ExecutionID).ReclaimCount, 1)
		g.end("success", "b")
		e.equal(what+": the end", g.states("a", "b"), "a=completed b=completed")
	}
}

func testReservation(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}})
	ids := e.several(3, ff.Submit{Policy: underBudget(b, 40)})
	got := e.claims(2)
	s := e.inState(ids[2], budgetBlocked)
	e.equal("detail", s.BlockingDetail, "budget ff:budget:"+b.String()+":usage: t 80/100, 40 needed")
	e.equal("of its own and what is free", e.used(ff.ReportUsage{BudgetID: b, ExecutionID: ids[0], Amounts: ff.Amounts{"t": 50}}).Outcome, ff.UsageOK)
	now := e.budgetStatus(b)
	e.equal("books", []ff.Amounts{now.Usage, now.Reserved}, []ff.Amounts{{"t": 50}, {"t": 40}})
	res := e.used(ff.ReportUsage{BudgetID: b, ExecutionID: ids[0], Amounts: ff.Amounts{"t": 11}})
	e.equal("of others'", res, ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "t", Usage: 50, Limit: 100, Action: ff.LimitWaits})
	e.equal("by nobody", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}}).Outcome, ff.UsageOK)
	e.complete(got[0])
	e.nothingClaimable("60 used, 40 reserved")
	e.complete(got[1])
	c := e.soonClaims(1)[0]
	e.equal("the third", c.ExecutionID, ids[2])
	e.equal("all of its own", e.used(ff.ReportUsage{BudgetID: b, ExecutionID: ids[2], Amounts: ff.Amounts{"t": 40}}).Outcome, ff.UsageOK)
	e.complete(c)
	now = e.budgetStatus(b)
	e.equal("at the end", []ff.Amounts{now.Usage, now.Reserved}, []ff.Amounts{{"t": 100}, {}})
	ledger, err := e.svc.Ledger(e.Context(), ids[0])
	e.ok(err)
	e.equal("ledger", ledger, []ff.LedgerEntry{{BudgetID: b, Spent: ff.Amounts{"t": 50}}})
}

// testReservationReclaimed: a lease that ran out hands its reservation on; what was drawn stays drawn.
func testReservationReclaimed(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 100}})
	c := e.running(ff.Submit{Policy: underBudget(b, 40)})
	e.used(ff.ReportUsage{BudgetID: b, ExecutionID: c.ExecutionID, Amounts: ff.Amounts{"t": 15}})
	e.advance(leaseTTL)
	c = e.claim()
	now := e.budgetStatus(b)
	e.equal("handed on", []ff.Amounts{now.Usage, now.Reserved}, []ff.Amounts{{"t": 15}, {"t": 25}})
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	e.equal("given back", e.budgetStatus(b).Reserved, ff.Amounts{})
	c = e.claim()
	e.equal("what it may yet spend", e.budgetStatus(b).Reserved, ff.Amounts{"t": 25})
	e.complete(c)
	now = e.budgetStatus(b)
	e.equal("at the end", []ff.Amounts{now.Usage, now.Reserved}, []ff.Amounts{{"t": 15}, {}})
}

func testBudgetFull(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10, "u": 5}})
	ids := e.several(2, ff.Submit{Policy: underBudget(b, 0)})
	c := e.claims(2)
	e.equal("to the limit", e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}}).Outcome, ff.UsageOK)
	e.complete(c[0])
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: ids[1], Fence: c[1].Fence}))
	e.nothingClaimable("at the limit")
	e.equal("reason", e.describe(ids[1]).State.BlockingReason, ff.WaitingForBudget)
	e.equal("waiting", e.budgetStatus(b).Waiting, int64(1))
	e.cancel(ids[1], "enough")
}

func testBudgetRaised(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	id := e.submit(ff.Submit{Policy: underBudget(b, 0)})
	e.nothingClaimable("at the limit")
	e.inState(id, budgetBlocked)
	s, err := e.svc.UpdateBudget(e.Context(), ff.UpdateBudget{BudgetID: b, Hard: ff.Amounts{"t": 11}})
	e.ok(err)
	e.equal("raised", s.Hard, ff.Amounts{"t": 11})
	e.complete(e.soonClaims(1)[0])
}

func testBudgetResetWakes(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, ResetInterval: time.Hour})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	e.submit(ff.Submit{Policy: underBudget(b, 4)})
	due := e.budgetStatus(b).NextResetAt
	e.advance(time.Hour - time.Millisecond)
	e.nothingClaimable("before the reset")
	e.advance(time.Millisecond)
	e.complete(e.soonClaims(1)[0])
	s := e.budgetStatus(b)
	e.equal("after it", []any{s.Usage, s.ResetCount, s.NextResetAt, s.LastResetAt}, []any{ff.Amounts{}, int64(1), due + 3_600_000, due})
	e.advance(2*time.Hour + 30*time.Minute) // two are due: one is made
	s = e.budgetStatus(b)
	e.equal("no drift", s.NextResetAt, due+3*3_600_000)
}

func testAdvisory(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, Mode: ff.Advisory})
	res := e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 30}})
	e.equal("told", res, ff.UsageResult{Outcome: ff.UsageHardBreach, Dimension: "t", Limit: 10, Action: ff.LimitWaits, Counted: true})
	e.equal("counted", e.budgetStatus(b).Usage, ff.Amounts{"t": 30})
	e.complete(e.running(ff.Submit{Policy: underBudget(b, 5)}))
}

func testBudgetDenies(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, OnHardLimit: ff.LimitDenies})
	c := e.running(ff.Submit{Policy: underBudget(b, 0)})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: underBudget(b, 0)}))
	e.refused("another", err, "budget_exceeded")
	e.complete(c)
}

func testBudgetSuspends(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, OnHardLimit: ff.LimitSuspends})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	id := e.submit(ff.Submit{Policy: underBudget(b, 0)})
	e.nothingClaimable("at the limit")
	e.ok(errOf(e.svc.ResetBudget(e.Context(), b)))
	e.advance(time.Minute)
	e.nothingClaimable("without a decision")
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	e.ok(e.svc.Unblock(e.Context(), ff.Unblock{ExecutionID: id, ExpectedReason: ff.WaitingForBudget, Actor: "ann"}))
	c := e.claim()
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: id, Fence: c.Fence}))
	e.nothingClaimable("a decision is good for one run")
	e.cancel(id, "enough")
}

func testBudgetCancels(e *env) {
	if !e.limited() {
		return
	}
	b := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}, OnHardLimit: ff.LimitCancels})
	id := e.submit(ff.Submit{Policy: underBudget(b, 0)})
	e.used(ff.ReportUsage{BudgetID: b, Amounts: ff.Amounts{"t": 10}})
	e.nothingClaimable("at the limit")
	e.eventually("it is cancelled", func() bool {
		e.pace.nudge()
		return e.describe(id).PublicState == ff.PublicCancelled
	})
}

func testScopes(e *env) {
	if !e.limited() {
		return
	}
	lane := string(e.lane)
	for i, c := range []struct {
		scope ff.Scope
		cmd   ff.Submit
	}{
		{ff.Scope{Type: ff.ScopeTenant, ID: "tenant-" + lane}, ff.Submit{Namespace: ff.Namespace("tenant-" + lane)}},
		{ff.Scope{Type: ff.ScopeTag, ID: "team.name=" + lane}, ff.Submit{Tags: map[string]string{"team.name": lane, "team.other": "x"}}},
		{ff.Scope{Type: ff.ScopeLane, ID: lane}, ff.Submit{}},
	} {
		q := e.quota(ff.CreateQuota{Scope: c.scope, MaxConcurrent: 1})
		e.several(2, c.cmd)
		got := e.claims(1)
		e.equal("waits", e.quotaKeys(q)[0].Waiting, int64(1))
		e.complete(got[0])
		e.complete(e.soonClaims(1)[0])
		if i == 0 {
			e.complete(e.running(ff.Submit{})) // of another tenant
			e.equal("not counted", e.active(q, "default"), 0)
		}
	}
	flow := ff.NewFlowID()
	q := e.quota(ff.CreateQuota{Scope: ff.Scope{Type: ff.ScopeFlow, ID: flow.String()}, MaxConcurrent: 1})
	other := ff.LaneID(lane + "/flow")
	node := func(name string) ff.FlowNode {
		return ff.FlowNode{Name: name, Submit: ff.Submit{Lane: other, Kind: "test"}}
	}
	_, err := e.svc.SubmitFlow(e.Context(), ff.SubmitFlow{FlowID: flow, Nodes: []ff.FlowNode{node("a"), node("b")}})
	e.ok(err)
	got, err := e.svc.Claim(e.Context(), ff.Claim{
		Lanes: []ff.LaneID{other}, WorkerID: "worker", WorkerInstanceID: "worker-1", Max: 9, LeaseTTL: leaseTTL,
	})
	e.ok(err)
	e.equal("of the flow", []int{len(got), int(e.quotaKeys(q)[0].Waiting)}, []int{1, 1})
}

func testClaimNamesBudgets(e *env) {
	if !e.limited() {
		return
	}
	own := e.budget(ff.CreateBudget{Hard: ff.Amounts{"t": 10}})
	scoped := e.budget(ff.CreateBudget{Scope: ff.Scope{Type: ff.ScopeLane, ID: string(e.lane)}})
	c := e.running(ff.Submit{Policy: underBudget(own, 3)})
	e.equal("budgets", c.Budgets, []ff.BudgetUse{{ID: own, Estimate: ff.Amounts{"t": 3}}, {ID: scoped}})
	e.ok(e.svc.DeleteBudget(e.Context(), scoped))
}

func testParkedPriority(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	c := e.running(ff.Submit{Policy: underQuota(q, "k")})
	e.submit(ff.Submit{Policy: underQuota(q, "k"), Priority: 1})
	high := e.submit(ff.Submit{Policy: underQuota(q, "k"), Priority: 7})
	e.complete(c)
	c = e.soonClaims(1)[0]
	e.equal("first", c.ExecutionID, high)
	e.complete(c)
	e.complete(e.soonClaims(1)[0])
}

func testUnknownLimits(e *env) {
	if !e.limited() {
		return
	}
	_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: underQuota(ff.NewQuotaID(), "k")}))
	e.refused("quota", err, "quota_not_found")
	_, err = e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: underBudget(ff.NewBudgetID(), 0)}))
	e.refused("budget", err, "budget_not_found")
	_, err = e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: underBudget(ff.BudgetID{}, 0)}))
	e.refused("no id", err, "invalid_policy_json")
}

func testParkedCancelled(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	c := e.running(ff.Submit{Policy: underQuota(q, "k")})
	ids := e.several(2, ff.Submit{Policy: underQuota(q, "k")})
	e.cancel(ids[0], "enough")
	e.complete(c)
	c = e.soonClaims(1)[0]
	e.equal("the other", c.ExecutionID, ids[1])
	e.complete(c)
	e.advance(2 * time.Minute)
	for _, rec := range e.dump().Records {
		if p, ok := rec.(*record.Parking); ok && strings.HasPrefix(p.Gate, "quota/"+q.String()) {
			e.Errorf("%+v was left", p)
		}
	}
	e.equal("idle keys are forgotten", len(e.quotaKeys(q)), 0)
}

func testOperatorClaimAdmitted(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	ids := e.several(2, ff.Submit{Policy: underQuota(q, "k")})
	claim := func(id ff.ExecutionID) (ff.Claimed, error) {
		return e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{
			ExecutionID: id, WorkerID: "ops", WorkerInstanceID: "ops-1", LeaseTTL: leaseTTL, Actor: "ann",
		})
	}
	c, err := claim(ids[0])
	e.ok(err)
	_, err = claim(ids[1])
	e.refused("the second", err, "concurrency_limit_exceeded")
	e.complete(c)
	e.complete(e.soonClaims(1)[0])
}

func testQuotaDeleted(e *env) {
	if !e.limited() {
		return
	}
	q := e.quota(ff.CreateQuota{MaxConcurrent: 1})
	c := e.running(ff.Submit{Policy: underQuota(q, "k")})
	e.several(3, ff.Submit{Policy: underQuota(q, "k")})
	e.ok(e.svc.DeleteQuota(e.Context(), q))
	for _, c := range append(e.soonClaims(3), c) {
		e.complete(c)
	}
	_, err := e.svc.DescribeQuota(e.Context(), q)
	e.refused("it", err, "quota_not_found")
}
