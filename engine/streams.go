package engine

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
)

// AppendFrames implements [flowfabric.Streams].
func (e *Engine) AppendFrames(ctx context.Context, cmd flowfabric.AppendFrames) (flowfabric.Appended, error) {
	var res flowfabric.Appended
	op, err := e.rules.AppendFrames(cmd, &res)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.Appended{}, err
	}
	return res, nil
}

// ReadStream implements [flowfabric.Streams].
func (e *Engine) ReadStream(ctx context.Context, q flowfabric.ReadStream) (flowfabric.StreamPage, error) {
	if err := e.open("read stream"); err != nil {
		return flowfabric.StreamPage{}, err
	}
	page, err := e.rules.ReadStream(ctx, e.st, q)
	return page, commit.Coded(err)
}

// DescribeStream implements [flowfabric.Streams].
func (e *Engine) DescribeStream(ctx context.Context, id flowfabric.ExecutionID, attempt int) (flowfabric.StreamInfo, error) {
	if err := e.open("describe stream"); err != nil {
		return flowfabric.StreamInfo{}, err
	}
	info, err := e.rules.DescribeStream(ctx, e.st, id, attempt)
	return info, commit.Coded(err)
}

// ReadSummary implements [flowfabric.Streams].
func (e *Engine) ReadSummary(ctx context.Context, id flowfabric.ExecutionID, attempt int) (flowfabric.StreamSummary, error) {
	if err := e.open("read summary"); err != nil {
		return flowfabric.StreamSummary{}, err
	}
	s, err := e.rules.ReadSummary(ctx, e.st, id, attempt)
	return s, commit.Coded(err)
}

// tailPoll is how often a tail that waits looks again.
const tailPoll = 100 * time.Millisecond

// TailStream implements [flowfabric.Streams].
func (e *Engine) TailStream(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	const op = "tail stream"
	deadline := e.clock.Now().Add(q.Wait)
	for {
		if err := e.open(op); err != nil {
			return flowfabric.StreamPage{}, err
		}
		page, err := e.rules.TailStream(ctx, e.st, q)
		left := deadline.Sub(e.clock.Now())
		if err != nil || len(page.Frames) > 0 || page.ClosedAt != 0 || left <= 0 {
			return page, commit.Coded(err)
		}
		if err := e.awaitFrames(ctx, op, min(tailPoll, left)); err != nil {
			return flowfabric.StreamPage{}, err
		}
	}
}

// awaitFrames returns when it is worth a look whether a stream has more frames, or is closed, after a pause at the latest.
func (e *Engine) awaitFrames(ctx context.Context, op string, pause time.Duration) error {
	t := e.clock.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: op, Err: context.Cause(ctx)}
	case <-e.closing:
		return closed(op)
	}
}
