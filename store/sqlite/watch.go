package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// A watch looks once an interval. A look costs a few microseconds and no I/O. When a commit is expected it looks at once
// more often, and then at twice the interval each time: the commit is noticed at the latest after as long again as it took.
const (
	watchInterval = 100 * time.Millisecond
	soonInterval  = time.Millisecond
)

// Watch implements [store.Store]. SQLite does not tell what other connections commit, only that they did: wakes name no
// lane. It is asked on the connection that writes, so that this store's own commits do not count. The channel is also
// closed when the store closes.
func (s *Store) Watch(ctx context.Context) (<-chan store.Wake, error) {
	watchers := s.joinWatchers()
	if watchers == nil {
		return nil, store.ErrClosed
	}
	seen, err := s.look(ctx)
	if err != nil {
		watchers.Done()
		return nil, err
	}
	wakes := make(chan store.Wake, 1)
	go func() {
		defer watchers.Done()
		defer close(wakes)
		s.watch(ctx, seen, wakes)
	}()
	return wakes, nil
}

// watch runs until ctx ends or the store closes.
func (s *Store) watch(ctx context.Context, seen int64, wakes chan<- store.Wake) {
	wall := clock.Real()
	interval, expected := watchInterval, s.expected()
	for {
		t := wall.NewTimer(interval)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.closing:
			t.Stop()
			return
		case <-expected:
			t.Stop()
			interval, expected = soonInterval, s.expected()
			continue
		case <-t.C:
			interval = min(2*interval, watchInterval)
		}
		version, err := s.look(ctx)
		if err != nil || version == seen { // a look that fails shows nothing; the next one may
			continue
		}
		seen = version
		select {
		case wakes <- store.Wake{}:
		default: // one is waiting already
		}
	}
}

// look returns the version of the data as other connections have changed it.
func (s *Store) look(ctx context.Context) (int64, error) {
	c, err := s.writer.take(ctx)
	if err != nil {
		return 0, err
	}
	version, err := c.dataVersion()
	s.writer.put(c, true)
	return version, classify(ctx, "watch", err)
}

// joinWatchers counts one more watch; nil means that the store is closed.
func (s *Store) joinWatchers() *sync.WaitGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.watchers != nil {
		s.mu.watchers.Add(1)
	}
	return s.mu.watchers
}

// awaitWatchers lets no more watches begin and waits for those that run.
func (s *Store) awaitWatchers() {
	s.mu.Lock()
	watchers := s.mu.watchers
	s.mu.watchers = nil
	s.mu.Unlock()
	watchers.Wait()
}

// expectCommit makes the watches look more often for a while: another connection of this process is about to commit.
func (s *Store) expectCommit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.mu.expected)
	s.mu.expected = make(chan struct{})
}

func (s *Store) expected() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.expected
}
