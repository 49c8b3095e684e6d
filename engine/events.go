package engine

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// ReadEvents implements [flowfabric.Events].
func (e *Engine) ReadEvents(ctx context.Context, q flowfabric.ReadEvents) (flowfabric.EventPage, error) {
	const op = "read events"
	deadline := e.clock.Now().Add(q.Wait)
	for {
		if err := e.open(op); err != nil {
			return flowfabric.EventPage{}, err
		}
		seen := e.events.seen()
		page, err := e.rules.ReadEvents(ctx, e.st, q)
		left := deadline.Sub(e.clock.Now())
		if err != nil || len(page.Events) > 0 || left <= 0 {
			return page, commit.Coded(err)
		}
		q.After = page.Next
		if page.More {
			continue
		}
		if err := e.awaitEvents(ctx, seen, left); err != nil {
			return flowfabric.EventPage{}, err
		}
	}
}

// awaitEvents returns when the log has grown since it was seen, or after a while at the latest.
func (e *Engine) awaitEvents(ctx context.Context, seen <-chan struct{}, most time.Duration) error {
	const op = "read events"
	done, err := e.events.enter(e.group)
	if err != nil {
		return err
	}
	defer done()
	t := e.clock.NewTimer(most)
	defer t.Stop()
	select {
	case <-seen:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: op, Err: context.Cause(ctx)}
	case <-e.closing:
		return closed(op)
	}
}

// AckEvents implements [flowfabric.Events].
func (e *Engine) AckEvents(ctx context.Context, cmd flowfabric.AckEvents) (res flowfabric.EventReader, err error) {
	err = e.doOp(ctx, func() (*ops.Op, error) { return e.rules.AckEvents(e.st, cmd, &res) })
	return res, err
}

// EventReader implements [flowfabric.Events].
func (e *Engine) EventReader(ctx context.Context, name string) (flowfabric.EventReader, error) {
	if err := e.open("event reader"); err != nil {
		return flowfabric.EventReader{}, err
	}
	res, err := e.rules.EventReader(ctx, e.st, name)
	return res, commit.Coded(err)
}

// ListEventReaders implements [flowfabric.Events].
func (e *Engine) ListEventReaders(ctx context.Context, q flowfabric.ListEventReaders) (flowfabric.Page[flowfabric.EventReader], error) {
	if err := e.open("list event readers"); err != nil {
		return flowfabric.Page[flowfabric.EventReader]{}, err
	}
	page, err := e.rules.ListEventReaders(ctx, e.st, q)
	return page, commit.Coded(err)
}

// ForgetEventReader implements [flowfabric.Events].
func (e *Engine) ForgetEventReader(ctx context.Context, name string) error {
	return e.doOp(ctx, func() (*ops.Op, error) { return e.rules.ForgetEventReader(name) })
}

// maxWaitingReaders is how many calls of ReadEvents wait at once.
const maxWaitingReaders = 10_000

// eventWatch looks whether the log has grown, for all callers that wait for that. It runs while one does.
type eventWatch struct {
	st    store.Store
	clock clock.Clock
	nudge *loop.Wakeup // this engine has committed something
	mu    struct {
		sync.Mutex
		waiting int
		running bool
		grown   chan struct{}    // closed when the log has grown
		ends    []store.EventEnd // of the log at the last look
	}
}

const (
	// eventPoll is how long what others commit goes unseen, about.
	eventPoll = 500 * time.Millisecond
	// eventPause is the least time between two looks: what is committed meanwhile is one look.
	eventPause = 2 * time.Millisecond
	// eventPatience is how long the watch looks more often after a commit of this engine that it does not see yet: on
	// Postgres an event waits for older transactions.
	eventPatience = 250 * time.Millisecond
)

func newEventWatch(st store.Store, clk clock.Clock) *eventWatch {
	w := &eventWatch{st: st, clock: clk, nudge: loop.NewWakeup()}
	w.mu.grown = make(chan struct{})
	return w
}

// seen returns a channel that is closed when the log is found to have grown, while somebody waits.
func (w *eventWatch) seen() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.grown
}

// enter counts a caller that waits until it calls done, and sees to it that the watch runs.
func (w *eventWatch) enter(g *loop.Group) (done func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.waiting == maxWaitingReaders {
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeResourceExhausted, Op: "read events", Detail: "too many calls wait for events",
			Attrs: map[string]string{"pool": "event_reads", "max": strconv.Itoa(maxWaitingReaders), "retry_after_ms": "1000"},
		}
	}
	w.mu.waiting++
	if !w.mu.running {
		w.mu.running, w.mu.ends = true, nil // what came since the caller has looked shows at the first look
		g.Go(w.run)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mu.waiting--
	}, nil
}

func (w *eventWatch) run(ctx context.Context) {
	var expecting time.Time // until when what this engine has committed may still show
	pause := eventPause
	for w.goOn(ctx) {
		if ends, err := w.st.EventEnds(ctx); err == nil { // else the next look tells
			w.look(ends)
		}
		loop.Sleep(ctx, w.clock, eventPause, nil)
		wait := loop.Jitter(eventPoll)
		if w.clock.Now().Before(expecting) {
			wait, pause = min(pause, wait), 2*pause
		}
		t := w.clock.NewTimer(wait)
		select {
		case <-w.nudge.C():
			expecting, pause = w.clock.Now().Add(eventPatience), eventPause
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// goOn ends the watch when nobody waits.
func (w *eventWatch) goOn(ctx context.Context) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.running = w.mu.waiting > 0 && ctx.Err() == nil
	return w.mu.running
}

// look tells who waits if the log has grown since the last look.
func (w *eventWatch) look(ends []store.EventEnd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(ends, w.mu.ends) {
		return
	}
	w.mu.ends = ends
	close(w.mu.grown)
	w.mu.grown = make(chan struct{})
}
