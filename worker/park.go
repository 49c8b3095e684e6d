package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// ErrParked is what the errors match by which [Sleep], [WaitSignal] and [WaitSignals] end the run of a handler. Nothing has
// failed: a handler that cleans up behind errors must leave everything as it is, and return them.
var ErrParked = errors.New("the handler goes on later")

// parked is how a handler ends that waits for signals.
type parked struct {
	name    string
	suspend flowfabric.Suspend
}

func (p *parked) Error() string { return fmt.Sprintf("waits for signal %q", p.name) }

// Is makes it match [ErrParked].
func (p *parked) Is(target error) bool { return target == ErrParked }

// Waiting is a wait that can be signalled, as [Announce] is told of it.
type Waiting struct {
	ExecutionID flowfabric.ExecutionID
	WaitpointID flowfabric.WaitpointID
	// Token is the authority to send any signal to the waitpoint. It prints redacted.
	Token flowfabric.WaitpointToken
	// Until is when the wait ends without a signal, by the storage clock; 0: not by [Within].
	Until flowfabric.Timestamp
	task  *Task
}

// Link makes a link by which source can send one signal, once. Links of several sources count apart for [FromDistinct]. It
// fails with [flowfabric.ErrInvalidInput].
func (w Waiting) Link(ctx context.Context, signal, source string) (flowfabric.SignalLink, error) {
	return insist(ctx, w.task, "link for signal", signal, func(ctx context.Context) (flowfabric.SignalLink, error) {
		return w.task.session.svc.SealLink(ctx, flowfabric.SealLink{
			ExecutionID: w.ExecutionID, WaitpointID: w.WaitpointID, Token: w.Token, SignalName: signal, Source: source, SingleUse: true,
		})
	})
}

// park makes the waitpoint, sees to its deadline and its announcement, and returns the error that parks the execution. In a
// later run all this is there already.
func (w *wait) park(ctx context.Context) error {
	t := w.memos.task
	grant, err := insist(ctx, t, "wait", w.id.name, func(ctx context.Context) (flowfabric.WaitpointGrant, error) {
		return t.session.svc.CreateWaitpoint(ctx, flowfabric.CreateWaitpoint{
			ExecutionID: t.ID(), Fence: t.Fence(), WaitpointID: w.point, Key: w.id.name, ExpiresIn: maxSpan,
		})
	})
	if err != nil {
		return err
	}
	p := &parked{name: w.id.name, suspend: w.suspend()}
	waiting := Waiting{ExecutionID: t.ID(), WaitpointID: w.point, Token: grant.Token, task: t}
	if w.options.within != nil {
		if waiting.Until, err = (call{w.memos, w.withinID()}).timer(ctx, *w.options.within); err != nil {
			return err
		}
		p.suspend.TimeoutBehavior = flowfabric.TimeoutResumes
	}
	if err := w.tell(ctx, waiting); err != nil {
		return err
	}
	if waiting.Until != 0 { // a deadline long past is refused; one that has just come ends the wait at once
		p.suspend.TimeoutAt = max(waiting.Until, w.memos.now())
	}
	return p
}

// tell announces the wait, if it is to be announced and has not been.
func (w *wait) tell(ctx context.Context, waiting Waiting) error {
	if w.options.announce == nil {
		return nil
	}
	_, err := step(ctx, call{w.memos, w.announceID()}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.options.announce(ctx, waiting)
	})
	return err
}
