package worker

import (
	"context"
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric"
)

// Handler runs one task: the raw form, which middleware wraps. The result is stored; what an error means is said in the
// package documentation. The context ends when the handler returns, or early with a cause: [ErrLeaseLost],
// [ErrCancelled] or [ErrShutdown].
type Handler func(ctx context.Context, t *Task) ([]byte, error)

// Handle registers the handler of a kind. Payload and result are JSON; []byte and [encoding/json.RawMessage] pass
// through as they are, and struct{} stands for none. A payload that does not decode and a result that does not encode
// fail the execution for good, because a retry would meet them again.
//
// Handle panics on a kind that is invalid or taken, on a nil handler, and once Run has begun.
func Handle[In, Out any](w *Worker, kind string, fn func(ctx context.Context, t *Task, in In) (Out, error)) {
	if fn == nil {
		panic(fmt.Sprintf("worker: handler of kind %q is nil", kind))
	}
	w.handle(kind, func(ctx context.Context, t *Task) ([]byte, error) {
		in, err := decode[In](t.Payload())
		if err != nil {
			return nil, Permanent(err)
		}
		out, err := fn(ctx, t, in)
		if err != nil {
			return nil, err
		}
		result, encoding, err := encode(out, flowfabric.MaxPayloadBytes)
		if err != nil {
			return nil, Permanent(err)
		}
		t.resultEncoding = encoding
		return result, nil
	})
}

func (w *Worker) handle(kind string, h Handler) {
	if err := flowfabric.ValidateName("kind", kind); err != nil {
		panic(fmt.Sprintf("worker: %v", err))
	}
	for _, wrap := range slices.Backward(w.cfg.Middleware) {
		h = wrap(h)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.running {
		panic(fmt.Sprintf("worker: handler of kind %q registered after Run", kind))
	}
	if _, taken := w.mu.handlers[kind]; taken {
		panic(fmt.Sprintf("worker: kind %q has two handlers", kind))
	}
	w.mu.handlers[kind] = h
}
