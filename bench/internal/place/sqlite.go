package place

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// ErrExists is returned for a SQLite file that exists.
var ErrExists = errors.New("the file exists; name one that does not, because it is removed in the end")

// sqliteFile is a file, and nothing but it and its logs in a folder that was made for it.
type sqliteFile struct {
	path   string
	folder string // made for the file; "" if the caller named a path
}

func createSQLite(rawURL string) (*sqliteFile, error) {
	path, err := backend.SQLitePath(rawURL)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", path, ErrExists)
		}
		return &sqliteFile{path: path}, nil
	}
	folder, err := os.MkdirTemp("", "flowfabric-bench-")
	if err != nil {
		return nil, err
	}
	return &sqliteFile{path: filepath.Join(folder, "bench.db"), folder: folder}, nil
}

func (f *sqliteFile) URL() string { return "sqlite:" + f.path }

func (f *sqliteFile) Migrate(context.Context) error { return nil }

// Describe tells the settings of a store that was opened without a configuration.
func (f *sqliteFile) Describe(context.Context) (Description, error) {
	d := Description{
		ServerVersion: driver.Version,
		Settings:      map[string]string{"synchronous": string(sqlite.Full), "journal_mode": "wal"},
		Durable:       true,
		Notes:         []string{"the CPU of SQLite is part of the client's"},
	}
	if machine.InMemory(filepath.Dir(f.path)) {
		d.Settings["file_system"] = "tmpfs"
		d.Durable = false
	}
	return d, nil
}

func (f *sqliteFile) Settle(context.Context) error { return nil }

func (f *sqliteFile) Probe(ctx context.Context, c clock.Clock) (p Probe, err error) {
	if p.Sync, err = probeSync(filepath.Dir(f.path), c); err != nil {
		return Probe{}, err
	}
	conn, err := driver.OpenConn(f.path)
	if err != nil {
		return Probe{}, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, statement := range []string{
		`PRAGMA journal_mode = wal`, `PRAGMA synchronous = full`, `CREATE TABLE raw (id integer PRIMARY KEY, payload blob)`,
	} {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			return Probe{}, err
		}
	}
	insert := &sqlitex.ExecOptions{Args: []any{rawPayload}}
	p.CommitsPerS, err = probeRate(ctx, c, func() error {
		return sqlitex.Execute(conn, `INSERT INTO raw (payload) VALUES (?)`, insert)
	})
	return p, err
}

func (f *sqliteFile) CPU() time.Duration { return 0 }

func (f *sqliteFile) Statements(context.Context) (int64, string, error) { return 0, "", nil }

// Sizes reads the file's pages that are not free.
func (f *sqliteFile) Sizes(ctx context.Context) (sizes map[string]int64, err error) {
	conn, err := driver.OpenConn(f.path, driver.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	const query = `SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`
	used, err := sqlitex.ResultInt64(conn.Prep(query))
	if err != nil {
		return nil, err
	}
	return map[string]int64{"file": used}, nil
}

func (f *sqliteFile) Drop(context.Context) error {
	if f.folder != "" {
		return os.RemoveAll(f.folder)
	}
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
