package bench

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric/internal/backend"
)

// database is what a run makes, watches and removes.
type database interface {
	// url is how a store is opened on it.
	url() string
	// migrate makes the schema, where opening a store does not.
	migrate(ctx context.Context) error
	// describe adds to a result the server's version and settings, whether it is durable, and what cannot be measured.
	describe(ctx context.Context, res *Result) error
	// cpu is the CPU time the server's processes have used so far; always 0 where that cannot be told.
	cpu() time.Duration
	// statements is how many statements the database has run so far, and by whose count; "" where nobody counts.
	statements(ctx context.Context) (n int64, counter string, err error)
	drop(ctx context.Context) error
}

func create(ctx context.Context, kind backend.Kind, rawURL string) (database, error) {
	switch kind {
	case backend.SQLite:
		return createSQLite(rawURL)
	case backend.Postgres:
		return createPostgres(ctx, rawURL)
	default:
		return memoryDatabase{rawURL}, nil
	}
}

// memoryDatabase comes and goes with its store.
type memoryDatabase struct{ rawURL string }

func (d memoryDatabase) url() string { return d.rawURL }

func (memoryDatabase) migrate(context.Context) error { return nil }

func (memoryDatabase) describe(_ context.Context, res *Result) error {
	res.Settings = map[string]string{}
	res.note("a store in memory is not durable, and its CPU is the client's")
	return nil
}

func (memoryDatabase) cpu() time.Duration { return 0 }

func (memoryDatabase) statements(context.Context) (int64, string, error) { return 0, "", nil }

func (memoryDatabase) drop(context.Context) error { return nil }
