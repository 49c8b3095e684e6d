package servicetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
)

var signalTests = []behaviour{
	{"EverySignalHasItsEffect", testSignalEffects},
	{"ConditionsAreSatisfiedByWhatTheySay", testSignalConditions},
	{"AResumeIsDescribed", testSignalResume},
	{"BadSignalsAreRefused", testSignalInput},
	{"I6_AForgedTokenLearnsNothing", testSignalForged},
	{"WhatCannotBeSignalledSaysSo", testSignalState},
	{"I9_DuplicatesAreOneSignal", testSignalDuplicates},
	{"SignalsAreLimited", testSignalLimit},
	{"FIX_S21_ADuplicateAtTheLimitIsADuplicate", testSignalLimitDuplicate},
	{"FIX_S5_TheResumeIsDelayed", testSignalDelay},
	{"I21_ATokenIsOfItsSuspension", testSignalOld},
	{"I12_BufferedSignalsMaySatisfyAtOnce", testSignalBuffered},
	{"I22_BufferedOrDeliveredIsTheSame", testSignalOrder},
	{"AnOperatorResumes", testSignalOperator},
	{"PeopleApprove", testSignalApproval},
	{"ASignalArrivesAsItWasSent", testSignalFidelity},
}

// testSignalEffects: chapter 40, section 8.3.
func testSignalEffects(e *env) {
	simple, p := e.parked(ff.Suspend{Condition: ff.OnNamed(approvalKey, "yes")})
	e.equal("another name", e.deliver(signal(simple.ExecutionID, p, "no")), ff.SignalEffect("no_op"))
	e.inState(simple.ExecutionID, parkedState)
	e.equal("the name", e.deliver(signal(simple.ExecutionID, p, "yes")), ff.SignalEffect("resume_condition_satisfied"))
	w := e.waitpoint(simple.ExecutionID, p).Waitpoint
	e.equal("counts", []int{w.SignalCount, w.MatchedCount}, []int{2, 1}) // I17
	e.complete(e.claim())

	c := e.running(ff.Submit{})
	two := ff.OnCount(2, ff.DistinctSources, "a", "b")
	two.SignalName = "yes"
	points := e.suspend(c, ff.Suspend{Condition: ff.OnAll(two, ff.OnNamed("a", "go"), ff.OnSignal("c")), Waitpoints: bindings("a", "b", "c")}).Waitpoints
	from := func(who string, p ff.WaitpointGrant, name string) ff.SignalEffect {
		s := signal(c.ExecutionID, p, name)
		s.SourceType, s.SourceIdentity = "operator", who
		return e.deliver(s)
	}
	e.equal("one of two", from("ann", points[0], "yes"), ff.SignalEffect("appended_to_waitpoint"))
	e.equal("the same source", from("ann", points[1], "yes"), ff.SignalEffect("appended_to_waitpoint_duplicate"))
	e.equal("no matcher", from("bob", points[1], "no"), ff.SignalEffect("signal_ignored_matcher_failed"))
	e.equal("two of two", from("bob", points[1], "yes"), ff.SignalEffect("appended_to_waitpoint"))
	e.equal("a third", from("eve", points[1], "yes"), ff.SignalEffect("appended_to_waitpoint_duplicate"))
	e.equal("the next member", from("ann", points[0], "go"), ff.SignalEffect("appended_to_waitpoint"))
	e.inState(c.ExecutionID, parkedState)
	e.equal("the last", from("ann", points[2], "anything"), ff.SignalEffect("resume_condition_satisfied"))
	e.equal("resumed by", e.resumeSignals(c.ExecutionID), "resumed yes yes go anything")
	for i, want := range [][]int{{2, 2}, {4, 1}, {1, 1}} {
		w := e.waitpoint(c.ExecutionID, points[i]).Waitpoint
		e.equal("counts of "+w.Key, []int{w.SignalCount, w.MatchedCount}, want)
	}
	e.equal("signals", e.suspension(c.ExecutionID).SignalCount, 7)
	e.complete(e.claim())

	// One binding may have a key that no node names.
	c = e.running(ff.Submit{})
	p = e.suspend(c, ff.Suspend{Condition: ff.OnOperator()}).Waitpoints[0]
	e.equal("operator only", e.deliver(signal(c.ExecutionID, p, "yes")), ff.SignalEffect("no_op"))
	c = e.running(ff.Submit{})
	p = e.suspend(c, ff.Suspend{Condition: ff.OnTimeout(), Timeout: time.Hour}).Waitpoints[0]
	e.equal("timeout only", e.deliver(signal(c.ExecutionID, p, "yes")), ff.SignalEffect("no_op"))
	e.inState(c.ExecutionID, parkedState)
}

