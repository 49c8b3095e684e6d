package memory

import (
	"context"
	"slices"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// List implements [store.Catalog].
func (s *Store) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return store.ListPage{}, err
	}
	defer ses.Close()
	var page store.ListPage
	after := startOf(q)
	scanned := 0
	for entry := range ascend(ses.held, byCreation, compareCreated, after) {
		if entry.CreatedAt < q.CreatedFrom {
			return page, nil
		}
		if len(page.Executions) == q.Limit || scanned == q.Scan {
			page.Next = *after
			return page, nil
		}
		after = &entry
		scanned++
		if e := ses.execution(entry.ExecutionID); matches(e, &q) {
			page.Executions = append(page.Executions, summary(e))
		}
	}
	return page, nil
}

// startOf is the position to go on behind, nil for the beginning.
func startOf(q store.ListQuery) *store.ListCursor {
	var after *store.ListCursor
	if q.After != (store.ListCursor{}) {
		after = &q.After
	}
	if q.CreatedBefore != 0 { // behind the whole instant
		bound := store.ListCursor{CreatedAt: q.CreatedBefore}
		if after == nil || compareCreated(*after, bound) < 0 {
			after = &bound
		}
	}
	return after
}

// matches reports whether an execution passes the filters that are not about its creation.
func matches(e *record.Execution, q *store.ListQuery) bool {
	switch {
	case q.Lane != "" && e.Lane != q.Lane, q.Namespace != "" && e.Namespace != q.Namespace, q.Kind != "" && e.Kind != q.Kind:
		return false
	case len(q.States) > 0 && !slices.Contains(q.States, e.Public):
		return false
	case q.TagKey != "":
		value, ok := e.Tags[q.TagKey]
		return ok && value == q.TagValue
	}
	return true
}

// ListPartition implements [store.Catalog].
func (s *Store) ListPartition(ctx context.Context, q store.PartitionQuery) (list []flowfabric.ExecutionID, err error) {
	shard := s.Shard(q.From.Partition())
	ses, err := s.begin(ctx, shard, shard+1)
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	ses.held[0].ids.AscendGreaterOrEqual(q.From, func(id flowfabric.ExecutionID) bool {
		if len(list) == q.Limit || id.Partition() != q.From.Partition() {
			return false
		}
		list = append(list, id)
		return true
	})
	return list, nil
}

// Leases implements [store.Catalog].
func (s *Store) Leases(ctx context.Context, q store.LeaseQuery) ([]*record.Execution, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	var after *store.LeaseCursor
	if q.After != (store.LeaseCursor{}) {
		after = &q.After
	}
	var list []*record.Execution
	for entry := range ascend(ses.held, byLease, compareLeases, after) {
		if len(list) == q.Limit || q.ExpiresBy != 0 && entry.ExpiresAt > q.ExpiresBy {
			break
		}
		e := ses.execution(entry.ExecutionID)
		if (q.Namespace == "" || e.Namespace == q.Namespace) && (q.WorkerInstanceID == "" || e.WorkerInstanceID == q.WorkerInstanceID) {
			list = append(list, summary(e))
		}
	}
	return list, nil
}

// CountLane implements [store.Catalog].
func (s *Store) CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (store.LaneCount, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return store.LaneCount{}, err
	}
	defer ses.Close()
	var n store.LaneCount
	for _, sh := range ses.held {
		sh.ready.AscendGreaterOrEqual(firstReady(lane), func(entry store.ReadyEntry) bool {
			if entry.Lane != lane || n.Ready == most {
				return false
			}
			n.Ready++
			if n.OldestAt == 0 || entry.CreatedAt < n.OldestAt {
				n.OldestAt = entry.CreatedAt
			}
			return true
		})
		n.Active += sh.lanes[lane].active
		n.Delayed += sh.lanes[lane].delayed
	}
	n.Active, n.Delayed = min(n.Active, most), min(n.Delayed, most)
	return n, nil
}

// Records implements [store.Catalog].
func (s *Store) Records(ctx context.Context, q store.RecordQuery) ([]record.Keyed, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	var after record.Key = firstOf(q.Family)
	var last []string
	if q.After != nil {
		after, last = q.After, q.After.Parts()
	}
	prefix := last[:q.Prefix]
	var list []record.Keyed
	for key := range ascend(ses.held, byKey, record.CompareKeys, &after) {
		parts := key.Parts()
		if key.Family() != q.Family || !slices.Equal(parts[:q.Prefix], prefix) || len(list) == q.Limit {
			break
		}
		if slices.Equal(parts, last) {
			continue // the copy of another shard
		}
		last = parts
		list = append(list, ses.record(key))
	}
	return list, nil
}

// summary is an execution without what lists leave out.
func summary(e *record.Execution) *record.Execution {
	n := *e
	n.Payload, n.Result, n.ProgressDetails = nil, nil, nil
	return &n
}

func byCreation(sh *shard) *btree.BTreeG[store.ListCursor] { return sh.created }
func byLease(sh *shard) *btree.BTreeG[store.LeaseCursor]   { return sh.leases }
func byKey(sh *shard) *btree.BTreeG[record.Key]            { return sh.keyed.order }
