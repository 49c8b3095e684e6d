package storetest

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var leaseTests = []behaviour{
	{"LeasesComeByExpiry", testLeaseOrder},
	{"LeasesAreThoseNobodyClaimedSince", testLeaseStates},
	{"LeasesAreFiltered", testLeaseFilters},
	{"LeasesHaveNoBytes", testLeasesLeaveOutBytes},
	{"LeasesSpanShards", testLeasesSpanShards},
	{"LaneIsCounted", testCountLane},
	{"LaneCountIsCapped", testCountLaneCapped},
	{"LaneCountFollowsTheRecords", testCountLaneFollows},
	{"LaneCountSpansShards", testCountLaneSpansShards},
}

// leased is an execution under a lease that ends at a time.
func leased(n int, until ff.Timestamp, options ...func(*record.Execution)) *record.Execution {
	return waiting(n, append([]func(*record.Execution){func(e *record.Execution) { lease(e, until) }}, options...)...)
}

func lease(e *record.Execution, until ff.Timestamp) {
	e.State.Phase, e.State.Ownership, e.State.Eligibility = ff.PhaseActive, ff.Leased, ff.EligibilityNotApplicable
	e.State.BlockingReason, e.State.AttemptState = ff.ReasonNone, ff.RunningAttempt
	e.Public, e.Ready, e.DueAt = ff.PublicActive, false, until
	e.AttemptID, e.LeaseID = ff.AttemptID(uuidOf(1)), ff.LeaseID(uuidOf(2))
	e.WorkerID, e.WorkerInstanceID, e.LeaseExpiresAt = "w", "w-1", until
	e.LeaseAcquiredAt, e.Epoch = start, 1
}

// expire lets the lease of an execution run out, as its tick does.
func expire(e *record.Execution) {
	e.State.Ownership, e.State.AttemptState = ff.LeaseExpiredReclaimable, ff.AttemptInterrupted
	e.State.BlockingReason, e.Ready, e.DueAt = ff.WaitingForWorker, true, 0
}

// finish ends an execution.
func finish(e *record.Execution) {
	e.State.Phase, e.State.Ownership, e.State.Outcome = ff.PhaseTerminal, ff.Unowned, ff.OutcomeSuccess
	e.State.Eligibility, e.State.BlockingReason, e.State.AttemptState = ff.EligibilityNotApplicable, ff.ReasonNone, ff.AttemptTerminal
	e.Public, e.Ready, e.DueAt, e.Slot = ff.PublicCompleted, false, 0, false
	e.LeaseID, e.WorkerID, e.WorkerInstanceID, e.LeaseAcquiredAt, e.LeaseExpiresAt = ff.LeaseID{}, "", "", 0, 0
	e.DelayUntil, e.CompletedAt, e.RetainUntil = 0, start, start+100
}

func (e *env) leases(q store.LeaseQuery) []ff.ExecutionID {
	e.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	list, err := e.store.Leases(e.Context(), q)
	if err != nil {
		e.Fatalf("leases: %v", err)
	}
	return idsOf(list)
}

func testLeaseOrder(e *env) {
	e.equal("of an empty store", e.leases(store.LeaseQuery{}), ids())
	e.put(leased(3, start+5), leased(1, start+5), leased(4, start-5), leased(2, start+9), waiting(5), leased(6, start+5))
	want := ids(4, 1, 3, 6, 2)
	e.equal("leases", e.leases(store.LeaseQuery{}), want)
	for limit := 1; limit <= 6; limit++ {
		var got []ff.ExecutionID
		q := store.LeaseQuery{Limit: limit}
		for page := e.leases(q); len(page) > 0; page = e.leases(q) {
			got = append(got, page...)
			last := e.get(page[len(page)-1])
			q.After = store.LeaseCursor{ExpiresAt: last.LeaseExpiresAt, ExecutionID: last.ID}
		}
		e.equal(fmt.Sprintf("by pages of %d", limit), got, want)
	}
	e.update(id(4), func(n *record.Execution) { n.LeaseExpiresAt, n.DueAt = start+7, start+7 })
	e.equal("after a renewal", e.leases(store.LeaseQuery{}), ids(1, 3, 6, 4, 2))
}

func testLeaseStates(e *env) {
	e.put(leased(1, start+1), leased(2, start+2), leased(3, start+3), leased(4, start+4), delayed(5, start+5))
	e.update(id(1), expire)
	e.equal("one has expired", e.leases(store.LeaseQuery{}), ids(1, 2, 3, 4))
	e.update(id(2), finish)
	e.update(id(3), func(n *record.Execution) {
		expire(n)
		n.DueAt = start + 50 // its deadline, say
	})
	e.equal("one has ended", e.leases(store.LeaseQuery{}), ids(1, 3, 4))
	e.equal("expired by now", e.leases(store.LeaseQuery{ExpiresBy: start + 3}), ids(1, 3))
	e.update(id(1), func(n *record.Execution) { lease(n, start+60) })
	e.update(id(3), finish)
	e.equal("one was reclaimed", e.leases(store.LeaseQuery{}), ids(4, 1))
	e.update(id(4), func(n *record.Execution) { // its due time is not the end of its lease
		n.DueAt = start + 2
	})
	e.equal("one is due earlier", e.leases(store.LeaseQuery{ExpiresBy: start + 3}), ids())
	e.equal("one is due earlier", e.leases(store.LeaseQuery{ExpiresBy: start + 4}), ids(4))
}

