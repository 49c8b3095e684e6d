package servicetest

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

var capabilityTests = []behaviour{
	{"I19_OnlyWhoOffersAllIsGivenIt", testCapabilitySubset},
	{"WorkNobodyCanDoDoesNotStandInTheWay", testCapabilityNoBlocking},
	{"TokensAreOpaque", testCapabilityTokens},
	{"OrderAcrossRoutes", testCapabilityOrder},
	{"ARouteThatWasForgottenIsLearnedFromItsWork", testCapabilityForgotten},
	{"AnotherEnginesRouteIsFound", testCapabilityOtherEngine},
	{"DelayedWorkFindsItsWorker", testCapabilityDelayed},
	{"HoldAfterRetryAndReclaim", testCapabilityRetry},
	{"ThousandsOfDifferentSets", testCapabilityThousands},
}

// offering asks for work with capabilities.
func (e *env) offering(svc ff.Workers, most int, capabilities ...string) []ff.Claimed {
	e.Helper()
	cmd := e.wants(most)
	cmd.Capabilities = capabilities
	got, err := svc.Claim(e.Context(), cmd)
	e.ok(err)
	return got
}

// testCapabilitySubset is I19.
func testCapabilitySubset(e *env) {
	id := e.submit(ff.Submit{Policy: requiring("linux", "gpu", "gpu")})
	e.equal("required", e.describe(id).RequiredCapabilities, []string{"gpu", "linux"})
	for _, offer := range [][]string{nil, {"gpu"}, {"linux"}, {"arm", "gpu"}, {"GPU", "linux"}} {
		e.equal(fmt.Sprintf("offering %v", offer), len(e.offering(e.svc, 1, offer...)), 0)
	}
	got := e.offering(e.svc, 1, "zfs", "linux", "gpu", "arm", "gpu")
	e.equal("offering all and more", len(got), 1)
}

// testCapabilityNoBlocking is W18: what a worker cannot do does not hide what it can.
func testCapabilityNoBlocking(e *env) {
	for n := range 50 {
		e.submit(ff.Submit{Priority: 9000, Policy: requiring(fmt.Sprintf("rare-%d", n))})
	}
	id := e.submit(ff.Submit{})
	got := e.offering(e.svc, 10, "gpu")
	if len(got) != 1 || got[0].ExecutionID != id {
		e.Errorf("claimed %d", len(got))
	}
	e.equal("the others", len(e.offering(e.svc, 10, "rare-7", "rare-8")), 2)
}

func testCapabilityTokens(e *env) {
	for _, token := range []string{"größe", "{a}:'b\"", "a=1.2.3", "%_"} {
		e.submit(ff.Submit{Policy: requiring(token)})
		e.equal("another token", len(e.offering(e.svc, 1, token+"x", "x"+token)), 0)
		e.equal(token, len(e.offering(e.svc, 1, token)), 1)
	}
}

// testCapabilityOrder: a worker that can do several kinds of work gets it in one order.
func testCapabilityOrder(e *env) {
	a := e.submit(ff.Submit{Priority: 1, Policy: requiring("a")})
	b := e.submit(ff.Submit{Priority: 3, Policy: requiring("b")})
	any1 := e.submit(ff.Submit{Priority: 2})
	ab := e.submit(ff.Submit{Priority: 4, Policy: requiring("a", "b")})
	var got []ff.ExecutionID
	for _, c := range e.offering(e.svc, 10, "a", "b") {
		got = append(got, c.ExecutionID)
	}
	e.equal("order", got, []ff.ExecutionID{ab, b, any1, a})
}

