package crashtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// The clock of an engine's machine is set by an hour, either way, between a call and what it leads to. Delays, leases and
// deadlines follow the clock of the storage and notice nothing.
func TestClockStep_MovesNoLeaseDelayOrDeadline(t *testing.T) {
	for name, fresh := range map[string]func(*testing.T) string{"SQLite": freshSQLite, "Postgres": freshPostgres} {
		for step, d := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
			t.Run(name+" "+step, func(t *testing.T) {
				t.Parallel()
				stepClock(t, fresh(t), d)
			})
		}
	}
}

// steppable is the clock of a machine that somebody sets.
type steppable struct {
	clock.Clock
	by atomic.Int64
}

func (s *steppable) Now() time.Time { return s.Clock.Now().Add(time.Duration(s.by.Load())) }

func (s *steppable) step(d time.Duration) { s.by.Add(int64(d)) }

func stepClock(t *testing.T, url string, step time.Duration) {
	const (
		delay = 700 * time.Millisecond
		late  = 2 * time.Second // how late the engine may be
	)
	machine := &steppable{Clock: wall}
	eng, err := engine.Open(t.Context(), opened(t, url), engine.Config{Clock: machine})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close(t.Context())
	within := func(what string, began time.Time, least time.Duration) {
		t.Helper()
		if took := wall.Now().Sub(began); took < least || took > least+late {
			t.Errorf("%s after %s, want %s and at most %s more", what, took, least, late)
		}
	}
	submit := func(cmd flowfabric.Submit) flowfabric.ExecutionID {
		t.Helper()
		cmd.Kind = "work"
		res, err := eng.Submit(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		return res.ID
	}
	claim := func(from flowfabric.LaneID) flowfabric.Claimed {
		t.Helper()
		got, err := eng.Claim(t.Context(), flowfabric.Claim{
			Lanes: []flowfabric.LaneID{from}, WorkerID: "w", WorkerInstanceID: "w-1", LeaseTTL: delay, Wait: delay + 2*late,
		})
		if err != nil || len(got) != 1 {
			t.Fatalf("claimed %d, %v", len(got), err)
		}
		return got[0]
	}

	began := wall.Now()
	submit(flowfabric.Submit{Lane: "delay", Delay: delay})
	machine.step(step)
	claim("delay")
	within("the delay ended", began, delay)

	submit(flowfabric.Submit{Lane: "lease"})
	held := claim("lease")
	machine.step(-step)
	let(t, delay/2)
	began = wall.Now()
	if _, err := eng.Renew(t.Context(), flowfabric.Renew{ExecutionID: held.ExecutionID, Fence: held.Fence, TTL: delay}); err != nil {
		t.Fatalf("renew: %v", err)
	}
	machine.step(step)
	if again := claim("lease"); again.Fence.Epoch != held.Fence.Epoch+1 {
		t.Errorf("claimed again under epoch %d, want %d", again.Fence.Epoch, held.Fence.Epoch+1)
	}
	within("the lease ran out", began, delay)

	began = wall.Now()
	id := submit(flowfabric.Submit{Lane: "deadline", Policy: &flowfabric.Policy{
		Timeouts: &flowfabric.TimeoutPolicy{ExecutionDeadlineMS: delay.Milliseconds()},
	}})
	machine.step(-step)
	res, err := eng.Wait(t.Context(), id, delay+2*late)
	if err != nil || res.Outcome != flowfabric.OutcomeExpired {
		t.Errorf("at the deadline it ended %q, %v", res.Outcome, err)
	}
	within("the deadline struck", began, delay)
}
