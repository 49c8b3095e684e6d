package due

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

const poll = time.Second

// bench is a running loop over a memory store, in a bubble whose clock the runtime turns.
type bench struct {
	*testing.T
	*Loop
	store *tapped
	rules ops.Rules
}

// tapped counts the looks at a store and can fail them.
type tapped struct {
	store.Store
	views atomic.Int32
	fail  atomic.Bool
	// broken: batches of the first shard fail.
	broken atomic.Bool
}

func (s *tapped) Apply(ctx context.Context, units []*store.Unit) error {
	if s.broken.Load() && s.Shard(units[0].Partition) == 0 {
		return errors.New("broken")
	}
	return s.Store.Apply(ctx, units)
}

func (s *tapped) View(ctx context.Context, r store.Reads) (*store.Tx, error) {
	s.views.Add(1)
	if s.fail.Load() {
		return nil, errors.New("broken")
	}
	return s.Store.View(ctx, r)
}

func inBubble(t *testing.T, shards, batch int, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wall, group := clock.Real(), loop.NewGroup(context.Background())
		b := &bench{T: t, rules: ops.Rules{Partitions: ff.DefaultPartitions()}}
		b.store = &tapped{Store: memory.New(memory.Config{Shards: shards})}
		cm := commit.New(b.store, wall, nil, nil)
		defer cm.Close(context.Background())
		b.Loop = New(b.store, b.rules, cm, wall, Config{Poll: poll, Batch: batch, Logger: slog.New(slog.DiscardHandler)})
		group.Go(b.Loop.Run)
		defer group.Close()
		synctest.Wait()
		test(b)
	})
}

// after lets time pass.
func (b *bench) after(d time.Duration) {
	<-clock.Real().NewTimer(d).C
	synctest.Wait()
}

// submit stores executions of a lane, delayed, behind the loop's back.
func (b *bench) submit(lane ff.LaneID, n int, delay time.Duration) []ff.ExecutionID {
	b.Helper()
	var list []*ops.Submission
	var ids []ff.ExecutionID
	for range n {
		s, err := b.rules.NewSubmission(ff.Submit{Lane: lane, Kind: "test", Delay: delay})
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, s)
		ids = append(ids, s.ID())
	}
	op := b.rules.Submit(list, true, func(ff.LaneID, int64) bool { return true })
	if err := b.store.Apply(b.Context(), []*store.Unit{&op.Unit}); err != nil || op.Outcome() != nil {
		b.Fatal(err, op.Outcome())
	}
	return ids
}

// ready counts the executions that are claimable.
func (b *bench) ready(ids []ff.ExecutionID) int {
	b.Helper()
	tx, err := b.store.Store.View(b.Context(), store.Reads{Executions: ids})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, id := range ids {
		if tx.Execution(id).Ready {
			n++
		}
	}
	return n
}

func TestLoop_FindsWhatNobodyHintedAt(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		ids := b.submit("mail", 1, 100*time.Millisecond)
		b.after(100 * time.Millisecond)
		if b.ready(ids) != 0 {
			t.Error("the loop looked without reason")
		}
		b.after(poll)
		if b.ready(ids) != 1 {
			t.Error("what was due a poll ago was not carried on")
		}
	})
}

func TestLoop_AHintMakesItPunctual(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		ids := b.submit("mail", 1, 100*time.Millisecond)
		b.Hint(ff.TimestampOf(clock.Real().Now()).Add(100 * time.Millisecond))
		b.after(99 * time.Millisecond)
		if b.ready(ids) != 0 {
			t.Error("it was carried on early")
		}
		b.after(time.Millisecond)
		if b.ready(ids) != 1 {
			t.Error("it was not carried on in time")
		}
	})
}

// TestLoop_SleepsUntilTheNextDueTime: what it saw once it does not need to be told of.
func TestLoop_SleepsUntilTheNextDueTime(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		b.after(poll) // the next look comes after the submission
		ids := b.submit("mail", 1, poll+300*time.Millisecond)
		b.after(poll)
		b.after(300 * time.Millisecond)
		if b.ready(ids) != 1 {
			t.Error("it was not carried on in time")
		}
	})
}

