package sched

import (
	"context"
	"sync"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// requestKey names a repeatable claim.
type requestKey struct {
	instance flowfabric.WorkerInstanceID
	id       string
}

// claimAgain answers a claim with a request id: first with what an earlier claim of the same request was granted and still
// holds, then, up to its Max, with more. It waits only if there is nothing (W36).
func (s *Scheduler) claimAgain(ctx context.Context, w *waiter) ([]flowfabric.Claimed, error) {
	cmd := &w.want.Claim
	held, err := s.regrant(ctx, *cmd)
	if err != nil {
		return nil, err
	}
	if len(held) > 0 {
		cmd.Wait = 0
	}
	if cmd.Max -= len(held); cmd.Max == 0 {
		return held, nil
	}
	more, err := s.claim(ctx, w)
	if len(held) > 0 && err != nil {
		return held, nil //nolint:nilerr // what is held is an answer; the next repeat may bring more
	}
	return append(held, more...), err
}

// enter waits until no other claim of the same request is under way: what it is granted would not be found. The caller has to
// leave.
func (s *Scheduler) enter(ctx context.Context, key requestKey) error {
	for {
		s.mu.Lock()
		busy, ok := s.mu.requests[key]
		if !ok {
			s.mu.requests[key] = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return &flowfabric.Error{
				Code: flowfabric.CodeTimeout, Op: "claim", Detail: "another claim with the same request id is under way", Err: context.Cause(ctx),
			}
		}
	}
}

func (s *Scheduler) leave(key requestKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.mu.requests[key])
	delete(s.mu.requests, key)
}

// regrants are the repeated claims that wait to hear what they hold. A look passes over all leases, and after an outage every
// worker repeats its claim: while one is under way, those that come wait for the next, which is one for all of them.
type regrants struct {
	sync.Mutex
	waiting []*regrant
	looking bool
}

type regrant struct {
	cmd  flowfabric.Claim
	held []flowfabric.Claimed
	err  error
	done chan struct{} // closed when held and err are set
}

// maxRegrants bounds the claims of one look.
const maxRegrants = 1_000

// regrant returns what an earlier claim with the request id of cmd still holds.
func (s *Scheduler) regrant(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	r := &regrant{cmd: cmd, done: make(chan struct{})}
	if !s.regrants.add(r, s.group, s.lookForHeld) {
		return nil, closed(nil)
	}
	select {
	case <-r.done:
		return r.held, r.err
	case <-ctx.Done():
		return nil, claimedNothing(ctx)
	}
}

// add sees to it that somebody looks and comes to r; in a closed group nobody does.
func (g *regrants) add(r *regrant, group *loop.Group, look func(context.Context)) bool {
	g.Lock()
	defer g.Unlock()
	g.looking = g.looking || group.Go(look)
	if g.looking {
		g.waiting = append(g.waiting, r)
	}
	return g.looking
}

// take returns the claims of the next look; none ends the looking.
func (g *regrants) take() []*regrant {
	g.Lock()
	defer g.Unlock()
	n := min(len(g.waiting), maxRegrants)
	next := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; len(g.waiting) == 0 {
		g.waiting = nil
	}
	g.looking = n > 0
	return next
}

// lookForHeld answers the repeated claims that wait.
func (s *Scheduler) lookForHeld(ctx context.Context) {
	for next := s.regrants.take(); len(next) > 0; next = s.regrants.take() {
		cmds := make([]flowfabric.Claim, len(next))
		for i, r := range next {
			cmds[i] = r.cmd
		}
		held, err := s.rules.Regrant(ctx, s.st, cmds)
		if err != nil && ctx.Err() != nil {
			err = closed(context.Cause(ctx))
		}
		for i, r := range next {
			if r.err = commit.Coded(err); err == nil {
				r.held = held[i]
			}
			close(r.done)
		}
	}
}
