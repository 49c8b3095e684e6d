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
			start = firstReady(q.Lane)
			start.Route = route
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
		out[i] = own(s.execution(entry.ExecutionID))
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
		out[i] = own(s.execution(entry.ExecutionID))
		if !peek {
			s.take(entry.ExecutionID)
			s.lastDue = entry
		}
	}
	return out
}

// readyRoutes answers q: it seeks from one route to the next.
func (s *session) readyRoutes(q store.ReadyRoutesQuery) []int64 {
	var routes []int64
	for from := q.From; len(routes) < q.Limit; {
		next, ok := s.routeFrom(q.Lane, from)
		if !ok {
			return routes
		}
		routes = append(routes, next)
		if next == math.MaxInt64 {
			return routes
		}
		from = next + 1
	}
	return routes
}

// routeFrom returns the smallest route of a lane, from one on, that has an entry.
func (s *session) routeFrom(lane flowfabric.LaneID, from int64) (route int64, ok bool) {
	start := firstReady(lane)
	start.Route = from
	for _, sh := range s.held {
		sh.ready.AscendGreaterOrEqual(start, func(entry store.ReadyEntry) bool {
			if entry.Lane == lane && (!ok || entry.Route < route) {
				route, ok = entry.Route, true
			}
			return false
		})
	}
	return route, ok
}

// firstReady is before all entries of a lane.
func firstReady(lane flowfabric.LaneID) store.ReadyEntry {
	return store.ReadyEntry{Lane: lane, Route: math.MinInt64, Priority: math.MaxInt, CreatedAt: math.MinInt64}
}

// nextDue returns the earliest due time of executions and of keyed records, 0 for none.
func (s *session) nextDue() flowfabric.Timestamp {
	var earliest flowfabric.Timestamp
	for _, sh := range s.held {
		if entry, ok := sh.due.Min(); ok && (earliest == 0 || entry.DueAt < earliest) {
			earliest = entry.DueAt
		}
		if at := sh.keyed.earliestDue(); at != 0 && (earliest == 0 || at < earliest) {
			earliest = at
		}
	}
	return earliest
}

// slots counts how many slots of a lane are taken.
func (s *session) slots(lane flowfabric.LaneID) int {
	n := 0
	for _, sh := range s.held {
		n += len(sh.slots[lane])
	}
	return n
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
