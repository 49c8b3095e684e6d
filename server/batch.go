package server

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// batchWide is how many commands of one batch are under way at once. All of them may share a commit.
const batchWide = 256

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

// each makes the calls of a batch, each on its own, and answers in their order.
func (s *Server) each(ctx context.Context, op *wire.Op, items []jsontext.Value) []wire.BatchResult[any] {
	results := make([]wire.BatchResult[any], len(items))
	one := func(i int) {
		in := op.New()
		err := decodeItem(items[i], in)
		if err == nil {
			results[i].Value, err = s.invoke(ctx, op, in)
		}
		if err != nil {
			body := wire.BodyOf(err)
			results[i] = wire.BatchResult[any]{Error: &body}
		}
	}
	if len(items) == 1 {
		one(0)
		return results
	}
	next := make(chan int)
	var group sync.WaitGroup
	for range min(len(items), batchWide) {
		group.Go(func() {
			for i := range next {
				one(i)
			}
		})
	}
	for i := range items {
		next <- i
	}
	close(next)
	group.Wait()
	return results
}

// decodeItem reads a command of a batch. What cannot be read is that command's own error.
func decodeItem(text jsontext.Value, in any) error {
	if err := wire.Decode(text, in); err != nil {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: err.Error()}
	}
	return nil
}
