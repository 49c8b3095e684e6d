//go:build unix

package crashtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A server is killed, or told to stop, and started again under load of workers and callers in other processes, which find it again
// by themselves. In the end every execution has ended once, and what was acknowledged is there.
func TestServerRestart_RemoteWorkersCarryOn(t *testing.T) {
	program := builtProgram(t)
	t.Run("SQLite", func(t *testing.T) { restarts(t, program, freshSQLite(t)) })
	t.Run("Postgres", func(t *testing.T) { restarts(t, program, freshPostgres(t)) })
}

func restarts(t *testing.T, program, url string) {
	beside(t)
	rounds := either(4, 40)
	srv := &api{program: program, addr: "127.0.0.1:" + strconv.Itoa(freePort(t)), env: []string{"FF_STORE_URL=" + url, "FF_SHUTDOWN_TIMEOUT_MS=5000"}}
	srv.start(t)
	f := &fleet{url: url}
	caller := node{Server: srv.url(), Callers: 4, Flows: 1, Pause: 4 * time.Millisecond}
	works := node{Server: srv.url(), Slots: 16, Work: 5 * time.Millisecond, Flaky: true}
	for _, n := range []node{caller, caller, works, works} {
		f.add(t, n)
	}
	f.awaitReady(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for round := range rounds {
		f.awaitProgress(t, time.Minute, 50)
		let(t, time.Duration(random.IntN(400))*time.Millisecond)
		if round%2 == 0 {
			srv.kill(t)
		} else {
			srv.stop(t)
		}
		let(t, time.Duration(random.IntN(400))*time.Millisecond)
		srv.start(t)
	}
	f.awaitProgress(t, time.Minute, 50)
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	st := opened(t, url)
	awaitEnd(t, st, time.Minute)
	f.stop(t, func(*process) bool { return true })
	srv.stop(t)
	f.judge(t, dump(t, st))
	f.judgePace(t)
}

// builtProgram builds flowfabric.
func builtProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flowfabric")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/flowfabric/flowfabric/cmd/flowfabric").CombinedOutput()
	if err != nil {
		t.Fatalf("build flowfabric: %v\n%s", err, out)
	}
	return path
}

// api is flowfabric serve in a process, which may be started again at the same address.
type api struct {
	program, addr string
	env           []string
	cmd           *exec.Cmd
	read          chan struct{} // closed when it has logged its last
}

func (a *api) url() string { return "http://" + a.addr }

// start starts the server and waits until it listens. It is killed when the test ends, if it has not ended by then.
func (a *api) start(t *testing.T) {
	t.Helper()
	a.cmd, a.read = exec.CommandContext(t.Context(), a.program, "serve"), make(chan struct{})
	a.cmd.Env = append(os.Environ(), append([]string{"FF_LISTEN_ADDR=" + a.addr, "FF_LOG_FORMAT=json"}, a.env...)...)
	logs, err := a.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan bool, 1)
	go func() {
		defer close(a.read)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var line struct{ Level, Msg string }
			_ = json.Unmarshal(lines.Bytes(), &line) // what is no JSON is worth telling
			switch {
			case line.Msg == "HTTP API listening":
				listening <- true
			case line.Level != "INFO":
				fmt.Fprintln(os.Stderr, "server:", lines.Text())
			}
		}
		close(listening)
		_, _ = io.Copy(io.Discard, logs)
	}()
	if !<-listening {
		t.Fatal("the server did not start")
	}
}

// kill ends the server as a power cut would.
func (a *api) kill(t *testing.T) {
	t.Helper()
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-a.read
	_ = a.cmd.Wait() // it was killed: that is no news
}

// stop tells the server to end, which it must do cleanly, within its five seconds and some for its engine.
func (a *api) stop(t *testing.T) {
	t.Helper()
	began := wall.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-a.read
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the server did not end cleanly: %v", err)
	}
	if took := wall.Now().Sub(began); took > 10*time.Second {
		t.Errorf("the server took %s to stop", took)
	}
}
