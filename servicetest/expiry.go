package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var expiryTests = []behaviour{
	{"ALostLeaseIsMarked", testExpiryMark},
	{"TheNextClaimIsAReclaim", testExpiryReclaim},
	{"LateReportsAreRefused", testExpiryLate},
	{"LostTooOftenFails", testExpiryLimit},
	{"NoReclaimAllowed", testExpiryNoReclaim},
	{"ReclaimsAreNotRetries", testExpiryRetries},
	{"AnotherEngineNotices", testExpiryOtherEngine},
	{"ManyAtOnce", testExpiryMany}, // last: it leaves much for the audit to read
}

func testExpiryMark(e *env) {
	c := e.running(ff.Submit{})
	before := e.describe(c.ExecutionID)
	e.advance(leaseTTL)
	s := e.inState(c.ExecutionID, leaseRanOut)
	e.equal("public state", s.PublicState, ff.PublicActive)
	e.equal("detail", s.BlockingDetail, "lease expired, awaiting reclaim")
	e.equal("lease", s.Lease, (*ff.LeaseSnapshot)(nil))
	e.equal("last transition", s.LastTransitionAt, before.LastTransitionAt)
	e.equal("last mutation", s.LastMutationAt, e.pace.now())
	e.equal("events", e.events(c.ExecutionID), []told{{"lease", "acquired", 1, ""}, {"lease", "expired", 1, ""}})
	e.unchanged("more time", c.ExecutionID, func() { e.advance(time.Hour) })
}

func testExpiryReclaim(e *env) {
	c := e.running(ff.Submit{})
	id, began := c.ExecutionID, e.pace.now()
	e.advance(leaseTTL + time.Second)
	cmd := e.wants(1)
	cmd.WorkerID, cmd.WorkerInstanceID = "other", "other-1"
	got, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
	again, now := got[0], e.pace.now()
	e.equal("type", again.AttemptType, ff.AttemptReclaim)
	e.equal("resumed", again.Resumed, false)
	e.equal("epoch and index", []int{int(again.Fence.Epoch), again.Fence.AttemptIndex}, []int{2, 1})
	s := e.inState(id, running)
	e.equal("counts", []int{s.TotalAttempts, s.ReclaimCount, s.RetryCount}, []int{2, 1, 0})
	e.equal("detail", s.BlockingDetail, "")
	e.equal("attempts", e.attempts(id), []ff.AttemptSnapshot{
		{
			AttemptID: c.Fence.AttemptID, Index: 0, Type: "initial", State: "interrupted_reclaimed", LeaseEpoch: 1, WorkerID: "worker",
			WorkerInstanceID: "worker-1", StartedAt: began, EndedAt: now, FailureReason: "lease_lease_expired_reclaimable",
			FailureCategory: "infra_crash",
		},
		{
			AttemptID: again.Fence.AttemptID, Index: 1, Type: "reclaim", State: "started", LeaseEpoch: 2, WorkerID: "other",
			WorkerInstanceID: "other-1", StartedAt: now,
		},
	})
	e.equal("events", e.events(id), []told{{"lease", "acquired", 1, ""}, {"lease", "expired", 1, ""}, {"lease", "reclaimed", 2, ""}})
	e.complete(again)
}

func testExpiryLate(e *env) {
	c := e.running(ff.Submit{})
	e.advance(leaseTTL)
	e.allRefused("a lease that ran out", c.ExecutionID, c.Fence, ff.CodeLeaseExpired)
	next := e.claim()
	e.allRefused("a lease that ran out, claimed since", c.ExecutionID, c.Fence, ff.CodeStaleLease)
	e.complete(next)
	e.refused("complete after the end", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}), ff.CodeExecutionNotActive)
}

// testExpiryLimit is W10: being lost once too often is an end like any other, with its event and its attempts closed.
func testExpiryLimit(e *env) {
	id := e.submit(ff.Submit{Policy: &ff.Policy{MaxReclaims: new(uint32(2))}})
	for n := range 3 {
		e.equal("attempt", e.claim().Fence.AttemptIndex, n)
		e.advance(leaseTTL)
	}
	s := e.inState(id, failed)
	e.equal("failure", []string{s.FailureReason, string(s.FailureCategory)}, []string{"max_reclaims_exceeded", "infra_crash"})
	e.equal("counts", []int{s.TotalAttempts, s.ReclaimCount}, []int{3, 2})
	e.equal("states", states(e.attempts(id)), []ff.AttemptLifecycle{"interrupted_reclaimed", "interrupted_reclaimed", "interrupted_reclaimed"})
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""},
		{"lease", "expired", 1, ""},
		{"lease", "reclaimed", 2, ""},
		{"lease", "expired", 2, ""},
		{"lease", "reclaimed", 3, ""},
		{"lease", "expired", 3, ""},
		{"completion", "failed", 3, ""},
	})
	e.nothingClaimable("after the end")
}

func testExpiryNoReclaim(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{MaxReclaims: new(uint32(0))}})
	e.pace.Advance(leaseTTL)
	e.refused("complete", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}), ff.CodeExecutionNotActive)
	e.inState(c.ExecutionID, failed)
	e.equal("result", e.result(c.ExecutionID).FailureReason, "max_reclaims_exceeded")
}

func testExpiryRetries(e *env) {
	id := e.submit(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	e.claim()
	e.advance(leaseTTL)
	e.equal("retrying after a reclaim", e.fail(e.claim(), "transient").Retrying, true)
	e.advance(0)
	e.equal("retrying after the retry", e.fail(e.claim(), "transient").Retrying, false)
	e.equal("types", types(e.attempts(id)), []ff.AttemptType{"initial", "reclaim", "retry"})
}

// testExpiryMany takes more than one batch of the due loop.
func testExpiryMany(e *env) {
	e.submitMany(make([]ff.Submit, 220))
	e.equal("claimed", len(e.claimUpTo(1000)), 220)
	e.advance(leaseTTL)
	e.equal("reclaimed", len(e.claimUpTo(1000)), 220)
}

// testExpiryOtherEngine: whoever lives carries on what a dead engine left.
func testExpiryOtherEngine(e *env) {
	dying := e.engine()
	id := e.submit(ff.Submit{})
	got, err := dying.Claim(e.Context(), e.wants(1))
	e.ok(err)
	e.ok(dying.Close(e.Context()))
	e.advance(leaseTTL)
	again := e.claim()
	e.equal("execution", again.ExecutionID, id)
	e.equal("epochs", []uint64{got[0].Fence.Epoch, again.Fence.Epoch}, []uint64{1, 2})
}