// testSignalConditions: chapter 40, section 2.2. A signal is "key name source"; the last one, and no other, resumes.
func testSignalConditions(e *env) {
	named := func(c ff.Condition, name string) ff.Condition {
		c.SignalName = name
		return c
	}
	for name, t := range map[string]struct {
		condition ff.Condition
		keys      []string
		signals   []string
	}{
		"any":                {ff.OnAny("a", "b"), []string{"a", "b"}, []string{"b x me"}},
		"all":                {ff.OnAll(ff.OnSignal("a"), ff.OnSignal("b")), []string{"a", "b"}, []string{"b x me", "b y me", "a x me"}},
		"two waitpoints":     {ff.OnCount(2, ff.DistinctWaitpoints, "a", "b"), []string{"a", "b"}, []string{"a x me", "a x you", "b x me"}},
		"two signals":        {ff.OnCount(2, ff.DistinctSignals, "a"), []string{"a"}, []string{"a x me", "a x me"}},
		"two sources":        {ff.OnCount(2, ff.DistinctSources, "a"), []string{"a"}, []string{"a x me", "a y me", "a x you"}},
		"two sources of yes": {named(ff.OnCount(2, ff.DistinctSources, "a"), "yes"), []string{"a"}, []string{"a yes me", "a no you", "a yes you"}},
		"FIX_S2 counts are apart": {
			ff.OnAll(ff.OnCount(2, ff.DistinctSignals, "a"), ff.OnCount(2, ff.DistinctSignals, "b")),
			[]string{"a", "b"},
			[]string{"a x me", "a x me", "a x me", "b x me", "b x me"},
		},
		"FIX_S3 nested": {
			ff.OnAll(ff.OnAll(ff.OnAll(ff.OnSignal("a")), ff.OnAll(ff.OnCount(1, ff.DistinctSignals, "b")))),
			[]string{"a", "b"},
			[]string{"b x me", "a x me"},
		},
		"one signal for two nodes": {
			ff.OnAll(ff.OnSignal("a"), named(ff.OnSignal("a"), "x"), ff.OnCount(1, ff.DistinctSources, "a")),
			[]string{"a"},
			[]string{"a y me", "a x me"},
		},
	} {
		c := e.running(ff.Submit{})
		points := make(map[string]ff.WaitpointGrant)
		for _, p := range e.suspend(c, ff.Suspend{Condition: t.condition, Waitpoints: bindings(t.keys...)}).Waitpoints {
			points[p.Key] = p
		}
		for i, text := range t.signals {
			word := strings.Fields(text)
			s := signal(c.ExecutionID, points[word[0]], word[1])
			s.SourceIdentity = word[2]
			effect := e.deliver(s)
			if last := i == len(t.signals)-1; last != (effect == "resume_condition_satisfied") {
				e.Errorf("%s: signal %d, %q: %s", name, i, text, effect)
			}
		}
		e.complete(e.claim())
	}
}

// testSignalResume: chapter 40, section 8.4, and FIX-S24.
func testSignalResume(e *env) {
	c := e.running(ff.Submit{})
	points := e.suspend(c, ff.Suspend{Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "b"), Timeout: time.Hour}).Waitpoints
	e.advance(time.Second)
	s := signal(c.ExecutionID, points[1], "go")
	s.SignalID, s.SourceIdentity = ff.NewSignalID(), "ann"
	e.deliver(s)
	x := e.inState(c.ExecutionID, mayContinue)
	e.equal("detail", x.BlockingDetail, "")
	e.equal("public state", x.PublicState, ff.PublicWaiting)
	e.closed(c.ExecutionID, "resumed", points...)
	got := e.suspension(c.ExecutionID)
	e.equal("who, and when", []any{got.Trigger, got.Actor, got.Closer, got.ClosedAt, got.LastSignalAt, got.SignalCount},
		[]any{ff.TriggerSignal, "ann", s.SignalID, e.pace.now(), e.pace.now(), 1})
	var last told
	for _, ev := range e.events(c.ExecutionID) {
		last = ev
	}
	e.equal("event", last, told{"signal", "resume_condition_satisfied", 0, ""})
	e.unchanged("a later signal", c.ExecutionID, func() {
		_, err := e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[0], "go"))
		e.refused("a later signal", err, "target_not_signalable")
	})
	e.advance(2 * time.Hour) // FIX-S29: the deadline is no more
	e.inState(c.ExecutionID, mayContinue)
	e.complete(e.claim())
}

