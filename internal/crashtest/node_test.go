package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

// The test binary runs itself again as a node. These variables tell it so.
const (
	envRole  = "FF_CRASHTEST_ROLE"  // submitter or worker
	envStore = "FF_CRASHTEST_STORE" // URL of the store
	envName  = "FF_CRASHTEST_NAME"
)

const (
	lane     = "crash"
	leaseTTL = 2 * time.Second
)

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		if err := node(role); err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// node is the main function of a spawned process. It ends when its standard input is closed.
func node(role string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	st, err := openStore(ctx, os.Getenv(envStore))
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(context.WithoutCancel(ctx)) }()
	if role == "worker" {
		return work(ctx, eng)
	}
	return submit(ctx, eng)
}

// submit creates executions as fast as eight callers can, and prints the id of each that was acknowledged.
func submit(ctx context.Context, eng *engine.Engine) error {
	var out struct {
		sync.Mutex
		w *bufio.Writer
	}
	out.w = bufio.NewWriter(os.Stdout)
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() {
			for ctx.Err() == nil {
				res, err := eng.Submit(ctx, flowfabric.Submit{Lane: lane, Kind: "work", Policy: flowfabric.Retry(20, flowfabric.FixedBackoff(10*time.Millisecond))})
				if err != nil {
					if ctx.Err() == nil {
						errs <- err
					}
					return
				}
				out.Lock()
				fmt.Fprintln(out.w, res.ID)
				_ = out.w.Flush()
				out.Unlock()
				loop.Sleep(ctx, clock.Real(), time.Millisecond, nil)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// work runs executions; a third of the first attempts fail.
func work(ctx context.Context, eng *engine.Engine) error {
	w := worker.New(eng, worker.Config{
		Lanes: []flowfabric.LaneID{lane}, WorkerID: "crash", InstanceID: flowfabric.WorkerInstanceID(os.Getenv(envName)),
		Concurrency: 16, LeaseTTL: leaseTTL,
	})
	worker.Handle(w, "work", func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		loop.Sleep(ctx, clock.Real(), 5*time.Millisecond, nil)
		if id := t.ID().UUID(); t.Attempt() == 0 && id[15]%3 == 0 {
			return "", fmt.Errorf("the first attempt of %s fails on purpose", t.ID())
		}
		return "ok", nil
	})
	return w.Run(ctx)
}

// openStore opens "sqlite:PATH" or a migrated Postgres database.
func openStore(ctx context.Context, url string) (store.Store, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sqlite.Open(ctx, path, nil)
	}
	return postgres.Open(ctx, url, nil)
}

// process is a spawned node.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	mu    sync.Mutex
	acked []string // complete lines it printed
	read  chan struct{}
}

// spawn starts a node.
func spawn(t *testing.T, role, name, url string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, cmd: exec.CommandContext(t.Context(), exe), read: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envRole+"="+role, envName+"="+name, envStore+"="+url)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return // what has no line end was not printed whole
			}
			p.mu.Lock()
			p.acked = append(p.acked, strings.TrimSpace(line))
			p.mu.Unlock()
		}
	}()
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.read
	_ = p.cmd.Wait() // it was killed: that is no news
}

// stop lets the process end by itself.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s did not end cleanly: %v", p.name, err)
	}
}

func (p *process) acknowledged() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.acked...)
}

// freshPostgres creates a database that is dropped after the test.
func freshPostgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("FF_PG_TEST_URL")
	if server == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("FF_PG_TEST_URL is not set")
		}
		t.Skip("FF_PG_TEST_URL is not set")
	}
	ctx := context.Background()
	admin, err := pgxpool.New(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("ff_crash_%d_%d", os.Getpid(), clock.Real().Now().UnixNano())
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	cfg := admin.Config().ConnConfig
	url := fmt.Sprintf("postgres://%s:%s@%s/%s?host=%s&port=%d", cfg.User, cfg.Password, "", name, cfg.Host, cfg.Port)
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil {
		t.Fatal(err)
	}
	return url
}
