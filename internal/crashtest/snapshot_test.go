package crashtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric"
)

// A reader that keeps a transaction open, as a backup does, keeps the database from forgetting any row that is deleted
// meanwhile. Claims must not walk over all the queue entries that were ever taken: under such a reader the claim rate stays
// above half of what it was.
func TestOldSnapshot_DoesNotHalveTheClaimRate(t *testing.T) {
	beside(t)
	url := freshPostgres(t)
	window, held := either(time.Second, 10*time.Second), either(3*time.Second, time.Minute)
	f := &fleet{url: url}
	for range 2 {
		f.add(t, node{Callers: either(16, 200), Slots: 100, TTL: flowfabric.DefaultLeaseTTL, Flaky: true, Count: true})
	}
	f.awaitReady(t)
	f.awaitProgress(t, time.Minute, 500)
	rate := func() float64 {
		_, before := f.totals()
		begin := wall.Now()
		let(t, window)
		_, after := f.totals()
		return float64(after-before) / wall.Now().Sub(begin).Seconds()
	}
	before := rate()
	release := holdSnapshot(t, url)
	let(t, held-window)
	during := rate()
	release()
	let(t, window)
	after := rate()
	t.Logf("completed a second: %.0f before, %.0f after %s of an old snapshot (%.0f %%), %.0f once it was released",
		before, during, held, 100*during/min(before, after), after)
	if soaking() && during < min(before, after)/2 {
		t.Errorf("an old snapshot cut the claim rate to %.0f %%", 100*during/min(before, after))
	}
	f.stop(t, func(*process) bool { return true })
	st := opened(t, url)
	for _, e := range dump(t, st).Executions {
		if e.State.Ownership == flowfabric.Leased {
			t.Errorf("%s is still leased to %s, which has stopped", e.ID, e.WorkerInstanceID)
		}
	}
	last := f.add(t, node{Slots: 100, TTL: flowfabric.DefaultLeaseTTL, Count: true})
	awaitEnd(t, st, time.Minute)
	last.stop(t)
	endings(t, dump(t, st))
}

// holdSnapshot opens a transaction whose snapshot stays, until release is called.
func holdSnapshot(t *testing.T, url string) (release func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM ff_ready"} {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}
