package servicetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var suspendInputTests = []behaviour{
	{"BadCallsAreRefused", testSuspendInput},
	{"WhatIsAtTheBoundIsNot", testSuspendBounds},
	{"I11_RefusedByTheFence", testSuspendFence},
	{"I11_RefusedByTheBinding", testSuspendBindings},
	{"I10_AKeyHasOneAnswer", testSuspendKey},
	{"I10_AKeyIsRememberedForItsTime", testSuspendKeyTime},
	{"TheSameSuspensionAnswersAgain", testSuspendAgain},
}

// nested is an AllOf of a depth around a leaf.
func nested(depth int) ff.Condition {
	c := ff.OnSignal("k")
	for range depth {
		c = ff.OnAll(c)
	}
	return c
}

// longKeys are n keys of a length.
func longKeys(n, each int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%0*d", each, i)
	}
	return keys
}

func bindings(keys ...string) []ff.WaitpointBinding {
	list := make([]ff.WaitpointBinding, len(keys))
	for i, key := range keys {
		list[i].Key = key
	}
	return list
}

// testSuspendInput: chapter 40, sections 2.3 and 4.1. None of it touches the store.
func testSuspendInput(e *env) {
	one := ff.OnSignal("k")
	sixtyFive := longKeys(65, 4)
	c := e.running(ff.Submit{})
	e.seal(c) // now there is a secret
	for _, bad := range []struct {
		cmd  ff.Suspend
		want string // how the detail begins
	}{
		{ff.Suspend{Condition: one, Waitpoints: []ff.WaitpointBinding{}}, "waitpoints_empty"},
		{ff.Suspend{Condition: one, Waitpoints: bindings("other")}, "waitpoint_key_mismatch"},
		{ff.Suspend{Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "")}, "additional_waitpoint_binding_empty_key at waitpoints[1]"},
		{
			ff.Suspend{Condition: ff.OnAny("a", "b"), Waitpoints: []ff.WaitpointBinding{{Key: "a"}, {WaitpointID: ff.NewWaitpointID(), Key: "b", Pending: true}}},
			"additional_waitpoint_binding_must_be_fresh at waitpoints[1]",
		},
		{ff.Suspend{Condition: ff.OnAny("a", "c"), Waitpoints: bindings("a", "b")}, "referenced_waitpoint_key_missing_binding: c"},
		{ff.Suspend{Condition: ff.OnSignal("a"), Waitpoints: bindings("a", "b")}, "extra_binding_not_referenced_by_condition: b"},
		{ff.Suspend{Condition: ff.OnTimeout()}, "timeout_only_without_deadline"},
		{ff.Suspend{Condition: one, TimeoutAt: e.pace.now() - 600_001}, "timeout_at_in_past"},
		{ff.Suspend{Condition: ff.OnAll()}, "allof_empty_members at path <root>"},
		{ff.Suspend{Condition: ff.OnAll(ff.OnSignal("k"), ff.OnAll())}, "allof_empty_members at path members[1]"},
		{ff.Suspend{Condition: ff.OnCount(0, ff.DistinctSignals, "k")}, "count_n_zero at path <root>"},
		{ff.Suspend{Condition: ff.OnAll(ff.OnAll(ff.OnCount(0, ff.DistinctSignals, "k")))}, "count_n_zero at path members[0].members[0]"},
		{ff.Suspend{Condition: ff.OnCount(1, ff.DistinctSignals)}, "count_waitpoints_empty at path <root>"},
		{
			ff.Suspend{Condition: ff.OnCount(3, ff.DistinctWaitpoints, "a", "b"), Waitpoints: bindings("a", "b")},
			"count_exceeds_waitpoint_set: n=3 > waitpoints.len()=2 at path <root>",
		},
		{ff.Suspend{Condition: nested(5)}, "depth 5 exceeds cap 4 at path members[0].members[0].members[0].members[0]"},
		// FIX-S7, FIX-S8, FIX-S10, FIX-S11
		{ff.Suspend{Condition: ff.OnAll(ff.OnSignal("k"), ff.OnOperator())}, "operator_only_in_composite at path members[1]"},
		{ff.Suspend{Condition: ff.OnAll(ff.OnSignal("k"), ff.OnTimeout()), Timeout: time.Hour}, "timeout_only_in_composite at path members[1]"},
		{ff.Suspend{Condition: ff.OnNamed("k", "__operator_only__")}, "reserved_signal_name __operator_only__ at path <root>"},
		{ff.Suspend{Condition: ff.OnNamed("k", "__timeout_only__")}, "reserved_signal_name __timeout_only__ at path <root>"},
		{ff.Suspend{Condition: ff.OnCount(1, ff.DistinctSignals, "k", "k")}, "count_waitpoints_repeated at path <root>"},
		{ff.Suspend{Condition: ff.OnAny("a", "b")}, "referenced_waitpoint_key_missing_binding: a"}, // with one binding, too
		{ff.Suspend{Condition: ff.OnSignal("a"), Waitpoints: bindings("a", "a")}, "waitpoint_bound_twice at waitpoints[1]"},
		{ff.Suspend{Condition: ff.OnAny(longKeys(60, 256)...), Waitpoints: bindings(longKeys(60, 256)...)}, "condition_too_large"},
		{ff.Suspend{Condition: ff.OnAny(sixtyFive...), Waitpoints: bindings(sixtyFive...)}, "too_many_waitpoints"},
		{ff.Suspend{Condition: ff.OnCount(1001, ff.DistinctSignals, "k")}, "count_n_too_large"},
		{ff.Suspend{Condition: ff.OnCount(1, "DistinctMoons", "k")}, "unknown_count_kind"},
		{ff.Suspend{Condition: ff.Condition{Kind: "maybe"}}, "unknown_condition"},
		{ff.Suspend{Condition: one, Timeout: -1}, "timeout"},
		{ff.Suspend{Condition: one, ResumeDelay: -1}, "timeout"},
		{ff.Suspend{Condition: one, Timeout: time.Second, TimeoutAt: e.pace.now() + 1}, "timeout"},
		{ff.Suspend{Condition: one, TimeoutAt: -1}, "timeout_at"},
		{ff.Suspend{Condition: one, TimeoutBehavior: "explode"}, "timeout_behavior"},
		{ff.Suspend{Condition: one, Reason: ff.WaitReason(strings.Repeat("r", 257))}, "reason_code"},
		{ff.Suspend{Condition: one, RequestedBy: ff.Requester(strings.Repeat("r", 257))}, "requested_by"},
		{ff.Suspend{Condition: one, Continuation: strings.Repeat("c", 4097)}, "continuation_metadata_pointer"},
		{ff.Suspend{Condition: one, IdempotencyKey: strings.Repeat("i", 257)}, "idempotency_key"},
		{ff.Suspend{Condition: ff.OnSignal(strings.Repeat("k", 257))}, "waitpoint_key"},
	} {
		e.untouched(bad.want, func() {
			_, err := e.trySuspend(c, bad.cmd)
			e.refused(bad.want, err, "invalid_input")
			e.detailed(err, bad.want)
		})
	}
	e.complete(c)
}

