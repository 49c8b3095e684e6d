package ops

import (
	"encoding/binary"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func (b *bench) explainFlow(id ff.FlowID) ff.FlowExplanation {
	b.Helper()
	x, err := b.ExplainFlow(b.Context(), b.store, id)
	if err != nil {
		b.Fatal(err)
	}
	return x
}

// kindsOf are the kinds of members that hold a flow up, with how many there are.
func kindsOf(x ff.FlowExplanation) map[ff.GateCode]int {
	kinds := make(map[ff.GateCode]int)
	for _, h := range x.Holding {
		kinds[h.Code] = h.Count
	}
	return kinds
}

// TestExplainFlow_MembersNoEndHelps: of members that await their upstreams, those are told that no end of another member
// lets go.
func TestExplainFlow_MembersNoEndHelps(t *testing.T) {
	for _, c := range []struct {
		what      string
		group     *record.Group
		upstreams []string
		want      map[ff.GateCode]int
	}{
		{"all_of", &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, Success: 1, Running: 1, Total: 2}, []string{"success", "open"}, map[ff.GateCode]int{"no_worker": 1}},
		{"unknown policy", &record.Group{Policy: ff.GroupPolicy{Kind: "most"}, Running: 1, Total: 1}, []string{"open"}, map[ff.GateCode]int{"no_worker": 1, "unknown_policy": 1}},
		{"too large a quorum", &record.Group{Policy: ff.GroupPolicy{Kind: ff.Quorum, K: 2}, Success: 1, Total: 1}, []string{"success"}, map[ff.GateCode]int{"dependencies": 1}},
		{"impossible", &record.Group{State: ff.GroupImpossible, Fail: 1, Total: 1}, []string{"failed"}, map[ff.GateCode]int{"dependencies_impossible": 1}},
		{"no group, an edge", nil, []string{"open"}, map[ff.GateCode]int{"no_worker": 1}},
		{"no group, no edge", nil, nil, map[ff.GateCode]int{"dependencies": 1}},
	} {
		b := newBench(t)
		e := inVector(behind)
		b.memberBehind(e, c.group, c.upstreams...)
		x := b.explainFlow(e.FlowID)
		b.equal(c.what, kindsOf(x), c.want)
		b.equal(c.what+": looked at all", []any{x.Complete, x.Counts.Total}, []any{true, len(c.upstreams) + 1})
	}
	b := newBench(t)
	_, err := b.ExplainFlow(t.Context(), b.store, ff.NewFlowID())
	b.refused(err, ff.ErrFlowNotFound)
}

// TestExplainFlow_FollowsEdgesBeyondWhatItLooksAt: of 10,000 members and one, only the last by id does not wait.
func TestExplainFlow_FollowsEdgesBeyondWhatItLooksAt(t *testing.T) {
	b := newBench(t)
	flow := ff.NewFlowID()
	key := b.flowKey(flow)
	idOf := func(n int) ff.ExecutionID {
		var u [16]byte
		binary.BigEndian.PutUint32(u[:], uint32(n))
		return ff.FlowExecutionIDWith(flow, b.Partitions, u)
	}
	const n = 10_000
	b.keep(&record.Flow{FlowKey: key, State: ff.FlowOpen, NodeCount: n + 1})
	for from := 1; from <= n; from += 1000 {
		u := &store.Unit{Partition: key.Home}
		var write []func(*store.Tx)
		for i := from; i < from+1000; i++ { // each waits for the next
			e := inVector(behind)
			e.ID, e.FlowID, e.AwaitsUpstream = idOf(i), flow, true
			g := &record.Group{GroupKey: groupKeyOf(key, e.ID), Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupPending, Total: 1, Running: 1}
			u.Reads.Executions, u.Reads.Records = append(u.Reads.Executions, e.ID), append(u.Reads.Records, g.Key())
			write = append(write, func(tx *store.Tx) { tx.PutExecution(e); tx.Put(g) })
		}
		u.Decide = func(tx *store.Tx) error {
			for _, w := range write {
				w(tx)
			}
			return nil
		}
		if err := b.store.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
			t.Fatal(err, u.Err)
		}
	}
	last := inVector("active leased not_applicable none none running_attempt")
	last.ID, last.FlowID, last.LeaseExpiresAt = idOf(n+1), flow, t0+1000
	b.put(last)
	edge := func(up, down int) *record.Edge {
		return &record.Edge{
			EdgeKey: record.EdgeKey{Home: key.Home, FlowID: flow, EdgeID: ff.NewEdgeID()}, Upstream: idOf(up), Downstream: idOf(down),
			State: ff.EdgeApplied, Applied: true,
		}
	}
	b.keep(edge(2, 1), edge(3, 2), edge(n+1, 3))
	x := b.explainFlow(flow)
	b.equal("kinds", kindsOf(x), map[ff.GateCode]int{"lease_held": 1})
	b.equal("looked at", []any{x.Complete, x.Counts.Total, x.Counts.WaitingChildren, x.NodeCount}, []any{false, 10_000, 10_000, 10_001})
	b.equal("member", []any{x.Holding[0].Members[0].ExecutionID, x.Holding[0].Members[0].At}, []any{last.ID, t0 + 1000})
}
