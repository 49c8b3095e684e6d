package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// phase is where a claimed task is on its way through the worker.
type phase uint8

const (
	waiting  phase = iota // for a slot
	running               // in its handler
	settling              // its result is on its way to storage
)

// lease is what the worker knows of the lease of one task. Times are the worker's own: a lease counts from before the
// call that granted or renewed it was sent, so it never ends later here than at the engine.
type lease struct {
	phase     phase
	index     int // in leases.tasks; -1 once removed
	expiresAt flowfabric.Timestamp
	renewAt   time.Time
	deadline  time.Time
	// stop cancels what the task is doing: its handler, then its report.
	stop context.CancelCauseFunc
	// stopOutput ends what is being sent to the stream; nil if the handler has none.
	stopOutput context.CancelCauseFunc
	// lost is set once, with what the handler is told.
	lost error
	// began is when the handler was started, stoppedAt when its context was ended, reportAt when it is to be called stuck.
	began, stoppedAt, reportAt time.Time
	// refused says that a renewal was refused while the result was on its way. The result may be why, so its own answer
	// decides, and the renewals end.
	refused bool
}

// leases are the tasks a worker holds, from the claim until the engine has acknowledged what became of them. All of them
// are renewed and watched by one loop.
type leases struct {
	ttl        time.Duration
	stuckAfter time.Duration // of Config; not positive: handlers are not called stuck
	clock      clock.Clock

	wake    *loop.Wakeup // a report is due before the loop would look
	emptied *loop.Wakeup // the last task left

	mu       sync.Mutex
	tasks    []*Task
	nextLook time.Time
	// Whatever begins from now on ends at once: handlers when handlersEnded, reports too when allEnded.
	handlersEnded bool
	allEnded      bool
}

func newLeases(ttl, stuckAfter time.Duration, c clock.Clock) *leases {
	return &leases{ttl: ttl, stuckAfter: stuckAfter, clock: c, wake: loop.NewWakeup(), emptied: loop.NewWakeup()}
}

// Shares of the TTL.
const (
	renewShare = 3  // a lease is renewed when a third of its TTL has passed
	slackShare = 12 // or up to a twelfth earlier, to share a call with others; also the pause after a failed renewal
	// A claim that waited for work does not say when it was granted. It counts as granted a sixth before its answer at the
	// earliest; the renewal that is due soon after finds out the truth.
	claimShare = 6
)

// reportWithin is how long a progress report may wait for company.
const reportWithin = time.Second

// add takes over claimed tasks, whose claim was sent at sent.
func (l *leases) add(tasks []*Task, sent time.Time) {
	if earliest := l.clock.Now().Add(-l.ttl / claimShare); sent.Before(earliest) {
		sent = earliest
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range tasks {
		t.lease.index = len(l.tasks)
		l.tasks = append(l.tasks, t)
		t.lease.extend(sent, l.ttl)
	}
}

func (le *lease) extend(from time.Time, ttl time.Duration) {
	le.renewAt, le.deadline = from.Add(ttl/renewShare), from.Add(ttl)
}

// enter moves a task to a phase and returns the context for it, which ends with the lease. When the lease is lost
// already it returns why.
func (l *leases) enter(ctx context.Context, t *Task, p phase) (context.Context, context.CancelCauseFunc, error) {
	ctx, stop := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	t.lease.phase, t.lease.stop = p, stop
	if p == running {
		l.time(t)
	}
	if l.allEnded || l.handlersEnded && p == running {
		stop(ErrShutdown)
	}
	return ctx, stop, t.lease.lost
}

// remove lets go of a task.
func (l *leases) remove(t *Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.tasks) - 1
	moved := l.tasks[last]
	l.tasks[t.lease.index], moved.lease.index = moved, t.lease.index
	l.tasks[last] = nil
	l.tasks = l.tasks[:last]
	t.lease.index = -1
	if last == 0 {
		l.emptied.Wake()
	}
}

// report adds to what a task has to say, and sees to it that it is said in time.
func (l *leases) report(t *Task, p flowfabric.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.progress.unsent == nil {
		t.progress.due = l.clock.Now().Add(reportWithin)
	}
	t.progress.add(p)
	if t.progress.due.Before(l.nextLook) {
		l.nextLook = t.progress.due
		l.wake.Wake()
	}
}

// takeReport returns what a task has not said yet; nil for nothing.
func (l *leases) takeReport(t *Task) *flowfabric.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.progress.take()
}

// endHandlers cancels the handlers that run, and those that would still begin.
func (l *leases) endHandlers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlersEnded = true
	for _, t := range l.tasks {
		if t.lease.phase == running {
			t.lease.stop(ErrShutdown)
			t.lease.stoppedAt = l.clock.Now()
		}
	}
}

// endAll cancels everything and tells what it met: handlers that have not returned and results that are not
// acknowledged.
func (l *leases) endAll() (handlers, results int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlersEnded, l.allEnded = true, true
	for _, t := range l.tasks {
		if t.lease.phase == running {
			handlers++
		} else {
			results++
		}
		if t.lease.stop != nil {
			t.lease.stop(ErrShutdown)
		}
	}
	return handlers, results
}

// waitEmpty waits up to d until no task is held.
func (l *leases) waitEmpty(ctx context.Context, d time.Duration) bool {
	for end := l.clock.Now().Add(d); ; {
		l.mu.Lock()
		empty := len(l.tasks) == 0
		l.mu.Unlock()
		left := end.Sub(l.clock.Now())
		if empty || left <= 0 {
			return empty
		}
		loop.Sleep(ctx, l.clock, left, l.emptied.C())
	}
}

// lose ends a running task of whose lease a call of its own has heard that it is gone, and reports whether that is news.
func (l *leases) lose(t *Task, cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := &t.lease
	if le.index < 0 || le.phase != running || le.lost != nil {
		return false
	}
	le.lose(l.clock.Now(), cause)
	if le.reportAt.Before(l.nextLook) {
		l.nextLook = le.reportAt
		l.wake.Wake()
	}
	return true
}

// gone reports whether the lease of a task is lost.
func (l *leases) gone(t *Task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.lease.lost != nil
}

// lose ends a task whose lease is gone. l.mu is held.
func (le *lease) lose(now time.Time, cause error) {
	le.lost, le.stoppedAt = cause, now
	le.reportAt = earlier(le.reportAt, now.Add(stopGrace))
	if le.stopOutput != nil { // first: a handler that sees its context end can write no more
		le.stopOutput(cause)
	}
	if le.stop != nil {
		le.stop(cause)
	}
}

func (l *leases) errExpired() error {
	return fmt.Errorf("%w: no renewal for %s", ErrLeaseLost, l.ttl)
}
