package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/store"
)

// guest is a session within a caller's transaction: it begins a savepoint and, in the end, releases it or takes back what
// it wrote.
type guest struct {
	session
	wrote bool
}

const (
	guestBegin    = "SAVEPOINT flowfabric"
	guestRollback = "ROLLBACK TO flowfabric"
	guestRelease  = "RELEASE flowfabric"
)

// errNoSchema: the file has not the schema of this release.
var errNoSchema = errors.New("sqlite: the file has no schema, or that of another release")

// beginGuest begins a session on a connection that has a transaction open. The connection keeps the statements it
// prepares, so that only the first session on it takes milliseconds.
func beginGuest(ctx context.Context, db *driver.Conn, clock store.Clock) (*guest, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("sqlite: begin: %w", context.Cause(ctx))
	}
	if err := checkSchema(db); err != nil {
		return nil, err
	}
	c, err := newGuestConn(db)
	if err != nil {
		return nil, classify(ctx, "prepare", err)
	}
	if err := c.begin.run(); err != nil {
		return nil, classify(ctx, "set a savepoint", err)
	}
	return &guest{session: session{conn: c, now: clock()}}, nil
}

func newGuestConn(db *driver.Conn) (*conn, error) {
	c := &conn{db: db}
	err := prepareAll(db, []toPrepare{{&c.begin, guestBegin}, {&c.commit, guestRelease}, {&c.rollback, guestRollback}})
	if err != nil {
		return nil, err
	}
	if c.reads, err = prepareReads(db); err != nil {
		return nil, err
	}
	c.writes, err = prepareWrites(db)
	return c, err
}

// checkSchema fails with errNoSchema unless the file of a connection is of this release.
func checkSchema(db *driver.Conn) error {
	version, err := SchemaVersion(db)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSchema, err)
	}
	steps, err := readSteps(migrations)
	if err == nil && version != len(steps) {
		err = errNoSchema
	}
	return err
}

// Commit implements [store.Session]: what it writes is the caller's to commit.
func (g *guest) Commit(ctx context.Context, ch *store.Changes) error {
	if err := g.conn.writes.apply(ch); err != nil {
		return classify(ctx, "write", err)
	}
	g.wrote = true
	return nil
}

// Close implements [store.Session]. An error that made SQLite roll back the whole transaction has left no savepoint.
func (g *guest) Close() {
	if !g.wrote && g.conn.inTransaction() {
		_ = g.conn.rollback.run()
	}
	if g.conn.inTransaction() {
		_ = g.conn.commit.run()
	}
}
