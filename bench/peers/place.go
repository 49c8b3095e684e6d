package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/flowfabric/flowfabric/bench/internal/place"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// onPostgres says where [newPlace] makes databases.
type onPostgres struct{}

// newPlace makes an empty database: on the PostgreSQL server if ctx says so, else a SQLite file.
func newPlace(ctx context.Context) (place.Place, error) {
	url := "sqlite:"
	if ctx.Value(onPostgres{}) != nil {
		url = os.Getenv(postgresURL)
	}
	p, err := place.Create(ctx, url, false, clock.Real())
	if err != nil {
		return nil, err
	}
	return p, p.Settle(ctx)
}

// sqliteFile is a database of a peer that comes with database/sql, in a folder of its own.
type sqliteFile struct {
	*sql.DB
	dir string
}

// openSQLite opens one in the mode all are measured in: WAL, and a commit waits for the disk.
func openSQLite() (*sqliteFile, error) {
	dir, err := os.MkdirTemp("/var/tmp", "flowfabric-peers")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "peer.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as the documentation of these peers has it: more of them only wait for each other
	return &sqliteFile{db, dir}, nil
}

func (f *sqliteFile) remove() {
	_ = f.Close()
	_ = os.RemoveAll(f.dir)
}
