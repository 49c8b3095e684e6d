package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var suspendTests = []behaviour{
	{"EveryReasonHasItsState", testSuspendReasons},
	{"ASuspensionIsDescribed", testSuspendDescribed},
	{"WaitpointsAreBoundInOrder", testSuspendWaitpoints},
	{"FIX_S32_ThePolicyGivesTheDeadline", testSuspendPolicy},
	{"I2_ASuspendedExecutionHasNoLease", testSuspendLease},
	{"I3_TheSameAttemptGoesOnUnderAHigherEpoch", testSuspendAttempt},
	{"AnAttemptTimeoutDoesNotRunMeanwhile", testSuspendAttemptTimeout},
	{"SuspendedExecutionsAreListed", testSuspendList},
}

// Rows 12 and 13 of chapter 10, section 2.5.
const (
	parkedState    = "suspended/unowned/not_applicable/waiting_for_signal/none/attempt_interrupted"               // 13
	resumeDelayed  = "runnable/unowned/not_eligible_until_time/waiting_for_resume_delay/none/attempt_interrupted" // 12
	parkedOperator = "suspended/unowned/not_applicable/paused_by_operator/none/attempt_interrupted"               // 13
	parkedTemplate = "suspended/unowned/not_applicable/%s/none/attempt_interrupted"                               // 13
	approvalKey    = "approval"                                                                                   // the waitpoint key of most tests
)

// trySuspend suspends what is claimed. Unless cmd says otherwise it waits for any signal on one waitpoint.
func (e *env) trySuspend(c ff.Claimed, cmd ff.Suspend) (ff.Suspended, error) {
	cmd.ExecutionID, cmd.Fence = c.ExecutionID, c.Fence
	if cmd.Condition.Kind == "" {
		cmd.Condition = ff.OnSignal(approvalKey)
	}
	return e.svc.Suspend(e.Context(), cmd)
}

// suspend is trySuspend that must succeed, and park the execution.
func (e *env) suspend(c ff.Claimed, cmd ff.Suspend) ff.Suspended {
	e.Helper()
	res, err := e.trySuspend(c, cmd)
	e.ok(err)
	if res.AlreadySatisfied {
		e.Fatal("it is satisfied already")
	}
	return res
}

// parked submits an execution and suspends it on one waitpoint.
func (e *env) parked(cmd ff.Suspend) (ff.Claimed, ff.WaitpointGrant) {
	e.Helper()
	c := e.running(ff.Submit{})
	return c, e.suspend(c, cmd).Waitpoints[0]
}

// signal is a signal to a waitpoint, with its token.
func signal(id ff.ExecutionID, p ff.WaitpointGrant, name string) ff.Signal {
	return ff.Signal{ExecutionID: id, WaitpointID: p.WaitpointID, Token: p.Token, Name: name}
}

// deliver sends a signal that is accepted, and tells its effect.
func (e *env) deliver(s ff.Signal) ff.SignalEffect {
	e.Helper()
	res, err := e.svc.DeliverSignal(e.Context(), s)
	e.ok(err)
	if res.Duplicate {
		e.Errorf("signal %s is a duplicate of %s", s.Name, res.SignalID)
	}
	return res.Effect
}

// createWaitpoint makes a pending waitpoint for an hour.
func (e *env) createWaitpoint(c ff.Claimed, key string) ff.WaitpointGrant {
	e.Helper()
	p, err := e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, Key: key, ExpiresIn: time.Hour})
	e.ok(err)
	return p
}

func pendingBinding(p ff.WaitpointGrant) []ff.WaitpointBinding {
	return []ff.WaitpointBinding{{WaitpointID: p.WaitpointID, Pending: true}}
}

func (e *env) suspension(id ff.ExecutionID) ff.SuspensionSnapshot {
	e.Helper()
	s, err := e.svc.DescribeSuspension(e.Context(), id)
	e.ok(err)
	return s
}

