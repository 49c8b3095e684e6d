//go:build !linux

package bench

import "time"

// machineCPU is for Linux alone.
func machineCPU() (busy time.Duration, ok bool) { return 0, false }
