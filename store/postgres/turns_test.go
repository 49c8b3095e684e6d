package postgres_test

import (
	"net/url"
	"slices"
	"sync"
	"testing"

	ff "github.com/flowfabric/flowfabric"
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
