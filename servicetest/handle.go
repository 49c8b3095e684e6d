package servicetest

import (
	"errors"
	"strings"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// Each has a store of its own in mind only where it says so: the secrets of a store are shared by its tests, which run
// one after the other.
var handleTests = []behaviour{
	{"HandleSaysWhatWasClaimed", testHandle},
	{"HandleIsOfItsKindOfClaim", testHandleKinds},
	{"HandleWorksAsAFence", testHandleWorks},
	{"OldHandlesAreStale", testHandleStale},
	{"EditedHandlesAreRefused", testHandleEdited},
	{"EnginesOfAStoreShareTheirKey", testHandleOtherEngine},
	{"ClosedEngineOpensNone", testHandleClosed},
}

func (e *env) seal(c ff.Claimed) ff.Handle {
	e.Helper()
	h, err := e.svc.SealHandle(e.Context(), c)
	e.ok(err)
	if strings.Trim(string(h), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		e.Errorf("handle %q has characters that are not safe everywhere", h)
	}
	return h
}

func (e *env) open(h ff.Handle) ff.HandleInfo {
	e.Helper()
	info, err := e.svc.OpenHandle(e.Context(), h)
	e.ok(err)
	return info
}

func testHandle(e *env) {
	c := e.running(ff.Submit{Namespace: "tenant", Payload: []byte("not in it")})
	want := ff.HandleInfo{
		ExecutionID: c.ExecutionID, Fence: c.Fence, Kind: "fresh", Lane: e.lane, Namespace: "tenant", WorkerID: "worker",
		WorkerInstanceID: "worker-1", LeaseTTL: 10 * time.Second,
	}
	e.equal("info", e.open(e.seal(c)), want)
	e.complete(c)
	e.equal("info after the end", e.open(e.seal(c)), want)
}

func testHandleKinds(e *env) {
	c := e.running(ff.Submit{})
	e.equal("first claim", e.open(e.seal(c)).Kind, ff.HandleFresh)
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	c = e.claim()
	e.equal("claim of a released one", e.open(e.seal(c)).Kind, ff.HandleResumed)
	e.advance(leaseTTL)
	c = e.claim()
	e.equal("claim of a lost one", e.open(e.seal(c)).Kind, ff.HandleReclaimed)
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	c = e.claim()
	e.equal("claim of a reclaimed one that was released", e.open(e.seal(c)).Kind, ff.HandleResumed)
	e.complete(c)
}

func testHandleWorks(e *env) {
	c := e.running(ff.Submit{})
	info := e.open(e.seal(c))
	at, err := e.svc.Renew(e.Context(), ff.Renew{ExecutionID: info.ExecutionID, Fence: info.Fence, TTL: info.LeaseTTL})
	e.ok(err)
	e.equal("expiry", at, e.pace.now().Add(leaseTTL))
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: info.ExecutionID, Fence: info.Fence}))
}

// testHandleStale: a good signature is no lease (chapter 10, section 4.3).
func testHandleStale(e *env) {
	c := e.running(ff.Submit{})
	old := e.seal(c)
	e.advance(leaseTTL)
	again := e.claim()
	info := e.open(old)
	e.allRefused("the fence of an old handle", info.ExecutionID, info.Fence, "stale_lease")
	e.complete(again)
}

func testHandleEdited(e *env) {
	c := e.running(ff.Submit{})
	h := e.seal(c)
	middle := len(h) / 2
	other := "A"
	if h[middle] == 'A' {
		other = "B"
	}
	for name, bad := range map[string]ff.Handle{
		"nothing": "", "words": "my handle", "a handle cut off": h[:middle], "a longer one": h + "A",
		"an edited one": h[:middle] + ff.Handle(other) + h[middle+1:], "one too long": ff.Handle(strings.Repeat("A", 100_000)),
	} {
		info, err := e.svc.OpenHandle(e.Context(), bad)
		e.refused(name, err, "corruption")
		e.equal(name, info, ff.HandleInfo{})
	}
	e.complete(c)
}

// testHandleOtherEngine: whichever of several engines needs the first secret first, all of them use it.
func testHandleOtherEngine(e *env) {
	c := e.running(ff.Submit{})
	engines := []ff.Service{e.svc, e.engine(), e.engine(), e.engine()}
	handles := make([]ff.Handle, len(engines))
	var wg sync.WaitGroup
	for i, svc := range engines {
		wg.Go(func() {
			h, err := svc.SealHandle(e.Context(), c)
			if err != nil {
				e.Errorf("seal: %v", err)
			}
			handles[i] = h
		})
	}
	wg.Wait()
	for i, svc := range engines {
		e.equal("handle", handles[i], handles[0])
		info, err := svc.OpenHandle(e.Context(), handles[0])
		e.ok(err)
		e.equal("execution", info.ExecutionID, c.ExecutionID)
	}
	e.complete(c)
}

func testHandleClosed(e *env) {
	eng := e.engine()
	e.ok(eng.Close(e.Context()))
	_, err := eng.SealHandle(e.Context(), ff.Claimed{})
	e.refused("seal", err, "unavailable")
	_, err = eng.OpenHandle(e.Context(), "x")
	e.refused("open", err, "unavailable")
	if !errors.Is(err, ff.ErrUnavailable) {
		e.Errorf("error %v is not %v", err, ff.ErrUnavailable)
	}
}
