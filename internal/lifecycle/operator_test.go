package lifecycle

import (
	"encoding/json"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func detailsOf(t *testing.T, ch Change) map[string]any {
	t.Helper()
	if len(ch.Events) != 1 || ch.Events[0].Family != "operator" {
		t.Fatalf("events are %+v", ch.Events)
	}
	var m map[string]any
	noError(t, json.Unmarshal(ch.Events[0].Details, &m))
	return m
}

func TestCancel_OfALeasedExecutionBreaksTheLease(t *testing.T) {
	now := t0 + 9_000
	for _, source := range []ff.Source{ff.SourceOperatorOverride, ff.SourceFlowCascade, ff.SourceSystemTimeout} {
		e := running4(t)
		ch, err := Cancel(e, nil, &ff.Cancel{Reason: "not wanted", Source: source}, now)
		noError(t, err)
		equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
			n.State, n.Public = vector(t, "cancelled unowned not_applicable none cancelled attempt_terminal"), "cancelled"
			n.Epoch, n.CancellationReason, n.CancelledBy = 4, "not wanted", source
			if source == ff.SourceOperatorOverride {
				n.LastOperatorAt = now
			}
		}))
		want := endedAttempt(now)
		want.State, want.Outcome, want.FailureReason, want.FailureCategory = "ended_cancelled", "cancelled", "cancelled: not wanted", "cancelled"
		want.LeaseEpoch = 4 // chapter 30, duty T2
		equal(t, "attempt", ch.Attempt, &want)
		events := [][4]any{lease("revoked", 3, "cancelled"), completion("cancelled", 4)}
		if source == ff.SourceOperatorOverride {
			events = append(events, operatorAct("cancelled"))
		}
		equal(t, "events", eventsOf(ch), events)
		_, err = Complete(ch.Execution, &ff.Complete{Fence: holder}, now)
		wantCode(t, err, ff.CodeExecutionNotActive) // O7
	}
}

func TestCancel_ByTheHolderReleasesTheLease(t *testing.T) {
	e, now := running4(t), t0+9_000
	cmd := &ff.Cancel{Reason: "gave up", Source: ff.SourceWorker, Fence: holder}
	ch, err := Cancel(e, nil, cmd, now)
	noError(t, err)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State, n.Public = vector(t, "terminal unowned not_applicable none cancelled attempt_terminal"), "cancelled"
		n.CancellationReason, n.CancelledBy = "gave up", "worker"
	}))
	equal(t, "events", eventsOf(ch), [][4]any{release("cancelled", 3, "cancelled")})
	again, err := Cancel(ch.Execution, ch.Attempt, cmd, now+1)
	noError(t, err)
	equal(t, "repeated", again, Change{})
}

