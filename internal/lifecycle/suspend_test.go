package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var parked = Suspension{
	ID: ff.SuspensionID{1}, Waitpoint: ff.WaitpointID{2}, Reason: ff.WaitForApproval, Until: began + 60_000, OnTimeout: ff.TimeoutFails,
}

// parkedBy is an execution that was suspended five seconds after it began.
func parkedBy(t *testing.T, s Suspension) Change {
	t.Helper()
	e := running4(t)
	e.Policy = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 20_000})
	e.AttemptEndsAt = began + 20_000
	ch, err := Suspend(e, s, began+5_000)
	noError(t, err)
	return ch
}

// The effects of chapter 40, section 5.1.
func TestSuspend_ParksTheExecution(t *testing.T) {
	ch := parkedBy(t, parked)
	n := ch.Execution
	if got, want := n.State, vector(t, "suspended unowned not_applicable waiting_for_approval none attempt_interrupted"); got != want || n.Public != "suspended" {
		t.Errorf("state %s, public %s; want %s", got, n.Public, want)
	}
	if want := "suspended: waitpoint 02000000-0000-0000-0000-000000000000 awaiting waiting_for_approval"; n.BlockingDetail != want {
		t.Errorf("detail %q, want %q", n.BlockingDetail, want)
	}
	if !n.LeaseID.IsZero() || n.WorkerID != "" || n.LeaseExpiresAt != 0 || n.Epoch != 3 || n.AttemptID != attemptID || n.AttemptIndex != 0 {
		t.Errorf("lease %s of %q until %d, epoch %d, attempt %s", n.LeaseID, n.WorkerID, n.LeaseExpiresAt, n.Epoch, n.AttemptID)
	}
	if n.SuspensionID != parked.ID || n.WaitpointID != parked.Waitpoint || n.SuspendedUntil != began+60_000 || n.DueAt != began+60_000 || n.Ready {
		t.Errorf("suspended by %s until %d, due at %d", n.SuspensionID, n.SuspendedUntil, n.DueAt)
	}
	if n.AttemptLeftMS != 15_000 || n.AttemptEndsAt != 0 {
		t.Errorf("%d ms of the attempt are left, it ends at %d; want 15,000 and never", n.AttemptLeftMS, n.AttemptEndsAt)
	}
	if len(ch.Events) != 1 || ch.Events[0].Type != "released" || ch.Events[0].Reason != "suspend" || ch.Attempt != nil {
		t.Errorf("events %+v, attempt %+v", ch.Events, ch.Attempt)
	}
}

// The table of chapter 40, section 1.3.
func TestSuspend_TheReasonFollowsFromTheCode(t *testing.T) {
	for reason, want := range map[ff.WaitReason]ff.BlockingReason{
		"waiting_for_signal": "waiting_for_signal", "waiting_for_approval": "waiting_for_approval", "waiting_for_callback": "waiting_for_callback",
		"waiting_for_tool_result": "waiting_for_tool_result", "waiting_for_operator_review": "paused_by_operator",
		"paused_by_policy": "paused_by_policy", "paused_by_budget": "waiting_for_budget", "step_boundary": "waiting_for_signal",
		"manual_pause": "paused_by_operator", "whatever": "waiting_for_signal",
	} {
		n := parkedBy(t, Suspension{ID: parked.ID, Reason: reason}).Execution
		if n.State.BlockingReason != want || SituationOf(n.State) == nil || SituationOf(n.State).Row != 13 || n.DueAt != 0 {
			t.Errorf("%s: blocked for %s, due at %d; want %s", reason, n.State.BlockingReason, n.DueAt, want)
		}
	}
}

func TestCheckHolder_KnowsItsOwnSuspension(t *testing.T) {
	e := parkedBy(t, parked).Execution
	wantCode(t, CheckHolder(e, holder, began+6_000), "already_suspended")
	stranger := holder
	stranger.AttemptID = newTry
	wantCode(t, CheckHolder(e, stranger, began+6_000), "execution_not_active")
	wantCode(t, CheckHolder(e, ff.Fence{}, began+6_000), "fence_required")
	wantCode(t, CheckHolder(running4(t), holder, began), "")
	wantCode(t, CheckHolder(running4(t), holder, expires), "lease_expired")
}

