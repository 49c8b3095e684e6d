package servicetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var waitpointTests = []behaviour{
	{"AWaitpointIsMadeOnce", testWaitpointCreated},
	{"BadWaitpointsAreRefused", testWaitpointInput},
	{"AWaitpointIsClosed", testWaitpointClosed},
	{"I20_WhatNobodyWaitedForExpires", testWaitpointExpiry},
	{"I18_ListsArePaged", testWaitpointPages},
	{"I16_ATokenIsToldToWhomItIsMeant", testWaitpointSecrecy},
	{"ASuspensionEndsWithAllWaitpoints", testWaitpointRemoval},
}

// rotationTests have a store of their own: its secrets are theirs.
var rotationTests = []behaviour{
	{"I14_TokensOfARetiredSecretHaveTheirGrace", testRotationGrace},
	{"UnderLoadNoValidTokenIsLost", testRotationLoad},
}

func testWaitpointCreated(e *env) {
	c := e.running(ff.Submit{})
	at := e.pace.now()
	cmd := ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, WaitpointID: ff.NewWaitpointID(), Key: "k", ExpiresIn: time.Minute}
	p, err := e.svc.CreateWaitpoint(e.Context(), cmd)
	e.ok(err)
	e.equal("grant", []any{p.WaitpointID, p.Key}, []any{cmd.WaitpointID, "k"})
	kid, fingerprint := p.Token.Fingerprint()
	e.equal("waitpoint", e.waitpoint(c.ExecutionID, p).Waitpoint, ff.WaitpointSnapshot{
		ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Key: "k", State: "pending", CreatedAt: at, ExpiresAt: at + 60_000,
		TokenKid: kid, TokenFingerprint: fingerprint,
	})
	e.advance(time.Second)
	e.untouched("a repeat", func() {
		again, err := e.svc.CreateWaitpoint(e.Context(), cmd)
		e.ok(err)
		e.equal("a repeat", again, p)
		cmd.Key = "other"
		e.refused("another key", errOf(e.svc.CreateWaitpoint(e.Context(), cmd)), "waitpoint_already_exists")
	})
	token, err := e.svc.WaitpointToken(e.Context(), c.ExecutionID, p.WaitpointID)
	e.ok(err)
	e.equal("its token", token.Reveal(), p.Token.Reveal())
	if text := p.Token.Reveal(); len(text) != len(kid)+1+64 || text[:len(kid)+1] != kid+":" || strings.Trim(text[len(kid)+1:], "0123456789abcdef") != "" {
		e.Errorf("a token of %d bytes; want the kid, a colon and 64 lower-case digits", len(text))
	}
	_, err = e.svc.WaitpointToken(e.Context(), c.ExecutionID, ff.NewWaitpointID())
	e.refused("the token of none", err, "waitpoint_not_found")
	e.complete(c)
}

func testWaitpointInput(e *env) {
	c := e.running(ff.Submit{})
	e.seal(c)
	e.untouched("bad waitpoints", func() {
		for name, cmd := range map[string]ff.CreateWaitpoint{
			"no time":     {},
			"too short":   {ExpiresIn: time.Millisecond - 1},
			"past":        {ExpiresIn: -time.Second},
			"too long":    {ExpiresIn: time.Duration(ff.MaxSpanMS)*time.Millisecond + time.Millisecond},
			"long key":    {ExpiresIn: time.Second, Key: strings.Repeat("k", 257)},
			"key no text": {ExpiresIn: time.Second, Key: "\xff"},
		} {
			cmd.ExecutionID, cmd.Fence = c.ExecutionID, c.Fence
			e.refused(name, errOf(e.svc.CreateWaitpoint(e.Context(), cmd)), "invalid_input")
		}
		for name, limit := range map[string]int{"negative": -1, "too many": 1001} {
			_, err := e.svc.ListPendingWaitpoints(e.Context(), ff.ListPendingWaitpoints{ExecutionID: c.ExecutionID, Limit: limit})
			e.refused(name, err, "invalid_input")
		}
		_, err := e.svc.ListPendingWaitpoints(e.Context(), ff.ListPendingWaitpoints{ExecutionID: ff.SoloExecutionID(e.lane, ff.DefaultPartitions())})
		e.refused("the waitpoints of nothing", err, "execution_not_found")
	})
	for name, d := range map[string]time.Duration{"shortest": time.Millisecond, "longest": time.Duration(ff.MaxSpanMS) * time.Millisecond} {
		_, err := e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{
			ExecutionID: c.ExecutionID, Fence: c.Fence, ExpiresIn: d, Key: strings.Repeat("k", 256),
		})
		if err != nil {
			e.Errorf("%s: %v", name, err)
		}
	}
	e.advance(time.Millisecond)
	e.complete(c)
}

