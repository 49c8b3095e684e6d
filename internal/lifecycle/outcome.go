package lifecycle

import (
	"bytes"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Complete ends the execution with success (chapter 10, section 3.10). A repeat by the same holder writes nothing.
func Complete(e *record.Execution, cmd *ff.Complete, now ff.Timestamp) (Change, error) {
	if completedBefore(e, cmd) {
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
	settle(n, now)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, ending{state: ff.AttemptEndedSuccess, outcome: record.AttemptSucceeded}, now),
		Events:    []record.Event{completionOfLease(e, n, "completed", now)},
	}, nil
}

// completedBefore recognises a repeated completion: by its fence, or an operator's without one by its result.
func completedBefore(e *record.Execution, cmd *ff.Complete) bool {
	if !e.State.Finished() || e.State.Outcome != ff.OutcomeSuccess {
		return false
	}
	return sameAttempt(e, cmd.Fence) ||
		unfenced(cmd.Fence, cmd.Source) && bytes.Equal(e.Result, cmd.Result) && e.ResultEncoding == cmd.ResultEncoding
}

// Fail ends the attempt with a failure; the policy decides whether the execution gets another (chapter 10, section
// 3.11). A repeat by the same holder gets the first answer and writes nothing.
func Fail(e *record.Execution, cmd *ff.Fail, now ff.Timestamp) (Change, ff.FailResult, error) {
	if res, ok := failedBefore(e, cmd); ok {
		return Change{}, res, nil
	}
	if err := checkFence(e, cmd.Fence, cmd.Source, now); err != nil {
		return Change{}, ff.FailResult{}, err
	}
	return failAttempt(e, failure{reason: cmd.Reason, category: cmd.Category}, now)
}

// failure is why an attempt failed.
type failure struct {
	reason   string
	category ff.FailureCategory
}

// failAttempt ends the attempt that runs on e with a failure. What follows is a retry, the end, or, if the policy says so
// and only the number of retries stands against another, a pause until an operator decides.
func failAttempt(e *record.Execution, f failure, now ff.Timestamp) (Change, ff.FailResult, error) {
	switch {
	case !retryable(e, f.category):
		return failForGood(e, f, now)
	case uint64(e.RetryCount) < uint64(e.Policy.MaxRetriesOrDefault()):
		return retry(e, f, now)
	case e.Policy.OnExhaustedOrDefault() == ff.ExhaustedPauses:
		return pauseExhausted(e, f, now)
	default:
		return failForGood(e, f, now)
	}
}

func (f failure) ends(outcome record.AttemptOutcome) ending {
	return ending{ff.AttemptEndedFailure, outcome, f.reason, f.category}
}

func failForGood(e *record.Execution, f failure, now ff.Timestamp) (Change, ff.FailResult, error) {
	n, err := transition(e, OnFail, now)
	if err != nil {
		return Change{}, ff.FailResult{}, err
	}
	end(n, now)
	n.FailureReason, n.FailureCategory = f.reason, f.category
	settle(n, now)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, f.ends(record.AttemptFailed), now),
		Events:    []record.Event{completionOfLease(e, n, "failed_terminal", now)},
	}, ff.FailResult{}, nil
}

func retry(e *record.Execution, f failure, now ff.Timestamp) (Change, ff.FailResult, error) {
	n, err := awaitRetry(e, OnRetry, f, now)
	if err != nil {
		return Change{}, ff.FailResult{}, err
	}
	n.RetryCount++
	n.DelayUntil = now.Add(backoffOf(e))
	n.BlockingDetail = fmt.Sprintf("retry backoff until %d (attempt %d failed: %s)", n.DelayUntil, e.AttemptIndex, f.reason)
	settle(n, now)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, f.ends(record.AttemptRetried), now),
		Events:    []record.Event{leaseEvent(e, eventReleased, "failed_retry_scheduled", now)},
	}, retryingAt(n), nil
}

// pauseExhausted blocks an execution whose retries are used up. Unblocking it grants one more attempt; the count of
// retries stays at its limit (I14).
func pauseExhausted(e *record.Execution, f failure, now ff.Timestamp) (Change, ff.FailResult, error) {
	n, err := awaitRetry(e, OnExhausted, f, now)
	if err != nil {
		return Change{}, ff.FailResult{}, err
	}
	n.DelayUntil = 0
	n.BlockingDetail = fmt.Sprintf("retries used up (attempt %d failed: %s)", e.AttemptIndex, f.reason)
	settle(n, now)
	return Change{
		Execution: n,
		Attempt:   endAttempt(e, f.ends(record.AttemptFailed), now),
		Events:    []record.Event{leaseEvent(e, eventReleased, "failed_paused", now)},
	}, pausedAt(n), nil
}

// awaitRetry is e without its attempt and lease. That the id of the attempt is gone tells its holder, who may report
// again, from one whose attempt ended with the execution.
func awaitRetry(e *record.Execution, on Trigger, f failure, now ff.Timestamp) (*record.Execution, error) {
	n, err := transition(e, on, now)
	if err != nil {
		return nil, err
	}
	clearLease(n)
	n.AttemptID = ff.AttemptID{}
	n.FailureReason, n.FailureCategory = f.reason, f.category
	return n, nil
}

func retryingAt(e *record.Execution) ff.FailResult {
	return ff.FailResult{Retrying: true, DelayUntil: e.DelayUntil, NextAttemptIndex: e.TotalAttempts}
}

func pausedAt(e *record.Execution) ff.FailResult {
	return ff.FailResult{Paused: true, NextAttemptIndex: e.TotalAttempts}
}

// failedBefore recognises a repeated failure report: by its fence, or an operator's without one by what it says.
func failedBefore(e *record.Execution, cmd *ff.Fail) (ff.FailResult, bool) {
	operator := unfenced(cmd.Fence, cmd.Source) && e.FailureReason == cmd.Reason && e.FailureCategory == cmd.Category
	switch {
	case !operator && !sameLease(e, cmd.Fence):
		return ff.FailResult{}, false
	case e.State.Phase == ff.PhaseRunnable && e.State.AttemptState == ff.PendingRetryAttempt:
		if e.DelayUntil == 0 { // a retry has a time, a pause has not
			return pausedAt(e), true
		}
		return retryingAt(e), true
	case e.State.Finished() && e.State.Outcome == ff.OutcomeFailed && (operator || cmd.Fence.AttemptID == e.AttemptID):
		return ff.FailResult{}, true
	default:
		return ff.FailResult{}, false
	}
}
