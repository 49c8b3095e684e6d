package servicetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var registryTests = []behaviour{
	{"RegistersAndRefreshes", testRegister},
	{"DefaultsAndBounds", testRegisterBounds},
	{"W27_ALiveInstanceBelongsToOneWorker", testRegisterIdentity},
	{"AHeartbeatProlongsAndNeverCreates", testHeartbeat},
	{"AClaimThatWaitsIsASignOfLife", testWaitingIsASign},
	{"MarkedDeadIsGone", testMarkDead},
	{"MarkedDeadWhileItWaits", testDeadWhileWaiting},
	{"SilentWorkersAreSwept", testSweep},
	{"ListsTheLiveOfANamespace", testListWorkers},
	{"I32_NothingOfItChangesAnExecution", testRegistryLeavesExecutions},
	{"W28_ExpiredLeasesAreListedInOneOrder", testExpiredLeases},
	{"W38_WhatIsMarkedExpiredStaysListed", testExpiredLeasesMarked},
}

// registration is one whose instance nobody else uses.
func (e *env) registration() ff.RegisterWorker {
	return ff.RegisterWorker{
		WorkerID: "worker", WorkerInstanceID: ff.WorkerInstanceID(e.lane), Namespace: ff.Namespace(e.lane),
		Lanes: []ff.LaneID{"mail"}, LivenessTTL: 10 * time.Second,
	}
}

func (e *env) register(cmd ff.RegisterWorker) ff.RegisterResult {
	e.Helper()
	res, err := e.svc.RegisterWorker(e.Context(), cmd)
	e.ok(err)
	return res
}

// workers are the live instances of the test's namespace.
func (e *env) workers() []ff.WorkerSnapshot {
	e.Helper()
	page, err := e.svc.ListWorkers(e.Context(), ff.ListWorkers{Namespace: ff.Namespace(e.lane)})
	e.ok(err)
	return page.Items
}

// workerEvents are those of the test's namespace: type, instance and reason.
func (e *env) workerEvents() []string {
	e.Helper()
	var out []string
	for _, ev := range e.dump().Events {
		if ev.Family == record.FamilyWorker && ev.Namespace == ff.Namespace(e.lane) {
			out = append(out, strings.TrimSpace(ev.Type+" "+strings.TrimPrefix(string(ev.WorkerInstanceID), string(e.lane))+" "+ev.Reason))
		}
	}
	return out
}

func testRegister(e *env) {
	cmd := e.registration()
	cmd.Lanes, cmd.Capabilities = []ff.LaneID{"print", "mail", "print"}, []string{"linux", "gpu", "gpu"}
	began := e.pace.now()
	e.equal("first", e.register(cmd), ff.RegisterResult{Outcome: ff.WorkerRegistered, ExpiresAt: began + 10_000})
	e.advance(4 * time.Second)
	cmd.Capabilities, cmd.LivenessTTL = nil, 20*time.Second
	e.equal("again", e.register(cmd), ff.RegisterResult{Outcome: ff.WorkerRefreshed, ExpiresAt: began + 24_000})
	e.equal("workers", e.workers(), []ff.WorkerSnapshot{{
		WorkerID: "worker", WorkerInstanceID: ff.WorkerInstanceID(e.lane), Namespace: ff.Namespace(e.lane),
		Lanes: []ff.LaneID{"mail", "print"}, LivenessTTL: 20 * time.Second,
		RegisteredAt: began, LastHeartbeatAt: began + 4000, ExpiresAt: began + 24_000,
	}})
	e.equal("events", e.workerEvents(), []string{"registered"})
}

