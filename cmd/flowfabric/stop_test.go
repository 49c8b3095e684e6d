//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// serverProcess is flowfabric serve as a process of its own.
type serverProcess struct {
	cmd  *exec.Cmd
	addr string
	logs <-chan string // all it says behind where it listens, once it has ended
}

// spawnServer starts one that may take bound to stop.
func spawnServer(t *testing.T, bound time.Duration) *serverProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &serverProcess{cmd: exec.CommandContext(t.Context(), self, "serve")}
	s.cmd.Env = append(os.Environ(), asProgram+"=1", "FF_STORE_URL=memory:", "FF_LISTEN_ADDR=127.0.0.1:0", "FF_LOG_FORMAT=json",
		"FF_SHUTDOWN_TIMEOUT_MS="+strconv.FormatInt(bound.Milliseconds(), 10))
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for s.addr == "" && lines.Scan() {
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "HTTP API listening" {
			s.addr = line.Addr
		}
	}
	if s.addr == "" {
		t.Fatal("the server did not start")
	}
	logs := make(chan string, 1)
	s.logs = logs
	go func() {
		rest, _ := io.ReadAll(out)
		logs <- string(rest)
	}()
	return s
}

func (s *serverProcess) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit status, and what the process said in the end.
func (s *serverProcess) wait(t *testing.T) (code int, said string) {
	t.Helper()
	said = <-s.logs
	_ = s.cmd.Wait() // the status tells
	return s.cmd.ProcessState.ExitCode(), said
}

// open opens a connection and writes to it.
func (s *serverProcess) open(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// claims opens n long polls and waits until the server says that all are under way: it asks each to go on with its body.
func (s *serverProcess) claims(t *testing.T, n int) []*bufio.Reader {
	t.Helper()
	const body = `{"lanes":["a"],"worker_id":"w","worker_instance_id":"w-1","wait_ms":60000}`
	answers := make([]*bufio.Reader, n)
	for i := range answers {
		c := s.open(t, "POST /v1/calls/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"+
			"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
		answers[i] = bufio.NewReader(c)
		for range 2 { // HTTP/1.1 100 Continue, and an empty line
			if _, err := answers[i].ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.WriteString(c, body); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

// Told to stop, a server answers who waits at once, lets requests under way end, and cuts off who is stuck when its time is over.
func TestServe_StopsWithinItsBoundWhateverIsOpen(t *testing.T) {
	const stuck = "POST /v1/calls/submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"
	const keptAlive = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		also        string // what another connection sends, that then says no more once it has had a line of an answer
		code        int
		least, most time.Duration
		say         string
	}{
		"long polls":         {"", 0, 0, 1400 * time.Millisecond, `"stopped"`},
		"a body without end": {stuck, 1, 1500 * time.Millisecond, 4 * time.Second, "cut off after 1.5s"},
		"a kept connection":  {keptAlive, 0, 0, 1400 * time.Millisecond, `"stopped"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spawnServer(t, 1500*time.Millisecond)
			answers := s.claims(t, 50)
			if c.also != "" {
				if _, err := bufio.NewReader(s.open(t, c.also)).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			began := clock.Real().Now()
			s.signal(t, syscall.SIGTERM)
			for _, answer := range answers {
				res, err := http.ReadResponse(answer, nil)
				if err != nil {
					t.Fatalf("a long poll is not answered: %v", err)
				}
				if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
					t.Errorf("a long poll is answered %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
				}
				_ = res.Body.Close()
			}
			if took := clock.Real().Now().Sub(began); took > 1400*time.Millisecond {
				t.Errorf("long polls are answered after %s, want at once", took)
			}
			code, said := s.wait(t)
			took := clock.Real().Now().Sub(began)
			if code != c.code || !strings.Contains(said, c.say) {
				t.Errorf("exit status %d, want %d; it says %s", code, c.code, said)
			}
			if took < c.least || took > c.most {
				t.Errorf("it took %s, want %s to %s", took, c.least, c.most)
			}
		})
	}
}

func TestServe_ASecondSignalEndsItAtOnce(t *testing.T) {
	s := spawnServer(t, time.Minute)
	s.open(t, "POST /v1/calls/submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
	poll := s.claims(t, 1)[0]
	began := clock.Real().Now()
	s.signal(t, syscall.SIGTERM)
	if _, err := poll.ReadString('\n'); err != nil { // the first signal has come
		t.Fatal(err)
	}
	s.signal(t, syscall.SIGINT)
	if code, said := s.wait(t); code != 130 {
		t.Errorf("exit status %d, want 130; it says %s", code, said)
	}
	if took := clock.Real().Now().Sub(began); took > 10*time.Second {
		t.Errorf("it took %s, want no time", took)
	}
}
