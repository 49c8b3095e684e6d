package crashtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Flows of very many members end like small ones, in commits of a bounded size.
func TestLargeFlow_NoCommitGrowsWithTheFlow(t *testing.T) {
	for name, fresh := range map[string]func(*testing.T) string{"SQLite": freshSQLite, "Postgres": freshPostgres} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			url := fresh(t)
			for _, end := range []string{"released", "skipped", "cancelled", "raced"} {
				t.Run(end, func(t *testing.T) { largeFlow(t, url, end, either(3_000, 100_000)) })
			}
		})
	}
}

// Bounds of one commit, whatever the flow: executions, and records of other families.
const (
	mostExecutions = 2_001
	mostRecords    = 5_000
)

// measured is a store that keeps the size of its largest commit.
type measured struct {
	store.Store
	mu                           sync.Mutex
	commits, executions, records int
}

func (m *measured) Apply(ctx context.Context, units []*store.Unit) error {
	err := m.Store.Apply(ctx, units)
	executions, records := 0, 0
	for _, u := range units {
		executions, records = executions+len(u.Wrote), records+len(u.Records)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	m.executions, m.records = max(m.executions, executions), max(m.records, records)
	return err
}

// large is a flow of one member that n follow, which one follows.
type large struct {
	id   flowfabric.FlowID
	home flowfabric.Partition
	n    int
}

func (l *large) member(name string) flowfabric.ExecutionID {
	return flowfabric.NodeID(l.id, name, flowfabric.DefaultPartitions())
}

func largeFlow(t *testing.T, url, end string, n int) {
	st := &measured{Store: opened(t, url)}
	l := &large{id: flowfabric.NewFlowID(), n: n}
	l.home = flowfabric.DefaultPartitions().OfFlow(l.id)
	policy := flowfabric.GroupPolicy{Kind: flowfabric.AllOf}
	if end == "raced" {
		policy = flowfabric.GroupPolicy{Kind: flowfabric.AnyOf}
	}
	l.create(t, st.Store, policy)
	eng, err := engine.Open(t.Context(), st, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close(t.Context())
	began := wall.Now()
	l.end(t, eng, end)
	until(t, 10*time.Minute, "all members are "+end, func() bool { return l.is(t, eng, end) })
	took := wall.Now().Sub(began)
	if _, err := eng.CancelFlow(t.Context(), flowfabric.CancelFlow{FlowID: l.id, Wait: flowfabric.MaxFlowWait}); err != nil {
		t.Error(err)
	}
	st.mu.Lock() // the engine goes on: it removes what has ended
	defer st.mu.Unlock()
	t.Logf("%d members %s after %s; %d commits, the largest of %d executions, or %d other records", n, end, took, st.commits, st.executions, st.records)
	if st.executions > mostExecutions || st.records > mostRecords {
		t.Errorf("the largest commit wrote %d executions, or %d other records; bounds %d and %d", st.executions, st.records, mostExecutions, mostRecords)
	}
}

// end does what the flow's end begins with.
func (l *large) end(t *testing.T, eng *engine.Engine, end string) {
	t.Helper()
	if end == "cancelled" {
		if _, err := eng.CancelFlow(t.Context(), flowfabric.CancelFlow{FlowID: l.id}); err != nil {
			t.Fatal(err)
		}
		return
	}
	c := l.claim(t, eng, "first")
	if end == "skipped" {
		if _, err := eng.Fail(t.Context(), flowfabric.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Category: flowfabric.FailurePermanent}); err != nil {
			t.Fatal(err)
		}
		return
	}
	l.complete(t, eng, c)
	if end == "raced" {
		until(t, time.Minute, "a runner is released", func() bool {
			s, err := eng.Describe(t.Context(), l.member("n0"))
			return err == nil && s.PublicState == flowfabric.PublicWaiting
		})
		l.complete(t, eng, l.claim(t, eng, "n0"))
	}
}

func (l *large) claim(t *testing.T, eng *engine.Engine, name string) flowfabric.Claimed {
	t.Helper()
	c, err := eng.ClaimExecution(t.Context(), flowfabric.ClaimExecution{ExecutionID: l.member(name), LeaseTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (l *large) complete(t *testing.T, eng *engine.Engine, c flowfabric.Claimed) {
	t.Helper()
	if err := eng.Complete(t.Context(), flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
		t.Fatal(err)
	}
}

// is reports whether the flow has come to its end.
func (l *large) is(t *testing.T, eng *engine.Engine, end string) bool {
	t.Helper()
	s, err := eng.DescribeFlow(t.Context(), l.id)
	if err != nil {
		t.Fatal(err)
	}
	switch c := s.Counts; end {
	case "released":
		return c.Waiting == l.n
	case "skipped":
		return c.Skipped == l.n+1
	case "cancelled":
		return c.Cancelled == l.n+2
	default:
		return c.Cancelled == l.n-1
	}
}

// create writes the flow in parts of its own: no call makes one as large.
func (l *large) create(t *testing.T, st store.Store, policy flowfabric.GroupPolicy) {
	t.Helper()
	names := []string{"first", "last"}
	for i := range l.n {
		names = append(names, fmt.Sprint("n", i))
	}
	const part = 2_000
	for ; len(names) > 0; names = names[min(part, len(names)):] {
		u := &store.Unit{Partition: l.home}
		u.Decide = func(tx *store.Tx) error {
			for _, name := range names[:min(part, len(names))] {
				l.createMember(tx, name, policy)
			}
			return nil
		}
		l.apply(t, st, u)
	}
	u := &store.Unit{Partition: l.home, Reads: store.Reads{Records: []record.Key{l.key()}}}
	u.Decide = func(tx *store.Tx) error {
		f := &record.Flow{FlowKey: l.key(), State: flowfabric.FlowOpen, Kind: "large", Sealed: true, CreatedAt: tx.Now()}
		tx.Put(graph.Grow(f, l.n+2, 2*l.n, tx.Now()))
		return nil
	}
	l.apply(t, st, u)
}

func (l *large) key() record.FlowKey { return record.FlowKey{Home: l.home, FlowID: l.id} }

func (l *large) apply(t *testing.T, st store.Store, u *store.Unit) {
	t.Helper()
	if err := st.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
		t.Fatal(err, u.Err)
	}
}

// createMember writes a member with the edges that lead from it to the last one, and to it from the first.
func (l *large) createMember(tx *store.Tx, name string, policy flowfabric.GroupPolicy) {
	cmd := flowfabric.Submit{
		ID: l.member(name), Lane: lane, Kind: "work", Namespace: flowfabric.DefaultNamespace, Tags: map[string]string{flowfabric.TagNode: name},
	}
	tx.PutExecution(lifecycle.SubmitMember(&cmd, l.id, name != "first", tx.Now()))
	if name == "first" {
		return
	}
	g := graph.NewGroup(record.GroupKey{Home: l.home, FlowID: l.id, Downstream: cmd.ID})
	g.Total, g.Running = 1, 1
	if name == "last" {
		g.Policy, g.Total, g.Running = policy, l.n, l.n
	}
	tx.Put(g)
	if name == "last" {
		return
	}
	for up, down := range map[string]string{"first": name, name: "last"} {
		key := record.EdgeKey{Home: l.home, FlowID: l.id, EdgeID: flowfabric.NodeEdgeID(l.id, up, down)}
		e := graph.NewEdge(key, l.member(up), l.member(down), tx.Now())
		e.Applied, e.AppliedAt, e.State = true, tx.Now(), flowfabric.EdgeApplied
		tx.Put(e)
	}
}
