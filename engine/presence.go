package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/due"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// presence gives the signs of life of workers whose claims wait, as [flowfabric.Claim].LivenessTTL promises: one loop for all of
// them, and one commit for all whose sign is due at about the same time.
type presence struct {
	rules  ops.Rules
	commit *commit.Committer
	due    *due.Loop
	clock  clock.Clock
	wake   *loop.Wakeup
	mu     struct {
		sync.Mutex
		waiting map[flowfabric.WorkerInstanceID]*waiting
	}
}

// waiting is an instance with claims that wait, or did when its last sign was due.
type waiting struct {
	sign   flowfabric.RegisterWorker // as its latest claim has it
	claims int
	at     time.Time // when its next sign is due
}

const (
	signsPerTTL = 3
	// firstSign is how much of its TTL a claim waits before the first sign: those that are served at once need none.
	firstSign = 60
	// presenceLook is the longest between two looks while claims wait; presenceRest when none do.
	presenceLook, presenceRest = time.Second, time.Minute
)

func newPresence(rules ops.Rules, c *commit.Committer, d *due.Loop, clk clock.Clock) *presence {
	p := &presence{rules: rules, commit: c, due: d, clock: clk, wake: loop.NewWakeup()}
	p.mu.waiting = make(map[flowfabric.WorkerInstanceID]*waiting)
	return p
}

// begin notes that a claim waits, until end is called.
func (p *presence) begin(cmd *flowfabric.Claim) (end func()) {
	if cmd.LivenessTTL == 0 || cmd.Wait == 0 {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.mu.waiting[cmd.WorkerInstanceID]
	if w == nil {
		w = &waiting{at: p.clock.Now().Add(cmd.LivenessTTL / firstSign)}
		p.mu.waiting[cmd.WorkerInstanceID] = w
		p.wake.Wake()
	}
	w.claims++
	w.sign = flowfabric.RegisterWorker{
		WorkerID: cmd.WorkerID, WorkerInstanceID: cmd.WorkerInstanceID, Lanes: cmd.Lanes, Capabilities: cmd.Capabilities, LivenessTTL: cmd.LivenessTTL,
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.claims--
	}
}

// forget ends the signs of an instance that was marked dead, until its next claim.
func (p *presence) forget(id flowfabric.WorkerInstanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.waiting, id)
}

// step gives the signs that are due and returns when to look again.
func (p *presence) step(ctx context.Context) (time.Duration, error) {
	signs, pause := p.take()
	if len(signs) == 0 {
		return pause, nil
	}
	results, given, units := make([]flowfabric.RegisterResult, len(signs)), make([]*ops.Op, len(signs)), make([]*store.Unit, len(signs))
	for i, sign := range signs {
		op, err := p.rules.RegisterWorker(sign, &results[i])
		if err != nil {
			return pause, err // a bug: the claim was checked
		}
		given[i], units[i] = op, &op.Unit
	}
	err := p.commit.Do(ctx, units...)
	for i, op := range given {
		lost := err
		if lost == nil {
			lost = op.Outcome()
		}
		switch {
		case lost == nil:
			p.due.Hint(results[i].ExpiresAt)
		case !errors.Is(lost, flowfabric.ErrInvalidInput): // else the instance is another worker's
			p.again(signs[i])
			err = lost
		}
	}
	return pause, err
}

// take returns the signs to give now. When one is due, those that would be soon go with it, so that before long all of a TTL are
// given together.
func (p *presence) take() (signs []flowfabric.RegisterWorker, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	next := now.Add(presenceLook)
	for id, w := range p.mu.waiting {
		switch {
		case w.claims == 0 && !now.Before(w.at):
			delete(p.mu.waiting, id)
		case w.at.Before(next):
			next = w.at
		}
	}
	if len(p.mu.waiting) == 0 {
		return nil, presenceRest
	}
	if pause = next.Sub(now); pause > 0 {
		return nil, pause
	}
	for _, w := range p.mu.waiting {
		if ttl := w.sign.LivenessTTL; w.claims > 0 && w.at.Sub(now) <= ttl/(2*signsPerTTL) {
			w.at = now.Add(ttl / signsPerTTL)
			signs = append(signs, w.sign)
		}
	}
	return signs, 0 // whoever gives them looks again at once
}

// again has a sign given again that was not recorded.
func (p *presence) again(sign flowfabric.RegisterWorker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.mu.waiting[sign.WorkerInstanceID]; w != nil {
		w.at = p.clock.Now().Add(sign.LivenessTTL / firstSign)
	}
}
