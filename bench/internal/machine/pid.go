package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Process is a process of this machine, by its number. The zero value is none.
type Process int

// CPU is the time the process has used, with the children it has waited for; 0 where that cannot be seen.
func (p Process) CPU() time.Duration {
	if p == 0 {
		return 0
	}
	stat, _ := readProcess(int(p)) // the zero value, then
	return stat.cpu
}

// ResidentBytes is how much memory the process has in use; 0 where that cannot be seen.
func (p Process) ResidentBytes() int64 {
	if p == 0 {
		return 0
	}
	return residentBytes(fmt.Sprint("/proc/", int(p), "/statm"))
}

// ResidentBytes returns how much memory this process has in use. Only Linux tells; it is 0 elsewhere.
func ResidentBytes() int64 { return residentBytes("/proc/self/statm") }

func residentBytes(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pages, err := parseStatm(string(text))
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// parseStatm reads the resident pages of /proc/self/statm: total, resident and more.
func parseStatm(text string) (int64, error) {
	const resident = 1
	fields := strings.Fields(text)
	if len(fields) <= resident {
		return 0, fmt.Errorf("%q is not the memory of a process", text)
	}
	return strconv.ParseInt(fields[resident], 10, 64)
}
