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
}

// begin opens a writing session: it waits for its turn in this process, then for other processes.
func (s *Store) begin(ctx context.Context) (store.Session, error) { return s.beginWrite(ctx) }

func (s *Store) beginWrite(ctx context.Context) (*session, error) {
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

// Commit implements [store.Session]. What ch guards without writing it needs no look: it was read in this transaction,
// which has kept other writers out since it began.
func (sn *session) Commit(ctx context.Context, ch *store.Changes) error {
	if err := sn.conn.writes.apply(ch); err != nil {
		return classify(ctx, "write", err)
	}
	if err := sn.commit(ctx); err != nil {
		return err
	}
	sn.conn.cache.committed(ch.Executions)
	return nil
}

// commit makes what was written durable.
func (sn *session) commit(ctx context.Context) error {
	sn.conn.db.SetInterrupt(nil) // from here on it is done or undone, never given up halfway
	if err := sn.conn.commit.run(); err != nil {
		sn.conn.cache.clear()
		return classifyCommit(ctx, err)
	}
	return nil
}

// Close implements [store.Session].
func (sn *session) Close() {
	sn.conn.db.SetInterrupt(nil)
	sn.home.put(sn.conn, sn.conn.abandon())
}