func TestCancel_WithoutPrivilegeNeedsTheFence(t *testing.T) {
	for _, source := range []ff.Source{ff.SourceLeaseHolder, ff.SourceWorker, "a custom one"} {
		stale := holder
		stale.Epoch = 2
		for name, c := range map[string]struct {
			fence ff.Fence
			now   ff.Timestamp
			want  ff.Code
		}{
			"none":    {ff.Fence{}, t0, "fence_required"},
			"partial": {ff.Fence{Epoch: 3}, t0, "partial_fence_triple"},
			"stale":   {stale, t0, "stale_lease"},
			"expired": {holder, expires, "lease_expired"},
			"current": {holder, expires - 1, ""},
		} {
			_, err := Cancel(running4(t), nil, &ff.Cancel{Source: source, Fence: c.fence}, c.now)
			if got := code(err); got != c.want {
				t.Errorf("%s with fence %s: %v, want %q", source, name, err, c.want)
			}
		}
		waiting := inState(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
		if _, err := Cancel(waiting, nil, &ff.Cancel{Source: source}, t0); err != nil {
			t.Errorf("%s without fence, nobody holding: %v", source, err)
		}
	}
}

// TestCancel_ClosesThePausedAttempt is W13: nothing of a cancelled execution stays open, whatever it waited for.
func TestCancel_ClosesThePausedAttempt(t *testing.T) {
	now := t0 + 40_000
	for _, state := range []string{
		"runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted",
		"runnable unowned eligible_now waiting_for_worker none attempt_interrupted",
		"suspended unowned not_applicable waiting_for_approval none attempt_interrupted",
		"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted",
	} {
		e := inState(t, state)
		ch, err := Cancel(e, nil, &ff.Cancel{Source: ff.SourceOperatorOverride}, now)
		noError(t, err)
		if ch.Attempt == nil || ch.Attempt.State != "ended_cancelled" || ch.Attempt.EndedAt != now {
			t.Errorf("%s: the attempt is left as %+v", state, ch.Attempt)
		}
		equal(t, "events of "+state, eventsOf(ch), [][4]any{completion("cancelled", 3), operatorAct("cancelled")})
	}
	ended := &record.Attempt{ExecutionID: execID, State: "ended_failure", Outcome: "retry", EndedAt: t0}
	backoff := inState(t, "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt")
	ch, err := Cancel(backoff, ended, &ff.Cancel{Source: ff.SourceOperatorOverride}, now)
	noError(t, err)
	equal(t, "an attempt that had ended (I10)", ch.Attempt, noAttempt)

	cleared := &record.Attempt{ExecutionID: execID, AttemptID: attemptID, LeaseEpoch: 4}
	replayed := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt")
	ch, err = Cancel(replayed, cleared, &ff.Cancel{Source: ff.SourceOperatorOverride, Reason: "no"}, now)
	noError(t, err)
	if a := ch.Attempt; a == nil || a.State != "ended_cancelled" || a.Outcome != "cancelled" || a.EndedAt != now || a.LeaseEpoch != 4 {
		t.Errorf("an attempt that a replay had cleared is left as %+v", a)
	}
}

func TestCancel_FirstReasonStays(t *testing.T) {
	e := inState(t, "cancelled unowned not_applicable none cancelled attempt_terminal")
	ch, err := Cancel(e, nil, &ff.Cancel{Reason: "another", Source: ff.SourceFlowCascade}, t0)
	noError(t, err)
	equal(t, "change", ch, Change{})
}

func TestChangePriority_ClampsAndTells(t *testing.T) {
	for asked, want := range map[int]int{-1: 0, 0: 0, 5: 5, 9000: 9000, 9001: 9000, 1 << 40: 9000, -1 << 40: 0} {
		e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
		ch, res, err := ChangePriority(e, &ff.ChangePriority{NewPriority: asked, Actor: "ops"}, t0+9_000)
		noError(t, err)
		equal(t, "answer", res, ff.ChangePriorityResult{ExecutionID: execID, OldPriority: 5, NewPriority: want})
		equal(t, "execution", ch.Execution, changed(e, func(n *record.Execution) {
			n.Priority, n.LastMutationAt, n.LastOperatorAt = want, t0+9_000, t0+9_000
		}))
		equal(t, "details", detailsOf(t, ch), map[string]any{"old_priority": 5.0, "new_priority": float64(want), "actor": "ops"})
	}
}

func TestReplay_ClearsTheAttemptInPlace(t *testing.T) {
	now := t0 + 60_000
	e := changed(inState(t, "terminal unowned not_applicable none failed attempt_terminal"), func(n *record.Execution) {
		n.RetryCount, n.ReclaimCount, n.ReplayCount, n.TotalAttempts, n.AttemptIndex = 3, 2, 1, 6, 5
		n.Result, n.ResultEncoding = []byte("old"), "text"
		n.FailureReason, n.FailureCategory, n.LeaseRevokeReason = "broke", "transient", "operator"
	})
	att := &record.Attempt{
		ExecutionID: execID, Index: 5, AttemptID: attemptID, Type: "retry", State: "ended_failure", LeaseEpoch: 3, WorkerID: "w1",
		WorkerInstanceID: "w1-a", StartedAt: began, EndedAt: t0 + 5_000, Outcome: "failed", FailureReason: "broke", FailureCategory: "transient",
	}
	ch, err := Replay(e, att, 0, &ff.Replay{Actor: "ops", Reason: "fixed the server"}, now)
	noError(t, err)
	equal(t, "execution", ch.Execution, changed(e, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt")
		n.Public, n.Ready, n.CompletedAt, n.Epoch = "waiting", true, 0, 4
		n.RetryCount, n.ReclaimCount, n.ReplayCount = 0, 0, 2
		n.Result, n.ResultEncoding, n.FailureReason, n.FailureCategory, n.LeaseRevokeReason = nil, "", "", "", ""
		n.LastTransitionAt, n.LastMutationAt, n.LastOperatorAt = now, now, now
	}))
	equal(t, "attempt", ch.Attempt, &record.Attempt{
		ExecutionID: execID, Index: 5, AttemptID: attemptID, Type: "retry", LeaseEpoch: 4, StartedAt: began,
	})
	equal(t, "details", detailsOf(t, ch), map[string]any{
		"branch": "normal", "replay_count": 2.0, "actor": "ops", "reason": "fixed the server", "previous_outcome": "failed",
		"previous_completed_at_ms": float64(t0 + 5_000), "previous_epoch": 3.0, "previous_failure_reason": "broke",
	})
}

// TestReplay_AcceptanceCase4: chapter 30, section 30.13; the attempt knows a higher epoch than the execution.
func TestReplay_AcceptanceCase4(t *testing.T) {
	att := &record.Attempt{ExecutionID: execID, LeaseEpoch: 3, Outcome: "success"}
	e := Normalize(stored("terminal", "not_applicable", "unowned", "success", "terminated"), att)
	ch, err := Replay(e, att, 0, &ff.Replay{}, t0)
	noError(t, err)
	n := ch.Execution
	if n.State.Phase != "runnable" || n.State.Eligibility != "eligible_now" || n.Public != "waiting" || n.AttemptIndex != 0 || n.ReplayCount != 1 || n.Epoch != 4 {
		t.Errorf("the execution becomes %+v", n)
	}
	equal(t, "attempt", ch.Attempt, &record.Attempt{ExecutionID: execID, LeaseEpoch: 4})
}

