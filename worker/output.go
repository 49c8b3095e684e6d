package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/flowfabric/flowfabric"
)

// errReturned: the handler has returned; its stream takes no more.
var errReturned = errors.New("write to the stream: the handler has returned; write before it does")

// queueing says how a frame waits.
type queueing uint8

const (
	apart   queueing = iota // as it is
	joined                  // one behind the other with those before it that are joined
	dropped                 // not at all, if there is no room
)

// output is what a task writes to its stream, on its way there. One call is under way at a time; what comes meanwhile waits
// for the next. The numbers of its frames begin at 1, as a task is one lease.
type output struct {
	task *Task
	// ctx is of the calls: it ends with the lease, by stop.
	ctx  context.Context
	stop context.CancelCauseFunc

	mu       sync.Mutex
	waiting  []flowfabric.Frame // no more than one call may carry
	bytes    int                // of their payloads
	joinable bool               // the last of them may grow
	queued   uint64             // number of the last frame
	sent     uint64             // number of the last frame that is in the stream
	sending  bool               // a goroutine sends until nothing waits
	ended    bool               // the handler has returned
	err      error              // why nothing is sent any more
	told     bool               // the handler has met err
	moved    chan struct{}      // closed and replaced when a call begins or ends
}

// output returns what the task writes to its stream.
func (t *Task) output() *output {
	if o := t.out.Load(); o != nil {
		return o
	}
	return t.session.leases.open(t)
}

// open makes the output of a task, unless there is one.
func (l *leases) open(t *Task) *output {
	ctx, stop := context.WithCancelCause(t.session.base)
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := t.out.Load(); o != nil {
		stop(nil)
		return o
	}
	t.lease.stopOutput = stop
	if t.lease.lost != nil {
		stop(t.lease.lost)
	}
	o := &output{task: t, ctx: ctx, stop: stop, moved: make(chan struct{})}
	t.out.Store(o)
	return o
}

// put takes in a copy of a frame, as soon as there is room.
func (o *output) put(ctx context.Context, f flowfabric.Frame, how queueing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		switch {
		case o.err != nil:
			o.told = true
			return o.err
		case o.ended:
			return errReturned
		case o.ctx.Err() != nil:
			return fmt.Errorf("write to the stream: %w", context.Cause(o.ctx))
		case len(o.waiting) < flowfabric.MaxAppendFrames && o.bytes+len(f.Payload) <= flowfabric.MaxAppendBytes:
			o.add(f, how == joined)
			return nil
		case how == dropped:
			return nil
		}
		if err := o.await(ctx); err != nil {
			return err
		}
	}
}

// add puts a copy of a frame behind those that wait, or joins it to the last. o.mu is held.
func (o *output) add(f flowfabric.Frame, join bool) {
	o.bytes += len(f.Payload)
	if last := len(o.waiting) - 1; join && o.joinable && len(o.waiting[last].Payload)+len(f.Payload) <= flowfabric.MaxFrameBytes {
		o.waiting[last].Payload = append(o.waiting[last].Payload, f.Payload...)
		return
	}
	o.queued++
	f.Seq, f.Payload = o.queued, append([]byte(nil), f.Payload...)
	if f.ProducedAt == 0 {
		f.ProducedAt = flowfabric.TimestampOf(o.task.session.clock.Now())
	}
	o.waiting, o.joinable = append(o.waiting, f), join
	if !o.sending {
		o.sending = true
		go o.send()
	}
}

// flush waits until all that was written is in the stream.
func (o *output) flush(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for last := o.queued; o.sent < last; {
		if o.err != nil {
			break
		}
		if err := o.await(ctx); err != nil {
			return err
		}
	}
	o.told = o.told || o.err != nil
	return o.err
}

// await waits until a call begins or ends. o.mu is held, but not meanwhile.
func (o *output) await(ctx context.Context) error {
	moved := o.moved
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write to the stream: %w", context.Cause(ctx))
	}
}

// move tells those who await. o.mu is held.
func (o *output) move() {
	close(o.moved)
	o.moved = make(chan struct{})
}

// send sends what waits, until nothing does.
func (o *output) send() {
	for frames := o.take(); frames != nil; frames = o.take() {
		err := o.deliver(frames)
		o.mu.Lock()
		if err == nil {
			o.sent = frames[len(frames)-1].Seq
		}
		o.err = err
		o.mu.Unlock()
	}
}

// take returns the frames for the next call; nil ends the sending.
func (o *output) take() []flowfabric.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames := o.waiting
	o.waiting, o.bytes, o.joinable = nil, 0, false
	if o.err != nil {
		frames = nil
	}
	o.sending = frames != nil
	o.move()
	return frames
}

// deliver appends frames, in order. Those before one that is refused are in the stream then, and none behind it.
func (o *output) deliver(frames []flowfabric.Frame) error {
	t := o.task
	_, err := insist(o.ctx, t, "append to the stream", "", func(ctx context.Context) (flowfabric.Appended, error) {
		return t.session.svc.AppendFrames(ctx, flowfabric.AppendFrames{ExecutionID: t.ID(), Fence: t.Fence(), Frames: frames})
	})
	if err == nil || len(frames) == 1 || o.ctx.Err() != nil || isLoss(err) {
		return err
	}
	half := len(frames) / 2
	if err := o.deliver(frames[:half]); err != nil {
		return err
	}
	return o.deliver(frames[half:])
}

// end takes no more and waits until everything is sent. The calls end with ctx, too. It returns why something could not be
// sent, and whether the handler has met that before.
func (o *output) end(ctx context.Context) (met bool, err error) {
	defer context.AfterFunc(ctx, func() { o.stop(context.Cause(ctx)) })()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	for o.sending {
		_ = o.await(context.Background()) // the calls heed their own
	}
	return o.told, o.err
}

// again takes frames of another run of the handler.
func (o *output) again() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = false
}

// flushed sees to it that all a task has written is in its stream before the engine is told its outcome, and returns what it
// is to be told then. lost: why it is not to be told anything.
func (t *Task) flushed(ctx context.Context, o outcome) (_ outcome, lost error) {
	out := t.out.Load()
	if out == nil {
		return o, nil
	}
	met, err := out.end(ctx)
	met = met || o.action == fail || o.action == cancel || o.action == release // or it ends badly anyhow
	switch {
	case ctx.Err() != nil: // the report is given up, too, which is said there
	case isLoss(err):
		lost = err
	case err != nil && !met:
		o = outcome{action: fail, category: categoryOf(err), reason: err.Error()}
	}
	return o, lost
}

// isLoss reports whether an error of a call means that the lease is gone.
func isLoss(err error) bool { return errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrCancelled) }