func testSignalFidelity(e *env) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, payload := range map[string][]byte{"every byte": all, "none": nil, "at the bound": bytes.Repeat([]byte{0xff, 0}, 32768)} {
		c, p := e.parked(ff.Suspend{})
		at := e.pace.now()
		s := ff.Signal{
			ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Token: p.Token, SignalID: ff.NewSignalID(), Name: "gö", Category: "callback",
			SourceType: "webhook", SourceIdentity: "shop", CorrelationID: "c-1", CreatedAt: at - 7, Payload: payload, Encoding: "msgpack",
		}
		e.deliver(s)
		r, err := e.svc.ResumeSignals(e.Context(), c.ExecutionID)
		e.ok(err)
		e.equal(name, r, ff.ResumeSignals{CloseReason: "resumed", Signals: []ff.SignalSnapshot{{
			SignalID: s.SignalID, WaitpointID: p.WaitpointID, Name: "gö", Category: "callback", SourceType: "webhook", SourceIdentity: "shop",
			CorrelationID: "c-1", CreatedAt: at - 7, AcceptedAt: at, Effect: "resume_condition_satisfied", Payload: payload, Encoding: "msgpack",
		}}})
		e.complete(e.claim())
	}
	c, p := e.parked(ff.Suspend{})
	e.deliver(signal(c.ExecutionID, p, "go"))
	r, err := e.svc.ResumeSignals(e.Context(), c.ExecutionID)
	e.ok(err)
	s := r.Signals[0]
	e.equal("defaults", []any{s.Category, s.SourceType, s.SourceIdentity, s.Encoding, s.CreatedAt}, []any{"custom", "external_api", "", "json", s.AcceptedAt})
	next := e.claim()
	e.equal("the same attempt", e.resumeSignals(c.ExecutionID), "resumed go")
	e.complete(next)
	e.advance(time.Millisecond)
	e.replay(c.ExecutionID)
	next = e.claim()
	e.equal("another attempt", e.resumeSignals(c.ExecutionID), "")
	e.complete(next)
}

func testSignalInput(e *env) {
	c, p := e.parked(ff.Suspend{})
	for name, change := range map[string]func(s *ff.Signal){
		"no name":                    func(s *ff.Signal) { s.Name = "" },
		"long name":                  func(s *ff.Signal) { s.Name = strings.Repeat("n", 257) },
		"operator sentinel (FIX-S8)": func(s *ff.Signal) { s.Name = "__operator_only__" },
		"timeout sentinel (FIX-S8)":  func(s *ff.Signal) { s.Name = "__timeout_only__" },
		"scope":                      func(s *ff.Signal) { s.TargetScope = "world" },
		"remembered too long":        func(s *ff.Signal) { s.DedupTTL = 7*24*time.Hour + time.Millisecond },
		"negative memory":            func(s *ff.Signal) { s.DedupTTL = -time.Second },
		"delay too long":             func(s *ff.Signal) { s.ResumeDelay = new(time.Hour + time.Millisecond) },
		"negative delay":             func(s *ff.Signal) { s.ResumeDelay = new(-time.Millisecond) },
		"negative time":              func(s *ff.Signal) { s.CreatedAt = -1 },
		"no text":                    func(s *ff.Signal) { s.SourceIdentity = "\xff" },
		"no execution":               func(s *ff.Signal) { s.ExecutionID = ff.ExecutionID{} },
	} {
		s := signal(c.ExecutionID, p, "go")
		change(&s)
		e.untouched(name, func() { e.refused(name, errOf(e.svc.DeliverSignal(e.Context(), s)), "invalid_input") })
	}
	large := signal(c.ExecutionID, p, "go")
	large.Payload = make([]byte, 65537)
	e.untouched("a large payload", func() {
		e.refused("a large payload", errOf(e.svc.DeliverSignal(e.Context(), large)), "payload_too_large")
	})
	e.equal("a good one", e.deliver(signal(c.ExecutionID, p, "go")), ff.EffectResumed)
}

