package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
)

// renewal is one look at the leases: what is to be renewed now, and what was found lost.
type renewal struct {
	tasks []*Task
	cmds  []flowfabric.Renew
	lost  []*Task
	stuck []StuckReport
	// callBy is when the answer must be there: a third of the TTL from now, or when the first lease ends.
	callBy time.Time
	// next is when to look again.
	next time.Time
}

// renew is a step of the loop that keeps the leases: it renews what is due in one call and returns how long to wait.
func (s *session) renew(ctx context.Context) (time.Duration, error) {
	now := s.clock.Now()
	r := s.leases.look(now)
	if len(r.cmds) > 0 {
		callCtx, stop := context.WithTimeout(ctx, r.callBy.Sub(now))
		results, err := s.svc.RenewMany(callCtx, r.cmds)
		stop()
		if err == nil && len(results) != len(r.cmds) {
			err = fmt.Errorf("%d answers to %d renewals", len(results), len(r.cmds))
		}
		if err != nil {
			s.log.WarnContext(ctx, "leases could not be renewed; it will be tried again", "leases", len(r.cmds), "error", err)
		}
		s.leases.settleRenewal(&r, now, results, err)
	}
	for _, t := range r.lost {
		s.logLoss(ctx, t, t.lease.lost)
	}
	s.reportStuck(ctx, r.stuck)
	return r.next.Sub(s.clock.Now()), nil
}

// look finds the leases to renew at now and ends those whose time has passed. The next look is a sixth of the TTL away
// at most, and so before any lease that is claimed meanwhile is due.
func (l *leases) look(now time.Time) renewal {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := renewal{callBy: now.Add(l.ttl / renewShare), next: now.Add(l.ttl / claimShare)}
	soon := now.Add(l.ttl / slackShare)
	for _, t := range l.tasks {
		le := &t.lease
		if le.lost == nil && !now.Before(le.deadline) {
			le.lose(now, l.errExpired())
			r.lost = append(r.lost, t)
		}
		l.judge(t, now, &r)
		if le.lost != nil {
			continue
		}
		r.callBy, r.next = earlier(r.callBy, le.deadline), earlier(r.next, le.deadline)
		reports := t.progress.unsent != nil
		due := !le.renewAt.After(soon) || reports && !t.progress.due.After(now)
		switch {
		case le.refused:
		case !due && reports:
			r.next = earlier(r.next, earlier(le.renewAt, t.progress.due))
		case !due:
			r.next = earlier(r.next, le.renewAt)
		case len(r.cmds) == flowfabric.MaxRenewMany:
			r.next = now
		default:
			r.tasks = append(r.tasks, t)
			r.cmds = append(r.cmds, flowfabric.Renew{
				ExecutionID: t.ID(), Fence: t.Fence(), TTL: l.ttl, Progress: t.progress.take(),
			})
		}
	}
	l.nextLook = r.next
	return r
}

// settleRenewal records the answers to a renewal that was sent at sent; err answers all of it.
func (l *leases) settleRenewal(r *renewal, sent time.Time, results []flowfabric.RenewResult, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.clock.Now().Add(l.ttl / slackShare)
	for i, t := range r.tasks {
		le, answer := &t.lease, flowfabric.RenewResult{Err: err}
		if err == nil {
			answer = results[i]
		}
		loss := lossOf(answer.Err)
		switch {
		case le.index < 0 || le.lost != nil: // it has ended meanwhile
		case answer.Err == nil:
			le.expiresAt = answer.LeaseExpiresAt
			le.extend(sent, l.ttl)
			r.next = earlier(r.next, le.renewAt)
		case loss != nil && le.phase == settling:
			le.refused = true
		case loss != nil:
			le.lose(l.clock.Now(), loss)
			r.lost = append(r.lost, t)
			r.next = earlier(r.next, le.reportAt)
		default:
			le.renewAt = again
			r.next = earlier(r.next, again)
			if !refused(answer.Err) { // or the report would keep the lease from being renewed for ever
				t.progress.putBack(r.cmds[i].Progress, again)
			}
		}
	}
	r.next = earlier(r.next, l.nextLook)
	l.nextLook = r.next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
