package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func timeouts(p ff.TimeoutPolicy) *ff.Policy { return &ff.Policy{Timeouts: &p} }

func TestSubmit_TheEarlierDeadlineCounts(t *testing.T) {
	for name, c := range map[string]struct {
		deadline ff.Timestamp
		policy   *ff.Policy
		want     ff.Timestamp
	}{
		"none":             {0, nil, 0},
		"an instant":       {t0 + 7, nil, t0 + 7},
		"the policy's":     {0, timeouts(ff.TimeoutPolicy{ExecutionDeadlineMS: 9}), t0 + 9},
		"instant earlier":  {t0 + 8, timeouts(ff.TimeoutPolicy{ExecutionDeadlineMS: 9}), t0 + 8},
		"policy's earlier": {t0 + 10, timeouts(ff.TimeoutPolicy{ExecutionDeadlineMS: 9}), t0 + 9},
	} {
		e := Submit(&ff.Submit{ID: execID, Deadline: c.deadline, Policy: c.policy}, t0)
		if e.DeadlineAt != c.want || e.DueAt != c.want {
			t.Errorf("%s: the deadline is %d, due at %d, want %d", name, e.DeadlineAt, e.DueAt, c.want)
		}
	}
}

func TestCheckDeadline_RefusesThePast(t *testing.T) {
	for at, want := range map[ff.Timestamp]ff.Code{0: "", t0 + 1: "", t0: "invalid_input", t0 - 1: "invalid_input"} {
		wantCode(t, CheckDeadline(&ff.Submit{Deadline: at}, t0), want)
	}
}

func TestClaim_ArmsTheAttemptTimeout(t *testing.T) {
	e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	e.Policy = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 40_000})
	ch, err := Claim(e, grant, began)
	noError(t, err)
	if n := ch.Execution; n.AttemptEndsAt != began+40_000 || n.LeaseExpiresAt != began+30_000 || n.DueAt != began+30_000 {
		t.Errorf("the attempt ends at %d, its lease at %d, due at %d", n.AttemptEndsAt, n.LeaseExpiresAt, n.DueAt)
	}
}

// TestClaim_LeaseNeverOutlastsAttemptOrExecution: nor does a renewal make it.
func TestClaim_LeaseNeverOutlastsAttemptOrExecution(t *testing.T) {
	for name, c := range map[string]struct {
		timeout  int64
		deadline ff.Timestamp
		want     ff.Timestamp
	}{
		"no bounds":          {0, 0, began + 30_000},
		"attempt timeout":    {20_000, 0, began + 20_000},
		"deadline":           {0, began + 10_000, began + 10_000},
		"both, the earlier":  {20_000, began + 10_000, began + 10_000},
		"both, but far away": {40_000, began + 50_000, began + 30_000},
	} {
		e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
		e.Policy, e.DeadlineAt = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: c.timeout}), c.deadline
		ch, err := Claim(e, grant, began)
		noError(t, err)
		if got := ch.Execution.LeaseExpiresAt; got != c.want {
			t.Errorf("%s: the lease lasts until %d, want %d", name, got, c.want)
		}
		renewed, err := Renew(ch.Execution, &ff.Renew{Fence: fenceOf(ch.Execution), TTL: 30 * time.Second}, began)
		noError(t, err)
		if got := renewed.Execution.LeaseExpiresAt; got != c.want {
			t.Errorf("%s: renewed, the lease lasts until %d, want %d", name, got, c.want)
		}
	}
}

