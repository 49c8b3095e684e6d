package servicetest

import (
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var linkTests = []behaviour{
	{"ALinkIsFollowed", testLinkFollowed},
	{"ALinkOfSingleUseSignalsOnce", testLinkOnce},
	{"ALinkExpires", testLinkExpiry},
	{"ALinkIsForItsSignal", testLinkName},
	{"NoByteOfALinkCanBeChanged", testLinkTampered},
	{"BadLinksAreNotMade", testLinkInput},
}

// link seals a link to a waitpoint.
func (e *env) link(c ff.Claimed, p ff.WaitpointGrant, cmd ff.SealLink) ff.SignalLink {
	e.Helper()
	cmd.ExecutionID, cmd.WaitpointID, cmd.Token = c.ExecutionID, p.WaitpointID, p.Token
	if cmd.SignalName == "" {
		cmd.SignalName = "approved"
	}
	link, err := e.svc.SealLink(e.Context(), cmd)
	e.ok(err)
	return link
}

func (e *env) follow(link ff.SignalLink) (ff.SignalResult, error) {
	return e.svc.SignalByLink(e.Context(), ff.SignalByLink{Link: link})
}

func testLinkFollowed(e *env) {
	c, p := e.parked(ff.Suspend{Condition: ff.OnNamed(approvalKey, "approved")})
	link := e.link(c, p, ff.SealLink{Source: "ann@example.org"})
	if strings.Trim(link.Reveal(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		e.Errorf("%q is not base64url", link.Reveal())
	}
	res, err := e.engine().SignalByLink(e.Context(), ff.SignalByLink{Link: link, Payload: []byte{1, 2, 0xff}, Encoding: "raw"})
	e.ok(err)
	e.equal("effect", res.Effect, ff.EffectResumed)
	r, err := e.svc.ResumeSignals(e.Context(), c.ExecutionID)
	e.ok(err)
	e.equal("signal", r.Signals, []ff.SignalSnapshot{{
		SignalID: res.SignalID, WaitpointID: p.WaitpointID, Name: "approved", Category: "approval", SourceType: "link",
		SourceIdentity: "ann@example.org", CreatedAt: e.pace.now(), AcceptedAt: e.pace.now(), Effect: "resume_condition_satisfied",
		Payload: []byte{1, 2, 0xff}, Encoding: "raw",
	}})
	_, err = e.follow(link)
	e.refused("when it is over", err, "target_not_signalable")
	e.complete(e.claim())
}

func testLinkOnce(e *env) {
	c, p := e.parked(ff.Suspend{Condition: ff.OnCount(9, ff.DistinctSignals, approvalKey), Timeout: 30 * 24 * time.Hour})
	once, often := e.link(c, p, ff.SealLink{SingleUse: true, Source: "ann"}), e.link(c, p, ff.SealLink{Source: "ann"})
	other := e.link(c, p, ff.SealLink{SingleUse: true, Source: "bob"})
	first, err := e.follow(once)
	e.ok(err)
	e.equal("first", first.Effect, ff.EffectAppended)
	e.advance(7*24*time.Hour - time.Millisecond)
	e.untouched("a second use", func() {
		again, err := e.follow(once)
		e.ok(err)
		e.equal("a second use", again, ff.SignalResult{SignalID: first.SignalID, Duplicate: true})
	})
	for range 2 {
		res, err := e.follow(often)
		e.ok(err)
		e.equal("of many uses", res.Effect, ff.EffectAppended)
	}
	res, err := e.follow(other)
	e.ok(err)
	e.equal("of another", res.Effect, ff.EffectAppended)
	e.cancel(c.ExecutionID, "enough")
}

func testLinkExpiry(e *env) {
	c, p := e.parked(ff.Suspend{Condition: ff.OnCount(9, ff.DistinctSignals, approvalKey), Timeout: time.Hour})
	short, usual := e.link(c, p, ff.SealLink{ExpiresIn: time.Minute}), e.link(c, p, ff.SealLink{})
	e.advance(time.Minute)
	_, err := e.follow(short)
	e.ok(err) // that millisecond included
	e.advance(time.Millisecond)
	e.untouched("too late", func() {
		_, err := e.follow(short)
		e.refused("too late", err, "token_expired")
	})
	_, err = e.follow(usual)
	e.ok(err)
	e.advance(time.Hour - time.Minute)
	_, err = e.follow(usual)
	e.refused("with the waitpoint", err, "token_expired")
}

func testLinkName(e *env) {
	c, p := e.parked(ff.Suspend{Condition: ff.OnNamed(approvalKey, "approved")})
	res, err := e.follow(e.link(c, p, ff.SealLink{SignalName: "rejected"}))
	e.ok(err)
	e.equal("another name", res.Effect, ff.EffectNoOp)
	e.inState(c.ExecutionID, parkedState)
	e.cancel(c.ExecutionID, "enough")
}

// testLinkTampered changes each digit of a link to each other that differs in one bit.
func testLinkTampered(e *env) {
	c, p := e.parked(ff.Suspend{})
	link := e.link(c, p, ff.SealLink{Source: "ann", SingleUse: true, ExpiresIn: time.Hour}).Reveal()
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	e.untouched("tampering", func() {
		for i := range link {
			at := strings.IndexByte(digits, link[i])
			for bit := range 6 {
				forged := link[:i] + string(digits[at^1<<bit]) + link[i+1:]
				if _, err := e.follow(ff.SignalLink(forged)); codeOf(err) != "invalid_token" {
					e.Errorf("digit %d, bit %d: %v", i, bit, err)
				}
			}
		}
		for name, forged := range map[string]string{
			"nothing": "", "cut": link[:len(link)-1], "half": link[:len(link)/2], "longer": link + "A", "twice": link + link,
			"padded": link + "=", "broken in lines": link[:8] + "\n" + link[8:], "huge": strings.Repeat("A", 10_000), "a token": p.Token.Reveal(),
		} {
			_, err := e.follow(ff.SignalLink(forged))
			e.refused(name, err, "invalid_token")
		}
	})
	res, err := e.follow(ff.SignalLink(link))
	e.ok(err)
	e.equal("as it was made", res.Effect, ff.EffectResumed)
	e.complete(e.claim())
}

func testLinkInput(e *env) {
	c, p := e.parked(ff.Suspend{})
	seal := func(change func(*ff.SealLink)) error {
		cmd := ff.SealLink{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID, Token: p.Token, SignalName: "go"}
		change(&cmd)
		return errOf(e.svc.SealLink(e.Context(), cmd))
	}
	e.untouched("bad links", func() {
		e.refused("no name", seal(func(l *ff.SealLink) { l.SignalName = "" }), "invalid_input")
		e.refused("long source", seal(func(l *ff.SealLink) { l.Source = strings.Repeat("s", 257) }), "invalid_input")
		e.refused("past", seal(func(l *ff.SealLink) { l.ExpiresIn = -1 }), "invalid_input")
		e.refused("no token", seal(func(l *ff.SealLink) { l.Token = "" }), "missing_token")
		e.refused("a forged token", seal(func(l *ff.SealLink) { l.Token = ff.WaitpointToken("k1:" + strings.Repeat("0", 64)) }), "invalid_token")
		e.refused("another waitpoint", seal(func(l *ff.SealLink) { l.WaitpointID = ff.NewWaitpointID() }), "invalid_token")
		e.refused("no execution", seal(func(l *ff.SealLink) { l.ExecutionID = ff.SoloExecutionID(e.lane, ff.DefaultPartitions()) }), "execution_not_found")
		large := ff.SignalByLink{Link: e.link(c, p, ff.SealLink{}), Payload: make([]byte, ff.MaxSignalBytes+1)}
		e.refused("a large payload", errOf(e.svc.SignalByLink(e.Context(), large)), "payload_too_large")
	})
}
