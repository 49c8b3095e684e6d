package servicetest

import (
	"fmt"
	"strings"

	ff "github.com/flowfabric/flowfabric"
)

var submitManyTests = []behaviour{
	{"EachItemHasItsOwnAnswer", testManyAnswers},
	{"KeysAreUniqueWithinACall", testManySameKey},
	{"OneInvalidItemStopsAll", testManyInvalid},
	{"TenThousandIsTheMost", testManyBounds},
	{"NothingIsFine", testManyNone},
	{"LanesMayMix", testManyLanes},
	{"ThousandInOrder", testManyInOrder}, // last: it leaves much for the audit to read
}

func (e *env) submitMany(cmds []ff.Submit) []ff.SubmitResult {
	e.Helper()
	for i := range cmds {
		cmds[i] = e.command(cmds[i])
	}
	results, err := e.svc.SubmitMany(e.Context(), cmds)
	e.ok(err)
	if len(results) != len(cmds) {
		e.Fatalf("%d results for %d commands", len(results), len(cmds))
	}
	return results
}

func testManyInOrder(e *env) {
	cmds := make([]ff.Submit, 1000)
	for i := range cmds {
		cmds[i] = ff.Submit{Payload: fmt.Append(nil, i), Priority: 1000 - i}
	}
	results := e.submitMany(cmds)
	var claims []ff.Claimed
	for range 20 {
		claims = append(claims, e.claimUpTo(50)...)
	}
	e.equal("claims", len(claims), 1000)
	for i, c := range claims {
		if r := results[i]; r.Outcome != ff.Created || r.ID != c.ExecutionID || string(c.Payload) != fmt.Sprint(i) {
			e.Fatalf("result %d is %+v; claim %d is of %s with payload %s", i, r, i, c.ExecutionID, c.Payload)
		}
	}
	e.nothingClaimable("after all were claimed")
}

func testManyAnswers(e *env) {
	existing := e.submit(ff.Submit{})
	keyed := e.submit(ff.Submit{IdempotencyKey: e.Name()})
	results := e.submitMany([]ff.Submit{
		{},
		{ID: existing, Payload: []byte("x")},
		{IdempotencyKey: e.Name()},
		{IdempotencyKey: e.Name(), Kind: "another"},
		{IdempotencyKey: e.Name() + " other"},
		{},
	})
	var outcomes []ff.SubmitOutcome
	for _, r := range results {
		outcomes = append(outcomes, r.Outcome)
	}
	e.equal("outcomes", outcomes, []ff.SubmitOutcome{"created", "duplicate", "duplicate", "rejected", "created", "created"})
	e.equal("ids of duplicates", []ff.ExecutionID{results[1].ID, results[2].ID}, []ff.ExecutionID{existing, keyed})
	for i, r := range results {
		want := ff.Code("")
		if i == 3 {
			want = ff.CodeIdempotencyConflict
		}
		e.refused(fmt.Sprintf("item %d", i), r.Err, want)
	}
	e.equal("executions", len(e.claimUpTo(100)), 5)
}

// testManySameKey: within a call as over calls, one key is one execution (I23).
func testManySameKey(e *env) {
	id := ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
	results := e.submitMany([]ff.Submit{
		{IdempotencyKey: e.Name()},
		{IdempotencyKey: e.Name()},
		{IdempotencyKey: e.Name(), Kind: "another"},
		{ID: id},
		{ID: id},
	})
	e.equal("first of the key", results[0].Outcome, ff.Created)
	e.equal("second of the key", results[1], ff.SubmitResult{ID: results[0].ID, Outcome: ff.Duplicate})
	e.refused("third of the key", results[2].Err, ff.CodeIdempotencyConflict)
	e.equal("first of the id", results[3], ff.SubmitResult{ID: id, Outcome: ff.Created})
	e.equal("second of the id", results[4], ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
	e.equal("executions", len(e.claimUpTo(100)), 2)
}

func testManyInvalid(e *env) {
	cmds := []ff.Submit{e.command(ff.Submit{}), e.command(ff.Submit{}), e.command(ff.Submit{Priority: -1}), e.command(ff.Submit{})}
	_, err := e.svc.SubmitMany(e.Context(), cmds)
	e.refused("call", err, ff.CodeInvalidInput)
	if err == nil || !strings.Contains(err.Error(), "2") || !strings.Contains(err.Error(), "priority") {
		e.Errorf("the error does not name command 2 and its priority: %v", err)
	}
	e.nothingClaimable("after the refusal")
}

func testManyBounds(e *env) {
	cmds := make([]ff.Submit, 10_001)
	for i := range cmds {
		cmds[i] = e.command(ff.Submit{})
	}
	_, err := e.svc.SubmitMany(e.Context(), cmds)
	e.refused("10,001", err, ff.CodeInvalidInput)
	e.nothingClaimable("after the refusal")
}

func testManyNone(e *env) {
	results, err := e.svc.SubmitMany(e.Context(), nil)
	e.ok(err)
	e.equal("results", len(results), 0)
}

func testManyLanes(e *env) {
	cmds := make([]ff.Submit, 64)
	lanes := make([]ff.LaneID, len(cmds))
	for i := range cmds {
		lanes[i] = ff.LaneID(fmt.Sprintf("%s %d", e.lane, i))
		cmds[i] = ff.Submit{Lane: lanes[i], IdempotencyKey: fmt.Sprintf("%s %d", e.Name(), i)}
	}
	first := e.submitMany(cmds)
	for i, r := range e.submitMany(cmds) {
		e.equal(fmt.Sprintf("repeat of command %d", i), r, ff.SubmitResult{ID: first[i].ID, Outcome: ff.Duplicate})
	}
	for i, lane := range lanes {
		want := e.wants(2)
		want.Lanes = []ff.LaneID{lane}
		got, err := e.svc.Claim(e.Context(), want)
		e.ok(err)
		if len(got) != 1 || got[0].ExecutionID != first[i].ID {
			e.Errorf("lane %q gives %+v", lane, got)
		}
	}
}
