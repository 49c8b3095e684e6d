// Package sched is the claim path. Claims of one process that ask for the same lanes and offer the same capabilities wait
// in one pool; a pool serves all of them with one query and one commit. A wake-up makes a pool look; a poll is the truth.
package sched

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// Config of a [Scheduler].
type Config struct {
	// Poll is the longest a waiting claim goes without looking: work whose wake-up was lost is found this late, at most.
	Poll time.Duration
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
	routes *routes
	mu     struct {
		sync.Mutex
		pools map[string]*pool
	}
}

// New returns a scheduler whose pools run in group.
func New(st store.Store, rules ops.Rules, cm *commit.Committer, c clock.Clock, log *slog.Logger, group *loop.Group, cfg Config) *Scheduler {
	s := &Scheduler{st: st, rules: rules, commit: cm, clock: c, log: log, cfg: cfg, group: group, routes: newRoutes(st, c)}
	s.mu.pools = make(map[string]*pool)
	return s
}

// Claim answers a validated claim: up to cmd.Max executions, or none when nothing came within cmd.Wait.
func (s *Scheduler) Claim(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	w := &waiter{want: ops.Want{Claim: cmd}, done: make(chan struct{})}
	p := s.pool(cmd)
	p.join(w)
	var timeout <-chan time.Time
	if cmd.Wait > 0 {
		t := s.clock.NewTimer(cmd.Wait)
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
			return nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "claim", Detail: "nothing was claimed", Err: context.Cause(ctx)}
		}
	}
	// A grant is under way: its outcome must be known, or the lease would be nobody's.
	<-w.done
	if ctx.Err() == nil || w.err != nil {
		return w.want.Got, w.err
	}
	detail := "nothing was claimed"
	if len(w.want.Got) > 0 {
		s.release(w.want.Got)
		detail = "what was claimed was given back"
	}
	return nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "claim", Detail: detail, Err: context.Cause(ctx)}
}

// release gives back what nobody will run.
func (s *Scheduler) release(got []flowfabric.Claimed) {
	s.group.Go(func(ctx context.Context) {
		for _, c := range got {
			op, err := s.rules.Release(flowfabric.Release{ExecutionID: c.ExecutionID, Fence: c.Fence})
			if err == nil {
				err = s.commit.Do(ctx, &op.Unit)
			}
			if err == nil {
				err = op.Outcome()
			}
			if err != nil {
				s.log.WarnContext(ctx, "a claim nobody waits for any more was not given back; its lease will run out", "execution_id", c.ExecutionID, "error", err)
			}
		}
	})
}

// Wake makes the claims that wait for a lane look now; an empty lane wakes all.
func (s *Scheduler) Wake(lane flowfabric.LaneID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.mu.pools {
		if lane == "" || slices.Contains(p.lanes, lane) {
			p.wake()
		}
	}
}

// Known reports whether a route is registered, as far as this process has seen.
func (s *Scheduler) Known(lane flowfabric.LaneID, route int64) bool {
	return s.routes.known(lane, route)
}

// Learn notes a route that was committed.
func (s *Scheduler) Learn(lane flowfabric.LaneID, route int64, capabilities []string) {
	s.routes.learn(lane, route, capabilities)
}

// maxPools bounds the idle pools that are kept; what they remember is only a short cut.
const maxPools = 1000

// pool returns the pool of a claim's lanes and capabilities.
func (s *Scheduler) pool(cmd flowfabric.Claim) *pool {
	var key strings.Builder
	for _, lane := range cmd.Lanes {
		key.WriteString(string(lane))
		key.WriteByte(0)
	}
	key.WriteByte(0)
	key.WriteString(strings.Join(cmd.Capabilities, ","))
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.mu.pools[key.String()]; ok {
		return p
	}
	if len(s.mu.pools) >= maxPools {
		for k, p := range s.mu.pools {
			if p.idle() {
				delete(s.mu.pools, k)
			}
		}
	}
	p := &pool{s: s, lanes: slices.Clone(cmd.Lanes), capabilities: cmd.Capabilities, hint: loop.NewWakeup()}
	s.mu.pools[key.String()] = p
	return p
}
