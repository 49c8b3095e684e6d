package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric/bench"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// benchFlags are the flags of the command that are not options of a run.
type benchFlags struct {
	scenarios []string
	asJSON    bool
	serve     bool
	profile   string
}

func newBench() *cobra.Command {
	var o bench.Options
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench --store URL --scenario NAME",
		Short: "Measure the engine on a store",
		Long: `Measure the engine on a store, on tables that are empty when a run begins.

` + storeHelp + `
On PostgreSQL a run makes a database of its own on that server, ff_bench_…, and drops it in the end, also when it is
interrupted; databases that killed runs left there are dropped when a run begins.
For SQLite it makes the file, which must not exist, or one in the temporary folder for sqlite:.

With --serve a flowfabric serve of its own serves that database, in another process, and everything goes through an
HTTP client; the figures then tell the CPU and memory of the server, too. With --store http://HOST:PORT a server that
runs already is measured, on a lane of the run's own; what the run leaves there stays. FF_TOKEN is its token.

Scenarios:
  submit      create executions: --callers at once, --bulk in a call
  throughput  one worker of --workers slots drains executions that wait: claim, no-op handler, complete
  latency     submit one at a time to an idle worker; measured until its handler is entered
  backlog     throughput with 10,000 executions waiting behind, then with --backlog
  idle        --workers workers without work: what that costs the database
  heartbeat   --workers leases held by handlers that block: what renewing them costs the database
  steady      measure the capacity, submit at 80 % of it for --duration: the wait for a handler, and what grows
  cold        open, migrate and complete a first execution, on a new database each time
  lifecycle   submit, then drain: the CPU of both together
  routes      --workers workers of which all, half or one can do an execution, beside 5,000 that nobody can do
  chain       flows of ten nodes in line, --callers at once, from submission to end
  fanout      flows of one node, then --bulk, then one
  quorum      of --bulk siblings one succeeds: until the others are cancelled
  cancel      a flow of --bulk members, half of them running: until all have ended
  wide        submit flows of --bulk nodes with two edges each
  signal      suspend, signal, claim again: percentiles of all three together
  steps       handlers of --bulk durable steps, one after the other, in --workers slots
  usage       --callers report consumption on one budget
  limits      throughput without limits, and with a quota and a budget on every execution
  stream      --callers writers of streams, --bulk frames in a call, and one who follows
  tails       one writer of 100 frames a second for --duration, --callers who follow: what these cost the database
  events      throughput, then the completions are read back as events
  remote      throughput embedded and through a server, in turns, and the ratio; needs --serve
Several may be named with commas, or all.

` + exitCodes,
		Example: `  flowfabric bench --store sqlite: --scenario throughput --executions 50000 --workers 2000
  flowfabric bench --store postgres://postgres@localhost/postgres --scenario submit --callers 16 --json
  flowfabric bench --store postgres://postgres@localhost/postgres --serve --scenario remote,idle --workers 1000
  flowfabric bench --store http://127.0.0.1:9090 --scenario submit --callers 64`,
		Args: cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			return runBench(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Store, "store", "sqlite:", "the store, or the server to measure on")
	flags.BoolVar(&f.serve, "serve", false, "serve the store in another process, and measure through a client")
	flags.StringSliceVar(&f.scenarios, "scenario", []string{string(bench.Throughput)}, "what to measure, or all")
	flags.IntVar(&o.Executions, "executions", 0, "executions measured (default: by scenario)")
	flags.IntVar(&o.Workers, "workers", 0, "slots of the worker, or idle workers (default: by scenario)")
	flags.IntVar(&o.Callers, "callers", 0, "callers that submit at once (default 1; steady: 32)")
	flags.IntVar(&o.Bulk, "bulk", 0, "executions submitted in a call (default: submit 1, else 1000)")
	flags.IntVar(&o.Backlog, "backlog", 0, "executions that wait behind (default 1000000)")
	flags.IntVar(&o.PayloadBytes, "payload", 0, "size of a payload in bytes (default 64)")
	flags.DurationVar(&o.Duration, "duration", 0, "how long idle, heartbeat, steady, tails and routes last (default 10s; heartbeat: 30s; steady: 2m)")
	flags.IntVar(&o.Repeat, "repeat", 0, "run each scenario so often and print the medians (default 1)")
	flags.BoolVar(&o.AllowUnsafe, "unsafe", false, "measure a server even if its commits are not durable")
	flags.BoolVar(&o.Keep, "keep", false, "keep the database")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	flags.StringVar(&f.profile, "profile", "", "write a CPU profile of this process to `FILE`")
	return cmd
}

func runBench(ctx context.Context, out, stderr io.Writer, o bench.Options, f benchFlags) (err error) {
	o.Token = os.Getenv("FF_TOKEN")
	if f.serve {
		if o.Program, err = os.Executable(); err != nil {
			return err
		}
	}
	if f.profile != "" {
		stop, err := startProfile(f.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	for _, s := range chosen(f.scenarios, o) {
		o.Scenario = s
		if !f.asJSON {
			fmt.Fprintf(stderr, "measuring %s on %s\n", s, backend.Redact(o.Store))
		}
		res, err := bench.Run(ctx, o)
		if errors.Is(err, bench.ErrNotDurable) {
			return fmt.Errorf("%w; name a store on a disk, or measure it all the same with --unsafe", err)
		}
		if err != nil {
			return err
		}
		res.Version = buildVersion().String()
		if err := printResult(out, res, f.asJSON); err != nil {
			return err
		}
	}
	return nil
}

// chosen are the scenarios named; all are those that can be measured with the options.
func chosen(names []string, o bench.Options) []bench.Scenario {
	if slices.Equal(names, []string{"all"}) {
		return slices.DeleteFunc(bench.Scenarios(), func(s bench.Scenario) bool { return !o.Measures(s) })
	}
	list := make([]bench.Scenario, len(names))
	for i, name := range names {
		list[i] = bench.Scenario(strings.TrimSpace(name))
	}
	return list
}

func printResult(out io.Writer, res bench.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(res)
	}
	return printTable(out, res)
}

func startProfile(path string) (stop func() error, err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