func testRegisterBounds(e *env) {
	res := e.register(ff.RegisterWorker{WorkerID: "w", WorkerInstanceID: ff.WorkerInstanceID(e.lane), Lanes: []ff.LaneID{"mail"}})
	e.equal("default TTL", res.ExpiresAt, e.pace.now()+60_000)
	for what, change := range map[string]func(c *ff.RegisterWorker){
		"no worker":            func(c *ff.RegisterWorker) { c.WorkerID = "" },
		"no instance":          func(c *ff.RegisterWorker) { c.WorkerInstanceID = "" },
		"no lane":              func(c *ff.RegisterWorker) { c.Lanes = nil },
		"too many lanes":       func(c *ff.RegisterWorker) { c.Lanes = make([]ff.LaneID, ff.MaxClaimLanes+1) },
		"a namespace with NUL": func(c *ff.RegisterWorker) { c.Namespace = "a\x00" },
		"too short a TTL":      func(c *ff.RegisterWorker) { c.LivenessTTL = time.Second - 1 },
		"too long a TTL":       func(c *ff.RegisterWorker) { c.LivenessTTL = 24*time.Hour + 1 },
	} {
		cmd := e.registration()
		change(&cmd)
		_, err := e.svc.RegisterWorker(e.Context(), cmd)
		e.refused(what, err, ff.CodeInvalidInput)
	}
	cmd := e.registration()
	cmd.Capabilities = []string{"a b"}
	_, err := e.svc.RegisterWorker(e.Context(), cmd)
	e.refused("a capability with a space", err, ff.CodeInvalidCapabilities)
	for what, reason := range map[string]string{"too long a reason": strings.Repeat("x", 257), "a control character": "a\nb"} {
		_, err := e.svc.MarkWorkerDead(e.Context(), ff.MarkWorkerDead{WorkerInstanceID: "w", Reason: reason})
		e.refused(what, err, ff.CodeInvalidInput)
	}
	_, err = e.svc.MarkWorkerDead(e.Context(), ff.MarkWorkerDead{WorkerInstanceID: "w", Reason: strings.Repeat("x", 256)})
	e.ok(err)
	e.equal("registered of what was refused", len(e.workers()), 0)
}

func testRegisterIdentity(e *env) {
	cmd := e.registration()
	e.register(cmd)
	cmd.WorkerID = "another"
	_, err := e.svc.RegisterWorker(e.Context(), cmd)
	e.refused("another worker", err, ff.CodeInvalidInput)
	if !strings.Contains(err.Error(), "instance_id reassigned") {
		e.Errorf("the error is %v", err)
	}
	e.equal("worker", e.workers()[0].WorkerID, ff.WorkerID("worker"))
	e.pace.Advance(10 * time.Second) // no longer live, whether or not it was swept
	e.equal("when it is dead", e.register(cmd).Outcome, ff.WorkerRegistered)
	e.equal("worker", e.workers()[0].WorkerID, ff.WorkerID("another"))
}

func testHeartbeat(e *env) {
	beat := func() ff.HeartbeatResult {
		res, err := e.svc.HeartbeatWorker(e.Context(), ff.HeartbeatWorker{
			WorkerInstanceID: ff.WorkerInstanceID(e.lane), Namespace: ff.Namespace(e.lane),
		})
		e.ok(err)
		return res
	}
	e.equal("unknown", beat(), ff.HeartbeatResult{})
	e.equal("workers", len(e.workers()), 0)
	e.register(e.registration())
	e.advance(9999 * time.Millisecond)
	e.equal("in time", beat(), ff.HeartbeatResult{Registered: true, ExpiresAt: e.pace.now() + 10_000})
	e.equal("last sign", e.workers()[0].LastHeartbeatAt, e.pace.now())
	e.pace.Advance(10 * time.Second)
	e.equal("at the expiry", beat(), ff.HeartbeatResult{})
}

// testWaitingIsASign: a claim that waits for a sixtieth of the TTL registers its instance, and says so again after each third.
func testWaitingIsASign(e *env) {
	claim := e.wants(1)
	claim.WorkerInstanceID, claim.Capabilities, claim.LivenessTTL = ff.WorkerInstanceID(e.lane), []string{"gpu"}, 12*time.Second
	live := func() *ff.WorkerSnapshot {
		page, err := e.svc.ListWorkers(e.Context(), ff.ListWorkers{Limit: ff.MaxPage})
		e.ok(err)
		for _, w := range page.Items {
			if w.WorkerInstanceID == claim.WorkerInstanceID {
				return &w
			}
		}
		return nil
	}
	signed := func(what string, at ff.Timestamp) {
		e.Helper()
		e.eventually(what, func() bool {
			e.pace.nudge()
			w := live()
			return w != nil && w.LastHeartbeatAt == at
		})
	}
	_, err := e.svc.Claim(e.Context(), claim) // does not wait
	e.ok(err)
	claim.Wait = 17 * time.Second
	ended := make(chan error, 1)
	go func() {
		_, err := e.svc.Claim(e.Context(), claim)
		ended <- err
	}()
	e.eventually("the claim waits", func() bool { return e.pace.made(claim.Wait) == 1 })
	began := e.pace.now()
	e.advance(199 * time.Millisecond)
	e.equal("before its first sign", live(), (*ff.WorkerSnapshot)(nil))
	e.advance(time.Millisecond)
	signed("the first sign", began+200)
	e.equal("worker", live(), &ff.WorkerSnapshot{
		WorkerID: "worker", WorkerInstanceID: claim.WorkerInstanceID, Namespace: "default", Lanes: claim.Lanes, Capabilities: claim.Capabilities,
		LivenessTTL: 12 * time.Second, RegisteredAt: began + 200, LastHeartbeatAt: began + 200, ExpiresAt: began + 12_200,
	})
	for i := range ff.Timestamp(4) {
		e.advance(3999 * time.Millisecond)
		e.equal("before the next sign", live().LastHeartbeatAt, began+200+4000*i)
		e.advance(time.Millisecond)
		signed("the next sign", began+4200+4000*i)
	}
	e.advance(800 * time.Millisecond)
	e.ok(<-ended)
	e.advance(12 * time.Second)
	e.equal("when nothing waits", live(), (*ff.WorkerSnapshot)(nil))
}

