package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// events in short: family, type, epoch, reason.
func eventsOf(ch Change) [][4]any {
	var out [][4]any
	for _, ev := range ch.Events {
		family := string(ev.Family)
		if ev.Family == record.FamilyCompletion && !ev.LeaseID.IsZero() {
			family = "completion and release"
		}
		out = append(out, [4]any{family, ev.Type, int(ev.Epoch), ev.Reason})
	}
	return out
}

func lease(typ string, epoch int, reason string) [4]any { return [4]any{"lease", typ, epoch, reason} }

func completion(outcome string, epoch int) [4]any { return [4]any{"completion", outcome, epoch, ""} }

func operatorAct(typ string) [4]any { return [4]any{"operator", typ, 0, ""} }

// release is a completion that names the lease it ends.
func release(outcome string, epoch int, reason string) [4]any {
	return [4]any{"completion and release", outcome, epoch, reason}
}

func TestSubmit_DelayedOnlyUntilAFutureInstant(t *testing.T) {
	cmd := ff.Submit{
		ID: execID, Lane: "mail", Kind: "send", Namespace: "tenant", Creator: "me", Payload: []byte("x"), PayloadEncoding: "json",
		Priority: 9000, Tags: map[string]string{"team.name": "a"}, Policy: ff.Retry(1, nil),
	}
	ready := &record.Execution{
		ID: execID, Lane: "mail", Namespace: "tenant", Kind: "send", Creator: "me", Payload: []byte("x"), PayloadEncoding: "json",
		Tags: map[string]string{"team.name": "a"}, Policy: ff.Retry(1, nil), CreatedAt: t0,
		State:  vector(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"),
		Public: "waiting", Ready: true, Priority: 9000, LastTransitionAt: t0, LastMutationAt: t0,
	}
	equal(t, "submitted", Submit(&cmd, t0), ready)
	for name, past := range map[string]ff.Timestamp{"now": t0, "past": t0 - 1, "the first instant": 1} {
		cmd.DelayUntil = past
		equal(t, "delayed until "+name, Submit(&cmd, t0), ready)
	}
	delayed := changed(ready, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt")
		n.Public, n.Ready, n.DueAt, n.DelayUntil = "delayed", false, t0+1, t0+1
		n.BlockingDetail = "delayed until 1700000000001"
	})
	cmd.DelayUntil = t0 + 1
	equal(t, "delayed until later", Submit(&cmd, t0), delayed)
	cmd.DelayUntil, cmd.Delay = 0, time.Millisecond
	equal(t, "delayed for a while", Submit(&cmd, t0), delayed)
}

