package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// Schema is what a database says of its schema.
type Schema struct {
	Version int // 0: nothing was ever migrated
	// Steps are the migrations that were applied, oldest first. SQLite files remember only their version.
	Steps []Step
	// Pending are the names of the migrations that are still to be applied, in order.
	Pending []string
}

// Step is one applied migration.
type Step struct {
	Version   int
	Name      string
	AppliedAt time.Time
}

// Migrate brings the schema of the database that rawURL names up to date and returns the versions before and after. It
// may be repeated and run by several processes at once. It fails with [ErrURL] if the URL is no good.
func Migrate(ctx context.Context, rawURL string) (from, to int, err error) {
	kind, err := KindOf(rawURL)
	if err != nil {
		return 0, 0, err
	}
	switch kind {
	case Memory:
		return 0, 0, errNoSchema
	case SQLite:
		return migrateSQLite(ctx, rawURL)
	default:
		err = withPool(ctx, rawURL, func(pool *pgxpool.Pool) (err error) {
			from, to, err = migratePostgres(ctx, pool)
			return err
		})
		return from, to, err
	}
}

var errNoSchema = fmt.Errorf("%w that has a schema: a store in memory needs no migration", ErrURL)

// Status tells which migrations a database has, and changes nothing. It fails with [ErrURL] if the URL is no good.
func Status(ctx context.Context, rawURL string) (Schema, error) {
	kind, err := KindOf(rawURL)
	if err != nil {
		return Schema{}, err
	}
	switch kind {
	case Memory:
		return Schema{}, errNoSchema
	case SQLite:
		return statusSQLite(rawURL)
	default:
		var s Schema
		err := withPool(ctx, rawURL, func(pool *pgxpool.Pool) (err error) {
			s, err = statusPostgres(ctx, pool)
			return err
		})
		return s, err
	}
}

// migrateSQLite opens the file, which is what migrates it.
func migrateSQLite(ctx context.Context, rawURL string) (from, to int, err error) {
	before, err := statusSQLite(rawURL)
	if err != nil {
		return 0, 0, err
	}
	st, err := openSQLite(ctx, rawURL)
	if err != nil {
		return 0, 0, err
	}
	if err := st.Close(); err != nil {
		return 0, 0, err
	}
	after, err := statusSQLite(rawURL)
	return before.Version, after.Version, err
}

func statusSQLite(rawURL string) (Schema, error) {
	path, err := sqliteFile(rawURL)
	if err != nil {
		return Schema{}, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Schema{Pending: sqlite.Migrations()}, nil // opening it would create it
	}
	db, err := driver.OpenConn(path, driver.OpenReadWrite)
	if err != nil {
		return Schema{}, explainSQLite(path, err)
	}
	defer func() { _ = db.Close() }()
	version, err := sqlite.SchemaVersion(db)
	if err != nil {
		return Schema{}, explainSQLite(path, err)
	}
	return Schema{Version: version, Pending: pending(sqlite.Migrations(), version)}, nil
}

// pending returns those of the migrations, in order, that a schema has still to get. One of a newer release has none.
func pending(all []string, version int) []string { return all[min(version, len(all)):] }

func migratePostgres(ctx context.Context, pool *pgxpool.Pool) (from, to int, err error) {
	before, err := statusPostgres(ctx, pool)
	if err != nil {
		return 0, 0, err
	}
	if err := postgres.Migrate(ctx, pool); err != nil {
		return 0, 0, err
	}
	after, err := statusPostgres(ctx, pool)
	return before.Version, after.Version, err
}

func statusPostgres(ctx context.Context, pool *pgxpool.Pool) (Schema, error) {
	const undefinedTable = "42P01"
	steps, err := readLedger(ctx, pool)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == undefinedTable:
	case err != nil:
		return Schema{}, fmt.Errorf("read the ledger of migrations: %w", err)
	}
	s := Schema{Steps: steps}
	if len(steps) > 0 {
		s.Version = steps[len(steps)-1].Version
	}
	s.Pending = pending(postgres.Migrations(), s.Version)
	return s, nil
}

func readLedger(ctx context.Context, pool *pgxpool.Pool) ([]Step, error) {
	rows, err := pool.Query(ctx, `SELECT version, name, applied_at FROM ff_migration ORDER BY version`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Step])
}

// withPool runs fn with a pool on the database of a URL.
func withPool(ctx context.Context, rawURL string, fn func(*pgxpool.Pool) error) error {
	if err := checkPostgres(rawURL); err != nil {
		return err
	}
	cfg, _, err := postgres.ParseURL(rawURL)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrURL, Redact(rawURL), err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return Explain(rawURL, err)
	}
	defer pool.Close()
	if err := fn(pool); err != nil {
		return Explain(rawURL, err)
	}
	return nil
}