func TestLoop_LaterHintsDoNotWakeIt(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		before := b.store.views.Load()
		now := ff.TimestampOf(clock.Real().Now())
		for range 100 {
			b.Hint(now.Add(time.Hour))
			b.Hint(now.Add(2 * time.Hour))
		}
		synctest.Wait()
		if n := b.store.views.Load() - before; n != 0 {
			t.Errorf("it looked %d times", n)
		}
	})
}

func TestLoop_AtRestItLooksOncePerPoll(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		before := b.store.views.Load()
		b.after(100 * poll)
		if n := b.store.views.Load() - before; n < 90 || n > 130 {
			t.Errorf("it looked %d times in 100 polls", n)
		}
	})
}

func TestLoop_DrainsEveryShardBatchByBatch(t *testing.T) {
	inBubble(t, 8, 7, func(b *bench) {
		lanes := []ff.LaneID{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
		var all [][]ff.ExecutionID
		for _, lane := range lanes {
			all = append(all, b.submit(lane, 20, 100*time.Millisecond))
		}
		b.after(poll + 100*time.Millisecond)
		for i, ids := range all {
			if n := b.ready(ids); n != 20 {
				t.Errorf("lane %s: %d of 20 were carried on", lanes[i], n)
			}
		}
	})
}

func TestLoop_RecoversFromErrors(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		ids := b.submit("mail", 1, 100*time.Millisecond)
		b.store.fail.Store(true)
		before := b.store.views.Load()
		b.after(time.Minute)
		if n := b.store.views.Load() - before; n < 10 || n > 30 {
			t.Errorf("it tried %d times in a minute", n)
		}
		b.store.fail.Store(false)
		b.after(5 * time.Second)
		if b.ready(ids) != 1 {
			t.Error("it was not carried on")
		}
	})
}

// TestLoop_AFailingShardHoldsUpNoOther: the others go on while one is left alone for a while.
func TestLoop_AFailingShardHoldsUpNoOther(t *testing.T) {
	inBubble(t, 2, 10, func(b *bench) {
		lanes := make(map[int]ff.LaneID)
		for n := byte('a'); len(lanes) < 2; n++ {
			lane := ff.LaneID(n)
			lanes[b.store.Shard(b.rules.Partitions.OfLane(lane))] = lane
		}
		broken := b.submit(lanes[0], 1, 100*time.Millisecond)
		b.store.broken.Store(true)
		for range 5 {
			ids := b.submit(lanes[1], 3, 100*time.Millisecond)
			b.after(poll + 100*time.Millisecond)
			if n := b.ready(ids); n != 3 {
				t.Fatalf("%d of 3 on the shard that works were carried on", n)
			}
		}
		if b.ready(broken) != 0 {
			t.Error("the broken shard carried on")
		}
		b.store.broken.Store(false)
		b.after(10 * time.Second)
		if b.ready(broken) != 1 {
			t.Error("what was due on the broken shard was not carried on")
		}
	})
}

// TestLoop_WhatCannotBeDoneDoesNotSpinIt: a due time that stays in the past is no reason to look more than once a poll.
func TestLoop_WhatCannotBeDoneDoesNotSpinIt(t *testing.T) {
	inBubble(t, 1, 10, func(b *bench) {
		key := record.SecretKey{Home: ff.Partition{Family: ff.FamilyFlow}, Kid: "old"}
		unit := &store.Unit{Partition: key.Home, Reads: store.Reads{Records: []record.Key{key}}, Decide: func(tx *store.Tx) error {
			tx.Put(&record.Secret{SecretKey: key, Secret: []byte("x"), ExpiresAt: tx.Now() - 1})
			return nil
		}}
		if err := b.store.Store.Apply(b.Context(), []*store.Unit{unit}); err != nil || unit.Err != nil {
			t.Fatal(err, unit.Err)
		}
		before := b.store.views.Load()
		ids := b.submit("mail", 1, 10*poll)
		b.after(100 * poll)
		if n := b.store.views.Load() - before; n > 150 {
			t.Errorf("it looked %d times in 100 polls", n)
		}
		if b.ready(ids) != 1 {
			t.Error("what was due besides was not carried on")
		}
	})
}
