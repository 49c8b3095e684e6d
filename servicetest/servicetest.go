// Package servicetest is the behaviour suite of the engine: [Run] states what every operation promises, by name, and runs
// on every store; [RunAgree] drives random scripts through two stores, which must give the same answers.
//
//	servicetest.Run(t, servicetest.Harness{Open: open})
//
// The tests own the time. After each of them storetest.Audit goes over the whole store.
package servicetest

import (
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
)

// Harness makes stores for the suite.
type Harness struct {
	// Open returns a new, empty store on clock. The harness closes it, by t.Cleanup. It is called from several tests at
	// once.
	Open func(t testing.TB, clock store.Clock) store.Store
	// Through, if not nil, returns another way to an engine: what is called there must come to the same. What it opens ends with
	// t.Cleanup.
	Through func(t testing.TB, eng flowfabric.Service) flowfabric.Service
}

// Run runs the suite. The concerns run in parallel, each with an engine over a store of its own; the behaviours of a
// concern run one after the other, each on a lane of its own.
func Run(t *testing.T, h Harness) {
	for _, concern := range []struct {
		name  string
		tests []behaviour
		cfg   engine.Config // of the concern's own engine
	}{
		{name: "Submit", tests: submitTests},
		{name: "Idempotency", tests: idempotencyTests},
		{name: "SubmitMany", tests: submitManyTests},
		{name: "Input", tests: inputTests},
		{name: "Claim", tests: claimTests},
		{name: "Waiting", tests: waitingTests},
		{name: "Capability", tests: capabilityTests},
		{name: "Lane", tests: laneTests},
		{name: "Fairness", tests: fairnessTests},
		{name: "Request", tests: requestTests},
		{name: "Registry", tests: registryTests},
		{name: "Reclaim", tests: reclaimTests, cfg: engine.Config{ReclaimDeadWorkers: true, DueBatch: 2}},
		{name: "Partitions", tests: partitionTests, cfg: engine.Config{Partitions: fewPartitions}},
		{name: "Retention", tests: retentionTests},
		{name: "EventRetention", tests: eventRetentionTests, cfg: engine.Config{EventRetention: time.Hour}},
		{name: "Lease", tests: leaseTests},
		{name: "Fence", tests: fenceTests},
		{name: "Handle", tests: handleTests},
		{name: "Secret", tests: secretTests},
		{name: "Key", tests: keyTests},
		{name: "Outcome", tests: outcomeTests},
		{name: "Repeat", tests: repeatTests},
		{name: "Expiry", tests: expiryTests},
		{name: "Cancel", tests: cancelTests},
		{name: "Replay", tests: replayTests},
		{name: "Operator", tests: operatorTests},
		{name: "OperatorClaim", tests: operatorClaimTests},
		{name: "Block", tests: blockTests},
		{name: "Flow", tests: flowTests},
		{name: "FlowGraph", tests: flowGraphTests},
		{name: "FlowCancel", tests: flowCancelTests},
		{name: "FlowReplay", tests: flowReplayTests},
		{name: "Explain", tests: explainTests},
		{name: "Timeout", tests: timeoutTests},
		{name: "Suspend", tests: suspendTests, cfg: keeping},
		{name: "SuspendInput", tests: suspendInputTests, cfg: keeping},
		{name: "Signal", tests: signalTests, cfg: keeping},
		{name: "SignalBuffer", tests: signalBufferTests, cfg: keeping},
		{name: "SuspendTimeout", tests: suspendTimeoutTests, cfg: keeping},
		{name: "Waitpoint", tests: waitpointTests, cfg: keeping},
		{name: "Rotation", tests: rotationTests, cfg: keeping},
		{name: "Link", tests: linkTests, cfg: keeping},
		{name: "Step", tests: stepTests, cfg: keeping},
		{name: "Limit", tests: limitTests, cfg: keeping},
		{name: "LimitAdmin", tests: limitAdminTests, cfg: keeping},
		{name: "Stream", tests: streamTests},
		{name: "StreamBound", tests: streamBoundTests},
		{name: "Tail", tests: tailTests},
		{name: "Event", tests: eventTests, cfg: keeping},
		{name: "EventGap", tests: eventGapTests, cfg: engine.Config{Retention: time.Second}},
		{name: "Keep", tests: keepTests},
		{name: "List", tests: listTests},
		{name: "Weakness", tests: weaknessTests},
		{name: "Read", tests: readTests},
		{name: "Race", tests: raceTests},
		{name: "OperatorRace", tests: operatorRaceTests},
		{name: "SuspendRace", tests: suspendRaceTests},
		{name: "Reference", tests: referenceTests, cfg: keeping},
		{name: "Close", tests: closeTests},
	} {
		t.Run(concern.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, h, concern.cfg)
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

// keeping is for tests that compare the whole store before and after, and let days pass: nothing is removed meanwhile.
var keeping = engine.Config{Retention: 100 * 365 * 24 * time.Hour}

// behaviour is one subtest.
type behaviour struct {
	name string
	test func(e *env)
}
