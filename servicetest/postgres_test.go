package servicetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
)

// server returns the URL of a throwaway server on which the tests may do anything.
func server(t testing.TB) string {
	t.Helper()
	url := os.Getenv("FF_PG_TEST_URL")
	if url == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("FF_PG_TEST_URL is not set")
		}
		t.Skip("FF_PG_TEST_URL is not set")
	}
	return url
}

var databases atomic.Int64

var onPostgres = Harness{Open: func(t testing.TB, clock store.Clock) store.Store {
	t.Helper()
	st, _ := freshPostgres(t, clock)
	return st
}}

// freshPostgres returns a store over a database of its own, and the URL of that.
func freshPostgres(t testing.TB, clock store.Clock) (store.Store, string) {
	t.Helper()
	name := fmt.Sprintf("ff_servicetest_%d_%d", os.Getpid(), databases.Add(1))
	execute(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { execute(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	pool, err := pgxpool.New(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.Migrate(t.Context(), pool)
	pool.Close()
	if err != nil {
		t.Fatal(err)
	}
	st, err := postgres.Open(t.Context(), u.String(), &postgres.Config{Clock: clock})
	return closedByCleanup(t, st, err), u.String()
}

// execute runs a statement on the server's own database.
func execute(t testing.TB, sql string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
