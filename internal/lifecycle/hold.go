package lifecycle

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Renew extends the lease to now+TTL, or shortens it (chapter 10, section 3.9). Epoch and lease id stay. It writes no
// event.
func Renew(e *record.Execution, cmd *ff.Renew, now ff.Timestamp) (Change, error) {
	if err := checkFence(e, cmd.Fence, ff.SourceLeaseHolder, now); err != nil {
		return Change{}, err
	}
	n := *e
	n.LeaseRenewedAt, n.LeaseExpiresAt = now, now.Add(cmd.TTL)
	if cmd.Progress != nil {
		progress(&n, cmd.Progress, now)
	}
	n.LastMutationAt = now
	settle(&n)
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

// Complete ends the execution with success (chapter 10, section 3.10). A repeat by the same holder writes nothing.
func Complete(e *record.Execution, cmd *ff.Complete, now ff.Timestamp) (Change, error) {
	if e.State.Finished() && e.State.Outcome == ff.OutcomeSuccess && sameAttempt(e, cmd.Fence) {
		return Change{}, nil
	}
	if err := checkFence(e, cmd.Fence, cmd.Source, now); err != nil {
		return Change{}, err
	}
	n, err := transition(e, OnComplete, now)
	if err != nil {
		return Change{}, err
	}
	end(n, now)
	n.Result, n.ResultEncoding = cmd.Result, cmd.ResultEncoding
	n.FailureReason, n.FailureCategory = "", ""
	settle(n)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, ff.AttemptEndedSuccess, record.AttemptSucceeded, "", "", now),
		Events:    []record.Event{completionByHolder(e, n, "completed", now)},
	}, nil
}

// Fail ends the attempt with a failure; the policy decides whether the execution gets another (chapter 10, section
// 3.11). A repeat by the same holder gets the first answer and writes nothing.
func Fail(e *record.Execution, cmd *ff.Fail, now ff.Timestamp) (Change, ff.FailResult, error) {
	if res, ok := failedBefore(e, cmd.Fence); ok {
		return Change{}, res, nil
	}
	if err := checkFence(e, cmd.Fence, cmd.Source, now); err != nil {
		return Change{}, ff.FailResult{}, err
	}
	if mayRetry(e, cmd.Category) {
		return retry(e, cmd, now)
	}
	n, err := transition(e, OnFail, now)
	if err != nil {
		return Change{}, ff.FailResult{}, err
	}
	end(n, now)
	n.FailureReason, n.FailureCategory = cmd.Reason, cmd.Category
	settle(n)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, ff.AttemptEndedFailure, record.AttemptFailed, cmd.Reason, cmd.Category, now),
		Events:    []record.Event{completionByHolder(e, n, "failed_terminal", now)},
	}, ff.FailResult{}, nil
}

func retry(e *record.Execution, cmd *ff.Fail, now ff.Timestamp) (Change, ff.FailResult, error) {
	n, err := transition(e, OnRetry, now)
	if err != nil {
		return Change{}, ff.FailResult{}, err
	}
	clearLease(n)
	n.DelayUntil = now.Add(backoffOf(e))
	n.BlockingDetail = fmt.Sprintf("retry backoff until %d (attempt %d failed: %s)", n.DelayUntil, e.AttemptIndex, cmd.Reason)
	n.RetryCount++
	n.AttemptID = ff.AttemptID{}
	n.FailureReason, n.FailureCategory = cmd.Reason, cmd.Category
	settle(n)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, ff.AttemptEndedFailure, record.AttemptRetried, cmd.Reason, cmd.Category, now),
		Events:    []record.Event{leaseEvent(e, eventReleased, "failed_retry_scheduled", now)},
	}, ff.FailResult{Retrying: true, DelayUntil: n.DelayUntil, NextAttemptIndex: n.TotalAttempts}, nil
}

// failedBefore recognises a repeated failure report.
func failedBefore(e *record.Execution, f ff.Fence) (ff.FailResult, bool) {
	switch {
	case !sameLease(e, f):
		return ff.FailResult{}, false
	case e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.PendingRetryAttempt:
		return ff.FailResult{Retrying: true, DelayUntil: e.DelayUntil, NextAttemptIndex: e.TotalAttempts}, true
	case e.State.Finished() && e.State.Outcome == ff.OutcomeFailed && f.AttemptID == e.AttemptID:
		return ff.FailResult{}, true
	default:
		return ff.FailResult{}, false
	}
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
	clearLease(n)
	n.DelayUntil = until
	if until > now {
		n.BlockingDetail = fmt.Sprintf("delayed until %d", until)
	}
	settle(n)
	return Change{Execution: n, Events: []record.Event{leaseEvent(e, eventReleased, reason, now)}}, nil
}

// pausedBefore recognises a repeated delay or release.
func pausedBefore(e *record.Execution, f ff.Fence) bool {
	return e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.AttemptInterrupted && sameAttempt(e, f)
}