// testSignalForged: chapter 40, sections 7.3 and 8.2. Whatever the state of waitpoint and execution, the answer is the same.
func testSignalForged(e *env) {
	pendingOf := e.running(ff.Submit{})
	pending := e.createWaitpoint(pendingOf, approvalKey)
	activeOf, active := e.parked(ff.Suspend{})
	closedOf, closed := e.parked(ff.Suspend{})
	e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: closedOf.ExecutionID, WaitpointID: closed.WaitpointID})))
	endedOf, ended := e.parked(ff.Suspend{})
	e.cancel(endedOf.ExecutionID, "enough")
	never := e.submit(ff.Submit{})
	kid, digest, _ := strings.Cut(active.Token.Reveal(), ":")
	for what, t := range map[string]struct {
		token string
		want  ff.Code
	}{
		"no token":           {"", "missing_token"},
		"no colon":           {digest, "invalid_token"},
		"no kid":             {":" + digest, "invalid_token"},
		"no digest":          {kid + ":", "invalid_token"},
		"short digest":       {kid + ":" + digest[1:], "invalid_token"},
		"long digest":        {kid + ":" + digest + "0", "invalid_token"},
		"upper case":         {kid + ":" + strings.Repeat("AB", 32), "invalid_token"},
		"no hex":             {kid + ":" + strings.Repeat("z", 64), "invalid_token"},
		"unknown kid":        {"k77:" + digest, "invalid_token"},
		"a digest of zeros":  {kid + ":" + strings.Repeat("0", 64), "invalid_token"},
		"of another":         {e.tokenOfAnother(), "invalid_token"},
		"blanks around":      {" " + active.Token.Reveal(), "invalid_token"},
		"something after it": {active.Token.Reveal() + "\n", "invalid_token"},
	} {
		var first string
		for where, target := range map[string]ff.Signal{
			"pending": signal(pendingOf.ExecutionID, pending, "go"), "active": signal(activeOf.ExecutionID, active, "go"),
			"closed": signal(closedOf.ExecutionID, closed, "go"), "ended": signal(endedOf.ExecutionID, ended, "go"),
			"missing": signal(activeOf.ExecutionID, ff.WaitpointGrant{WaitpointID: ff.NewWaitpointID()}, "go"),
			"never":   signal(never, ff.WaitpointGrant{WaitpointID: ff.NewWaitpointID()}, "go"),
			"foreign": signal(activeOf.ExecutionID, closed, "go"),
		} {
			target.Token = ff.WaitpointToken(t.token)
			before := e.describe(target.ExecutionID)
			_, err := e.svc.DeliverSignal(e.Context(), target)
			e.refused(what+", "+where, err, t.want)
			if first == "" {
				first = fmt.Sprint(err)
			}
			e.equal(what+", "+where+": the whole answer", fmt.Sprint(err), first)
			e.equal("execution", e.describe(target.ExecutionID), before)
		}
	}
	e.refused("no execution", errOf(e.svc.DeliverSignal(e.Context(), signal(ff.SoloExecutionID(e.lane, ff.DefaultPartitions()), active, "go"))), "execution_not_found")

	// The one trace, once a minute.
	at := e.suspension(activeOf.ExecutionID).AuthFailedAt
	e.equal("noted", at, e.pace.now())
	forged := signal(activeOf.ExecutionID, active, "go")
	forged.Token = "k1:" + ff.WaitpointToken(strings.Repeat("0", 64))
	e.advance(59_999 * time.Millisecond)
	e.untouched("another within a minute", func() {
		e.refused("forged", errOf(e.svc.DeliverSignal(e.Context(), forged)), "invalid_token")
	})
	e.advance(time.Millisecond)
	e.refused("forged", errOf(e.svc.DeliverSignal(e.Context(), forged)), "invalid_token")
	e.equal("noted again", e.suspension(activeOf.ExecutionID).AuthFailedAt, at+60_000)
	e.equal("the right token", e.deliver(signal(activeOf.ExecutionID, active, "go")), ff.EffectResumed)
	e.drain()
}

// tokenOfAnother is a token that verifies, of a waitpoint nobody else has.
func (e *env) tokenOfAnother() string {
	e.Helper()
	id := e.submit(ff.Submit{})
	c, err := e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: id, LeaseTTL: leaseTTL})
	e.ok(err)
	p := e.createWaitpoint(c, approvalKey)
	e.complete(c)
	return p.Token.Reveal()
}

// drain completes what can be claimed, so that the next test has the lane for itself.
func (e *env) drain() {
	e.Helper()
	for _, c := range e.claimUpTo(1000) {
		e.complete(c)
	}
}

// testSignalState: chapter 40, section 8.2, steps 4 to 8.
func testSignalState(e *env) {
	refused := func(what string, c ff.Claimed, p ff.WaitpointGrant, want ff.Code) {
		e.Helper()
		e.untouched(what, func() {
			e.refused(what, errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), want)
			e.refused(what+", approved", errOf(e.svc.Approve(e.Context(), ff.Approval{
				ExecutionID: c.ExecutionID, Lane: e.lane, WaitpointID: p.WaitpointID, Name: "approved", Approver: "ann",
			})), want)
		})
	}
	c, p := e.parked(ff.Suspend{})
	e.cancel(c.ExecutionID, "enough")
	refused("ended", c, p, "target_not_signalable")

	c, p = e.parked(ff.Suspend{})
	c = e.continued(c, p)
	refused("not suspended any more", c, p, "target_not_signalable")
	pending := e.createWaitpoint(c, approvalKey)
	e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: pending.WaitpointID})))
	refused("closed before it was bound", c, pending, "target_not_signalable")
	q := e.suspend(c, ff.Suspend{}).Waitpoints[0]
	refused("of the suspension before", c, p, "waitpoint_closed")
	e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: q.WaitpointID})))
	refused("closed while it is suspended", c, q, "waitpoint_closed")
	e.inState(c.ExecutionID, parkedState)

	c = e.running(ff.Submit{})
	short, err := e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, ExpiresIn: time.Second})
	e.ok(err)
	e.pace.Advance(time.Second)
	err = errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, short, "go")))
	if code := codeOf(err); code != "waitpoint_closed" && code != "target_not_signalable" {
		e.Errorf("an expired waitpoint: %v", err)
	}
	e.advance(0)
	e.complete(c)
}