// TestPause_KeepsWhatIsLeftOfTheAttempt: of 40 s, 10 are used before the pause; the rest is armed again by the claim that
// goes on, and a reclaim has the whole time.
func TestPause_KeepsWhatIsLeftOfTheAttempt(t *testing.T) {
	e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	e.Policy = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 40_000})
	claimed, err := Claim(e, grant, began)
	noError(t, err)
	at := began + 10_000
	for name, pause := range map[string]func() (Change, error){
		"delay": func() (Change, error) {
			ch, _, err := Delay(claimed.Execution, &ff.Delay{Fence: fenceOf(claimed.Execution), Until: at}, at)
			return ch, err
		},
		"release": func() (Change, error) {
			return Release(claimed.Execution, &ff.Release{Fence: fenceOf(claimed.Execution)}, at)
		},
		"revoke": func() (Change, error) {
			ch, _, err := RevokeLease(claimed.Execution, nil, &ff.RevokeLease{}, at)
			return ch, err
		},
	} {
		paused, err := pause()
		noError(t, err)
		if n := paused.Execution; n.AttemptLeftMS != 30_000 || n.AttemptEndsAt != 0 || n.DueAt != 0 {
			t.Errorf("%s: %d ms are left, it ends at %d, due at %d", name, n.AttemptLeftMS, n.AttemptEndsAt, n.DueAt)
		}
		again, err := Claim(paused.Execution, grant, at+3_600_000)
		noError(t, err)
		if n := again.Execution; n.AttemptEndsAt != at+3_600_000+30_000 || n.AttemptLeftMS != 0 {
			t.Errorf("%s: claimed again it ends at %d, %d ms left", name, n.AttemptEndsAt, n.AttemptLeftMS)
		}
	}
	lost, err := Tick(claimed.Execution, nil, began+30_000)
	noError(t, err)
	if n := lost.Execution; n.State.Ownership != "lease_expired_reclaimable" || n.AttemptEndsAt != 0 || n.AttemptLeftMS != 0 {
		t.Errorf("lost: %s, ends at %d, %d ms left", n.State, n.AttemptEndsAt, n.AttemptLeftMS)
	}
	reclaimed, err := Claim(lost.Execution, grant, began+35_000)
	noError(t, err)
	if got := reclaimed.Execution.AttemptEndsAt; got != began+35_000+40_000 {
		t.Errorf("reclaimed it ends at %d", got)
	}
}

func TestTick_AttemptTimeoutExpiresTheExecution(t *testing.T) {
	e, now := running4(t), began+20_000
	e.Policy = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 20_000})
	e.AttemptEndsAt, e.LeaseExpiresAt = now, now
	settle(e, t0)
	if early, err := Tick(e, nil, now-1); err != nil || early.Execution != nil {
		t.Fatalf("a millisecond before, %+v, %v", early, err)
	}
	ch, err := Tick(e, nil, now)
	noError(t, err)
	equal(t, "execution", ch.Execution, finished(t, e, now, func(n *record.Execution) {
		n.State, n.Public = vector(t, "terminal unowned not_applicable none expired attempt_terminal"), "expired"
		n.AttemptEndsAt, n.FailureReason, n.FailureCategory = 0, "attempt_timeout", "timeout"
	}))
	want := endedAttempt(now)
	want.State, want.Outcome, want.FailureReason, want.FailureCategory = "ended_failure", "expired", "attempt_timeout", "timeout"
	equal(t, "attempt", ch.Attempt, &want)
	equal(t, "events", eventsOf(ch), [][4]any{release("expired", 3, "expired:attempt_timeout")})
}