// testDeadWhileWaiting: who is marked dead gives no signs until its next claim.
func testDeadWhileWaiting(e *env) {
	claim := e.wants(1)
	claim.WorkerInstanceID, claim.LivenessTTL, claim.Wait = ff.WorkerInstanceID(e.lane), 12*time.Second, 59_998*time.Millisecond
	alive := func() bool {
		res, err := e.svc.HeartbeatWorker(e.Context(), ff.HeartbeatWorker{WorkerInstanceID: claim.WorkerInstanceID})
		e.ok(err)
		return res.Registered
	}
	waits := func() (end func()) {
		ctx, stop := context.WithCancel(e.Context())
		ended, n := make(chan struct{}), e.pace.made(claim.Wait)
		go func() {
			defer close(ended)
			_, _ = e.svc.Claim(ctx, claim)
		}()
		e.eventually("the claim waits", func() bool { return e.pace.made(claim.Wait) == n+1 })
		e.advance(200 * time.Millisecond)
		return func() { stop(); <-ended }
	}
	signs := func() {
		e.eventually("the instance is registered", func() bool { e.pace.nudge(); return alive() })
	}
	end := waits()
	signs()
	_, err := e.svc.MarkWorkerDead(e.Context(), ff.MarkWorkerDead{WorkerInstanceID: claim.WorkerInstanceID})
	e.ok(err)
	e.advance(8 * time.Second)
	e.equal("alive though it was marked dead", alive(), false)
	end()
	defer waits()()
	signs()
}

func (e *env) markDead(reason string) ff.MarkDeadResult {
	e.Helper()
	res, err := e.svc.MarkWorkerDead(e.Context(), ff.MarkWorkerDead{
		WorkerInstanceID: ff.WorkerInstanceID(e.lane), Namespace: ff.Namespace(e.lane), Reason: reason,
	})
	e.ok(err)
	return res
}

func testMarkDead(e *env) {
	e.equal("unknown", e.markDead(""), ff.MarkDeadResult{})
	e.register(e.registration())
	e.equal("live", e.markDead("out of memory"), ff.MarkDeadResult{Marked: true})
	e.equal("again", e.markDead("out of memory"), ff.MarkDeadResult{})
	e.equal("workers", len(e.workers()), 0)
	e.equal("events", e.workerEvents(), []string{"registered", "marked_dead  out of memory"})
}

func testSweep(e *env) {
	e.register(e.registration())
	e.advance(10*time.Second - time.Millisecond)
	e.equal("events in time", e.workerEvents(), []string{"registered"})
	e.advance(time.Millisecond)
	e.equal("events", e.workerEvents(), []string{"registered", "ttl_swept  no sign of life for 10s"})
	e.equal("workers", len(e.workers()), 0)
	e.equal("comes back", e.register(e.registration()).Outcome, ff.WorkerRegistered)
}

func testListWorkers(e *env) {
	var want []ff.WorkerInstanceID
	for i := range 7 {
		cmd := e.registration()
		cmd.WorkerInstanceID = ff.WorkerInstanceID(fmt.Sprintf("%s-%d", e.lane, i))
		if i == 3 {
			cmd.LivenessTTL = time.Second
		} else {
			want = append(want, cmd.WorkerInstanceID)
		}
		e.register(cmd)
	}
	other := e.registration()
	other.Namespace += "x"
	e.register(other)
	e.pace.Advance(2 * time.Second) // one is dead, swept or not
	var got []ff.WorkerInstanceID
	q := ff.ListWorkers{Namespace: ff.Namespace(e.lane), Limit: 2}
	for more := true; more; more = q.After != "" {
		page, err := e.svc.ListWorkers(e.Context(), q)
		e.ok(err)
		for _, w := range page.Items {
			got = append(got, w.WorkerInstanceID)
		}
		q.After = page.Next
	}
	e.equal("workers", got, want)
	_, err := e.svc.ListWorkers(e.Context(), ff.ListWorkers{Limit: -1})
	e.refused("a negative page", err, ff.CodeInvalidInput)
}

