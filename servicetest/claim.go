package servicetest

import (
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
)

var claimTests = []behaviour{
	{"NoWorkIsNoError", testClaimNothing},
	{"I21_HigherPriorityThenOlderThenLowerID", testClaimOrder},
	{"UpToMax", testClaimMax},
	{"OneByDefault", testClaimDefaults},
	{"OpensTheFirstAttempt", testClaimFirst},
	{"OtherLanesAreLeftAlone", testClaimLanes},
	{"LanesRotate", testClaimRotation},
	{"RetriesKeepTheirPlace", testClaimOrderOfRetries},
	{"EveryLeaseHasItsOwnFence", testClaimFences},
}

func testClaimNothing(e *env) { e.nothingClaimable("on an empty lane") }

// testClaimOrder is I21.
func testClaimOrder(e *env) {
	partition := ff.DefaultPartitions().OfLane(e.lane).Index
	id := func(n byte) ff.ExecutionID { return ff.ExecutionIDFrom(partition, uuid.UUID{15: n}) }
	id2 := func(n byte) ff.ExecutionID { return ff.ExecutionIDFrom(partition, uuid.UUID{0: 1, 15: n}) }
	e.submit(ff.Submit{ID: id(5), Priority: 1})
	e.submit(ff.Submit{ID: id(4), Priority: 1})
	e.submit(ff.Submit{ID: id(9)})
	e.advance(time.Millisecond)
	e.submit(ff.Submit{ID: id(3), Priority: 1})
	e.submit(ff.Submit{ID: id(1)})
	e.submit(ff.Submit{ID: id2(0)})
	e.submit(ff.Submit{ID: id(2), Priority: 9000})
	var got []ff.ExecutionID
	for range 3 {
		for _, c := range e.claimUpTo(3) {
			got = append(got, c.ExecutionID)
		}
	}
	e.equal("order", got, []ff.ExecutionID{id(2), id(4), id(5), id(3), id(9), id(1), id2(0)})
}

func testClaimMax(e *env) {
	for range 7 {
		e.submit(ff.Submit{})
	}
	e.equal("first", len(e.claimUpTo(5)), 5)
	e.equal("the rest", len(e.claimUpTo(5)), 2)
	e.equal("then", len(e.claimUpTo(5)), 0)
}

func testClaimDefaults(e *env) {
	e.submit(ff.Submit{})
	e.submit(ff.Submit{})
	got, err := e.svc.Claim(e.Context(), ff.Claim{Lanes: []ff.LaneID{e.lane}, WorkerID: "w", WorkerInstanceID: "w-1"})
	e.ok(err)
	e.equal("claimed", len(got), 1)
	e.equal("ttl", got[0].LeaseTTL, 30*time.Second)
	e.equal("expiry", got[0].LeaseExpiresAt, e.pace.now()+30_000)
}

func testClaimFirst(e *env) {
	id := e.submit(ff.Submit{})
	e.advance(time.Second)
	c, now := e.claim(), e.pace.now()
	if c.Fence.LeaseID.IsZero() || c.Fence.AttemptID.IsZero() {
		e.Errorf("fence is %+v", c.Fence)
	}
	e.equal("epoch and index", []int{int(c.Fence.Epoch), c.Fence.AttemptIndex}, []int{1, 0})
	e.equal("type", c.AttemptType, ff.AttemptInitial)
	e.equal("resumed", c.Resumed, false)
	s := e.inState(id, running)
	e.equal("public state", s.PublicState, ff.PublicActive)
	e.equal("times", []ff.Timestamp{s.CreatedAt, s.StartedAt, s.LastTransitionAt, s.LastMutationAt}, []ff.Timestamp{now - 1000, now, now, now})
	e.equal("attempts", s.TotalAttempts, 1)
	e.equal("lease", s.Lease, &ff.LeaseSnapshot{
		LeaseID: c.Fence.LeaseID, Epoch: 1, WorkerID: "worker", WorkerInstanceID: "worker-1", AcquiredAt: now, RenewedAt: now, ExpiresAt: now + 10_000,
	})
	attempt := ff.AttemptSnapshot{
		AttemptID: c.Fence.AttemptID, Index: 0, Type: "initial", State: "started", LeaseEpoch: 1, WorkerID: "worker",
		WorkerInstanceID: "worker-1", StartedAt: now,
	}
	e.equal("attempt", s.Attempt, &attempt)
	e.equal("list of attempts", e.attempts(id), []ff.AttemptSnapshot{attempt})
	e.equal("events", e.events(id), []told{{"lease", "acquired", 1, ""}})
	e.nothingClaimable("while it is leased")
}

func testClaimLanes(e *env) {
	other := e.submit(ff.Submit{Lane: e.lane + "2"})
	e.nothingClaimable("with work on another lane")
	cmd := e.wants(10)
	cmd.Lanes = []ff.LaneID{e.lane, e.lane + "2"}
	got, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
	e.equal("claimed", len(got), 1)
	e.equal("claimed", got[0].ExecutionID, other)
	e.equal("its lane", got[0].Lane, e.lane+"2")
}

// testClaimRotation: a lane that always has work does not starve the others.
func testClaimRotation(e *env) {
	lanes := []ff.LaneID{e.lane + "a", e.lane + "b", e.lane + "c"}
	for _, lane := range lanes {
		for range 30 {
			e.submit(ff.Submit{Lane: lane})
		}
	}
	cmd := e.wants(1)
	cmd.Lanes = lanes
	seen := make(map[ff.LaneID]int)
	for range 48 {
		got, err := e.svc.Claim(e.Context(), cmd)
		e.ok(err)
		seen[got[0].Lane]++
	}
	for _, lane := range lanes {
		if seen[lane] < 4 {
			e.Errorf("of 48 claims %d were of lane %q", seen[lane], lane)
		}
	}
}

// testClaimOrderOfRetries: what was created first goes first again (chapter 10, section 5.1).
func testClaimOrderOfRetries(e *env) {
	old := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(time.Second))})
	e.advance(time.Millisecond)
	e.submit(ff.Submit{})
	e.fail(old, "transient")
	e.advance(time.Second)
	e.equal("claimed first", e.claim().ExecutionID, old.ExecutionID)
}

// testClaimFences is F3: the lease id is new each time, the attempt id with each attempt.
func testClaimFences(e *env) {
	first := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: first.ExecutionID, Fence: first.Fence}))
	second := e.claim()
	e.equal("attempt id of a continued attempt", second.Fence.AttemptID, first.Fence.AttemptID)
	e.fail(second, "transient")
	e.advance(0)
	third := e.claim()
	if first.Fence.LeaseID == second.Fence.LeaseID || second.Fence.LeaseID == third.Fence.LeaseID || second.Fence.AttemptID == third.Fence.AttemptID {
		e.Errorf("fences are %+v, %+v, %+v", first.Fence, second.Fence, third.Fence)
	}
	e.equal("epochs", []uint64{first.Fence.Epoch, second.Fence.Epoch, third.Fence.Epoch}, []uint64{1, 2, 3})
}
