package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// unknownKindDelay is for how long a worker sends away what it has no handler for.
const unknownKindDelay = 10 * time.Second

// start runs a task in a slot, on a goroutine that has run others before if one is idle: its stack has grown already, which
// a new one's would have to, at about 1 µs a task.
func (s *session) start(t *Task) {
	select {
	case s.idle <- t:
	default:
		go func() {
			for s.work(t); ; s.work(t) {
				select {
				case t = <-s.idle:
				case <-s.ended:
					return
				}
			}
		}()
	}
}

// work runs the handler of a task in a slot, hands the slot on and stays to see the result acknowledged. A handler that waits
// for signals which have come already runs again at once.
func (s *session) work(t *Task) {
	began := s.clock.Now()
	exited := outcome{action: fail, category: flowfabric.FailureTransient, reason: "the handler ended its goroutine"}
	o := exited
	defer func() { // deferred, so that a handler that calls runtime.Goexit does not keep its slot
		s.unacked <- struct{}{}
		if next := s.queue.next(s.clock.Now().Sub(began)); next != nil {
			s.start(next)
		}
		s.settle(t, o)
		<-s.unacked
	}()
	for {
		if o = s.runOnce(t); o.action != suspend {
			return
		}
		if !s.tell(t, o) {
			o = outcome{action: told}
			return
		}
		t.again()
		o = exited
	}
}

// runOnce runs the handler of a task, unless its lease is lost.
func (s *session) runOnce(t *Task) outcome {
	ctx, stop, lost := s.leases.enter(context.WithValue(s.base, taskKey{}, t), t, running)
	defer stop(nil)
	if lost != nil {
		return outcome{action: told}
	}
	seen, ctx := s.observe(ctx, t)
	o := outcome{action: fail, category: flowfabric.FailureTransient}
	defer func() { seen.end(o) }() // deferred, for runtime.Goexit
	o = s.handle(ctx, t)
	return o
}

// handle runs the handler and says what follows from how it ended.
func (s *session) handle(ctx context.Context, t *Task) (o outcome) {
	h, known := s.handlers[t.Kind()]
	if !known {
		s.logOf(t).WarnContext(ctx, "no handler for the kind of a task; it is delayed", "delay", unknownKindDelay)
		return outcome{action: delay, delay: loop.Jitter(unknownKindDelay)}
	}
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.logOf(t).ErrorContext(ctx, "handler panicked", "panic", v, "stack", string(stack))
			o = outcome{action: fail, category: FailurePanic, reason: fmt.Sprintf("panic: %v\n\n%s", v, stack)}
		}
	}()
	result, err := h(ctx, t)
	return outcomeOf(ctx, result, err)
}

// outcomeOf reads the answer of a handler that ran under ctx.
func outcomeOf(ctx context.Context, result []byte, err error) outcome {
	if err == nil {
		return outcome{action: complete, result: result}
	}
	var (
		later *delayed
		kids  *children
		end   *cancelled
		wait  *parked
	)
	switch {
	case errors.As(err, &later):
		return outcome{action: delay, delay: later.d, until: later.until}
	case errors.As(err, &wait):
		return outcome{action: suspend, suspend: &wait.suspend}
	case errors.As(err, &kids):
		return outcome{action: await, children: kids}
	case errors.As(err, &end):
		return outcome{action: cancel, reason: end.reason}
	case errors.Is(context.Cause(ctx), ErrShutdown) && (errors.Is(err, context.Canceled) || errors.Is(err, ErrShutdown)):
		return outcome{action: release}
	default:
		return outcome{action: fail, category: categoryOf(err), reason: err.Error()}
	}
}
