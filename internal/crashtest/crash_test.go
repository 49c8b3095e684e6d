package crashtest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// TestKill9 kills a worker process and a submitting engine process in the middle of the load. Others carry on. Then every
// execution that was acknowledged has ended, each exactly once, and nothing stayed leased to the dead for longer than
// its TTL and two seconds.
func TestKill9_SQLite(t *testing.T) {
	kill9(t, "sqlite:"+filepath.Join(t.TempDir(), "crash.db"))
}

func TestKill9_Postgres(t *testing.T) {
	kill9(t, freshPostgres(t))
}

func kill9(t *testing.T, url string) {
	st, err := openStore(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()

	submitters := []*process{spawn(t, "submitter", "s1", url), spawn(t, "submitter", "s2", url)}
	workers := []*process{spawn(t, "worker", "w1", url), spawn(t, "worker", "w2", url)}
	until(t, 30*time.Second, "200 acknowledged", func() bool {
		return len(submitters[0].acknowledged()) >= 200 && len(submitters[1].acknowledged()) >= 200
	})
	until(t, 30*time.Second, "w1 holds leases", func() bool { return leasedTo(t, st, "w1") > 0 })

	submitters[0].kill(t)
	workers[0].kill(t)
	killed := clock.Real().Now()
	until(t, leaseTTL+2*time.Second, "no lease is left with w1", func() bool { return leasedTo(t, st, "w1") == 0 })
	t.Logf("leases of the dead worker were taken back after %s", clock.Real().Now().Sub(killed).Round(time.Millisecond))

	before := len(submitters[1].acknowledged())
	until(t, 30*time.Second, "200 more acknowledged", func() bool { return len(submitters[1].acknowledged()) >= before+200 })
	submitters[1].stop(t)
	until(t, 60*time.Second, "everything has ended", func() bool { return unfinished(t, st) == 0 })
	workers[1].stop(t)

	d := dump(t, st)
	storetest.Audit(t, d)
	succeeded := map[string]bool{}
	for _, e := range d.Executions {
		if e.State.Outcome != flowfabric.OutcomeSuccess {
			t.Errorf("%s ended %s: %s", e.ID, e.State.Outcome, e.FailureReason)
		}
		succeeded[e.ID.String()] = true
	}
	acked := append(submitters[0].acknowledged(), submitters[1].acknowledged()...)
	for _, id := range acked {
		if !succeeded[id] {
			t.Errorf("%s was acknowledged and is missing", id)
		}
	}
	successes := map[flowfabric.ExecutionID]int{}
	for _, a := range d.Attempts {
		if a.State == flowfabric.AttemptEndedSuccess {
			successes[a.ExecutionID]++
		}
	}
	for _, e := range d.Executions {
		if successes[e.ID] != 1 {
			t.Errorf("%s has %d successful attempts, want 1", e.ID, successes[e.ID])
		}
	}
	t.Logf("%d executions, %d acknowledged, %d attempts", len(d.Executions), len(acked), len(d.Attempts))
}

// until waits for a condition, looking every 20 ms.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for !ok() {
		if !loop.Sleep(ctx, clock.Real(), 20*time.Millisecond, nil) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func dump(t *testing.T, st store.Store) *store.Dump {
	t.Helper()
	d, err := st.(store.Dumper).Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func leasedTo(t *testing.T, st store.Store, instance flowfabric.WorkerInstanceID) int {
	n := 0
	for _, e := range dump(t, st).Executions {
		if e.State.Ownership == flowfabric.Leased && e.WorkerInstanceID == instance {
			n++
		}
	}
	return n
}

func unfinished(t *testing.T, st store.Store) int {
	n := 0
	for _, e := range dump(t, st).Executions {
		if !e.State.Finished() {
			n++
		}
	}
	return n
}
