package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyExpiry is an entry of the index of when idempotency records expire.
type keyExpiry struct {
	at  flowfabric.Timestamp
	key record.IdempotencyKey
}

func compareExpiries(x, y keyExpiry) int {
	return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.key.Namespace, y.key.Namespace), cmp.Compare(x.key.Key, y.key.Key))
}

// Trim implements [store.Catalog], one shard after the other.
func (s *Store) Trim(ctx context.Context, t store.Trim) (store.Trimmed, error) {
	var sum store.Trimmed
	for i := range s.shards {
		ses, err := s.begin(ctx, i, i+1)
		if err != nil {
			return sum, err
		}
		sh := s.shards[i]
		sum.Executions += sh.trimExecutions(ses.now, t.Limit-sum.Executions)
		sum.Keys += sh.trimKeys(ses.now, t.Limit-sum.Keys)
		sum.Routes += sh.trimRoutes(ses.now, t.RoutesBefore, t.Limit-sum.Routes)
		sum.Events += sh.log.trim(&t, store.EventsPerTrim*t.Limit-sum.Events)
		ses.Close()
	}
	return sum, nil
}

func (sh *shard) trimExecutions(now flowfabric.Timestamp, limit int) int {
	var gone []store.Change[record.Execution]
	upTo(sh.retain, limit, func(entry store.RetainEntry) bool {
		if entry.RetainUntil > now {
			return false
		}
		gone = append(gone, store.Change[record.Execution]{Before: sh.executions[entry.ExecutionID]})
		return true
	})
	for _, c := range gone {
		delete(sh.executions, c.Before.ID)
		delete(sh.attempts, c.Before.ID)
		sh.graphs.join(c.Before, nil)
		sh.keyed.forget(c.Before.ID)
		delete(sh.frames, c.Before.ID)
	}
	sh.indexes.write(gone)
	return len(gone)
}

func (sh *shard) trimKeys(now flowfabric.Timestamp, limit int) int {
	var gone []keyExpiry
	upTo(sh.expiries, limit, func(entry keyExpiry) bool {
		if entry.at > now {
			return false
		}
		gone = append(gone, entry)
		return true
	})
	for _, entry := range gone {
		sh.expiries.Delete(entry)
		delete(sh.idempotency, entry.key)
	}
	return len(gone)
}

// hasReady reports whether a route has an entry in the claim order.
func (sh *shard) hasReady(lane flowfabric.LaneID, route int64) (found bool) {
	start := firstReady(lane)
	start.Route = route
	sh.ready.AscendGreaterOrEqual(start, func(entry store.ReadyEntry) bool {
		found = entry.Lane == lane && entry.Route == route
		return false
	})
	return found
}

// trimRoutes looks at the routes that were seen up to a time, the oldest first.
func (sh *shard) trimRoutes(now, before flowfabric.Timestamp, limit int) int {
	var old []*record.Route
	for _, list := range sh.routes {
		for _, r := range list {
			if r.SeenAt <= min(before, now-1) {
				old = append(old, r)
			}
		}
	}
	slices.SortFunc(old, func(x, y *record.Route) int {
		return cmp.Or(cmp.Compare(x.SeenAt, y.SeenAt), cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.ID, y.ID))
	})
	old = old[:min(len(old), limit)]
	for _, r := range old {
		list := sh.routes[r.Lane]
		i := slices.Index(list, r)
		if sh.hasReady(r.Lane, r.ID) {
			seen := *r
			seen.SeenAt = now
			list[i] = &seen
			continue
		}
		if sh.routes[r.Lane] = slices.Delete(list, i, i+1); len(sh.routes[r.Lane]) == 0 {
			delete(sh.routes, r.Lane)
		}
	}
	return len(old)
}

// upTo yields at most limit entries, in order.
func upTo[E any](tree *btree.BTreeG[E], limit int, yield func(E) bool) {
	tree.Ascend(func(entry E) bool {
		limit--
		return limit >= 0 && yield(entry)
	})
}
