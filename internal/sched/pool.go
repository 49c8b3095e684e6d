package sched

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
)

// waiter is one claim that waits in a pool.
type waiter struct {
	want ops.Want
	err  error
	done chan struct{}
	gone bool // it has stopped waiting; guarded by the pool
}

// pool serves the claims of one set of lanes and capabilities. Its goroutine lives while claims wait.
type pool struct {
	s            *Scheduler
	lanes        []flowfabric.LaneID
	capabilities []string
	hint         *loop.Wakeup
	turn         uint64 // rotates lanes, shards and commit queues; used by the goroutine alone

	mu struct {
		sync.Mutex
		waiting []*waiter // in order of arrival
		serving []*waiter // taken into the pass that is under way
		running bool
		// empty: the last pass found nothing and nothing has woken the pool since. A claim that is willing to wait then
		// need not look again: the next poll or wake-up will.
		empty bool
	}
}

func (p *pool) join(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.waiting = append(p.mu.waiting, w)
	if w.want.Claim.Wait == 0 {
		p.mu.empty = false // it wants an answer now
	}
	if !p.mu.running {
		p.mu.running = true
		p.s.group.Go(p.run)
	}
	if !p.mu.empty {
		p.hint.Wake()
	}
}

// leave withdraws a waiter, unless a pass is serving it: then the end of that pass is its answer.
func (p *pool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.gone = true
	i := slices.Index(p.mu.waiting, w)
	if i < 0 {
		return false
	}
	p.mu.waiting = slices.Delete(p.mu.waiting, i, i+1)
	if len(p.mu.waiting) == 0 {
		p.hint.Wake() // let the goroutine end
	}
	return true
}

func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.empty = false
	p.hint.Wake()
}

func (p *pool) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.mu.running
}

// run serves passes while anybody waits.
func (p *pool) run(ctx context.Context) {
	wait := time.Duration(0)
	if p.known() {
		wait = loop.Jitter(p.s.cfg.Poll)
	}
	for {
		if wait > 0 && !loop.Sleep(ctx, p.s.clock, wait, p.hint.C()) {
			p.abort(ctx)
			return
		}
		if !p.begin() {
			return
		}
		var err error
		wait, err = p.pass(ctx)
		if err != nil && ctx.Err() == nil {
			p.s.log.WarnContext(ctx, "claim did not succeed", "lanes", p.lanes, "error", err)
		}
		p.end(err)
	}
}

// known reports whether there is reason to believe that nothing is ready.
func (p *pool) known() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.empty
}

// begin takes the waiters of the next pass, as many as one query can serve. It ends the goroutine when there are none.
func (p *pool) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.waiting) == 0 {
		p.mu.running = false
		return false
	}
	n, total := 0, 0
	for n < len(p.mu.waiting) && total < flowfabric.MaxClaim {
		total += p.mu.waiting[n].want.Claim.Max
		n++
	}
	p.mu.serving = slices.Clone(p.mu.waiting[:n])
	p.mu.waiting = slices.Delete(p.mu.waiting, 0, n)
	p.mu.empty = true // until a wake-up, or the pass, says otherwise
	return true
}

// end answers the waiters that got something, those that would not wait or have stopped waiting, and on an error all.
// The others wait on, in front of those that came later.
func (p *pool) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var again []*waiter
	for _, w := range p.mu.serving {
		if err == nil && len(w.want.Got) == 0 && w.want.Claim.Wait > 0 && !w.gone {
			again = append(again, w)
			continue
		}
		w.err = err
		close(w.done)
	}
	p.mu.serving = nil
	p.mu.waiting = append(again, p.mu.waiting...)
	if err != nil {
		p.mu.empty = false
	}
}

// abort answers everybody when the engine closes.
func (p *pool) abort(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.mu.waiting {
		w.err = &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "claim", Detail: "the engine is closed", Err: context.Cause(ctx)}
		close(w.done)
	}
	p.mu.waiting = nil
	p.mu.running = false
}

// pass looks once for work for the waiters being served, shard by shard, and returns how long to wait before the next.
func (p *pool) pass(ctx context.Context) (time.Duration, error) {
	wants := make([]*ops.Want, len(p.mu.serving)) // only this goroutine writes serving
	for i, w := range p.mu.serving {
		wants[i] = &w.want
	}
	shards := p.s.st.Shards()
	for i := range shards {
		p.turn++
		shard := shards[(p.turn+uint64(i))%uint64(len(shards))]
		hungry := slices.DeleteFunc(slices.Clone(wants), func(w *ops.Want) bool { return len(w.Got) > 0 })
		if len(hungry) == 0 {
			break
		}
		if err := p.claim(ctx, shard, hungry); err != nil {
			return 0, err
		}
	}
	for _, w := range wants {
		if len(w.Got) > 0 {
			p.wake() // there may be more
			return 0, nil
		}
	}
	fresh, retry, err := p.s.routes.refresh(ctx, p.lanes, p.capabilities)
	if err != nil {
		return 0, err
	}
	if fresh {
		p.wake()
		return 0, nil
	}
	if retry > 0 {
		return retry, nil
	}
	return loop.Jitter(p.s.cfg.Poll), nil
}

// claim runs one claim unit on a shard.
func (p *pool) claim(ctx context.Context, shard flowfabric.Partition, wants []*ops.Want) error {
	lanes := make([]ops.LaneRoutes, 0, len(p.lanes))
	for i := range p.lanes {
		lane := p.lanes[(p.turn+uint64(i))%uint64(len(p.lanes))]
		lanes = append(lanes, ops.LaneRoutes{Lane: lane, Routes: p.s.routes.served(lane, p.capabilities)})
	}
	op := p.s.rules.Claim(shard, p.turn, lanes, wants)
	// Not cut short: until the unit has its outcome, nobody else may look at what the waiters got.
	err := p.s.commit.Do(context.WithoutCancel(ctx), &op.Unit)
	if err == nil {
		err = op.Outcome()
	}
	if err != nil {
		for _, w := range wants {
			w.Got = nil
		}
	}
	return err
}
