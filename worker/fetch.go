package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
)

// Pauses between calls that do not succeed; they double from the first to the longest.
const (
	firstClaimPause   = 100 * time.Millisecond
	longestClaimPause = 5 * time.Second
	// claimGrace is how much longer than its wait a claim may take.
	claimGrace = 30 * time.Second
)

// fetch claims tasks until ctx ends, which is no error, or the engine calls the claims invalid.
func (s *session) fetch(ctx context.Context) error {
	pause := firstClaimPause
	for s.waitForRoom(ctx) {
		sent := s.clock.Now()
		claimed, err := s.claim(ctx)
		s.metrics.Claims.Inc(claimOutcome(claimed, err))
		s.accept(ctx, claimed, sent)
		switch {
		case refused(err):
			return fmt.Errorf("claim: %w", err)
		case err != nil && ctx.Err() == nil:
			s.log.WarnContext(ctx, "no work could be claimed; it will be tried again", "error", err, "pause", pause)
		case len(claimed) == 0 && s.clock.Now().Sub(sent) < s.cfg.PollWait/2:
			// The engine did not wait for work. Asking again at once would keep both busy for nothing.
		default:
			pause = firstClaimPause
			continue
		}
		loop.Sleep(ctx, s.clock, loop.Jitter(pause), nil)
		pause = min(2*pause, longestClaimPause)
	}
	return nil
}

// waitForRoom waits until a claim is worth its call; false: ctx ended.
func (s *session) waitForRoom(ctx context.Context) bool {
	if s.queue.want() == 0 {
		s.metrics.AtCapacity.Inc()
	}
	for s.queue.want() == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-s.queue.hungry.C():
		}
	}
	return ctx.Err() == nil
}

// claimOutcome is the word of ff_worker_claim_total.
func claimOutcome(claimed []flowfabric.Claimed, err error) string {
	switch {
	case len(claimed) > 0:
		return "claimed"
	case err != nil:
		return obs.Failed
	default:
		return "empty"
	}
}

func (s *session) claim(ctx context.Context) ([]flowfabric.Claimed, error) {
	ctx, stop := context.WithTimeout(ctx, s.cfg.PollWait+claimGrace)
	defer stop()
	s.waitsSince.Store(s.clock.Now().UnixNano())
	defer s.waitsSince.Store(0)
	return s.svc.Claim(ctx, flowfabric.Claim{
		Lanes: s.cfg.Lanes, WorkerID: s.cfg.WorkerID, WorkerInstanceID: s.cfg.InstanceID, Capabilities: s.cfg.Capabilities,
		Max: min(s.queue.want(), flowfabric.MaxClaim), Wait: s.cfg.PollWait, LeaseTTL: s.cfg.LeaseTTL,
		LivenessTTL: s.cfg.livenessTTL(),
	})
}

// accept starts as many of the claimed executions as there are slots and lets the others wait.
func (s *session) accept(ctx context.Context, claimed []flowfabric.Claimed, sent time.Time) {
	if len(claimed) == 0 {
		return
	}
	tasks, now := make([]*Task, len(claimed)), s.clock.Now()
	for i, c := range claimed {
		tasks[i] = &Task{claimed: c, claimedAt: now, session: s, lease: lease{expiresAt: c.LeaseExpiresAt}}
	}
	s.leases.add(tasks, sent)
	if ctx.Err() != nil {
		s.giveBack(tasks)
		return
	}
	for _, t := range s.queue.push(tasks) {
		s.start(t)
	}
}
