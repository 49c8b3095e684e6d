package lifecycle

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Instants of the fixtures: an execution created at t0, whose worker began at t0+1s and holds a lease until t0+31s.
const (
	t0      ff.Timestamp = 1_700_000_000_000
	began                = t0 + 1_000
	expires              = t0 + 31_000
)

var (
	execID    = ff.ExecutionIDFrom(86, uuid.MustParse("11111111-1111-4111-8111-111111111111"))
	leaseID   = ff.LeaseID(uuid.MustParse("22222222-2222-4222-8222-222222222222"))
	attemptID = ff.AttemptID(uuid.MustParse("33333333-3333-4333-8333-333333333333"))
	newLease  = ff.LeaseID(uuid.MustParse("44444444-4444-4444-8444-444444444444"))
	newTry    = ff.AttemptID(uuid.MustParse("55555555-5555-4555-8555-555555555555"))

	holder = ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: attemptID, AttemptIndex: 0}
	grant  = Grant{WorkerID: "w2", WorkerInstanceID: "w2-a", LeaseID: newLease, AttemptID: newTry, TTL: 30 * time.Second}
)

// vector reads "phase ownership eligibility reason outcome attempt_state".
func vector(t testing.TB, text string) ff.StateVector {
	t.Helper()
	f := strings.Fields(text)
	if len(f) != 6 {
		t.Fatalf("vector %q has %d words", text, len(f))
	}
	return ff.StateVector{
		Phase: ff.Phase(f[0]), Ownership: ff.Ownership(f[1]), Eligibility: ff.Eligibility(f[2]),
		BlockingReason: ff.BlockingReason(f[3]), Outcome: ff.Outcome(f[4]), AttemptState: ff.AttemptState(f[5]),
	}
}

// base is an execution that nobody has touched yet.
func base() *record.Execution {
	return &record.Execution{
		ID: execID, Version: 7, Lane: "mail", Namespace: "default", Kind: "send", Creator: "me", Priority: 5,
		CreatedAt: t0, LastTransitionAt: t0, LastMutationAt: t0,
	}
}

// inState is an execution in a state, with the fields that go with it: the lease of an active one, an attempt that began
// unless it is the first that is pending, an end if it has ended.
func inState(t testing.TB, state string) *record.Execution {
	t.Helper()
	e := base()
	e.State = vector(t, state)
	if e.State.AttemptState != ff.PendingFirstAttempt && e.State.AttemptState != ff.AttemptNone {
		e.TotalAttempts, e.Epoch, e.StartedAt = 1, 3, began
		e.AttemptID, e.AttemptType, e.AttemptStartedAt = attemptID, ff.AttemptInitial, began
	}
	if e.State.AttemptState == ff.PendingRetryAttempt {
		e.AttemptID, e.RetryCount = ff.AttemptID{}, 1
	}
	if e.State.Phase == ff.PhaseActive {
		e.LeaseID, e.WorkerID, e.WorkerInstanceID = leaseID, "w1", "w1-a"
		e.LeaseAcquiredAt, e.LeaseRenewedAt, e.LeaseExpiresAt = began, began, expires
	}
	if e.State.Eligibility == ff.NotEligibleUntilTime {
		e.DelayUntil = t0 + 10_000
	}
	if e.State.Finished() {
		e.CompletedAt = t0 + 5_000
	}
	settle(e, t0)
	return e
}

func running4(t testing.TB) *record.Execution {
	return inState(t, "active leased not_applicable none none running_attempt")
}

func code(err error) ff.Code {
	if e, ok := errors.AsType[*ff.Error](err); ok {
		return e.Code
	}
	return ""
}

func wantCode(t *testing.T, err error, want ff.Code) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("error %v has code %q, want %q", err, got, want)
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var comparer = cmp.Comparer(func(x, y ff.ExecutionID) bool { return x == y })

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, comparer); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// changed is before with the fields that change sets, which makes what stays as explicit as what does not.
func changed(before *record.Execution, change func(n *record.Execution)) *record.Execution {
	n := *before
	change(&n)
	return &n
}

// noAttempt is what a rule that leaves the attempts alone says of them.
var noAttempt *record.Attempt
