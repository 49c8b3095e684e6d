package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
)

// stream has Callers writers append Executions frames in all, Bulk in a call, each to the stream of an execution of its own,
// while a viewer follows the first of them. The percentiles are from the call that appends a frame to the answer of the
// viewer's wait. All that is kept is read back in the end.
func (r *run) stream(ctx context.Context, b *bed) error {
	n, bulk := r.opts.Executions/(r.opts.Callers*r.opts.Bulk)*r.opts.Bulk, r.opts.Bulk
	r.res.Callers, r.res.Bulk, r.res.PayloadBytes = r.opts.Callers, bulk, r.opts.PayloadBytes
	writers, err := r.hold(ctx, b, r.opts.Callers)
	if err != nil {
		return err
	}
	var times, calls []time.Duration
	err = r.metered(b.db, n*len(writers), func() error {
		return together(ctx, func(ctx context.Context) error {
			start := r.clock.Now()
			if err := each(ctx, writers, func(ctx context.Context, w flowfabric.Claimed) error {
				took, err := r.append(ctx, b, w, n, bulk, 0)
				if w.ExecutionID == writers[0].ExecutionID {
					calls = took
				}
				return err
			}); err != nil {
				return err
			}
			r.res.FramesPerS = perSecond(n*len(writers), r.clock.Now().Sub(start))
			return nil
		}, func(ctx context.Context) error {
			var err error
			times, err = r.follow(ctx, b.svc, writers[0], n)
			return err
		})
	})
	if err != nil {
		return err
	}
	r.res.percentiles(times)
	var call Result
	call.percentiles(calls)
	r.res.note(fmt.Sprintf("the calls that appended what was followed took p50 %.1f, p99 %.1f ms", call.P50MS, call.P99MS))
	return each(ctx, writers, func(ctx context.Context, w flowfabric.Claimed) error {
		kept, err := readBack(ctx, b.svc, w)
		if err == nil && kept != min(n, keptFrames) {
			err = fmt.Errorf("%d frames were appended to %s, %d are read back", n, w.ExecutionID, kept)
		}
		return err
	})
}

// keptFrames is how many frames streams keep, the most a policy may say.
const keptFrames = 100_000

// readBack tells how many frames a stream has.
func readBack(ctx context.Context, svc flowfabric.Streams, w flowfabric.Claimed) (n int, err error) {
	q := flowfabric.ReadStream{ExecutionID: w.ExecutionID, AttemptIndex: w.Fence.AttemptIndex, Limit: flowfabric.MaxStreamPage}
	for {
		page, err := svc.ReadStream(ctx, q)
		n += len(page.Frames)
		if err != nil || !page.More {
			return n, err
		}
		q.From = page.Frames[len(page.Frames)-1].ID.Next()
	}
}

// hold claims executions for as long as any run takes.
func (r *run) hold(ctx context.Context, b *bed, n int) ([]flowfabric.Claimed, error) {
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = flowfabric.Submit{Lane: r.lane, Kind: kind, Policy: &flowfabric.Policy{Stream: &flowfabric.StreamPolicy{MaxFrames: keptFrames}}}
	}
	if _, err := b.svc.SubmitMany(ctx, cmds); err != nil {
		return nil, err
	}
	var held []flowfabric.Claimed
	for len(held) < n {
		got, err := b.svc.Claim(ctx, flowfabric.Claim{
			Lanes: []flowfabric.LaneID{r.lane}, WorkerID: "bench", WorkerInstanceID: "bench", Max: min(n-len(held), flowfabric.MaxClaim),
			Wait: time.Minute, LeaseTTL: flowfabric.MaxLeaseTTL,
		})
		if err != nil {
			return nil, err
		}
		held = append(held, got...)
	}
	return held, nil
}

// append appends n frames, bulk in a call, a call each pause, and tells how long each call took. A payload begins with when its
// call began.
func (r *run) append(ctx context.Context, b *bed, w flowfabric.Claimed, n, bulk int, pause time.Duration) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n/bulk)
	frames := make([]flowfabric.Frame, bulk)
	next := r.clock.Now()
	for range n / bulk {
		now := r.clock.Now()
		for i := range frames {
			frames[i] = flowfabric.Frame{Payload: make([]byte, max(8, r.opts.PayloadBytes)), Encoding: flowfabric.FrameBinary}
			binary.BigEndian.PutUint64(frames[i].Payload, uint64(now.UnixNano()))
		}
		if _, err := b.svc.AppendFrames(ctx, flowfabric.AppendFrames{ExecutionID: w.ExecutionID, Fence: w.Fence, Frames: frames}); err != nil {
			return nil, err
		}
		times = append(times, r.clock.Now().Sub(now))
		if pause == 0 {
			continue
		}
		next = next.Add(pause)
		if wait := next.Sub(r.clock.Now()); wait > 0 {
			timer := r.clock.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, context.Cause(ctx)
			}
		}
	}
	return times, nil
}

// follow sees n frames of a stream, in order, and tells how old each was when it came.
func (r *run) follow(ctx context.Context, svc flowfabric.Streams, w flowfabric.Claimed, n int) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n)
	q := flowfabric.TailStream{
		ExecutionID: w.ExecutionID, AttemptIndex: w.Fence.AttemptIndex, Wait: flowfabric.MaxTailWait, Limit: flowfabric.MaxPage,
	}
	for len(times) < n {
		page, err := svc.TailStream(ctx, q)
		if err != nil {
			return nil, err
		}
		now := r.clock.Now().UnixNano()
		for _, f := range page.Frames {
			if f.ID.Compare(q.After) <= 0 {
				return nil, fmt.Errorf("frame %s comes after %s", f.ID, q.After)
			}
			q.After = f.ID
			times = append(times, time.Duration(now-int64(binary.BigEndian.Uint64(f.Payload)&math.MaxInt64)))
		}
	}
	if len(times) > n {
		return nil, fmt.Errorf("%d frames were appended, %d were seen", n, len(times))
	}
	return times, nil
}

// together runs tasks at once until all are done or one fails.
func together(ctx context.Context, tasks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	for _, task := range tasks {
		group.Go(func() {
			if err := task(ctx); err != nil {
				failed.CompareAndSwap(nil, &err)
				cancel(err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// each runs do for all items at once.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	tasks := make([]func(context.Context) error, len(items))
	for i, item := range items {
		tasks[i] = func(ctx context.Context) error { return do(ctx, item) }
	}
	return together(ctx, tasks...)
}
