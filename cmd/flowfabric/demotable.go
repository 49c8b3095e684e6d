package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flowfabric/flowfabric/cmd/flowfabric/internal/demo"
)

// printReport prints what a demonstration did, and what its check found.
func printReport(out io.Writer, rep *demo.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("folder", "%s", rep.Dir)
	row("files", "%d", rep.Files)
	for _, reason := range slices.Sorted(maps.Keys(rep.Skipped)) {
		row("left out", "%d %s", rep.Skipped[reason], reason)
	}
	row("words", "%d", rep.Words)
	row("lines", "%d", rep.Lines)
	row("bytes", "%d", rep.Bytes)
	row("completed by", "%s", completedBy(rep))
	row("retries", "%d", rep.Retries)
	if k := rep.Killed; k != nil {
		row("killed", "%s (pid %d), in the middle of %d files", k.Name, k.PID, k.Held)
		row("reclaimed", "%d executions, the last %s after the kill (lease %s)", k.Reclaimed, k.ReclaimedWithin.Round(10*time.Millisecond), k.LeaseTTL)
	} else {
		row("killed", "none: the run was over too soon")
	}
	row("elapsed", "%s", rep.Elapsed.Round(10*time.Millisecond))
	row("executions/s", "%.0f, each slowed to about %s", rep.ExecutionsPerS, rep.Pace.Round(100*time.Microsecond))
	for i, c := range rep.Largest {
		name := "most words"
		if i > 0 {
			name = ""
		}
		row(name, "%d  %s", c.Words, c.Path)
	}
	if rep.Changed > 0 {
		row("not checked", "%d files that changed while the demonstration ran", rep.Changed)
	}
	if len(rep.Problems) == 0 {
		row("check", "ok: each file was completed exactly once, and its hash is right")
	}
	for _, problem := range rep.Problems {
		row("PROBLEM", "%s", problem)
	}
	return w.Flush()
}

// completedBy lists the processes with the files each completed.
func completedBy(rep *demo.Report) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(rep.DoneBy)) {
		list = append(list, fmt.Sprintf("%s %d", name, rep.DoneBy[name]))
	}
	return strings.Join(list, ", ")
}
