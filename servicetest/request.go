package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var requestTests = []behaviour{
	{"W36_ARepeatGetsWhatIsStillHeld", testRequestRepeat},
	{"ARepeatIsToppedUp", testRequestTopUp},
	{"OnlyTheSameInstanceAndRequest", testRequestScope},
	{"AnotherEngineKnowsTheRequest", testRequestOtherEngine},
	{"ARepeatOfAnEmptyOneWaits", testRequestWaits},
	{"AFirstTryLooksForNothing", testRequestFirst},
}

// requesting asks for work with a request id.
func (e *env) requesting(svc ff.Workers, id string, most int) []ff.Claimed {
	e.Helper()
	cmd := e.wants(most)
	cmd.RequestID = id + e.Name()
	got, err := svc.Claim(e.Context(), cmd)
	e.ok(err)
	return got
}

func fences(list []ff.Claimed) map[ff.ExecutionID]ff.Fence {
	m := make(map[ff.ExecutionID]ff.Fence)
	for _, c := range list {
		m[c.ExecutionID] = c.Fence
	}
	return m
}

func testRequestRepeat(e *env) {
	for range 5 {
		e.submit(ff.Submit{Payload: []byte(`"what to do"`), Tags: map[string]string{"team.name": "a"}})
	}
	first := e.requesting(e.svc, "r1", 3)
	again := e.requesting(e.svc, "r1", 3)
	e.equal("fences", fences(again), fences(first))
	e.equal("how many", len(again), 3)
	for _, c := range again {
		e.equal("payload", string(c.Payload), `"what to do"`)
		e.equal("tags", c.Tags, map[string]string{"team.name": "a"})
		e.equal("expiry", c.LeaseExpiresAt, e.pace.now().Add(leaseTTL))
		e.equal("TTL", c.LeaseTTL, leaseTTL)
		e.complete(c)
	}
	e.equal("left for others", len(e.claimUpTo(10)), 2)
}

func testRequestTopUp(e *env) {
	for range 6 {
		e.submit(ff.Submit{})
	}
	first := e.requesting(e.svc, "r1", 3)
	e.complete(first[0])
	again := e.requesting(e.svc, "r1", 4)
	e.equal("how many", len(again), 4)
	held := fences(again)
	for _, c := range first[1:] {
		e.equal("what is still held", held[c.ExecutionID], c.Fence)
	}
	if _, ok := held[first[0].ExecutionID]; ok {
		e.Error("what has ended was handed out again")
	}
	e.advance(leaseTTL)
	e.equal("when all leases have run out", len(e.requesting(e.svc, "r1", 1)), 1)
}

func testRequestScope(e *env) {
	for range 4 {
		e.submit(ff.Submit{})
	}
	first := e.requesting(e.svc, "r1", 1)
	for what, cmd := range map[string]ff.Claim{
		"another request":  {WorkerInstanceID: "worker-1", RequestID: "r2" + e.Name()},
		"another instance": {WorkerInstanceID: "worker-2", RequestID: "r1" + e.Name()},
		"no request":       {WorkerInstanceID: "worker-1"},
	} {
		cmd.Lanes, cmd.WorkerID = []ff.LaneID{e.lane}, "worker"
		got, err := e.svc.Claim(e.Context(), cmd)
		e.ok(err)
		if len(got) != 1 || got[0].ExecutionID == first[0].ExecutionID {
			e.Errorf("%s: claimed %+v", what, got)
		}
	}
	cmd := e.wants(1)
	cmd.RequestID = string(make([]byte, ff.MaxNameBytes+1))
	_, err := e.svc.Claim(e.Context(), cmd)
	e.refused("a request id that is too long", err, ff.CodeInvalidInput)
}

// testRequestOtherEngine: the worker may be told of the failure of one engine and repeat its claim at another.
func testRequestOtherEngine(e *env) {
	e.submit(ff.Submit{})
	first := e.requesting(e.svc, "r1", 1)
	e.equal("fences", fences(e.requesting(e.engine(), "r1", 1)), fences(first))
}

func testRequestWaits(e *env) {
	e.equal("nothing there", len(e.requesting(e.svc, "r1", 1)), 0)
	cmd := e.wants(1)
	cmd.RequestID = "r1" + e.Name()
	w := e.waiting(e.Context(), e.svc, cmd)
	id := e.submit(ff.Submit{})
	e.equal("answered", e.answered(w), []ff.ExecutionID{id})
	e.advance(time.Millisecond)
	e.equal("repeated", len(e.requesting(e.svc, "r1", 1)), 1)
}

// testRequestFirst: who says it is the first gets new work; a repeat that does not say so gets all the request holds.
func testRequestFirst(e *env) {
	for range 3 {
		e.submit(ff.Submit{})
	}
	cmd := e.wants(1)
	cmd.RequestID, cmd.FirstTry = "r1"+e.Name(), true
	held := map[ff.ExecutionID]ff.Fence{}
	for range 2 {
		got, err := e.svc.Claim(e.Context(), cmd)
		e.ok(err)
		e.equal("how many", len(got), 1)
		held[got[0].ExecutionID] = got[0].Fence
	}
	e.equal("different ones", len(held), 2)
	e.equal("held", fences(e.requesting(e.svc, "r1", 2)), held)
	cmd.RequestID = ""
	got, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
	e.equal("without a request id", len(got), 1)
}