func (e *env) waitpoint(id ff.ExecutionID, p ff.WaitpointGrant) ff.WaitpointSignals {
	e.Helper()
	w, err := e.svc.DescribeWaitpoint(e.Context(), id, p.WaitpointID)
	e.ok(err)
	return w
}

// closed fails the test unless an execution's suspension and its waitpoints have closed for a reason (I4, I5).
func (e *env) closed(id ff.ExecutionID, reason string, points ...ff.WaitpointGrant) {
	e.Helper()
	s := e.suspension(id)
	e.equal("close reason", s.CloseReason, reason)
	if s.ClosedAt == 0 {
		e.Error("the suspension is open")
	}
	for _, p := range points {
		w := e.waitpoint(id, p).Waitpoint
		e.equal("waitpoint "+p.Key, []any{w.State, w.CloseReason}, []any{ff.WaitpointClosed, reason})
	}
	page, err := e.svc.ListPendingWaitpoints(e.Context(), ff.ListPendingWaitpoints{ExecutionID: id})
	e.ok(err)
	e.equal("waitpoints that can be signalled", len(page.Items), 0)
}

// resumeSignals are the names of the signals that resumed an execution, behind the close reason.
func (e *env) resumeSignals(id ff.ExecutionID) string {
	e.Helper()
	r, err := e.svc.ResumeSignals(e.Context(), id)
	e.ok(err)
	words := []string{r.CloseReason}
	for _, s := range r.Signals {
		words = append(words, s.Name)
	}
	return strings.Join(words, " ")
}

// testSuspendReasons: chapter 40, sections 1.3 and 5.1.
func testSuspendReasons(e *env) {
	for reason, blocking := range map[ff.WaitReason]string{
		"waiting_for_signal":          "waiting_for_signal",
		"waiting_for_approval":        "waiting_for_approval",
		"waiting_for_callback":        "waiting_for_callback",
		"waiting_for_tool_result":     "waiting_for_tool_result",
		"waiting_for_operator_review": "paused_by_operator",
		"paused_by_policy":            "paused_by_policy",
		"paused_by_budget":            "waiting_for_budget",
		"step_boundary":               "waiting_for_signal",
		"manual_pause":                "paused_by_operator",
		"the moon is full":            "waiting_for_signal",
	} {
		c, p := e.parked(ff.Suspend{Reason: reason})
		s := e.inState(c.ExecutionID, fmt.Sprintf(parkedTemplate, blocking))
		e.equal("public state", s.PublicState, ff.PublicSuspended)
		e.equal("detail", s.BlockingDetail, fmt.Sprintf("suspended: waitpoint %s awaiting %s", p.WaitpointID, reason))
		e.equal("attempt", s.Attempt.State, ff.AttemptSuspended)
		e.equal("reason", e.suspension(c.ExecutionID).Reason, reason)
		e.equal("signal", e.deliver(signal(c.ExecutionID, p, "go")), ff.SignalEffect("resume_condition_satisfied"))
		e.inState(c.ExecutionID, mayContinue)
		e.complete(e.claim())
	}
}

