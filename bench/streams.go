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
// viewer's wait. Every frame must be counted in the end.
func (r *run) stream(ctx context.Context, b *bed) error {
	n, bulk := r.opts.Executions/(r.opts.Callers*r.opts.Bulk)*r.opts.Bulk, r.opts.Bulk
	r.res.Callers, r.res.Bulk, r.res.PayloadBytes = r.opts.Callers, bulk, r.opts.PayloadBytes
	writers, err := r.hold(ctx, b, r.opts.Callers)
	if err != nil {
		return err
	}
	times := make([]time.Duration, 0, n)
	err = r.metered(b.db, n*len(writers), func() error {
		return together(ctx, func(ctx context.Context) error {
			start := r.clock.Now()
			if err := each(ctx, writers, func(ctx context.Context, w flowfabric.Claimed) error { return r.append(ctx, b, w, n, bulk, 0) }); err != nil {
				return err
			}
			r.res.FramesPerS = perSecond(n*len(writers), r.clock.Now().Sub(start))
			return nil
		}, func(ctx context.Context) error {
			var err error
			times, err = r.follow(ctx, b, writers[0], n)
			return err
		})
	})
	if err != nil {
		return err
	}
	r.res.percentiles(times)
	for _, w := range writers {
		info, err := b.eng.DescribeStream(ctx, w.ExecutionID, w.Fence.AttemptIndex)
		if err != nil {
			return err
		}
		if info.Count != int64(n) {
			return fmt.Errorf("%d frames were appended to %s, %d are counted", n, w.ExecutionID, info.Count)
		}
	}
	return nil
}

// tails has one writer append 100 frames a second for Duration, first alone, then with Callers viewers, each of which must see
// every frame once, in order. StatementsPerS is what the viewers cost the database.
func (r *run) tails(ctx context.Context, b *bed) error {
	const perS = 100
	n := max(1, int(r.opts.Duration.Seconds()*perS))
	r.res.Callers, r.res.PayloadBytes = r.opts.Callers, r.opts.PayloadBytes
	writers, err := r.hold(ctx, b, 2)
	if err != nil {
		return err
	}
	var rates [2]float64 // of statements
	var lock sync.Mutex
	var times []time.Duration
	for i, viewers := range []int{0, r.opts.Callers} {
		tasks := []func(context.Context) error{func(ctx context.Context) error {
			return r.statements(ctx, b, &rates[i], func() error { return r.append(ctx, b, writers[i], n, 1, time.Second/perS) })
		}}
		for range viewers {
			tasks = append(tasks, func(ctx context.Context) error {
				seen, err := r.follow(ctx, b, writers[i], n)
				lock.Lock()
				defer lock.Unlock()
				times = append(times, seen...)
				return err
			})
		}
		if err := r.metered(b.db, 0, func() error { return together(ctx, tasks...) }); err != nil {
			return err
		}
	}
	r.res.percentiles(times)
	if rates[0] > 0 {
		r.res.StatementsPerS = max(0, rates[1]-rates[0])
		r.res.note(fmt.Sprintf("%.1f statements a second without viewers, %.1f with them", rates[0], rates[1]))
	}
	return nil
}

// hold claims executions for as long as any run takes.
func (r *run) hold(ctx context.Context, b *bed, n int) ([]flowfabric.Claimed, error) {
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = flowfabric.Submit{Lane: lane, Kind: kind, Policy: &flowfabric.Policy{Stream: &flowfabric.StreamPolicy{MaxFrames: 100_000}}}
	}
	if _, err := b.eng.SubmitMany(ctx, cmds); err != nil {
		return nil, err
	}
	var held []flowfabric.Claimed
	for len(held) < n {
		got, err := b.eng.Claim(ctx, flowfabric.Claim{
			Lanes: []flowfabric.LaneID{lane}, WorkerID: "bench", WorkerInstanceID: "bench", Max: min(n-len(held), flowfabric.MaxClaim),
			Wait: time.Minute, LeaseTTL: flowfabric.MaxLeaseTTL,
		})
		if err != nil {
			return nil, err
		}
		held = append(held, got...)
	}
	return held, nil
}

// append appends n frames, bulk in a call, with a pause after each call. A payload begins with when its call began.
func (r *run) append(ctx context.Context, b *bed, w flowfabric.Claimed, n, bulk int, pause time.Duration) error {
	frames := make([]flowfabric.Frame, bulk)
	next := r.clock.Now()
	for range n / bulk {
		now := r.clock.Now()
		for i := range frames {
			frames[i] = flowfabric.Frame{Payload: make([]byte, max(8, r.opts.PayloadBytes)), Encoding: flowfabric.FrameBinary}
			binary.BigEndian.PutUint64(frames[i].Payload, uint64(now.UnixNano()))
		}
		if _, err := b.eng.AppendFrames(ctx, flowfabric.AppendFrames{ExecutionID: w.ExecutionID, Fence: w.Fence, Frames: frames}); err != nil {
			return err
		}
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
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// follow sees n frames of a stream, in order, and tells how old each was when it came.
func (r *run) follow(ctx context.Context, b *bed, w flowfabric.Claimed, n int) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n)
	q := flowfabric.TailStream{
		ExecutionID: w.ExecutionID, AttemptIndex: w.Fence.AttemptIndex, Wait: flowfabric.MaxTailWait, Limit: flowfabric.MaxPage,
	}
	for len(times) < n {
		page, err := b.eng.TailStream(ctx, q)
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

// statements sets how many statements a second the database ran while fn did.
func (r *run) statements(ctx context.Context, b *bed, rate *float64, fn func() error) error {
	before, counter, err := b.db.Statements(ctx)
	if err != nil {
		return err
	}
	start := r.clock.Now()
	if err := fn(); err != nil {
		return err
	}
	took := r.clock.Now().Sub(start)
	after, _, err := b.db.Statements(ctx)
	if counter == "" {
		r.res.note("statements are not counted on " + string(r.kind))
		return err
	}
	*rate = float64(after-before) / took.Seconds()
	return err
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
