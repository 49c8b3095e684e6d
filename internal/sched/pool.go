package sched

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
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
	// Of the goroutine alone:
	turn uint64 // counts scans: rotates lanes, shards and commit queues
	more bool   // the last scan did not exhaust what is ready

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
	if !p.mu.running && !p.s.group.Go(p.run) {
		w.err = closed(nil)
		close(w.done)
		return
	}
	p.mu.running = true
	p.mu.waiting = append(p.mu.waiting, w)
	if w.want.Claim.Wait == 0 {
		p.mu.empty = false // it wants an answer now
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
		if err != nil && ctx.Err() != nil {
			err = closed(context.Cause(ctx))
		} else if err != nil {
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

// end answers the waiters that got something, those that would not wait or have stopped waiting, and on an error all the
// others too. Else these wait on, in front of those that came later.
func (p *pool) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var again []*waiter
	for _, w := range p.mu.serving {
		if err == nil && len(w.want.Got) == 0 && w.want.Claim.Wait > 0 && !w.gone {
			again = append(again, w)
			continue
		}
		if len(w.want.Got) == 0 {
			w.err = err
		}
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
		w.err = closed(context.Cause(ctx))
		close(w.done)
	}
	p.mu.waiting = nil
	p.mu.running = false
}

func closed(cause error) error {
	return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "claim", Detail: "the engine is closed", Err: cause}
}

// pass looks for work for the waiters being served, and returns how long to wait before the next look.
func (p *pool) pass(ctx context.Context) (time.Duration, error) {
	wants := make([]*ops.Want, len(p.mu.serving)) // only this goroutine writes serving
	for i, w := range p.mu.serving {
		wants[i] = &w.want
	}
	for {
		found, err := p.scan(ctx, wants)
		switch {
		case found && p.more:
			p.wake()
			return 0, err
		case err != nil:
			return 0, err
		case found:
			return loop.Jitter(p.s.cfg.Poll), nil
		}
		fresh, retry, err := p.s.routes.refresh(ctx, p.lanes, p.capabilities)
		switch {
		case err != nil:
			return 0, err
		case fresh: // work may wait on a route that was not asked for
		case retry > 0:
			return retry, nil
		default:
			return loop.Jitter(p.s.cfg.Poll), nil
		}
	}
}

// scan asks shard by shard until every want has something, each time beginning with the next shard. found says whether
// any want got something, also when a later shard failed; p.more, whether there may be more than was found.
func (p *pool) scan(ctx context.Context, wants []*ops.Want) (found bool, err error) {
	shards := p.s.st.Shards()
	p.turn++
	hungry := slices.Clone(wants)
	visited := 0
	for i := range shards {
		shard := shards[(p.turn+uint64(i))%uint64(len(shards))]
		err = p.claim(ctx, shard, p.turn/uint64(len(shards)), hungry)
		visited++
		hungry = slices.DeleteFunc(hungry, func(w *ops.Want) bool { return len(w.Got) > 0 })
		if err != nil || len(hungry) == 0 {
			break
		}
	}
	asked, got := 0, 0
	for _, w := range wants {
		asked += w.Claim.Max
		got += len(w.Got)
	}
	p.more = err != nil || visited < len(shards) || got >= min(asked, flowfabric.MaxClaim)
	return len(hungry) < len(wants), err
}

// claim runs one claim unit on a shard, over the lanes from the given one on. Lanes rotate once all shards have been
// first, so that each lane comes first on each shard.
func (p *pool) claim(ctx context.Context, shard flowfabric.Partition, first uint64, wants []*ops.Want) error {
	lanes := make([]ops.LaneRoutes, 0, len(p.lanes))
	for i := range p.lanes {
		lane := p.lanes[(first+uint64(i))%uint64(len(p.lanes))]
		lanes = append(lanes, ops.LaneRoutes{Lane: lane, Routes: p.s.routes.served(lane, p.capabilities)})
	}
	queues := 1
	if p.more { // a backlog
		queues = p.s.st.Lanes()
	}
	parts := shares(wants, queues)
	units := make([]*store.Unit, len(parts))
	claims := make([]*ops.Op, len(parts))
	for i, part := range parts {
		claims[i] = p.s.rules.Claim(shard, p.turn+uint64(i), lanes, part)
		units[i] = &claims[i].Unit
	}
	// Not cut short: until the units have their outcome, nobody else may look at what the waiters got.
	if err := p.s.commit.Do(context.WithoutCancel(ctx), units...); err != nil {
		return err
	}
	var err error
	for i, op := range claims {
		if partErr := op.Outcome(); partErr != nil {
			err = partErr
			continue
		}
		collect(wants, parts[i])
	}
	return err
}

// bigClaim is from how many executions on a claim is cut up for all queues that commit, so that none is kept waiting.
const bigClaim = 100

// shares cuts wants into up to n lists that can be claimed side by side, each with its share of every want.
func shares(wants []*ops.Want, n int) [][]*ops.Want {
	total := 0
	for _, w := range wants {
		total += w.Claim.Max
	}
	if total < bigClaim {
		n = 1
	}
	parts := make([][]*ops.Want, max(1, n))
	for i := range parts {
		parts[i] = make([]*ops.Want, len(wants))
		for j, w := range wants {
			share := *w
			share.Claim.Max = w.Claim.Max*(i+1)/len(parts) - w.Claim.Max*i/len(parts)
			parts[i][j] = &share
		}
	}
	return parts
}

// collect gives each want what its share got.
func collect(wants, part []*ops.Want) {
	for i, w := range wants {
		w.Got = append(w.Got, part[i].Got...)
	}
}
