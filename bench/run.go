package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/bench/internal/place"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// ErrNotDurable is returned for a server that acknowledges commits before they are durable, unless
// [Options].AllowUnsafe is set.
var ErrNotDurable = errors.New("the server does not make commits durable")

// Run makes a database, measures a scenario on it and removes it, Options.Repeat times. It fails with [ErrOptions],
// [ErrNotDurable] or [backend.ErrURL] before it measures anything. When ctx ends, the database is removed all the same.
func Run(ctx context.Context, o Options) (Result, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	kind, err := kindOf(o.Store)
	if err != nil {
		return Result{}, err
	}
	results := make([]Result, o.Repeat)
	for i := range results {
		r := &run{opts: o, kind: kind, lane: "bench", clock: clock.Real()}
		if kind == Server {
			r.lane += flowfabric.LaneID("-" + strings.ToLower(rand.Text()[:8])) // nothing of an earlier run waits there
		}
		r.opts.Keep = o.Keep && i == o.Repeat-1
		r.res = Result{Scenario: o.Scenario, Store: string(kind), GOMAXPROCS: runtime.GOMAXPROCS(0), GOGC: gogc()}
		if err := r.measure(ctx); err != nil {
			return Result{}, fmt.Errorf("scenario %s on %s: %w", o.Scenario, kind, err)
		}
		results[i] = r.res
	}
	return medians(results), nil
}

// gogc reads the garbage collector's target.
func gogc() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 || sample[0].Value.Uint64() > math.MaxInt32 {
		return -1
	}
	return int(sample[0].Value.Uint64())
}

// run is one scenario under way.
type run struct {
	opts  Options
	kind  backend.Kind
	lane  flowfabric.LaneID
	clock clock.Clock
	res   Result
	// server is the process that serves the store; the zero value if none does.
	server machine.Process
	// policy is what executions are submitted with.
	policy *flowfabric.Policy
	// foreign is the CPU time other programs used while the meter ran, stolen what the machine's host kept back.
	foreign, stolen time.Duration
}

func (r *run) measure(ctx context.Context) error {
	if err := r.describe(ctx); err != nil {
		return err
	}
	if err := r.scenario(ctx); err != nil {
		return err
	}
	r.tellForeign()
	r.tellRatio()
	return nil
}

func (r *run) scenario(ctx context.Context) error {
	if r.opts.Scenario == Cold {
		return r.cold(ctx)
	}
	return r.withPlace(ctx, r.opts.Keep, func(p place.Place) error {
		if err := p.Migrate(ctx); err != nil {
			return err
		}
		if err := p.Settle(ctx); err != nil {
			return err
		}
		return r.withBed(ctx, p, func(b *bed) error {
			switch r.opts.Scenario {
			case Submit:
				return r.submit(ctx, b)
			case Throughput:
				return r.throughput(ctx, b)
			case Latency:
				return r.latency(ctx, b)
			case Backlog:
				return r.backlog(ctx, b)
			case Idle:
				return r.idle(ctx, b)
			case Heartbeat:
				return r.heartbeat(ctx, b)
			case Steady:
				return r.steady(ctx, b)
			case Routes:
				return r.routes(ctx, b)
			case Chain:
				return r.flows(ctx, b, chainNodes, chainOf)
			case Fanout:
				return r.flows(ctx, b, r.opts.Bulk+2, fanOf(r.opts.Bulk))
			case Quorum:
				return r.quorum(ctx, b)
			case Cancel:
				return r.cancelFlow(ctx, b)
			case Wide:
				return r.wide(ctx, b)
			case Signal:
				return r.signal(ctx, b)
			case Steps:
				return r.steps(ctx, b)
			case Usage:
				return r.usage(ctx, b)
			case Limits:
				return r.limits(ctx, b)
			case Stream:
				return r.stream(ctx, b)
			case Tails:
				return r.tails(ctx, b)
			case Events:
				return r.events(ctx, b)
			case Remote:
				return r.remote(ctx, b)
			default:
				return r.lifecycle(ctx, b)
			}
		})
	})
}

// describe tells what decides what the figures are worth: the settings, and what the store can do at most. It measures
// that in a place of its own, because it leaves something behind.
func (r *run) describe(ctx context.Context) error {
	return r.withPlace(ctx, false, func(p place.Place) error {
		d, err := p.Describe(ctx)
		if err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		r.res.ServerVersion, r.res.Settings, r.res.Durable, r.res.Notes = d.ServerVersion, d.Settings, d.Durable, d.Notes
		if !d.Durable && r.kind != backend.Memory && r.kind != Server && !r.opts.AllowUnsafe {
			return fmt.Errorf("%w: %v", ErrNotDurable, d.Settings)
		}
		probe, err := p.Probe(ctx, r.clock)
		if err != nil {
			return fmt.Errorf("measure raw commits: %w", err)
		}
		r.res.FsyncUS = float64(probe.Sync) / float64(time.Microsecond)
		r.res.RoundTripUS = float64(probe.RoundTrip) / float64(time.Microsecond)
		r.res.RawCommitsPerS = probe.CommitsPerS
		return nil
	})
}

// tellRatio compares a caller alone, who has a commit for each execution, with the raw commits.
func (r *run) tellRatio() {
	if r.opts.Scenario == Submit && r.opts.Callers == 1 && r.opts.Bulk == 1 && r.res.RawCommitsPerS > 0 {
		r.res.RatioToRaw = r.res.SubmitPerS / r.res.RawCommitsPerS
	}
}

// withPlace runs fn with a new, empty database and removes that, unless it is to be kept.
func (r *run) withPlace(ctx context.Context, keep bool, fn func(place.Place) error) error {
	err := place.With(ctx, r.opts.Store, keep, r.clock, func(p place.Place) error {
		if keep {
			r.res.note("kept: " + backend.Redact(p.URL()))
		}
		return fn(p)
	})
	if errors.Is(err, place.ErrExists) {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return err
}

// bed is what a run measures: an engine over a store on a database, or a client of a server that has one.
type bed struct {
	db    place.Place
	trims *trimCounter // nil: the engine is a server's
	svc   flowfabric.Service
	// another returns a service as another process would have it, and what closes it. An engine is the same one again.
	another func() (flowfabric.Service, func(), error)
}

// remote reports whether the engine is a server's.
func (b *bed) remote() bool { return b.trims == nil }

// withBed runs fn with what the options say to measure, on p.
func (r *run) withBed(ctx context.Context, p place.Place, fn func(*bed) error) error {
	switch {
	case r.kind == Server:
		return r.withClient(p, p.URL(), fn)
	case r.opts.Program != "":
		return r.withServer(ctx, p, fn)
	}
	return r.withEngine(ctx, p, fn)
}

// withEngine runs fn with an open engine on p.
func (r *run) withEngine(ctx context.Context, p place.Place, fn func(*bed) error) (err error) {
	st, closeStore, err := backend.Open(ctx, p.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	trims := &trimCounter{Store: st}
	eng, err := engine.Open(ctx, trims, r.engineConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close(context.WithoutCancel(ctx))) }()
	return fn(&bed{db: p, trims: trims, svc: eng, another: func() (flowfabric.Service, func(), error) { return eng, func() {}, nil }})
}

// engineConfig is the default, except that [Steady] keeps what is finished for a short time.
func (r *run) engineConfig() engine.Config {
	if r.opts.Scenario != Steady {
		return engine.Config{}
	}
	return engine.Config{Retention: r.retention(), EventRetention: r.retention()}
}
