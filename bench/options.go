package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench/internal/place"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// ErrOptions is wrapped by the errors of options that are out of bounds.
var ErrOptions = errors.New("bad options")

// Scenario is what a run measures.
type Scenario string

// Scenarios.
const (
	// Submit creates executions: Callers at once, one in a call, or Bulk in a call.
	Submit Scenario = "submit"
	// Throughput lets one worker with Workers slots drain executions that wait already: claim, no-op handler, complete.
	Throughput Scenario = "throughput"
	// Latency submits one execution at a time to an idle worker and measures until its handler was entered.
	Latency Scenario = "latency"
	// Backlog is Throughput with [SmallBacklog] executions waiting behind those that are measured, then with Backlog.
	Backlog Scenario = "backlog"
	// Idle runs Workers workers without work for Duration and counts what that costs the database.
	Idle Scenario = "idle"
	// Heartbeat lets one worker hold Workers leases in handlers that block and counts for Duration what renewing them, every
	// third of their TTL of 30 s, costs the database.
	Heartbeat Scenario = "heartbeat"
	// Steady measures what Callers and a worker of Workers slots get through, then submits at 80 % of that for Duration:
	// how long an execution waits for its handler, and what grows although what is finished is soon removed.
	Steady Scenario = "steady"
	// Cold opens and migrates an empty database and runs a first execution on it, Executions times.
	Cold Scenario = "cold"
	// Lifecycle submits like Submit, then drains like Throughput, and measures the CPU of both together.
	Lifecycle Scenario = "lifecycle"
	// Routes: Options.Workers workers with capabilities of their own, beside 5,000 executions nobody can do, when all, half
	// or one of them can do an execution.
	Routes Scenario = "routes"
	// Chain runs Executions flows of ten nodes in line from their submission to their end, Callers of them at once.
	Chain Scenario = "chain"
	// Fanout does so with flows of one node, Bulk that follow it, and one that follows these.
	Fanout Scenario = "fanout"
	// Quorum measures from the completion that decides an any_of until the last of Bulk other upstreams is cancelled.
	Quorum Scenario = "quorum"
	// Cancel measures the cancel of a flow of Bulk members, half of which run, until all have ended.
	Cancel Scenario = "cancel"
	// Wide submits flows of Bulk nodes with about two edges for each.
	Wide Scenario = "wide"
	// Signal: suspend, signal, claim again, one after the other; the percentiles are of all three together.
	Signal Scenario = "signal"
	// Steps: handlers of Bulk durable steps; the percentiles are of one step, on the average of its execution.
	Steps Scenario = "steps"
	// Usage: Callers report consumption on one budget, Executions times in all.
	Usage Scenario = "usage"
	// Limits is Throughput without limits, and with a quota and a budget on every execution; the ratio of the two.
	Limits Scenario = "limits"
	// Stream: Callers writers append Executions frames in all, Bulk in a call, to a stream each; the percentiles are of the way
	// of a frame to who follows one of the streams.
	Stream Scenario = "stream"
	// Tails: one writer, 100 frames a second for Duration, and Callers who follow it; what these cost the database, and the
	// percentiles of the way of a frame to each of them. Then the same on another engine, as another process would have it.
	Tails Scenario = "tails"
	// Events drains executions as Throughput does, then reads the events of their completions.
	Events Scenario = "events"
	// Remote is Throughput embedded and through a server, in turns, on one database; the ratio of the two. It needs
	// Options.Program.
	Remote Scenario = "remote"
)

// Scenarios lists all scenarios.
func Scenarios() []Scenario {
	return []Scenario{Submit, Throughput, Latency, Backlog, Idle, Heartbeat, Steady, Cold, Lifecycle, Routes, Chain, Fanout, Quorum, Cancel, Wide, Signal, Steps, Usage, Limits, Stream, Tails, Events, Remote}
}

// Server is the kind of store of a run on a server that runs already.
const Server backend.Kind = "http"

// kindOf is [backend.KindOf] that knows servers, too.
func kindOf(rawURL string) (backend.Kind, error) {
	if place.IsServer(rawURL) {
		return Server, nil
	}
	return backend.KindOf(rawURL)
}

// Measures reports whether a scenario can be measured where the options say.
func (o Options) Measures(s Scenario) bool {
	o.Scenario = s
	return o.through() == ""
}

// through says why a scenario cannot be measured through a server; "": it can.
func (o Options) through() string {
	switch own := place.IsServer(o.Store); {
	case o.Scenario == Remote && (own || o.Program == "" || strings.HasPrefix(o.Store, "memory:")):
		return "it compares an engine here with a server of the same database: name a store on a disk, and the Program to serve it"
	case o.Scenario == Cold && (own || o.Program != ""):
		return "a server opens its store itself"
	case o.Scenario == Events && own:
		return "a server that runs may have events of others"
	}
	return ""
}

// SmallBacklog is how many executions wait in the first half of [Backlog].
const SmallBacklog = 10_000

