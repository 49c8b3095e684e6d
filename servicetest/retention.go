package servicetest

import (
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var retentionTests = []behaviour{
	{"I29_FinishedExecutionsAreRemovedWithAllRecords", testTrim},
	{"WhatHasNotEndedStays", testTrimLiving},
	{"MembersStayAsLongAsTheirFlow", testTrimMembers},
}

// eventRetentionTests run where events are kept for an hour.
var eventRetentionTests = []behaviour{{"EventsAreKeptForTheirOwnTime", testTrimEvents}}

// gone lets minutes pass until an execution was removed.
func (e *env) gone(id ff.ExecutionID) {
	e.Helper()
	e.eventually("an execution is removed", func() bool {
		e.trimmed()
		_, err := e.svc.Describe(e.Context(), id)
		return codeOf(err) == ff.CodeExecutionNotFound
	})
}

// trimmed lets the engine's trimmer have its turn at a time.
func (e *env) trimmed() { e.advance(time.Minute) }

func testTrim(e *env) {
	short := e.running(ff.Submit{Policy: retaining(time.Hour), IdempotencyKey: e.Name()})
	e.complete(short)
	usual := e.running(ff.Submit{})
	e.complete(usual)
	e.trimmed()
	e.describe(short.ExecutionID)
	e.advance(time.Hour)
	e.trimmed()
	e.gone(short.ExecutionID)
	e.describe(usual.ExecutionID)
	for _, a := range e.dump().Attempts {
		e.equal("an attempt of what is gone", a.ExecutionID == short.ExecutionID, false)
	}
	e.advance(23 * time.Hour)
	e.trimmed()
	e.gone(usual.ExecutionID)
}

func testTrimLiving(e *env) {
	waiting := e.submit(ff.Submit{Priority: 1})
	c := e.claim()
	e.ok(errOf(e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, For: 500 * time.Hour})))
	ended := e.running(ff.Submit{Policy: retaining(0)})
	e.complete(ended)
	e.advance(48 * time.Hour)
	e.trimmed()
	e.gone(ended.ExecutionID)
	e.describe(waiting)
}

// testTrimMembers: what a member made is there as long as another may read it, however short its own retention is; when the
// flow's time is over all of it goes.
func testTrimMembers(e *env) {
	short := e.node("a")
	short.Submit.Policy = retaining(0)
	g := &graph{env: e, names: []string{"a", "b"}, held: make(map[string]ff.Claimed)}
	g.submitted(ff.SubmitFlow{Nodes: []ff.FlowNode{short, e.node("b < a")}})
	g.end("success", "a")
	e.advance(72 * time.Hour)
	e.trimmed()
	e.trimmed()
	res, err := e.svc.Result(e.Context(), g.node("a"))
	e.ok(err)
	e.equal("what a made", string(res.Payload), "a")
	g.end("success", "b")
	e.equal("retained until", e.describe(g.node("b")).RetainUntil, ff.Timestamp(0))
	e.advance(24 * time.Hour)
	e.gone(g.node("a"))
	e.gone(g.node("b"))
	e.refused("flow", errOf(e.svc.DescribeFlow(e.Context(), g.id)), ff.CodeFlowNotFound)
	for _, rec := range e.dump().Records {
		if slices.Contains([]record.Family{record.Flows, record.Edges, record.Groups, record.Errands}, rec.Key().Family()) {
			e.Errorf("left of the flow: %+v", rec)
		}
	}
}

func testTrimEvents(e *env) {
	e.setLane(ff.UpdateLane{Weight: new(2)})
	e.advance(58 * time.Minute)
	e.trimmed()
	e.equal("events in time", len(e.dump().Events), 1)
	e.advance(2 * time.Minute)
	e.trimmed()
	e.eventually("the events are removed", func() bool {
		e.trimmed()
		return len(e.dump().Events) == 0
	})
}
