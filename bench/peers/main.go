// Command peers measures FlowFabric beside other job queues for Go, in turns and on the same servers, and prints a table.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
)

func main() {
	var n sizes
	repeat := flag.Int("repeat", 5, "rounds; the table has their medians")
	flag.IntVar(&n.submits, "submits", 1000, "jobs submitted by one caller, four times as many by 16")
	flag.IntVar(&n.bulk, "bulk", 20_000, "jobs submitted in bulk")
	flag.IntVar(&n.jobs, "jobs", 10_000, "jobs drained by each number of slots")
	flag.IntVar(&n.idle, "idle", 100, "jobs submitted one at a time to idle workers")
	flag.DurationVar(&n.limit, "limit", 10*time.Second, "the longest drain; a slower one is measured by what it has done")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, *repeat, n); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run measures all entrants in turns, as often as repeat says, and prints the table of medians.
func run(ctx context.Context, out, progress io.Writer, repeat int, n sizes) error {
	if repeat < 1 || n.submits < 16 || n.bulk < bulkCall || n.jobs < bulkCall || n.idle < 1 {
		return fmt.Errorf("want repeat and idle >= 1, submits >= 16, bulk and jobs >= %d", bulkCall)
	}
	results := make([]result, len(entrants))
	before := machine.CPU()
	took, err := timed(func() error {
		for round := range repeat {
			for i, e := range entrants {
				if e.needs != "" && os.Getenv(e.needs) == "" {
					results[i].missing = "no " + e.needs
					continue
				}
				_, _ = fmt.Fprintf(progress, "round %d of %d: %s on %s\n", round+1, repeat, e.name, e.store)
				f, err := measure(ctx, e, n)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil { // a peer that fails has no figure; the others have
					_, _ = fmt.Fprintln(progress, err)
				}
				results[i].rounds = append(results[i].rounds, f)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if after := machine.CPU(); after.Known {
		if share := (after.Steal - before.Steal).Seconds() / (took.Seconds() * float64(runtime.NumCPU())); share > 0.05 {
			_, _ = fmt.Fprintf(progress, "the host kept back %.0f%% of the CPU: the figures are worth little\n", 100*share)
		}
	}
	return writeTable(out, results)
}
