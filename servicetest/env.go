package servicetest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// env is what a behaviour has: an engine over a store, their clock, and a lane nobody else uses.
type env struct {
	*testing.T
	svc   ff.Service
	store store.Store
	pace  *pace
	lane  ff.LaneID
	// through says that svc is a way to an engine, not one itself.
	through bool
}

func newEnv(t *testing.T, h Harness, cfg engine.Config) *env {
	e := &env{T: t, pace: newPace()}
	e.store = h.Open(t, e.pace.now)
	e.svc = e.engineWith(cfg)
	if h.Through != nil {
		e.svc, e.through = h.Through(t, e.svc), true
	}
	return e
}

// engine opens an engine over the store, which the test's end closes.
func (e *env) engine() *engine.Engine { return e.engineWith(engine.Config{}) }

// engineWith opens one with a configuration. Events are kept, whatever the clock does: the audit reads them.
func (e *env) engineWith(cfg engine.Config) *engine.Engine {
	e.Helper()
	cfg.Clock = e.pace
	if cfg.EventRetention == 0 {
		cfg.EventRetention = 100 * 365 * 24 * time.Hour
	}
	eng, err := engine.Open(e.Context(), e.store, cfg)
	e.ok(err)
	e.Cleanup(func() { e.ok(eng.Close(context.Background())) })
	return eng
}

// on is the environment of a subtest.
func (e *env) on(t *testing.T, name string) *env {
	n := *e
	n.T, n.lane = t, ff.LaneID(name)
	return &n
}

// audit checks every invariant over the store.
func (e *env) audit() {
	e.Helper()
	storetest.Audit(e, e.dump())
}

func (e *env) dump() *store.Dump {
	e.Helper()
	d, err := e.store.(store.Dumper).Dump(context.WithoutCancel(e.Context()))
	e.ok(err)
	return d
}

// advance moves the clock and waits until the engine has done what has become due.
func (e *env) advance(d time.Duration) {
	e.Helper()
	e.pace.Advance(d)
	e.eventually("what is due is done", func() bool {
		e.pace.nudge()
		tx, err := e.store.View(e.Context(), store.Reads{NextDue: true})
		e.ok(err)
		return tx.NextDue() == 0 || tx.NextDue() > e.pace.now()
	})
}

// eventually asks until the answer is yes.
func (e *env) eventually(what string, done func() bool) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 20*time.Second)
	defer cancel()
	for wait := 50 * time.Microsecond; !done(); wait = min(2*wait, 5*time.Millisecond) {
		t := clock.Real().NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			e.Fatalf("waited in vain for: %s", what)
		}
	}
}

// ok ends the test on an error.
func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// refused fails the test unless err has a code. Text that is no UTF-8 does not get to an engine that is called through JSON.
func (e *env) refused(what string, err error, want ff.Code) {
	e.Helper()
	if e.through && errors.Is(err, ff.ErrInvalidInput) && strings.Contains(err.Error(), "invalid UTF-8") {
		return
	}
	if got := codeOf(err); got != want {
		e.Errorf("%s: error %v has code %q, want %q", what, err, got, want)
	}
}

// codeOf is empty for no error.
func codeOf(err error) ff.Code {
	var coded *ff.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &coded):
		return coded.Code
	default:
		return "not an engine error"
	}
}

// equal fails the test unless got is want; what is empty may be nil.
func (e *env) equal(what string, got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got, equality...); diff != "" {
		e.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var equality = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(x, y ff.ExecutionID) bool { return x == y }),
	cmp.FilterValues(func(x, y []byte) bool { return len(x) > 0 && len(y) > 0 }, cmp.Comparer(bytes.Equal)), // payloads are large
}

// submit creates an execution on the lane.
func (e *env) submit(cmd ff.Submit) ff.ExecutionID {
	e.Helper()
	res, err := e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	if res.Outcome != ff.Created {
		e.Fatalf("submitted: %s, want created", res.Outcome)
	}
	return res.ID
}

// command fills in what every submission needs.
func (e *env) command(cmd ff.Submit) ff.Submit {
	if cmd.Lane == "" {
		cmd.Lane = e.lane
	}
	if cmd.Kind == "" {
		cmd.Kind = "test"
	}
	return cmd
}

// leaseTTL is what the claims of tests ask for.
const leaseTTL = 10 * time.Second

// wants asks for work of the lane, at once.
func (e *env) wants(most int) ff.Claim {
	return ff.Claim{Lanes: []ff.LaneID{e.lane}, WorkerID: "worker", WorkerInstanceID: "worker-1", Max: most, LeaseTTL: leaseTTL}
}

// claimUpTo claims what there is.
func (e *env) claimUpTo(most int) []ff.Claimed {
	e.Helper()
	got, err := e.svc.Claim(e.Context(), e.wants(most))
	e.ok(err)
	return got
}

