package postgres_test

import (
	"testing"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/storetest"
)

func TestQueues_AreSweptAfterManyRemovals(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	const removals, batch = 4000, 1000
	for range removals / batch {
		mustApply(t, s, submits(batch)...)
	}
	takeOff := &store.Unit{Reads: store.Reads{Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: batch}}}}
	takeOff.Decide = func(tx *store.Tx) error {
		for _, e := range tx.Claimable(0) {
			n := *e
			n.Ready = false
			tx.PutExecution(&n)
		}
		return nil
	}
	p := pool(t, urlOf(s), 1)
	var before, after int64
	const vacuums = `SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'ff_ready'`
	if err := p.QueryRow(t.Context(), vacuums).Scan(&before); err != nil {
		t.Fatal(err)
	}
	for range removals / batch {
		mustApply(t, s, takeOff)
	}
	for after = before; after == before; { // until the test's own deadline
		if err := p.QueryRow(t.Context(), `SELECT (`+vacuums+`), pg_sleep(0.01)::text`).Scan(&after, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// The store passes the same suite while its claims step over floors.
func TestStore_OverFloors(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, clock store.Clock) store.Store {
			s := open(t, migrated(t), &postgres.Config{Clock: clock})
			postgres.ForceFloors(s)
			return s
		},
	})
}
