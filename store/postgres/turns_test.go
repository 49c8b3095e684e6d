package postgres_test

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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

// heldUp is a store in which a batch has counted in a budget, has still to write a lane that somebody has locked, and then the entry
// of an execution in the queue.
type heldUp struct {
	*postgres.Store
	t       *testing.T
	budget  record.BudgetKey
	beliefs *store.Beliefs
	held    pgx.Tx
	all     sync.WaitGroup
}

func newHeldUp(t *testing.T) *heldUp {
	url := withParameter(t, migrated(t), "deadlock_timeout", "60s")
	h := &heldUp{Store: open(t, url, &postgres.Config{MaxConns: 4}), t: t, beliefs: store.NewBeliefs()}
	h.budget = record.BudgetKey{Home: ff.Partition{Family: ff.FamilyFlow}, BudgetID: ff.BudgetID{1}}
	lane := record.LaneKey{Home: h.budget.Home, Lane: "default"}
	mustApply(t, h, &store.Unit{Reads: store.Reads{Records: []record.Key{h.budget, lane}}, Beliefs: h.beliefs, Decide: func(tx *store.Tx) error {
		tx.Put(&record.Budget{BudgetKey: h.budget, Mode: ff.Strict, OnHardLimit: ff.LimitWaits})
		tx.Put(&record.Lane{LaneKey: lane})
		return nil
	}})
	e, p := submit(t, h), pool(t, url, 2)
	var err error
	if h.held, err = p.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.held.Rollback(context.Background()) })
	if _, err := h.held.Exec(t.Context(), "SELECT FROM ff_lane_registry FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	h.apply(&store.Unit{
		Reads: store.Reads{Executions: []ff.ExecutionID{e.ID}, Records: []record.Key{h.budget, lane}},
		Decide: func(tx *store.Tx) error {
			n, l := *tx.Execution(e.ID), *store.Get[*record.Lane](tx, lane)
			n.Priority, l.Weight = 7, 3
			tx.PutExecution(&n)
			tx.Put(&l)
			return countEach(tx, []record.Key{h.budget})
		},
	})
	eventually(t, func() bool {
		var waits bool
		if err := p.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	return h
}

// apply commits a unit beside the test.
func (h *heldUp) apply(u *store.Unit) {
	u.Beliefs = h.beliefs
	h.all.Go(func() {
		if err := h.Apply(h.t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
			h.t.Error(err, u.Err)
		}
	})
}

// goOn lets the batch that is held up go on, and checks that both were committed.
func (h *heldUp) goOn() {
	h.t.Helper()
	if err := h.held.Commit(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.all.Wait()
	bothCounted(h.t, h, []record.Key{h.budget})
}

// A batch waits for the one before, on whose budget it was decided, and has taken what that one needs: it gives up and runs again,
// long before the server would look for a deadlock, of which it would find none.
func TestBelieved_WhoHasWhatTheBatchBeforeNeedsGivesWay(t *testing.T) {
	h := newHeldUp(t)
	took := make(chan int, 10)
	h.apply(&store.Unit{
		Reads: store.Reads{Records: []record.Key{h.budget}, Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: 1}}},
		Decide: func(tx *store.Tx) error {
			took <- len(tx.Claimable(0))
			return countEach(tx, []record.Key{h.budget})
		},
	})
	if n := <-took; n != 1 {
		t.Fatalf("the second batch took %d entries, want the one the first needs", n)
	}
	began := clock.Real().Now()
	h.goOn()
	if waited := clock.Real().Now().Sub(began); waited > 20*time.Second {
		t.Errorf("it took %s", waited)
	}
}

// Who holds nothing waits for as long as the batch before takes: there is no reason to decide again.
func TestBelieved_WhoHoldsNothingWaitsForTheBatchBefore(t *testing.T) {
	h := newHeldUp(t)
	decided := make(chan struct{}, 10)
	h.apply(&store.Unit{Reads: store.Reads{Records: []record.Key{h.budget}}, Decide: func(tx *store.Tx) error {
		decided <- struct{}{}
		return countEach(tx, []record.Key{h.budget})
	}})
	<-decided
	<-clock.Real().NewTimer(300 * time.Millisecond).C // three times as long as one would wait who holds something
	h.goOn()
	if n := len(decided); n != 0 {
		t.Errorf("it was decided %d times more", n)
	}
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
