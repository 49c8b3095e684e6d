package sqlite

import (
	"errors"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// conn is a connection with its statements, used by one session at a time.
type conn struct {
	db                      *driver.Conn
	begin, commit, rollback *statement
	version                 *statement // of the data, as other connections change it
	reads                   *reads
	writes                  *writes // nil on a connection that only reads
	cache                   cache   // empty on a connection that only reads
}

// Limits of SQLite's caches and of the write-ahead log. A page has 4 KiB; larger ones, and a mapped file, gained nothing.
// Nor did a longer log, and the commit that folds it into the file waits for that: with 8,000 pages up to 30 ms.
const (
	writerCacheKiB  = 64 << 10
	readerCacheKiB  = 8 << 10
	checkpointPages = 1000
)

// openWriter opens the connection that writes.
func (s *Store) openWriter() (*conn, error) {
	db, err := s.openDB(writerCacheKiB)
	if err != nil {
		return nil, err
	}
	return newWriter(db)
}

// newWriter makes db, whose schema is current, the connection that writes. On an error it closes db.
func newWriter(db *driver.Conn) (*conn, error) {
	c, err := newConn(db, "BEGIN IMMEDIATE")
	if err == nil {
		c.writes, err = prepareWrites(db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.SetBusyTimeout(0) // a session waits by itself, see retryBusy
	return c, nil
}

func (s *Store) openReader() (*conn, error) {
	db, err := s.openDB(readerCacheKiB)
	if err != nil {
		return nil, err
	}
	c, err := newConn(db, "BEGIN")
	if err == nil {
		err = run(db, "PRAGMA query_only = ON") // a file opened read-only could not recover the log a crash left
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

// openDB opens a connection, creating the file if there is none, and tunes it.
func (s *Store) openDB(cacheKiB int) (*driver.Conn, error) {
	db, err := driver.OpenConn(s.path, driver.OpenReadWrite, driver.OpenCreate)
	if err != nil {
		return nil, err
	}
	db.SetBusyTimeout(s.cfg.BusyTimeout)
	for _, pragma := range []string{
		"synchronous = " + string(s.cfg.Synchronous),
		"temp_store = MEMORY",
		"foreign_keys = OFF",
		fmt.Sprintf("cache_size = -%d", cacheKiB),
		fmt.Sprintf("wal_autocheckpoint = %d", checkpointPages),
	} {
		if err := run(db, "PRAGMA "+pragma); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

func newConn(db *driver.Conn, begin string) (*conn, error) {
	c := &conn{db: db}
	err := prepareAll(db, []toPrepare{
		{&c.begin, begin}, {&c.commit, "COMMIT"}, {&c.rollback, "ROLLBACK"}, {&c.version, "PRAGMA data_version"},
	})
	if err != nil {
		return nil, err
	}
	c.reads, err = prepareReads(db)
	return c, err
}

// dataVersion returns a number that changes when another connection has committed.
func (c *conn) dataVersion() (int64, error) {
	if _, err := c.version.step(); err != nil {
		return 0, err
	}
	v := c.version.stmt.ColumnInt64(0)
	return v, c.version.reset()
}

// refresh empties the cache if another connection has committed. It is called at the beginning of a writing transaction.
func (c *conn) refresh() error {
	version, err := c.dataVersion()
	if err == nil {
		c.cache.begin(version)
	}
	return err
}

// executionBy returns the execution with an id, nil when there is none.
func (c *conn) executionBy(id flowfabric.ExecutionID) (*record.Execution, error) {
	if e := c.cache.get(id); e != nil {
		return e, nil
	}
	return c.reads.executionBy(id)
}

// executionIn returns the execution with an id, which is in a row.
func (c *conn) executionIn(id flowfabric.ExecutionID, rowid int64) (*record.Execution, error) {
	if e := c.cache.get(id); e != nil {
		return e, nil
	}
	return c.reads.executionIn(rowid)
}

// inTransaction is false before begin, after commit, and after an error that made SQLite roll back by itself.
func (c *conn) inTransaction() bool { return !c.db.AutocommitEnabled() }

// abandon rolls back what is open and reports whether the connection may be used again.
func (c *conn) abandon() bool {
	return !c.inTransaction() || c.rollback.run() == nil
}
