package server

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// routeBatches serves many commands of workers at once, below [wire.BatchPath].
func (s *Server) routeBatches() {
	for _, op := range wire.Ops {
		if op.Batch != "" {
			s.add(route{
				method: http.MethodPost, path: wire.BatchPath + op.Batch, op: op, name: op.Name + "_batch", many: true, body: op.In,
				answers: []answer{{status: http.StatusOK, body: op.Out}},
				handle:  func(w http.ResponseWriter, r *http.Request) { s.batch(w, r, op) },
			})
		}
	}
}

func (s *Server) batch(w http.ResponseWriter, r *http.Request, op *wire.Op) {
	var items wire.Batch[jsontext.Value]
	if err := read(r, &items); err != nil {
		writeBad(w, r, err)
		return
	}
	if n := len(items.Items); n == 0 || n > wire.MaxBatch {
		writeError(w, r, &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: op.Name, Detail: "items must have 1 to 1,000 commands", Attrs: map[string]string{"field": "items"}})
		return
	}
	write(w, http.StatusOK, wire.BatchResults[any]{Results: s.each(r.Context(), op, items.Items)})
}

// each makes the calls of a batch, each on its own, and answers in their order. All are read first, then begun together, so that
// they may share commits.
func (s *Server) each(ctx context.Context, op *wire.Op, items []jsontext.Value) []wire.BatchResult[any] {
	results, commands := make([]wire.BatchResult[any], len(items)), make([]any, len(items))
	for i, text := range items {
		in := op.New()
		if err := decodeItem(text, in); err != nil {
			results[i] = failedItem(err)
			continue
		}
		commands[i] = in
	}
	var group sync.WaitGroup
	for i, in := range commands {
		if in != nil {
			group.Go(func() { results[i] = s.item(ctx, op, in) })
		}
	}
	group.Wait()
	return results
}

// item makes one call of a batch.
func (s *Server) item(ctx context.Context, op *wire.Op, in any) wire.BatchResult[any] {
	out, err := s.invoke(ctx, op, in)
	if err != nil {
		return failedItem(err)
	}
	return wire.BatchResult[any]{Value: out}
}

func failedItem(err error) wire.BatchResult[any] {
	body := wire.BodyOf(err)
	return wire.BatchResult[any]{Error: &body}
}

// decodeItem reads a command of a batch. What cannot be read is that command's own error.
func decodeItem(text jsontext.Value, in any) error {
	if err := wire.Decode(text, in); err != nil {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: err.Error()}
	}
	return nil
}