// TestW39_AttemptTimeoutMayRetry: the policy chooses; the retry is one like any other, with its backoff and its limit.
func TestW39_AttemptTimeoutMayRetry(t *testing.T) {
	e, now := running4(t), began+20_000
	e.Policy = ff.Retry(1, ff.FixedBackoff(time.Second))
	e.Policy.Timeouts = &ff.TimeoutPolicy{AttemptTimeoutMS: 20_000, OnAttemptTimeout: ff.TimeoutRetries}
	e.AttemptEndsAt, e.LeaseExpiresAt = now, now
	ch, err := Tick(e, nil, now)
	noError(t, err)
	n := ch.Execution
	if n.State != retryBackoff || n.DelayUntil != now+1_000 || n.RetryCount != 1 || n.FailureReason != "attempt_timeout" || n.AttemptEndsAt != 0 {
		t.Errorf("with a retry left: %+v", n)
	}
	equal(t, "events", eventsOf(ch), [][4]any{lease("released", 3, "failed_retry_scheduled")})

	e.RetryCount = 1
	ch, err = Tick(e, nil, now)
	noError(t, err)
	if ch.Execution.State.Outcome != "failed" || ch.Execution.FailureCategory != "timeout" {
		t.Errorf("with none left: %+v", ch.Execution)
	}
	e.Policy.Retry.RetryableCategories = []string{"transient"}
	e.RetryCount = 0
	if ch, err = Tick(e, nil, now); err != nil || ch.Execution.State.Outcome != "failed" {
		t.Errorf("with timeouts not retryable: %+v, %v", ch.Execution, err)
	}
}

// TestTick_ALostLeaseIsNotATimeout: of a lease that ran out before its attempt's time, however late anybody looks.
func TestTick_ALostLeaseIsNotATimeout(t *testing.T) {
	e := running4(t)
	e.Policy = timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 60_000})
	e.AttemptEndsAt = began + 60_000
	ch, err := Tick(e, nil, began+3_600_000)
	noError(t, err)
	if ch.Execution.State != leaseRanOut {
		t.Errorf("it is %s", ch.Execution.State)
	}
}

// TestTick_DeadlineEndsEveryPhase: whatever the execution was doing, nothing of it stays open.
func TestTick_DeadlineEndsEveryPhase(t *testing.T) {
	now := t0 + 15_000
	for state, c := range map[string]struct {
		want    string
		attempt bool
		event   [4]any
	}{
		"runnable unowned eligible_now waiting_for_worker none pending_first_attempt":                   {"pending_first_attempt", false, completion("expired", 0)},
		"runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt":         {"pending_first_attempt", false, completion("expired", 0)},
		"runnable unowned blocked_by_quota waiting_for_quota none pending_first_attempt":                {"pending_first_attempt", false, completion("expired", 0)},
		"runnable unowned blocked_by_operator paused_by_operator none attempt_interrupted":              {"attempt_terminal", true, completion("expired", 3)},
		"runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted":           {"attempt_terminal", true, completion("expired", 3)},
		"runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt": {"attempt_terminal", false, completion("expired", 3)},
		"suspended unowned not_applicable waiting_for_signal none attempt_interrupted":                  {"attempt_terminal", true, completion("expired", 3)},
		"active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted":   {"attempt_terminal", true, completion("expired", 3)},
		"active leased not_applicable none none running_attempt":                                        {"attempt_terminal", true, release("expired", 3, "expired:execution_deadline")},
	} {
		e := inState(t, state)
		e.DeadlineAt = now
		settle(e, t0)
		if early, err := Tick(e, nil, now-1); err != nil || early.Execution != nil && early.Execution.State.Finished() {
			t.Errorf("%s: a millisecond before, %+v, %v", state, early, err)
		}
		ch, err := Tick(e, nil, now)
		noError(t, err)
		n := ch.Execution
		if n.State != vector(t, "terminal unowned not_applicable none expired "+c.want) || n.FailureReason != "execution_deadline" || n.CompletedAt != now || n.DueAt != 0 {
			t.Errorf("%s becomes %+v", state, n)
		}
		if (ch.Attempt != nil) != c.attempt || c.attempt && (ch.Attempt.State != "ended_failure" || ch.Attempt.FailureReason != "execution_deadline") {
			t.Errorf("%s leaves the attempt as %+v", state, ch.Attempt)
		}
		equal(t, "events of "+state, eventsOf(ch), [][4]any{c.event})
	}
}

