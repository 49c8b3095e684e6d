package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
)

type action uint8

const (
	complete action = iota
	fail
	delay
	cancel
	release
	await
	suspend
	told // there is nothing left to tell
)

func (a action) String() string {
	return [...]string{"complete", "fail", "delay", "cancel", "release", "wait for children", "suspend", "nothing"}[a]
}

// outcome is what the engine is to be told of a task.
type outcome struct {
	action   action
	result   []byte                     // of complete
	reason   string                     // of fail and cancel
	category flowfabric.FailureCategory // of fail
	delay    time.Duration              // of delay
	until    flowfabric.Timestamp       // of delay, instead; 0 if it is not known
	children *children                  // of await
	suspend  *flowfabric.Suspend        // of suspend
}

// Pauses between reports that did not get through.
const (
	firstReportPause   = 50 * time.Millisecond
	longestReportPause = 5 * time.Second
)

// settle tells the engine what became of a task, unless it has been told, and lets go of it.
func (s *session) settle(t *Task, o outcome) {
	defer s.leases.remove(t)
	if o.action != told {
		s.tell(t, o)
	}
	if out := t.out.Load(); out != nil { // of a lease that is lost something may still be on its way
		out.stop(errReturned)
		_, _ = out.end(s.base)
	}
}

// tell tells the engine what became of a task. The report is repeated while the lease lasts; the calls are idempotent. It
// reports whether the handler is to run again: what the task was to wait for has come.
func (s *session) tell(t *Task, o outcome) (again bool) {
	ctx, stop, lost := s.leases.enter(spanOf(s.base, t), t, settling)
	defer stop(nil)
	if lost != nil {
		return false // it was logged when it was found
	}
	if o, lost = t.flushed(ctx, o); lost != nil {
		s.logLoss(ctx, t, lost)
		return false
	}
	if p := s.leases.takeReport(t); p != nil {
		s.sendReport(ctx, t, *p)
	}
	for pause := firstReportPause; ; pause = min(2*pause, longestReportPause) {
		again, err := s.send(ctx, t, o)
		switch loss := lossOf(err); {
		case err == nil:
			return again
		case loss != nil:
			s.logLoss(ctx, t, loss)
			return false
		case (refused(err) || waits(o.action) && !mayRepeat(err)) && o.action != fail:
			o = outcome{action: fail, category: flowfabric.FailurePermanent, reason: fmt.Sprintf("%s: %v", o.action, err)}
			continue
		case !mayRepeat(err):
			s.logOf(t).ErrorContext(ctx, "the engine refused a report; the lease will run out", about(o, err)...)
			return false
		}
		if ctx.Err() == nil {
			s.logOf(t).WarnContext(ctx, "a report did not get through; it will be repeated", about(o, err)...)
		}
		if !loop.Sleep(ctx, s.clock, loop.Jitter(pause), nil) {
			if errors.Is(context.Cause(ctx), ErrShutdown) { // a lost lease was logged when it was found
				s.logOf(t).WarnContext(ctx, "a report was given up", about(o, err)...)
			}
			return false
		}
	}
}

// waits reports whether an outcome is a wait, which the engine may refuse for the state of what is waited for.
func waits(a action) bool { return a == await || a == suspend }

// send makes the call that tells the outcome. again: the handler is to run again.
func (s *session) send(ctx context.Context, t *Task, o outcome) (again bool, err error) {
	if o.action == suspend {
		return s.park(ctx, *o.suspend)
	}
	return false, s.end(ctx, t, o)
}

// park parks an execution. If what it waits for has come, or can come no more, the handler is to see to it at once.
func (s *session) park(ctx context.Context, cmd flowfabric.Suspend) (again bool, err error) {
	res, err := s.svc.Suspend(ctx, cmd)
	if errors.Is(err, flowfabric.ErrWaitpointNotPending) {
		return true, nil
	}
	return res.AlreadySatisfied, err
}

// end makes the call that ends the lease of a task.
func (s *session) end(ctx context.Context, t *Task, o outcome) (err error) {
	id, fence := t.ID(), t.Fence()
	switch o.action {
	case complete:
		return s.svc.Complete(ctx, flowfabric.Complete{
			ExecutionID: id, Fence: fence, Result: o.result, ResultEncoding: t.resultEncoding,
		})
	case fail:
		_, err = s.svc.Fail(ctx, flowfabric.Fail{
			ExecutionID: id, Fence: fence,
			Reason:   clip(o.reason, flowfabric.MaxReasonBytes),
			Category: flowfabric.FailureCategory(clip(string(o.category), flowfabric.MaxNameBytes)),
		})
		return err
	case cancel:
		_, err = s.svc.Cancel(ctx, flowfabric.Cancel{
			ExecutionID: id, Fence: fence, Source: flowfabric.SourceWorker,
			Reason: clip(o.reason, flowfabric.MaxReasonBytes),
		})
		return err
	case await:
		return s.svc.WaitChildren(ctx, flowfabric.WaitChildren{
			ExecutionID: id, Fence: fence, Children: o.children.nodes, Policy: o.children.policy,
		})
	case delay:
		if o.until != 0 {
			_, err = s.svc.Delay(ctx, flowfabric.Delay{ExecutionID: id, Fence: fence, Until: o.until})
			return err
		}
		if o.delay > 0 {
			_, err = s.svc.Delay(ctx, flowfabric.Delay{ExecutionID: id, Fence: fence, For: o.delay})
			return err
		}
	default: // release
	}
	return s.svc.Release(ctx, flowfabric.Release{ExecutionID: id, Fence: fence})
}

// sendReport tells the last progress before the task ends. It is tried once: the outcome matters more.
func (s *session) sendReport(ctx context.Context, t *Task, p flowfabric.Progress) {
	err := s.svc.UpdateProgress(ctx, flowfabric.UpdateProgress{ExecutionID: t.ID(), Fence: t.Fence(), Progress: p})
	if err != nil {
		s.logOf(t).DebugContext(ctx, "the last progress was not recorded", "error", err)
	}
}

func about(o outcome, err error) []any {
	return []any{"report", o.action.String(), "error", err}
}

// loseLease ends a task of whose lease a call of its handler has heard that it is gone.
func (s *session) loseLease(ctx context.Context, t *Task, loss error) {
	if s.leases.lose(t, loss) {
		s.logLoss(ctx, t, loss)
	}
}

// logLoss says once that a lease is gone.
func (s *session) logLoss(ctx context.Context, t *Task, loss error) {
	if errors.Is(loss, ErrCancelled) {
		s.logOf(t).InfoContext(ctx, "execution cancelled; its result is dropped", "error", loss)
		return
	}
	s.metrics.LeasesLost.Inc()
	s.logOf(t).WarnContext(ctx, "lease lost; the result is dropped", "error", loss)
}
