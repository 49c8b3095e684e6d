package ops

import (
	"errors"
	"strings"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestHolder_ExpiryFoundByACallIsMarked: the mark is made on the record as it is read, also when it was written by hand.
func TestHolder_ExpiryFoundByACallIsMarked(t *testing.T) {
	fence := ff.Fence{LeaseID: ff.NewLeaseID(), Epoch: 1, AttemptID: ff.NewAttemptID()}
	for name, eligibility := range map[string]string{"as the engine writes it": "not_applicable", "as case 6 writes it": "eligible_now"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			e := byHand("active", eligibility, "leased", "active", "running_attempt")
			e.State.BlockingReason, e.State.Outcome = "none", "none"
			e.LeaseID, e.Epoch, e.AttemptID, e.WorkerID, e.WorkerInstanceID = fence.LeaseID, 1, fence.AttemptID, "w", "w-1"
			e.TotalAttempts, e.LeaseExpiresAt, e.DueAt = 1, t0, t0
			b.put(e)
			b.refused(b.apply(b.Complete(ff.Complete{ExecutionID: e.ID, Fence: fence})), ff.ErrLeaseExpired)
			got := b.get(e.ID)
			b.equal("state", got.State.String(), "active/lease_expired_reclaimable/not_applicable/waiting_for_worker/none/attempt_interrupted")
			b.equal("ready", got.Ready, true)
			b.equal("due", got.DueAt, ff.Timestamp(0))
		})
	}
}

