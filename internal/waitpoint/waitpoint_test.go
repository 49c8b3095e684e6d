package waitpoint

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

const now ff.Timestamp = 1000

func suspended() *record.Execution {
	return &record.Execution{ID: execution, State: ff.StateVector{Phase: ff.PhaseSuspended}}
}

// open opens a suspension of fresh waitpoints.
func open(t testing.TB, c ff.Condition, keys ...string) (*record.Suspension, map[string]*record.Waitpoint) {
	t.Helper()
	cmd := ff.Suspend{ExecutionID: execution, SuspensionID: ff.SuspensionID{1}, Condition: c}
	for _, key := range keys {
		cmd.Waitpoints = append(cmd.Waitpoints, ff.WaitpointBinding{WaitpointID: pointOf(key), Key: key})
	}
	o, err := Open(key1, nil, make([]*record.Waitpoint, len(keys)), &cmd, 0, 9000, now)
	if err != nil || o.Suspension == nil {
		t.Fatalf("open: %+v, %v", o, err)
	}
	points := make(map[string]*record.Waitpoint)
	for _, w := range o.Waitpoints {
		points[w.Name] = w
	}
	return o.Suspension, points
}

// send delivers a signal.
func send(s *record.Suspension, w *record.Waitpoint, ref record.SignalRef) (Delivered, error) {
	sig := record.Signal{
		SignalKey: record.SignalKey{ExecutionID: execution, SignalID: ref.SignalID}, WaitpointID: w.WaitpointID, Name: ref.Name,
		SourceType: ref.SourceType, SourceIdentity: ref.SourceIdentity,
	}
	return Deliver(suspended(), s, w, sig, 10000, now)
}

func TestOpen_FreshWaitpointsAreActive(t *testing.T) {
	s, points := open(t, ff.OnAll(ff.OnSignal("a"), ff.OnSignal("b")), "a", "b")
	want := &record.Waitpoint{
		WaitpointKey: record.WaitpointKey{ExecutionID: execution, WaitpointID: pointOf("b")}, Name: "b", State: "active",
		Token: points["b"].Token, SuspensionID: ff.SuspensionID{1}, CreatedAt: 1000, ActivatedAt: 1000, ExpiresAt: 9000,
	}
	if diff := cmp.Diff(want, points["b"], cmp.Comparer(func(x, y ff.ExecutionID) bool { return x == y })); diff != "" {
		t.Errorf("waitpoint (-want +got):\n%s", diff)
	}
	if !s.Open() || s.SuspendedAt != 1000 || s.TimeoutAt != 9000 || len(s.Waitpoints) != 2 || s.Waitpoints[0] != pointOf("a") {
		t.Errorf("suspension %+v", s)
	}
	if Verify(both, points["b"].Token, points["b"]) != nil {
		t.Error("its token does not verify")
	}
}

