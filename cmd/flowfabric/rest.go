package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// A process is at rest when it allocated no more than restBytes within restTime, and is worth cleaning up from leastGarbage on.
// Under load that is allocated within a second.
const (
	restTime     = 10 * time.Second
	restBytes    = 64 << 20
	leastGarbage = 4 << 20
)

// giveBack returns memory to the system when the process has come to rest, until ctx ends. The collector alone would let a server
// that only holds connections keep as much garbage as it has in use, and what its last load needed for minutes.
func giveBack(ctx context.Context, c clock.Clock, free func()) {
	kept := allocated()
	for before := kept; loop.Sleep(ctx, c, restTime, nil); {
		now := allocated()
		if now-before < restBytes && now-kept > leastGarbage {
			free()
			kept = now
		}
		before = now
	}
}

// freeMemory collects garbage and gives the memory back.
func freeMemory() { debug.FreeOSMemory() }

// allocated is how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
