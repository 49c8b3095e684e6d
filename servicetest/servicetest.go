// Package servicetest is the behaviour suite of the engine: [Run] states what every operation promises, by name, and runs
// on every store; [RunAgree] drives random scripts through two stores, which must give the same answers.
//
//	servicetest.Run(t, servicetest.Harness{Open: open})
//
// The tests own the time. After each of them storetest.Audit goes over the whole store.
package servicetest

import (
	"testing"

	"github.com/flowfabric/flowfabric/store"
)

// Harness makes stores for the suite.
type Harness struct {
	// Open returns a new, empty store on clock. The harness closes it, by t.Cleanup. It is called from several tests at
	// once.
	Open func(t testing.TB, clock store.Clock) store.Store
}

// Run runs the suite. The concerns run in parallel, each with an engine over a store of its own; the behaviours of a
// concern run one after the other, each on a lane of its own.
func Run(t *testing.T, h Harness) {
	for _, concern := range []struct {
		name  string
		tests []behaviour
	}{
		{"Submit", submitTests},
		{"Idempotency", idempotencyTests},
		{"SubmitMany", submitManyTests},
		{"Input", inputTests},
		{"Claim", claimTests},
		{"Waiting", waitingTests},
		{"Capability", capabilityTests},
		{"Lease", leaseTests},
		{"Fence", fenceTests},
		{"Outcome", outcomeTests},
		{"Repeat", repeatTests},
		{"Expiry", expiryTests},
		{"Cancel", cancelTests},
		{"Replay", replayTests},
		{"Operator", operatorTests},
		{"OperatorClaim", operatorClaimTests},
		{"Block", blockTests},
		{"Timeout", timeoutTests},
		{"Keep", keepTests},
		{"List", listTests},
		{"Weakness", weaknessTests},
		{"Read", readTests},
		{"Race", raceTests},
		{"Close", closeTests},
	} {
		t.Run(concern.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, h)
			for _, b := range concern.tests {
				t.Run(b.name, func(t *testing.T) {
					e := e.on(t, concern.name+"/"+b.name)
					b.test(e)
					e.audit()
				})
			}
		})
	}
}

// behaviour is one subtest.
type behaviour struct {
	name string
	test func(e *env)
}
