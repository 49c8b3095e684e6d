package backend

import (
	"context"
	"fmt"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// Open opens the store that rawURL names. It migrates a SQLite file, but not a PostgreSQL database: see [Migrate]. The
// store is closed with the function it returns. Open fails with [ErrURL] if the URL is no good.
func Open(ctx context.Context, rawURL string) (store.Store, func() error, error) {
	st, err := open(ctx, rawURL)
	if err != nil {
		return nil, nil, err
	}
	return st, st.Close, nil
}

func open(ctx context.Context, rawURL string) (store.Store, error) {
	kind, err := KindOf(rawURL)
	if err != nil {
		return nil, err
	}
	switch kind {
	case Memory:
		shards, err := memoryShards(rawURL)
		if err != nil {
			return nil, err
		}
		return memory.New(memory.Config{Shards: shards}), nil
	case SQLite:
		return openSQLite(ctx, rawURL)
	default:
		return openPostgres(ctx, rawURL)
	}
}

func openSQLite(ctx context.Context, rawURL string) (store.Store, error) {
	path, err := sqliteFile(rawURL)
	if err != nil {
		return nil, err
	}
	st, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, explainSQLite(path, err)
	}
	return st, nil
}

func openPostgres(ctx context.Context, rawURL string) (store.Store, error) {
	if err := checkPostgres(rawURL); err != nil {
		return nil, err
	}
	st, err := postgres.Open(ctx, rawURL, nil)
	if err != nil {
		return nil, Explain(rawURL, err)
	}
	return st, nil
}

// sqliteFile is [SQLitePath] of a URL that must name a file.
func sqliteFile(rawURL string) (string, error) {
	path, err := SQLitePath(rawURL)
	if err == nil && path == "" {
		err = fmt.Errorf("%w: %q names no file; %s", ErrURL, rawURL, forms)
	}
	return path, err
}
