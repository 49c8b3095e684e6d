package demo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
)

// Report is what a run did.
type Report struct {
	Dir     string
	Files   int
	Skipped map[string]int // by reason
	// Changed files are those that did not stay the same while the run went on; they are not checked.
	Changed             int
	Words, Lines, Bytes int64
	Largest             []Counted // by words, at most five

	Retries int
	Killed  *Killed        // nil if there was no chance to kill a process
	DoneBy  map[string]int // files by the process that completed them

	Elapsed        time.Duration // from the first submission to the last completion, by the store's clock
	ExecutionsPerS float64
	Pace           time.Duration // how long a file was made to take, on average

	// Problems are what the check found wrong; without any, each file was completed exactly once, with the right result.
	Problems []string

	first, last flowfabric.Timestamp
}

// Killed is the worker process that was killed.
type Killed struct {
	Name            string
	PID             int
	Held            int           // files it was known to be in the middle of
	Reclaimed       int           // executions that were taken back from it
	ReclaimedWithin time.Duration // from the kill until the last of them was running again
	LeaseTTL        time.Duration
}

// Counted is a file with its words.
type Counted struct {
	Path  string
	Words int64
}

func (rep *Report) problem(format string, args ...any) {
	rep.Problems = append(rep.Problems, fmt.Sprintf(format, args...))
}

func (rep *Report) add(path string, c counted) {
	rep.Words += c.Words
	rep.Lines += c.Lines
	rep.Bytes += c.Bytes
	rep.Largest = append(rep.Largest, Counted{Path: path, Words: c.Words})
}

// finish computes what follows from the sums.
func (rep *Report) finish() {
	if rep.last > rep.first {
		rep.Elapsed = rep.last.Sub(rep.first)
		rep.ExecutionsPerS = float64(rep.Files) / rep.Elapsed.Seconds()
	}
	slices.SortStableFunc(rep.Largest, func(a, b Counted) int { return cmp.Compare(b.Words, a.Words) })
	rep.Largest = rep.Largest[:min(5, len(rep.Largest))]
}
