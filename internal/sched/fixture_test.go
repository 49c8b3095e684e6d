package sched

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a scheduler over a memory store, in a bubble whose clock the runtime turns.
type bench struct {
	*testing.T
	*Scheduler
	store *tapped
	rules ops.Rules
	group *loop.Group
}

// tapped counts the batches a store is given, and can hold them up or refuse them.
type tapped struct {
	store.Store
	batches atomic.Int32
	hold    chan struct{} // if not nil, Apply waits to receive from it
	refuse  func(batch int32) error

	looks     atomic.Int32 // reads of leases
	holdLooks chan struct{}
	failLooks error
}

func (s *tapped) Apply(ctx context.Context, units []*store.Unit) error {
	n := s.batches.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	if s.refuse != nil {
		if err := s.refuse(n); err != nil {
			return err
		}
	}
	return s.Store.Apply(ctx, units)
}

const poll = 5 * time.Second

func inBubble(t *testing.T, shards int, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wall := clock.Real()
		b := &bench{T: t, group: loop.NewGroup(context.Background())}
		b.store = &tapped{Store: memory.New(memory.Config{Shards: shards})}
		cm := commit.New(b.store, wall, nil, nil)
		b.rules = ops.Rules{Partitions: ff.DefaultPartitions(), Home: func(p ff.Partition) ff.Partition {
			return b.store.Shards()[b.store.Shard(p)]
		}}
		b.Scheduler = New(b.store, b.rules, cm, wall, slog.New(slog.DiscardHandler), b.group, Config{Poll: poll})
		defer cm.Close(context.Background())
		defer b.group.Close()
		test(b)
	})
}

// submit stores work behind the scheduler's back, as another process would.
func (b *bench) submit(lane ff.LaneID, kind string, capabilities ...string) {
	b.Helper()
	cmd := ff.Submit{Lane: lane, Kind: kind}
	if len(capabilities) > 0 {
		cmd.Policy = &ff.Policy{Routing: &ff.RoutingRequirements{RequiredCapabilities: capabilities}}
	}
	sub, err := b.rules.NewSubmission(cmd)
	if err != nil {
		b.Fatal(err)
	}
	op := b.rules.Submit([]*ops.Submission{sub}, true, func(ff.LaneID, int64) bool { return false })
	if err := b.store.Store.Apply(b.Context(), []*store.Unit{&op.Unit}); err != nil || op.Outcome() != nil {
		b.Fatal(err, op.Outcome())
	}
}

func (b *bench) Claim(ctx context.Context, cmd ff.Claim) ([]ff.Claimed, error) {
	return b.Scheduler.Claim(ctx, &cmd)
}

func want(wait time.Duration, most int, lanes ...ff.LaneID) ff.Claim {
	return ff.Claim{Lanes: lanes, WorkerID: "w", WorkerInstanceID: "w-1", Max: most, Wait: wait, LeaseTTL: time.Minute}
}

// call is a claim that runs beside the test.
type call struct {
	got  []ff.Claimed
	err  error
	done chan struct{}
}

// start claims and returns when the claim waits or has its answer.
func (b *bench) start(ctx context.Context, cmd ff.Claim) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		c.got, c.err = b.Claim(ctx, cmd)
		close(c.done)
	}()
	synctest.Wait()
	return c
}

func (c *call) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// kinds claims and tells the kinds of what it got.
func (b *bench) kinds(cmd ff.Claim) []string {
	b.Helper()
	got, err := b.Claim(b.Context(), cmd)
	if err != nil {
		b.Fatal(err)
	}
	return kindsOf(got)
}

func kindsOf(got []ff.Claimed) []string {
	var out []string
	for _, c := range got {
		out = append(out, c.Kind)
	}
	return out
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// lanesOf returns a lane whose solo executions live on each shard of a store.
func lanesOf(st store.Store) []ff.LaneID {
	lanes := make([]ff.LaneID, len(st.Shards()))
	for n, missing := 0, len(lanes); missing > 0; n++ {
		lane := ff.LaneID(fmt.Sprintf("lane-%d", n))
		if i := st.Shard(ff.DefaultPartitions().OfLane(lane)); lanes[i] == "" {
			lanes[i] = lane
			missing--
		}
	}
	return lanes
}

// after lets time pass.
func (b *bench) after(d time.Duration) { <-clock.Real().NewTimer(d).C }

// stored returns an execution as the store has it.
func (b *bench) stored(id ff.ExecutionID) *record.Execution {
	b.Helper()
	tx, err := b.store.View(b.Context(), store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		b.Fatal(err)
	}
	return tx.Execution(id)
}