// Options say what to measure. A zero field means the scenario's default.
type Options struct {
	// Store is a URL of package internal/backend, or of a server that runs, as http://127.0.0.1:9090, which is then measured
	// through a client, on a lane of the run's own; what it leaves there stays. On PostgreSQL the run makes a database of its own, ff_bench_…, on that
	// server; for SQLite it makes the file, which must not exist, or one in the temporary folder if the path is empty.
	Store    string
	Scenario Scenario
	// Program, if not empty, is the path of flowfabric: it serves the store in a process of its own, and the scenario is
	// measured through a client.
	Program string
	// Token is presented to a server that runs.
	Token string
	// Executions is how many are measured, of Stream how many frames: 1 to 10,000,000.
	Executions int
	// Workers is the number of slots of the worker, of workers for Idle and Routes, of leases for Heartbeat: 1 to 10,000.
	Workers int
	// Callers is how many submit at once, write streams, or follow one: 1 to 10,000.
	Callers int
	// Bulk is how many executions one call submits: 1 to [flowfabric.MaxSubmitMany]. 1 is Submit, more is SubmitMany.
	Bulk int
	// Backlog is how many executions wait in the second half of the scenario of that name: [SmallBacklog] to 10,000,000.
	Backlog int
	// PayloadBytes is the size of each payload: 2 to [flowfabric.MaxPayloadBytes].
	PayloadBytes int
	// Duration is how long Idle, Heartbeat, Steady, Tails and each measured mode of Routes last: 10 ms to 24 hours.
	Duration time.Duration
	// Repeat is how often the scenario is run, each time on a new database; the result has the medians. 1 to 100.
	Repeat int
	// AllowUnsafe measures even on a server that acknowledges commits before they are durable; the result says so.
	AllowUnsafe bool
	// Keep leaves the database in place; a note of the result names it.
	Keep bool
}

// defaults are those of all scenarios, with what a scenario has of its own.
func defaults(s Scenario) Options {
	d := Options{
		Executions: 20_000, Workers: 16, Callers: 1, Bulk: 1000, Backlog: 1_000_000, PayloadBytes: 64, Duration: 10 * time.Second,
		Repeat: 1,
	}
	switch s {
	case Submit:
		d.Bulk = 1
	case Latency:
		d.Executions, d.Bulk = 1000, 1
	case Idle, Routes:
		d.Workers = 100
	case Heartbeat:
		d.Workers, d.Duration = 10_000, 30*time.Second
	case Steady:
		d.Workers, d.Callers, d.Bulk, d.Duration = 64, 32, 1, 2*time.Minute
	case Chain:
		d.Executions, d.Bulk = 100, 1
	case Fanout, Quorum:
		d.Executions, d.Bulk, d.Workers = 20, 100, 100
	case Cancel:
		d.Executions = 20
	case Wide:
		d.Executions, d.Bulk = 3, 10_000
	case Cold:
		d.Executions, d.Bulk = 10, 1
	case Signal:
		d.Executions, d.Bulk = 500, 1
	case Steps:
		d.Executions, d.Bulk, d.Workers = 20, 100, 1
	case Usage:
		d.Executions, d.Callers = 100_000, 1000
	case Stream:
		d.Executions, d.Callers, d.Bulk, d.PayloadBytes = 204_800, 64, 4, 200
	case Tails:
		d.Callers, d.Bulk, d.PayloadBytes = 1000, 1, 200
	case Events:
		d.Executions, d.Workers = 100_000, 2000
	case Remote:
		d.Executions, d.Workers = 80_000, 2000
	default:
	}
	return d
}

const maxExecutions = 10_000_000

func (o Options) withDefaults() Options {
	d := defaults(o.Scenario)
	o.Executions = cmp.Or(o.Executions, d.Executions)
	o.Workers = cmp.Or(o.Workers, d.Workers)
	o.Callers = cmp.Or(o.Callers, d.Callers)
	o.Bulk = cmp.Or(o.Bulk, d.Bulk)
	o.Backlog = cmp.Or(o.Backlog, d.Backlog)
	o.PayloadBytes = cmp.Or(o.PayloadBytes, d.PayloadBytes)
	o.Duration = cmp.Or(o.Duration, d.Duration)
	o.Repeat = cmp.Or(o.Repeat, d.Repeat)
	return o
}

func (o Options) validate() error {
	if !slices.Contains(Scenarios(), o.Scenario) {
		return fmt.Errorf("%w: the scenario %q is unknown; want one of %v", ErrOptions, o.Scenario, Scenarios())
	}
	for _, f := range []struct {
		name             string
		got, least, most int
	}{
		{"Executions", o.Executions, 1, maxExecutions},
		{"Workers", o.Workers, 1, 10_000},
		{"Callers", o.Callers, 1, 10_000},
		{"Bulk", o.Bulk, 1, flowfabric.MaxSubmitMany},
		{"Backlog", o.Backlog, SmallBacklog, maxExecutions},
		{"Repeat", o.Repeat, 1, 100},
		{"PayloadBytes", o.PayloadBytes, len(`""`), flowfabric.MaxPayloadBytes},
	} {
		if f.got < f.least || f.got > f.most {
			return fmt.Errorf("%w: %s is %d; it must be from %d to %d", ErrOptions, f.name, f.got, f.least, f.most)
		}
	}
	if o.Scenario == Stream && o.Executions < o.Callers*o.Bulk {
		return fmt.Errorf("%w: Executions is %d; Stream needs Callers × Bulk of them, %d, at least", ErrOptions, o.Executions, o.Callers*o.Bulk)
	}
	if why := o.through(); why != "" {
		return fmt.Errorf("%w: %s cannot be measured so: %s", ErrOptions, o.Scenario, why)
	}
	if o.Duration < 10*time.Millisecond || o.Duration > 24*time.Hour {
		return fmt.Errorf("%w: Duration is %s; it must be from 10ms to 24h", ErrOptions, o.Duration)
	}
	return nil
}
