package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var fenceTests = []behaviour{
	{"WrongFencesChangeNothing", testFenceWrong},
	{"ExpiredAtTheVeryInstant", testFenceInstant},
	{"EarlierFencesNeverComeBack", testFenceHistory},
	{"RevokedLeasesAreToldSo", testFenceRevoked},
	{"OperatorsNeedNone", testFenceOperator},
	{"OperatorsCannotUseALostLease", testFenceOperatorLost},
	{"AnotherWorkerMayPresentTheFence", testFenceIsEnough},
}

// holderCalls is every call of a lease holder, with a fence.
func (e *env) holderCalls(id ff.ExecutionID, f ff.Fence) map[string]func() error {
	ctx := e.Context()
	return map[string]func() error{
		"renew": func() error { _, err := e.svc.Renew(ctx, ff.Renew{ExecutionID: id, Fence: f}); return err },
		"renew many": func() error {
			results, err := e.svc.RenewMany(ctx, []ff.Renew{{ExecutionID: id, Fence: f}})
			e.ok(err)
			return results[0].Err
		},
		"progress": func() error {
			return e.svc.UpdateProgress(ctx, ff.UpdateProgress{ExecutionID: id, Fence: f, Progress: ff.Progress{Percent: new(5)}})
		},
		"complete": func() error {
			return e.svc.Complete(ctx, ff.Complete{ExecutionID: id, Fence: f, Result: []byte("late")})
		},
		"fail": func() error { _, err := e.svc.Fail(ctx, ff.Fail{ExecutionID: id, Fence: f}); return err },
		"delay": func() error {
			_, err := e.svc.Delay(ctx, ff.Delay{ExecutionID: id, Fence: f, For: time.Second})
			return err
		},
		"release": func() error { return e.svc.Release(ctx, ff.Release{ExecutionID: id, Fence: f}) },
		"cancel": func() error {
			_, err := e.svc.Cancel(ctx, ff.Cancel{ExecutionID: id, Fence: f, Source: ff.SourceLeaseHolder})
			return err
		},
		"worker's cancel": func() error {
			_, err := e.svc.Cancel(ctx, ff.Cancel{ExecutionID: id, Fence: f, Source: ff.SourceWorker})
			return err
		},
	}
}

// allRefused is I6: with a fence that is not current every holder's call is refused and changes nothing.
func (e *env) allRefused(what string, id ff.ExecutionID, f ff.Fence, want ff.Code) {
	e.Helper()
	e.unchanged(what, id, func() {
		for name, call := range e.holderCalls(id, f) {
			e.refused(name+" with "+what, call(), want)
		}
	})
}

func testFenceWrong(e *env) {
	other := e.running(ff.Submit{})
	c := e.running(ff.Submit{Policy: ff.Retry(3, nil)})
	for name, w := range map[string]struct {
		change func(f *ff.Fence)
		want   ff.Code
	}{
		"an older epoch":        {func(f *ff.Fence) { f.Epoch++ }, "stale_lease"},
		"a huge epoch":          {func(f *ff.Fence) { f.Epoch = 1<<64 - 1 }, "stale_lease"},
		"another lease id":      {func(f *ff.Fence) { f.LeaseID = ff.NewLeaseID() }, "stale_lease"},
		"another attempt id":    {func(f *ff.Fence) { f.AttemptID = ff.NewAttemptID() }, "stale_lease"},
		"another attempt index": {func(f *ff.Fence) { f.AttemptIndex = 1 }, "stale_lease"},
		"another's fence":       {func(f *ff.Fence) { *f = other.Fence }, "stale_lease"},
		"no fence":              {func(f *ff.Fence) { *f = ff.Fence{} }, "fence_required"},
		"no lease id":           {func(f *ff.Fence) { f.LeaseID = ff.LeaseID{} }, "partial_fence_triple"},
		"no epoch":              {func(f *ff.Fence) { f.Epoch = 0 }, "partial_fence_triple"},
		"no attempt id":         {func(f *ff.Fence) { f.AttemptID = ff.AttemptID{} }, "partial_fence_triple"},
		"only an epoch":         {func(f *ff.Fence) { *f = ff.Fence{Epoch: 1} }, "partial_fence_triple"},
		"a negative index":      {func(f *ff.Fence) { f.AttemptIndex = -1 }, "partial_fence_triple"},
	} {
		f := c.Fence
		w.change(&f)
		e.allRefused(name, c.ExecutionID, f, w.want)
	}
	e.complete(c)
}

