package backend_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

func TestOpen_OpensTheStoreTheURLNames(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "app.db")
	for url, isRight := range map[string]func(store.Store) bool{
		"memory:":          func(st store.Store) bool { _, ok := st.(*memory.Store); return ok && len(st.Shards()) == 1 },
		"memory:?shards=8": func(st store.Store) bool { _, ok := st.(*memory.Store); return ok && len(st.Shards()) == 8 },
		file:               func(st store.Store) bool { _, ok := st.(*sqlite.Store); return ok },
	} {
		st, closeStore, err := backend.Open(t.Context(), url)
		if err != nil {
			t.Fatalf("Open(%q): %v", url, err)
		}
		if !isRight(st) {
			t.Errorf("Open(%q) = %T with %d shards", url, st, len(st.Shards()))
		}
		if err := closeStore(); err != nil {
			t.Errorf("close %q: %v", url, err)
		}
		if _, err := st.View(t.Context(), store.Reads{NextDue: true}); err == nil && url == file {
			t.Errorf("%q is open after it was closed", url)
		}
	}
}

func TestOpen_SaysWhatCanBeDone(t *testing.T) {
	dir := t.TempDir()
	for url, want := range map[string]string{
		"postgres://ann:secret@127.0.0.1:1/app": "is the server running",
		"sqlite:" + dir:                         "it is a folder",
		"sqlite:" + dir + "/no/app.db":          "does not exist",
	} {
		_, _, err := backend.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v; want it to say %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

func TestMigrate_SQLiteFile(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "app.db")
	testMigrate(t, url)
}

func TestMigrate_PostgresDatabase(t *testing.T) {
	url := freshPostgres(t)
	_, _, err := backend.Open(t.Context(), url)
	if !errors.Is(err, postgres.ErrSchemaTooOld) || !strings.Contains(err.Error(), "flowfabric migrate") {
		t.Errorf("Open before Migrate = %v; want %v and how to migrate", err, postgres.ErrSchemaTooOld)
	}
	testMigrate(t, url)
	s, err := backend.Status(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != s.Version || s.Steps[0].Version != 1 || s.Steps[0].AppliedAt.IsZero() {
		t.Errorf("steps = %+v", s.Steps)
	}
	st, closeStore, err := backend.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := st.(*postgres.Store); !ok {
		t.Errorf("Open = %T", st)
	}
	if err := closeStore(); err != nil {
		t.Error(err)
	}
}

// testMigrate checks on an empty database that migrating goes forward once.
func testMigrate(t *testing.T, url string) {
	t.Helper()
	before, err := backend.Status(t.Context(), url)
	if diff := cmp.Diff(backend.Schema{Pending: []string{"0001_initial.sql", "0002_flows.sql", "0003_suspension.sql", "0004_stream.sql", "0005_limits.sql", "0006_events.sql", "0007_drawn.sql", "0008_keys.sql", "0009_partitions.sql", "0010_routes.sql", "0011_trace.sql"}}, before); diff != "" || err != nil {
		t.Errorf("status of an empty database: %v %s", err, diff)
	}
	from, to, err := backend.Migrate(t.Context(), url)
	if from != 0 || to < 1 || err != nil {
		t.Fatalf("first Migrate = %d, %d, %v; want from 0", from, to, err)
	}
	again, same, err := backend.Migrate(t.Context(), url)
	if again != to || same != to || err != nil {
		t.Errorf("second Migrate = %d, %d, %v; want %d twice", again, same, err, to)
	}
	after, err := backend.Status(t.Context(), url)
	if after.Version != to || len(after.Pending) != 0 || err != nil {
		t.Errorf("status = %+v, %v; want version %d and nothing pending", after, err, to)
	}
}

func TestMigrate_MemoryHasNoSchema(t *testing.T) {
	if _, _, err := backend.Migrate(t.Context(), "memory:"); !errors.Is(err, backend.ErrURL) {
		t.Errorf("Migrate = %v; want %v", err, backend.ErrURL)
	}
}

func TestStatus_CreatesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	if _, err := backend.Status(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat = %v; want %v", err, os.ErrNotExist)
	}
}

// freshPostgres makes an empty database on the server for tests.
func freshPostgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("FF_PG_TEST_URL")
	if server == "" {
		t.Skip("FF_PG_TEST_URL is not set")
	}
	const name = "ff_backend_test"
	cfg, err := pgx.ParseConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		ctx := context.WithoutCancel(t.Context())
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(ctx) }()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
	exec("CREATE DATABASE " + name)
	t.Cleanup(func() { exec("DROP DATABASE " + name + " WITH (FORCE)") })
	return replaceDatabase(t, server, name)
}

func replaceDatabase(t *testing.T, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
