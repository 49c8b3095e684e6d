//go:build !unix

package bench

import "time"

// processCPU returns 0: the CPU time of a process is measured on Unix alone.
func processCPU() time.Duration { return 0 }
