package lifecycle

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// The tests of this file are the invariants of chapter 10, section 7, by their numbers, as far as one execution can show
// them.

func TestI01_VectorIsLegal(t *testing.T) {
	legal := legalVectors(t)
	always(t, func(m *move) {
		if _, ok := legal[m.e.State]; !ok {
			m.Fatalf("%s leads to %s", m.command, m.e.State)
		}
	})
}

func TestI02_PublicStateIsDerived(t *testing.T) {
	legal := legalVectors(t)
	always(t, func(m *move) {
		if want := legal[m.e.State].public; m.e.Public != want {
			m.Fatalf("after %s, %s is publicly %s, want %s", m.command, m.e.State, m.e.Public, want)
		}
	})
}

func TestI03_PhasesMoveAlongTheTable(t *testing.T) {
	moves := map[ff.Phase]string{
		"runnable": "runnable active terminal cancelled", "active": "active runnable terminal cancelled",
		"terminal": "terminal runnable", "cancelled": "cancelled runnable",
	}
	always(t, func(m *move) {
		from, to := m.before.State, m.e.State
		if !slices.Contains(strings.Fields(moves[from.Phase]), string(to.Phase)) {
			m.Fatalf("%s moves %s to %s", m.command, from, to)
		}
		if from.Finished() && !to.Finished() && m.command != "replay" {
			m.Fatalf("%s brings back %s", m.command, from)
		}
	})
}

// byFence are the commands that a fence must allow.
var byFence = []string{"renew", "progress", "complete", "fail", "delay", "release", "quit"}

func TestI04_OneFenceIsValidAtATime(t *testing.T) {
	always(t, func(m *move) {
		valid := 0
		for _, f := range m.fences {
			if _, err := Renew(m.e, &ff.Renew{Fence: f, TTL: 1}, m.now); err == nil {
				valid++
			}
		}
		want := 0
		if m.e.State.Ownership == ff.Leased && m.now < m.e.LeaseExpiresAt {
			want = 1
		}
		if valid != want {
			m.Fatalf("after %s %d of %d fences are valid, want %d", m.command, valid, len(m.fences), want)
		}
	})
}

// TestI05_EpochRisesByOne: when a lease is given, taken away by somebody else, or the past is closed by a replay; never
// otherwise.
func TestI05_EpochRisesByOne(t *testing.T) {
	always(t, func(m *move) {
		rise := uint64(0)
		for _, ev := range m.change.Events {
			if slices.Contains([]string{"acquired", "reclaimed", "revoked", "replayed"}, ev.Type) {
				rise = 1
			}
		}
		if m.e.Epoch != m.before.Epoch+rise {
			m.Fatalf("%s with events %+v moves the epoch from %d to %d", m.command, m.change.Events, m.before.Epoch, m.e.Epoch)
		}
	})
}

func TestI06_OnlyTheCurrentFenceChangesAnything(t *testing.T) {
	always(t, func(m *move) {
		free := m.command == "quit" && m.before.State.Ownership != ff.Leased && m.fence.IsZero() // nobody to protect
		if m.change.Execution != nil && slices.Contains(byFence, m.command) && !free && m.fence != fenceOf(m.before) {
			m.Fatalf("%s with fence %+v changes %+v", m.command, m.fence, m.before)
		}
		if m.err != nil && (m.change.Execution != nil || m.change.Attempt != nil || len(m.change.Events) > 0) {
			m.Fatalf("%s is refused, %v, and changes %+v", m.command, m.err, m.change)
		}
	})
}

// TestI07_NothingAfterTheLeaseRanOut: nor after the end of the attempt's time or the deadline, which bound every lease.
func TestI07_NothingAfterTheLeaseRanOut(t *testing.T) {
	always(t, func(m *move) {
		b := m.before
		late := m.now >= b.LeaseExpiresAt || b.AttemptEndsAt != 0 && m.now >= b.AttemptEndsAt || b.DeadlineAt != 0 && m.now >= b.DeadlineAt
		if b.State.Ownership == ff.Leased && late && m.change.Execution != nil && slices.Contains(byFence, m.command) {
			m.Fatalf("%s at %d changes %+v", m.command, m.now, b)
		}
	})
}

