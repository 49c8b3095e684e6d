package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// reclaimTests run where the leases of dead workers are taken at once.
var reclaimTests = []behaviour{
	{"OfAWorkerThatIsMarkedDead", testReclaimMarked},
	{"OfAWorkerThatIsSilent", testReclaimSwept},
	{"NotOfLeasesAfterItsDeath", testReclaimLater},
}

// deadWorker has executions under the leases of a registered instance, on several lanes, and one of another instance.
func (e *env) deadWorker() (lost []ff.Claimed, kept ff.Claimed) {
	e.Helper()
	for i := range 5 {
		e.submit(ff.Submit{Lane: e.lane + ff.LaneID('a'+rune(i))})
	}
	claim := e.wants(1)
	claim.WorkerInstanceID, claim.LeaseTTL = ff.WorkerInstanceID(e.lane), time.Hour
	for i := range 4 {
		claim.Lanes = []ff.LaneID{e.lane + ff.LaneID('a'+rune(i))}
		got, err := e.svc.Claim(e.Context(), claim)
		e.ok(err)
		lost = append(lost, got...)
	}
	claim.Lanes, claim.WorkerInstanceID = []ff.LaneID{e.lane + "e"}, "alive"
	got, err := e.svc.Claim(e.Context(), claim)
	e.ok(err)
	return lost, got[0]
}

// reclaimed waits until the leases of a dead worker are gone and its registration with them.
func (e *env) reclaimed(lost []ff.Claimed, kept ff.Claimed) {
	e.Helper()
	e.eventually("the dead worker is forgotten", func() bool {
		e.pace.nudge()
		for _, rec := range e.dump().Records {
			if w, ok := rec.(*record.Worker); ok && w.Namespace == ff.Namespace(e.lane) {
				return false
			}
		}
		return true
	})
	for _, c := range lost {
		e.inState(c.ExecutionID, mayContinue)
		e.equal("events", e.events(c.ExecutionID), []told{
			{record.FamilyLease, "acquired", 1, ""}, {record.FamilyLease, "revoked", 1, "worker_dead"},
		})
		e.refused("its holder", errOf(e.renew(c, time.Minute)), ff.CodeLeaseRevoked)
	}
	e.inState(kept.ExecutionID, running)
}

func testReclaimMarked(e *env) {
	e.register(e.registration())
	lost, kept := e.deadWorker()
	e.markDead("out of memory")
	e.reclaimed(lost, kept)
	e.equal("events of the worker", e.workerEvents(), []string{"registered", "marked_dead  out of memory"})
}

func testReclaimSwept(e *env) {
	e.register(e.registration())
	lost, kept := e.deadWorker()
	e.pace.Advance(10 * time.Second)
	e.reclaimed(lost, kept)
	e.equal("events of the worker", e.workerEvents(), []string{"registered", "ttl_swept  no sign of life for 10s"})
}

// testReclaimLater: what an instance claims after it was called dead is its own business.
func testReclaimLater(e *env) {
	e.register(e.registration())
	e.markDead("by mistake")
	e.pace.Advance(time.Millisecond)
	id := e.submit(ff.Submit{})
	claim := e.wants(1)
	claim.WorkerInstanceID, claim.LeaseTTL = ff.WorkerInstanceID(e.lane), time.Hour
	_, err := e.svc.Claim(e.Context(), claim)
	e.ok(err)
	e.reclaimed(nil, ff.Claimed{ExecutionID: id})
}
