package sqlite

import (
	"cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// index answers the ordered queries of one session. What one query takes, no later one returns: queries continue where
// the ones before them stopped.
type index struct {
	ready   map[readyRange]*queue[readyRow]
	due     *queue[dueRow]
	records map[record.Family]*queue[record.Keyed]
	taken   map[flowfabric.ExecutionID]struct{} // by either kind of query
}

type (
	readyRow = indexed[store.ReadyEntry]
	dueRow   = indexed[store.DueEntry]
)

// readyRange is what one queue of ready entries covers.
type readyRange struct {
	lane  flowfabric.LaneID
	route int64
}

// claimable answers q with the first entries over all its routes.
func (ix *index) claimable(c *conn, q store.ClaimQuery, peek bool) ([]*record.Execution, error) {
	var list []*record.Execution
	queues := ix.readyQueues(c.reads, q, peek)
	for len(list) < q.Limit {
		first, err := firstOf(queues, q.Limit-len(list))
		if err != nil || first == nil {
			return list, err
		}
		at := first.pop()
		if ix.isTaken(at.entry.ExecutionID, peek) {
			continue
		}
		e, err := c.executionIn(at.entry.ExecutionID, at.rowid)
		if err != nil {
			return nil, err
		}
		ix.take(e.ID, peek)
		list = append(list, e)
	}
	return list, nil
}

// dueBefore answers q with the first entries at or before now.
func (ix *index) dueBefore(c *conn, now flowfabric.Timestamp, q store.DueQuery, peek bool) ([]*record.Execution, error) {
	var list []*record.Execution
	queue := ix.dueQueue(c.reads, now, peek)
	for len(list) < q.Limit {
		if at, err := queue.head(q.Limit - len(list)); err != nil || at == nil {
			return list, err
		}
		at := queue.pop()
		if ix.isTaken(at.entry.ExecutionID, peek) {
			continue
		}
		e, err := c.executionIn(at.entry.ExecutionID, at.rowid)
		if err != nil {
			return nil, err
		}
		ix.take(e.ID, peek)
		list = append(list, e)
	}
	return list, nil
}

func (ix *index) isTaken(id flowfabric.ExecutionID, peek bool) bool {
	_, taken := ix.taken[id]
	return taken && !peek
}

func (ix *index) take(id flowfabric.ExecutionID, peek bool) {
	if peek {
		return
	}
	if ix.taken == nil {
		ix.taken = make(map[flowfabric.ExecutionID]struct{})
	}
	ix.taken[id] = struct{}{}
}

// readyQueues returns the queues of q's routes. A peek has its own, so that it moves nobody else's.
func (ix *index) readyQueues(r *reads, q store.ClaimQuery, peek bool) []*queue[readyRow] {
	known := ix.ready
	if known == nil || peek {
		known = make(map[readyRange]*queue[readyRow], len(q.Routes))
	}
	if !peek {
		ix.ready = known
	}
	queues := make([]*queue[readyRow], len(q.Routes))
	for i, route := range q.Routes {
		at := readyRange{lane: q.Lane, route: route}
		if known[at] == nil {
			known[at] = &queue[readyRow]{fetch: func(limit, offset int) ([]*readyRow, error) {
				return r.readyEntries(q.Lane, route, limit, offset)
			}}
		}
		queues[i] = known[at]
	}
	return queues
}

func (ix *index) dueQueue(r *reads, now flowfabric.Timestamp, peek bool) *queue[dueRow] {
	fresh := &queue[dueRow]{fetch: func(limit, offset int) ([]*dueRow, error) {
		return r.dueEntries(now, limit, offset)
	}}
	if peek {
		return fresh
	}
	if ix.due == nil {
		ix.due = fresh
	}
	return ix.due
}

// firstOf returns the queue whose head comes first in the claim order, nil when all are empty. want is how many entries
// the caller can use at most.
func firstOf(queues []*queue[readyRow], want int) (*queue[readyRow], error) {
	const fewest = 8 // entries worth a query
	share := min(want, max(want/max(1, len(queues)), fewest))
	var first *queue[readyRow]
	var best *readyRow
	for _, q := range queues {
		at, err := q.head(share)
		if err != nil {
			return nil, err
		}
		if at != nil && (best == nil || claimsBefore(&at.entry, &best.entry)) {
			first, best = q, at
		}
	}
	return first, nil
}

// claimsBefore reports whether a precedes b in the claim order within a lane.
func claimsBefore(a, b *store.ReadyEntry) bool {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.CreatedAt, b.CreatedAt), a.ExecutionID.Compare(b.ExecutionID)) < 0
}

// queue is a range of an index, fetched in pieces. Nothing in the range may change meanwhile.
type queue[E any] struct {
	fetch func(limit, offset int) ([]*E, error)
	read  []*E
	next  int
	ended bool
}

// head returns the next entry without removing it, nil at the end. want is how many to fetch if one is missing.
func (q *queue[E]) head(want int) (*E, error) {
	if q.next == len(q.read) && !q.ended {
		more, err := q.fetch(want, len(q.read))
		if err != nil {
			return nil, err
		}
		q.read = append(q.read, more...)
		q.ended = len(more) < want
	}
	if q.next == len(q.read) {
		return nil, nil
	}
	return q.read[q.next], nil
}

// pop removes the entry that head returned.
func (q *queue[E]) pop() *E {
	q.next++
	return q.read[q.next-1]
}