func TestI08_AttemptIndexesHaveNoGaps(t *testing.T) {
	always(t, func(m *move) {
		e := m.e
		if e.TotalAttempts > 0 && e.AttemptIndex != e.TotalAttempts-1 {
			m.Fatalf("index %d of %d attempts", e.AttemptIndex, e.TotalAttempts)
		}
		for i := range e.TotalAttempts {
			if m.attempts[i] == nil && (i < e.TotalAttempts-1 || !attemptIsOpen(e)) {
				m.Fatalf("attempt %d of %d is not there in %s", i, e.TotalAttempts, e.State)
			}
		}
		if len(m.attempts) > e.TotalAttempts {
			m.Fatalf("%d attempts stored of %d", len(m.attempts), e.TotalAttempts)
		}
	})
}

func attemptIsOpen(e *record.Execution) bool {
	return e.State.AttemptState == "running_attempt" || e.State.AttemptState == "attempt_interrupted"
}

func TestI09_OneAttemptRunsWhileALeaseIsHeld(t *testing.T) {
	always(t, func(m *move) {
		if (m.e.State.AttemptState == "running_attempt") != (m.e.State.Phase == "active" && m.e.State.Ownership == "leased") {
			m.Fatalf("%s", m.e.State)
		}
		for i, a := range m.attempts {
			last := i == m.e.AttemptIndex
			if !last && a.EndedAt == 0 || last && attemptIsOpen(m.e) && a.EndedAt != 0 {
				m.Fatalf("in %s attempt %d of %d ended at %d", m.e.State, i, m.e.TotalAttempts, a.EndedAt)
			}
		}
	})
}

func TestI10_AnEndedAttemptStaysAsItIs(t *testing.T) {
	always(t, func(m *move) {
		for i, old := range m.stored {
			if old.EndedAt != 0 && m.attempts[i] != old && m.command != "replay" {
				m.Fatalf("%s changes attempt %d, which had ended", m.command, i)
			}
		}
	})
}

func TestI11_TheEndClosesAllAttempts(t *testing.T) {
	always(t, func(m *move) {
		for i, a := range m.attempts {
			if m.e.State.Finished() && a.EndedAt == 0 {
				m.Fatalf("%s leaves attempt %d open in %s", m.command, i, m.e.State)
			}
		}
	})
}

func TestI12_TheEndIsFinalUntilAReplay(t *testing.T) {
	always(t, func(m *move) {
		if !m.before.State.Finished() || m.command == "replay" {
			return
		}
		was := [...]any{m.before.State, m.before.CompletedAt, m.before.FailureReason, string(m.before.Result), m.before.CancelledBy, m.before.RetainUntil}
		is := [...]any{m.e.State, m.e.CompletedAt, m.e.FailureReason, string(m.e.Result), m.e.CancelledBy, m.e.RetainUntil}
		if was != is {
			m.Fatalf("%s makes %v of %v", m.command, is, was)
		}
	})
}

func TestI13_AttemptsAreCounted(t *testing.T) {
	always(t, func(m *move) {
		if m.opened != m.e.TotalAttempts {
			m.Fatalf("%d claims opened an attempt, there are %d", m.opened, m.e.TotalAttempts)
		}
	})
}

func TestI14_CountersStayWithinThePolicy(t *testing.T) {
	always(t, func(m *move) {
		retries, reclaims, replays := uint64(0), uint64(100), uint64(10)
		if p := m.e.Policy; p != nil {
			retries, reclaims, replays = uint64(*p.Retry.MaxRetries), uint64(*p.MaxReclaims), uint64(*p.MaxReplays)
		}
		if uint64(m.e.RetryCount) > retries || uint64(m.e.ReclaimCount) > reclaims || uint64(m.e.ReplayCount) > replays {
			m.Fatalf("%d retries, %d reclaims, %d replays", m.e.RetryCount, m.e.ReclaimCount, m.e.ReplayCount)
		}
	})
}

// TestI15_IndexesFollowTheState: what may be claimed is ready, what time will change has the earliest instant at which it
// will, and only what has ended is kept for a while.
func TestI15_IndexesFollowTheState(t *testing.T) {
	legal := legalVectors(t)
	always(t, func(m *move) {
		e, row := m.e, legal[m.e.State].row
		ready := e.State.Eligibility == "eligible_now" || row == 5 || row == 6
		var dues []ff.Timestamp
		if row == 4 {
			dues = append(dues, e.LeaseExpiresAt, e.AttemptEndsAt)
		}
		if e.State.Eligibility == "not_eligible_until_time" {
			dues = append(dues, e.DelayUntil)
		}
		if !e.State.Finished() {
			dues = append(dues, e.DeadlineAt)
		}
		if ready && e.Policy != nil && e.Policy.Aging != nil && e.Priority+e.Boost < 9000 {
			waited := max(e.LastTransitionAt, e.LeaseExpiresAt)
			dues = append(dues, waited+ff.Timestamp(e.Boost/e.Policy.Aging.Step+1)*1000)
		}
		dues = slices.DeleteFunc(dues, func(t ff.Timestamp) bool { return t == 0 })
		want := ff.Timestamp(0)
		if len(dues) > 0 {
			want = slices.Min(dues)
		}
		if e.Ready != ready || e.DueAt != want {
			m.Fatalf("after %s %s is ready %t, due at %d; want %t, %d", m.command, e.State, e.Ready, e.DueAt, ready, want)
		}
		if kept := e.RetainUntil != 0; kept != e.State.Finished() || kept && e.RetainUntil != e.CompletedAt+3_600_000 {
			m.Fatalf("after %s %s, completed at %d, is kept until %d", m.command, e.State, e.CompletedAt, e.RetainUntil)
		}
	})
}

