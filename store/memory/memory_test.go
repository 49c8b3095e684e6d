package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	for _, shards := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			storetest.Run(t, storetest.Harness{Open: func(t testing.TB, clock store.Clock) store.Store {
				s := memory.New(memory.Config{Shards: shards, Clock: clock})
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
				return s
			}})
		})
	}
}

func on(partition uint16) flowfabric.Partition {
	return flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: partition}
}

func execution(partition uint16, n byte) *record.Execution {
	return &record.Execution{ID: flowfabric.ExecutionIDFrom(partition, uuid.UUID{15: n}), Lane: "mail", Ready: true}
}

// put makes a unit on a partition that writes an execution.
func put(p flowfabric.Partition, e *record.Execution) *store.Unit {
	return &store.Unit{Partition: p, Decide: func(tx *store.Tx) error {
		n := *e
		tx.PutExecution(&n)
		return nil
	}}
}

func TestNew_RefusesShardsOutOfBounds(t *testing.T) {
	for _, shards := range []int{-1, 65537} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic with %d shards", shards)
				}
			}()
			memory.New(memory.Config{Shards: shards})
		}()
	}
	if got := len(memory.New(memory.Config{}).Shards()); got != 1 {
		t.Errorf("%d shards by default, want 1", got)
	}
}

func TestNew_DefaultClockIsTheMachines(t *testing.T) {
	s := memory.New(memory.Config{})
	tx, err := s.View(t.Context(), store.Reads{})
	if err != nil {
		t.Fatal(err)
	}
	if y := tx.Now().Time().Year(); y < 2020 || y > 9999 {
		t.Errorf("the clock says year %d", y)
	}
}

func TestApply_UnitsOfTwoShardsAreRefused(t *testing.T) {
	s := memory.New(memory.Config{Shards: 4})
	ctx := t.Context()
	if err := s.Apply(ctx, []*store.Unit{put(on(1), execution(1, 1)), put(on(2), execution(2, 1))}); err == nil {
		t.Error("a batch over two shards was applied")
	}
	if err := s.Apply(ctx, []*store.Unit{put(on(1), execution(1, 1)), put(on(5), execution(5, 1))}); err != nil {
		t.Errorf("a batch over two partitions of one shard: %v", err)
	}
}

func TestApply_RecordsOfAnotherShardAreRefused(t *testing.T) {
	s := memory.New(memory.Config{Shards: 4})
	there := execution(2, 1)
	for name, u := range map[string]*store.Unit{
		"read": {Reads: store.Reads{Executions: []flowfabric.ExecutionID{there.ID}}, Decide: func(*store.Tx) error { return nil }},
		"read of attempts": {
			Reads:  store.Reads{AttemptsOf: []store.AttemptsQuery{{ExecutionID: there.ID, Limit: 1}}},
			Decide: func(*store.Tx) error { return nil },
		},
		"write": put(on(1), there),
		"key": {Decide: func(tx *store.Tx) error {
			tx.PutIdempotency(&record.Idempotency{Partition: on(2)})
			return nil
		}},
		"event": {Decide: func(tx *store.Tx) error {
			tx.Append(record.Event{ExecutionID: there.ID})
			return nil
		}},
	} {
		u.Partition = on(1)
		if err := s.Apply(t.Context(), []*store.Unit{u}); err == nil {
			t.Errorf("%s: a unit on shard 1 reached shard 2", name)
		}
	}
	d, err := s.Dump(t.Context())
	if err != nil || len(d.Executions)+len(d.Events)+len(d.Idempotency)+len(d.Ready) != 0 {
		t.Errorf("dump %+v, error %v; want nothing written", d, err)
	}
}

func TestClose_CanBeRepeated(t *testing.T) {
	s := memory.New(memory.Config{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := s.Apply(t.Context(), []*store.Unit{put(on(0), execution(0, 1))}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("apply: %v, want %v", err, store.ErrClosed)
	}
}

func TestWatch_NeverDelivers(t *testing.T) {
	s := memory.New(memory.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	wakes, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, []*store.Unit{put(on(0), execution(0, 1))}); err != nil {
		t.Fatal(err)
	}
	select {
	case w, ok := <-wakes:
		t.Errorf("a wake %v, open %t, while the context lives", w, ok)
	default:
	}
	cancel()
	if w, ok := <-wakes; ok {
		t.Errorf("a wake %v after the context's end, want the channel closed", w)
	}
}
