package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
)

// chainNodes is how many nodes a flow of [Chain] has, in line.
const chainNodes = 10

// flowOf is a flow of n nodes of which each depends on what after says.
func (r *run) flowOf(n int, after func(i int) []int) flowfabric.SubmitFlow {
	name := func(i int) string { return fmt.Sprint("n", i) }
	cmd := flowfabric.SubmitFlow{Kind: "bench", Nodes: make([]flowfabric.FlowNode, n)}
	for i := range cmd.Nodes {
		node := flowfabric.FlowNode{Name: name(i), Submit: flowfabric.Submit{Lane: r.lane, Kind: kind, Payload: payload(r.opts.PayloadBytes)}}
		for _, up := range after(i) {
			node.After = append(node.After, name(up))
		}
		cmd.Nodes[i] = node
	}
	return cmd
}

func chainOf(i int) []int {
	if i == 0 {
		return nil
	}
	return []int{i - 1}
}

// fanOf is one node, then n that follow it, then one that follows them.
func fanOf(n int) func(i int) []int {
	return func(i int) []int {
		switch {
		case i == 0:
			return nil
		case i <= n:
			return []int{0}
		}
		return firstOf(1, n)
	}
}

// firstOf are n numbers from the first on.
func firstOf(first, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = first + i
	}
	return all
}

// flows runs Executions flows of one shape from their submission to their end, Callers of them at once.
func (r *run) flows(ctx context.Context, b *bed, nodes int, after func(int) []int) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.Callers, r.res.Nodes, r.res.PayloadBytes = n, r.opts.Workers, r.opts.Callers, nodes, r.opts.PayloadBytes
	w := r.newWorker(b.svc, r.opts.Workers, func() {}, func() {})
	return r.beside(ctx, w, func(ctx context.Context) error {
		if err := r.runFlow(ctx, b, r.flowOf(nodes, after)); err != nil { // the first meets cold caches
			return err
		}
		var left atomic.Int64
		left.Store(int64(n))
		times := make([]time.Duration, n)
		return r.metered(b.db, n*nodes, func() error {
			from := r.clock.Now()
			var wg sync.WaitGroup
			errs := make([]error, r.opts.Callers)
			for caller := range errs {
				wg.Go(func() {
					for {
						i := left.Add(-1)
						if i < 0 || errs[caller] != nil {
							return
						}
						start := r.clock.Now()
						errs[caller] = r.runFlow(ctx, b, r.flowOf(nodes, after))
						times[i] = r.clock.Now().Sub(start)
					}
				})
			}
			wg.Wait()
			r.res.FlowsPerS = perSecond(n, r.clock.Now().Sub(from))
			r.res.percentiles(times)
			return errors.Join(errs...)
		})
	})
}

// runFlow submits a flow and waits for its end.
func (r *run) runFlow(ctx context.Context, b *bed, cmd flowfabric.SubmitFlow) error {
	id, err := b.svc.SubmitFlow(ctx, cmd)
	if err != nil {
		return err
	}
	for {
		sum, err := b.svc.WaitFlow(ctx, id, flowfabric.MaxClaimWait)
		if err != nil || sum.Ended == sum.NodeCount {
			return err
		}
	}
}

// quorum measures from the completion that decides an any_of to the cancel of the last of Bulk siblings, half of which run.
func (r *run) quorum(ctx context.Context, b *bed) error {
	n := r.opts.Bulk
	cmd := r.flowOf(n+2, func(i int) []int {
		if i <= n {
			return nil
		}
		return firstOf(0, n+1)
	})
	cmd.Nodes[n+1].Policy = flowfabric.GroupPolicy{Kind: flowfabric.AnyOf}
	return r.ended(ctx, b, cmd, func(ctx context.Context, id flowfabric.FlowID, held []flowfabric.Claimed) (time.Duration, error) {
		start := r.clock.Now()
		if err := b.svc.Complete(ctx, flowfabric.Complete{ExecutionID: held[0].ExecutionID, Fence: held[0].Fence}); err != nil {
			return 0, err
		}
		for {
			f, err := b.svc.WaitFlow(ctx, id, 0)
			if err != nil || f.Ended >= n+1 {
				return r.clock.Now().Sub(start), err
			}
		}
	})
}

// cancelFlow measures the cancel of a flow of Bulk members, half of which run, until all have ended.
func (r *run) cancelFlow(ctx context.Context, b *bed) error {
	return r.ended(ctx, b, r.flowOf(r.opts.Bulk, func(int) []int { return nil }),
		func(ctx context.Context, id flowfabric.FlowID, _ []flowfabric.Claimed) (time.Duration, error) {
			start := r.clock.Now()
			_, err := b.svc.CancelFlow(ctx, flowfabric.CancelFlow{FlowID: id, Wait: time.Minute})
			return r.clock.Now().Sub(start), err
		})
}

// ended measures Executions times what ends a flow of which half the members that can run do.
func (r *run) ended(ctx context.Context, b *bed, cmd flowfabric.SubmitFlow, end func(context.Context, flowfabric.FlowID, []flowfabric.Claimed) (time.Duration, error)) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Nodes = n, len(cmd.Nodes)
	times := make([]time.Duration, n)
	return r.metered(b.db, n*len(cmd.Nodes), func() error {
		for i := range times {
			id, err := b.svc.SubmitFlow(ctx, cmd)
			if err != nil {
				return err
			}
			held, err := b.svc.Claim(ctx, flowfabric.Claim{
				Lanes: []flowfabric.LaneID{r.lane}, WorkerID: "bench", WorkerInstanceID: "bench", Max: min(max(len(cmd.Nodes)/2, 1), flowfabric.MaxClaim),
				LeaseTTL: time.Minute,
			})
			if err != nil || len(held) == 0 {
				return fmt.Errorf("claim half of the members: %d, %w", len(held), err)
			}
			if times[i], err = end(ctx, id, held); err != nil {
				return err
			}
			if _, err := b.svc.CancelFlow(ctx, flowfabric.CancelFlow{FlowID: id, Wait: time.Minute}); err != nil { // what is left
				return err
			}
		}
		r.res.percentiles(times)
		return nil
	})
}

// wide measures the submission of flows of Bulk nodes with two edges for each.
func (r *run) wide(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	cmd := r.flowOf(r.opts.Bulk, func(i int) []int {
		switch {
		case i < 2:
			return nil
		default:
			return []int{i / 2, i - 1}[:min(2, i-1)]
		}
	})
	r.res.Executions, r.res.Nodes = n, len(cmd.Nodes)
	times := make([]time.Duration, n)
	return r.metered(b.db, n*len(cmd.Nodes), func() error {
		for i := range times {
			start := r.clock.Now()
			if _, err := b.svc.SubmitFlow(ctx, cmd); err != nil {
				return err
			}
			times[i] = r.clock.Now().Sub(start)
		}
		r.res.percentiles(times)
		return nil
	})
}