func TestSubmit_RoutesByCapabilities(t *testing.T) {
	cmd := ff.Submit{ID: execID, Policy: &ff.Policy{Routing: &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu", "linux"}}}}
	e := Submit(&cmd, t0)
	if e.Route == 0 || e.Route != RouteOf([]string{"gpu", "linux"}) || RouteOf(nil) != 0 || e.Route == RouteOf([]string{"gpu"}) {
		t.Errorf("route is %d", e.Route)
	}
	var fnv uint64 = 0x32511bb2804b7648 // of "gpu,cuda", chapter 10, section 1.4
	if got := RouteOf([]string{"gpu", "cuda"}); got != int64(fnv) {
		t.Errorf("route of gpu,cuda is %x", got)
	}
}

func TestClaim_OpensOrContinuesAnAttempt(t *testing.T) {
	now := t0 + 40_000
	for name, c := range map[string]struct {
		from    *record.Execution
		change  func(n *record.Execution) // beyond the lease
		attempt *record.Attempt
		event   [4]any
	}{
		"first attempt": {
			from: inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"),
			change: func(n *record.Execution) {
				n.Epoch, n.TotalAttempts, n.StartedAt = 1, 1, now
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 0, "initial", now
			},
			event: lease("acquired", 1, ""),
		},
		"retry": {
			from: inState(t, "runnable unowned eligible_now waiting_for_worker none pending_retry_attempt"),
			change: func(n *record.Execution) {
				n.Epoch, n.TotalAttempts = 4, 2
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 1, "retry", now
			},
			event: lease("acquired", 4, ""),
		},
		"continued": {
			from: changed(inState(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted"),
				func(n *record.Execution) { n.LeaseRevokeReason, n.DelayUntil = "operator", t0 }),
			change: func(n *record.Execution) { n.Epoch, n.LeaseRevokeReason, n.DelayUntil = 4, "", 0 },
			event:  lease("acquired", 4, "claim_resumed"),
		},
		"replay in place": {
			from: inState(t, "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt"),
			change: func(n *record.Execution) {
				n.Epoch = 4
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 0, "replay", now
			},
			event: lease("acquired", 4, ""),
		},
		"replay of what never began": {
			from: changed(inState(t, "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt"),
				func(n *record.Execution) {
					n.TotalAttempts, n.Epoch, n.StartedAt, n.AttemptID = 0, 1, 0, ff.AttemptID{}
				}),
			change: func(n *record.Execution) {
				n.Epoch, n.TotalAttempts, n.StartedAt = 2, 1, now
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 0, "replay", now
			},
			event: lease("acquired", 2, ""),
		},
		"reclaim after expiry": {
			from: inState(t, "active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted"),
			change: func(n *record.Execution) {
				n.Epoch, n.TotalAttempts, n.ReclaimCount = 4, 2, 1
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 1, "reclaim", now
			},
			attempt: &record.Attempt{
				ExecutionID: execID, Index: 0, AttemptID: attemptID, Type: "initial", State: "interrupted_reclaimed", LeaseEpoch: 3,
				WorkerID: "w1", WorkerInstanceID: "w1-a", StartedAt: began, EndedAt: now, Outcome: "interrupted_reclaimed",
				FailureReason: "lease_lease_expired_reclaimable", FailureCategory: "infra_crash",
			},
			event: lease("reclaimed", 4, ""),
		},
		"reclaim after revocation": {
			from: inState(t, "active lease_revoked not_applicable waiting_for_worker none attempt_interrupted"),
			change: func(n *record.Execution) {
				n.Epoch, n.TotalAttempts, n.ReclaimCount = 4, 2, 1
				n.AttemptID, n.AttemptIndex, n.AttemptType, n.AttemptStartedAt = newTry, 1, "reclaim", now
			},
			attempt: &record.Attempt{
				ExecutionID: execID, Index: 0, AttemptID: attemptID, Type: "initial", State: "interrupted_reclaimed", LeaseEpoch: 3,
				WorkerID: "w1", WorkerInstanceID: "w1-a", StartedAt: began, EndedAt: now, Outcome: "interrupted_reclaimed",
				FailureReason: "lease_lease_revoked", FailureCategory: "infra_crash",
			},
			event: lease("reclaimed", 4, ""),
		},
	} {
		t.Run(name, func(t *testing.T) {
			ch, err := Claim(c.from, grant, now)
			noError(t, err)
			equal(t, "execution", ch.Execution, changed(c.from, func(n *record.Execution) {
				n.State = vector(t, "active leased not_applicable none none running_attempt")
				n.Public, n.Ready, n.DueAt = "active", false, now+30_000
				n.LeaseID, n.WorkerID, n.WorkerInstanceID = newLease, "w2", "w2-a"
				n.LeaseAcquiredAt, n.LeaseRenewedAt, n.LeaseExpiresAt = now, now, now+30_000
				n.LastTransitionAt, n.LastMutationAt = now, now
				c.change(n)
			}))
			equal(t, "attempt", ch.Attempt, c.attempt)
			equal(t, "events", eventsOf(ch), [][4]any{c.event})
		})
	}
}

// finished is what every end of the running execution has in common.
func finished(t *testing.T, from *record.Execution, now ff.Timestamp, change func(n *record.Execution)) *record.Execution {
	return changed(from, func(n *record.Execution) {
		n.Ready, n.DueAt, n.CompletedAt, n.LastTransitionAt, n.LastMutationAt = false, 0, now, now, now
		n.LeaseID, n.WorkerID, n.WorkerInstanceID = ff.LeaseID{}, "", ""
		n.LeaseAcquiredAt, n.LeaseRenewedAt, n.LeaseExpiresAt = 0, 0, 0
		change(n)
	})
}

func endedAttempt(now ff.Timestamp) record.Attempt {
	return record.Attempt{
		ExecutionID: execID, AttemptID: attemptID, Type: "initial", LeaseEpoch: 3, WorkerID: "w1", WorkerInstanceID: "w1-a",
		StartedAt: began, EndedAt: now,
	}
}

func TestComplete_EndsExecutionAttemptAndLease(t *testing.T) {
	e, now := running4(t), t0+9_000
	e.FailureReason, e.FailureCategory = "of the attempt before", "transient"
	ch, err := Complete(e, &ff.Complete{Fence: holder, Result: []byte("done"), ResultEncoding: "text"}, now)
	noError(t, err)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State, n.Public = vector(t, "terminal unowned not_applicable none success attempt_terminal"), "completed"
		n.Result, n.ResultEncoding, n.FailureReason, n.FailureCategory = []byte("done"), "text", "", ""
	}))
	want := endedAttempt(now)
	want.State, want.Outcome = "ended_success", "success"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{release("success", 3, "completed")})
}

