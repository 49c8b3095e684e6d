package storetest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

const now ff.Timestamp = 1_700_000_000_000

func id(n byte) ff.ExecutionID { return ff.ExecutionIDFrom(7, uuid.UUID{15: n}) }

// sound is a store with a history for each kind of lease: 1 completed after a reclaim, 2 is running after it was
// replayed and revoked, 3 waits, 4 was lost by its worker, 5 was cancelled before it began.
func sound() *store.Dump {
	vector := func(p ff.Phase, own ff.Ownership, el ff.Eligibility, why ff.BlockingReason, o ff.Outcome, at ff.AttemptState) ff.StateVector {
		return ff.StateVector{Phase: p, Ownership: own, Eligibility: el, BlockingReason: why, Outcome: o, AttemptState: at}
	}
	event := func(n byte, family record.EventFamily, typ string, epoch uint64) record.Event {
		return record.Event{Family: family, Type: typ, ExecutionID: id(n), Epoch: epoch, At: now}
	}
	lease := func(n byte, typ string, epoch uint64) record.Event { return event(n, record.FamilyLease, typ, epoch) }
	leased := func(e record.Execution) *record.Execution {
		e.LeaseID, e.WorkerID, e.WorkerInstanceID, e.AttemptID = ff.LeaseID{1}, "w", "w-1", ff.AttemptID{1}
		e.LeaseExpiresAt = now + 30
		return &e
	}
	return &store.Dump{
		Now: now,
		Executions: []*record.Execution{
			{
				ID: id(1), Lane: "mail", CreatedAt: now - 9, StartedAt: now - 5, CompletedAt: now, RetainUntil: now + 90, TotalAttempts: 2, AttemptIndex: 1,
				ReclaimCount: 1, Epoch: 2, Public: ff.PublicCompleted,
				State: vector("terminal", "unowned", "not_applicable", "none", "success", "attempt_terminal"),
			},
			leased(record.Execution{
				ID: id(2), Lane: "mail", CreatedAt: now - 9, StartedAt: now - 5, TotalAttempts: 1, ReplayCount: 1, Epoch: 5,
				DueAt: now + 30, AttemptEndsAt: now + 40, Slot: true, Public: ff.PublicActive,
				State: vector("active", "leased", "not_applicable", "none", "none", "running_attempt"),
			}),
			{
				ID: id(3), Lane: "mail", CreatedAt: now - 9, Ready: true, Public: ff.PublicWaiting, Route: 77, Capabilities: []string{"gpu"},
				State: vector("runnable", "unowned", "eligible_now", "waiting_for_worker", "none", "pending_first_attempt"),
			},
			leased(record.Execution{
				ID: id(4), Lane: "mail", CreatedAt: now - 9, TotalAttempts: 1, Epoch: 1, Ready: true, Public: ff.PublicActive,
				State:          vector("active", "lease_expired_reclaimable", "not_applicable", "waiting_for_worker", "none", "attempt_interrupted"),
				BlockingDetail: "lease expired, awaiting reclaim",
			}),
			{
				ID: id(5), Lane: "mail", CreatedAt: now - 9, CompletedAt: now, RetainUntil: now + 80, Public: ff.PublicCancelled,
				State: vector("cancelled", "unowned", "not_applicable", "none", "cancelled", "pending_first_attempt"),
			},
		},
		Attempts: []*record.Attempt{
			{ExecutionID: id(1), Index: 0, State: ff.AttemptInterruptedReclaimed, Outcome: record.AttemptReclaimed, StartedAt: now - 5, EndedAt: now - 3},
			{ExecutionID: id(1), Index: 1, State: ff.AttemptEndedSuccess, Outcome: record.AttemptSucceeded, StartedAt: now - 3, EndedAt: now},
			{ExecutionID: id(2), Index: 0, StartedAt: now - 5}, // cleared by the replay
		},
		Routes: []*record.Route{{Lane: "mail", ID: 77, Capabilities: []string{"gpu"}}},
		Events: []record.Event{
			lease(1, "acquired", 1), lease(1, "expired", 1), lease(1, "reclaimed", 2), lease(1, "released", 2), event(1, record.FamilyCompletion, "success", 2),
			lease(2, "acquired", 1), lease(2, "released", 1), event(2, record.FamilyCompletion, "failed", 1),
			event(2, record.FamilyOperator, "replayed", 0), lease(2, "acquired", 3), lease(2, "revoked", 3), lease(2, "acquired", 5),
			lease(4, "acquired", 1), lease(4, "expired", 1),
			event(5, record.FamilyCompletion, "cancelled", 0),
			lease(6, "acquired", 1), event(6, record.FamilyCompletion, "success", 1), // removed since
			{Family: record.FamilyWorker, Type: "registered", ExecutionID: record.NoExecution(id(1).Partition()), At: now},
		},
		Ready: []store.ReadyEntry{
			{Lane: "mail", CreatedAt: now - 9, ExecutionID: id(4)},
			{Lane: "mail", Route: 77, CreatedAt: now - 9, ExecutionID: id(3)},
		},
		Due: []store.DueEntry{{DueAt: now + 30, ExecutionID: id(2)}},
		Retain: []store.RetainEntry{
			{RetainUntil: now + 80, ExecutionID: id(5)}, {RetainUntil: now + 90, ExecutionID: id(1)},
		},
		Slots: []store.SlotEntry{{Lane: "mail", ExecutionID: id(2)}},
	}
}

