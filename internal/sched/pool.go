package sched

import (
	"context"
	"slices"
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
	gone bool // it has stopped waiting
}

// pool serves the claims of one set of lanes and capabilities. Its goroutine lives while claims wait. All but what is its
// goroutine's own is guarded by the scheduler's lock.
type pool struct {
	s       *Scheduler
	sources []source
	hint    *loop.Wakeup

	waiting []*waiter // in order of arrival
	serving []*waiter // taken into the pass that is under way
	running bool
	asleep  bool // it is among the sleepers of its lanes
	// look: a claim wants an answer now, so that what is not marked is not known to be absent.
	look bool

	// Of the goroutine alone:
	turn uint64 // counts scans: rotates shards, windows and commit queues
	more bool   // the last scan gave all that was asked for
}

// source is a lane a pool claims from.
type source struct {
	lane    *lane
	offer   *offer
	credits []int // standing among the pool's lanes, by shard
}

// join puts a waiter into the pool and sees to it that it is served. The lock is held.
func (p *pool) join(w *waiter) {
	if !p.running && !p.s.group.Go(p.run) {
		w.err = closed(nil)
		close(w.done)
		return
	}
	p.running = true
	p.waiting = append(p.waiting, w)
	if w.want.Claim.Wait == 0 {
		p.look = true
	}
	if p.open(p.s.clock.Now()) {
		p.rouse()
	}
}

// leave withdraws a waiter, unless a pass is serving it: then the end of that pass is its answer.
func (p *pool) leave(w *waiter) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	w.gone = true
	i := slices.Index(p.waiting, w)
	if i < 0 {
		return false
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	if len(p.waiting) == 0 {
		p.rouse() // let the goroutine end
	}
	return true
}

// rouse makes the goroutine look. The lock is held.
func (p *pool) rouse() {
	p.wakeUp()
	p.hint.Wake()
}

// wakeUp takes the pool from among the sleepers. The lock is held.
func (p *pool) wakeUp() {
	if p.asleep {
		p.asleep = false
		for _, src := range p.sources {
			delete(src.lane.sleepers, p)
		}
	}
}

// open reports whether there may be work. The lock is held.
func (p *pool) open(now time.Time) bool {
	if p.look {
		return true
	}
	for _, src := range p.sources {
		if src.lane.open(src.offer, now) {
			return true
		}
	}
	return false
}

// run serves passes while anybody waits.
func (p *pool) run(ctx context.Context) {
	for p.rest(ctx) {
		err := p.pass(ctx)
		if err != nil && ctx.Err() != nil {
			err = closed(context.Cause(ctx))
		} else if err != nil {
			p.s.log.WarnContext(ctx, "claim did not succeed", "lanes", p.names(), "error", err)
		}
		p.end(err)
	}
}

// rest sleeps while nothing is to be had and takes the waiters of the next pass. It reports false when the goroutine is to
// end, because nobody waits or the scheduler closes.
func (p *pool) rest(ctx context.Context) bool {
	for {
		next, sleep := p.begin()
		switch {
		case next:
			return true
		case sleep <= 0:
			return false
		case !loop.Sleep(ctx, p.s.clock, sleep, p.hint.C()):
			p.abort(ctx)
			return false
		}
	}
}

// begin takes as many waiters as one query can serve, if there is anything to be had. Else it says for how long to sleep; 0:
// nobody is left to serve.
func (p *pool) begin() (next bool, sleep time.Duration) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.wakeUp()
	if len(p.waiting) == 0 {
		p.running, p.look = false, false
		p.s.handOver(p)
		return false, 0
	}
	now := p.s.clock.Now()
	until := now.Add(p.s.cfg.Poll)
	for _, src := range p.sources {
		if l := src.lane; l.staleAt == 0 && !l.surveying && !now.Before(l.surveyBy) {
			l.staleAt = p.s.tick()
		} else if at := l.restUntil(now); at.Before(until) {
			until = at
		}
	}
	if !p.open(now) {
		p.asleep = true
		for _, src := range p.sources {
			src.lane.sleepers[p] = struct{}{}
		}
		return false, max(until.Sub(now), time.Millisecond)
	}
	n, total := 0, 0
	for n < len(p.waiting) && total < flowfabric.MaxClaim {
		total += p.waiting[n].want.Claim.Max
		n++
	}
	p.serving = slices.Clone(p.waiting[:n])
	p.waiting = slices.Delete(p.waiting, 0, n)
	return true, 0
}

// end answers the waiters that got something, those that would not wait or have stopped waiting, and on an error all the
// others too. Else these wait on, in front of those that came later.
func (p *pool) end(err error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var again []*waiter
	for _, w := range p.serving {
		if err == nil && len(w.want.Got) == 0 && w.want.Claim.Wait > 0 && !w.gone {
			again = append(again, w)
			continue
		}
		if len(w.want.Got) == 0 {
			w.err = err
		}
		close(w.done)
	}
	p.serving = nil
	p.waiting = append(again, p.waiting...)
}

// abort answers everybody when the engine closes.
func (p *pool) abort(ctx context.Context) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.wakeUp()
	for _, w := range p.waiting {
		w.err = closed(context.Cause(ctx))
		close(w.done)
	}
	p.waiting, p.running = nil, false
}

// offerOn returns what the pool can serve on one of its lanes. The lock is held.
func (p *pool) offerOn(l *lane) *offer {
	for _, src := range p.sources {
		if src.lane == l {
			return src.offer
		}
	}
	return &offer{}
}

// serves reports whether the pool can serve a route of one of its lanes. The lock is held.
func (p *pool) serves(l *lane, n int) bool { return p.offerOn(l).routes.has(n) }

func (p *pool) names() []flowfabric.LaneID {
	names := make([]flowfabric.LaneID, len(p.sources))
	for i, src := range p.sources {
		names[i] = src.lane.name
	}
	return names
}

func closed(cause error) error {
	return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "claim", Detail: "the engine is closed", Err: cause}
}