// testWaitpointClosed: chapter 40, section 6.2.
func testWaitpointClosed(e *env) {
	c, p := e.parked(ff.Suspend{})
	cmd := ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Actor: "ops"}
	res, err := e.svc.CloseWaitpoint(e.Context(), cmd)
	e.ok(err)
	e.equal("answer", res, ff.CloseResult{})
	w := e.waitpoint(c.ExecutionID, p).Waitpoint
	e.equal("waitpoint", []any{w.State, w.CloseReason, w.ClosedAt}, []any{ff.WaitpointClosed, "proactive_close", e.pace.now()})
	e.untouched("a repeat", func() {
		cmd.Reason = "another"
		res, err := e.svc.CloseWaitpoint(e.Context(), cmd)
		e.ok(err)
		e.equal("a repeat", res, ff.CloseResult{AlreadyClosed: true})
		cmd.WaitpointID = ff.NewWaitpointID()
		e.refused("none", errOf(e.svc.CloseWaitpoint(e.Context(), cmd)), "waitpoint_not_found")
		cmd.Reason = strings.Repeat("r", ff.MaxReasonBytes+1)
		e.refused("reason", errOf(e.svc.CloseWaitpoint(e.Context(), cmd)), "invalid_input")
	})
	e.inState(c.ExecutionID, parkedState)
	e.ok(errOf(e.svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID})))
	e.equal("why it closed stays (I4)", e.waitpoint(c.ExecutionID, p).Waitpoint.CloseReason, "proactive_close")
	c = e.claim()
	p = e.createWaitpoint(c, "k")
	e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Reason: "mistake"})))
	e.equal("reason", e.waitpoint(c.ExecutionID, p).Waitpoint.CloseReason, "mistake")
	e.complete(c)
}

// testWaitpointExpiry: chapter 40, section 6.3.
func testWaitpointExpiry(e *env) {
	c := e.running(ff.Submit{})
	create := func(d time.Duration) ff.WaitpointGrant {
		p, err := e.svc.CreateWaitpoint(e.Context(), ff.CreateWaitpoint{ExecutionID: c.ExecutionID, Fence: c.Fence, ExpiresIn: d})
		e.ok(err)
		return p
	}
	short, bound := create(time.Second), create(time.Second)
	e.deliver(signal(c.ExecutionID, short, "early"))
	e.advance(999 * time.Millisecond)
	e.equal("in time", e.waitpoint(c.ExecutionID, short).Waitpoint.State, ff.WaitpointPending)
	e.suspend(c, ff.Suspend{Waitpoints: pendingBinding(bound), Condition: ff.OnSignal(bound.Key)})
	e.advance(time.Millisecond)
	e.eventually("the waitpoint expires", func() bool {
		e.pace.nudge()
		return e.waitpoint(c.ExecutionID, short).Waitpoint.CloseReason == "never_committed"
	})
	w := e.waitpoint(c.ExecutionID, short)
	e.equal("expired", []any{w.Waitpoint.State, len(w.Signals), w.Signals[0].Name}, []any{ff.WaitpointClosed, 1, "early"})
	e.advance(time.Hour)
	e.equal("FIX_S12: what was bound stays", e.waitpoint(c.ExecutionID, bound).Waitpoint.State, ff.WaitpointActive)
	e.deliver(signal(c.ExecutionID, bound, "go"))
	e.complete(e.claim())
}