func testSignalDuplicates(e *env) {
	c := e.running(ff.Submit{})
	points := e.suspend(c, ff.Suspend{Condition: ff.OnAll(ff.OnCount(3, ff.DistinctSignals, "a"), ff.OnSignal("b")), Waitpoints: bindings("a", "b")}).Waitpoints
	first := signal(c.ExecutionID, points[0], "go")
	first.IdempotencyKey, first.SignalID = "k", ff.NewSignalID()
	e.deliver(first)
	duplicate := func(what string, s ff.Signal, of ff.SignalID) {
		e.Helper()
		e.untouched(what, func() {
			res, err := e.svc.DeliverSignal(e.Context(), s)
			e.ok(err)
			e.equal(what, res, ff.SignalResult{SignalID: of, Duplicate: true})
		})
	}
	again := first
	again.SignalID, again.Payload = ff.NewSignalID(), []byte("other")
	duplicate("the same key", again, first.SignalID)
	again = signal(c.ExecutionID, points[0], "other")
	again.SignalID = first.SignalID
	duplicate("the same id", again, first.SignalID)
	forged := first
	forged.Token = "k1:" + ff.WaitpointToken(strings.Repeat("0", 64))
	e.refused("a duplicate without authority", errOf(e.svc.DeliverSignal(e.Context(), forged)), "invalid_token")
	elsewhere := signal(c.ExecutionID, points[1], "go")
	elsewhere.IdempotencyKey = "k"
	e.equal("the key at another waitpoint", e.deliver(elsewhere), ff.EffectAppended)

	e.advance(24*time.Hour - time.Millisecond) // the default time
	again = first
	again.SignalID = ff.SignalID{}
	duplicate("at the end of its time", again, first.SignalID)
	e.advance(time.Millisecond)
	again.DedupTTL = time.Second
	e.equal("after its time", e.deliver(again), ff.EffectAppended)
	e.advance(time.Second)
	e.equal("after its own time", e.deliver(again), ff.EffectResumed)
	e.drain()
	first.IdempotencyKey = "" // that is of the last one now
	duplicate("after the end", first, first.SignalID)
}

func testSignalLimit(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{MaxSignals: new(uint32(3))}})
	pending := e.createWaitpoint(c, approvalKey)
	e.deliver(signal(c.ExecutionID, pending, "buffered"))
	p := e.suspend(c, ff.Suspend{Waitpoints: pendingBinding(pending), Condition: ff.OnNamed(approvalKey, "go")}).Waitpoints[0]
	e.deliver(signal(c.ExecutionID, p, "ignored"))
	e.equal("at the bound", e.deliver(signal(c.ExecutionID, p, "ignored")), ff.EffectNoOp)
	e.untouched("one over", func() {
		e.refused("one over", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), "signal_limit_exceeded")
	})
	e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})))
	c = e.claim()
	p = e.suspend(c, ff.Suspend{}).Waitpoints[0] // it counts over all suspensions
	e.untouched("of the next suspension", func() {
		e.refused("one over", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), "signal_limit_exceeded")
	})
}

// signalBufferTests have a store of their own: they fill it.
var signalBufferTests = []behaviour{{"BufferedSignalsAreLimited", testSignalBufferLimit}}

func testSignalBufferLimit(e *env) {
	c := e.running(ff.Submit{})
	p := e.createWaitpoint(c, approvalKey)
	var senders sync.WaitGroup // many at once, which share commits: one by one it takes a while
	for range 100 {
		senders.Go(func() {
			for range 10 {
				if res, err := e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go")); res.Effect != ff.EffectBuffered || err != nil {
					e.Errorf("signal: %+v, %v", res, err)
				}
			}
		})
	}
	senders.Wait()
	e.refused("buffered, one over", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), "signal_limit_exceeded")
	e.complete(c)
}

func testSignalLimitDuplicate(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{MaxSignals: new(uint32(1))}})
	p := e.suspend(c, ff.Suspend{Condition: ff.OnNamed(approvalKey, "go")}).Waitpoints[0]
	s := signal(c.ExecutionID, p, "other")
	s.IdempotencyKey = "k"
	e.deliver(s)
	res, err := e.svc.DeliverSignal(e.Context(), s)
	e.ok(err)
	e.equal("duplicate", res.Duplicate, true)
}

