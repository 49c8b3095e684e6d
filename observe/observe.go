// Package observe tells what FlowFabric does: metrics for Prometheus and spans for OpenTelemetry (chapter 80, sections 10
// and 11). The server does all of this by itself; it is for who embeds the engine, or runs workers.
//
//	m := observe.NewMetrics()
//	eng, err := engine.Open(ctx, st, engine.Config{Metrics: m})
//	svc := observe.Service(eng, observe.Config{Metrics: m, TracerProvider: provider})
//	w := worker.New(svc, worker.Config{Metrics: m, TracerProvider: provider})
//	http.Handle("/metrics", observe.Handler(m))
package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/intercept"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/tracing"
)

// Metrics are what an engine, its workers and a server record. They are of one engine.
type Metrics = obs.Metrics

// NewMetrics returns metrics of which nothing is recorded yet.
func NewMetrics() *Metrics { return obs.New() }

// Config says who hears of the operations of a service.
type Config struct {
	// Metrics get ff_store_op_duration_seconds; nil: nobody does.
	Metrics *Metrics
	// TracerProvider makes a span of each operation, named ff. and the operation; nil: nobody does. An operation that goes on
	// all the time, such as a claim, is a span only as part of a trace.
	TracerProvider trace.TracerProvider
}

// Service returns svc, observed.
func Service(svc flowfabric.Service, cfg Config) flowfabric.Service {
	if cfg.Metrics != nil {
		svc = intercept.Service(svc, timed(cfg.Metrics.OpDuration, clock.Real()))
	}
	if cfg.TracerProvider != nil {
		svc = intercept.Service(svc, tracing.Around(tracing.TracerOf(cfg.TracerProvider)))
	}
	return svc
}

// timed records how long operations take.
func timed(h *obs.Histogram, c clock.Clock) intercept.Around {
	return func(ctx context.Context, call intercept.Call) (context.Context, func(error)) {
		began := c.Now()
		return ctx, func(err error) { h.Observe(since(c, began), call.Op, obs.Outcome(err)) }
	}
}

func since(c clock.Clock, t time.Time) time.Duration { return c.Now().Sub(t) }
