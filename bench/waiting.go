package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// signal measures from the call that suspends an execution, over the signal that resumes it, to the answer of the claim that
// continues it, one after the other.
func (r *run) signal(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.PayloadBytes = n, r.opts.PayloadBytes
	if _, err := r.signalOnce(ctx, b); err != nil { // the first meets cold caches
		return err
	}
	times := make([]time.Duration, n)
	return r.metered(b.db, n, func() (err error) {
		for i := range times {
			if times[i], err = r.signalOnce(ctx, b); err != nil {
				return err
			}
		}
		r.res.percentiles(times)
		return nil
	})
}

func (r *run) signalOnce(ctx context.Context, b *bed) (time.Duration, error) {
	if _, err := b.svc.Submit(ctx, flowfabric.Submit{Lane: r.lane, Kind: kind}); err != nil {
		return 0, err
	}
	c, err := r.claimOne(ctx, b)
	if err != nil {
		return 0, err
	}
	start := r.clock.Now()
	s, err := b.svc.Suspend(ctx, flowfabric.Suspend{ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: flowfabric.OnSignal("go")})
	if err != nil {
		return 0, err
	}
	point := s.Waitpoints[0]
	if _, err := b.svc.DeliverSignal(ctx, flowfabric.Signal{
		ExecutionID: c.ExecutionID, WaitpointID: point.WaitpointID, Token: point.Token, Name: "go", Payload: payload(r.opts.PayloadBytes),
	}); err != nil {
		return 0, err
	}
	if c, err = r.claimOne(ctx, b); err != nil {
		return 0, err
	}
	took := r.clock.Now().Sub(start)
	return took, b.svc.Complete(ctx, flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
}

func (r *run) claimOne(ctx context.Context, b *bed) (flowfabric.Claimed, error) {
	got, err := b.svc.Claim(ctx, flowfabric.Claim{
		Lanes: []flowfabric.LaneID{r.lane}, WorkerID: "bench", WorkerInstanceID: "bench", Wait: time.Minute, LeaseTTL: time.Minute,
	})
	if err == nil && len(got) == 0 {
		err = fmt.Errorf("nothing could be claimed within a minute")
	}
	if err != nil {
		return flowfabric.Claimed{}, err
	}
	return got[0], nil
}

// steps measures executions whose handler does Bulk steps, one after the other, each of which only returns a payload.
func (r *run) steps(ctx context.Context, b *bed) error {
	n, each := r.opts.Executions, r.opts.Bulk
	r.res.Executions, r.res.Workers, r.res.Steps, r.res.PayloadBytes = n, r.opts.Workers, each, r.opts.PayloadBytes
	result := payload(r.opts.PayloadBytes)
	ended := make(chan time.Duration, n)
	w := worker.New(b.svc, worker.Config{Lanes: []flowfabric.LaneID{r.lane}, Concurrency: r.opts.Workers})
	worker.Handle(w, kind, func(ctx context.Context, _ *worker.Task, _ []byte) (struct{}, error) {
		start := r.clock.Now()
		for i := range each {
			if _, err := worker.Step(ctx, "step", func(context.Context) ([]byte, error) { return result, nil }, worker.Key(strconv.Itoa(i))); err != nil {
				return struct{}{}, err
			}
		}
		ended <- r.clock.Now().Sub(start) / time.Duration(each)
		return struct{}{}, nil
	})
	return r.beside(ctx, w, func(ctx context.Context) error {
		times := make([]time.Duration, n)
		return r.metered(b.db, n*each, func() error {
			start := r.clock.Now()
			cmds := make([]flowfabric.Submit, n)
			for i := range cmds {
				cmds[i] = flowfabric.Submit{Lane: r.lane, Kind: kind}
			}
			if _, err := b.svc.SubmitMany(ctx, cmds); err != nil {
				return err
			}
			for i := range times {
				select {
				case times[i] = <-ended:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			r.res.StepsPerS = perSecond(n*each, r.clock.Now().Sub(start))
			r.res.percentiles(times)
			return nil
		})
	})
}
