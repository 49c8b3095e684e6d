package postgres

import (
	"cmp"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// taken are the entries a session has deleted from the queues to have them for itself. Those whose execution it does not
// move come back when it commits.
type taken struct {
	ready   map[store.ReadyEntry]struct{}
	due     map[store.DueEntry]struct{}
	ids     map[flowfabric.ExecutionID]struct{} // by either kind of query
	records map[record.Key]struct{}             // of keyed families: locked, not deleted
	mayHave int                                 // how many records were asked for
}

func (t *taken) has(id flowfabric.ExecutionID) bool {
	_, ok := t.ids[id]
	return ok
}

func (t *taken) add(id flowfabric.ExecutionID) {
	if t.ids == nil {
		t.ids = make(map[flowfabric.ExecutionID]struct{})
	}
	t.ids[id] = struct{}{}
}

func (t *taken) addRecord(key record.Key) {
	if t.records == nil {
		t.records = make(map[record.Key]struct{})
	}
	t.records[key] = struct{}{}
}

// Taking deletes: a row that is locked but there would be found again by the session's own next query. The rows come
// back in no order; an entry without a record comes with NULLs.
const (
	joinExecution = ` LEFT JOIN LATERAL (SELECT * FROM ff_exec_core r
		WHERE r.partition_key = d.partition_key AND r.execution_id = d.execution_id OFFSET 0) c ON true`

	// Parameters: lane, route, limit. Served by ff_ready_order.
	readyOfRoute = ` FROM ff_ready WHERE lane_id = $1::text AND route = $2::bigint
		ORDER BY priority DESC, created_at_ms, execution_id LIMIT $3::bigint`

	// Parameters: lane, routes, limit. Each route gives its first entries, unlocked and more than are wanted, since another
	// session may be taking some of them; of all these the first that are free are locked.
	readyOfRoutes = ` FROM unnest($2::bigint[]) k(route) CROSS JOIN LATERAL (
		SELECT r.ctid AS row_at, r.* FROM ff_ready r WHERE r.lane_id = $1::text AND r.route = k.route
		ORDER BY r.priority DESC, r.created_at_ms, r.execution_id LIMIT 2 * $3::bigint + 64) q`
)

var (
	takeReadyOfRoute = newStatement(`WITH d AS (
		DELETE FROM ff_ready WHERE ctid = ANY (ARRAY(SELECT ctid` + readyOfRoute + ` FOR UPDATE SKIP LOCKED))
		RETURNING partition_key, execution_id, route, priority, created_at_ms)
	SELECT ` + readyColumns + ` FROM d` + joinExecution)

	takeReadyOfRoutes = newStatement(`WITH d AS (
		DELETE FROM ff_ready WHERE ctid = ANY (ARRAY(
			SELECT f.ctid FROM (SELECT q.*` + readyOfRoutes + ` ORDER BY q.priority DESC, q.created_at_ms, q.execution_id OFFSET 0) q
			JOIN ff_ready f ON f.ctid = q.row_at
			ORDER BY q.priority DESC, q.created_at_ms, q.execution_id LIMIT $3::bigint FOR UPDATE OF f SKIP LOCKED))
		RETURNING partition_key, execution_id, route, priority, created_at_ms)
	SELECT ` + readyColumns + ` FROM d` + joinExecution)

	peekReadyOfRoute = newStatement(`SELECT ` + readyColumns + ` FROM (SELECT *` + readyOfRoute + `) d` + joinExecution)

	peekReadyOfRoutes = newStatement(`SELECT ` + readyColumns + ` FROM (SELECT q.*` + readyOfRoutes + `
		ORDER BY q.priority DESC, q.created_at_ms, q.execution_id LIMIT $3::bigint) d` + joinExecution)
)

var readyColumns = `d.partition_key, d.execution_id, d.route, d.priority, d.created_at_ms, ` + sqlstore.Executions.Names("c.")

// claimable answers a ClaimQuery.
func (s *session) claimable(l *store.Load, asked store.ClaimQuery) *query {
	q := &query{}
	q.send = func(t *trip) {
		if len(asked.Routes) == 0 {
			return
		}
		st, routes := takeReadyOfRoute, int64Param(asked.Routes[0])
		switch several := len(asked.Routes) > 1; {
		case several && l.Peek:
			st = peekReadyOfRoutes
		case several:
			st = takeReadyOfRoutes
		case l.Peek:
			st = peekReadyOfRoute
		}
		if len(asked.Routes) > 1 {
			routes = arrayParam(sqlstore.Int64, func(a *array) {
				for _, route := range asked.Routes {
					a.Int(route)
				}
			})
		}
		params := [][]byte{[]byte(asked.Lane), routes, int64Param(int64(asked.Limit))}
		lk := s.look(l, asked)
		if lk != nil {
			st, params = takeReadyOfStretches, lk.params(asked.Limit)
		}
		var sc scanner
		t.send(st, params, func(values [][]byte) error {
			entry := store.ReadyEntry{
				Lane: asked.Lane, ExecutionID: flowfabric.ExecutionIDFrom(uint16(intOf(values[0])), [16]byte(values[1])),
				Route: intOf(values[2]), Priority: int(intOf(values[3])), CreatedAt: flowfabric.Timestamp(intOf(values[4])),
			}
			if lk != nil {
				lk.took = append(lk.took, entry)
			}
			e := found(&sc, values[5:])
			if e == nil || !e.Ready || store.ReadyEntryOf(e) != entry {
				s.stale = true
				return nil
			}
			q.add(s, l, e)
			if !l.Peek {
				if s.taken.ready == nil {
					s.taken.ready = make(map[store.ReadyEntry]struct{}, asked.Limit)
				}
				s.taken.ready[entry] = struct{}{}
			}
			return nil
		})
	}
	q.deliver = func(b *store.Batch) {
		slices.SortFunc(q.records, func(x, y *record.Execution) int {
			return cmp.Or(cmp.Compare(y.Priority+y.Boost, x.Priority+x.Boost), cmp.Compare(x.CreatedAt, y.CreatedAt), x.ID.Compare(y.ID))
		})
		b.AddClaimable(l, q.records)
	}
	return q
}

const dueColumns = `d.partition_key, d.execution_id, d.due_at_ms, `

// Parameters: the storage clock, NULL for the server's, and limit. Served by the key of ff_due.
const dueByNow = ` FROM ff_due WHERE due_at_ms <= coalesce($1::bigint, ` + sqlNow + `)
	ORDER BY due_at_ms, execution_id, partition_key LIMIT $2::bigint`

var (
	takeDue = newStatement(`WITH d AS (
		DELETE FROM ff_due WHERE ctid = ANY (ARRAY(SELECT ctid` + dueByNow + ` FOR UPDATE SKIP LOCKED))
		RETURNING partition_key, execution_id, due_at_ms)
	SELECT ` + dueColumns + sqlstore.Executions.Names("c.") + ` FROM d` + joinExecution)

	peekDue = newStatement(`SELECT ` + dueColumns + sqlstore.Executions.Names("c.") + ` FROM (SELECT *` + dueByNow + `) d` + joinExecution)
)

// due answers a DueQuery.
func (s *session) due(l *store.Load, asked store.DueQuery) *query {
	q := &query{}
	q.send = func(t *trip) {
		var now []byte
		if s.st.cfg.Clock != nil {
			now = int64Param(int64(s.st.cfg.Clock()))
		}
		st := takeDue
		if l.Peek {
			st = peekDue
		}
		var sc scanner
		t.send(st, [][]byte{now, int64Param(int64(asked.Limit))}, func(values [][]byte) error {
			entry := store.DueEntry{
				ExecutionID: flowfabric.ExecutionIDFrom(uint16(intOf(values[0])), [16]byte(values[1])),
				DueAt:       flowfabric.Timestamp(intOf(values[2])),
			}
			e := found(&sc, values[3:])
			if e == nil || e.DueAt != entry.DueAt {
				s.stale = true
				return nil
			}
			q.add(s, l, e)
			if !l.Peek {
				if s.taken.due == nil {
					s.taken.due = make(map[store.DueEntry]struct{}, asked.Limit)
				}
				s.taken.due[entry] = struct{}{}
			}
			return nil
		})
	}
	q.deliver = func(b *store.Batch) {
		slices.SortFunc(q.records, func(x, y *record.Execution) int {
			return cmp.Or(cmp.Compare(x.DueAt, y.DueAt), x.ID.Compare(y.ID))
		})
		b.AddDue(l, q.records)
	}
	return q
}

// found decodes the execution behind an entry, nil when there is none.
func found(sc *scanner, values [][]byte) *record.Execution {
	if values[0] == nil {
		return nil
	}
	return scan(sc, &sqlstore.Executions, values)
}

// add puts e into the answer, unless a query of the other kind has given it to this session before.
func (q *query) add(s *session, l *store.Load, e *record.Execution) {
	if !l.Peek {
		if s.taken.has(e.ID) {
			return
		}
		s.taken.add(e.ID)
	}
	q.records = append(q.records, e)
}
