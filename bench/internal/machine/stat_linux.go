package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU returns what the machine's CPU has done.
func CPU() Usage {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Usage{}
	}
	u, err := parseStat(string(text))
	if err != nil {
		return Usage{}
	}
	return u
}

// parseStat reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal and more.
func parseStat(text string) (Usage, error) {
	const idle, iowait, steal = 3, 4, 7
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) <= steal+1 || fields[0] != "cpu" {
		return Usage{}, fmt.Errorf("%q is not the stat of a machine", line)
	}
	u := Usage{Known: true}
	for i, field := range fields[1 : steal+2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("time: %w", err)
		}
		switch i {
		case idle, iowait:
		case steal:
			u.Steal = time.Duration(n) * tick
		default:
			u.Busy += time.Duration(n) * tick
		}
	}
	return u, nil
}
