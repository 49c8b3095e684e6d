// Package storetest is what makes a store one: [Run] is the conformance suite of the store contract, and [Audit] checks
// every invariant over a whole store after any test.
//
// A store runs the suite from one short test file:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{Open: open, Reopen: reopen})
//	}
package storetest

import (
	"testing"

	"github.com/flowfabric/flowfabric/store"
)

// Harness makes stores for the suite.
type Harness struct {
	// Open returns a new, empty store on clock. The harness closes it, by t.Cleanup, if the test has not. Its functions
	// are called from several tests at once.
	Open func(t testing.TB, clock store.Clock) store.Store
	// Reopen closes s, which Open or Reopen returned, and opens what it kept. Nil when nothing survives a close.
	Reopen func(t testing.TB, s store.Store, clock store.Clock) store.Store
}

// Run runs the suite. Every subtest opens a store of its own and runs in parallel with the others; at its end the
// indexes must agree with the records.
func Run(t *testing.T, h Harness) {
	for _, concern := range []struct {
		name  string
		tests []behaviour
	}{
		{"Records", recordTests},
		{"Ready", readyTests},
		{"Due", dueTests},
		{"Keyed", keyedTests},
		{"Beliefs", beliefTests},
		{"Slots", slotTests},
		{"Guards", guardTests},
		{"Graph", graphTests},
		{"Batch", batchTests},
		{"View", viewTests},
		{"List", listTests},
		{"Leases", leaseTests},
		{"Trim", trimTests},
		{"Events", eventTests},
		{"Frames", frameTests},
		{"Failure", failureTests},
		{"Size", sizeTests},
	} {
		t.Run(concern.name, func(t *testing.T) {
			t.Parallel()
			for _, b := range concern.tests {
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					b.test(newEnv(t, h))
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
