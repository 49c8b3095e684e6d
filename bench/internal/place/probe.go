package place

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// Probe is what a place can do at most, so that figures of different machines can be compared.
type Probe struct {
	// Sync is the median time to write a page of 8 KiB and have it on the disk; 0 where it cannot be measured.
	Sync time.Duration
	// CommitsPerS is how many transactions of one prepared INSERT each one connection commits.
	CommitsPerS float64
	// RoundTrip is the median time of a statement that does nothing; 0 where there is no server.
	RoundTrip time.Duration
}

const (
	probeTime = 300 * time.Millisecond // of raw commits
	probes    = 51                     // of syncs and of round trips
)

// rawPayload is as much as a small execution has.
var rawPayload = make([]byte, 64)

// probeRate repeats fn for probeTime.
func probeRate(ctx context.Context, c clock.Clock, fn func() error) (perS float64, err error) {
	start := c.Now()
	for n := 1; ; n++ {
		if err := errors.Join(context.Cause(ctx), fn()); err != nil {
			return 0, err
		}
		if took := c.Now().Sub(start); took >= probeTime {
			return float64(n) / took.Seconds(), nil
		}
	}
}

// probeMedian is the median time of fn.
func probeMedian(c clock.Clock, fn func() error) (time.Duration, error) {
	times := make([]time.Duration, probes)
	for i := range times {
		start := c.Now()
		if err := fn(); err != nil {
			return 0, err
		}
		times[i] = c.Now().Sub(start)
	}
	slices.Sort(times)
	return times[probes/2], nil
}

// probeSync writes in a folder, to a file that has no name any more, so that nothing is left whatever happens.
func probeSync(folder string, c clock.Clock) (took time.Duration, err error) {
	file, err := os.CreateTemp(folder, "ff-bench-sync-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := os.Remove(file.Name()); err != nil {
		return 0, err
	}
	page := make([]byte, 8<<10)
	return probeMedian(c, func() error {
		if _, err := file.WriteAt(page, 0); err != nil {
			return err
		}
		return file.Sync()
	})
}
