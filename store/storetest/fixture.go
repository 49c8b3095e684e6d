package storetest

import (
	"encoding/binary"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// home is the partition of the executions of most tests.
const home = 3

var homePartition = ff.Partition{Family: ff.FamilyFlow, Index: home}

// id returns the n-th execution id of the home partition; ids order by n.
func id(n int) ff.ExecutionID { return idOn(home, n) }

func idOn(partition uint16, n int) ff.ExecutionID {
	return ff.ExecutionIDFrom(partition, uuid.UUID(uuidOf(n)))
}

func uuidOf(n int) (u [16]byte) {
	u[0] = 0x5a
	binary.BigEndian.PutUint64(u[8:], uint64(n))
	return u
}

func ids(numbers ...int) []ff.ExecutionID {
	list := make([]ff.ExecutionID, len(numbers))
	for i, n := range numbers {
		list[i] = id(n)
	}
	return list
}

func idsOf(list []*record.Execution) []ff.ExecutionID {
	out := make([]ff.ExecutionID, len(list))
	for i, e := range list {
		out[i] = e.ID
	}
	return out
}

// mail is the lane of the executions of most tests.
const mail ff.LaneID = "mail"

// waiting is a new execution that is ready on the lane mail.
func waiting(n int, options ...func(*record.Execution)) *record.Execution {
	e := &record.Execution{
		ID: id(n), Lane: mail, Namespace: "default", Kind: "send", Creator: "test", CreatedAt: start,
		State: ff.StateVector{
			Phase: ff.PhaseRunnable, Ownership: ff.Unowned, Eligibility: ff.EligibleNow, BlockingReason: ff.WaitingForWorker,
			Outcome: ff.OutcomeNone, AttemptState: ff.PendingFirstAttempt,
		},
		Public: ff.PublicWaiting, Ready: true, LastTransitionAt: start, LastMutationAt: start,
	}
	for _, option := range options {
		option(e)
	}
	return e
}

// delayed is a new execution that is due at a time.
func delayed(n int, until ff.Timestamp) *record.Execution {
	return waiting(n, func(e *record.Execution) {
		e.State.Eligibility, e.State.BlockingReason = ff.NotEligibleUntilTime, ff.WaitingForDelay
		e.Public, e.Ready, e.DelayUntil, e.DueAt = ff.PublicDelayed, false, until, until
	})
}

// Options of waiting.

func priority(p int) func(*record.Execution) {
	return func(e *record.Execution) { e.Priority = p }
}

func created(at ff.Timestamp) func(*record.Execution) {
	return func(e *record.Execution) { e.CreatedAt = at }
}

func onLane(l ff.LaneID) func(*record.Execution) {
	return func(e *record.Execution) { e.Lane = l }
}

func onRoute(r int64) func(*record.Execution) {
	return func(e *record.Execution) { e.Route = r }
}

func detail(text string) func(*record.Execution) {
	return func(e *record.Execution) { e.BlockingDetail = text }
}

// Reads of one kind.

func reads(list ...ff.ExecutionID) store.Reads       { return store.Reads{Executions: list} }
func claims(queries ...store.ClaimQuery) store.Reads { return store.Reads{Claimable: queries} }
func dueReads(limit int) store.Reads                 { return store.Reads{Due: []store.DueQuery{{Limit: limit}}} }

func claimMail(limit int, routes ...int64) store.Reads { return claims(mailQuery(limit, routes...)) }

func unit(r store.Reads, f func(*store.Tx) error) *store.Unit { return unitOn(homePartition, r, f) }

func unitOn(p ff.Partition, r store.Reads, f func(*store.Tx) error) *store.Unit {
	return &store.Unit{Partition: p, Reads: r, Decide: f}
}

// mailQuery asks for executions of the lane mail, of the route 0 if none is named.
func mailQuery(limit int, routes ...int64) store.ClaimQuery {
	if len(routes) == 0 {
		routes = []int64{0}
	}
	return store.ClaimQuery{Lane: mail, Routes: routes, Limit: limit}
}

// updateUnit writes a changed copy of an execution.
func updateUnit(id ff.ExecutionID, change func(n *record.Execution)) *store.Unit {
	return unitOn(id.Partition(), reads(id), func(tx *store.Tx) error {
		n := *tx.Execution(id)
		change(&n)
		tx.PutExecution(&n)
		return nil
	})
}

// takeOff makes an execution neither ready nor due, as a claim does with the one and a tick with the other.
func takeOff(tx *store.Tx, list []*record.Execution) {
	for _, e := range list {
		n := *e
		n.Ready, n.DueAt = false, 0
		tx.PutExecution(&n)
	}
}