// testWaitpointPages: chapter 40, section 11.1.
func testWaitpointPages(e *env) {
	c := e.running(ff.Submit{})
	var want []string
	for i := range 9 {
		p := e.createWaitpoint(c, fmt.Sprint("k", i))
		if i%3 == 1 { // FIX-S26: closed ones are not in the way
			e.ok(errOf(e.svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID})))
			continue
		}
		want = append(want, p.WaitpointID.String())
	}
	last := e.createWaitpoint(c, "bound")
	e.suspend(c, ff.Suspend{Waitpoints: pendingBinding(last), Condition: ff.OnNamed("bound", "go")})
	want = append(want, last.WaitpointID.String())
	slices.Sort(want)
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		q := ff.ListPendingWaitpoints{ExecutionID: c.ExecutionID, Limit: limit}
		for pages := 1; ; pages++ {
			page, err := e.svc.ListPendingWaitpoints(e.Context(), q)
			e.ok(err)
			for _, w := range page.Items {
				got = append(got, w.WaitpointID.String())
				q.After = w.WaitpointID
				if w.Key == "bound" {
					e.equal("the bound one", []any{w.State, w.RequiredSignalNames}, []any{ff.WaitpointActive, []string{"go"}})
				}
			}
			if page.Next == "" {
				e.equal("pages", pages, (len(want)+limit-1)/limit)
				break
			}
			e.equal("next", page.Next, q.After.String())
		}
		e.equal(fmt.Sprint("waitpoints, by pages of ", limit), got, want)
	}
	e.cancel(c.ExecutionID, "enough")
	page, err := e.svc.ListPendingWaitpoints(e.Context(), ff.ListPendingWaitpoints{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.equal("after the end", len(page.Items), 0)
}

// testWaitpointSecrecy: chapter 40, section 7.4.
func testWaitpointSecrecy(e *env) {
	c := e.running(ff.Submit{})
	points := []ff.WaitpointGrant{e.createWaitpoint(c, "early")}
	res := e.suspend(c, ff.Suspend{Condition: ff.OnAll(ff.OnSignal("a"), ff.OnSignal("b")), Waitpoints: bindings("a", "b"), IdempotencyKey: "k"})
	points = append(points, res.Waitpoints...)
	link, err := e.svc.SealLink(e.Context(), ff.SealLink{ExecutionID: c.ExecutionID, WaitpointID: points[1].WaitpointID, Token: points[1].Token, SignalName: "yes"})
	e.ok(err)
	var said []any
	say := func(answer any, err error) { said = append(said, answer, fmt.Sprint(err)) }
	e.deliver(signal(c.ExecutionID, points[1], "go"))
	page, err := e.svc.ListPendingWaitpoints(e.Context(), ff.ListPendingWaitpoints{ExecutionID: c.ExecutionID})
	say(page, err)
	say(e.describe(c.ExecutionID), nil)
	say(e.suspension(c.ExecutionID), nil)
	for _, p := range points {
		say(e.waitpoint(c.ExecutionID, p), nil)
		other := signal(c.ExecutionID, points[0], "go")
		other.Token = points[1].Token
		say(e.svc.DeliverSignal(e.Context(), other))
		cut := signal(c.ExecutionID, p, "go")
		cut.Token = p.Token[:len(p.Token)-1]
		say(e.svc.DeliverSignal(e.Context(), cut))
		say(e.svc.SealLink(e.Context(), ff.SealLink{ExecutionID: c.ExecutionID, WaitpointID: ff.NewWaitpointID(), Token: p.Token, SignalName: "x"}))
		say(fmt.Sprintf("%v %+v %#v %s %q %x %d", p, p, p, p.Token, p.Token, p.Token, p.Token), nil)
	}
	say(e.svc.Explain(e.Context(), c.ExecutionID))
	say(fmt.Sprintf("%v %+v %#v %s %q %x", link, link, link, link, link, link), nil)
	say(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[2], "go")))
	say(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[2], "late")))
	say(e.svc.ResumeSignals(e.Context(), c.ExecutionID))
	for _, ev := range e.dump().Events {
		say(string(ev.Details)+ev.Reason, nil)
	}
	text, err := json.Marshal(said)
	e.ok(err)
	all := string(text) + fmt.Sprintf("%+v", said)
	for _, p := range points {
		if kid, digest, _ := strings.Cut(p.Token.Reveal(), ":"); strings.Contains(all, digest[16:]) || strings.Contains(all, kid+":"+digest[:16]) {
			e.Errorf("the token of %q is told", p.Key)
		}
	}
	if strings.Contains(all, link.Reveal()[64:]) {
		e.Error("the link is told")
	}
	e.complete(e.claim())
}

// testWaitpointRemoval: what an execution waited for goes with it, bound or not (FIX-S27).
func testWaitpointRemoval(e *env) {
	c := e.running(ff.Submit{Policy: retaining(time.Hour)})
	e.deliver(signal(c.ExecutionID, e.createWaitpoint(c, "early"), "go"))
	e.ok(errOf(e.svc.RecordStep(e.Context(), ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: "s"})))
	p := e.suspend(c, ff.Suspend{IdempotencyKey: "k"}).Waitpoints[0]
	s := signal(c.ExecutionID, p, "go")
	s.IdempotencyKey = "k"
	e.deliver(s)
	e.complete(e.claim())
	e.equal("families", e.familiesOf(c.ExecutionID), "reply signal step suspension waitpoint")
	e.advance(time.Hour)
	e.gone(c.ExecutionID)
	e.equal("families", e.familiesOf(c.ExecutionID), "")
	e.refused("a late signal", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))), "execution_not_found")
}

