package lifecycle

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// world is one execution with its attempts and its log, as a store would keep them.
type world struct {
	*rapid.T
	now      ff.Timestamp
	e        *record.Execution
	legal    map[ff.StateVector]legalVector
	attempts map[int]*record.Attempt
	events   []record.Event
	fences   []ff.Fence // every fence ever given
	claims   int        // that opened an attempt in a place of its own
}

// TestRandomLife drives random commands with random fences and clocks against the invariants of chapter 10, section 7.
// Operations are those of the chapter's actors: workers that may have lost their lease, operators, time.
func TestRandomLife(t *testing.T) {
	legal := legalVectors(t)
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, now: t0, legal: legal, attempts: make(map[int]*record.Attempt)}
		cmd := ff.Submit{ID: execID, Lane: "mail", Kind: "send", Policy: w.policy(), Priority: 5}
		cmd.Delay = time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Second
		w.e = Submit(&cmd, w.now)
		w.checkState()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.step(rapid.SampledFrom([]string{
				"advance", "advance", "tick", "claim", "claim", "claim", "renew", "progress", "complete", "fail", "fail", "delay",
				"release", "cancel", "quit", "priority", "replay", "replay", "revoke",
			}).Draw(t, "command"))
		}
	})
}

func (w *world) policy() *ff.Policy {
	if rapid.Bool().Draw(w.T, "no policy") {
		return nil
	}
	n := func(name string) *uint32 {
		v := uint32(rapid.IntRange(0, 3).Draw(w.T, name))
		return &v
	}
	return &ff.Policy{
		Retry:       &ff.RetryPolicy{MaxRetries: n("max retries"), Backoff: ff.FixedBackoff(time.Second)},
		MaxReclaims: n("max reclaims"), MaxReplays: n("max replays"),
	}
}

// fence is one that was once given, the latest more often than others, or none.
func (w *world) fence() ff.Fence {
	i := rapid.IntRange(0, len(w.fences)+2).Draw(w.T, "fence")
	switch {
	case len(w.fences) == 0:
		return ff.Fence{}
	case i < len(w.fences):
		return w.fences[i]
	default:
		return w.fences[len(w.fences)-1]
	}
}

func (w *world) step(command string) {
	if command == "advance" {
		w.now += ff.Timestamp(rapid.SampledFrom([]int{0, 1, 999, 1000, 5000}).Draw(w.T, "ms"))
		return
	}
	before, at, f := w.e, w.now, w.fence()
	var ch Change
	var err error
	switch att := w.attempts[w.e.AttemptIndex]; command {
	case "tick":
		ch, err = Tick(w.e, at)
	case "claim":
		if Claimable(w.e, nil) {
			ch, err = Claim(w.e, w.grant(), at)
		}
	case "renew":
		ch, err = Renew(w.e, &ff.Renew{Fence: f, TTL: 2 * time.Second}, at)
	case "progress":
		ch, err = UpdateProgress(w.e, &ff.UpdateProgress{Fence: f}, at)
	case "complete":
		ch, err = Complete(w.e, &ff.Complete{Fence: f, Source: ff.SourceLeaseHolder}, at)
	case "fail":
		category := rapid.SampledFrom([]ff.FailureCategory{"transient", "transient", "permanent"}).Draw(w.T, "category")
		ch, _, err = Fail(w.e, &ff.Fail{Fence: f, Source: ff.SourceLeaseHolder, Category: category}, at)
	case "delay":
		ch, _, err = Delay(w.e, &ff.Delay{Fence: f, Source: ff.SourceLeaseHolder, Until: at + 1000}, at)
	case "release":
		ch, err = Release(w.e, &ff.Release{Fence: f}, at)
	case "cancel":
		ch, err = Cancel(w.e, att, &ff.Cancel{Source: ff.SourceOperatorOverride}, at)
		if err != nil && !before.State.Finished() {
			w.Fatalf("I27: an operator's cancel was refused: %v", err)
		}
	case "quit":
		ch, err = Cancel(w.e, att, &ff.Cancel{Source: ff.SourceWorker, Fence: f}, at)
	case "priority":
		ch, _, err = ChangePriority(w.e, &ff.ChangePriority{NewPriority: rapid.IntRange(-10, 10_000).Draw(w.T, "priority")}, at)
	case "replay":
		ch, err = Replay(w.e, att, &ff.Replay{}, at)
	case "revoke":
		ch, _, err = RevokeLease(w.e, att, &ff.RevokeLease{}, at)
	}
	if err != nil {
		if code(err) == ff.CodeCorruption {
			w.Fatalf("%s: %v", command, err)
		}
		return
	}
	w.checkFenced(command, before, f, ch)
	w.take(command, ch)
}