func TestOpen_RefusesWhatCannotBeBound(t *testing.T) {
	cmd := &ff.Suspend{ExecutionID: execution, SuspensionID: ff.SuspensionID{1}, Condition: ff.OnSignal("legal"), Waitpoints: []ff.WaitpointBinding{{WaitpointID: ff.WaitpointID{9}, Pending: true}}}
	closed, expired, other := *CloseOne(point(), "x", now), *point(), *point()
	expired.ExpiresAt, other.Name = now, "other"
	for name, tc := range map[string]struct {
		w    *record.Waitpoint
		want *ff.Error
	}{
		"missing": {nil, ff.ErrWaitpointNotFound}, "closed": {&closed, ff.ErrWaitpointNotPending},
		"expired at this moment (I20)": {&expired, ff.ErrPendingWaitpointExpired}, "of another key": {&other, ff.ErrInvalidInput},
	} {
		if _, err := Open(key1, nil, []*record.Waitpoint{tc.w}, cmd, 0, 0, now); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	fresh := *cmd
	fresh.Waitpoints = []ff.WaitpointBinding{{WaitpointID: ff.WaitpointID{9}, Key: "legal"}}
	if _, err := Open(key1, nil, []*record.Waitpoint{point()}, &fresh, 0, 0, now); !errors.Is(err, ff.ErrWaitpointAlreadyExists) {
		t.Errorf("FIX-S33: an id that is taken: %v", err)
	}
}

func TestDeliver_Refusals(t *testing.T) {
	s, points := open(t, ff.OnSignal("a"), "a")
	w := points["a"]
	ended, running := suspended(), suspended()
	ended.State = ff.StateVector{Phase: ff.PhaseTerminal, Outcome: ff.OutcomeFailed}
	running.State.Phase = ff.PhaseActive
	pending, late := *point(), *point()
	late.ExpiresAt = now
	full := *s
	full.SignalCount = 3
	next := *s
	next.SuspensionID = ff.SuspensionID{2}
	buffered := pending
	buffered.Signals = make([]record.SignalRef, 1000)
	for name, tc := range map[string]struct {
		e    *record.Execution
		s    *record.Suspension
		w    *record.Waitpoint
		want *ff.Error
	}{
		"ended":                              {ended, s, w, ff.ErrTargetNotSignalable},
		"not suspended any more":             {running, s, w, ff.ErrTargetNotSignalable},
		"closed":                             {suspended(), s, CloseOne(w, "x", now), ff.ErrWaitpointClosed},
		"FIX-S0: of an earlier suspension":   {suspended(), &next, w, ff.ErrWaitpointClosed},
		"expired":                            {running, nil, &late, ff.ErrWaitpointClosed},
		"as many signals as may be":          {suspended(), &full, w, ff.ErrSignalLimitExceeded},
		"as many wait on a pending one":      {running, s, &buffered, ff.ErrSignalLimitExceeded},
		"one is pending":                     {running, nil, &pending, nil},
		"one is pending beside a suspension": {suspended(), s, &pending, nil},
	} {
		_, err := Deliver(tc.e, tc.s, tc.w, record.Signal{Name: "ok"}, 3, now)
		if (tc.want == nil) != (err == nil) || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// I17, and what a delivery writes.
func TestDeliver_Counts(t *testing.T) {
	s, points := open(t, named("ok", ff.OnCount(2, ff.DistinctSources, "a")), "a")
	w := points["a"]
	for _, step := range []struct {
		ref                     record.SignalRef
		effect                  ff.SignalEffect
		signals, matched, count int
	}{
		{sig(1, "a", "ok", "ann"), "appended_to_waitpoint", 1, 1, 1},
		{sig(2, "a", "ok", "ann"), "appended_to_waitpoint_duplicate", 2, 1, 2},
		{sig(3, "a", "no", "bob"), "signal_ignored_matcher_failed", 3, 1, 3},
		{sig(4, "a", "ok", "bob"), "resume_condition_satisfied", 4, 2, 4},
	} {
		d, err := send(s, w, step.ref)
		if err != nil {
			t.Fatal(err)
		}
		got := []int{d.Waitpoint.SignalCount, d.Waitpoint.MatchedCount, d.Suspension.SignalCount}
		if d.Signal.Effect != step.effect || !cmp.Equal(got, []int{step.signals, step.matched, step.count}) || d.Satisfied != (step.effect == "resume_condition_satisfied") {
			t.Errorf("signal %d: %s, counts %v, satisfied %v; want %+v", step.ref.SignalID[0], d.Signal.Effect, got, d.Satisfied, step)
		}
		s, w = d.Suspension, d.Waitpoint
	}
	closed, points2 := Close(s, []*record.Waitpoint{w}, Closing{Reason: ff.ClosedResumed, Closer: ff.SignalID{4}}, now+1)
	if closed.Open() || closed.CloseReason != "resumed" || closed.ClosedAt != 1001 || points2[0].State != "closed" || len(points2[0].Signals) != 2 {
		t.Errorf("closed %+v, %+v", closed, points2[0])
	}
}

// I22: signals that came before the suspension count like those that come after it.
func TestOpen_BufferedSignalsCountAsDeliveredOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := conditions(3).Draw(t, "condition")
		if keys := c.Keys(); c.Validate() != nil || len(keys) != 1 {
			t.Skip("not of one waitpoint")
		}
		key := c.Keys()[0]
		list := signals().Draw(t, "signals")
		pending := New(key1, record.WaitpointKey{ExecutionID: execution, WaitpointID: pointOf(key)}, key, 0, 9000, now)
		early := rapid.IntRange(0, len(list)).Draw(t, "early")
		for i := range list {
			list[i].Key, list[i].WaitpointID = key, pointOf(key)
			if i < early {
				d, err := Deliver(&record.Execution{ID: execution, State: ff.StateVector{Phase: ff.PhaseActive}}, nil, pending,
					record.Signal{SignalKey: record.SignalKey{SignalID: list[i].SignalID}, Name: list[i].Name, SourceType: "test", SourceIdentity: list[i].SourceIdentity}, 10000, now)
				if err != nil || d.Signal.Effect != "buffered_for_pending_waitpoint" {
					t.Fatalf("buffer: %+v, %v", d, err)
				}
				pending = d.Waitpoint
			}
		}
		cmd := &ff.Suspend{ExecutionID: execution, SuspensionID: ff.SuspensionID{1}, Condition: c, Waitpoints: []ff.WaitpointBinding{{WaitpointID: pointOf(key), Pending: true}}}
		o, err := Open(key1, nil, []*record.Waitpoint{pending}, cmd, 0, 0, now)
		if err != nil {
			t.Fatal(err)
		}
		resumed := o.Suspension == nil
		s, w := o.Suspension, o.Waitpoints[0]
		for _, ref := range list[early:] {
			if resumed {
				break
			}
			d, err := send(s, w, ref)
			if err != nil {
				t.Fatal(err)
			}
			s, w, resumed = d.Suspension, d.Waitpoint, d.Satisfied
		}
		if want := Satisfied(&c, list); resumed != want {
			t.Fatalf("resumed %v with %d signals early, want %v", resumed, early, want)
		}
	})
}

func TestExpire(t *testing.T) {
	w := point()
	if Expired(w, 1999) || !Expired(w, 2000) {
		t.Error("it does not expire at 2000")
	}
	n := Expire(w, 2000)
	if n.State != "closed" || n.CloseReason != "never_committed" || n.ClosedAt != 2000 || Expired(n, 9999) {
		t.Errorf("expired %+v", n)
	}
}

func TestAuthFailed_IsNotedOnceAMinute(t *testing.T) {
	if AuthFailed(nil, now) != nil {
		t.Error("noted on nothing")
	}
	s := AuthFailed(&record.Suspension{}, now)
	if s == nil || s.AuthFailedAt != now {
		t.Fatalf("not noted: %+v", s)
	}
	if AuthFailed(s, now+59_999) != nil || AuthFailed(s, now+60_000) == nil {
		t.Error("it is noted otherwise than once a minute")
	}
}
