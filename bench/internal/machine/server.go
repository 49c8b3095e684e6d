package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrHidden is returned for a server whose processes cannot be seen: it runs on another machine or in a container.
var ErrHidden = errors.New("the server's processes are not visible from here")

// Server reads the CPU time of a server's processes from /proc: those that run and, through their parent, those that
// have ended. The zero value reads nothing.
type Server struct {
	parent int
}

// FindServer returns the server of which pid is a process. Numbers of processes on another machine mean nothing here, so
// the process must have mark in its title, and the server is the process itself, or its parent if the process is a child
// that serves one connection. It fails with [ErrHidden].
func FindServer(pid int, mark string, isChild bool) (Server, error) {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(title), mark) {
		return Server{}, ErrHidden
	}
	if !isChild {
		return Server{parent: pid}, nil
	}
	p, err := readProcess(pid)
	if err != nil {
		return Server{}, fmt.Errorf("%w: %w", ErrHidden, err)
	}
	return Server{parent: p.parent}, nil
}

// CPU is the time used by the server's first process, its children and those it has waited for.
func (s Server) CPU() time.Duration {
	if s.parent == 0 {
		return 0
	}
	var sum time.Duration
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		p, err := readProcess(pid)
		if err != nil {
			continue // it has just ended: its parent has its time, or soon will
		}
		if pid == s.parent || p.parent == s.parent {
			sum += p.cpu
		}
	}
	return sum
}

// process is what is needed of /proc/PID/stat.
type process struct {
	parent int
	cpu    time.Duration // of the process and of the children it has waited for
}

func readProcess(pid int) (process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	return parseProcess(string(text))
}

// parseProcess reads the fields behind the name of the program, which is in parentheses and may contain any.
func parseProcess(text string) (process, error) {
	const parent, utime, cstime = 1, 11, 14
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= cstime {
		return process{}, fmt.Errorf("%q is not the stat of a process", text)
	}
	var p process
	var err error
	if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return process{}, fmt.Errorf("parent: %w", err)
	}
	for _, field := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("time: %w", err)
		}
		p.cpu += time.Duration(n) * tick
	}
	return p, nil
}