// familiesOf are the families of which there are records of an execution.
func (e *env) familiesOf(id ff.ExecutionID) string {
	e.Helper()
	var found []string
	for _, rec := range e.dump().Records {
		family, parts := rec.Key().Family(), rec.Key().Parts()
		if slices.Contains(record.OfExecution, family) && parts[1] == id.UUID().String() && !slices.Contains(found, string(family)) {
			found = append(found, string(family))
		}
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

func testRotationGrace(e *env) {
	c := e.running(ff.Submit{})
	old := e.suspend(c, ff.Suspend{Condition: ff.OnCount(9, ff.DistinctSignals, "k")}).Waitpoints[0]
	link, err := e.svc.SealLink(e.Context(), ff.SealLink{ExecutionID: c.ExecutionID, WaitpointID: old.WaitpointID, Token: old.Token, SignalName: "go"})
	e.ok(err)
	follow := func() error { return errOf(e.svc.SignalByLink(e.Context(), ff.SignalByLink{Link: link})) }
	e.equal("open under the first secret", e.rotate("k2", "b", time.Hour).OpenWaitpoints, 1)
	fresh, second := e.parked(ff.Suspend{})
	kid, _ := second.Token.Fingerprint()
	e.equal("what signs now", kid, "k2")
	e.deliver(signal(c.ExecutionID, old, "go"))
	e.ok(follow())
	e.advance(30 * time.Minute)
	e.equal("open under the second", e.rotate("k3", "c", time.Hour).OpenWaitpoints, 1)
	e.advance(30 * time.Minute)
	e.equal("at the end of its grace", e.deliver(signal(c.ExecutionID, old, "go")), ff.EffectAppended)
	e.ok(follow())
	e.advance(time.Millisecond)
	e.unchanged("what came after its grace", c.ExecutionID, func() {
		e.refused("token", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, old, "go"))), "token_expired")
		e.refused("link", follow(), "token_expired")
	})
	other := e.engine()
	_, err = other.DeliverSignal(e.Context(), signal(c.ExecutionID, old, "go"))
	e.refused("by another engine", err, "token_expired")
	e.equal("the next one has its own grace", e.deliver(signal(fresh.ExecutionID, second, "go")), ff.EffectResumed)
	e.drain()
	e.rotate("k4", "d", 0) // what is removed is not known any more
	e.refused("token", errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, old, "go"))), "invalid_token")
	e.ok(errOf(e.svc.Approve(e.Context(), ff.Approval{ExecutionID: c.ExecutionID, Lane: e.lane, WaitpointID: old.WaitpointID, Name: "go", Approver: "ann"})))
}

// testRotationLoad: while its secrets rotate, an engine takes in every signal whose token is valid. Another one looks for a
// name it does not know once a second.
func testRotationLoad(e *env) {
	rotate := func(i int) error {
		return errOf(e.svc.RotateSecret(e.Context(), ff.RotateSecret{NewKid: fmt.Sprint("load", i), NewSecretHex: hexOf("e"), Grace: time.Hour}))
	}
	together(3, func(worker int) {
		for i := range 15 {
			var err error
			if worker < 2 {
				err = e.roundTrip(e.svc, e.svc)
			} else if i%3 == 0 {
				err = rotate(i)
			}
			if err != nil {
				e.Error(err)
			}
		}
	})
	engines := e.engines()
	e.ok(e.roundTrip(engines[1], engines[0]))
	e.ok(rotate(15))
	e.ok(e.roundTrip(engines[0], engines[1]))
	e.ok(e.roundTrip(engines[1], engines[0]))
}

// roundTrip has one engine suspend an execution, and another take in the signal.
func (e *env) roundTrip(left, right ff.Service) error {
	sub, err := left.Submit(e.Context(), e.command(ff.Submit{}))
	if err != nil {
		return err
	}
	c, err := left.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: sub.ID, LeaseTTL: leaseTTL})
	if err != nil {
		return err
	}
	res, err := left.Suspend(e.Context(), ff.Suspend{ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: ff.OnSignal(approvalKey)})
	if err != nil {
		return err
	}
	got, err := right.DeliverSignal(e.Context(), signal(c.ExecutionID, res.Waitpoints[0], "go"))
	if err == nil && got.Effect != ff.EffectResumed {
		err = errors.New("effect " + string(got.Effect))
	}
	return err
}
