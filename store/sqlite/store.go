package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// Store is a [store.Store] in one SQLite file. Its methods are safe for concurrent use.
type Store struct {
	path    string
	cfg     Config
	writer  *pool // of one
	readers *pool

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	closeErr  error
	mu        struct {
		sync.Mutex
		watchers *sync.WaitGroup // nil once closed
		expected chan struct{}   // closed and replaced when a commit of another connection is expected
	}
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Catalog = (*Store)(nil)
	_ store.Dumper  = (*Store)(nil)
)

// Open opens the store in the file at path, creating the file and bringing its schema up to date if needed. cfg may be
// nil. A file that a newer release has migrated is refused, and a database of another application unless it is [Config].Shared.
func Open(ctx context.Context, path string, cfg *Config) (*Store, error) {
	if err := validatePath(path); err != nil {
		return nil, err
	}
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, cfg: c, closing: make(chan struct{})}
	s.mu.watchers, s.mu.expected = &sync.WaitGroup{}, make(chan struct{})
	writer, err := s.openMigrated(ctx)
	if err != nil {
		return nil, classify(ctx, "open "+path, err)
	}
	s.writer = newPool(1, s.closing, s.openWriter)
	s.writer.seed(writer)
	s.readers = newPool(c.Readers, s.closing, s.openReader)
	return s, nil
}

// openMigrated opens the file and brings it up to date. The connection becomes the writer: were it closed, the next one
// would begin by setting the log up again.
func (s *Store) openMigrated(ctx context.Context) (*conn, error) {
	db, err := s.openDB(writerCacheKiB)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db, s.cfg.Shared, s.cfg.BusyTimeout); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newWriter(db)
}

// Apply implements [store.Store].
func (s *Store) Apply(ctx context.Context, units []*store.Unit) error {
	return store.Execute(ctx, units, s.begin)
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, r store.Reads) (*store.Tx, error) {
	sn, err := s.beginRead(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return store.ViewWith(ctx, sn, r)
}

// Shards implements [store.Store]: there is one.
func (s *Store) Shards() []flowfabric.Partition {
	return []flowfabric.Partition{{Family: flowfabric.FamilyFlow}}
}

// Shard implements [store.Store].
func (s *Store) Shard(flowfabric.Partition) int { return 0 }

// Lanes implements [store.Store]: SQLite has one writer.
func (s *Store) Lanes() int { return 1 }

// Kind implements [store.Store].
func (s *Store) Kind() store.Kind { return store.SQLite }

// Close implements [store.Store]. The last process to close the file folds its write-ahead log into it. Calls after the
// first do nothing.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.awaitWatchers()
		if err := errors.Join(s.readers.close(), s.writer.close()); err != nil {
			s.closeErr = fmt.Errorf("sqlite: close: %w", err)
		}
	})
	return s.closeErr
}
