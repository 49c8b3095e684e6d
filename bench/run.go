package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// ErrNotDurable is returned for a server that acknowledges commits before they are durable, unless
// [Options].AllowUnsafe is set.
var ErrNotDurable = errors.New("the server does not make commits durable")

// Run makes a database, measures a scenario on it and removes it. It fails with [ErrOptions], [ErrNotDurable] or
// [backend.ErrURL] before it measures anything.
func Run(ctx context.Context, o Options) (Result, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	kind, err := backend.KindOf(o.Store)
	if err != nil {
		return Result{}, err
	}
	r := &run{opts: o, kind: kind, clock: clock.Real()}
	r.res = Result{Scenario: o.Scenario, Store: string(kind), GOMAXPROCS: runtime.GOMAXPROCS(0), GOGC: gogc()}
	if err := r.measure(ctx); err != nil {
		return Result{}, fmt.Errorf("scenario %s on %s: %w", o.Scenario, kind, err)
	}
	r.tellForeign()
	return r.res, nil
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
	clock clock.Clock
	res   Result
	// foreign is the CPU time other programs used while the meter ran.
	foreign time.Duration
}

func (r *run) measure(ctx context.Context) error {
	if r.opts.Scenario == Cold {
		return r.cold(ctx)
	}
	return r.withDatabase(ctx, r.opts.Keep, func(db database) error {
		if err := db.migrate(ctx); err != nil {
			return err
		}
		return r.withBed(ctx, db, func(b *bed) error {
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
			case Routes:
				return r.routes(ctx, b)
			default:
				return r.lifecycle(ctx, b)
			}
		})
	})
}

// withDatabase runs fn with a new, empty database and removes that, unless it is to be kept.
func (r *run) withDatabase(ctx context.Context, keep bool, fn func(database) error) (err error) {
	db, err := create(ctx, r.kind, r.opts.Store)
	if err != nil {
		return err
	}
	defer func() {
		if keep {
			r.res.note("kept: " + backend.Redact(db.url()))
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if dropErr := db.drop(ctx); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", backend.Redact(db.url()), dropErr))
		}
	}()
	if r.res.Settings == nil {
		if err := db.describe(ctx, &r.res); err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
	}
	if !r.res.Durable && r.kind != backend.Memory && !r.opts.AllowUnsafe {
		return fmt.Errorf("%w: %v", ErrNotDurable, r.res.Settings)
	}
	return fn(db)
}

// bed is an engine over a store on a database.
type bed struct {
	db  database
	st  store.Store
	eng *engine.Engine
}

// withBed runs fn with an open engine on db.
func (r *run) withBed(ctx context.Context, db database, fn func(*bed) error) (err error) {
	st, closeStore, err := backend.Open(ctx, db.url())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close(context.WithoutCancel(ctx))) }()
	return fn(&bed{db: db, st: st, eng: eng})
}