func TestFail_WithoutRetryEndsTheExecution(t *testing.T) {
	e, now := running4(t), t0+9_000
	ch, res, err := Fail(e, &ff.Fail{Fence: holder, Reason: "no such address", Category: "permanent"}, now)
	noError(t, err)
	equal(t, "answer", res, ff.FailResult{})
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State, n.Public = vector(t, "terminal unowned not_applicable none failed attempt_terminal"), "failed"
		n.FailureReason, n.FailureCategory = "no such address", "permanent"
	}))
	want := endedAttempt(now)
	want.State, want.Outcome, want.FailureReason, want.FailureCategory = "ended_failure", "failed", "no such address", "permanent"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{release("failed", 3, "failed_terminal")})
}

func TestFail_WithRetrySchedulesOne(t *testing.T) {
	e, now := running4(t), t0+9_000
	e.Policy = ff.Retry(2, ff.FixedBackoff(5*time.Second))
	e.RetryCount = 1
	cmd := &ff.Fail{Fence: holder, Reason: "busy", Category: "transient"}
	ch, res, err := Fail(e, cmd, now)
	noError(t, err)
	answer := ff.FailResult{Retrying: true, DelayUntil: now + 5_000, NextAttemptIndex: 1}
	equal(t, "answer", res, answer)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt")
		n.Public, n.CompletedAt, n.DueAt, n.DelayUntil = "delayed", 0, now+5_000, now+5_000
		n.BlockingDetail = "retry backoff until 1700000014000 (attempt 0 failed: busy)"
		n.RetryCount, n.AttemptID, n.FailureReason, n.FailureCategory = 2, ff.AttemptID{}, "busy", "transient"
	}))
	want := endedAttempt(now)
	want.State, want.Outcome, want.FailureReason, want.FailureCategory = "ended_failure", "retry", "busy", "transient"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{lease("released", 3, "failed_retry_scheduled")})

	due, err := Tick(ch.Execution, nil, now+5_000)
	noError(t, err)
	for when, repeated := range map[string]*record.Execution{"during the backoff": ch.Execution, "after it": due.Execution} {
		again, res, err := Fail(repeated, cmd, now+6_000)
		noError(t, err)
		equal(t, "answer "+when, res, answer)
		equal(t, "change "+when, again, Change{})
	}
}

func TestDelay_PausesTheAttempt(t *testing.T) {
	e, now := running4(t), t0+9_000
	cmd := &ff.Delay{Fence: holder, Until: now + 1}
	ch, until, err := Delay(e, cmd, now)
	noError(t, err)
	equal(t, "until", until, now+1)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted")
		n.Public, n.CompletedAt, n.DueAt, n.DelayUntil, n.BlockingDetail = "delayed", 0, now+1, now+1, "delayed until 1700000009001"
	}))
	equal(t, "attempt", ch.Attempt, noAttempt)
	equal(t, "events", eventsOf(ch), [][4]any{lease("released", 3, "worker_delay")})

	due, err := Tick(ch.Execution, nil, now+1)
	noError(t, err)
	equal(t, "after the delay", due.Execution, changed(ch.Execution, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
		n.Public, n.Ready, n.DueAt, n.BlockingDetail = "waiting", true, 0, ""
		n.LastTransitionAt, n.LastMutationAt = now+1, now+1
	}))
	again, until, err := Delay(due.Execution, cmd, now+9)
	noError(t, err)
	equal(t, "repeated: until", until, now+1)
	equal(t, "repeated: change", again, Change{})
}

func TestDelay_UntilThePastMayContinueAtOnce(t *testing.T) {
	e, now := running4(t), t0+9_000
	ch, until, err := Delay(e, &ff.Delay{Fence: holder, Until: now}, now)
	noError(t, err)
	if until != now || !ch.Execution.Ready || ch.Execution.DueAt != 0 || ch.Execution.BlockingDetail != "" {
		t.Errorf("until %d gives %+v", until, ch.Execution)
	}
}