// testFenceInstant is I7: at the instant of expiry it is too late, whether or not anything has noticed. The clock is
// moved without giving the engine time to notice; every call that finds the lease expired says so, and the mark is made.
func testFenceInstant(e *env) {
	for name := range e.holderCalls(ff.ExecutionID{}, ff.Fence{}) {
		c := e.running(ff.Submit{})
		e.pace.Advance(leaseTTL)
		err := e.holderCalls(c.ExecutionID, c.Fence)[name]()
		e.refused(name+" at the instant of expiry", err, ff.CodeLeaseExpired)
		e.eventually("the expiry is marked", func() bool { return e.describe(c.ExecutionID).State.String() == leaseRanOut })
		e.equal("events", e.events(c.ExecutionID), []told{{"lease", "acquired", 1, ""}, {"lease", "expired", 1, ""}})
		e.allRefused("a marked lease", c.ExecutionID, c.Fence, ff.CodeLeaseExpired)
		e.complete(e.claim())
	}
}

// testFenceHistory is F4: a fence that went stale stays stale, through retries, pauses, reclaims, the end and a replay.
func testFenceHistory(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	id := c.ExecutionID
	past := []ff.Fence{c.Fence}
	next := func() {
		e.Helper()
		c = e.claim()
		for _, f := range past {
			e.allRefused("an earlier fence", id, f, ff.CodeStaleLease)
		}
		past = append(past, c.Fence)
	}
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: id, Fence: c.Fence}))
	next()
	e.fail(c, "transient")
	e.advance(0)
	next()
	e.advance(leaseTTL)
	next()
	_, err := e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: id})
	e.ok(err)
	next()
	e.complete(c)
	e.unchanged("late calls", id, func() {
		for i, f := range past[:len(past)-1] {
			for name, call := range e.holderCalls(id, f) {
				want := ff.CodeExecutionNotActive
				if strings.Contains(name, "cancel") {
					want = ff.CodeInvalidInput // it names the state
				}
				e.refused(fmt.Sprintf("%s with fence %d after the end", name, i), call(), want)
			}
		}
	})
	e.replay(id)
	next()
	e.complete(c)
}

func testFenceRevoked(e *env) {
	c := e.running(ff.Submit{})
	_, err := e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.allRefused("the fence of a revoked lease", c.ExecutionID, c.Fence, ff.CodeLeaseRevoked)
	next := e.claim()
	e.allRefused("the fence of a revoked lease, claimed since", c.ExecutionID, c.Fence, ff.CodeStaleLease)
	e.complete(next)
}

func testFenceOperator(e *env) {
	ctx := e.Context()
	c := e.running(ff.Submit{})
	e.ok(e.svc.Complete(ctx, ff.Complete{ExecutionID: c.ExecutionID, Source: ff.SourceOperatorOverride}))
	e.inState(c.ExecutionID, succeeded)
	c = e.running(ff.Submit{})
	_, err := e.svc.Fail(ctx, ff.Fail{ExecutionID: c.ExecutionID, Source: ff.SourceOperatorOverride, Reason: "hung"})
	e.ok(err)
	e.inState(c.ExecutionID, failed)
	c = e.running(ff.Submit{})
	_, err = e.svc.Delay(ctx, ff.Delay{ExecutionID: c.ExecutionID, Source: ff.SourceOperatorOverride, For: time.Hour})
	e.ok(err)
	e.inState(c.ExecutionID, selfDelayed)
}

// testFenceOperatorLost is F7: an override takes the place of the fence, not of the lease.
func testFenceOperatorLost(e *env) {
	complete := func(id ff.ExecutionID) error {
		return e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Source: ff.SourceOperatorOverride})
	}
	c := e.running(ff.Submit{})
	e.pace.Advance(leaseTTL)
	e.refused("at the instant of expiry", complete(c.ExecutionID), ff.CodeLeaseExpired)
	e.advance(0)
	e.refused("marked", complete(c.ExecutionID), ff.CodeLeaseExpired)
	waiting := e.submit(ff.Submit{})
	e.refused("waiting", complete(waiting), ff.CodeExecutionNotActive)
}

// testFenceIsEnough is F8: the fence authorises, not the identity.
func testFenceIsEnough(e *env) {
	c := e.running(ff.Submit{})
	e.ok(e.engine().Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	e.inState(c.ExecutionID, succeeded)
}
