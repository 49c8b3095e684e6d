package worker

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
)

// StuckReport tells of a handler that has run for longer than Config.StuckAfter, or goes on although its context has ended.
type StuckReport struct {
	ExecutionID flowfabric.ExecutionID
	Kind        string
	Lane        flowfabric.LaneID
	Attempt     int
	RunningFor  time.Duration
	// StoppedFor is how long ago the handler's context ended; 0: it has not.
	StoppedFor time.Duration
	// LeaseLost is why the lease is gone; nil while it is held. The execution may be running elsewhere by now.
	LeaseLost error
}

// time begins to watch the handler of a task. l.mu is held.
func (l *leases) time(t *Task) {
	le := &t.lease
	le.began = l.clock.Now()
	if l.stuckAfter <= 0 {
		return
	}
	le.reportAt = le.began.Add(l.stuckAfter)
	if le.reportAt.Before(l.nextLook) {
		l.nextLook = le.reportAt
		l.wake.Wake()
	}
}

// judge reports the handler of a task if it is stuck, and sees to it that the next look is in time. l.mu is held.
func (l *leases) judge(t *Task, now time.Time, r *renewal) {
	le := &t.lease
	if le.phase != running || l.stuckAfter <= 0 {
		return
	}
	if !now.Before(le.reportAt) {
		report := StuckReport{
			ExecutionID: t.ID(), Kind: t.Kind(), Lane: t.Lane(), Attempt: t.Attempt(), RunningFor: now.Sub(le.began), LeaseLost: le.lost,
		}
		if !le.stoppedAt.IsZero() {
			report.StoppedFor = now.Sub(le.stoppedAt)
		}
		r.stuck = append(r.stuck, report)
		le.reportAt = now.Add(now.Sub(le.began))
	}
	r.next = earlier(r.next, le.reportAt)
}

// reportStuck passes reports on.
func (s *session) reportStuck(ctx context.Context, reports []StuckReport) {
	for _, r := range reports {
		s.log.WarnContext(ctx, "a handler does not return", "execution_id", r.ExecutionID, "kind", r.Kind,
			"running_for", r.RunningFor, "stopped_for", r.StoppedFor, "lease_lost", r.LeaseLost)
		if s.cfg.OnStuck != nil {
			s.background.Go(func(context.Context) { s.cfg.OnStuck(r) })
		}
	}
}