func testSignalDelay(e *env) {
	for name, t := range map[string]struct {
		suspension time.Duration
		signal     *time.Duration
		want       time.Duration
	}{
		"of the suspension": {2 * time.Second, nil, 2 * time.Second},
		"of the signal":     {2 * time.Second, new(5 * time.Second), 5 * time.Second},
		"none at all":       {2 * time.Second, new(time.Duration(0)), 0},
		"at the bound":      {0, new(time.Hour), time.Hour},
	} {
		c, p := e.parked(ff.Suspend{ResumeDelay: t.suspension})
		s := signal(c.ExecutionID, p, "go")
		s.ResumeDelay = t.signal
		e.deliver(s)
		e.closed(c.ExecutionID, "resumed", p)
		if t.want > 0 {
			x := e.inState(c.ExecutionID, resumeDelayed)
			e.equal(name, []any{x.PublicState, x.BlockingDetail, x.DelayUntil},
				[]any{ff.PublicDelayed, fmt.Sprintf("resume delay %dms after signal go", t.want.Milliseconds()), e.pace.now().Add(t.want)})
			e.advance(t.want - time.Millisecond)
			e.nothingClaimable(name)
			e.advance(time.Millisecond)
		}
		e.inState(c.ExecutionID, mayContinue)
		e.complete(e.claim())
	}
}

// testSignalOld: I21, FIX-S0. However the first suspension ended, its token resumes no other.
func testSignalOld(e *env) {
	for name, end := range map[string]func(c ff.Claimed, points []ff.WaitpointGrant){
		"signal":  func(c ff.Claimed, p []ff.WaitpointGrant) { e.deliver(signal(c.ExecutionID, p[1], "go")) },
		"timeout": func(ff.Claimed, []ff.WaitpointGrant) { e.advance(time.Hour) },
		"operator": func(c ff.Claimed, _ []ff.WaitpointGrant) {
			e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})))
		},
		"close, then operator": func(c ff.Claimed, p []ff.WaitpointGrant) {
			for _, w := range p {
				e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: w.WaitpointID})))
			}
			e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})))
		},
	} {
		c := e.running(ff.Submit{})
		old := e.suspend(c, ff.Suspend{
			Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "b"), Timeout: time.Hour, TimeoutBehavior: ff.TimeoutResumes,
		}).Waitpoints
		end(c, old)
		c = e.claim()
		next := e.suspend(c, ff.Suspend{Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "b")}).Waitpoints
		for _, p := range old {
			e.untouched("the old token", func() {
				e.refused(name, errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), "waitpoint_closed")
			})
		}
		e.inState(c.ExecutionID, parkedState)
		e.equal("the new one", e.deliver(signal(c.ExecutionID, next[0], "go")), ff.EffectResumed)
		e.drain()
	}
}

func testSignalBuffered(e *env) {
	c := e.running(ff.Submit{})
	p := e.createWaitpoint(c, approvalKey)
	s := signal(c.ExecutionID, p, "one")
	s.Payload = []byte("first")
	e.equal("early", e.deliver(s), ff.SignalEffect("buffered_for_pending_waitpoint"))
	e.equal("early", e.deliver(signal(c.ExecutionID, p, "two")), ff.SignalEffect("buffered_for_pending_waitpoint"))
	w := e.waitpoint(c.ExecutionID, p)
	e.equal("no counters", []int{w.Waitpoint.SignalCount, w.Waitpoint.MatchedCount, len(w.Signals)}, []int{0, 0, 2})
	before := e.describe(c.ExecutionID)
	cmd := ff.Suspend{Waitpoints: pendingBinding(p), Condition: ff.OnCount(2, ff.DistinctSignals, approvalKey), IdempotencyKey: "k"}
	res, err := e.trySuspend(c, cmd)
	e.ok(err)
	e.equal("answer", res, ff.Suspended{AlreadySatisfied: true, SuspensionID: res.SuspensionID, Waitpoints: []ff.WaitpointGrant{p}})
	e.equal("execution", e.describe(c.ExecutionID), before)
	e.equal("no suspension", e.suspension(c.ExecutionID).SuspensionID, ff.SuspensionID{})
	w = e.waitpoint(c.ExecutionID, p)
	e.equal("waitpoint", []any{w.Waitpoint.State, w.Waitpoint.CloseReason}, []any{ff.WaitpointClosed, "resumed"})
	e.equal("what came", []string{w.Signals[0].Name + string(w.Signals[0].Payload), w.Signals[1].Name}, []string{"onefirst", "two"})
	again, err := e.trySuspend(c, cmd)
	e.ok(err)
	e.equal("repeat", again, res)
	_, err = e.renew(c, leaseTTL) // I12
	e.ok(err)
	e.complete(c)

	c = e.running(ff.Submit{})
	p = e.createWaitpoint(c, approvalKey)
	e.deliver(signal(c.ExecutionID, p, "one"))
	e.suspend(c, ff.Suspend{Waitpoints: pendingBinding(p), Condition: ff.OnCount(2, ff.DistinctSignals, approvalKey)})
	e.equal("what was buffered counts", e.deliver(signal(c.ExecutionID, p, "two")), ff.EffectResumed)
	e.equal("resumed by", e.resumeSignals(c.ExecutionID), "resumed one two")
	e.complete(e.claim())

	// A waitpoint outlives the attempt that made it: its token was given away.
	c = e.running(ff.Submit{})
	p = e.createWaitpoint(c, approvalKey)
	e.advance(leaseTTL)
	next := e.claim()
	e.equal("reclaimed", next.ExecutionID, c.ExecutionID)
	e.deliver(signal(c.ExecutionID, p, "go"))
	res, err = e.trySuspend(next, ff.Suspend{Waitpoints: pendingBinding(p)})
	e.ok(err)
	e.equal("satisfied", res.AlreadySatisfied, true)
	e.complete(next)
}

