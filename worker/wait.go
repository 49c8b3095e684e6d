package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
)

// How a wait may end without a signal. None is worth a retry.
var (
	// ErrWaitTimeout: no signal came [Within] the time.
	ErrWaitTimeout = errors.New("no signal came in time")
	// ErrResumedByOperator: an operator has resumed the execution, whatever it waited for. [WaitSignals] returns no signals
	// instead.
	ErrResumedByOperator = errors.New("an operator has resumed the execution; there is no signal")
	// ErrWaitClosed: the waitpoint was closed, so no signal will come.
	ErrWaitClosed = errors.New("the waitpoint was closed")
)

// WaitOption says what a wait is for.
type WaitOption func(*waitOptions)

type waitOptions struct {
	within   *time.Duration
	signal   string
	sources  *int
	reason   flowfabric.WaitReason
	announce func(ctx context.Context, w Waiting) error
}

// Within bounds the wait: d after it was first begun it ends with [ErrWaitTimeout]. 1 ms to [flowfabric.MaxSpanMS] ms. Without
// it the wait ends as the policy of the execution says, if it does.
func Within(d time.Duration) WaitOption { return func(o *waitOptions) { o.within = &d } }

// Named lets only signals of a name count.
func Named(signal string) WaitOption { return func(o *waitOptions) { o.signal = signal } }

// FromDistinct waits for n signals of different sources, [flowfabric.DistinctSources]: 1 to [flowfabric.MaxCount].
func FromDistinct(n int) WaitOption { return func(o *waitOptions) { o.sources = &n } }

// For says why the execution waits; default [flowfabric.WaitForSignal].
func For(reason flowfabric.WaitReason) WaitOption { return func(o *waitOptions) { o.reason = reason } }

// Announce calls fn as a step, "<name>/announce", when signals can be sent and before the execution is parked: it is the
// place to send the link to whoever is to answer. An answer that comes at once is not lost. An error of fn is that of the wait.
func Announce(fn func(ctx context.Context, w Waiting) error) WaitOption {
	return func(o *waitOptions) { o.announce = fn }
}

// WaitSignal waits for a signal and returns its payload, JSON decoded into T; []byte and [encoding/json.RawMessage] take it as
// it is, and no payload is the zero value. Of several it is the last, the one that ended the wait. For the rest it is
// [WaitSignals]; it also fails with [ErrResumedByOperator], and if the payload does not decode.
func WaitSignal[T any](ctx context.Context, name string, opts ...WaitOption) (T, error) {
	var none T
	signals, err := WaitSignals(ctx, name, opts...)
	switch {
	case err != nil:
		return none, err
	case len(signals) == 0:
		return none, Permanent(fmt.Errorf("wait %q: %w", name, ErrResumedByOperator))
	}
	last := signals[len(signals)-1]
	if len(last.Payload) == 0 {
		return none, nil
	}
	out, err := decode[T](last.Payload)
	if err != nil {
		return none, Permanent(fmt.Errorf("wait %q: signal %q: %w", name, last.Name, err))
	}
	return out, nil
}

