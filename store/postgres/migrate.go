package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrationFiles are applied in order of name; the position of a file is its version, from 1.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the advisory lock under which one process migrates at a time.
const migrationLock = 0x666c6f77666162 // "flowfab"

const migrationLedger = `CREATE TABLE IF NOT EXISTS ff_migration (
	version    integer     PRIMARY KEY,
	name       text        NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
)`

// unnamed runs a statement without keeping it on the server, so that any pooler may be in between.
const unnamed = pgx.QueryExecModeExec

// Migrations returns the names of all migrations in order: the i-th, from 1, leads to version i.
func Migrations() []string {
	files, err := fs.ReadDir(migrationFiles, "migrations")
	if err != nil {
		panic(err) // they are part of the program
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Name()
	}
	return names
}

// Migrate brings the schema of the pool's database up to this program's version, in one transaction. It only goes
// forward, does nothing on a schema that is current, and fails with [ErrSchemaTooNew] on one that is newer. It may be
// called by several processes at once and needs one connection.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files := Migrations()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, unnamed, int64(migrationLock)); err != nil {
			return fmt.Errorf("take the lock: %w", err)
		}
		if _, err := tx.Exec(ctx, migrationLedger, unnamed); err != nil {
			return fmt.Errorf("create the ledger: %w", err)
		}
		version, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		if version > len(files) {
			return fmt.Errorf("version %d, this program knows %d: %w", version, len(files), ErrSchemaTooNew)
		}
		for i := version; i < len(files); i++ {
			if err := applyMigration(ctx, tx, i+1, files[i]); err != nil {
				return fmt.Errorf("apply %s: %w", files[i], err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}

func applyMigration(ctx context.Context, tx pgx.Tx, version int, name string) error {
	text, err := migrationFiles.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	// The simple protocol takes many statements at once.
	if _, err := tx.Conn().PgConn().Exec(ctx, string(text)).ReadAll(); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO ff_migration (version, name) VALUES ($1, $2)`, unnamed, version, name)
	return err
}

// querier is what reading the version needs: a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion returns the latest version in the ledger, 0 for an empty one.
func schemaVersion(ctx context.Context, q querier) (int, error) {
	var version int
	err := q.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM ff_migration`, unnamed).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	return version, nil
}

// checkSchema fails with [ErrSchemaTooOld] unless the schema has what this program needs. A newer one is accepted:
// migrations only add, so that nodes can be replaced one by one.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	const undefinedTable = "42P01"
	files := Migrations()
	version, err := schemaVersion(ctx, pool)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == undefinedTable:
		return fmt.Errorf("version 0, want %d: %w", len(files), ErrSchemaTooOld)
	case err != nil:
		return classify("check the schema", err, notSent)
	case version < len(files):
		return fmt.Errorf("version %d, want %d: %w", version, len(files), ErrSchemaTooOld)
	}
	return nil
}
