package client

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// AppendFrames implements [flowfabric.Streams].
func (c *Client) AppendFrames(ctx context.Context, cmd flowfabric.AppendFrames) (flowfabric.Appended, error) {
	return c.frames.do(ctx, cmd)
}

// ReadStream implements [flowfabric.Streams].
func (c *Client) ReadStream(ctx context.Context, q flowfabric.ReadStream) (flowfabric.StreamPage, error) {
	return call(ctx, c, wire.ReadStream, q)
}

// DescribeStream implements [flowfabric.Streams].
func (c *Client) DescribeStream(ctx context.Context, id flowfabric.ExecutionID, attempt int) (flowfabric.StreamInfo, error) {
	return call(ctx, c, wire.DescribeStream, wire.OfAttempt{ExecutionID: id, AttemptIndex: attempt})
}

// ReadSummary implements [flowfabric.Streams].
func (c *Client) ReadSummary(ctx context.Context, id flowfabric.ExecutionID, attempt int) (flowfabric.StreamSummary, error) {
	return call(ctx, c, wire.ReadSummary, wire.OfAttempt{ExecutionID: id, AttemptIndex: attempt})
}

// AckEvents implements [flowfabric.Events].
func (c *Client) AckEvents(ctx context.Context, cmd flowfabric.AckEvents) (flowfabric.EventReader, error) {
	return call(ctx, c, wire.AckEvents, cmd)
}

// EventReader implements [flowfabric.Events].
func (c *Client) EventReader(ctx context.Context, name string) (flowfabric.EventReader, error) {
	return call(ctx, c, wire.GetEventReader, wire.OfReader{Name: name})
}

// ListEventReaders implements [flowfabric.Events].
func (c *Client) ListEventReaders(ctx context.Context, q flowfabric.ListEventReaders) (flowfabric.Page[flowfabric.EventReader], error) {
	return call(ctx, c, wire.ListReaders, q)
}

// ForgetEventReader implements [flowfabric.Events].
func (c *Client) ForgetEventReader(ctx context.Context, name string) error {
	_, err := call(ctx, c, wire.ForgetReader, wire.OfReader{Name: name})
	return err
}

// TailStream implements [flowfabric.Streams].
func (c *Client) TailStream(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	return callFor(ctx, c, wire.TailStream, q, q.Wait, true)
}

// ReadEvents implements [flowfabric.Events].
func (c *Client) ReadEvents(ctx context.Context, q flowfabric.ReadEvents) (flowfabric.EventPage, error) {
	return callFor(ctx, c, wire.ReadEvents, q, q.Wait, true)
}
