package servicetest

import (
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var operatorClaimTests = []behaviour{
	{"W09_OnlyOfClaimableExecutions", testOperatorClaimGate},
	{"TakesWhatIsNamed", testOperatorClaim},
	{"GoesOnWhereItWas", testOperatorClaimResumes},
	{"BadInputIsRefused", testOperatorClaimInput},
	{"OperatorsCancelAndRevokeAreTold", testOperatorEvents},
}

func (e *env) claimByOperator(id ff.ExecutionID) (ff.Claimed, error) {
	return e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: id, Actor: "ops"})
}

func testOperatorClaimGate(e *env) {
	claimable := []string{"new", "lost", "retry due", "released", "revoked", "replayed"}
	for name := range e.scenes() {
		s := e.scene(name)
		switch {
		case name == "running":
			e.unchanged("a claim of a running one", s.id, func() {
				_, err := e.claimByOperator(s.id)
				e.refused(name, err, ff.CodeLeaseConflict)
			})
		case slices.Contains(claimable, name):
			c, err := e.claimByOperator(s.id)
			e.ok(err)
			e.inState(s.id, running)
			e.complete(c)
			continue
		default:
			e.unchanged("a claim of one that is "+name, s.id, func() {
				_, err := e.claimByOperator(s.id)
				e.refused(name, err, ff.CodeExecutionNotEligible)
			})
		}
		e.leave(s, name)
	}
	id := e.submit(ff.Submit{})
	e.block(id)
	e.unchanged("a claim of a blocked one", id, func() {
		_, err := e.claimByOperator(id)
		e.refused("blocked", err, ff.CodeExecutionNotEligible)
	})
}

// testOperatorClaim: behind others, on a lane nobody serves, whatever it needs of a worker.
func testOperatorClaim(e *env) {
	e.submit(ff.Submit{Priority: 9})
	id := e.submit(ff.Submit{Policy: requiring("gpu"), Payload: []byte("in"), Tags: map[string]string{"a.b": "c"}})
	c, err := e.claimByOperator(id)
	e.ok(err)
	e.equal("claimed", c, ff.Claimed{
		ExecutionID: id, Fence: ff.Fence{LeaseID: c.Fence.LeaseID, Epoch: 1, AttemptID: c.Fence.AttemptID},
		WorkerID: "operator", WorkerInstanceID: "operator", Lane: e.lane, Kind: "test",
		Namespace: "default", Payload: []byte("in"), PayloadEncoding: "json", Tags: map[string]string{"a.b": "c"}, AttemptType: "initial",
		CreatedAt: e.pace.now(), ClaimedAt: e.pace.now(), LeaseExpiresAt: e.pace.now() + 30_000, LeaseTTL: 30 * time.Second,
	})
	s := e.describe(id)
	e.equal("holder", []string{string(s.Lease.WorkerID), string(s.Lease.WorkerInstanceID)}, []string{"operator", "operator"})
	e.equal("events", e.events(id), []told{{"lease", "acquired", 1, "issue_grant_and_claim"}, {"operator", "claimed", 0, ""}})
	e.equal("details", e.operatorDetails(id), []map[string]any{
		{"lease_epoch": 1.0, "attempt_index": 0.0, "worker_instance_id": "operator", "actor": "ops"},
	})
	e.complete(c)
}

func testOperatorClaimResumes(e *env) {
	s := e.scene("released")
	c, err := e.svc.ClaimExecution(e.Context(), ff.ClaimExecution{
		ExecutionID: s.id, WorkerID: "me", WorkerInstanceID: "me-1", LeaseTTL: time.Second,
	})
	e.ok(err)
	e.equal("resumed", c.Resumed, true)
	e.equal("attempt", []any{c.Fence.AttemptIndex, c.Fence.AttemptID, c.Fence.Epoch}, []any{0, s.claim.Fence.AttemptID, s.claim.Fence.Epoch + 1})
	e.equal("lease", c.LeaseExpiresAt, e.pace.now()+1000)
	log := e.events(s.id)
	e.equal("event", log[len(log)-2], told{"lease", "acquired", 2, "issue_grant_and_claim_resumed"})
	e.refused("the old holder", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: s.id, Fence: s.claim.Fence}), ff.CodeStaleLease)
	e.complete(c)
}

func testOperatorClaimInput(e *env) {
	id := e.submit(ff.Submit{})
	e.unchanged("bad claims", id, func() {
		for name, cmd := range map[string]ff.ClaimExecution{
			"ttl below":           {ExecutionID: id, LeaseTTL: 100*time.Millisecond - 1},
			"ttl above":           {ExecutionID: id, LeaseTTL: 24*time.Hour + 1},
			"negative ttl":        {ExecutionID: id, LeaseTTL: -1},
			"worker with a space": {ExecutionID: id, WorkerID: "a b"},
			"instance not UTF-8":  {ExecutionID: id, WorkerInstanceID: "\xff"},
			"actor too long":      {ExecutionID: id, Actor: strings.Repeat("a", 257)},
		} {
			_, err := e.svc.ClaimExecution(e.Context(), cmd)
			e.refused(name, err, ff.CodeInvalidInput)
		}
	})
}

// testOperatorEvents: chapter 10, section 3.24 wants an operator's cancel and revocation on record, with who asked.
func testOperatorEvents(e *env) {
	c := e.running(ff.Submit{})
	id := c.ExecutionID
	_, err := e.svc.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: id, Reason: "hung", Actor: "ops"})
	e.ok(err)
	_, err = e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: id, Reason: "enough", Actor: "ops"})
	e.ok(err)
	e.equal("events", e.events(id), []told{
		{"lease", "acquired", 1, ""},
		{"lease", "revoked", 1, "hung"},
		{"operator", "lease_revoked", 0, ""},
		{"completion", "cancelled", 2, ""},
		{"operator", "cancelled", 0, ""},
	})
	e.equal("details", e.operatorDetails(id), []map[string]any{
		{"lease_id": "pg:" + id.UUID().String() + ":0:1", "reason": "hung", "actor": "ops"}, {"reason": "enough", "actor": "ops"},
	})
	e.unchanged("a second cancel", id, func() { e.cancel(id, "again") })
	quit := e.running(ff.Submit{})
	_, err = e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: quit.ExecutionID, Source: ff.SourceWorker, Fence: quit.Fence})
	e.ok(err)
	e.equal("a worker's own cancel is no operator's", len(e.operatorDetails(quit.ExecutionID)), 0)
}
