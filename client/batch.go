package client

import (
	"bytes"
	"context"
	"runtime"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Bounds of batches.
const (
	batchBytes = 1 << 20 // of the commands of a request, about
	maxFlights = 4       // requests of an operation under way at once
)

// batcher sends commands that come while requests are under way together with the next.
type batcher[In, Out any] struct {
	client *Client
	op     wire.Call[In, Out]
	// again says of an operation that is not repeatable as such whether this command is.
	again func(*In) bool

	mu      sync.Mutex
	waiting []*item[Out]
	flights int
}

// item is a command on its way.
type item[Out any] struct {
	body       []byte
	repeatable bool
	done       chan struct{} // closed when out and err are set
	out        Out
	err        error
}

func newBatcher[In, Out any](c *Client, op wire.Call[In, Out], again func(*In) bool) *batcher[In, Out] {
	return &batcher[In, Out]{client: c, op: op, again: again}
}

// do sends a command and waits for its answer. When ctx ends first, the command is on its way all the same.
func (b *batcher[In, Out]) do(ctx context.Context, in In) (Out, error) {
	var none Out
	body, err := wire.Marshal(in)
	if err != nil {
		return none, unencodable(b.op.Name, err)
	}
	if err := ctx.Err(); err != nil {
		return none, b.ended(ctx)
	}
	it := &item[Out]{body: body, repeatable: b.op.Repeatable || b.again != nil && b.again(&in), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, it)
	if b.flights < maxFlights {
		b.flights++
		go b.fly()
	}
	b.mu.Unlock()
	select {
	case <-it.done:
		return it.out, it.err
	case <-ctx.Done():
		return none, b.ended(ctx)
	}
}

func (b *batcher[In, Out]) ended(ctx context.Context) error {
	return &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: b.op.Name, Detail: "the call ended before the server answered", Err: context.Cause(ctx)}
}

// fly sends what waits until nothing does. It lets others run first: where many commands come at once, they travel together
// rather than the first alone.
func (b *batcher[In, Out]) fly() {
	runtime.Gosched()
	for items := b.take(); len(items) > 0; items = b.take() {
		b.deliver(items)
		for _, it := range items {
			close(it.done)
		}
	}
}

// take returns the commands for the next request; none ends the flight.
func (b *batcher[In, Out]) take() []*item[Out] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < min(len(b.waiting), wire.MaxBatch) && (n == 0 || size+len(b.waiting[n].body) <= batchBytes) && b.waiting[n].repeatable == b.waiting[0].repeatable {
		size += len(b.waiting[n].body)
		n++
	}
	items := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	if n == 0 {
		b.waiting = nil
		b.flights--
	}
	return items
}

// deliver makes one request of commands and sets what each came to. No caller's context ends it, as others wait for it, too.
func (b *batcher[In, Out]) deliver(items []*item[Out]) {
	var body bytes.Buffer
	body.WriteString(`{"items":[`)
	for i, it := range items {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(it.body)
	}
	body.WriteString(`]}`)
	text, err := b.client.send(context.Background(), request{
		op: b.op.Name, path: wire.BatchPath + b.op.Batch, body: body.Bytes(), repeatable: items[0].repeatable,
	})
	var answer wire.BatchResults[jsontext.Value]
	if err == nil {
		if err = wire.Unmarshal(text, &answer); err != nil || len(answer.Results) != len(items) {
			err = unreadable(b.op.Name, err)
		}
	}
	for i, it := range items {
		switch {
		case err != nil:
			it.err = err
		case answer.Results[i].Error != nil:
			it.err = answer.Results[i].Error.Err()
		case len(answer.Results[i].Value) > 0:
			if err := wire.Unmarshal(answer.Results[i].Value, &it.out); err != nil {
				it.err = unreadable(b.op.Name, err)
			}
		}
	}
}
