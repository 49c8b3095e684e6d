package postgres_test

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/record"
)

// Two batches come to two budgets in opposite order, each when the other has locked the first of its own. None of them
// waits until the server has found the deadlock, which it is told to look for after longer than a lock is waited for.
func TestContended_InOppositeOrderIsNoDeadlock(t *testing.T) {
	s := open(t, withParameter(t, migrated(t), "deadlock_timeout", "60s"), &postgres.Config{MaxConns: 4})
	var keys []record.Key
	for range 2 {
		key := record.BudgetKey{Home: ff.Partition{Family: ff.FamilyFlow}, BudgetID: ff.NewBudgetID()}
		keys = append(keys, key)
		mustApply(t, s, &store.Unit{Reads: store.Reads{Records: []record.Key{key}}, Decide: func(tx *store.Tx) error {
			tx.Put(&record.Budget{BudgetKey: key, Mode: ff.Strict, OnHardLimit: ff.LimitWaits})
			return nil
		}})
	}
	var both, all sync.WaitGroup
	both.Add(2)
	for range 2 {
		order := slices.Clone(keys)
		slices.Reverse(keys)
		once := sync.OnceFunc(func() {
			both.Done()
			both.Wait()
		})
		all.Go(func() {
			u := &store.Unit{Reads: store.Reads{Records: order[:1]}, Decide: func(tx *store.Tx) error {
				once() // each has its first
				return countEach(tx, order)
			}}
			if err := s.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
				t.Error(err, u.Err)
			}
		})
	}
	all.Wait()
	bothCounted(t, s, keys)
}

// TestContended_BelievedOutOfTurnIsNoDeadlock: one batch reads a budget and then another; the other has read the second, and locks
// the first, which it believed, only when it commits.
func TestContended_BelievedOutOfTurnIsNoDeadlock(t *testing.T) {
	s := open(t, withParameter(t, migrated(t), "deadlock_timeout", "60s"), &postgres.Config{MaxConns: 4})
	keys := []record.Key{
		record.BudgetKey{Home: ff.Partition{Family: ff.FamilyFlow}, BudgetID: ff.BudgetID{1}},
		record.BudgetKey{Home: ff.Partition{Family: ff.FamilyFlow}, BudgetID: ff.BudgetID{2}},
	}
	beliefs := store.NewBeliefs()
	for i, key := range keys {
		u := &store.Unit{Reads: store.Reads{Records: []record.Key{key}}, Decide: func(tx *store.Tx) error {
			tx.Put(&record.Budget{BudgetKey: key.(record.BudgetKey), Mode: ff.Strict, OnHardLimit: ff.LimitWaits})
			return nil
		}}
		if i == 0 {
			u.Beliefs = beliefs
		}
		mustApply(t, s, u)
	}
	var both, all sync.WaitGroup
	both.Add(2)
	for _, u := range []*store.Unit{
		{Reads: store.Reads{Records: keys[:1]}},
		{Reads: store.Reads{Records: keys}, Beliefs: beliefs},
	} {
		once := sync.OnceFunc(func() {
			both.Done()
			both.Wait()
		})
		u.Decide = func(tx *store.Tx) error {
			once() // each has its first
			return countEach(tx, keys)
		}
		all.Go(func() {
			if err := s.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
				t.Error(err, u.Err)
			}
		})
	}
	all.Wait()
	bothCounted(t, s, keys)
}

// A batch waits for the one before, on whose budget it was decided, and has taken what that one needs: it gives up and runs again,
// long before the server would look for a deadlock, of which it would find none.
func TestBelieved_WhoWaitsForTheBatchBeforeGivesWayToIt(t *testing.T) {
	url := withParameter(t, migrated(t), "deadlock_timeout", "60s")
	s, p := open(t, url, &postgres.Config{MaxConns: 4}), pool(t, url, 2)
	budget := record.BudgetKey{Home: ff.Partition{Family: ff.FamilyFlow}, BudgetID: ff.BudgetID{1}}
	lane := record.LaneKey{Home: ff.Partition{Family: ff.FamilyFlow}, Lane: "default"}
	beliefs := store.NewBeliefs()
	mustApply(t, s, &store.Unit{Reads: store.Reads{Records: []record.Key{budget, lane}}, Beliefs: beliefs, Decide: func(tx *store.Tx) error {
		tx.Put(&record.Budget{BudgetKey: budget, Mode: ff.Strict, OnHardLimit: ff.LimitWaits})
		tx.Put(&record.Lane{LaneKey: lane})
		return nil
	}})
	e := submit(t, s)

	held, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := held.Exec(t.Context(), "SELECT FROM ff_lane_registry FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	apply := func(u *store.Unit) {
		u.Beliefs = beliefs
		all.Go(func() {
			if err := s.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
				t.Error(err, u.Err)
			}
		})
	}
	apply(&store.Unit{ // it waits for the lane, and has still to move the entry of e in the queue
		Reads: store.Reads{Executions: []ff.ExecutionID{e.ID}, Records: []record.Key{budget, lane}},
		Decide: func(tx *store.Tx) error {
			n, l := *tx.Execution(e.ID), *store.Get[*record.Lane](tx, lane)
			n.Priority, l.Weight = 7, 3
			tx.PutExecution(&n)
			tx.Put(&l)
			return countEach(tx, []record.Key{budget})
		},
	})
	eventually(t, func() bool {
		var waits bool
		if err := p.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	took := make(chan int, 10)
	apply(&store.Unit{ // it has taken that entry
		Reads: store.Reads{Records: []record.Key{budget}, Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: 1}}},
		Decide: func(tx *store.Tx) error {
			took <- len(tx.Claimable(0))
			return countEach(tx, []record.Key{budget})
		},
	})
	if n := <-took; n != 1 {
		t.Fatalf("the second batch took %d entries, want the one the first needs", n)
	}
	began := clock.Real().Now()
	if err := held.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if waited := clock.Real().Now().Sub(began); waited > 20*time.Second {
		t.Errorf("it took %s", waited)
	}
	bothCounted(t, s, []record.Key{budget})
}

// countEach needs all budgets and counts in each.
func countEach(tx *store.Tx, keys []record.Key) error {
	if missing, any := tx.Missing(store.Reads{Records: keys}); any {
		return tx.Need(missing)
	}
	for _, key := range keys {
		b := *store.Get[*record.Budget](tx, key)
		b.BreachCount++
		tx.Put(&b)
	}
	return nil
}

// bothCounted checks that two batches have counted in each budget.
func bothCounted(t *testing.T, s store.Store, keys []record.Key) {
	t.Helper()
	tx, err := s.View(t.Context(), store.Reads{Records: keys})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if got := store.Get[*record.Budget](tx, key).BreachCount; got != 2 {
			t.Errorf("a budget was written %d times, want 2", got)
		}
	}
}

// withParameter adds a setting of the session to a URL.
func withParameter(t *testing.T, of, name, value string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}
