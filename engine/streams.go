package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/tail"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// AppendFrames implements [flowfabric.Streams].
func (e *Engine) AppendFrames(ctx context.Context, cmd flowfabric.AppendFrames) (flowfabric.Appended, error) {
	var res flowfabric.Appended
	var added ops.AppendedFrames
	op, err := e.rules.AppendFrames(cmd, &res, &added)
	if err != nil {
		return res, err
	}
	if err := e.doHeld(ctx, cmd.ExecutionID, op); err != nil {
		return flowfabric.Appended{}, err
	}
	for i := range added.Frames {
		e.recorded.Frames.Inc(string(added.Frames[i].Mode))
	}
	if len(added.Frames) > 0 && e.tails.Watches(added.Stream) {
		e.tails.Appended(added.Stream, added.Before, added.Last, ops.Told(added.Frames))
	}
	return res, nil
}

// ReadStream implements [flowfabric.Streams].
func (e *Engine) ReadStream(ctx context.Context, q flowfabric.ReadStream) (flowfabric.StreamPage, error) {
	if err := e.open("read stream"); err != nil {
		return flowfabric.StreamPage{}, err
	}
	var page flowfabric.StreamPage
	err := e.tails.Read(func() (err error) {
		page, err = e.rules.ReadStream(ctx, e.st, q)
		return err
	})
	return page, called("read stream", err)
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

// TailStream implements [flowfabric.Streams].
func (e *Engine) TailStream(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	if err := e.open("tail stream"); err != nil {
		return flowfabric.StreamPage{}, err
	}
	if err := e.rules.CheckTail(q); err != nil {
		return flowfabric.StreamPage{}, err
	}
	page, err := e.tails.Tail(ctx, q)
	return page, called("tail stream", err)
}

// streamReader reads streams for the hub of viewers.
type streamReader struct {
	st    store.Store
	rules ops.Rules
}

// ReadTail implements [tail.Reader].
func (r streamReader) ReadTail(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, flowfabric.FrameID, error) {
	return r.rules.TailStream(ctx, r.st, q)
}

// ReadFrames implements [tail.Reader].
func (r streamReader) ReadFrames(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	return r.rules.TailFrames(ctx, r.st, q)
}

// LookAt implements [tail.Reader].
func (r streamReader) LookAt(ctx context.Context, keys []record.StreamKey, closure bool) ([]tail.State, error) {
	found, err := r.rules.LookAtStreams(ctx, r.st, keys, closure)
	states := make([]tail.State, len(found))
	for i, s := range found {
		states[i] = tail.State(s)
	}
	return states, err
}
