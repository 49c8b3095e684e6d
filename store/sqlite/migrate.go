package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The steps of the schema, applied in order of name. The number before the underscore, from 1 without a gap, is the
// version a step leads to; the file remembers it as user_version. A released step is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the files of this package: the bytes of "FFab".
const applicationID = 0x46466162

// migrate brings the database to the newest version, in one transaction. It may be called by several processes at once.
func migrate(ctx context.Context, db *driver.Conn, busyTimeout time.Duration) error {
	steps, err := readSteps(migrations)
	if err != nil {
		return err
	}
	db.SetInterrupt(ctx.Done())
	defer db.SetInterrupt(nil)
	version, err := schemaVersion(db)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("the file has schema version %d; this release knows versions up to %d", version, len(steps))
	}
	if err := retryBusy(ctx, busyTimeout, func() error { return useWAL(db) }); err != nil {
		return err
	}
	if version == len(steps) {
		return nil
	}
	if err := retryBusy(ctx, busyTimeout, func() error { return run(db, "BEGIN IMMEDIATE") }); err != nil {
		return err
	}
	return applySteps(db, steps)
}

// readSteps returns the scripts in order.
func readSteps(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []string
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("%s should have number %d", name, i+1)
		}
		script, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(script))
	}
	return steps, nil
}

// useWAL switches the file to write-ahead logging, which it remembers.
func useWAL(db *driver.Conn) error {
	stmt, _, err := db.PrepareTransient("PRAGMA journal_mode = WAL")
	if err != nil {
		return err
	}
	defer stmt.Finalize()
	mode, err := sqlitex.ResultText(stmt)
	if err != nil {
		return fmt.Errorf("switch to a write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not support a write-ahead log: the journal mode stays %q", mode)
	}
	return nil
}

// applySteps applies what the database lacks, within the transaction that has begun, and commits.
func applySteps(db *driver.Conn, steps []string) error {
	version, err := schemaVersion(db) // again: another process may have been faster
	if err != nil {
		return err
	}
	for i := version; i < len(steps); i++ {
		if err := sqlitex.ExecuteScript(db, steps[i], nil); err != nil {
			return fmt.Errorf("migration %d: %w", i+1, err)
		}
	}
	for _, sql := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", max(version, len(steps))),
		"COMMIT",
	} {
		if err := run(db, sql); err != nil {
			return err
		}
	}
	return nil
}

// schemaVersion returns the version of the database, 0 for an empty one, and refuses one that is not ours to change.
func schemaVersion(db *driver.Conn) (int, error) {
	objects, err := number(db, "SELECT count(*) FROM sqlite_schema")
	if err != nil || objects == 0 {
		return 0, err
	}
	mark, err := number(db, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	if mark != applicationID {
		return 0, errors.New("the file is a database of another application")
	}
	return number(db, "PRAGMA user_version")
}

func number(db *driver.Conn, query string) (int, error) {
	stmt, _, err := db.PrepareTransient(query)
	if err != nil {
		return 0, err
	}
	defer stmt.Finalize()
	n, err := sqlitex.ResultInt(stmt)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}