func TestRelease_MayContinueAtOnce(t *testing.T) {
	e, now := running4(t), t0+9_000
	ch, err := Release(e, &ff.Release{Fence: holder}, now)
	noError(t, err)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State = vector(t, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted")
		n.Public, n.Ready, n.CompletedAt, n.DelayUntil = "waiting", true, 0, now
	}))
	equal(t, "events", eventsOf(ch), [][4]any{lease("released", 3, "worker_release")})
}

func TestRenew_ExtendsOrShortens(t *testing.T) {
	e, now := running4(t), t0+9_000
	for ttl, want := range map[time.Duration]ff.Timestamp{time.Second: now + 1_000, 24 * time.Hour: now + 86_400_000} {
		ch, err := Renew(e, &ff.Renew{Fence: holder, TTL: ttl}, now)
		noError(t, err)
		equal(t, "change", ch, Change{Execution: changed(e, func(n *record.Execution) {
			n.LeaseRenewedAt, n.LeaseExpiresAt, n.DueAt, n.LastMutationAt = now, want, want, now
		})})
	}
}

func TestProgress_AbsentStaysAsItIs(t *testing.T) {
	e, now, half, all, msg := running4(t), t0+9_000, 50, 100, "sending"
	ch, err := UpdateProgress(e, &ff.UpdateProgress{Fence: holder, Progress: ff.Progress{Percent: &half, Message: &msg, Details: []byte("{}")}}, now)
	noError(t, err)
	first := changed(e, func(n *record.Execution) {
		n.ProgressPercent, n.ProgressMessage, n.ProgressDetails, n.ProgressUpdatedAt, n.LastMutationAt = &half, "sending", []byte("{}"), now, now
	})
	equal(t, "first report", ch, Change{Execution: first})
	ch, err = Renew(ch.Execution, &ff.Renew{Fence: holder, TTL: time.Minute, Progress: &ff.Progress{Percent: &all}}, now+1)
	noError(t, err)
	equal(t, "with a renewal", ch.Execution, changed(first, func(n *record.Execution) {
		n.ProgressPercent, n.ProgressUpdatedAt, n.LastMutationAt = &all, now+1, now+1
		n.LeaseRenewedAt, n.LeaseExpiresAt, n.DueAt = now+1, now+60_001, now+60_001
	}))
}

func TestTick_LeaseExpiryIsAMark(t *testing.T) {
	e := running4(t)
	ch, err := Tick(e, nil, expires-1)
	noError(t, err)
	equal(t, "one millisecond before", ch, Change{})
	ch, err = Tick(e, nil, expires)
	noError(t, err)
	equal(t, "at the instant", ch.Execution, changed(e, func(n *record.Execution) {
		n.State = vector(t, "active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted")
		n.Ready, n.DueAt, n.BlockingDetail, n.LastMutationAt = true, 0, "lease expired, awaiting reclaim", expires
	}))
	equal(t, "events", eventsOf(ch), [][4]any{lease("expired", 3, "")})
}

func TestTick_LastLossFailsTheExecution(t *testing.T) {
	e, two := running4(t), uint32(2)
	e.Policy = &ff.Policy{MaxReclaims: &two}
	e.ReclaimCount = 1
	if ch, err := Tick(e, nil, expires); err != nil || ch.Execution.State.Finished() {
		t.Fatalf("the second loss gives %v, %v", ch.Execution, err)
	}
	e.ReclaimCount = 2
	ch, err := Tick(e, nil, expires)
	noError(t, err)
	equal(t, "execution", ch.Execution, finished(t, e, expires, func(n *record.Execution) {
		n.State, n.Public = vector(t, "terminal unowned not_applicable none failed attempt_terminal"), "failed"
		n.FailureReason, n.FailureCategory = "max_reclaims_exceeded", "infra_crash"
	}))
	want := endedAttempt(expires)
	want.State, want.Outcome = "interrupted_reclaimed", "interrupted_reclaimed"
	want.FailureReason, want.FailureCategory = "lease_lease_expired_reclaimable", "infra_crash"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{lease("expired", 3, ""), completion("failed", 3)})
}

func TestW33_TickPutsIndexEntriesRight(t *testing.T) {
	e := running4(t)
	wrong := changed(e, func(n *record.Execution) { n.Ready, n.DueAt = true, t0 })
	ch, err := Tick(wrong, nil, t0+1)
	noError(t, err)
	equal(t, "change", ch, Change{Execution: e})
}
