package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// Worker claims executions of its lanes and runs their handlers. Make one with [New], give it handlers with [Handle],
// and call Run.
type Worker struct {
	svc   flowfabric.Service
	cfg   Config
	clock clock.Clock

	mu struct {
		sync.Mutex
		running  bool               // from then on handlers are only read
		handlers map[string]Handler // by kind
	}
}

// New returns a worker of svc. It starts nothing; a configuration that is out of bounds is reported by Run.
func New(svc flowfabric.Service, cfg Config) *Worker {
	w := &Worker{svc: svc, cfg: cfg.withDefaults(), clock: clock.Real()}
	w.mu.handlers = make(map[string]Handler)
	return w
}

// Run works until ctx ends, then drains as the package documentation says, and returns nil if everything that ran has
// ended and was reported. Otherwise the error says how many handlers were left behind. It fails at once on an invalid
// configuration, and also returns, having drained, when the engine calls the worker's claims invalid
// ([flowfabric.ErrInvalidInput]). Run may be called once.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.cfg.validate(); err != nil {
		return fmt.Errorf("worker config: %w", err)
	}
	handlers, err := w.start()
	if err != nil {
		return err
	}
	return newSession(ctx, w, handlers).run(ctx)
}

func (w *Worker) start() (map[string]Handler, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.mu.running:
		return nil, errors.New("worker: Run was called before")
	case len(w.mu.handlers) == 0:
		return nil, errors.New("worker: no handler is registered")
	}
	w.mu.running = true
	return w.mu.handlers, nil
}