func TestReplay_StopsAtTheLimit(t *testing.T) {
	two, none := uint32(2), uint32(0)
	for name, c := range map[string]struct {
		policy  *ff.Policy
		replays int
		want    ff.Code
	}{
		"default":         {nil, 9, ""},
		"default reached": {nil, 10, "max_replays_exhausted"},
		"policy":          {&ff.Policy{MaxReplays: &two}, 1, ""},
		"policy reached":  {&ff.Policy{MaxReplays: &two}, 2, "max_replays_exhausted"},
		"never":           {&ff.Policy{MaxReplays: &none}, 0, "max_replays_exhausted"},
	} {
		e := inState(t, "terminal unowned not_applicable none success attempt_terminal")
		e.Policy, e.ReplayCount = c.policy, c.replays
		_, err := Replay(e, nil, 0, &ff.Replay{}, t0)
		if got := code(err); got != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRevokeLease_PutsTheAttemptBack(t *testing.T) {
	e, now := running4(t), t0+9_000
	name := "pg:11111111-1111-4111-8111-111111111111:0:3"
	for _, cmd := range []ff.RevokeLease{
		{Reason: "hung"},
		{Reason: "hung", WorkerInstanceID: "w1-a"},
		{Reason: "hung", ExpectedLeaseID: name},
		{Reason: "hung", ExpectedLeaseID: leaseID.String(), WorkerInstanceID: "w1-a"},
	} {
		ch, res, err := RevokeLease(e, nil, &cmd, now)
		noError(t, err)
		equal(t, "answer", res, ff.RevokeResult{Outcome: "revoked", LeaseID: name, Epoch: 4})
		equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
			n.State = vector(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
			n.Public, n.Ready, n.CompletedAt, n.Epoch, n.LeaseRevokeReason, n.LastOperatorAt = "waiting", true, 0, 4, "hung", now
		}))
		equal(t, "attempt", ch.Attempt, noAttempt)
		equal(t, "events", eventsOf(ch), [][4]any{lease("revoked", 3, "hung"), operatorAct("lease_revoked")})
		_, err = Renew(ch.Execution, &ff.Renew{Fence: holder}, now)
		wantCode(t, err, ff.CodeLeaseRevoked)
		_, err = Release(ch.Execution, &ff.Release{Fence: holder}, now)
		wantCode(t, err, ff.CodeLeaseRevoked)
	}
}

func TestRevokeLease_AlreadySatisfied(t *testing.T) {
	for name, c := range map[string]struct {
		state  string
		cmd    ff.RevokeLease
		reason string
	}{
		"nobody holds it":      {"runnable unowned eligible_now waiting_for_worker none pending_first_attempt", ff.RevokeLease{}, "no_active_lease"},
		"marked expired":       {"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted", ff.RevokeLease{}, "no_active_lease"},
		"ended":                {"terminal unowned not_applicable none success attempt_terminal", ff.RevokeLease{}, "no_active_lease"},
		"another instance":     {"active leased not_applicable none none running_attempt", ff.RevokeLease{WorkerInstanceID: "w1-b", ExpectedLeaseID: "x"}, "different_worker_instance_id"},
		"another lease":        {"active leased not_applicable none none running_attempt", ff.RevokeLease{ExpectedLeaseID: newLease.String()}, "lease_id_mismatch"},
		"an older epoch":       {"active leased not_applicable none none running_attempt", ff.RevokeLease{ExpectedLeaseID: "pg:11111111-1111-4111-8111-111111111111:0:2"}, "lease_id_mismatch"},
		"another attempt":      {"active leased not_applicable none none running_attempt", ff.RevokeLease{ExpectedLeaseID: "pg:11111111-1111-4111-8111-111111111111:1:3"}, "lease_id_mismatch"},
		"no lease id at all":   {"active leased not_applicable none none running_attempt", ff.RevokeLease{ExpectedLeaseID: "pg"}, "lease_id_mismatch"},
		"the id in upper case": {"active leased not_applicable none none running_attempt", ff.RevokeLease{ExpectedLeaseID: "PG:11111111-1111-4111-8111-111111111111:0:3"}, "lease_id_mismatch"},
	} {
		ch, res, err := RevokeLease(inState(t, c.state), nil, &c.cmd, t0)
		noError(t, err)
		equal(t, name, res, ff.RevokeResult{Outcome: "already_satisfied", Reason: c.reason})
		equal(t, name, ch, Change{})
	}
}