// detailed fails the test unless the detail of an error begins with a text.
func (e *env) detailed(err error, want string) {
	e.Helper()
	if coded := new(ff.Error); !errors.As(err, &coded) || !strings.HasPrefix(coded.Detail, want) {
		e.Errorf("error %v; want a detail that begins with %q", err, want)
	}
}

func testSuspendBounds(e *env) {
	for name, cmd := range map[string]ff.Suspend{
		"depth":         {Condition: nested(4), Waitpoints: bindings("k")},
		"waitpoints":    {Condition: ff.OnAny(longKeys(64, 4)...), Waitpoints: bindings(longKeys(64, 4)...)},
		"count":         {Condition: ff.OnCount(1000, ff.DistinctSignals, "k")},
		"past deadline": {TimeoutAt: e.pace.now() - 600_000, TimeoutBehavior: ff.TimeoutEscalate},
		"continuation":  {Continuation: strings.Repeat("c", 4096)},
		"reason":        {Reason: ff.WaitReason(strings.Repeat("r", 256))},
		"key":           {Condition: ff.OnSignal(strings.Repeat("k", 256))},
	} {
		c := e.running(ff.Submit{})
		_, err := e.trySuspend(c, cmd)
		if err != nil {
			e.Errorf("%s: %v", name, err)
		}
	}
	e.advance(0) // a deadline has passed: that is not to happen during the next test
}