// claim claims the one execution that there is to have next.
func (e *env) claim() ff.Claimed {
	e.Helper()
	got := e.claimUpTo(1)
	if len(got) != 1 {
		e.Fatal("nothing was claimed")
	}
	return got[0]
}

// running submits an execution and claims it.
func (e *env) running(cmd ff.Submit) ff.Claimed {
	e.Helper()
	id := e.submit(cmd)
	c := e.claim()
	e.equal("claimed", c.ExecutionID, id)
	return c
}

// nothingClaimable fails the test if there is work on the lane.
func (e *env) nothingClaimable(when string) {
	e.Helper()
	if got := e.claimUpTo(1); len(got) != 0 {
		e.Errorf("%s: %s was claimed", when, got[0].ExecutionID)
	}
}

func (e *env) describe(id ff.ExecutionID) ff.ExecutionSnapshot {
	e.Helper()
	s, err := e.svc.Describe(e.Context(), id)
	e.ok(err)
	return s
}

// inState fails the test unless an execution is in a state, which is spelled out as StateVector.String has it.
func (e *env) inState(id ff.ExecutionID, want string) ff.ExecutionSnapshot {
	e.Helper()
	s := e.describe(id)
	if got := s.State.String(); got != want {
		e.Errorf("%s is in state %s, want %s", id, got, want)
	}
	return s
}

// States that tests speak of, by their rows in chapter 10, section 2.5.
const (
	newReady      = "runnable/unowned/eligible_now/waiting_for_worker/none/pending_first_attempt"                 // 1
	newDelayed    = "runnable/unowned/not_eligible_until_time/waiting_for_delay/none/pending_first_attempt"       // 2
	running       = "active/leased/not_applicable/none/none/running_attempt"                                      // 4
	leaseRanOut   = "active/lease_expired_reclaimable/not_applicable/waiting_for_worker/none/attempt_interrupted" // 5
	retryBackoff  = "runnable/unowned/not_eligible_until_time/waiting_for_retry_backoff/none/pending_retry_attempt"
	retryDue      = "runnable/unowned/eligible_now/waiting_for_worker/none/pending_retry_attempt"         // 8
	selfDelayed   = "runnable/unowned/not_eligible_until_time/waiting_for_delay/none/attempt_interrupted" // 9
	mayContinue   = "runnable/unowned/eligible_now/waiting_for_worker/none/attempt_interrupted"           // 10
	replayQueued  = "runnable/unowned/eligible_now/waiting_for_worker/none/pending_replay_attempt"        // 15
	succeeded     = "terminal/unowned/not_applicable/none/success/attempt_terminal"                       // 17
	failed        = "terminal/unowned/not_applicable/none/failed/attempt_terminal"                        // 17
	cancelled     = "cancelled/unowned/not_applicable/none/cancelled/attempt_terminal"                    // 17
	selfCancelled = "terminal/unowned/not_applicable/none/cancelled/attempt_terminal"                     // 17
	neverBegan    = "cancelled/unowned/not_applicable/none/cancelled/pending_first_attempt"               // 18
)

// attempts lists the attempts of an execution.
func (e *env) attempts(id ff.ExecutionID) []ff.AttemptSnapshot {
	e.Helper()
	page, err := e.svc.Attempts(e.Context(), ff.ListAttempts{ExecutionID: id})
	e.ok(err)
	return page.Items
}

// byHolder stands for the family of a completion that is also the release of the lease it names.
const byHolder record.EventFamily = "completion by the holder"

// told is an event in short.
type told struct {
	Family record.EventFamily
	Type   string
	Epoch  uint64
	Reason string
}

// events are those of one execution, in order.
func (e *env) events(id ff.ExecutionID) []told {
	e.Helper()
	var out []told
	for _, ev := range e.dump().Events {
		if ev.ExecutionID == id {
			family := ev.Family
			if family == record.FamilyCompletion && !ev.LeaseID.IsZero() {
				family = byHolder
			}
			out = append(out, told{family, ev.Type, ev.Epoch, ev.Reason})
		}
	}
	return out
}

// untouched performs what must be refused and fails the test if anything in the store is not as before.
func (e *env) untouched(what string, perform func()) {
	e.Helper()
	before := e.dump()
	perform()
	if after := e.dump(); !reflect.DeepEqual(after, before) { // a fast look: stores grow
		e.equal("after "+what+", the store", after, before)
	}
}

// unchanged performs something and fails the test if the execution, or its log, is not as before.
func (e *env) unchanged(what string, id ff.ExecutionID, perform func()) {
	e.Helper()
	before, log := e.describe(id), e.events(id)
	perform()
	e.equal("after "+what+", the execution", e.describe(id), before)
	e.equal("after "+what+", its events", e.events(id), log)
}

//go:fix inline
