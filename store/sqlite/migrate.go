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
// version a step leads to; the table ff_schema remembers it, since user_version may be another's in a shared file. A
// released step is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the names of all migrations in order: the i-th, from 1, leads to version i.
func Migrations() []string {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err) // they are part of the program
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Name()
	}
	return names
}

// errForeign: the file holds tables, none of them ours.
var errForeign = errors.New("the file is a database of another application")

// migrate brings the database to the newest version, in one transaction. It may be called by several processes at once.
// A database of another application is refused, unless it is to be shared.
func migrate(ctx context.Context, db *driver.Conn, shared bool, busyTimeout time.Duration) error {
	steps, err := readSteps(migrations)
	if err != nil {
		return err
	}
	db.SetInterrupt(ctx.Done())
	defer db.SetInterrupt(nil)
	version, err := schemaVersion(db)
	if errors.Is(err, errForeign) && !shared {
		return fmt.Errorf("%w; set Config.Shared to keep the tables of FlowFabric beside its own", err)
	}
	if err != nil && !errors.Is(err, errForeign) {
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
	version, err := SchemaVersion(db) // again: another process may have been faster
	if err != nil {
		return err
	}
	for i := version; i < len(steps); i++ {
		if err := sqlitex.ExecuteScript(db, steps[i], nil); err != nil {
			return fmt.Errorf("migration %d: %w", i+1, err)
		}
	}
	if err := run(db, fmt.Sprintf("UPDATE ff_schema SET version = %d", max(version, len(steps)))); err != nil {
		return err
	}
	return run(db, "COMMIT")
}

// SchemaVersion returns the version of the schema in the database of a connection, 0 if there is none.
func SchemaVersion(db *driver.Conn) (int, error) {
	version, err := schemaVersion(db)
	if errors.Is(err, errForeign) {
		return 0, nil
	}
	return version, err
}

// schemaVersion returns the version of our schema in the database, 0 if there is none. With the 0 it fails with errForeign
// if there is something else.
func schemaVersion(db *driver.Conn) (int, error) {
	ours, err := number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'ff_schema'")
	if err != nil {
		return 0, err
	}
	if ours > 0 {
		return number(db, "SELECT version FROM ff_schema")
	}
	objects, err := number(db, "SELECT count(*) FROM sqlite_schema")
	if err == nil && objects > 0 {
		err = errForeign
	}
	return 0, err
}

// number returns the one number that a query answers.
func number(db *driver.Conn, query string) (int, error) {
	stmt, err := db.Prepare(query)
	if err != nil {
		return 0, err
	}
	n, err := sqlitex.ResultInt(stmt)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}