// testSignalOrder: whatever the signals, before or after makes no difference to what they come to.
func testSignalOrder(e *env) {
	conditions := []ff.Condition{
		ff.OnSignal("k"), ff.OnNamed("k", "a"), ff.OnCount(2, ff.DistinctSignals, "k"), ff.OnCount(2, ff.DistinctSources, "k"),
		ff.OnAll(ff.OnNamed("k", "a"), ff.OnNamed("k", "b")), ff.OnAll(ff.OnNamed("k", "b"), ff.OnAll(ff.OnCount(2, ff.DistinctSources, "k"))),
	}
	rounds := 0
	rapid.Check(e, func(r *rapid.T) {
		if rounds++; rounds > 30 { // each is a dozen commits
			return
		}
		condition := rapid.SampledFrom(conditions).Draw(r, "condition")
		n := rapid.IntRange(0, 4).Draw(r, "signals")
		signals := make([]ff.Signal, n)
		for i := range signals {
			signals[i] = ff.Signal{
				SignalID: ff.NewSignalID(), Name: rapid.SampledFrom([]string{"a", "b"}).Draw(r, "name"),
				SourceIdentity: rapid.SampledFrom([]string{"ann", "bob"}).Draw(r, "source"),
			}
		}
		var outcomes []string
		for _, early := range []int{0, rapid.IntRange(0, n).Draw(r, "early"), n} {
			outcomes = append(outcomes, e.satisfies(condition, signals, early))
		}
		if outcomes[0] != outcomes[1] || outcomes[0] != outcomes[2] {
			r.Fatalf("by how many signals came before the suspension: %q", outcomes)
		}
	})
}

// satisfies tells whether signals satisfy a condition, and which of them do, when so many come before the suspension.
func (e *env) satisfies(condition ff.Condition, signals []ff.Signal, early int) string {
	e.Helper()
	c := e.running(ff.Submit{})
	p := e.createWaitpoint(c, "k")
	send := func(list []ff.Signal) {
		for _, s := range list {
			s.ExecutionID, s.WaitpointID, s.Token = c.ExecutionID, p.WaitpointID, p.Token
			if _, err := e.svc.DeliverSignal(e.Context(), s); err != nil {
				e.refused("a signal after the resume", err, "target_not_signalable")
			}
		}
	}
	send(signals[:early])
	res, err := e.trySuspend(c, ff.Suspend{Waitpoints: pendingBinding(p), Condition: condition})
	e.ok(err)
	send(signals[early:])
	w := e.waitpoint(c.ExecutionID, p)
	satisfied := w.Waitpoint.CloseReason == "resumed"
	if !res.AlreadySatisfied {
		if !satisfied {
			e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})))
		}
		c = e.claim()
	}
	e.complete(c)
	return fmt.Sprint(satisfied)
}

