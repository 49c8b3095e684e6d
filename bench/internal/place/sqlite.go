package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// sqliteDatabase is a file.
type sqliteDatabase struct {
	path   string
	folder string // made for the file; "" if the caller named a path
}

func createSQLite(rawURL string) (*sqliteDatabase, error) {
	path, err := backend.SQLitePath(rawURL)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s exists; name a file that does not, because it is removed in the end", ErrOptions, path)
		}
		return &sqliteDatabase{path: path}, nil
	}
	folder, err := os.MkdirTemp("", "flowfabric-bench-")
	if err != nil {
		return nil, err
	}
	return &sqliteDatabase{path: filepath.Join(folder, "bench.db"), folder: folder}, nil
}

func (d *sqliteDatabase) url() string { return "sqlite:" + d.path }

func (d *sqliteDatabase) migrate(context.Context) error { return nil }

// describe tells the settings of a store that was opened without a configuration.
func (d *sqliteDatabase) describe(_ context.Context, res *Result) error {
	res.ServerVersion = driver.Version
	res.Settings = map[string]string{"synchronous": string(sqlite.Full), "journal_mode": "wal"}
	res.Durable = true
	if inMemory(filepath.Dir(d.path)) {
		res.Settings["file_system"] = "tmpfs"
		res.Durable = false
	}
	res.note("the CPU of SQLite is part of the client's")
	return nil
}

func (d *sqliteDatabase) cpu() time.Duration { return 0 }

func (d *sqliteDatabase) statements(context.Context) (int64, string, error) { return 0, "", nil }

func (d *sqliteDatabase) drop(context.Context) error {
	if d.folder != "" {
		return os.RemoveAll(d.folder)
	}
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(d.path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
