//go:build unix

package crashtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// server is a throwaway Postgres of a test's own, which may be restarted. It waits for the disk as a real one does.
type server struct {
	dir  string
	bin  string
	port int
	as   *syscall.Credential // servers refuse to run as root
}

// startServer starts a server that is stopped after the test.
func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: filepath.Join(t.TempDir(), "data"), bin: postgresPrograms(t), port: freePort(t)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		s.as = unprivileged(t)
		err := errors.Join(
			os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)),
			os.Chmod(filepath.Dir(s.dir), 0o711), os.Chmod(filepath.Dir(filepath.Dir(s.dir)), 0o711), // the way there
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "initdb", "-D", s.dir, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	t.Cleanup(func() { s.ctl(t, "stop", "-m", "immediate") })
	s.ctl(t, "start")
	return s
}

// postgresPrograms finds the folder of initdb and pg_ctl, as ci/servers.sh does.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	slices.Sort(found)
	if n := len(found); n > 0 {
		return filepath.Dir(found[n-1])
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		return filepath.Dir(path)
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no PostgreSQL server to start")
	}
	t.Skip("there is no PostgreSQL server to start")
	return ""
}

func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("there is no unprivileged user")
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// ctl runs pg_ctl and waits until it is done.
func (s *server) ctl(t *testing.T, args ...string) {
	t.Helper()
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=100", s.port)
	s.run(t, "pg_ctl", append(args, "-w", "-D", s.dir, "-l", filepath.Join(s.dir, "log"), "-o", options)...)
}

func (s *server) run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, program), args...) //nolint:noctx // it also runs when the test's context has ended
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}