// The effects of chapter 40, section 8.4: the same attempt continues (I3).
func TestResume(t *testing.T) {
	e := parkedBy(t, parked).Execution
	for name, c := range map[string]struct {
		delay  time.Duration
		state  string
		public ff.PublicState
		detail string
		due    ff.Timestamp
	}{
		"at once": {0, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted", "waiting", "", 0},
		"later":   {2 * time.Second, "runnable unowned not_eligible_until_time waiting_for_resume_delay none attempt_interrupted", "delayed", "resume delay 2000ms after signal ok", began + 9_000},
	} {
		ch, err := Resume(e, c.delay, "after signal ok", began+7_000)
		noError(t, err)
		n := ch.Execution
		if n.State != vector(t, c.state) || n.Public != c.public || n.BlockingDetail != c.detail || n.DueAt != c.due || n.Ready != (c.delay == 0) {
			t.Errorf("%s: %s, %s, %q, due at %d", name, n.State, n.Public, n.BlockingDetail, n.DueAt)
		}
		if !n.SuspensionID.IsZero() || !n.WaitpointID.IsZero() || n.SuspendedUntil != 0 || n.SuspensionTimeout != "" {
			t.Errorf("%s: still suspended by %s until %d", name, n.SuspensionID, n.SuspendedUntil)
		}
		if c.delay > 0 {
			continue
		}
		again, err := Claim(n, grant, began+8_000)
		noError(t, err)
		if m := again.Execution; m.AttemptID != attemptID || m.AttemptIndex != 0 || m.Epoch != 4 || m.AttemptEndsAt != began+8_000+15_000 || again.Events[0].Reason != "claim_resumed" {
			t.Errorf("claimed again: attempt %s, epoch %d, ends at %d, %+v", m.AttemptID, m.Epoch, m.AttemptEndsAt, again.Events)
		}
	}
	_, err := Resume(running4(t), 0, "", began)
	wantCode(t, err, "execution_not_suspended")
}

// The table of chapter 40, section 10.
func TestTick_SuspensionTimeout(t *testing.T) {
	for behavior, c := range map[ff.TimeoutBehavior]struct {
		state, reason string
		public        ff.PublicState
		attempt       ff.AttemptLifecycle
		closed        string
		outcome       string // of the completion event
	}{
		"fail":                            {"terminal unowned not_applicable none failed attempt_terminal", "suspension_timeout:fail", "failed", "ended_failure", "timed_out_fail", "failed"},
		"cancel":                          {"terminal unowned not_applicable none cancelled attempt_terminal", "suspension_timeout:cancel", "cancelled", "ended_cancelled", "timed_out_cancel", "cancelled"},
		"expire":                          {"terminal unowned not_applicable none expired attempt_terminal", "suspension_timeout:expire", "expired", "ended_failure", "timed_out_expire", "expired"},
		"auto_resume_with_timeout_signal": {"runnable unowned eligible_now waiting_for_worker none attempt_interrupted", "", "waiting", "", "timed_out_auto_resume", ""},
		"escalate":                        {"suspended unowned not_applicable paused_by_operator none attempt_interrupted", "", "suspended", "", "", ""},
	} {
		s := parked
		s.OnTimeout = behavior
		e := parkedBy(t, s).Execution
		if early, err := Tick(e, nil, began+59_999); err != nil || early.Execution != nil {
			t.Errorf("%s: a millisecond before: %+v, %v", behavior, early.Execution, err)
		}
		ch, err := Tick(e, nil, began+60_000)
		noError(t, err)
		n := ch.Execution
		if n.State != vector(t, c.state) || n.Public != c.public || n.FailureReason != c.reason || n.DueAt != 0 {
			t.Errorf("%s: %s, %s, %q, due at %d", behavior, n.State, n.Public, n.FailureReason, n.DueAt)
		}
		if got := CloseReason(e, n); got != c.closed {
			t.Errorf("%s: closed for %q, want %q", behavior, got, c.closed)
		}
		if (ch.Attempt != nil) != (c.attempt != "") || ch.Attempt != nil && (ch.Attempt.State != c.attempt || ch.Attempt.FailureReason != c.reason) {
			t.Errorf("%s: attempt %+v", behavior, ch.Attempt)
		}
		if (len(ch.Events) == 1) != (c.outcome != "") || c.outcome != "" && (ch.Events[0].Family != "completion" || ch.Events[0].Type != c.outcome) {
			t.Errorf("%s: events %+v", behavior, ch.Events)
		}
		if behavior == "escalate" && n.BlockingDetail != "suspension escalated: timeout at 1700000061000" {
			t.Errorf("escalated: %q", n.BlockingDetail)
		}
	}
}

func TestTick_TheDeadlineGoesOnWhileSuspended(t *testing.T) {
	e := running4(t)
	e.DeadlineAt = began + 30_000
	ch, err := Suspend(e, parked, began+1_000)
	noError(t, err)
	if ch.Execution.DueAt != began+30_000 {
		t.Errorf("due at %d", ch.Execution.DueAt)
	}
	over, err := Tick(ch.Execution, nil, began+30_000)
	noError(t, err)
	if got := CloseReason(ch.Execution, over.Execution); got != "expired:execution_deadline" || over.Execution.Public != "expired" {
		t.Errorf("closed for %q, %s", got, over.Execution.Public)
	}
}

func TestCloseReason_OfCancelAndSkip(t *testing.T) {
	e := parkedBy(t, parked).Execution
	e.FailureReason = "suspension_timeout:fail" // of an earlier attempt
	cancel, err := Cancel(e, nil, &ff.Cancel{ExecutionID: execID, Reason: "x", Source: ff.SourceOperatorOverride}, began+6_000)
	noError(t, err)
	skip, err := Skip(e, nil, began+6_000)
	noError(t, err)
	for name, n := range map[string]*record.Execution{"cancel": cancel.Execution, "skip": skip.Execution} {
		if got := CloseReason(e, n); got != "cancelled" || !n.SuspensionID.IsZero() {
			t.Errorf("%s: closed for %q, suspended by %s", name, got, n.SuspensionID)
		}
	}
	if got := CloseReason(running4(t), cancel.Execution); got != "" {
		t.Errorf("of one that was not suspended: %q", got)
	}
}
