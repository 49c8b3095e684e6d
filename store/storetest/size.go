package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var sizeTests = []behaviour{
	{"ThousandExecutionsInOneUnit", testThousandInOneUnit},
	{"ThousandUnitsInOneBatch", testThousandUnits},
	{"LargeAndBinaryPayloads", testPayloads},
	{"EmptyIsAsGoodAsNil", testEmptyAndNil},
}

func testThousandInOneUnit(e *env) {
	const many = 1000
	var all []*record.Execution
	for n := 1; n <= many; n++ {
		all = append(all, waiting(n, detail(fmt.Sprint(n))))
	}
	e.put(all...)
	e.do(unit(claimMail(many), func(tx *store.Tx) error {
		list := tx.Claimable(0)
		e.equal("claimed", idsOf(list), idsOf(all))
		for _, x := range list {
			n := *x
			n.Ready, n.DueAt = false, start
			tx.PutExecution(&n)
			tx.PutAttempt(&record.Attempt{ExecutionID: x.ID, FailureReason: x.BlockingDetail})
			tx.Append(record.Event{Family: record.FamilyLease, Type: "acquired", ExecutionID: x.ID, Reason: x.BlockingDetail, At: start})
		}
		return nil
	}))
	d := e.dump()
	e.equal("attempts", len(d.Attempts), many)
	e.equal("events", len(d.Events), many)
	for i, x := range d.Executions {
		text := fmt.Sprint(i + 1)
		if x.Version != 2 || x.BlockingDetail != text || d.Attempts[i].FailureReason != text || d.Events[i].Reason != text {
			e.Fatalf("execution %d has what belongs to another: %+v, %+v, %+v", i+1, x, d.Attempts[i], d.Events[i])
		}
	}
	e.equal("due", e.due(many), idsOf(all))
	e.equal("claimable", e.claimable(mailQuery(many)), ids())
}

// testThousandUnits: a batch of small units that want the same queue, as a busy engine makes it.
func testThousandUnits(e *env) {
	const many = 1000
	submits, claims := make([]*store.Unit, many), make([]*store.Unit, many)
	for i := range many {
		x := waiting(i + 1)
		submits[i] = believing(unit(reads(x.ID), func(tx *store.Tx) error {
			n := *x
			tx.PutExecution(&n)
			return nil
		}), x.ID, nil)
		claims[i] = unit(claimMail(1), func(tx *store.Tx) error {
			e.equal("claimed", idsOf(tx.Claimable(0)), ids(i+1))
			takeOff(tx, tx.Claimable(0))
			return nil
		})
	}
	e.do(submits...)
	e.do(claims...)
	e.equal("claimable", e.claimable(mailQuery(many)), ids())
}

func testPayloads(e *env) {
	pattern := make([]byte, 1<<20)
	for i := range pattern {
		pattern[i] = byte(i * 7)
	}
	payloads := [][]byte{pattern, {0}, {0, 0, 0}, []byte("a\x00b"), {0xff, 0xfe, 0x80}, []byte(`{"json": true}`), []byte(strings.Repeat("x", 1<<16))}
	for i, p := range payloads {
		want := waiting(i + 1)
		want.Payload, want.PayloadEncoding = p, "binary"
		want.Result, want.ResultEncoding = bytes.Clone(p), "binary"
		e.put(want)
		want.Version = 1
		e.equal(fmt.Sprintf("execution with %d bytes", len(p)), e.get(want.ID), want)
		e.update(want.ID, func(n *record.Execution) { n.Result = payloads[len(payloads)-1-i] })
		if got := e.get(want.ID); !bytes.Equal(got.Result, payloads[len(payloads)-1-i]) || !bytes.Equal(got.Payload, p) {
			e.Errorf("payload %d changed with the result", i)
		}
	}
}

func testEmptyAndNil(e *env) {
	want := waiting(1)
	want.Payload, want.Capabilities, want.Tags = []byte{}, []string{}, map[string]string{}
	want.Result, want.ProgressDetails = []byte{}, []byte{}
	e.put(want)
	want.Version = 1
	e.equal("execution", e.get(id(1)), want)
	e.update(id(1), func(n *record.Execution) { n.Result, n.ProgressDetails, n.ProgressPercent = nil, nil, new(int) })
	got := e.get(id(1))
	if got.ProgressPercent == nil || *got.ProgressPercent != 0 {
		e.Errorf("progress is %v, want 0, which is not the same as none", got.ProgressPercent)
	}
	route := &record.Route{Lane: mail, ID: 1, Capabilities: []string{}, Partition: homePartition}
	e.do(unit(store.Reads{}, func(tx *store.Tx) error {
		tx.PutRoute(route)
		return nil
	}))
	e.equal("routes", e.dump().Routes, []*record.Route{route})
}
