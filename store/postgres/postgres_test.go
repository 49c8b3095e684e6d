package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		dropDatabases()
		os.Exit(code)
	}))
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			return open(t, migrated(t), &postgres.Config{Clock: clock})
		},
		Reopen: func(t testing.TB, s store.Store, clock store.Clock) store.Store {
			url := urlOf(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, url, &postgres.Config{Clock: clock})
		},
	})
}

// The store on a caller's pool passes the same suite: it does without settings of its connections.
func TestStore_FromPool(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			s, err := postgres.FromPool(pool(t, migrated(t), 4), &postgres.Config{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		},
	})
}

// urls remembers where stores live, for Reopen.
var urls sync.Map

func urlOf(s store.Store) string {
	url, _ := urls.Load(s)
	return url.(string)
}

func open(t testing.TB, url string, cfg *postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	urls.Store(store.Store(s), url)
	t.Cleanup(func() {
		urls.Delete(store.Store(s))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func pool(t testing.TB, url string, conns int32) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = conns
	p, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

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

// empty returns the URL of a new database, which is dropped at the end of the test.
func empty(t testing.TB) string {
	t.Helper()
	name := newDatabase(t)
	t.Cleanup(func() { run(t, server(t), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	return withDatabase(t, server(t), name)
}

func newDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("ff_test_%d_%d", os.Getpid(), databases.Add(1))
	run(t, server(t), fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0", name))
	return name
}

// migrated returns the URL of a database with the schema and no rows. It is the test's own until its end; then it is
// emptied for another, since making a database takes much longer than a test.
func migrated(t testing.TB) string {
	t.Helper()
	url := idle.take()
	if url == "" {
		url = withDatabase(t, server(t), newDatabase(t))
		migrate(t, url)
	}
	t.Cleanup(func() {
		run(t, url, `TRUNCATE ff_exec_core, ff_attempt, ff_idempotency, ff_route, ff_ready, ff_due, ff_retention, ff_lane_slot,
			ff_expired_lease, ff_lane_registry, ff_worker_registry, ff_waitpoint_hmac, ff_event, ff_event_gone, ff_event_cursor, ff_api_key, ff_partition_config, ff_flow_core, ff_edge,
			ff_edge_group, ff_errand, ff_cancel_backlog, ff_cancel_backlog_member, ff_suspension_current, ff_waitpoint_pending,
			ff_signal, ff_suspend_dedup, ff_step, ff_stream_meta, ff_stream_summary, ff_stream_frame,
			ff_budget_policy, ff_budget_usage_dedup, ff_budget_usage_by_exec, ff_quota_policy, ff_quota_use, ff_limit_parking, ff_limit_scope`)
		idle.put(url)
	})
	return url
}

// idle are migrated databases that no test is using.
var idle urlList

type urlList struct {
	mu   sync.Mutex
	urls []string
}

func (l *urlList) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.urls) == 0 {
		return ""
	}
	url := l.urls[len(l.urls)-1]
	l.urls = l.urls[:len(l.urls)-1]
	return url
}

func (l *urlList) put(url string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urls = append(l.urls, url)
}

// dropDatabases removes what migrated made.
func dropDatabases() {
	ctx := context.Background()
	for url := idle.take(); url != ""; url = idle.take() {
		c, err := pgx.Connect(ctx, os.Getenv("FF_PG_TEST_URL"))
		if err != nil {
			return
		}
		_, _ = c.Exec(ctx, "DROP DATABASE "+databaseOf(url)+" WITH (FORCE)")
		_ = c.Close(ctx)
	}
}

func databaseOf(url string) string {
	name, _, _ := strings.Cut(url[strings.LastIndex(url, "/")+1:], "?")
	return name
}

func withDatabase(t testing.TB, url, name string) string {
	t.Helper()
	at := strings.LastIndex(url, "/")
	if at < len("postgres://") {
		t.Fatalf("FF_PG_TEST_URL is %q; want postgres://user@host:port/database", url)
	}
	rest := url[at+1:]
	query := ""
	if q := strings.Index(rest, "?"); q >= 0 {
		query = rest[q:]
	}
	return url[:at+1] + name + query
}

// run executes statements on a connection of their own.
func run(t testing.TB, url string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