func TestAudit_SoundStoreHasNoViolations(t *testing.T) {
	storetest.Audit(t, sound())
}

func TestViolations_EachBrokenRuleIsReported(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(d *store.Dump)
		want   string
	}{
		{"illegal vector", func(d *store.Dump) { d.Executions[0].State.Ownership = ff.Leased }, "I1: the vector terminal/leased/"},
		{"public state", func(d *store.Dump) { d.Executions[1].Public = ff.PublicWaiting }, "I2: the public state is waiting; from row 4 follows active"},
		{"stale detail", func(d *store.Dump) { d.Executions[2].BlockingDetail = "x" }, `its blocking detail is "x"`},
		{"ready but not claimable", func(d *store.Dump) { d.Executions[0].Ready = true }, "I15: ready is true in row 17"},
		{"claimable but not ready", func(d *store.Dump) { d.Executions[3].Ready = false }, "I15: ready is false in row 5"},
		{"entry missing", func(d *store.Dump) { d.Ready = d.Ready[1:] }, "I15: the ready index lacks {Lane:mail"},
		{"entry misplaced", func(d *store.Dump) { d.Ready[0].Priority = 3 }, "I15: the ready index has an entry without reason"},
		{"entry twice", func(d *store.Dump) { d.Due = append(d.Due, d.Due[0]) }, "I15: the due index has an entry without reason"},
		{"due after the end", func(d *store.Dump) { d.Executions[0].DueAt = now }, "I15: it has ended and is due"},
		{"lease that never expires", func(d *store.Dump) { d.Executions[1].DueAt = 0 }, "I28: its lease ends at"},
		{"wrong attempt index", func(d *store.Dump) { d.Executions[0].AttemptIndex = 0 }, "I8: the attempt index is 0 after 2 attempts"},
		{"gap in the attempts", func(d *store.Dump) { d.Attempts = d.Attempts[1:] }, "I8: attempt 0 of 2 is missing"},
		{"last attempt missing", func(d *store.Dump) { d.Attempts = slices.Delete(d.Attempts, 1, 2) }, "I8: attempt 1 of 2 is missing"},
		{"one attempt too many", func(d *store.Dump) { d.Attempts[2].Index = 1 }, "I8: attempt 1 is stored; there were 1"},
		{"early attempt open", func(d *store.Dump) { *d.Attempts[0] = record.Attempt{ExecutionID: id(1)} }, "I9: attempt 0 of 2 has not ended"},
		{"open attempt after the end", func(d *store.Dump) { *d.Attempts[1] = record.Attempt{ExecutionID: id(1), Index: 1} }, "I11: it has ended, its attempt 1 has not"},
		{"half ended attempt", func(d *store.Dump) { d.Attempts[0].EndedAt = 0 }, `I10: attempt 0 is "interrupted_reclaimed"`},
		{"unowned with a lease", func(d *store.Dump) { d.Executions[2].WorkerID = "w" }, "I9: nobody owns it"},
		{"leased without a worker", func(d *store.Dump) { d.Executions[1].WorkerID = "" }, "I9: it is leased without a whole lease"},
		{"too many retries", func(d *store.Dump) { d.Executions[0].RetryCount = 1 }, "I14: the retry count is 1, the limit 0"},
		{"too many reclaims", func(d *store.Dump) { d.Executions[0].ReclaimCount = 101 }, "I14: the reclaim count is 101, the limit 100"},
		{"priority out of range", func(d *store.Dump) { d.Executions[0].Priority = 9001 }, "I16: the priority is 9001"},
		{"completed, not finished", func(d *store.Dump) { d.Executions[2].CompletedAt = now }, "I18: it is in phase runnable and completed"},
		{"completed before it started", func(d *store.Dump) { d.Executions[0].StartedAt = now + 1 }, "I18: it completed at 1700000000000, before it started"},
		{"completion lost", func(d *store.Dump) { d.Events = slices.Delete(d.Events, 4, 5) }, "I25: 0 completion events, want 1"},
		{"completion twice", func(d *store.Dump) { d.Events = append(d.Events, d.Events[4]) }, "I25: 2 completion events, want 1"},
		{"wrong outcome", func(d *store.Dump) { d.Events[4].Type = "failed" }, `I25: the last completion event says "failed", the outcome is success`},
		{"replay without event", func(d *store.Dump) { d.Events[8].Type = "other" }, "I25: 0 events of replays, want 1"},
		{"lease opened twice", func(d *store.Dump) { d.Events = slices.Insert(d.Events, 1, d.Events[0]) }, "I26: acquired under epoch 1 follows an open lease"},
		{"lease never closed", func(d *store.Dump) { d.Events = slices.Delete(d.Events, 3, 4) }, "but there is an open lease of epoch 2"},
		{"lease closed, yet held", func(d *store.Dump) { d.Events[11].Type = "released" }, "I26: by its events there is no lease, but it is leased"},
		{"reclaim of what did not expire", func(d *store.Dump) { d.Events = slices.Delete(d.Events, 1, 2) }, "I26: reclaimed under epoch 2 follows an open lease"},
		{"epoch that does not rise", func(d *store.Dump) { d.Events[2].Epoch = 1 }, "I5: reclaimed under epoch 1, after epoch 1"},
		{"epoch that falls", func(d *store.Dump) { d.Executions[1].Epoch = 4 }, "I5: the epoch is 4, its events say 5"},
		{"unknown lease event", func(d *store.Dump) { d.Events[1].Type = "renewed" }, `I26: there is no lease event "renewed"`},
		{"orphaned attempts", func(d *store.Dump) { d.Executions = d.Executions[1:] }, "has 2 attempts, but is not there"},
		{"removed before its end", func(d *store.Dump) { d.Executions = slices.Delete(d.Executions, 3, 4) }, "is not there, and its 2 events do not tell its end"},
		{"removed after a replay", func(d *store.Dump) { d.Executions = slices.Delete(d.Executions, 1, 2) }, "is not there, and its 7 events do not tell its end"},
		{"lease of no execution", func(d *store.Dump) { d.Events[0].ExecutionID = record.NoExecution(id(1).Partition()) }, `an event lease "acquired" is of no execution`},
		{"kept for ever", func(d *store.Dump) { d.Executions[4].RetainUntil = 0 }, "it has ended and is kept for ever"},
		{"may be removed before its end", func(d *store.Dump) { d.Executions[2].RetainUntil = now }, "it has not ended and may be removed"},
		{"retention lost", func(d *store.Dump) { d.Retain = d.Retain[1:] }, "I15: the retention index lacks {RetainUntil:"},
		{"slot without a lease", func(d *store.Dump) { d.Executions[2].Slot = true }, "it takes a slot of its lane without a lease"},
		{"slot lost", func(d *store.Dump) { d.Slots = nil }, "I15: the slot index lacks {Lane:mail"},
		{"slot not freed", func(d *store.Dump) { d.Executions[1].Slot = false }, "I15: the slot index has an entry without reason"},
		{"boost while it runs", func(d *store.Dump) { d.Executions[1].Boost = 1 }, "its place is raised by 1, but it does not wait"},
		{"attempt without end", func(d *store.Dump) { d.Executions[1].AttemptEndsAt = now + 20 }, "I28: its attempt ends at 1700000000020 and it is due at 1700000000030"},
		{"attempt that ends without a lease", func(d *store.Dump) { d.Executions[2].AttemptEndsAt = now }, "its attempt ends at 1700000000000, but nobody holds it"},
		{"deadline forgotten", func(d *store.Dump) { d.Executions[2].DeadlineAt = now + 5 }, "I28: its deadline is 1700000000005 and it is due at 0"},
		{"route lies", func(d *store.Dump) { d.Routes[0].Capabilities = nil }, "needs [gpu], its route []"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := sound()
			c.damage(d)
			got := storetest.Violations(d)
			if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, c.want) }) {
				t.Errorf("violations %q, want one that says %q", got, c.want)
			}
		})
	}
}
