package sqlite

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// session is one transaction on a connection that was taken from its pool. It implements [store.Session]; on a reading
// connection Commit may not be called.
type session struct {
	home  *pool
	conn  *conn
	now   flowfabric.Timestamp
	index index
	// broken: a statement failed, so there is nothing worth keeping.
	broken bool
}

// begin opens a writing session: it waits for its turn in this process, then for other processes.
func (s *Store) begin(ctx context.Context) (store.Session, error) {
	c, err := s.writer.take(ctx)
	if err != nil {
		return nil, err
	}
	sn := &session{home: s.writer, conn: c}
	c.db.SetInterrupt(ctx.Done())
	err = retryBusy(ctx, s.cfg.BusyTimeout, c.begin.run)
	if err == nil {
		err = c.refresh()
	}
	if err != nil {
		sn.Close()
		return nil, classify(ctx, "begin", err)
	}
	sn.now = s.cfg.Clock()
	return sn, nil
}

// beginRead opens a reading session: it sees one committed state.
func (s *Store) beginRead(ctx context.Context) (*session, error) {
	c, err := s.readers.take(ctx)
	if err != nil {
		return nil, err
	}
	sn := &session{home: s.readers, conn: c}
	c.db.SetInterrupt(ctx.Done())
	if err := c.begin.run(); err != nil {
		sn.Close()
		return nil, classify(ctx, "begin to read", err)
	}
	sn.now = s.cfg.Clock()
	return sn, nil
}

// Now implements [store.Session].
func (sn *session) Now() flowfabric.Timestamp { return sn.now }

// Commit implements [store.Session].
func (sn *session) Commit(ctx context.Context, ch *store.Changes) error {
	if err := sn.write(ch); err != nil {
		sn.broken = true
		return classify(ctx, "write", err)
	}
	sn.conn.db.SetInterrupt(nil) // from here on it is done or undone, never given up halfway
	if err := sn.conn.commit.run(); err != nil {
		sn.broken = true
		sn.conn.cache.clear()
		return classifyCommit(ctx, err)
	}
	sn.conn.cache.committed(ch.Executions)
	return nil
}

func (sn *session) write(ch *store.Changes) error {
	if err := sn.heal(); err != nil {
		return err
	}
	return sn.conn.writes.apply(ch)
}

// Close implements [store.Session].
func (sn *session) Close() {
	sn.conn.db.SetInterrupt(nil)
	if sn.conn.writes != nil && sn.index.isStale() && !sn.broken && sn.conn.inTransaction() {
		sn.keepHealed()
	}
	sn.home.put(sn.conn, sn.conn.abandon())
}

// keepHealed commits the removal of stale index entries in a session that wrote nothing else. Its errors do not matter:
// whoever meets the entries next tries again.
func (sn *session) keepHealed() {
	if sn.heal() == nil {
		_ = sn.conn.commit.run()
	}
}

// heal removes the stale index entries the session has met.
func (sn *session) heal() error { return sn.conn.writes.remove(sn.index.staleReady, sn.index.staleDue) }
