package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Renew extends the lease to now+TTL, or shortens it (chapter 10, section 3.9), within what is left to the attempt and the
// execution. Epoch and lease id stay. It writes no event.
func Renew(e *record.Execution, cmd *ff.Renew, now ff.Timestamp) (Change, error) {
	if err := checkFence(e, cmd.Fence, ff.SourceLeaseHolder, now); err != nil {
		return Change{}, err
	}
	n := *e
	n.LeaseRenewedAt, n.LeaseExpiresAt = now, leaseUntil(e, now.Add(cmd.TTL))
	if cmd.Progress != nil {
		progress(&n, cmd.Progress, now)
	}
	n.LastMutationAt = now
	settle(&n, now)
	return Change{Execution: &n}, nil
}

// UpdateProgress records what the holder reports. The lease keeps its expiry.
func UpdateProgress(e *record.Execution, cmd *ff.UpdateProgress, now ff.Timestamp) (Change, error) {
	if err := checkFence(e, cmd.Fence, ff.SourceLeaseHolder, now); err != nil {
		return Change{}, err
	}
	n := *e
	progress(&n, &cmd.Progress, now)
	n.LastMutationAt = now
	return Change{Execution: &n}, nil
}

// progress overwrites what is given; what is absent stays (W32).
func progress(e *record.Execution, p *ff.Progress, now ff.Timestamp) {
	if p.Percent != nil {
		pct := *p.Percent
		e.ProgressPercent = &pct
	}
	if p.Message != nil {
		e.ProgressMessage = *p.Message
	}
	if p.Details != nil {
		e.ProgressDetails = p.Details
	}
	e.ProgressUpdatedAt = now
}

// Delay gives the lease back until a time, at once when that has passed; the attempt stays open and continues with the
// next claim (chapter 10, section 3.12). A repeat by the same holder writes nothing.
func Delay(e *record.Execution, cmd *ff.Delay, now ff.Timestamp) (Change, ff.Timestamp, error) {
	if pausedBefore(e, cmd.Fence) {
		return Change{}, e.DelayUntil, nil
	}
	until := cmd.Until
	if cmd.For > 0 {
		until = now.Add(cmd.For)
	}
	ch, err := pause(e, cmd.Fence, cmd.Source, until, "worker_delay", now)
	return ch, until, err
}

// Release gives the lease back at once; the attempt stays open and continues with the next claim. A repeat by the same
// holder writes nothing.
func Release(e *record.Execution, cmd *ff.Release, now ff.Timestamp) (Change, error) {
	if pausedBefore(e, cmd.Fence) {
		return Change{}, nil
	}
	return pause(e, cmd.Fence, ff.SourceLeaseHolder, now, "worker_release", now)
}

func pause(e *record.Execution, f ff.Fence, source ff.Source, until ff.Timestamp, reason string, now ff.Timestamp) (Change, error) {
	if err := checkFence(e, f, source, now); err != nil {
		return Change{}, err
	}
	on := OnRelease
	if until > now {
		on = OnDelay
	}
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	stopClock(n, now)
	clearLease(n)
	n.DelayUntil = until
	if until > now {
		n.BlockingDetail = fmt.Sprintf("delayed until %d", until)
	}
	settle(n, now)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventReleased, reason, now)}}, nil
}

// pausedBefore recognises a repeated delay or release.
func pausedBefore(e *record.Execution, f ff.Fence) bool {
	return e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.AttemptInterrupted && sameAttempt(e, f)
}
