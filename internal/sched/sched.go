// Package sched is the claim path. Claims of one process that ask for the same lanes and offer the same capabilities wait
// in one pool; a pool serves all of them with one query and one commit.
//
// What may be claimed is kept as marks: this process marks a route of a lane when it commits work for it, and takes the
// mark away when a claim has found nothing more there. So a pool asks only for routes that may have work, however many it
// could serve, and sleeps while there are none; a commit wakes one pool that can serve what it made ready. Marks are hints.
// The store tells which routes have work (a survey): when another process says that a lane has changed, and in any case
// once a poll.
package sched

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Config of a [Scheduler].
type Config struct {
	// Poll is the longest a waiting claim goes without looking: work whose wake-up was lost is found this late, at most.
	Poll time.Duration
	// Metrics hears of claims; nil: nobody does.
	Metrics *obs.Metrics
}

// Scheduler hands ready executions to claims. It is safe for concurrent use.
type Scheduler struct {
	st     store.Store
	rules  ops.Rules
	commit *commit.Committer
	clock  clock.Clock
	log    *slog.Logger
	cfg    Config
	group  *loop.Group
	// regrants answer repeated claims.
	regrants regrants
	mu       struct {
		sync.Mutex
		pools map[string]*pool
		lanes map[flowfabric.LaneID]*lane
		// count orders marks and the queries that may or may not have seen what they tell of.
		count uint64
		// requests are the repeatable claims that are under way.
		requests map[requestKey]chan struct{}
	}
}

// New returns a scheduler whose pools run in group.
func New(st store.Store, rules ops.Rules, cm *commit.Committer, c clock.Clock, log *slog.Logger, group *loop.Group, cfg Config) *Scheduler {
	cfg.Metrics = cfg.Metrics.OrNone()
	s := &Scheduler{st: st, rules: rules, commit: cm, clock: c, log: log, cfg: cfg, group: group}
	s.mu.pools = make(map[string]*pool)
	s.mu.lanes = make(map[flowfabric.LaneID]*lane)
	s.mu.requests = make(map[requestKey]chan struct{})
	s.mu.count = 1
	return s
}

// Claim answers a validated claim: up to cmd.Max executions, or none when nothing came within cmd.Wait.
//
// A thousand claims may wait in here, each on a goroutine whose stack, from the server down, has to fit into a quarter of 8 kB of
// the runtime's, or the collector leaves it 16: what is large goes by reference, and what is rare has a function of its own.
func (s *Scheduler) Claim(ctx context.Context, cmd *flowfabric.Claim) ([]flowfabric.Claimed, error) {
	w := &waiter{want: ops.Want{Claim: *cmd}, done: make(chan struct{})}
	if cmd.RequestID != "" {
		key := requestKey{cmd.WorkerInstanceID, cmd.RequestID}
		if err := s.enter(ctx, key); err != nil {
			return nil, err
		}
		defer s.leave(key)
		if !cmd.FirstTry {
			return s.claimAgain(ctx, w)
		}
	}
	return s.claim(ctx, w)
}

func (s *Scheduler) claim(ctx context.Context, w *waiter) ([]flowfabric.Claimed, error) {
	p := s.join(w)
	var timeout <-chan time.Time
	if wait := w.want.Claim.Wait; wait > 0 {
		t := s.clock.NewTimer(wait)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-w.done:
		return w.want.Got, w.err
	case <-timeout:
		if p.leave(w) {
			return nil, nil
		}
	case <-ctx.Done():
		if p.leave(w) {
			return nil, claimedNothing(ctx)
		}
	}
	return s.underWay(ctx, w)
}

// underWay waits for the outcome of a grant whose claim has ended: it must be known, or the lease would be nobody's.
func (s *Scheduler) underWay(ctx context.Context, w *waiter) ([]flowfabric.Claimed, error) {
	<-w.done
	if ctx.Err() == nil || w.err != nil {
		return w.want.Got, w.err
	}
	detail := "nothing was claimed"
	if len(w.want.Got) > 0 {
		s.release(ctx, w.want.Got)
		detail = "what was claimed was given back"
	}
	return nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "claim", Detail: detail, Err: context.Cause(ctx)}
}

func claimedNothing(ctx context.Context) error {
	return &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "claim", Detail: "nothing was claimed", Err: context.Cause(ctx)}
}

// release gives back what nobody will run. It waits for the commit: a caller that has its answer may close the engine.
func (s *Scheduler) release(ctx context.Context, got []flowfabric.Claimed) {
	ctx = context.WithoutCancel(ctx)
	list, units := make([]*ops.Op, len(got)), make([]*store.Unit, len(got))
	for i, c := range got {
		op, err := s.rules.Release(flowfabric.Release{ExecutionID: c.ExecutionID, Fence: c.Fence})
		if err != nil {
			s.log.ErrorContext(ctx, "what was claimed cannot be given back", "execution_id", c.ExecutionID, "error", err)
			return
		}
		list[i], units[i] = op, &op.Unit
	}
	if err := s.commit.Do(ctx, units...); err != nil {
		s.log.WarnContext(ctx, "claims nobody waits for any more were not given back; their leases will run out", "error", err)
		return
	}
	for i, op := range list {
		if err := op.Outcome(); err != nil {
			s.log.WarnContext(ctx, "a claim nobody waits for any more was not given back; its lease will run out", "execution_id", got[i].ExecutionID, "error", err)
		}
	}
}

