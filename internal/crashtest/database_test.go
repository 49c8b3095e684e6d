package crashtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
)

func freshSQLite(t *testing.T) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "crash.db")
}

// freshPostgres returns the URL of a new, migrated database on the tests' server. It is dropped after the test.
func freshPostgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("FF_PG_TEST_URL")
	if server == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("FF_PG_TEST_URL is not set")
		}
		t.Skip("FF_PG_TEST_URL is not set")
	}
	return freshDatabase(t, server)
}

var databases atomic.Int64

func freshDatabase(t *testing.T, server string) string {
	t.Helper()
	name := fmt.Sprintf("ff_crash_%d_%d", os.Getpid(), databases.Add(1))
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	pool, err := pgxpool.New(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// execute runs statements on a connection of their own, also while the test is being cleaned up.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// query reads one value.
func query(t *testing.T, url, sql string, into any) error {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(t.Context()) }()
	return c.QueryRow(t.Context(), sql).Scan(into)
}

// opened opens a store in this process, for the test's own looks and engines.
func opened(t *testing.T, url string) store.Store {
	t.Helper()
	st, err := (&node{Store: url}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}