func testRegistryLeavesExecutions(e *env) {
	cmd := e.registration()
	claim := e.wants(1)
	claim.WorkerInstanceID, claim.LeaseTTL = cmd.WorkerInstanceID, time.Hour
	id := e.submit(ff.Submit{})
	_, err := e.svc.Claim(e.Context(), claim)
	e.ok(err)
	e.unchanged("registration, death and sweep", id, func() {
		e.register(cmd)
		e.register(cmd)
		e.markDead("gone")
		e.register(cmd)
		e.advance(10 * time.Second)
	})
}

// testExpiredLeases: one order over all shards, a cursor that loses nothing, and the namespace is heeded.
func testExpiredLeases(e *env) {
	ns := ff.Namespace(e.lane)
	var want []ff.ExecutionID
	for i := range 7 {
		lane := e.lane + ff.LaneID('a'+rune(i))
		namespace := ns
		if i == 3 {
			namespace += "x"
		}
		id := e.submit(ff.Submit{Lane: lane, Namespace: namespace})
		if i != 3 {
			want = append(want, id)
		}
		claim := e.wants(1)
		claim.Lanes = []ff.LaneID{lane}
		_, err := e.svc.Claim(e.Context(), claim)
		e.ok(err)
		e.pace.Advance(time.Second)
	}
	list := func(q ff.ListExpiredLeases) []ff.ExecutionID {
		var got []ff.ExecutionID
		for more := true; more; more = q.After != "" {
			page, err := e.svc.ListExpiredLeases(e.Context(), q)
			e.ok(err)
			for _, l := range page.Items {
				got = append(got, l.ExecutionID)
				e.equal("worker", []any{l.WorkerID, l.WorkerInstanceID, l.Epoch, l.AttemptIndex}, []any{ff.WorkerID("worker"), ff.WorkerInstanceID("worker-1"), uint64(1), 0})
			}
			q.After = page.Next
		}
		return got
	}
	e.equal("now", len(list(ff.ListExpiredLeases{Namespace: ns})), 0)
	began := e.pace.now() - 7000
	e.equal("as of when two have", list(ff.ListExpiredLeases{Namespace: ns, AsOf: began + 11_000}), want[:2])
	e.equal("as of later, page by page", list(ff.ListExpiredLeases{Namespace: ns, AsOf: e.pace.now().Add(time.Hour), Limit: 2}), want)
	e.advance(5 * time.Second) // the first three have run out, and were marked
	e.equal("two seconds later", list(ff.ListExpiredLeases{Namespace: ns}), want[:3])
	for what, q := range map[string]ff.ListExpiredLeases{
		"a cursor of nothing": {After: "x"}, "a page too long": {Limit: 1001}, "a negative time": {AsOf: -1},
	} {
		_, err := e.svc.ListExpiredLeases(e.Context(), q)
		e.refused(what, err, ff.CodeInvalidInput)
	}
}

func testExpiredLeasesMarked(e *env) {
	c := e.running(ff.Submit{Namespace: ff.Namespace(e.lane)})
	e.advance(leaseTTL)
	e.inState(c.ExecutionID, leaseRanOut)
	e.advance(time.Hour)
	page, err := e.svc.ListExpiredLeases(e.Context(), ff.ListExpiredLeases{Namespace: ff.Namespace(e.lane)})
	e.ok(err)
	e.equal("listed", page.Items, []ff.ExpiredLease{{
		ExecutionID: c.ExecutionID, LeaseID: c.Fence.LeaseID, Epoch: 1, WorkerID: "worker", WorkerInstanceID: "worker-1",
		ExpiresAt: c.LeaseExpiresAt,
	}})
	e.claim()
	page, err = e.svc.ListExpiredLeases(e.Context(), ff.ListExpiredLeases{Namespace: ff.Namespace(e.lane)})
	e.ok(err)
	e.equal("listed when it was claimed again", len(page.Items), 0)
}
