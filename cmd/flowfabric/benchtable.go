package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/flowfabric/flowfabric/bench"
)

// printTable prints a result for people: what was measured, then the figures the scenario has.
func printTable(out io.Writer, res bench.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	where := strings.TrimSpace(res.Store + " " + res.ServerVersion)
	if res.Served {
		where += ", behind a server"
	}
	fmt.Fprintf(w, "%s\t%s\n", res.Scenario, where)
	for _, row := range []struct {
		name  string
		value int
	}{
		{"executions", res.Executions},
		{"workers", res.Workers},
		{"callers", res.Callers},
		{"bulk", res.Bulk},
		{"payload bytes", res.PayloadBytes},
		{"backlog", res.Backlog},
		{"medians of runs", res.Repeat},
	} {
		if row.value != 0 {
			fmt.Fprintf(w, "  %s\t%d\n", row.name, row.value)
		}
	}
	for _, row := range []struct {
		name   string
		value  float64
		digits int
	}{
		{"submitted /s", res.SubmitPerS, 0},
		{"end to end /s", res.EndToEndPerS, 0},
		{"embedded /s", res.EmbeddedPerS, 0},
		{"ratio to embedded", res.RemoteRatio, 3},
		{"capacity /s", res.CapacityPerS, 0},
		{"offered /s", res.OfferedPerS, 0},
		{"p50 ms", res.P50MS, 3},
		{"p95 ms", res.P95MS, 3},
		{"p99 ms", res.P99MS, 3},
		{"with 10,000 waiting /s", res.SmallBacklogPerS, 0},
		{"with the backlog /s", res.LargeBacklogPerS, 0},
		{"ratio", res.BacklogRatio, 3},
		{"ratio by CPU", res.BacklogCPURatio, 3},
		{"frames /s", res.FramesPerS, 0},
		{"events /s", res.EventsPerS, 0},
		{"statements /s", res.StatementsPerS, 2},
		{"on another engine: p50 ms", res.OtherP50MS, 3},
		{"on another engine: p99 ms", res.OtherP99MS, 3},
		{"on another engine: statements /s", res.OtherStatementsPerS, 2},
		{"leases renewed /s", res.RenewalsPerS, 1},
		{"resident MB", res.RSSBytes / 1e6, 1},
		{"resident MB/min", res.RSSGrowth / 1e6, 3},
		{"heap MB", res.HeapBytes / 1e6, 1},
		{"heap MB/min", res.HeapGrowth / 1e6, 3},
		{"tables MB", res.TableBytes / 1e6, 1},
		{"tables MB/min", res.TableGrowth / 1e6, 3},
		{"trimmed /s", res.TrimmedPerS, 0},
		{"CPU µs per execution", res.CPUUsPerExecution, 1},
		{"CPU s, client", res.ClientCPUS, 2},
		{"CPU s, database", res.DBCPUS, 2},
		{"CPU s, server", res.ServerCPUS, 2},
		{"resident MB, server", res.ServerRSSBytes / 1e6, 1},
		{"CPU share of others", res.ForeignCPUShare, 2},
		{"CPU share kept back by the host", res.StealShare, 2},
		{"fsync µs", res.FsyncUS, 0},
		{"round trip µs", res.RoundTripUS, 0},
		{"raw commits /s", res.RawCommitsPerS, 0},
		{"ratio to raw", res.RatioToRaw, 3},
		{"duration s", res.DurationS, 2},
	} {
		if row.value != 0 {
			fmt.Fprintf(w, "  %s\t%s\n", row.name, strconv.FormatFloat(row.value, 'f', row.digits, 64))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.Settings)) {
		fmt.Fprintf(w, "  %s\t%s\n", name, res.Settings[name])
	}
	if !res.Durable && res.Store != string(bench.Server) {
		fmt.Fprintf(w, "  NOT DURABLE\tan acknowledged commit may be lost with the power\n")
	}
	for _, note := range res.Notes {
		fmt.Fprintf(w, "  note\t%s\n", note)
	}
	return w.Flush()
}