// testSuspendFence: chapter 40, section 5, steps 2 to 9.
func testSuspendFence(e *env) {
	c := e.running(ff.Submit{})
	refused := func(what string, c ff.Claimed, want ff.Code) {
		e.Helper()
		e.untouched(what, func() {
			_, err := e.trySuspend(c, ff.Suspend{})
			e.refused("suspend, "+what, err, want)
			_, err = e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, ExpiresIn: time.Hour})
			e.refused("create waitpoint, "+what, err, want)
			_, err = e.svc.RecordStep(e.Context(), ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: "s"})
			e.refused("record step, "+what, err, want)
		})
	}
	with := func(change func(f *ff.Fence)) ff.Claimed {
		n := c
		change(&n.Fence)
		return n
	}
	e.untouched("nobody", func() {
		nobody := c
		nobody.ExecutionID = ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
		refused("no execution", nobody, "execution_not_found")
	})
	refused("no fence", with(func(f *ff.Fence) { *f = ff.Fence{} }), "fence_required")
	refused("half a fence", with(func(f *ff.Fence) { f.LeaseID = ff.LeaseID{} }), "partial_fence_triple")
	refused("another lease", with(func(f *ff.Fence) { f.LeaseID = ff.LeaseID{7} }), "stale_lease")
	refused("another epoch", with(func(f *ff.Fence) { f.Epoch++ }), "stale_lease")
	refused("another attempt", with(func(f *ff.Fence) { f.AttemptID = ff.AttemptID{7} }), "stale_lease")
	refused("another index", with(func(f *ff.Fence) { f.AttemptIndex = 1 }), "stale_lease")
	e.suspend(c, ff.Suspend{})
	refused("suspended", c, "already_suspended")
	refused("somebody else while it is suspended", with(func(f *ff.Fence) { f.Epoch = 9 }), "execution_not_active")

	c = e.running(ff.Submit{})
	e.ok(errOf(e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})))
	refused("revoked", c, "lease_revoked")
	e.complete(e.claim())
	refused("ended", c, "execution_not_active")

	c = e.running(ff.Submit{})
	e.advance(leaseTTL)
	refused("the lease ran out", c, "lease_expired")
	e.complete(e.claim())
}

// testSuspendBindings: chapter 40, section 5, the table of pending waitpoints, and FIX-S33.
func testSuspendBindings(e *env) {
	other := e.running(ff.Submit{})
	foreign := e.createWaitpoint(other, approvalKey)
	c := e.running(ff.Submit{})
	refused := func(what string, cmd ff.Suspend, want ff.Code) {
		e.Helper()
		e.untouched(what, func() {
			_, err := e.trySuspend(c, cmd)
			e.refused(what, err, want)
		})
	}
	pending := func(p ff.WaitpointGrant) ff.Suspend { return ff.Suspend{Waitpoints: pendingBinding(p)} }
	refused("no waitpoint", pending(ff.WaitpointGrant{WaitpointID: ff.NewWaitpointID()}), "waitpoint_not_found")
	refused("no id", ff.Suspend{Waitpoints: []ff.WaitpointBinding{{Pending: true}}}, "invalid_input")
	refused("of another execution", pending(foreign), "waitpoint_not_found")
	p := e.createWaitpoint(c, approvalKey)
	refused("with extras", ff.Suspend{
		Waitpoints: append(pendingBinding(p), bindings("more")...), Condition: ff.OnAny(approvalKey, "more"),
	}, "use_pending_with_extras_unsupported")
	refused("a key it has not", ff.Suspend{Waitpoints: pendingBinding(p), Condition: ff.OnSignal("other")}, "invalid_input")
	refused("a fresh one of its id", ff.Suspend{Waitpoints: []ff.WaitpointBinding{{WaitpointID: p.WaitpointID}}}, "waitpoint_already_exists")
	e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID})))
	refused("closed", pending(p), "waitpoint_not_pending")
	short, err := e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, Key: approvalKey, ExpiresIn: time.Second})
	e.ok(err)
	e.pace.Advance(time.Second) // whether the sweep was there or not (I20)
	_, err = e.trySuspend(c, pending(short))
	if code := codeOf(err); code != "pending_waitpoint_expired" && code != "waitpoint_not_pending" {
		e.Errorf("expired: %v", err)
	}
	e.advance(0)
	last := e.createWaitpoint(c, approvalKey)
	e.equal("key", e.suspend(c, pending(last)).Waitpoints, []ff.WaitpointGrant{last})
	c = e.continued(c, last)
	refused("bound before", pending(last), "waitpoint_not_pending")
	e.complete(c)
	e.complete(other)
}

