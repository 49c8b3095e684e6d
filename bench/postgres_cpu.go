package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// postgresCPU reads the CPU time of a server's processes from /proc: those that run and, through the postmaster, those
// that have ended. The zero value reads nothing.
type postgresCPU struct {
	postmaster int
}

// findPostmaster returns the server of a backend process. The server may be of another machine or container, whose
// process numbers mean nothing here, so the backend must show the name of the run's own database in its title.
func findPostmaster(backendPID int, database string) (postgresCPU, error) {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", backendPID))
	if err != nil || !strings.Contains(string(title), database) {
		return postgresCPU{}, errors.New("the server's processes are not visible from here")
	}
	s, err := readStat(backendPID)
	if err != nil {
		return postgresCPU{}, err
	}
	return postgresCPU{postmaster: s.parent}, nil
}

// used is the CPU time of the postmaster, its children and those it has waited for.
func (p postgresCPU) used() time.Duration {
	if p.postmaster == 0 {
		return 0
	}
	var sum time.Duration
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil {
			continue // it has just ended: the postmaster has its time, or soon will
		}
		if pid == p.postmaster || s.parent == p.postmaster {
			sum += s.cpu
		}
	}
	return sum
}

// tick is the unit of times in /proc: USER_HZ, the same on all Linux.
const tick = time.Second / 100

// stat is what is needed of /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration // of the process and of the children it has waited for
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads the fields behind the name of the program, which is in parentheses and may contain any.
func parseStat(text string) (stat, error) {
	const parent, utime, cstime = 1, 11, 14
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= cstime {
		return stat{}, fmt.Errorf("%q is not the stat of a process", text)
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("parent: %w", err)
	}
	for _, field := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("time: %w", err)
		}
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}