func TestI16_PriorityStaysInItsRange(t *testing.T) {
	always(t, func(m *move) {
		if m.e.Priority < 0 || m.e.Boost < 0 || m.e.Priority+m.e.Boost > 9000 || !m.e.Ready && m.e.Boost != 0 {
			m.Fatalf("priority %d, boost %d, ready %t", m.e.Priority, m.e.Boost, m.e.Ready)
		}
	})
}

func TestI17_WhatIsSetOnceStays(t *testing.T) {
	once := func(e *record.Execution) record.Execution {
		return record.Execution{
			ID: e.ID, Lane: e.Lane, Namespace: e.Namespace, Kind: e.Kind, Creator: e.Creator, Payload: e.Payload, Policy: e.Policy,
			CreatedAt: e.CreatedAt,
		}
	}
	always(t, func(m *move) {
		if diff := cmp.Diff(once(m.before), once(m.e), comparer); diff != "" {
			m.Fatalf("%s:\n%s", m.command, diff)
		}
		if m.before.StartedAt != 0 && m.e.StartedAt != m.before.StartedAt {
			m.Fatalf("%s moves started_at from %d to %d", m.command, m.before.StartedAt, m.e.StartedAt)
		}
	})
}

func TestI18_CompletedAtIsOfTheEnd(t *testing.T) {
	always(t, func(m *move) {
		e := m.e
		if e.State.Finished() != (e.CompletedAt != 0) || e.CompletedAt != 0 && (e.CompletedAt < e.CreatedAt || e.CompletedAt < e.StartedAt) {
			m.Fatalf("%s completed at %d, created at %d, started at %d", e.State, e.CompletedAt, e.CreatedAt, e.StartedAt)
		}
	})
}

// TestI22_NoClaimBeforeTheDelayIsOver: whatever happens to an execution meanwhile, a block included.
func TestI22_NoClaimBeforeTheDelayIsOver(t *testing.T) {
	always(t, func(m *move) {
		if Claimable(m.e, nil, m.now) && m.e.DelayUntil > m.now {
			m.Fatalf("after %s it is claimable at %d, delayed until %d", m.command, m.now, m.e.DelayUntil)
		}
		after, err := Tick(m.e, m.attempts[m.e.AttemptIndex], m.now)
		if err != nil {
			m.Fatal(err)
		}
		n := m.e
		if after.Execution != nil {
			n = after.Execution
		}
		if n.State.Eligibility == "not_eligible_until_time" && n.DelayUntil <= m.now {
			m.Fatalf("at %d it still waits for %d", m.now, n.DelayUntil)
		}
	})
}

func TestI24_ARepeatChangesNothing(t *testing.T) {
	always(t, func(m *move) {
		if m.again == nil {
			return
		}
		if ch, err := m.again(m.e); err != nil || ch.Execution != nil || ch.Attempt != nil || len(ch.Events) > 0 {
			m.Fatalf("%s again, in %s, gives %+v, %v", m.command, m.e.State, ch, err)
		}
	})
}

func TestI25_EachEndIsToldOnce(t *testing.T) {
	always(t, func(m *move) {
		told := 0
		for _, ev := range m.change.Events {
			if ev.Family == record.FamilyCompletion {
				told++
				if ev.Type != string(m.e.State.Outcome) {
					m.Fatalf("%s tells of %s, the outcome is %s", m.command, ev.Type, m.e.State.Outcome)
				}
			}
		}
		want := 0
		if m.e.State.Finished() && m.e != m.before && !m.before.State.Finished() {
			want = 1
		}
		if told != want {
			m.Fatalf("%s from %s to %s writes %d completion events, want %d", m.command, m.before.State, m.e.State, told, want)
		}
	})
}

