package servicetest

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var leaseTests = []behaviour{
	{"RenewExtends", testRenewExtends},
	{"RenewShortens", testRenewShortens},
	{"RenewOneMillisecondBeforeTheEnd", testRenewLast},
	{"RenewDefaultsToThirtySeconds", testRenewDefault},
	{"RenewManyAnswersEach", testRenewMany},
	{"RenewedLeasesDoNotRunOut", testRenewKeeps},
	{"ProgressIsKept", testProgress},
	{"ProgressDoesNotExtendTheLease", testProgressKeepsExpiry},
	{"ProgressComesWithARenewal", testProgressWithRenewal},
}

func (e *env) renew(c ff.Claimed, ttl time.Duration) (ff.Timestamp, error) {
	return e.svc.Renew(e.Context(), ff.Renew{ExecutionID: c.ExecutionID, Fence: c.Fence, TTL: ttl})
}

func testRenewExtends(e *env) {
	c := e.running(ff.Submit{})
	e.advance(time.Second)
	before := e.describe(c.ExecutionID)
	at, err := e.renew(c, time.Minute)
	e.ok(err)
	now := e.pace.now()
	e.equal("expiry", at, now+60_000)
	want := before
	want.LastMutationAt = now
	lease := *before.Lease
	lease.RenewedAt, lease.ExpiresAt = now, now+60_000
	want.Lease = &lease
	e.equal("execution", e.describe(c.ExecutionID), want)
	e.equal("events", e.events(c.ExecutionID), []told{{"lease", "acquired", 1, ""}})
	e.complete(c)
}

func testRenewShortens(e *env) {
	c := e.running(ff.Submit{})
	at, err := e.renew(c, time.Second)
	e.ok(err)
	e.equal("expiry", at, e.pace.now()+1000)
	e.advance(time.Second)
	e.inState(c.ExecutionID, leaseRanOut)
}

func testRenewLast(e *env) {
	c := e.running(ff.Submit{})
	e.advance(leaseTTL - time.Millisecond)
	at, err := e.renew(c, leaseTTL)
	e.ok(err)
	e.equal("expiry", at, e.pace.now()+10_000)
}

func testRenewDefault(e *env) {
	c := e.running(ff.Submit{})
	at, err := e.renew(c, 0)
	e.ok(err)
	e.equal("expiry", at, e.pace.now()+30_000)
}

func testRenewMany(e *env) {
	good, stale := e.running(ff.Submit{}), e.running(ff.Submit{})
	stale.Fence.Epoch++
	cmds := []ff.Renew{
		{ExecutionID: good.ExecutionID, Fence: good.Fence, TTL: time.Minute},
		{ExecutionID: stale.ExecutionID, Fence: stale.Fence},
		{ExecutionID: good.ExecutionID},
		{ExecutionID: ff.SoloExecutionID(e.lane, ff.DefaultPartitions()), Fence: good.Fence},
		{ExecutionID: good.ExecutionID, Fence: good.Fence, TTL: 1},
		{ExecutionID: good.ExecutionID, Fence: good.Fence, TTL: time.Hour},
	}
	results, err := e.svc.RenewMany(e.Context(), cmds)
	e.ok(err)
	var expiries []ff.Timestamp
	var codes []ff.Code
	for _, r := range results {
		expiries = append(expiries, r.LeaseExpiresAt)
		codes = append(codes, codeOf(r.Err))
	}
	e.equal("expiries", expiries, []ff.Timestamp{e.pace.now() + 60_000, 0, 0, 0, 0, e.pace.now() + 3_600_000})
	e.equal("codes", codes, []ff.Code{"", "stale_lease", "fence_required", "execution_not_found", "invalid_input", ""})
	none, err := e.svc.RenewMany(e.Context(), nil)
	e.ok(err)
	e.equal("results for nothing", len(none), 0)
}

func testRenewKeeps(e *env) {
	c := e.running(ff.Submit{})
	for range 5 {
		e.advance(leaseTTL / 2)
		_, err := e.renew(c, leaseTTL)
		e.ok(err)
	}
	s := e.inState(c.ExecutionID, running)
	e.equal("epoch", s.Lease.Epoch, uint64(1))
	e.complete(c)
}

func (e *env) report(c ff.Claimed, p ff.Progress) {
	e.Helper()
	e.ok(e.svc.UpdateProgress(e.Context(), ff.UpdateProgress{ExecutionID: c.ExecutionID, Fence: c.Fence, Progress: p}))
}

// testProgress is W32: what a report leaves out stays.
func testProgress(e *env) {
	c := e.running(ff.Submit{})
	e.equal("before", e.describe(c.ExecutionID).Progress, ff.ProgressSnapshot{})
	e.report(c, ff.Progress{Percent: new(40), Message: new("sending"), Details: []byte("\x00{}")})
	at := e.pace.now()
	e.equal("first", e.describe(c.ExecutionID).Progress, ff.ProgressSnapshot{Percent: new(40), Message: "sending", Details: []byte("\x00{}"), UpdatedAt: at})
	e.advance(time.Second)
	e.report(c, ff.Progress{Message: new("")})
	e.equal("second", e.describe(c.ExecutionID).Progress, ff.ProgressSnapshot{Percent: new(40), Details: []byte("\x00{}"), UpdatedAt: at + 1000})
	e.report(c, ff.Progress{Percent: new(0)})
	e.equal("third", *e.describe(c.ExecutionID).Progress.Percent, 0)
	e.complete(c)
	e.equal("after the end", *e.describe(c.ExecutionID).Progress.Percent, 0)
}

func testProgressKeepsExpiry(e *env) {
	c := e.running(ff.Submit{})
	e.advance(time.Second)
	before := e.describe(c.ExecutionID)
	e.report(c, ff.Progress{Percent: new(1)})
	after := e.describe(c.ExecutionID)
	e.equal("lease", after.Lease, before.Lease)
	e.equal("last transition", after.LastTransitionAt, before.LastTransitionAt)
	e.equal("last mutation", after.LastMutationAt, e.pace.now())
}

func testProgressWithRenewal(e *env) {
	c := e.running(ff.Submit{})
	for n := range 3 {
		_, err := e.svc.Renew(e.Context(), ff.Renew{
			ExecutionID: c.ExecutionID, Fence: c.Fence, TTL: leaseTTL, Progress: &ff.Progress{Percent: new(n), Message: new(fmt.Sprint(n))},
		})
		e.ok(err)
		p := e.describe(c.ExecutionID).Progress
		e.equal("progress", p, ff.ProgressSnapshot{Percent: new(n), Message: fmt.Sprint(n), UpdatedAt: e.pace.now()})
	}
}
