package machine

import "time"

// Usage is CPU time of the whole machine since it started.
type Usage struct {
	// Busy is what programs used, Steal what the host of a virtual machine gave to others.
	Busy, Steal time.Duration
	// Known is false where the system does not tell.
	Known bool
}

// tick is the unit of times in /proc: USER_HZ, the same on all Linux.
const tick = time.Second / 100