// testCapabilityForgotten: the store forgets a route that nothing is ready on. Work that becomes ready on it later is found
// all the same, by an engine that has never heard of it, and the store has it again for the next.
func testCapabilityForgotten(e *env) {
	const many = 150
	registered := func() (n int) {
		for _, r := range e.dump().Routes {
			if r.Lane == e.lane {
				n++
			}
		}
		return n
	}
	for n := range many {
		e.submit(ff.Submit{DelayUntil: e.pace.now().Add(time.Hour), Policy: requiring(fmt.Sprintf("rare-%d", n), "gpu")})
	}
	e.equal("registered", registered(), many)
	for trimmed := (store.Trimmed{Routes: 1}); trimmed.Routes > 0; {
		var err error
		trimmed, err = e.store.Trim(e.Context(), store.Trim{RoutesBefore: e.pace.now() - 1, Limit: 40})
		e.ok(err)
	}
	e.equal("registered before their time", registered(), many)
	e.pace.Advance(time.Minute)
	_, err := e.store.Trim(e.Context(), store.Trim{RoutesBefore: e.pace.now() - 1, Limit: 10_000})
	e.ok(err)
	e.equal("registered when they were forgotten", registered(), 0)
	e.advance(2 * time.Hour)
	other := e.engine()
	e.equal("without gpu", len(e.offering(other, 1, "rare-7")), 0)
	e.equal("one of them", len(e.offering(other, 10, "rare-7", "gpu")), 1)
	e.equal("registered again", registered(), many)
	e.equal("another", len(e.offering(e.engine(), 10, "rare-8", "gpu")), 1)
}

// testCapabilityOtherEngine: a route this engine has not seen is found by a claim that finds nothing else.
func testCapabilityOtherEngine(e *env) {
	other := e.engine()
	e.equal("before", len(e.offering(other, 1, "gpu")), 0)
	id := e.submit(ff.Submit{Policy: requiring("gpu")})
	e.pace.Advance(time.Second)
	got := e.offering(other, 1, "gpu")
	if len(got) != 1 || got[0].ExecutionID != id {
		e.Errorf("claimed %+v", got)
	}
}

func testCapabilityDelayed(e *env) {
	other := e.engine()
	id := e.submit(ff.Submit{Delay: time.Second, Policy: requiring("a", "b")})
	e.advance(time.Second)
	got := e.offering(other, 1, "a", "b")
	if len(got) != 1 || got[0].ExecutionID != id {
		e.Errorf("claimed %+v", got)
	}
}

func testCapabilityRetry(e *env) {
	policy := ff.Retry(1, ff.FixedBackoff(0))
	policy.Routing = &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu"}}
	e.submit(ff.Submit{Policy: policy})
	c := e.offering(e.svc, 1, "gpu")[0]
	e.fail(c, "transient")
	e.advance(0)
	e.nothingClaimable("for a retry, without capabilities")
	e.equal("retry", len(e.offering(e.svc, 1, "gpu")), 1)
	e.advance(leaseTTL)
	e.nothingClaimable("for a reclaim, without capabilities")
	e.equal("reclaim", len(e.offering(e.svc, 1, "gpu")), 1)
}

// testCapabilityThousands: a lane has as many sets of requirements as it likes. Whoever can do few of them finds those, and
// whoever can do all finds everything, each execution once.
func testCapabilityThousands(e *env) {
	const tokens = 64 // every pair of which is a set: 2,016
	token := func(i int) string { return fmt.Sprintf("t%02d", i) }
	var cmds []ff.Submit
	var all []string
	for i := range tokens {
		all = append(all, token(i))
		for j := range i {
			cmds = append(cmds, e.command(ff.Submit{Kind: token(j) + "," + token(i), Policy: requiring(token(i), token(j))}))
		}
	}
	e.submitMany(cmds)
	for _, svc := range e.engines() {
		got := e.offering(svc, 10, token(7), token(3), "other")
		e.equal("of who can do one", len(got), 1)
		e.equal("its requirements", got[0].Kind, "t03,t07")
		e.fail(got[0], "permanent")
		id := e.submit(ff.Submit{Kind: "t03,t07", Policy: requiring(token(3), token(7))})
		e.equal("left for who can do none", len(e.offering(svc, 10, token(7), "other")), 0)
		e.pace.Advance(time.Second)
		e.describe(id)
	}
	seen := make(map[ff.ExecutionID]bool)
	for range len(cmds) {
		got := e.offering(e.svc, ff.MaxClaim, all...)
		if len(got) == 0 {
			break
		}
		for _, c := range got {
			seen[c.ExecutionID] = true
		}
	}
	e.equal("of who can do all", len(seen), len(cmds))
}