// TestTick_DeadlineClosesAnAttemptThatAReplayHadCleared is I11 for a replay that nobody claimed in time.
func TestTick_DeadlineClosesAnAttemptThatAReplayHadCleared(t *testing.T) {
	e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt")
	e.DeadlineAt = t0 + 15_000
	if !NeedsAttempt(e) {
		t.Error("the attempt is not asked for")
	}
	ch, err := Tick(e, &record.Attempt{ExecutionID: execID, AttemptID: attemptID, LeaseEpoch: 4}, t0+15_000)
	noError(t, err)
	if a := ch.Attempt; a == nil || a.State != "ended_failure" || a.Outcome != "expired" || a.EndedAt != t0+15_000 || a.LeaseEpoch != 4 {
		t.Errorf("the attempt is left as %+v", ch.Attempt)
	}
}

func TestClaimable_NotAfterTheDeadline(t *testing.T) {
	e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	e.DeadlineAt = t0 + 5
	if !Claimable(e, nil, t0+4) || Claimable(e, nil, t0+5) {
		t.Error("the deadline does not bound when it may be claimed")
	}
}

// TestReplay_CountsThePolicysDeadlineAnew: an instant of the submission stays while it is to come and is dropped after.
func TestReplay_CountsThePolicysDeadlineAnew(t *testing.T) {
	hour := timeouts(ff.TimeoutPolicy{ExecutionDeadlineMS: 3_600_000})
	for name, c := range map[string]struct {
		policy *ff.Policy
		was    ff.Timestamp
		want   ff.Timestamp
	}{
		"none":                         {nil, 0, 0},
		"instant to come":              {nil, t0 + 60_001, t0 + 60_001},
		"instant that has passed":      {nil, t0 + 60_000, 0},
		"the policy's":                 {hour, t0 + 3_600_000, t0 + 60_000 + 3_600_000},
		"instant before the policy's":  {hour, t0 + 70_000, t0 + 70_000},
		"instant before it, passed":    {hour, t0 + 50_000, t0 + 60_000 + 3_600_000},
		"the policy's after a replay":  {hour, t0 + 3_650_000, t0 + 60_000 + 3_600_000},
		"the policy's, if it was none": {hour, 0, t0 + 60_000 + 3_600_000},
	} {
		e := inState(t, "terminal unowned not_applicable none expired attempt_terminal")
		e.Policy, e.DeadlineAt, e.RetainUntil = c.policy, c.was, t0+90_000
		ch, err := Replay(e, nil, 0, &ff.Replay{}, t0+60_000)
		noError(t, err)
		if n := ch.Execution; n.DeadlineAt != c.want || n.DueAt != c.want || n.RetainUntil != 0 {
			t.Errorf("%s: deadline %d, due at %d, kept until %d; want deadline %d", name, n.DeadlineAt, n.DueAt, n.RetainUntil, c.want)
		}
	}
}

func TestRetain_KeepsTheFinishedForAsLongAsThePolicySays(t *testing.T) {
	none, week := int64(0), int64(7*24*3_600_000)
	for name, c := range map[string]struct {
		state  string
		policy *ff.Policy
		want   ff.Timestamp
	}{
		"default":          {"terminal unowned not_applicable none success attempt_terminal", nil, t0 + 5_000 + 3_600_000},
		"cancelled":        {"cancelled unowned not_applicable none cancelled attempt_terminal", nil, t0 + 5_000 + 3_600_000},
		"shorter, at once": {"terminal unowned not_applicable none failed attempt_terminal", &ff.Policy{RetentionMS: &none}, t0 + 5_000},
		"longer":           {"terminal unowned not_applicable none failed attempt_terminal", &ff.Policy{RetentionMS: &week}, t0 + 5_000 + 604_800_000},
		"not finished":     {"active leased not_applicable none none running_attempt", nil, 0},
	} {
		e := inState(t, c.state)
		e.Policy = c.policy
		ch := Change{Execution: e}
		Retain(&ch, time.Hour)
		if e.RetainUntil != c.want {
			t.Errorf("%s: kept until %d, want %d", name, e.RetainUntil, c.want)
		}
	}
	Retain(&Change{}, time.Hour) // nothing to keep
}