func testSuspendDescribed(e *env) {
	c := e.running(ff.Submit{})
	began := e.pace.now()
	res := e.suspend(c, ff.Suspend{
		Condition: ff.OnNamed(approvalKey, "approved"), Timeout: time.Minute, TimeoutBehavior: ff.TimeoutCancels,
		Reason: ff.WaitForApproval, RequestedBy: ff.RequestedByPolicy, Continuation: "page 7",
	})
	p := res.Waitpoints[0]
	e.equal("suspension", e.suspension(c.ExecutionID), ff.SuspensionSnapshot{
		SuspensionID: res.SuspensionID, Waitpoints: []ff.WaitpointID{p.WaitpointID}, Condition: ff.OnNamed(approvalKey, "approved"),
		Reason: "waiting_for_approval", RequestedBy: "policy", SuspendedAt: began, TimeoutAt: began + 60_000, TimeoutBehavior: "cancel",
		Continuation: "page 7",
	})
	kid, fingerprint := p.Token.Fingerprint()
	e.equal("waitpoint", e.waitpoint(c.ExecutionID, p), ff.WaitpointSignals{Waitpoint: ff.WaitpointSnapshot{
		ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Key: approvalKey, State: "active", RequiredSignalNames: []string{"approved"},
		SuspensionID: res.SuspensionID, CreatedAt: began, ActivatedAt: began, ExpiresAt: began + 60_000, TokenKid: kid, TokenFingerprint: fingerprint,
	}})
	e.equal("events", e.events(c.ExecutionID), []told{{"lease", "acquired", 1, ""}, {"lease", "released", 1, "suspend"}})

	id := e.submit(ff.Submit{})
	e.equal("of one never suspended", e.suspension(id), ff.SuspensionSnapshot{})
	e.equal("what resumed it", e.resumeSignals(id), "")
	e.complete(e.claim())
	nobody := ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
	_, err := e.svc.DescribeSuspension(e.Context(), nobody)
	e.refused("suspension of nothing", err, "execution_not_found")
	_, err = e.svc.ResumeSignals(e.Context(), nobody)
	e.refused("signals of nothing", err, "execution_not_found")
	_, err = e.svc.DescribeWaitpoint(e.Context(), c.ExecutionID, ff.NewWaitpointID())
	e.refused("a waitpoint that is not there", err, "waitpoint_not_found")
}

func testSuspendWaitpoints(e *env) {
	c := e.running(ff.Submit{})
	ids := []ff.WaitpointID{ff.NewWaitpointID(), ff.NewWaitpointID(), ff.NewWaitpointID()}
	res := e.suspend(c, ff.Suspend{
		Waitpoints: []ff.WaitpointBinding{{WaitpointID: ids[0], Key: "c"}, {WaitpointID: ids[1], Key: "a"}, {WaitpointID: ids[2], Key: "b"}},
		Condition:  ff.OnAny("a", "b", "c"),
	})
	tokens := make(map[ff.WaitpointToken]bool)
	for i, key := range []string{"c", "a", "b"} {
		e.equal("waitpoint "+key, []any{res.Waitpoints[i].WaitpointID, res.Waitpoints[i].Key}, []any{ids[i], key})
		tokens[res.Waitpoints[i].Token] = true
	}
	e.equal("tokens", len(tokens), 3)
	e.equal("the primary one is first", e.suspension(c.ExecutionID).Waitpoints, ids)
	e.deliver(signal(c.ExecutionID, res.Waitpoints[1], "go"))
	e.closed(c.ExecutionID, "resumed", res.Waitpoints...)
	e.complete(e.claim())

	c, p := e.parked(ff.Suspend{Condition: ff.OnOperator()}) // names no key
	e.equal("default key", p.Key, "wpk:"+p.WaitpointID.String())
	e.equal("names it shows", e.waitpoint(c.ExecutionID, p).Waitpoint.RequiredSignalNames, []string{"__operator_only__"})
	c, p = e.parked(ff.Suspend{Condition: ff.OnTimeout(), Timeout: time.Hour})
	e.equal("names it shows", e.waitpoint(c.ExecutionID, p).Waitpoint.RequiredSignalNames, []string{"__timeout_only__"})
}

func testSuspendPolicy(e *env) {
	policy := &ff.Policy{Suspension: &ff.SuspensionPolicy{DefaultTimeoutMS: 5000, TimeoutBehavior: ff.TimeoutResumes}}
	c := e.running(ff.Submit{Policy: policy})
	e.suspend(c, ff.Suspend{})
	s := e.suspension(c.ExecutionID)
	e.equal("from the policy", []any{s.TimeoutAt, s.TimeoutBehavior}, []any{e.pace.now() + 5000, ff.TimeoutResumes})
	c = e.running(ff.Submit{Policy: policy})
	e.suspend(c, ff.Suspend{Timeout: time.Minute, TimeoutBehavior: ff.TimeoutCancels})
	s = e.suspension(c.ExecutionID)
	e.equal("from the call", []any{s.TimeoutAt, s.TimeoutBehavior}, []any{e.pace.now() + 60_000, ff.TimeoutCancels})
	c, _ = e.parked(ff.Suspend{})
	s = e.suspension(c.ExecutionID)
	e.equal("from neither", []any{s.TimeoutAt, s.TimeoutBehavior}, []any{ff.Timestamp(0), ff.TimeoutFails})
}