// TestI26_EachLeaseIsOpenedAndClosedOnce follows the lease through the log: a completion that names it closes it, too.
func TestI26_EachLeaseIsOpenedAndClosedOnce(t *testing.T) {
	always(t, func(m *move) {
		lease := "none"
		for _, ev := range m.events {
			was := lease
			switch {
			case ev.Family == "lease" && ev.Type == "acquired" && was == "none",
				ev.Family == "lease" && ev.Type == "reclaimed" && was == "expired":
				lease = "open"
			case ev.Family == "lease" && (ev.Type == "released" || ev.Type == "revoked") && was == "open",
				ev.Family == "completion" && ev.LeaseID.IsZero() == (was != "open"):
				lease = "none"
			case ev.Family == "lease" && ev.Type == "expired" && was == "open":
				lease = "expired"
			case ev.Family == "operator":
			default:
				m.Fatalf("%s %s follows a lease that is %s", ev.Family, ev.Type, was)
			}
		}
		want := map[ff.Ownership]string{"unowned": "none", "leased": "open", "lease_expired_reclaimable": "expired"}[m.e.State.Ownership]
		if lease != want {
			m.Fatalf("by the log the lease is %s, by the state %s", lease, m.e.State.Ownership)
		}
	})
}

func TestI27_AnOperatorsCancelAlwaysSucceeds(t *testing.T) {
	always(t, func(m *move) {
		if m.e.State.Finished() {
			return
		}
		ch, err := Cancel(m.e, m.attempts[m.e.AttemptIndex], &ff.Cancel{Source: ff.SourceOperatorOverride}, m.now)
		if err != nil || ch.Execution == nil || ch.Execution.Public != "cancelled" {
			m.Fatalf("in %s it gives %+v, %v", m.e.State, ch.Execution, err)
		}
	})
}

// TestI28_NothingIsStranded: from wherever a life has come to, time and one worker that completes what it claims end it,
// unless an operator's block stands against it.
func TestI28_NothingIsStranded(t *testing.T) {
	always(t, func(m *move) {
		e, now, attempts := m.e, m.now, m.attempts
		for range 20 {
			var ch Change
			var err error
			switch {
			case e.State.Finished(), e.State.Phase == "runnable" && strings.HasPrefix(string(e.State.Eligibility), "blocked_by"):
				return
			case Claimable(e, nil, now):
				if ch, err = Claim(e, grant, now); err == nil {
					ch, err = Complete(ch.Execution, &ff.Complete{Fence: fenceOf(ch.Execution)}, now)
				}
			default:
				now = max(now, e.DueAt)
				ch, err = Tick(e, attempts[e.AttemptIndex], now)
			}
			if err != nil {
				m.Fatalf("in %s: %v", e.State, err)
			}
			if ch.Execution != nil {
				e = ch.Execution
			}
		}
		m.Fatalf("after %s it stays in %s, due at %d, now is %d", m.command, e.State, e.DueAt, now)
	})
}

func TestI30_EventsAreOfTheExecution(t *testing.T) {
	always(t, func(m *move) {
		for _, ev := range m.change.Events {
			if ev.ExecutionID != m.e.ID || ev.At != m.now {
				m.Fatalf("%s at %d writes %+v", m.command, m.now, ev)
			}
		}
	})
}

// TestW24_AnAttemptNeverHoldsLeasesForLongerThanItsTime: over all its leases; pauses do not count, and every new attempt
// has the whole time again.
func TestW24_AnAttemptNeverHoldsLeasesForLongerThanItsTime(t *testing.T) {
	always(t, func(m *move) {
		p := m.e.Policy
		if p == nil || p.Timeouts.AttemptTimeoutMS == 0 {
			if m.e.AttemptEndsAt != 0 || m.e.AttemptLeftMS != 0 {
				m.Fatalf("no timeout, but it ends at %d, has %d ms left", m.e.AttemptEndsAt, m.e.AttemptLeftMS)
			}
			return
		}
		held := m.held
		if m.e.State.Ownership == ff.Leased {
			held += int64(m.e.LeaseExpiresAt - m.e.LeaseAcquiredAt)
			if left := int64(m.e.AttemptEndsAt-m.e.LeaseAcquiredAt) + m.held; left != p.Timeouts.AttemptTimeoutMS {
				m.Fatalf("after %s the attempt has %d ms in all, want %d", m.command, left, p.Timeouts.AttemptTimeoutMS)
			}
		}
		if held > p.Timeouts.AttemptTimeoutMS {
			m.Fatalf("after %s the attempt has held leases for %d ms", m.command, held)
		}
	})
}
