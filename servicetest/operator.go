package servicetest

import (
	"encoding/json"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var operatorTests = []behaviour{
	{"ChangePriorityReorders", testPriorityReorders},
	{"ChangePriorityClamps", testPriorityClamps},
	{"ChangePriorityOnlyOfEligible", testPriorityGate},
	{"ChangePriorityWritesOneEvent", testPriorityEvents},
	{"RevokePutsTheAttemptBack", testRevoke},
	{"RevokeChecksWhatItIsTold", testRevokeChecks},
	{"RevokeWithoutALease", testRevokeGate},
	{"RevokedHolderGetsNothingBack", testRevokeThenHolder},
}

func (e *env) changePriority(id ff.ExecutionID, priority int) ff.ChangePriorityResult {
	e.Helper()
	res, err := e.svc.ChangePriority(e.Context(), ff.ChangePriority{ExecutionID: id, NewPriority: priority, Actor: "ops", LaneID: "ignored"})
	e.ok(err)
	return res
}

// operatorDetails are the details of the operator events of an execution, in order.
func (e *env) operatorDetails(id ff.ExecutionID) []map[string]any {
	e.Helper()
	var details []map[string]any
	for _, ev := range e.dump().Events {
		if ev.ExecutionID == id && ev.Family == record.FamilyOperator {
			var d map[string]any
			e.ok(json.Unmarshal(ev.Details, &d))
			details = append(details, d)
		}
	}
	return details
}

func testPriorityReorders(e *env) {
	a, b, c := e.submit(ff.Submit{Priority: 1}), e.submit(ff.Submit{Priority: 2}), e.submit(ff.Submit{Priority: 3})
	e.equal("answer", e.changePriority(a, 9), ff.ChangePriorityResult{ExecutionID: a, OldPriority: 1, NewPriority: 9})
	e.changePriority(c, 0)
	var got []ff.ExecutionID
	for _, claimed := range e.claimUpTo(3) {
		got = append(got, claimed.ExecutionID)
	}
	e.equal("order", got, []ff.ExecutionID{a, b, c})
}

func testPriorityClamps(e *env) {
	id := e.submit(ff.Submit{})
	for asked, want := range map[int]int{-1: 0, -1 << 31: 0, 9000: 9000, 9001: 9000, 1<<31 - 1: 9000} {
		e.equal(fmt.Sprintf("priority after %d", asked), e.changePriority(id, asked).NewPriority, want)
		e.equal("stored", e.describe(id).Priority, want)
	}
}

func testPriorityGate(e *env) {
	eligible := map[string]bool{"new": true, "retry due": true, "released": true, "revoked": true, "replayed": true}
	for name := range e.scenes() {
		s := e.scene(name)
		if eligible[name] {
			e.equal(name, e.changePriority(s.id, 7).NewPriority, 7)
			e.inState(s.id, s.state)
			e.leave(s, name)
			continue
		}
		e.unchanged("a change of one that is "+name, s.id, func() {
			err := errOf(e.svc.ChangePriority(e.Context(), ff.ChangePriority{ExecutionID: s.id, NewPriority: 7}))
			e.refused(name, err, ff.CodeExecutionNotEligible)
		})
		e.leave(s, name)
	}
}

// testPriorityEvents is O2: one event a change, also of one that changes nothing, each knowing the value before.
func testPriorityEvents(e *env) {
	id := e.submit(ff.Submit{Priority: 5})
	last := e.describe(id).LastTransitionAt
	e.pace.Advance(1e9)
	for _, p := range []int{5, 70, 9999} {
		e.changePriority(id, p)
	}
	e.equal("details", e.operatorDetails(id), []map[string]any{
		{"old_priority": 5.0, "new_priority": 5.0, "actor": "ops"},
		{"old_priority": 5.0, "new_priority": 70.0, "actor": "ops"},
		{"old_priority": 70.0, "new_priority": 9000.0, "actor": "ops"},
	})
	s := e.describe(id)
	e.equal("times", []ff.Timestamp{s.LastTransitionAt, s.LastMutationAt}, []ff.Timestamp{last, last + 1000})
}

func (e *env) revoke(cmd ff.RevokeLease) ff.RevokeResult {
	e.Helper()
	res, err := e.svc.RevokeLease(e.Context(), cmd)
	e.ok(err)
	return res
}

func testRevoke(e *env) {
	c := e.running(ff.Submit{})
	name := fmt.Sprintf("pg:%s:0:1", c.ExecutionID.UUID())
	res := e.revoke(ff.RevokeLease{ExecutionID: c.ExecutionID, Reason: "hung"})
	e.equal("answer", res, ff.RevokeResult{Outcome: "revoked", LeaseID: name, Epoch: 2})
	s := e.inState(c.ExecutionID, mayContinue)
	e.equal("public state", s.PublicState, ff.PublicWaiting)
	again := e.claim()
	e.equal("resumed", again.Resumed, true)
	e.equal("attempt", again.Fence.AttemptID, c.Fence.AttemptID)
	e.equal("epoch and index", []int{int(again.Fence.Epoch), again.Fence.AttemptIndex}, []int{3, 0})
	e.equal("events", e.events(c.ExecutionID), []told{
		{"lease", "acquired", 1, ""}, {"lease", "revoked", 1, "hung"}, {"operator", "lease_revoked", 0, ""}, {"lease", "acquired", 3, "claim_resumed"},
	})
	at, err := e.renew(again, leaseTTL) // W8: nothing of the revocation is left
	e.ok(err)
	e.equal("renewed until", at, e.pace.now().Add(leaseTTL))
}

func testRevokeChecks(e *env) {
	c := e.running(ff.Submit{})
	name := fmt.Sprintf("pg:%s:0:1", c.ExecutionID.UUID())
	e.unchanged("revocations of something else", c.ExecutionID, func() {
		for reason, cmd := range map[string]ff.RevokeLease{
			"different_worker_instance_id": {WorkerInstanceID: "worker-2", ExpectedLeaseID: name},
			"lease_id_mismatch":            {WorkerInstanceID: "worker-1", ExpectedLeaseID: ff.NewLeaseID().String()},
		} {
			cmd.ExecutionID = c.ExecutionID
			e.equal("answer", e.revoke(cmd), ff.RevokeResult{Outcome: "already_satisfied", Reason: reason})
		}
	})
	byName := ff.RevokeLease{ExecutionID: c.ExecutionID, WorkerInstanceID: "worker-1", ExpectedLeaseID: name}
	e.equal("outcome by name", e.revoke(byName).Outcome, ff.Revoked)
	c = e.claim()
	byID := ff.RevokeLease{ExecutionID: c.ExecutionID, ExpectedLeaseID: c.Fence.LeaseID.String()}
	e.equal("outcome by id", e.revoke(byID).Outcome, ff.Revoked)
	e.complete(e.claim())
}

func testRevokeGate(e *env) {
	for name := range e.scenes() {
		if name == "running" {
			continue
		}
		s := e.scene(name)
		e.unchanged("a revocation of one that is "+name, s.id, func() {
			e.equal("answer", e.revoke(ff.RevokeLease{ExecutionID: s.id}), ff.RevokeResult{Outcome: "already_satisfied", Reason: "no_active_lease"})
		})
		e.leave(s, name)
	}
}

func testRevokeThenHolder(e *env) {
	c := e.running(ff.Submit{})
	e.revoke(ff.RevokeLease{ExecutionID: c.ExecutionID})
	e.allRefused("a revoked lease", c.ExecutionID, c.Fence, ff.CodeLeaseRevoked)
}