// continued resumes an execution by a signal and claims it.
func (e *env) continued(c ff.Claimed, p ff.WaitpointGrant) ff.Claimed {
	e.Helper()
	e.equal("signal", e.deliver(signal(c.ExecutionID, p, "go")), ff.EffectResumed)
	again, err := e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: c.ExecutionID, LeaseTTL: leaseTTL})
	e.ok(err)
	return again
}

func testSuspendKey(e *env) {
	c := e.running(ff.Submit{})
	cmd := ff.Suspend{IdempotencyKey: "k", Condition: ff.OnAny("a", "b"), Waitpoints: bindings("a", "b"), Timeout: time.Hour}
	first := e.suspend(c, cmd)
	again := func(what string) {
		e.Helper()
		e.untouched(what, func() {
			res, err := e.trySuspend(c, cmd) // other ids are minted for it
			e.ok(err)
			e.equal(what, res, first)
			for i := range res.Waitpoints {
				e.equal(what+", token", res.Waitpoints[i].Token.Reveal(), first.Waitpoints[i].Token.Reveal())
			}
		})
	}
	again("while it is suspended")
	other := cmd
	other.Continuation = "else"
	e.untouched("another body", func() {
		_, err := e.trySuspend(c, other)
		e.refused("another body", err, "idempotency_conflict")
	})
	e.deliver(signal(c.ExecutionID, first.Waitpoints[1], "go"))
	again("after it was resumed")
	next := e.claim()
	again("while another holds the lease")
	e.complete(next)
	again("after the end")

	c = e.running(ff.Submit{})
	second := e.suspend(c, cmd)
	e.equal("the key is the execution's", second.SuspensionID == first.SuspensionID, false)
	e.untouched("a refused call", func() { // errors are not remembered
		_, err := e.trySuspend(c, ff.Suspend{IdempotencyKey: "late"})
		e.refused("a refused call", err, "already_suspended")
	})
	c = e.continued(c, second.Waitpoints[0])
	e.suspend(c, ff.Suspend{IdempotencyKey: "late"})
}

// testSuspendKeyTime: a minute after the deadline, or seven days.
func testSuspendKeyTime(e *env) {
	for _, t := range []struct {
		timeout, kept time.Duration
	}{{time.Hour, time.Hour + time.Minute}, {0, 7 * 24 * time.Hour}, {10 * 24 * time.Hour, 7 * 24 * time.Hour}} {
		c := e.running(ff.Submit{})
		cmd := ff.Suspend{IdempotencyKey: "k", Timeout: t.timeout}
		first := e.suspend(c, cmd)
		c = e.continued(c, first.Waitpoints[0])
		e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: t.kept})))
		e.advance(t.kept - time.Millisecond)
		res, err := e.trySuspend(c, cmd)
		e.ok(err)
		e.equal("in time", res, first)
		e.advance(time.Millisecond)
		c = e.claim()
		res = e.suspend(c, cmd)
		e.equal("a new suspension", res.SuspensionID == first.SuspensionID, false)
	}
}

func testSuspendAgain(e *env) {
	c := e.running(ff.Submit{})
	cmd := ff.Suspend{SuspensionID: ff.NewSuspensionID(), Waitpoints: []ff.WaitpointBinding{{WaitpointID: ff.NewWaitpointID()}}}
	first := e.suspend(c, cmd)
	e.equal("its id", first.SuspensionID, cmd.SuspensionID)
	e.untouched("a repeat", func() { e.equal("a repeat", e.suspend(c, cmd), first) })
	again := e.continued(c, first.Waitpoints[0])
	e.untouched("a late repeat", func() { e.equal("a late repeat", e.suspend(c, cmd), first) })
	e.complete(again)
}
