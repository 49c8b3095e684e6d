//go:build !unix

package machine

import "time"

// ProcessCPU returns 0: the CPU time of a process is measured on Unix alone.
func ProcessCPU() time.Duration { return 0 }
