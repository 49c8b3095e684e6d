package sqlite

import (
	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The queries, each served by a primary key.
var (
	sqlExecution   = selectBy(&sqlstore.Executions, "partition_key = ? AND execution_id = ?")
	sqlAttempt     = selectBy(&sqlstore.Attempts, "partition_key = ? AND execution_id = ? AND attempt_index = ?")
	sqlIdempotency = selectBy(&sqlstore.Idempotency, "namespace = ? AND idempotency_key = ?")
	sqlAttemptsOf  = selectBy(&sqlstore.Attempts, `partition_key = ? AND execution_id = ? AND attempt_index >= ?
		ORDER BY attempt_index LIMIT ?`)
	sqlRoutes = selectBy(&sqlstore.Routes, "lane_id = ? ORDER BY route")
	sqlReady  = selectBy(&sqlstore.Ready, `lane_id = ? AND route = ?
		ORDER BY priority DESC, created_at_ms, execution_id, partition_key LIMIT ? OFFSET ?`)
	sqlDue = selectBy(&sqlstore.Due, `due_at_ms <= ?
		ORDER BY due_at_ms, execution_id, partition_key LIMIT ? OFFSET ?`)
	sqlNextDue = "SELECT due_at_ms FROM ff_due ORDER BY due_at_ms LIMIT 1"
)

// reads are the queries as one connection has prepared them.
type reads struct {
	execution, attempt, idempotency, attemptsOf, routes, ready, due, nextDue *statement
}

func prepareReads(db *driver.Conn) (*reads, error) {
	r := &reads{}
	return r, prepareAll(db, []toPrepare{
		{&r.execution, sqlExecution},
		{&r.attempt, sqlAttempt},
		{&r.idempotency, sqlIdempotency},
		{&r.attemptsOf, sqlAttemptsOf},
		{&r.routes, sqlRoutes},
		{&r.ready, sqlReady},
		{&r.due, sqlDue},
		{&r.nextDue, sqlNextDue},
	})
}

// executionBy returns the execution with an id, nil when there is none.
func (r *reads) executionBy(id flowfabric.ExecutionID) (*record.Execution, error) {
	r.execution.Int(int64(id.Partition().Index))
	r.execution.UUID(id.UUID())
	return first(r.execution, &sqlstore.Executions)
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

func (r *reads) readyEntries(lane flowfabric.LaneID, route int64, limit, offset int) ([]*store.ReadyEntry, error) {
	r.ready.Text(string(lane))
	r.ready.Int(route)
	r.ready.Int(int64(limit))
	r.ready.Int(int64(offset))
	return all(r.ready, &sqlstore.Ready)
}

func (r *reads) dueEntries(now flowfabric.Timestamp, limit, offset int) ([]*store.DueEntry, error) {
	r.due.Int(int64(now))
	r.due.Int(int64(limit))
	r.due.Int(int64(offset))
	return all(r.due, &sqlstore.Due)
}

// earliestDue returns the earliest due time, 0 for none.
func (r *reads) earliestDue() (flowfabric.Timestamp, error) {
	found, err := r.nextDue.step()
	if err != nil || !found {
		return 0, err
	}
	at := flowfabric.Timestamp(r.nextDue.stmt.ColumnInt64(0))
	return at, r.nextDue.reset()
}
