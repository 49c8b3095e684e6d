package bench

import (
	"context"
	"errors"

	"github.com/flowfabric/flowfabric/worker"
)

// beside runs fn while workers run, then stops them. fn's context ends when a worker does.
func (r *run) beside(ctx context.Context, w *worker.Worker, fn func(context.Context) error) error {
	return besideAll(ctx, []*worker.Worker{w}, fn)
}

func besideAll(ctx context.Context, workers []*worker.Worker, fn func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	ended := make(chan error, len(workers))
	for _, w := range workers {
		go func() {
			err := w.Run(ctx)
			stop(err) // without effect when the end was ordered
			ended <- err
		}()
	}
	err := fn(ctx)
	stop(nil)
	for range workers {
		err = errors.Join(err, <-ended)
	}
	return err
}
