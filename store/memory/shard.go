package memory

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// shard is the unit of atomicity: its lock is held for the whole of a transaction.
type shard struct {
	mu          sync.Mutex
	executions  map[flowfabric.ExecutionID]*record.Execution
	attempts    map[flowfabric.ExecutionID][]*record.Attempt // ascending by index
	idempotency map[record.IdempotencyKey]*record.Idempotency
	expiries    *btree.BTreeG[keyExpiry]
	routes      map[flowfabric.LaneID][]*record.Route // in the order they were registered
	log         eventLog
	keyed       keyedRecords
	graphs      graphs
	frames      frames
	indexes
}

func newShard() *shard {
	return &shard{
		executions:  make(map[flowfabric.ExecutionID]*record.Execution),
		attempts:    make(map[flowfabric.ExecutionID][]*record.Attempt),
		idempotency: make(map[record.IdempotencyKey]*record.Idempotency),
		expiries:    newTree(compareExpiries),
		routes:      make(map[flowfabric.LaneID][]*record.Route),
		keyed:       newKeyedRecords(),
		graphs:      newGraphs(),
		frames:      make(frames),
		indexes:     newIndexes(),
	}
}

func (sh *shard) attempt(key record.AttemptKey) *record.Attempt {
	list := sh.attempts[key.ExecutionID]
	if i, ok := findAttempt(list, key.Index); ok {
		return list[i]
	}
	return nil
}

func (sh *shard) attemptsOf(q store.AttemptsQuery) []*record.Attempt {
	list := sh.attempts[q.ExecutionID]
	i, _ := findAttempt(list, q.From)
	return slices.Clone(list[i:][:min(q.Limit, len(list)-i)])
}

func findAttempt(list []*record.Attempt, index int) (int, bool) {
	return slices.BinarySearchFunc(list, index, func(a *record.Attempt, index int) int { return cmp.Compare(a.Index, index) })
}

// checkGuards fails with [store.ErrConflict] when a record is not in the version its change was made from.
func (sh *shard) checkGuards(ch *store.Changes) error {
	for _, c := range ch.Executions {
		if versionOf(c.Before) != versionOf(sh.executions[c.After.ID]) {
			return fmt.Errorf("execution %s was changed: %w", c.After.ID, store.ErrConflict)
		}
	}
	for _, e := range ch.Held {
		if e.Version != versionOf(sh.executions[e.ID]) {
			return fmt.Errorf("execution %s was changed: %w", e.ID, store.ErrConflict)
		}
	}
	for _, c := range ch.Idempotency {
		var want, have int64
		if c.Before != nil {
			want = c.Before.Version
		}
		if r := sh.idempotency[c.After.Key]; r != nil {
			have = r.Version
		}
		if want != have {
			return fmt.Errorf("idempotency key %q was changed: %w", c.After.Key.Key, store.ErrConflict)
		}
	}
	return sh.keyed.check(ch)
}

// versionOf is 0 for an execution that is absent.
func versionOf(e *record.Execution) int64 {
	if e == nil {
		return 0
	}
	return e.Version
}

func (sh *shard) write(ch *store.Changes) {
	for _, c := range ch.Executions {
		sh.executions[c.After.ID] = own(c.After)
	}
	for _, a := range ch.Attempts {
		sh.writeAttempt(a)
	}
	for _, c := range ch.Idempotency {
		sh.writeIdempotency(c.After)
	}
	for _, r := range ch.Routes {
		sh.registerRoute(r)
	}
	sh.log.append(ch.Events)
	sh.keyed.write(ch, &sh.graphs)
	sh.frames.write(ch)
	sh.indexes.write(ch.Executions)
	for _, c := range ch.Executions {
		sh.graphs.join(c.Before, c.After)
	}
}

func (sh *shard) writeAttempt(a *record.Attempt) {
	list := sh.attempts[a.ExecutionID]
	i, found := findAttempt(list, a.Index)
	if found {
		list[i] = a
		return
	}
	sh.attempts[a.ExecutionID] = slices.Insert(list, i, a)
}

func (sh *shard) writeIdempotency(r *record.Idempotency) {
	if before := sh.idempotency[r.Key]; before != nil {
		sh.expiries.Delete(keyExpiry{before.ExpiresAt, r.Key})
	}
	sh.idempotency[r.Key] = r
	sh.expiries.ReplaceOrInsert(keyExpiry{r.ExpiresAt, r.Key})
}

func (sh *shard) registerRoute(r *record.Route) {
	list := sh.routes[r.Lane]
	if !slices.ContainsFunc(list, func(have *record.Route) bool { return have.ID == r.ID }) {
		sh.routes[r.Lane] = append(list, r)
	}
}
