package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// machineCPU returns the CPU time that all programs of the machine have used; ok is false where it cannot be told.
func machineCPU() (busy time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	busy, err = parseMachineStat(string(text))
	return busy, err == nil
}

// parseMachineStat reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq and more.
func parseMachineStat(text string) (time.Duration, error) {
	const idle, iowait, softirq = 3, 4, 6
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) <= softirq+1 || fields[0] != "cpu" {
		return 0, fmt.Errorf("%q is not the stat of a machine", line)
	}
	var busy time.Duration
	for i, field := range fields[1 : softirq+2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("time: %w", err)
		}
		if i != idle && i != iowait {
			busy += time.Duration(n) * tick
		}
	}
	return busy, nil
}