// WaitSignals waits until signals satisfy it, by default a single one of any name, and returns them in the order in which
// they were accepted. Signals go to a waitpoint with the key name, which exists from the call on.
//
// Until they have come, WaitSignals returns an error, [ErrParked], that the handler must return, however wrapped: the execution is parked
// then, without a slot or a lease. When it is resumed, the handler runs again, from its beginning, and WaitSignals returns
// the signals, in every run from then on. A handler that swallows the error and returns nil has completed. Of several waits
// in goroutines the first that the handler returns is parked on; the others keep their signals meanwhile.
//
// It fails with [ErrWaitTimeout], [ErrWaitClosed], and like [Step].
func WaitSignals(ctx context.Context, name string, opts ...WaitOption) ([]flowfabric.SignalSnapshot, error) {
	c, err := begin(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	w := wait{call: c}
	for _, set := range opts {
		set(&w.options)
	}
	w.point = flowfabric.WaitpointID(c.id.derive("ff-waitpoint-1", c.memos.task))
	if err := w.check(); err != nil {
		return nil, Permanent(fmt.Errorf("wait %q: %w", name, err))
	}
	memo, found, err := c.memos.find(ctx, c.id, isSignals, isPoint, isTimeout)
	if err != nil {
		return nil, err
	}
	if found {
		return w.answer(ctx, memo)
	}
	if c.memos.task.continues() {
		if closed, err := w.closed(ctx, w.point); err != nil || closed != nil {
			return w.end(ctx, closed, err)
		}
	}
	return nil, w.park(ctx)
}

// wait is a call of WaitSignals.
type wait struct {
	call
	options waitOptions
	point   flowfabric.WaitpointID
}

// check refuses options the engine would refuse.
func (w *wait) check() error {
	cmd := w.suspend()
	if err := cmd.Validate(); err != nil {
		return err
	}
	if d := w.options.within; d != nil && (*d < time.Millisecond || *d > maxSpan) {
		return outOfBounds("Within", *d, time.Millisecond, maxSpan)
	}
	for _, step := range []stepID{w.withinID(), w.announceID()} {
		if err := flowfabric.ValidateName("step name", step.name); err != nil {
			return err
		}
	}
	return nil
}

// maxSpan is the longest time the engine takes.
const maxSpan = time.Duration(flowfabric.MaxSpanMS) * time.Millisecond

// suspend is the command that parks the execution, without its deadline.
func (w *wait) suspend() flowfabric.Suspend {
	t := w.memos.task
	cmd := flowfabric.Suspend{
		ExecutionID: t.ID(), Fence: t.Fence(), SuspensionID: flowfabric.NewSuspensionID(),
		Waitpoints: []flowfabric.WaitpointBinding{{WaitpointID: w.point, Pending: true}},
		Condition:  flowfabric.OnSignal(w.id.name), Reason: w.options.reason,
	}
	if n := w.options.sources; n != nil {
		cmd.Condition = flowfabric.OnCount(*n, flowfabric.DistinctSources, w.id.name)
	}
	cmd.Condition.SignalName = w.options.signal
	return cmd
}

// What belongs to a waitpoint is remembered by its id: a replay that waits anew has another, and announces it anew.
func (w *wait) withinID() stepID   { return stepID{w.id.name + "/within", w.point.String()} }
func (w *wait) announceID() stepID { return stepID{w.id.name + "/announce", w.point.String()} }

// answer is what a memo says the wait came to.
func (w *wait) answer(ctx context.Context, memo flowfabric.StepMemo) (signals []flowfabric.SignalSnapshot, err error) {
	switch kindOf(memo.Encoding) {
	case isTimeout:
		return nil, w.timedOut(memo)
	case isPoint:
		var point flowfabric.WaitpointID
		if err := point.UnmarshalText(memo.Result); err != nil {
			return nil, Permanent(fmt.Errorf("wait %q: %w", w.id.name, err))
		}
		closed, err := w.closed(ctx, point)
		if err != nil {
			return nil, err
		}
		if closed == nil {
			return nil, Permanent(fmt.Errorf("wait %q: waitpoint %s, which had the signals, is gone", w.id.name, point))
		}
		return closed.Signals, nil
	default:
		if err := json.Unmarshal(memo.Result, &signals); err != nil {
			return nil, Permanent(fmt.Errorf("wait %q: %w", w.id.name, err))
		}
		return signals, nil
	}
}

// closed looks how a waitpoint was closed; nil: it is open, or is not there yet.
func (w *wait) closed(ctx context.Context, point flowfabric.WaitpointID) (*flowfabric.WaitpointSignals, error) {
	t := w.memos.task
	told, err := insist(ctx, t, "wait", w.id.name, func(ctx context.Context) (flowfabric.WaitpointSignals, error) {
		told, err := t.session.svc.DescribeWaitpoint(ctx, t.ID(), point)
		if errors.Is(err, flowfabric.ErrWaitpointNotFound) {
			return flowfabric.WaitpointSignals{}, nil
		}
		return told, err
	})
	if err != nil || told.Waitpoint.State != flowfabric.WaitpointClosed {
		return nil, err
	}
	return &told, nil
}

// end records what a closed waitpoint has come to, and returns it.
func (w *wait) end(ctx context.Context, closed *flowfabric.WaitpointSignals, err error) ([]flowfabric.SignalSnapshot, error) {
	if err != nil {
		return nil, err
	}
	cmd := w.record()
	switch reason := closed.Waitpoint.CloseReason; reason {
	case flowfabric.ClosedResumed:
		text, err := json.Marshal(closed.Signals)
		if err != nil {
			return nil, fmt.Errorf("wait %q: %w", w.id.name, err)
		}
		cmd.Result, cmd.Encoding = text, string(isSignals)
		if len(text) > flowfabric.MaxStepBytes { // then where they are
			cmd.Result, cmd.Encoding = []byte(w.point.String()), string(isPoint)
		}
	case flowfabric.ClosedAutoResume:
		cmd.Error, cmd.Category, cmd.Encoding = ErrWaitTimeout.Error(), flowfabric.FailurePermanent, string(isTimeout)
	default:
		return nil, Permanent(fmt.Errorf("wait %q: %w: %s", w.id.name, ErrWaitClosed, reason))
	}
	memo, err := w.memos.record(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return w.answer(ctx, memo)
}

func (w *wait) timedOut(memo flowfabric.StepMemo) error {
	err := Permanent(fmt.Errorf("wait %q: %w", w.id.name, ErrWaitTimeout))
	return &StepError{Name: memo.Name, Key: memo.Key, Message: err.Error(), Category: memo.Category, cause: err}
}