// Committed takes in what this process has committed: routes and lanes that are registered now, work that is ready, slots
// that are free.
func (s *Scheduler) Committed(written []*record.Execution) {
	if len(written) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range written {
		l := s.lane(e.Lane)
		l.used = true
		n := l.learn(e.Route, e.Capabilities)
		shard := s.st.Shard(e.ID.Partition())
		if e.Ready {
			s.mark(l, shard, n)
		}
		if f := &l.shards[shard]; !e.Slot && f.settings != nil && f.settings.MaxConcurrency > 0 {
			f.release(s.tick())
			s.wakeFor(l, shard)
		}
	}
}

// Changed says that the settings of a lane were changed.
func (s *Scheduler) Changed(name flowfabric.LaneID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lane(name)
	l.release(s.tick())
	for p := range l.sleepers {
		p.rouse()
	}
}

// Wake says that another process has made work of a lane ready; an empty lane means any.
func (s *Scheduler) Wake(name flowfabric.LaneID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.mu.lanes {
		if name == "" || name == l.name {
			l.staleAt = s.tick()
			l.release(l.staleAt)
			rouseOne(l)
		}
	}
}

// Known reports whether a route is registered, as far as this process has seen; route 0: whether the lane is.
func (s *Scheduler) Known(name flowfabric.LaneID, route int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.mu.lanes[name]
	if !ok || !l.used {
		return false
	}
	_, ok = l.numbers[route]
	return ok
}

// tick counts on. The lock is held.
func (s *Scheduler) tick() uint64 {
	s.mu.count++
	return s.mu.count
}

// lane returns what is known of a lane. The lock is held.
func (s *Scheduler) lane(name flowfabric.LaneID) *lane {
	l, ok := s.mu.lanes[name]
	if !ok {
		l = newLane(name, len(s.st.Shards()))
		s.mu.lanes[name] = l
	}
	return l
}

// mark notes that a route may have work and wakes one pool that can serve it, if one sleeps. A pool that is awake looks at
// the marks before it sleeps. The lock is held.
func (s *Scheduler) mark(l *lane, shard, n int) {
	l.mark(shard, n, s.tick())
	for p := range l.sleepers {
		if p.serves(l, n) {
			p.rouse()
			return
		}
	}
}

// markAll is mark on every shard.
func (s *Scheduler) markAll(l *lane, n int) {
	for shard := range l.shards {
		s.mark(l, shard, n)
	}
}

// wakeFor wakes one pool that can serve what is marked on a shard of a lane. The lock is held.
func (s *Scheduler) wakeFor(l *lane, shard int) {
	for p := range l.sleepers {
		if o := p.offerOn(l); l.shards[shard].ready.meets(o.routes) {
			p.rouse()
			return
		}
	}
}

// handOver wakes pools for what a pool leaves behind that nobody waits in any more: it may have been woken alone for it.
// The lock is held.
func (s *Scheduler) handOver(from *pool) {
	for _, src := range from.sources {
		l := src.lane
		if l.staleAt != 0 {
			rouseOne(l)
		}
		for i := range l.shards {
			if len(l.sleepers) == 0 {
				break
			}
			left := l.shards[i].ready.and(src.offer.routes)
			for p := range l.sleepers {
				if o := p.offerOn(l); left.meets(o.routes) {
					left.subtract(o.routes)
					p.rouse()
				}
			}
		}
	}
}

// rouseOne wakes any of the pools that sleep on a lane. The lock is held.
func rouseOne(l *lane) {
	for p := range l.sleepers {
		p.rouse()
		return
	}
}

// maxPools bounds the idle pools that are kept; what they remember is only a short cut.
const maxPools = 1000

// join puts a waiter into the pool of its lanes and capabilities.
func (s *Scheduler) join(w *waiter) *pool {
	cmd := &w.want.Claim
	var text strings.Builder
	for _, name := range cmd.Lanes {
		text.WriteString(string(name))
		text.WriteByte(0)
	}
	text.WriteByte(0)
	text.WriteString(strings.Join(cmd.Capabilities, ","))
	key := text.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.mu.pools[key]
	if !ok {
		s.dropIdle()
		p = s.newPool(cmd)
		s.mu.pools[key] = p
	}
	p.join(w)
	return p
}

// dropIdle makes room for a new pool. The lock is held.
func (s *Scheduler) dropIdle() {
	if len(s.mu.pools) < maxPools {
		return
	}
	for key, p := range s.mu.pools {
		if !p.running {
			delete(s.mu.pools, key)
			for _, src := range p.sources {
				src.lane.drop(src.offer)
			}
		}
	}
}

// newPool makes the pool of a claim's lanes, each once, and capabilities. The lock is held.
func (s *Scheduler) newPool(cmd *flowfabric.Claim) *pool {
	p := &pool{s: s, hint: loop.NewWakeup()}
	seen := make(map[flowfabric.LaneID]bool, len(cmd.Lanes))
	for _, name := range cmd.Lanes {
		if seen[name] {
			continue
		}
		seen[name] = true
		l := s.lane(name)
		p.sources = append(p.sources, source{lane: l, offer: l.offerOf(cmd.Capabilities), credits: make([]int, len(l.shards))})
	}
	return p
}