// testSignalOperator: chapter 40, section 9.
func testSignalOperator(e *env) {
	for name, t := range map[string]struct {
		condition ff.Condition
		cmd       ff.ResumeExecution
		trigger   ff.ResumeTrigger
	}{
		"default":       {ff.OnSignal(approvalKey), ff.ResumeExecution{Actor: "ops", Reason: "lost mail"}, "operator"},
		"operator only": {ff.OnOperator(), ff.ResumeExecution{Trigger: "operator"}, "operator"},
		"a count":       {ff.OnCount(9, ff.DistinctSignals, approvalKey), ff.ResumeExecution{Trigger: "auto_resume", Delay: time.Second}, "auto_resume"},
	} {
		c, p := e.parked(ff.Suspend{Condition: t.condition})
		if t.condition.Kind != ff.ConditionSingle {
			e.deliver(signal(c.ExecutionID, p, "not enough"))
		}
		t.cmd.ExecutionID = c.ExecutionID
		res, err := e.svc.Resume(e.Context(), t.cmd)
		e.ok(err)
		want, state := ff.PublicWaiting, mayContinue
		if t.cmd.Delay > 0 {
			want, state = ff.PublicDelayed, resumeDelayed
		}
		e.equal(name, res, ff.ResumeResult{PublicState: want})
		x := e.inState(c.ExecutionID, state)
		if t.cmd.Delay > 0 {
			e.equal("detail", x.BlockingDetail, "resume delay 1000ms")
		}
		e.closed(c.ExecutionID, "resumed", p)
		s := e.suspension(c.ExecutionID)
		e.equal("who and why", []any{s.Trigger, s.Actor, s.Detail}, []any{t.trigger, t.cmd.Actor, t.cmd.Reason})
		e.equal("signals the worker is told of", e.resumeSignals(c.ExecutionID), "resumed")
		e.untouched("a second resume", func() {
			e.refused("a second resume", errOf(e.svc.Resume(e.Context(), t.cmd)), "execution_not_suspended")
		})
		e.advance(t.cmd.Delay)
		e.complete(e.claim())
	}
	c, _ := e.parked(ff.Suspend{})
	e.untouched("bad resumes", func() {
		for name, cmd := range map[string]ff.ResumeExecution{
			"trigger": {Trigger: "moon"}, "delay": {Delay: -1}, "actor": {Actor: strings.Repeat("a", 257)}, "reason": {Reason: strings.Repeat("a", ff.MaxReasonBytes+1)},
		} {
			cmd.ExecutionID = c.ExecutionID
			e.refused(name, errOf(e.svc.Resume(e.Context(), cmd)), "invalid_input")
		}
		nobody := ff.ResumeExecution{ExecutionID: ff.SoloExecutionID(e.lane, ff.DefaultPartitions())}
		e.refused("nobody", errOf(e.svc.Resume(e.Context(), nobody)), "execution_not_found")
	})
}

// testSignalApproval: chapter 40, section 8.8, and FIX-S23.
func testSignalApproval(e *env) {
	c, p := e.parked(ff.Suspend{Condition: ff.OnCount(2, ff.DistinctSources, approvalKey), Reason: ff.WaitForApproval})
	approve := func(who, name string) (ff.SignalResult, error) {
		return e.svc.Approve(e.Context(), ff.Approval{
			ExecutionID: c.ExecutionID, Lane: e.lane, WaitpointID: p.WaitpointID, Name: name, Approver: who, Payload: []byte(who),
		})
	}
	e.untouched("what is refused", func() {
		_, err := e.svc.Approve(e.Context(), ff.Approval{
			ExecutionID: c.ExecutionID, Lane: "elsewhere", WaitpointID: p.WaitpointID, Name: "approved", Approver: "ann",
		})
		e.refused("another lane", err, "invalid_input")
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("lane_mismatch: args.lane_id=elsewhere exec_core.lane_id=%s", e.lane)) {
			e.Errorf("another lane: %v", err)
		}
		_, err = e.svc.Approve(e.Context(), ff.Approval{
			ExecutionID: c.ExecutionID, Lane: e.lane, WaitpointID: ff.NewWaitpointID(), Name: "approved", Approver: "ann",
		})
		e.refused("no waitpoint", err, "waitpoint_not_found")
		_, err = approve("", "approved")
		e.refused("nobody", err, "invalid_input")
		_, err = approve("ann", "")
		e.refused("nothing", err, "invalid_input")
	})
	first, err := approve("ann", "approved")
	e.ok(err)
	e.equal("first", first.Effect, ff.EffectAppended)
	e.untouched("a repeat", func() {
		again, err := approve("ann", "approved")
		e.ok(err)
		e.equal("a repeat", again, ff.SignalResult{SignalID: first.SignalID, Duplicate: true})
	})
	second, err := approve("bob", "approved")
	e.ok(err)
	e.equal("second", second.Effect, ff.EffectResumed)
	r, err := e.svc.ResumeSignals(e.Context(), c.ExecutionID)
	e.ok(err)
	who := make(map[string]string)
	for _, s := range r.Signals {
		who[s.SourceIdentity] = strings.Join([]string{s.Name, s.Category, s.SourceType, string(s.Payload)}, " ")
	}
	e.equal("who", who, map[string]string{"ann": "approved approval operator ann", "bob": "approved approval operator bob"})
	e.complete(e.claim())
}