func (w *world) grant() Grant {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(len(w.fences)+1))
	return Grant{WorkerID: "w", WorkerInstanceID: "w-1", LeaseID: ff.LeaseID(id), AttemptID: ff.AttemptID(id), TTL: 2 * time.Second}
}

// take applies a change and checks what must hold between the old and the new.
func (w *world) take(command string, ch Change) {
	if ch.Execution == nil {
		return
	}
	old, n := w.e, ch.Execution
	w.checkStep(command, old, n, ch.Events)
	w.checkImmutable(old, n)
	if a := ch.Attempt; a != nil {
		if prev := w.attempts[a.Index]; prev != nil && prev.EndedAt != 0 && command != "replay" {
			w.Fatalf("I10: %s changed attempt %d, which had ended", command, a.Index)
		}
		w.attempts[a.Index] = a
	}
	if command == "claim" {
		w.fences = append(w.fences, fenceOf(n))
		if n.AttemptIndex >= old.TotalAttempts {
			w.claims++
		}
	}
	w.events = append(w.events, ch.Events...)
	w.e = n
	w.checkState()
	w.checkAttempts()
}

// checkFenced: only the fence of a lease that is valid changes anything (I4, I6, I7).
func (w *world) checkFenced(command string, before *record.Execution, f ff.Fence, ch Change) {
	if ch.Execution == nil || !slices.Contains([]string{"renew", "progress", "complete", "fail", "delay", "release"}, command) {
		return
	}
	if before.State.Ownership != ff.Leased || w.now >= before.LeaseExpiresAt || f != fenceOf(before) {
		w.Fatalf("I6, I7: %s with fence %+v changed %+v", command, f, before)
	}
	for _, other := range w.fences[:len(w.fences)-1] {
		if other == f {
			w.Fatalf("I4: the fence of an earlier claim is still good: %+v", f)
		}
	}
}

// checkStep: phases move along chapter 10, section 2.6 (I3), the epoch rises by one exactly when a lease is given, taken
// away, or the past is closed by a replay (I5), and ends are final until a replay (I12).
func (w *world) checkStep(command string, old, n *record.Execution, events []record.Event) {
	moves := map[ff.Phase]string{
		"runnable": "runnable active terminal cancelled", "active": "active runnable terminal cancelled",
		"terminal": "runnable", "cancelled": "runnable",
	}
	if !slices.Contains(strings.Fields(moves[old.State.Phase]), string(n.State.Phase)) {
		w.Fatalf("I3: %s moved %s to %s", command, old.State, n.State)
	}
	rise := uint64(0)
	for _, ev := range events {
		if ev.Type == "acquired" || ev.Type == "reclaimed" || ev.Type == "revoked" || ev.Type == "replayed" {
			rise = 1
		}
	}
	if n.Epoch != old.Epoch+rise {
		w.Fatalf("I5: %s with events %+v moved the epoch from %d to %d", command, events, old.Epoch, n.Epoch)
	}
	if old.State.Finished() && command != "replay" {
		w.Fatalf("I12: %s changed an execution that had ended", command)
	}
	completions, want := 0, 0
	for _, ev := range events {
		if ev.Family == record.FamilyCompletion {
			completions++
		}
	}
	if n.State.Finished() {
		want = 1
	}
	if completions != want {
		w.Fatalf("I25: %s wrote %d completion events, want %d", command, completions, want)
	}
}

