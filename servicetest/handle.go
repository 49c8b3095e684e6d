package servicetest

import (
	"errors"
	"strings"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
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
	{"SecretsAreRotated", testHandleRotation},
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

// putSecrets writes secrets over what is stored, as a rotation does.
func (e *env) putSecrets(list ...*record.Secret) {
	e.Helper()
	u := &store.Unit{Partition: list[0].Home}
	for _, s := range list {
		u.Reads.Records = append(u.Reads.Records, s.SecretKey)
	}
	u.Decide = func(tx *store.Tx) error {
		for _, s := range list {
			n := *s
			tx.Put(&n)
		}
		return nil
	}
	e.ok(e.store.Apply(e.Context(), []*store.Unit{u}))
	e.ok(u.Err)
}

// testHandleRotation: after a rotation new handles are signed with the new secret within a minute, and the old ones are
// good until the old secret expires.
func testHandleRotation(e *env) {
	c := e.running(ff.Submit{})
	old := e.seal(c)
	home := e.store.Shards()[0]
	now := e.pace.now()
	seeded := &record.Secret{}
	for _, r := range e.dump().Records {
		if s, ok := r.(*record.Secret); ok && s.Active {
			*seeded = *s
		}
	}
	e.equal("seeded", []any{seeded.Kid, len(seeded.Secret), seeded.ExpiresAt}, []any{"k1", 32, ff.Timestamp(0)})
	seeded.Active, seeded.ExpiresAt = false, now.Add(2*time.Hour)
	next := &record.Secret{
		SecretKey: record.SecretKey{Home: home, Kid: "k2"}, Secret: []byte(strings.Repeat("n", 32)), Active: true, RotatedAt: now + 1,
	}
	e.putSecrets(seeded, next)

	e.advance(time.Minute)
	fresh := e.seal(c)
	if fresh == old {
		e.Error("a minute after the rotation the old secret signs")
	}
	e.equal("old handle", e.open(old), e.open(fresh))
	e.advance(2*time.Hour - time.Minute - time.Millisecond)
	e.equal("old handle, a millisecond before its secret expires", e.open(old), e.open(fresh))
	e.advance(time.Millisecond)
	_, err := e.svc.OpenHandle(e.Context(), old)
	e.refused("old handle", err, "corruption")
	e.equal("handle of the new secret", e.open(fresh).ExecutionID, c.ExecutionID)

	// A handle another engine signed with a secret this one has not heard of yet.
	third := *next
	third.Kid, third.RotatedAt = "k3", now+2
	e.putSecrets(&third)
	newest, err := e.engine().SealHandle(e.Context(), c)
	e.ok(err)
	e.advance(time.Second)
	e.equal("handle of the newest secret", e.open(newest).ExecutionID, c.ExecutionID)

	third.Active, next.Active = false, false
	e.putSecrets(next, &third)
	e.advance(time.Minute)
	_, err = e.svc.SealHandle(e.Context(), c)
	e.refused("seal without an active secret", err, "unavailable")
	e.equal("handle of an inactive secret", e.open(fresh).ExecutionID, c.ExecutionID)
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