// TestOperator_AcceptanceFixtures: cases 1, 2, 3, 4 and 6 of chapter 30, section 30.13, over the records a store would
// read of them.
func TestOperator_AcceptanceFixtures(t *testing.T) {
	b := newBench(t)
	var changed ff.ChangePriorityResult
	var replayed ff.ReplayResult

	case1 := byHand("runnable", "eligible_now", "unowned", "waiting", "pending")
	b.put(case1)
	b.equal("case 1", b.apply(b.ChangePriority(ff.ChangePriority{ExecutionID: case1.ID, NewPriority: 5000}, &changed)), nil)
	b.equal("case 1: priority", b.get(case1.ID).Priority, 5000)

	for name, e := range map[string]*record.Execution{
		"case 2": byHand("terminal", "not_applicable", "unowned", "success", "terminated"),
		"case 3": byHand("runnable", "blocked_by_dependencies", "unowned", "waiting_children", "pending"),
	} {
		b.put(e)
		err := b.apply(b.ChangePriority(ff.ChangePriority{ExecutionID: e.ID, NewPriority: 5000}, &changed))
		if !errors.Is(err, ff.ErrExecutionNotEligible) {
			t.Errorf("%s: %v", name, err)
		}
	}

	case4 := byHand("terminal", "not_applicable", "unowned", "success", "terminated")
	b.put(case4, &record.Attempt{ExecutionID: case4.ID, LeaseEpoch: 3, Outcome: "success"})
	b.equal("case 4", b.apply(b.Replay(ff.Replay{ExecutionID: case4.ID}, &replayed)), nil)
	b.equal("case 4: answer", replayed, ff.ReplayResult{PublicState: "waiting"})
	got := b.get(case4.ID)
	b.equal("case 4: execution", []any{got.State.Phase, got.State.Eligibility, got.Public, got.AttemptIndex, got.ReplayCount},
		[]any{ff.PhaseRunnable, ff.EligibleNow, ff.PublicWaiting, 0, 1})
	tx, err := b.store.View(t.Context(), store.Reads{AttemptsOf: []store.AttemptsQuery{{ExecutionID: case4.ID, Limit: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	b.equal("case 4: attempts", tx.AttemptsOf(0), []*record.Attempt{{ExecutionID: case4.ID, LeaseEpoch: 4}})

	case6 := byHand("active", "eligible_now", "leased", "running", "running_attempt")
	b.put(case6)
	b.refused(b.apply(b.Replay(ff.Replay{ExecutionID: case6.ID}, &replayed)), ff.ErrExecutionNotTerminal)
}

func TestDescribe_ReadsOlderWords(t *testing.T) {
	b := newBench(t)
	e := byHand("terminal", "not_applicable", "unowned", "running", "terminated")
	b.put(e, &record.Attempt{ExecutionID: e.ID, LeaseEpoch: 3, Outcome: "failed", State: "ended_failure"})
	s, err := b.Describe(t.Context(), b.store, e.ID)
	b.equal("error", err, nil)
	b.equal("state", s.State.String(), "terminal/unowned/not_applicable/none/failed/attempt_terminal")
	b.equal("public state", s.PublicState, ff.PublicFailed)
	r, err := b.Result(t.Context(), b.store, e.ID)
	b.equal("error", err, nil)
	b.equal("outcome", r.Outcome, ff.OutcomeFailed)
}

func TestTick_LeavesWhatItCannotRead(t *testing.T) {
	b := newBench(t)
	e := byHand("limbo", "eligible_now", "unowned", "waiting", "pending")
	e.DueAt = t0
	b.put(e)
	due := byHand("runnable", "not_eligible_until_time", "unowned", "delayed", "pending")
	due.DelayUntil, due.DueAt = t0, t0
	b.put(due)
	handled := 0
	b.equal("tick", b.apply(b.Tick(e.ID.Partition(), 0, 10, &handled), nil), nil)
	b.equal("handled", handled, 2)
	b.equal("due again", []ff.Timestamp{b.get(e.ID).DueAt, b.get(due.ID).DueAt}, []ff.Timestamp{0, 0})
	b.equal("the other", b.get(due.ID).State.String(), "runnable/unowned/eligible_now/waiting_for_worker/none/pending_first_attempt")
}

func TestErrors_NameTheirOperationOnce(t *testing.T) {
	b := newBench(t)
	id := ff.SoloExecutionID("default", ff.DefaultPartitions())
	err := b.apply(b.Complete(ff.Complete{ExecutionID: id}))
	b.refused(err, ff.ErrExecutionNotFound)
	b.equal("text", err.Error(), "complete: execution_not_found: "+id.String())
	_, err = b.Complete(ff.Complete{})
	if err == nil || !strings.HasPrefix(err.Error(), "complete: invalid_input: execution_id") {
		t.Errorf("error is %v", err)
	}
	if ff.ErrExecutionNotFound.Op != "" {
		t.Error("the sentinel was changed")
	}
}

// TestSubmit_ConflictOfKeysLeavesTheOthers: a conflict rejects its item alone.
func TestSubmit_ConflictOfKeysLeavesTheOthers(t *testing.T) {
	b := newBench(t)
	var list []*Submission
	for _, kind := range []string{"a", "b", "a"} {
		s, err := b.NewSubmission(ff.Submit{Lane: "mail", Kind: kind, IdempotencyKey: "key"})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	op := b.Submit(list, true, func(ff.LaneID, int64) bool { return false })
	b.equal("outcome", b.apply(op, nil), nil)
	b.equal("answers", []ff.SubmitOutcome{list[0].Result.Outcome, list[1].Result.Outcome, list[2].Result.Outcome},
		[]ff.SubmitOutcome{"created", "rejected", "duplicate"})
	b.refused(list[1].Result.Err, ff.ErrIdempotencyConflict)
	b.equal("id of the repeat", list[2].Result.ID, list[0].Result.ID)
}

// TestReserveKey_SurvivesACrash: the first step of a submission maps its key; who comes next with the key completes it.
func TestReserveKey_SurvivesACrash(t *testing.T) {
	b := newBench(t)
	newSubmission := func() *Submission {
		s, err := b.NewSubmission(ff.Submit{Lane: "mail", Kind: "send", IdempotencyKey: "key"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	crashed, next := newSubmission(), newSubmission()
	b.equal("first step", b.apply(b.ReserveKey(crashed), nil), nil)
	b.equal("first step of the next", b.apply(b.ReserveKey(next), nil), nil)
	next.FollowKey()
	b.equal("second step", b.apply(b.Submit([]*Submission{next}, false, func(ff.LaneID, int64) bool { return false }), nil), nil)
	b.equal("answer", next.Result, ff.SubmitResult{ID: crashed.ID(), Outcome: ff.Duplicate})
	if b.get(crashed.ID()) == nil {
		t.Error("the execution the key maps to was not created")
	}
}
