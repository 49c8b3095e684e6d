package sqlite

import (
	"math"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The queries, each served by one key or index. The entries of an ordered index come with the rowid of their execution.
var (
	sqlExecution   = selectBy(&sqlstore.Executions, "partition_key = ? AND execution_id = ?")
	sqlExecutionAt = selectBy(&sqlstore.Executions, "rowid = ?")
	sqlAttempt     = selectBy(&sqlstore.Attempts, "partition_key = ? AND execution_id = ? AND attempt_index = ?")
	sqlIdempotency = selectBy(&sqlstore.Idempotency, "namespace = ? AND idempotency_key = ?")
	sqlAttemptsOf  = selectBy(&sqlstore.Attempts, `partition_key = ? AND execution_id = ? AND attempt_index >= ?
		ORDER BY attempt_index LIMIT 0 + ?`)
	sqlRoutes = selectBy(&sqlstore.Routes, "lane_id = ? ORDER BY route")
)

const (
	sqlReady = `SELECT lane_id, route, priority + priority_boost, created_at_ms, execution_id, partition_key, rowid
		FROM ff_exec_core WHERE ready = 1 AND lane_id = ? AND route = ?
		ORDER BY priority + priority_boost DESC, created_at_ms, execution_id, partition_key LIMIT 0 + ? OFFSET ?`
	sqlDue = `SELECT due_at_ms, execution_id, partition_key, rowid FROM ff_exec_core WHERE due_at_ms <= ?
		ORDER BY due_at_ms, execution_id, partition_key LIMIT 0 + ? OFFSET ?`
	sqlReadyRoute = `SELECT route FROM ff_exec_core WHERE ready = 1 AND lane_id = ? AND route >= ?
		ORDER BY route LIMIT 1`
	sqlSlots = "SELECT count(*) FROM ff_exec_core WHERE slot = 1 AND lane_id = ?"
)

// sqlNextDue asks each index of due times for its first.
var sqlNextDue = func() string {
	earliest := []string{"SELECT min(due_at_ms) AS at FROM ff_exec_core WHERE due_at_ms IS NOT NULL"}
	for _, family := range record.Families {
		if t := sqlstore.Keyed[family]; t.Due != "" {
			earliest = append(earliest, "SELECT min("+t.Due+") FROM "+t.Name+" WHERE "+t.Due+" IS NOT NULL")
		}
	}
	return "SELECT min(at) FROM (" + strings.Join(earliest, " UNION ALL ") + ")"
}()

// reads are the queries as one connection has prepared them.
type reads struct {
	execution, executionAt, attempt, idempotency, attemptsOf, routes *statement
	ready, readyRoute, due, slots, nextDue                           *statement
	edgesFrom, edgesTo, members                                      *statement
	frames                                                           *statement

	keyed map[record.Family]*keyedReads
}

func prepareReads(db *driver.Conn) (*reads, error) {
	r := &reads{}
	err := prepareAll(db, []toPrepare{
		{&r.execution, sqlExecution},
		{&r.executionAt, sqlExecutionAt},
		{&r.attempt, sqlAttempt},
		{&r.idempotency, sqlIdempotency},
		{&r.attemptsOf, sqlAttemptsOf},
		{&r.routes, sqlRoutes},
		{&r.ready, sqlReady},
		{&r.readyRoute, sqlReadyRoute},
		{&r.due, sqlDue},
		{&r.slots, sqlSlots},
		{&r.nextDue, sqlNextDue},
		{&r.edgesFrom, sqlEdgesFrom},
		{&r.edgesTo, sqlEdgesTo},
		{&r.members, sqlMembers},
		{&r.frames, sqlFrames},
	})
	if err == nil {
		r.keyed, err = prepareKeyedReads(db)
	}
	return r, err
}

// executionBy returns the execution with an id, nil when there is none.
func (r *reads) executionBy(id flowfabric.ExecutionID) (*record.Execution, error) {
	r.execution.Int(int64(id.Partition().Index))
	r.execution.UUID(id.UUID())
	return first(r.execution, &sqlstore.Executions)
}

// executionIn returns the execution in a row.
func (r *reads) executionIn(rowid int64) (*record.Execution, error) {
	r.executionAt.Int(rowid)
	return first(r.executionAt, &sqlstore.Executions)
}

func (r *reads) attemptBy(key record.AttemptKey) (*record.Attempt, error) {
	r.attempt.Int(int64(key.ExecutionID.Partition().Index))
	r.attempt.UUID(key.ExecutionID.UUID())
	r.attempt.Int(int64(key.Index))
	return first(r.attempt, &sqlstore.Attempts)
}

func (r *reads) idempotencyBy(key record.IdempotencyKey) (*record.Idempotency, error) {
	r.idempotency.Text(string(key.Namespace))
	r.idempotency.Text(key.Key)
	return first(r.idempotency, &sqlstore.Idempotency)
}

func (r *reads) attemptsBy(q store.AttemptsQuery) ([]*record.Attempt, error) {
	r.attemptsOf.Int(int64(q.ExecutionID.Partition().Index))
	r.attemptsOf.UUID(q.ExecutionID.UUID())
	r.attemptsOf.Int(int64(q.From))
	r.attemptsOf.Int(int64(q.Limit))
	return all(r.attemptsOf, &sqlstore.Attempts)
}

func (r *reads) routesOf(lane flowfabric.LaneID) ([]*record.Route, error) {
	r.routes.Text(string(lane))
	return all(r.routes, &sqlstore.Routes)
}

func (r *reads) readyEntries(lane flowfabric.LaneID, route int64, limit, offset int) ([]*readyRow, error) {
	r.ready.Text(string(lane))
	r.ready.Int(route)
	r.ready.Int(int64(limit))
	r.ready.Int(int64(offset))
	return allIndexed(r.ready, &sqlstore.Ready)
}

// routesReady answers q, skipping from the first entry of one route to the first of the next.
func (r *reads) routesReady(q store.ReadyRoutesQuery) ([]int64, error) {
	var routes []int64
	for from := q.From; len(routes) < q.Limit; {
		r.readyRoute.Text(string(q.Lane))
		r.readyRoute.Int(from)
		found, err := r.readyRoute.step()
		if err != nil || !found {
			return routes, err
		}
		route := r.readyRoute.stmt.ColumnInt64(0)
		if err := r.readyRoute.reset(); err != nil {
			return nil, err
		}
		routes = append(routes, route)
		if route == math.MaxInt64 {
			break
		}
		from = route + 1
	}
	return routes, nil
}

func (r *reads) dueEntries(now flowfabric.Timestamp, limit, offset int) ([]*dueRow, error) {
	r.due.Int(int64(now))
	r.due.Int(int64(limit))
	r.due.Int(int64(offset))
	return allIndexed(r.due, &sqlstore.Due)
}

// slotsTaken returns how many slots of a lane are taken.
func (r *reads) slotsTaken(lane flowfabric.LaneID) (int, error) {
	r.slots.Text(string(lane))
	n, err := r.slots.number()
	return int(n), err
}

// earliestDue returns the earliest due time of executions and keyed records, 0 for none.
func (r *reads) earliestDue() (flowfabric.Timestamp, error) {
	at, err := r.nextDue.number()
	return flowfabric.Timestamp(at), err
}
