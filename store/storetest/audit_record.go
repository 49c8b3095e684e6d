package storetest

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// bounds: counters are within the policy (I14) and the priority within its range (I16). The defaults are the chapter's.
func (a *audit) bounds(e *record.Execution) {
	retries, reclaims, replays := uint64(0), uint64(100), uint64(10)
	if p := e.Policy; p != nil {
		if p.Retry != nil {
			retries = orElse(p.Retry.MaxRetries, 3)
		}
		reclaims = orElse(p.MaxReclaims, 100)
		replays = orElse(p.MaxReplays, 10)
	}
	for _, c := range []struct {
		name  string
		count int
		limit uint64
	}{{"retry", e.RetryCount, retries}, {"reclaim", e.ReclaimCount, reclaims}, {"replay", e.ReplayCount, replays}} {
		if c.count < 0 || uint64(c.count) > c.limit {
			a.add(e.ID, "I14: the %s count is %d, the limit %d", c.name, c.count, c.limit)
		}
	}
	if e.Priority < 0 || e.Priority > 9000 {
		a.add(e.ID, "I16: the priority is %d", e.Priority)
	}
}

func orElse(v *uint32, otherwise uint64) uint64 {
	if v == nil {
		return otherwise
	}
	return uint64(*v)
}

// times: completed_at is set exactly on finished executions and is the latest of the three instants (I18).
func (a *audit) times(e *record.Execution) {
	finished := e.State.Finished()
	switch {
	case finished != (e.CompletedAt != 0):
		a.add(e.ID, "I18: it is in phase %s and completed at %d", e.State.Phase, e.CompletedAt)
	case finished && e.CompletedAt < e.CreatedAt:
		a.add(e.ID, "I18: it completed at %d, before it was created at %d", e.CompletedAt, e.CreatedAt)
	case finished && e.CompletedAt < e.StartedAt:
		a.add(e.ID, "I18: it completed at %d, before it started at %d", e.CompletedAt, e.StartedAt)
	}
	if e.CreatedAt == 0 {
		a.add(e.ID, "I17: created_at is not set")
	}
}

// lease: a leased execution names its lease and holder, an unowned one does not.
func (a *audit) lease(e *record.Execution) {
	set := !e.LeaseID.IsZero() && e.WorkerID != "" && e.WorkerInstanceID != "" && e.LeaseExpiresAt != 0
	unset := e.LeaseID.IsZero() && e.WorkerID == "" && e.WorkerInstanceID == "" && e.LeaseExpiresAt == 0
	switch {
	case e.State.Ownership == ff.Leased && (!set || e.Epoch == 0 || e.AttemptID.IsZero()):
		a.add(e.ID, "I9: it is leased without a whole lease: id %s, epoch %d, worker %q, instance %q, until %d, attempt %s",
			e.LeaseID, e.Epoch, e.WorkerID, e.WorkerInstanceID, e.LeaseExpiresAt, e.AttemptID)
	case e.State.Ownership == ff.Unowned && !unset:
		a.add(e.ID, "I9: nobody owns it, but there is a lease %s of worker %q, instance %q, until %d",
			e.LeaseID, e.WorkerID, e.WorkerInstanceID, e.LeaseExpiresAt)
	}
}

// spans: what has ended, and nothing else, is kept until a time; a deadline, and the end of an attempt's time, are seen to
// (I28); only what waits is raised in the claim order, and only a lease takes a slot.
func (a *audit) spans(e *record.Execution) {
	finished := e.State.Finished()
	leased := e.State.Ownership == ff.Leased
	switch {
	case finished && e.RetainUntil == 0 && e.FlowID.IsZero():
		a.add(e.ID, "it has ended and is kept for ever")
	case !finished && e.RetainUntil != 0:
		a.add(e.ID, "it has not ended and may be removed after %d", e.RetainUntil)
	}
	if !finished && e.DeadlineAt != 0 && (e.DueAt == 0 || e.DueAt > e.DeadlineAt) {
		a.add(e.ID, "I28: its deadline is %d and it is due at %d", e.DeadlineAt, e.DueAt)
	}
	switch {
	case e.AttemptEndsAt != 0 && !leased:
		a.add(e.ID, "its attempt ends at %d, but nobody holds it", e.AttemptEndsAt)
	case e.AttemptEndsAt != 0 && (e.DueAt == 0 || e.DueAt > e.AttemptEndsAt):
		a.add(e.ID, "I28: its attempt ends at %d and it is due at %d", e.AttemptEndsAt, e.DueAt)
	}
	if e.Slot && !leased {
		a.add(e.ID, "it takes a slot of its lane without a lease")
	}
	if e.Boost != 0 && !e.Ready {
		a.add(e.ID, "its place is raised by %d, but it does not wait", e.Boost)
	}
}

// attempts: the indexes are without gaps, all but the last have ended, and all have when the execution has (I8, I9,
// I11). The last one is stored when it has ended, or when a replay has cleared it.
func (a *audit) attempts(e *record.Execution, list []*record.Attempt) {
	last := e.TotalAttempts - 1
	if e.TotalAttempts > 0 && e.AttemptIndex != last {
		a.add(e.ID, "I8: the attempt index is %d after %d attempts", e.AttemptIndex, e.TotalAttempts)
	}
	if e.State.AttemptState == ff.PendingFirstAttempt && e.TotalAttempts > 0 {
		a.add(e.ID, "I8: it waits for its first attempt after %d", e.TotalAttempts)
	}
	running := e.State.AttemptState == ff.RunningAttempt || e.State.AttemptState == ff.AttemptInterrupted
	stored := make([]bool, max(e.TotalAttempts, 0))
	for _, att := range list {
		if att.Index < 0 || att.Index > last {
			a.add(e.ID, "I8: attempt %d is stored; there were %d", att.Index, e.TotalAttempts)
			continue
		}
		if stored[att.Index] {
			a.add(e.ID, "I8: attempt %d is there twice", att.Index)
		}
		stored[att.Index] = true
		ended := a.attempt(att)
		switch {
		case !ended && att.Index < last:
			a.add(e.ID, "I9: attempt %d of %d has not ended", att.Index, e.TotalAttempts)
		case !ended && e.State.Finished():
			a.add(e.ID, "I11: it has ended, its attempt %d has not", att.Index)
		case ended && att.Index == last && running:
			a.add(e.ID, "I10: its attempt %d is open, but the stored one has ended", att.Index)
		}
	}
	for index, ok := range stored {
		if !ok && (index < last || e.State.Finished() || !running) {
			a.add(e.ID, "I8: attempt %d of %d is missing", index, e.TotalAttempts)
		}
	}
}

// attempt checks that a stored attempt is either ended or open in all its fields, and returns which.
func (a *audit) attempt(att *record.Attempt) (ended bool) {
	final := slices.Contains([]ff.AttemptLifecycle{
		"ended_success", "ended_failure", "ended_cancelled", "interrupted_reclaimed",
	}, att.State)
	ended = att.EndedAt != 0
	if ended != final || ended != (att.Outcome != "") {
		a.add(att.ExecutionID, "I10: attempt %d is %q with outcome %q and ended at %d", att.Index, att.State, att.Outcome, att.EndedAt)
	}
	if ended && att.EndedAt < att.StartedAt {
		a.add(att.ExecutionID, "I10: attempt %d ended at %d, before it started at %d", att.Index, att.EndedAt, att.StartedAt)
	}
	return ended
}