func testSuspendLease(e *env) {
	c, p := e.parked(ff.Suspend{})
	e.equal("lease", e.describe(c.ExecutionID).Lease, (*ff.LeaseSnapshot)(nil))
	e.nothingClaimable("while it is suspended")
	e.unchanged("what its holder may do no more", c.ExecutionID, func() {
		_, err := e.renew(c, leaseTTL)
		e.refused("renew", err, "execution_not_active")
		e.refused("complete", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}), "execution_not_active")
		e.refused("release", e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}), "execution_not_active")
		_, err = e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: c.ExecutionID, LeaseTTL: leaseTTL})
		e.refused("claim", err, "execution_not_eligible")
	})
	e.advance(48 * time.Hour)
	e.inState(c.ExecutionID, parkedState)
	e.equal("signal", e.deliver(signal(c.ExecutionID, p, "go")), ff.EffectResumed)
}

func testSuspendAttempt(e *env) {
	c := e.running(ff.Submit{Payload: []byte("in")})
	for epoch := uint64(2); epoch < 5; epoch++ {
		p := e.suspend(c, ff.Suspend{}).Waitpoints[0]
		e.deliver(signal(c.ExecutionID, p, "go"))
		again := e.claim()
		e.equal("attempt", []any{again.Fence.AttemptID, again.Fence.AttemptIndex}, []any{c.Fence.AttemptID, 0})
		e.equal("epoch", again.Fence.Epoch, epoch)
		c = again
	}
	s := e.describe(c.ExecutionID)
	e.equal("counts", []int{s.TotalAttempts, s.RetryCount, s.ReclaimCount, len(e.attempts(c.ExecutionID))}, []int{1, 0, 0, 1})
	e.complete(c)
}

func testSuspendAttemptTimeout(e *env) {
	c := e.running(ff.Submit{Policy: withTimeout(10*time.Second, 0, "")})
	e.advance(4 * time.Second)
	p := e.suspend(c, ff.Suspend{}).Waitpoints[0]
	e.advance(time.Hour)
	e.inState(c.ExecutionID, parkedState)
	e.deliver(signal(c.ExecutionID, p, "go"))
	e.claim()
	e.equal("what is left", e.describe(c.ExecutionID).Lease.AttemptEndsAt, e.pace.now()+6000)
}

func testSuspendList(e *env) {
	var want []ff.ExecutionID
	at := e.pace.now()
	for range 3 {
		c, _ := e.parked(ff.Suspend{Timeout: time.Hour, Reason: ff.WaitForCallback})
		want = append([]ff.ExecutionID{c.ExecutionID}, want...)
		e.advance(time.Millisecond)
	}
	var got []ff.ExecutionID
	after := ""
	for {
		page, err := e.svc.ListSuspended(e.Context(), ff.ListSuspended{Lane: e.lane, Limit: 2, After: after})
		e.ok(err)
		for _, s := range page.Items {
			e.equal("reason", s.Reason, ff.WaitForCallback)
			e.equal("deadline", s.TimeoutAt, s.SuspendedAt+3_600_000) // FIX-S28: suspended at is not the deadline
			got = append(got, s.ExecutionID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	e.equal("suspended", got, want)
	page, err := e.svc.ListSuspended(e.Context(), ff.ListSuspended{Lane: e.lane, Limit: 1})
	e.ok(err)
	e.equal("since", page.Items[0].SuspendedAt, at+2)
}