func testLeaseFilters(e *env) {
	by := func(namespace ff.Namespace, instance ff.WorkerInstanceID) func(*record.Execution) {
		return func(x *record.Execution) { x.Namespace, x.WorkerInstanceID = namespace, instance }
	}
	e.put(leased(1, start+1, by("n", "w-1")), leased(2, start+2, by("m", "w-1")), leased(3, start+3, by("n", "w-2")), leased(4, start+4, by("n", "w-1")))
	e.update(id(4), expire)
	for _, c := range []struct {
		query store.LeaseQuery
		want  []ff.ExecutionID
	}{
		{store.LeaseQuery{Namespace: "n"}, ids(1, 3, 4)},
		{store.LeaseQuery{WorkerInstanceID: "w-1"}, ids(1, 2, 4)},
		{store.LeaseQuery{Namespace: "n", WorkerInstanceID: "w-1"}, ids(1, 4)},
		{store.LeaseQuery{WorkerInstanceID: "W-1"}, ids()},
		{store.LeaseQuery{ExpiresBy: start + 2}, ids(1, 2)},
		{store.LeaseQuery{ExpiresBy: start + 3, Namespace: "n"}, ids(1, 3)},
		{store.LeaseQuery{Namespace: "n", Limit: 2}, ids(1, 3)},
		{store.LeaseQuery{Namespace: "n", After: store.LeaseCursor{ExpiresAt: start + 2, ExecutionID: id(2)}}, ids(3, 4)},
	} {
		e.equal(fmt.Sprintf("%+v", c.query), e.leases(c.query), c.want)
	}
}

func testLeasesLeaveOutBytes(e *env) {
	x := leased(1, start+1, func(x *record.Execution) { x.Payload, x.ProgressDetails = []byte("p"), []byte("d") })
	e.put(x)
	list, err := e.store.Leases(e.Context(), store.LeaseQuery{Limit: 1})
	if err != nil {
		e.Fatalf("leases: %v", err)
	}
	want := *x
	want.Version, want.Payload, want.ProgressDetails = 1, nil, nil
	e.equal("leases", list, []*record.Execution{&want})
}

func testLeasesSpanShards(e *env) {
	var want []ff.ExecutionID
	for i, p := range e.store.Shards() {
		x := leased(1, start+ff.Timestamp(i/2))
		x.ID = idOn(p.Index, 100-i)
		e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
			tx.PutExecution(x)
			return nil
		}))
		want = append(want, x.ID)
		if i%2 == 1 { // the same expiry, and the lower id
			want[i-1], want[i] = want[i], want[i-1]
		}
	}
	e.equal("leases", e.leases(store.LeaseQuery{}), want)
}

func (e *env) count(lane ff.LaneID, most int) store.LaneCount {
	e.Helper()
	n, err := e.store.CountLane(e.Context(), lane, most)
	if err != nil {
		e.Fatalf("count lane: %v", err)
	}
	return n
}

func testCountLane(e *env) {
	e.equal("of a lane nobody has used", e.count(mail, 10), store.LaneCount{})
	expired := leased(5, start-1)
	expire(expired)
	finished := leased(8, start)
	finish(finished)
	e.put(waiting(1, created(start+9), priority(9)), waiting(2, created(start+3)), waiting(3, created(start+5), onRoute(7)),
		leased(4, start+1), expired, delayed(6, start+9), delayed(7, start-1), finished,
		waiting(9, onLane("media"), created(1)), leased(10, start, onLane("media")))
	e.equal("mail", e.count(mail, 100), store.LaneCount{Ready: 4, Active: 2, Delayed: 2, OldestAt: start})
	e.equal("media", e.count("media", 100), store.LaneCount{Ready: 1, Active: 1, OldestAt: 1})
	e.equal("none", e.count("Mail", 100), store.LaneCount{})
}

func testCountLaneCapped(e *env) {
	for n := 1; n <= 5; n++ {
		e.put(waiting(n), leased(10+n, start+1), delayed(20+n, start+1))
	}
	for most := 1; most <= 7; most++ {
		m := min(most, 5)
		e.equal(fmt.Sprintf("at most %d", most), e.count(mail, most), store.LaneCount{Ready: m, Active: m, Delayed: m, OldestAt: start})
	}
}

func testCountLaneFollows(e *env) {
	e.put(waiting(1), delayed(2, start+5))
	e.update(id(1), func(n *record.Execution) { lease(n, start+9) })
	e.equal("after a claim", e.count(mail, 10), store.LaneCount{Active: 1, Delayed: 1})
	e.update(id(1), expire)
	e.equal("after its lease ran out", e.count(mail, 10), store.LaneCount{Ready: 1, Active: 1, Delayed: 1, OldestAt: start})
	e.update(id(1), func(n *record.Execution) { lease(n, start+99) })
	e.update(id(1), finish)
	e.update(id(2), func(n *record.Execution) { *n = *waiting(2, func(x *record.Execution) { x.Version = n.Version }) })
	e.equal("after the end and a delay", e.count(mail, 10), store.LaneCount{Ready: 1, OldestAt: start})
}

func testCountLaneSpansShards(e *env) {
	shards := e.store.Shards()
	for i, p := range shards {
		for n, x := range []*record.Execution{waiting(1, created(start-ff.Timestamp(i))), leased(2, start), delayed(3, start)} {
			x.ID = idOn(p.Index, n+1)
			e.do(unitOn(p, reads(x.ID), func(tx *store.Tx) error {
				tx.PutExecution(x)
				return nil
			}))
		}
	}
	n := len(shards)
	e.equal("count", e.count(mail, 100), store.LaneCount{Ready: n, Active: n, Delayed: n, OldestAt: start - ff.Timestamp(n-1)})
	e.equal("capped", e.count(mail, 1).Ready, 1)
}
