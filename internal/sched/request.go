package sched

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
)

// requestKey names a repeatable claim.
type requestKey struct {
	instance flowfabric.WorkerInstanceID
	id       string
}

// claimAgain answers a claim with a request id: first with what an earlier claim of the same request was granted and still
// holds, then, up to its Max, with more. It waits only if there is nothing (W36).
func (s *Scheduler) claimAgain(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	leave, err := s.enter(ctx, requestKey{cmd.WorkerInstanceID, cmd.RequestID})
	if err != nil {
		return nil, err
	}
	defer leave()
	held, err := s.rules.Regrant(ctx, s.st, cmd)
	if err != nil {
		return nil, commit.Coded(err)
	}
	if len(held) > 0 {
		cmd.Wait = 0
	}
	if cmd.Max -= len(held); cmd.Max == 0 {
		return held, nil
	}
	more, err := s.claim(ctx, cmd)
	if len(held) > 0 && err != nil { // what is held is an answer; the next repeat may bring more
		return held, nil
	}
	return append(held, more...), err
}

// enter waits until no other claim of the same request is under way: what it is granted would not be found.
func (s *Scheduler) enter(ctx context.Context, key requestKey) (leave func(), err error) {
	for {
		s.mu.Lock()
		busy, ok := s.mu.requests[key]
		if !ok {
			mine := make(chan struct{})
			s.mu.requests[key] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.mu.requests, key)
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, &flowfabric.Error{
				Code: flowfabric.CodeTimeout, Op: "claim", Detail: "another claim with the same request id is under way", Err: context.Cause(ctx),
			}
		}
	}
}
