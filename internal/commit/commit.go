// Package commit is the group commit: units of many callers share one transaction. While a batch is being committed new
// units queue; the next batch takes all of them. There is no timer and no added wait: one caller alone commits at once, a
// thousand callers share a commit.
package commit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/store"
)

// Bounds of the queues.
const (
	maxBatch  = 1000  // executions named by the units of one batch
	maxQueued = 50000 // units waiting in one queue; a full one refuses with resource_exhausted
)

// Committer commits units. It is safe for concurrent use.
type Committer struct {
	st        store.Store
	clock     clock.Clock
	committed func(*store.Unit)
	queues    [][]*queue // by shard, then by lane of commit
	retries   *obs.Counter
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

// New starts a committer over st: for each shard as many queues as the store runs batches at once. committed, if not nil,
// is called for every unit that was committed without an error of its own, before its caller learns of it; it must be
// quick. retries counts the batches that are committed again; nil for nobody who asks.
func New(st store.Store, c clock.Clock, committed func(*store.Unit), retries *obs.Counter) *Committer {
	ctx, cancel := context.WithCancel(context.Background())
	cm := &Committer{st: st, clock: c, committed: committed, retries: retries, cancel: cancel}
	for range st.Shards() {
		var lanes []*queue
		for range max(1, st.Lanes()) {
			q := &queue{c: cm, wake: loop.NewWakeup()}
			lanes = append(lanes, q)
			cm.wg.Go(func() { q.run(ctx) })
		}
		cm.queues = append(cm.queues, lanes)
	}
	return cm
}

// Close refuses new units, commits those that are queued, giving up when ctx ends, and stops.
func (c *Committer) Close(ctx context.Context) {
	for _, lanes := range c.queues {
		for _, q := range lanes {
			q.close()
		}
	}
	done := make(chan struct{})
	go func() { c.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	c.cancel()
	<-done
}

// Do commits units, each in its queue, and returns when all have their outcome (Unit.Err). Its own error is that of ctx:
// units that had not begun are withdrawn; of the others the outcome is unknown, and units must not be looked at.
func (c *Committer) Do(ctx context.Context, units ...*store.Unit) error {
	t := &ticket{done: make(chan struct{})}
	t.left.Store(int32(len(units)))
	items := make([]item, len(units))
	for i, u := range units {
		items[i] = item{unit: u, ticket: t}
		lanes := c.queues[c.st.Shard(u.Partition)]
		lanes[u.Order%uint64(len(lanes))].push(&items[i])
	}
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
	}
	withdrawn := 0
	for i := range items {
		if items[i].state.CompareAndSwap(queued, abandoned) {
			withdrawn++
		}
	}
	detail := "the outcome is unknown: the commit was under way"
	if withdrawn == len(units) {
		detail = "nothing was written: the commit had not begun"
	}
	return &flowfabric.Error{Code: flowfabric.CodeTimeout, Detail: detail, Err: context.Cause(ctx)}
}

// item is a unit in a queue.
type item struct {
	unit   *store.Unit
	ticket *ticket
	state  atomic.Int32
}

// States of an item.
const (
	queued int32 = iota
	taken
	abandoned
)

// ticket is what one call of Do waits on.
type ticket struct {
	left atomic.Int32
	done chan struct{}
}

func (it *item) finish() {
	if it.ticket.left.Add(-1) == 0 {
		close(it.ticket.done)
	}
}

func (it *item) fail(err error) {
	it.unit.Err = err
	it.finish()
}

// queue commits the units pushed to it, batch by batch, in order.
type queue struct {
	c    *Committer
	wake *loop.Wakeup
	mu   struct {
		sync.Mutex
		items  []*item
		closed bool
	}
}

func (q *queue) push(it *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.mu.closed:
		it.fail(&flowfabric.Error{Code: flowfabric.CodeUnavailable, Detail: "the engine is closed"})
	case len(q.mu.items) >= maxQueued:
		it.fail(&flowfabric.Error{Code: flowfabric.CodeResourceExhausted, Detail: fmt.Sprintf("%d operations wait for a commit; slow down and try again", maxQueued)})
	default:
		q.mu.items = append(q.mu.items, it)
		q.wake.Wake()
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.closed = true
	q.wake.Wake()
}

func (q *queue) run(ctx context.Context) {
	for {
		batch, open := q.take()
		switch {
		case len(batch) > 0:
			q.apply(ctx, batch)
		case !open:
			return
		default:
			<-q.wake.C()
		}
	}
}

// take removes the next batch: up to maxBatch executions' worth of units, skipping what its callers gave up.
func (q *queue) take() (batch []*item, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	weight, n := 0, 0
	for _, it := range q.mu.items {
		if weight > 0 && weight+weightOf(it.unit) > maxBatch {
			break
		}
		n++
		if it.state.CompareAndSwap(queued, taken) {
			weight += weightOf(it.unit)
			batch = append(batch, it)
		}
	}
	rest := q.mu.items[n:]
	if len(rest) == 0 {
		q.mu.items = nil
	} else {
		q.mu.items = rest
	}
	return batch, !q.mu.closed
}

func weightOf(u *store.Unit) int {
	n := len(u.Reads.Executions)
	for _, c := range u.Reads.Claimable {
		n += c.Limit
	}
	for _, d := range u.Reads.Due {
		n += d.Limit
	}
	return max(1, n)
}

// apply commits a batch. What fails for a passing reason is tried again for a while; what fails for another is bisected
// until the poisoned unit stands alone.
func (q *queue) apply(ctx context.Context, batch []*item) {
	const tries = 6 // with pauses of 20 ms doubling: about 1.3 s
	pause := 20 * time.Millisecond
	for try := 1; ; try++ {
		units := make([]*store.Unit, len(batch))
		for i, it := range batch {
			units[i] = it.unit
		}
		err := q.c.st.Apply(ctx, units)
		if err == nil {
			q.deliver(batch)
			return
		}
		if errors.Is(err, store.ErrUnknownOutcome) {
			batch = failOnce(batch, err)
		}
		passing := errors.Is(err, store.ErrTransient) || errors.Is(err, store.ErrUnknownOutcome)
		switch {
		case len(batch) == 0:
			return
		case passing && try < tries && loop.Sleep(ctx, q.c.clock, loop.Jitter(pause), nil):
			pause *= 2
			q.c.retries.Inc(reasonOf(err))
		case !passing && len(batch) > 1:
			q.c.retries.Inc(obs.Bisected)
			q.apply(ctx, batch[:len(batch)/2])
			q.apply(ctx, batch[len(batch)/2:])
			return
		default:
			for _, it := range batch {
				it.fail(coded(err))
			}
			return
		}
	}
}

// reasonOf says why a batch is committed again, as the metric has it.
func reasonOf(err error) string {
	if errors.Is(err, store.ErrUnknownOutcome) {
		return obs.UnknownOutcome
	}
	return obs.Transient
}

func (q *queue) deliver(batch []*item) {
	for _, it := range batch {
		if it.unit.Err == nil && q.c.committed != nil {
			q.c.committed(it.unit)
		}
		it.finish()
	}
}

// failOnce answers the units that must not run twice, and returns the others.
func failOnce(batch []*item, err error) []*item {
	var again []*item
	for _, it := range batch {
		if !it.unit.Once {
			again = append(again, it)
			continue
		}
		it.fail(&flowfabric.Error{Code: flowfabric.CodeTimeout, Detail: "the connection was lost during the commit: the outcome is unknown", Err: err})
	}
	return again
}

// coded makes an engine error of a store's.
func coded(err error) error {
	var e *flowfabric.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, store.ErrTransient), errors.Is(err, store.ErrUnknownOutcome), errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
		return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Detail: "the store cannot be used now", Err: err}
	default:
		return &flowfabric.Error{Code: flowfabric.CodeBug, Detail: "the store refused the write", Err: err}
	}
}

// Coded makes an engine error of an error a store's View gave. A view that its caller's context cut short is a timeout.
func Coded(err error) error {
	var e *flowfabric.Error
	switch {
	case err == nil, errors.As(err, &e):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &flowfabric.Error{Code: flowfabric.CodeTimeout, Detail: "the call ended before the store answered", Err: err}
	default:
		return coded(err)
	}
}
