// Package memory is a store that keeps its records in the process and forgets them with it: for tests, for trying things
// out ("memory:"), and as the shortest example of the store contract. It runs every batch through [store.Execute] like the
// stores that last; the same calls have the same results.
package memory

import (
	"context"
	"fmt"
	"math"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// Config of a [Store]. The zero Config is a store of one shard on the clock of the machine.
type Config struct {
	// Shards is how many shards the partitions are spread over: 1 to 65,536, default 1. More than one is for tests of what
	// crosses shards.
	Shards int
	// Clock is the storage clock. Default: the clock of the machine.
	Clock store.Clock
}

// Store keeps records in memory. It is safe for concurrent use.
type Store struct {
	clock  store.Clock
	shards []*shard
	closed bool // written with all shards locked, read with any
}

// New returns an empty store. It panics when cfg.Shards is out of bounds.
func New(cfg Config) *Store {
	if cfg.Shards < 0 || cfg.Shards > math.MaxUint16+1 {
		panic(fmt.Sprintf("memory: Config.Shards is %d; it must be between 1 and 65536", cfg.Shards))
	}
	s := &Store{clock: cfg.Clock}
	if s.clock == nil {
		wall := clock.Real()
		s.clock = func() flowfabric.Timestamp { return flowfabric.TimestampOf(wall.Now()) }
	}
	for range max(1, cfg.Shards) {
		s.shards = append(s.shards, newShard())
	}
	return s
}

// Apply implements [store.Store]. Batches of one shard run one after the other.
func (s *Store) Apply(ctx context.Context, units []*store.Unit) error {
	if len(units) == 0 {
		return nil
	}
	home := s.Shard(units[0].Partition)
	for _, u := range units[1:] {
		if s.Shard(u.Partition) != home {
			return fmt.Errorf("memory: apply: the units are of shards %d and %d", home, s.Shard(u.Partition))
		}
	}
	return store.Execute(ctx, units, func(ctx context.Context) (store.Session, error) {
		return s.begin(ctx, home, home+1)
	})
}

// View implements [store.Store]. It sees all shards as of one instant.
func (s *Store) View(ctx context.Context, r store.Reads) (*store.Tx, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	return store.ViewWith(ctx, ses, r)
}

// Watch implements [store.Store]: nobody else can write to the store, so the channel never delivers.
func (s *Store) Watch(ctx context.Context) (<-chan store.Wake, error) {
	c := make(chan store.Wake)
	context.AfterFunc(ctx, func() { close(c) })
	return c, nil
}

// Shards implements [store.Store].
func (s *Store) Shards() []flowfabric.Partition {
	list := make([]flowfabric.Partition, len(s.shards))
	for i := range list {
		list[i] = flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: uint16(i)}
	}
	return list
}

// Shard implements [store.Store]: partitions are dealt to the shards in turn.
func (s *Store) Shard(p flowfabric.Partition) int { return int(p.Index) % len(s.shards) }

// Lanes implements [store.Store].
func (s *Store) Lanes() int { return 1 }

// Kind implements [store.Store].
func (s *Store) Kind() store.Kind { return store.Memory }

// Close implements [store.Store]. Closing a closed store does nothing.
func (s *Store) Close() error {
	for _, sh := range s.shards {
		sh.mu.Lock()
		defer sh.mu.Unlock()
	}
	s.closed = true
	return nil
}
