package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// Store keeps records in a PostgreSQL database. It has one shard. It implements [store.Store] and [store.Dumper].
type Store struct {
	cfg      Config
	pool     *pgxpool.Pool
	borrowed bool // the pool is the caller's
	clock    serverClock
	shapes   shapes
	notifier notifier
	sweeper  sweeper
	floors   floors
	listener listener
	horizon  *horizon

	running sync.RWMutex // held shared by calls, exclusively by Close
	closed  bool
}

// Open connects to the database that url names and returns a store on it. The schema must be there: see [Migrate]. cfg
// may be nil. The store is closed with [Store.Close].
//
// A pooler in transaction mode is noticed by its refusal of the settings that a store's connections begin with. One that
// ignores them must be named: by Config.Pooler, or by [PoolerParam] in the url.
func Open(ctx context.Context, url string, cfg *Config) (*Store, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	pool, err := connect(ctx, url, &c)
	if err != nil {
		return nil, err
	}
	return newStore(pool, c, false), nil
}

// FromPool returns a store on an open pool. It starts nothing and asks the database nothing; the pool stays the caller's,
// with its sessions' settings as they are, and is not closed with the store. The pool needs a connection for each lane,
// one for views and, once Watch was called, one that listens.
func FromPool(pool *pgxpool.Pool, cfg *Config) (*Store, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return newStore(pool, c, true), nil
}

func newStore(pool *pgxpool.Pool, cfg Config, borrowed bool) *Store {
	st := &Store{cfg: cfg, pool: pool, borrowed: borrowed, horizon: newHorizon()}
	st.clock.local = clock.Real()
	st.notifier.start(pool)
	st.floors.start()
	st.sweeper.start(pool, &st.floors)
	st.listener.start(st)
	return st
}

// enter lets a call in unless the store is closed; the call ends with running.RUnlock.
func (st *Store) enter() error {
	st.running.RLock()
	if st.closed {
		st.running.RUnlock()
		return store.ErrClosed
	}
	return nil
}

// Apply implements [store.Store].
func (st *Store) Apply(ctx context.Context, units []*store.Unit) error {
	if err := st.enter(); err != nil {
		return err
	}
	defer st.running.RUnlock()
	again, tries := false, &turns{}
	return store.Execute(ctx, units, func(ctx context.Context) (store.Session, error) {
		careful := again
		again = true
		return st.begin(ctx, careful, tries)
	})
}

// View implements [store.Store].
func (st *Store) View(ctx context.Context, r store.Reads) (*store.Tx, error) {
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.running.RUnlock()
	return store.ViewWith(ctx, viewSession{st}, r)
}

// Watch implements [store.Store]. The first call starts a listener, which holds a connection of the pool until the store
// is closed. A wake for the lane "" stands for any lane; it follows a lost connection.
func (st *Store) Watch(ctx context.Context) (<-chan store.Wake, error) {
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.running.RUnlock()
	if st.cfg.NoListen || st.cfg.Pooler {
		return nil, fmt.Errorf("postgres: watch: %w", store.ErrNoWatch)
	}
	return st.listener.watch(ctx), nil
}

// Shards implements [store.Store].
func (st *Store) Shards() []flowfabric.Partition {
	return []flowfabric.Partition{{Family: flowfabric.FamilyFlow}}
}

// Shard implements [store.Store].
func (st *Store) Shard(flowfabric.Partition) int { return 0 }

// Lanes implements [store.Store].
func (st *Store) Lanes() int { return st.cfg.Lanes }

// Kind implements [store.Store].
func (st *Store) Kind() store.Kind { return store.Postgres }

// Close implements [store.Store]. It may be called again.
func (st *Store) Close() error {
	st.running.Lock()
	defer st.running.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	st.listener.close()
	st.notifier.close()
	st.sweeper.close()
	if !st.borrowed {
		st.pool.Close()
	}
	return nil
}
