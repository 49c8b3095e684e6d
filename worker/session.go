package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/tracing"
)

// session is a worker while it runs. A claimed task goes fetch → queue → work → settle, under its lease all the way.
type session struct {
	svc      flowfabric.Service
	cfg      Config
	clock    clock.Clock
	log      *slog.Logger
	metrics  *obs.Metrics
	tracer   trace.Tracer
	handlers map[string]Handler
	// base is Run's context without its end: what was begun outlives the order to stop.
	base   context.Context
	leases *leases
	queue  *queue
	// background runs what goes on beside the tasks, until Run returns.
	background *loop.Group
	// idle hands tasks to goroutines that have nothing to do, until ended is closed.
	idle  chan *Task
	ended chan struct{}
	// waitsSince is when the claim that is under way was sent, in Unix nanoseconds; 0 for none.
	waitsSince atomic.Int64
	// unacked has a token for every result that is on its way.
	unacked chan struct{}
}

// stopGrace is how long handlers may take to notice that their context was cancelled.
const stopGrace = 5 * time.Second

func newSession(ctx context.Context, w *Worker, handlers map[string]Handler) *session {
	base := context.WithoutCancel(ctx)
	return &session{
		svc: w.svc, cfg: w.cfg, clock: w.clock, log: w.cfg.Logger.With("worker_id", w.cfg.WorkerID, "instance_id", w.cfg.InstanceID), handlers: handlers,
		metrics: w.cfg.Metrics.OrNone(), tracer: tracing.TracerOf(w.cfg.TracerProvider),
		base: base, background: loop.NewGroup(base),
		leases:  newLeases(w.cfg.LeaseTTL, w.cfg.StuckAfter, w.clock),
		queue:   newQueue(w.cfg.Concurrency, w.cfg.Prefetch),
		idle:    make(chan *Task),
		ended:   make(chan struct{}),
		unacked: make(chan struct{}, w.cfg.MaxUnacked),
	}
}

func (s *session) run(ctx context.Context) error {
	s.log.InfoContext(ctx, "worker starts", "lanes", s.cfg.Lanes, "worker_caps_hash", capabilitiesHash(s.cfg.Capabilities), "concurrency", s.cfg.Concurrency)
	defer s.background.Close()
	s.background.Go(func(ctx context.Context) {
		loop.Every(ctx, s.clock, s.log, "renew leases", s.leases.wake, s.renew)
	})
	s.background.Go(s.watch)
	registered := s.registerFirst(ctx)
	s.background.Go(func(ctx context.Context) { s.announce(ctx, registered) })
	defer close(s.ended)
	err := s.fetch(ctx)
	if left := s.drain(); left != nil {
		return errors.Join(err, left) // its leases are alive: it is not to be called dead
	}
	s.background.Close() // no sign of life comes after the end
	s.signOff()
	return err
}

// drain ends a session that claims no more: what waits goes back, what runs may finish.
func (s *session) drain() error {
	s.giveBack(s.queue.clear())
	if s.leases.waitEmpty(s.base, s.cfg.DrainTimeout) {
		return nil
	}
	s.leases.endHandlers()
	if s.leases.waitEmpty(s.base, stopGrace) {
		return nil
	}
	// The leases of what is left run out by themselves: giving them back would let another worker begin while a handler
	// still runs here.
	handlers, results := s.leases.endAll()
	return fmt.Errorf("worker: drain: %d handlers have not returned and %d results are not acknowledged %s after their contexts were cancelled",
		handlers, results, stopGrace)
}

// giveBack releases tasks that have not begun here.
func (s *session) giveBack(tasks []*Task) {
	for _, t := range tasks {
		go s.settle(t, outcome{action: release})
	}
}