// checkImmutable is I17, and I16 for what may change.
func (w *world) checkImmutable(old, n *record.Execution) {
	same := func(e *record.Execution) record.Execution {
		return record.Execution{
			ID: e.ID, Lane: e.Lane, Namespace: e.Namespace, Kind: e.Kind, Creator: e.Creator, Payload: e.Payload, Policy: e.Policy,
			CreatedAt: e.CreatedAt,
		}
	}
	if diff := cmp.Diff(same(old), same(n), comparer); diff != "" {
		w.Fatalf("I17:\n%s", diff)
	}
	if old.StartedAt != 0 && n.StartedAt != old.StartedAt {
		w.Fatalf("I17: started_at moved from %d to %d", old.StartedAt, n.StartedAt)
	}
	if n.Priority < 0 || n.Priority > 9000 {
		w.Fatalf("I16: priority %d", n.Priority)
	}
}

// checkState is I1, I2, I14, I15, I18 and I22 of the record itself.
func (w *world) checkState() {
	e := w.e
	l, ok := w.legal[e.State]
	if !ok {
		w.Fatalf("I1: %s is not legal", e.State)
	}
	if e.Public != l.public {
		w.Fatalf("I2: %s is publicly %s", e.State, e.Public)
	}
	ready := e.State.Eligibility == "eligible_now" || l.row == 5 || l.row == 6
	var due ff.Timestamp
	switch {
	case l.row == 4:
		due = e.LeaseExpiresAt
	case e.State.Eligibility == "not_eligible_until_time":
		due = e.DelayUntil
	}
	if e.Ready != ready || e.DueAt != due {
		w.Fatalf("I15: %s is ready %t, due at %d; want %t, %d", e.State, e.Ready, e.DueAt, ready, due)
	}
	if ready && l.row != 5 && e.DelayUntil > w.now {
		w.Fatalf("I22: eligible at %d, delayed until %d", w.now, e.DelayUntil)
	}
	if uint64(e.RetryCount) > uint64(e.Policy.MaxRetriesOrDefault()) || uint64(e.ReclaimCount) > uint64(e.Policy.MaxReclaimsOrDefault()) ||
		uint64(e.ReplayCount) > uint64(e.Policy.MaxReplaysOrDefault()) {
		w.Fatalf("I14: %d retries, %d reclaims, %d replays", e.RetryCount, e.ReclaimCount, e.ReplayCount)
	}
	if e.State.Finished() != (e.CompletedAt != 0) || e.CompletedAt != 0 && (e.CompletedAt < e.CreatedAt || e.CompletedAt < e.StartedAt) {
		w.Fatalf("I18: %s completed at %d", e.State, e.CompletedAt)
	}
}

// checkAttempts is I8, I9, I11 and I13.
func (w *world) checkAttempts() {
	e := w.e
	open := e.State.AttemptState == ff.RunningAttempt || e.State.AttemptState == ff.AttemptInterrupted
	if e.TotalAttempts > 0 && e.AttemptIndex != e.TotalAttempts-1 {
		w.Fatalf("I8: index %d of %d attempts", e.AttemptIndex, e.TotalAttempts)
	}
	for i := range e.TotalAttempts {
		a, last := w.attempts[i], i == e.TotalAttempts-1
		switch {
		case a == nil && (!last || !open):
			w.Fatalf("I8: attempt %d of %d is not there in %s", i, e.TotalAttempts, e.State)
		case a != nil && last && open && a.EndedAt != 0:
			w.Fatalf("I9: the open attempt has ended")
		case a != nil && !last && a.EndedAt == 0, a != nil && e.State.Finished() && a.EndedAt == 0:
			w.Fatalf("I11: attempt %d has not ended in %s", i, e.State)
		}
	}
	if len(w.attempts) > e.TotalAttempts {
		w.Fatalf("I8: %d attempts stored of %d", len(w.attempts), e.TotalAttempts)
	}
	if w.claims != e.TotalAttempts {
		w.Fatalf("I13: %d claims opened an attempt, there are %d", w.claims, e.TotalAttempts)
	}
}
