package memory

import (
	"cmp"
	"math"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// claimable answers q: the first entries of each of its queues that are left, merged into one order.
func (s *session) claimable(q store.ClaimQuery, peek bool) []*record.Execution {
	var found []store.ReadyEntry
	queues := slices.Compact(slices.Sorted(slices.Values(q.Routes)))
	for _, route := range queues {
		start, ok := s.lastReady[queue{q.Lane, route}]
		if !ok {
			start = store.ReadyEntry{Lane: q.Lane, Route: route, Priority: math.MaxInt, CreatedAt: math.MinInt64}
		}
		for _, sh := range s.held {
			found = s.readyFrom(sh, start, q.Limit, found)
		}
	}
	if len(queues)*len(s.held) > 1 {
		slices.SortFunc(found, compareClaims)
	}
	found = found[:min(q.Limit, len(found))]
	out := make([]*record.Execution, len(found))
	for i, entry := range found {
		out[i] = s.execution(entry.ExecutionID)
		if !peek {
			s.take(entry.ExecutionID)
			s.lastReady[queue{entry.Lane, entry.Route}] = entry
		}
	}
	return out
}

// readyFrom appends up to limit entries of start's queue, from start on, that are not taken.
func (s *session) readyFrom(sh *shard, start store.ReadyEntry, limit int, found []store.ReadyEntry) []store.ReadyEntry {
	sh.ready.AscendGreaterOrEqual(start, func(entry store.ReadyEntry) bool {
		if limit == 0 || entry.Lane != start.Lane || entry.Route != start.Route {
			return false
		}
		if !s.isTaken(entry.ExecutionID) {
			found = append(found, entry)
			limit--
		}
		return true
	})
	return found
}

// due answers q: the first entries up to now that are left.
func (s *session) due(q store.DueQuery, peek bool) []*record.Execution {
	var found []store.DueEntry
	for _, sh := range s.held {
		left := q.Limit
		sh.due.AscendGreaterOrEqual(s.lastDue, func(entry store.DueEntry) bool {
			if left == 0 || entry.DueAt > s.now {
				return false
			}
			if !s.isTaken(entry.ExecutionID) {
				found = append(found, entry)
				left--
			}
			return true
		})
	}
	if len(s.held) > 1 {
		slices.SortFunc(found, compareDue)
	}
	found = found[:min(q.Limit, len(found))]
	out := make([]*record.Execution, len(found))
	for i, entry := range found {
		out[i] = s.execution(entry.ExecutionID)
		if !peek {
			s.take(entry.ExecutionID)
			s.lastDue = entry
		}
	}
	return out
}

// nextDue returns the earliest due time, 0 for none.
func (s *session) nextDue() flowfabric.Timestamp {
	var earliest flowfabric.Timestamp
	for _, sh := range s.held {
		if entry, ok := sh.due.Min(); ok && (earliest == 0 || entry.DueAt < earliest) {
			earliest = entry.DueAt
		}
	}
	return earliest
}

// routes returns the routes of a lane, each once, by id.
func (s *session) routes(lane flowfabric.LaneID) []*record.Route {
	var list []*record.Route
	for _, sh := range s.held {
		list = append(list, sh.routes[lane]...)
	}
	slices.SortStableFunc(list, func(x, y *record.Route) int { return cmp.Compare(x.ID, y.ID) })
	return slices.CompactFunc(list, func(x, y *record.Route) bool { return x.ID == y.ID })
}

// execution returns the execution of an index entry.
func (s *session) execution(id flowfabric.ExecutionID) *record.Execution {
	return s.held[s.store.Shard(id.Partition())-s.first].executions[id]
}

func (s *session) take(id flowfabric.ExecutionID) {
	if s.taken == nil {
		s.taken = make(map[flowfabric.ExecutionID]struct{})
		s.lastReady = make(map[queue]store.ReadyEntry)
	}
	s.taken[id] = struct{}{}
}

func (s *session) isTaken(id flowfabric.ExecutionID) bool {
	_, ok := s.taken[id]
	return ok
}

// compareReady is the order of the ready index: queue by queue, each in claim order.
func compareReady(x, y store.ReadyEntry) int {
	return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Route, y.Route), compareClaims(x, y))
}

// compareClaims is the claim order: priority descending, created_at, id.
func compareClaims(x, y store.ReadyEntry) int {
	return cmp.Or(cmp.Compare(y.Priority, x.Priority), cmp.Compare(x.CreatedAt, y.CreatedAt), x.ExecutionID.Compare(y.ExecutionID))
}

func compareDue(x, y store.DueEntry) int {
	return cmp.Or(cmp.Compare(x.DueAt, y.DueAt), x.ExecutionID.Compare(y.ExecutionID))
}
