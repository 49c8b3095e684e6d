package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// pgbouncer starts PgBouncer in transaction mode before the test server and returns its address. It has very few server
// connections, so that clients get another one for each transaction.
func pgbouncer(t testing.TB) string {
	t.Helper()
	binary := findPgbouncer()
	if binary == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("pgbouncer is not installed")
		}
		t.Skip("pgbouncer is not installed")
	}
	behind, err := pgx.ParseConfig(server(t))
	if err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf("host=%s port=%d user=%s", behind.Host, behind.Port, behind.User)
	if behind.Password != "" {
		target += " password=" + behind.Password
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // another user reads it
		t.Fatal(err)
	}
	port := freePort(t)
	config := fmt.Sprintf(`[databases]
* = %s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
`, target, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
	args := []string{"-q", file}
	if u, err := user.Current(); err == nil && u.Uid == "0" { // it refuses to run as root
		args = append([]string{"-u", "nobody"}, args...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, args...)
	var output strings.Builder
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pgbouncer:\n%s", output.String())
		}
	})
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	answers(t, at)
	return at
}

func findPgbouncer() string {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// answers waits until something listens at an address.
func answers(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = c.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// through returns the URL of a database as it is reached through a pooler.
func through(t testing.TB, pooler, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = pooler
	return u.String()
}

func TestPooler_Store(t *testing.T) {
	pooler := pgbouncer(t)
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			return open(t, through(t, pooler, migrated(t)), &postgres.Config{Clock: clock})
		},
	})
}

// The whole of an engine: what is submitted by one is found by another without wake-ups, and nothing is lost or done twice.
func TestPooler_Engines(t *testing.T) {
	pooler := pgbouncer(t)
	url := through(t, pooler, migrated(t))
	submitter, claimer := poolerEngine(t, url), poolerEngine(t, url)
	const each, callers = 20, 5
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if _, err := submitter.Submit(t.Context(), ff.Submit{Lane: "mail", Kind: "send"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := map[ff.ExecutionID]int{}
	for len(done) < each*callers && !t.Failed() {
		list, err := claimer.Claim(t.Context(), ff.Claim{
			Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Max: 10, Wait: 10 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			done[c.ExecutionID]++
			if err := claimer.Complete(t.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
				t.Error(err)
			}
		}
	}
	wg.Wait()
	for id, n := range done {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}

func poolerEngine(t *testing.T, url string) ff.Service {
	t.Helper()
	eng, err := engine.Open(t.Context(), open(t, url, nil), engine.Config{ClaimPoll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close(context.Background()) })
	return eng
}

func TestPooler_IsNoticedOrNamed(t *testing.T) {
	pooler := pgbouncer(t)
	url := through(t, pooler, migrated(t))
	for name, s := range map[string]*postgres.Store{
		"noticed":          open(t, url, nil),
		"named":            open(t, url, &postgres.Config{Pooler: true}),
		"named in the url": open(t, withParam(url, "pooler=true"), nil),
	} {
		if _, err := s.Watch(t.Context()); !errors.Is(err, store.ErrNoWatch) {
			t.Errorf("%s: watch: got %v, want ErrNoWatch", name, err)
		}
	}
	if _, err := postgres.Open(t.Context(), withParam(url, "pooler=perhaps"), nil); err == nil {
		t.Error("pooler=perhaps was accepted")
	}
}

// Planner settings and timeouts hold in each transaction and stay with none of the sessions.
func TestPooler_LeavesSessionsAsTheyAre(t *testing.T) {
	pooler := pgbouncer(t)
	url := through(t, pooler, migrated(t))
	s := open(t, url, nil)
	submit(t, s)
	claimable(t, s)
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	var seqscan, timeout string
	var prepared int
	err = c.QueryRow(t.Context(), `SELECT current_setting('enable_seqscan'), current_setting('lock_timeout'),
		(SELECT count(*) FROM pg_prepared_statements)`).Scan(&seqscan, &timeout, &prepared)
	if err != nil {
		t.Fatal(err)
	}
	if seqscan != "on" || timeout != "0" || prepared != 0 {
		t.Errorf("enable_seqscan %s, lock_timeout %s, %d prepared statements; want on, 0 and none", seqscan, timeout, prepared)
	}
}

func TestPooler_Migrate(t *testing.T) {
	pooler := pgbouncer(t)
	url := through(t, pooler, empty(t))
	for range 2 {
		migrate(t, url)
	}
	submit(t, open(t, url, nil))
}

func TestPooler_InTheCallersTransaction(t *testing.T) {
	pooler := pgbouncer(t)
	url := through(t, pooler, migrated(t))
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	eng := poolerEngine(t, url)
	for range 3 {
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.SubmitTx(t.Context(), tx, postgres.TxOptions{}, mailJob); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		list, err := eng.Claim(t.Context(), ff.Claim{Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Wait: 10 * time.Second})
		if err != nil || len(list) != 1 {
			t.Fatalf("claimed %v, %v; want one", list, err)
		}
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.CompleteTx(t.Context(), tx, postgres.TxOptions{}, ff.Complete{ExecutionID: list[0].ExecutionID, Fence: list[0].Fence}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
