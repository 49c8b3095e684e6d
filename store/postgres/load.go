package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Load implements [store.Session].
func (s *session) Load(ctx context.Context, b *store.Batch, loads []*store.Load) error {
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	_, age := s.st.clock.estimate()
	s.sendBegin(t, beginStatement, age > maxClockAge)
	r := gather(s, loads)
	r.send(t)
	if err := t.run(); err != nil {
		if s.turns.refused(err) {
			return fmt.Errorf("postgres: load records: %w: %w", store.ErrConflict, err)
		}
		return classify("load records", err, notSent)
	}
	s.st.floors.answered(s.looks)
	b.SetNow(s.Now())
	r.deliver(b)
	return nil
}

// view answers one Load by a transaction of its own that takes nothing. A single statement needs no BEGIN; several see
// one snapshot.
func (st *Store) view(ctx context.Context, b *store.Batch, l *store.Load) error {
	s := &session{st: st}
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	defer s.c.release()
	r := gather(s, []*store.Load{l})
	_, age := st.clock.estimate()
	needsClock := st.cfg.Clock == nil && (s.Now() == 0 || age > maxClockAge)
	if single := r.statements() <= 1 && !needsClock; single {
		s.sendSettings(t)
		r.send(t)
	} else {
		s.sendBegin(t, snapshotStatement, needsClock)
		r.send(t)
		t.send(commitStatement, nil, nil)
	}
	if err := t.run(); err != nil {
		return classify("view records", err, notSent)
	}
	b.SetNow(s.Now())
	r.deliver(b)
	return nil
}

// viewSession lets [store.ViewWith] load through view.
type viewSession struct{ st *Store }

func (v viewSession) Load(ctx context.Context, b *store.Batch, loads []*store.Load) error {
	return v.st.view(ctx, b, loads[0])
}

func (v viewSession) Now() flowfabric.Timestamp { return (&session{st: v.st}).Now() }
func (v viewSession) Commit(context.Context, *store.Changes) error {
	panic("postgres: a view commits nothing")
}
func (v viewSession) Close() {}

// reads is what one round trip asks for, and the answers. What several loads name by key is asked for in one statement.
type reads struct {
	s     *session
	loads []*store.Load

	keyed       keyedReads
	graph       graphReads
	executions  []flowfabric.ExecutionID
	attempts    []record.AttemptKey
	idempotency []record.IdempotencyKey
	lanes       []flowfabric.LaneID
	slots       []flowfabric.LaneID
	nextDue     bool

	queries     []*query
	foundExecs  []*record.Execution
	foundTries  []*record.Attempt
	foundKeys   []*record.Idempotency
	foundRoutes map[flowfabric.LaneID][]*record.Route
	foundSlots  map[flowfabric.LaneID]int
	foundDue    flowfabric.Timestamp
}

// query is one ordered query of one load and its answer.
type query struct {
	send     func(t *trip)
	deliver  func(b *store.Batch)
	records  []*record.Execution
	attempts []*record.Attempt
	keyed    []record.Keyed
	routes   []int64
}

func gather(s *session, loads []*store.Load) *reads {
	r := &reads{s: s, loads: loads}
	if s != nil {
		r.keyed.turns = s.turns
		r.keyed.keys = s.turns.first()
	}
	for _, l := range loads {
		r.keyed.keys = append(r.keyed.keys, l.Reads.Records...)
		r.keyed.peek = l.Peek
		r.graph.edges = append(r.graph.edges, l.Reads.Edges...)
		r.graph.members = append(r.graph.members, l.Reads.Members...)
		r.slots = append(r.slots, l.Reads.Slots...)
		r.executions = append(r.executions, l.Reads.Executions...)
		r.attempts = append(r.attempts, l.Reads.Attempts...)
		r.idempotency = append(r.idempotency, l.Reads.Idempotency...)
		r.lanes = append(r.lanes, l.Reads.Routes...)
		r.nextDue = r.nextDue || l.Reads.NextDue
	}
	// What executions say is read first: what is read later can only be newer than their version, and then the guard of
	// the execution does not hold.
	for _, l := range loads {
		for _, q := range l.Reads.Claimable {
			r.queries = append(r.queries, s.claimable(l, q))
		}
		for _, q := range l.Reads.Due {
			r.queries = append(r.queries, s.due(l, q))
		}
		for _, q := range l.Reads.DueRecords {
			r.queries = append(r.queries, s.dueRecords(l, q))
		}
		for _, q := range l.Reads.ReadyRoutes {
			r.queries = append(r.queries, readyRoutes(l, q))
		}
		for _, q := range l.Reads.Frames {
			r.queries = append(r.queries, frames(l, q))
		}
		for _, q := range l.Reads.AttemptsOf {
			r.queries = append(r.queries, attemptsOf(l, q))
		}
	}
	return r
}

// statements is how many the reads need.
func (r *reads) statements() int {
	n := len(r.queries) + len(r.keyed.byFamily()) + r.graph.statements()
	for _, asked := range []bool{
		len(r.executions) > 0, len(r.attempts) > 0, len(r.idempotency) > 0, len(r.lanes) > 0, len(r.slots) > 0, r.nextDue,
	} {
		if asked {
			n++
		}
	}
	return n
}

// send asks for the slots of a lane behind its record: a claim that writes the record again can then be sure that no slot
// it has not seen was taken meanwhile.
func (r *reads) send(t *trip) {
	r.keyed.send(t)
	r.sendExecutions(t)
	r.graph.send(t)
	for _, q := range r.queries {
		q.send(t)
	}
	r.sendAttempts(t)
	r.sendIdempotency(t)
	r.sendRoutes(t)
	r.sendSlots(t)
	r.sendNextDue(t)
}

// deliver hands the answers to the batch. What was found goes first: absence never replaces it.
func (r *reads) deliver(b *store.Batch) {
	r.keyed.deliver(b)
	r.graph.deliver(b)
	for _, e := range r.foundExecs {
		b.AddExecution(e.ID, e)
	}
	for _, id := range r.executions {
		b.AddExecution(id, nil)
	}
	for _, a := range r.foundTries {
		b.AddAttempt(a.Key(), a)
	}
	for _, key := range r.attempts {
		b.AddAttempt(key, nil)
	}
	for _, i := range r.foundKeys {
		b.AddIdempotency(i.Key, i)
	}
	for _, key := range r.idempotency {
		b.AddIdempotency(key, nil)
	}
	for _, lane := range r.lanes {
		b.AddRoutes(lane, r.foundRoutes[lane])
	}
	for _, lane := range r.slots {
		b.AddSlots(lane, r.foundSlots[lane])
	}
	for _, q := range r.queries {
		q.deliver(b)
	}
	if r.nextDue {
		b.AddNextDue(r.foundDue)
	}
}

var executionsByKey = newStatement(`SELECT ` + sqlstore.Executions.Names("c.") + `
	FROM unnest($1::smallint[], $2::uuid[]) k(partition_key, execution_id)
	CROSS JOIN LATERAL (SELECT * FROM ff_exec_core r
		WHERE r.partition_key = k.partition_key AND r.execution_id = k.execution_id OFFSET 0) c`)

func (r *reads) sendExecutions(t *trip) {
	if len(r.executions) == 0 {
		return
	}
	var sc scanner
	t.send(executionsByKey, executionKeys(r.executions), func(values [][]byte) error {
		r.foundExecs = append(r.foundExecs, scan(&sc, &sqlstore.Executions, values))
		return nil
	})
}

// executionKeys are the two arrays that name executions.
func executionKeys(ids []flowfabric.ExecutionID) [][]byte {
	return [][]byte{
		arrayParam(sqlstore.Int16, func(a *array) {
			for _, id := range ids {
				a.Int(int64(id.Partition().Index))
			}
		}),
		arrayParam(sqlstore.UUID, func(a *array) {
			for _, id := range ids {
				a.UUID(id.UUID())
			}
		}),
	}
}

var attemptsByKey = newStatement(`SELECT ` + sqlstore.Attempts.Names("c.") + `
	FROM unnest($1::smallint[], $2::uuid[], $3::integer[]) k(partition_key, execution_id, attempt_index)
	CROSS JOIN LATERAL (SELECT * FROM ff_attempt r WHERE r.partition_key = k.partition_key
		AND r.execution_id = k.execution_id AND r.attempt_index = k.attempt_index OFFSET 0) c`)

func (r *reads) sendAttempts(t *trip) {
	if len(r.attempts) == 0 {
		return
	}
	ids := make([]flowfabric.ExecutionID, len(r.attempts))
	for i, key := range r.attempts {
		ids[i] = key.ExecutionID
	}
	params := append(executionKeys(ids), arrayParam(sqlstore.Int32, func(a *array) {
		for _, key := range r.attempts {
			a.Int(int64(key.Index))
		}
	}))
	var sc scanner
	t.send(attemptsByKey, params, func(values [][]byte) error {
		r.foundTries = append(r.foundTries, scan(&sc, &sqlstore.Attempts, values))
		return nil
	})
}

var attemptsOfExecution = newStatement(`SELECT ` + sqlstore.Attempts.Names("") + ` FROM ff_attempt
	WHERE partition_key = $1::smallint AND execution_id = $2::uuid AND attempt_index >= $3::bigint
	ORDER BY attempt_index LIMIT $4::bigint`)

func attemptsOf(l *store.Load, asked store.AttemptsQuery) *query {
	q := &query{}
	q.send = func(t *trip) {
		id := asked.ExecutionID.UUID()
		params := [][]byte{int16Param(asked.ExecutionID.Partition().Index), id[:], int64Param(int64(asked.From)), int64Param(int64(asked.Limit))}
		var sc scanner
		t.send(attemptsOfExecution, params, func(values [][]byte) error {
			q.attempts = append(q.attempts, scan(&sc, &sqlstore.Attempts, values))
			return nil
		})
	}
	q.deliver = func(b *store.Batch) { b.AddAttemptsOf(l, q.attempts) }
	return q
}

var idempotencyByKey = newStatement(`SELECT ` + sqlstore.Idempotency.Names("c.") + `
	FROM unnest($1::text[], $2::text[]) k(namespace, idempotency_key)
	CROSS JOIN LATERAL (SELECT * FROM ff_idempotency r
		WHERE r.namespace = k.namespace AND r.idempotency_key = k.idempotency_key OFFSET 0) c`)

func (r *reads) sendIdempotency(t *trip) {
	if len(r.idempotency) == 0 {
		return
	}
	params := [][]byte{
		arrayParam(sqlstore.Text, func(a *array) {
			for _, key := range r.idempotency {
				a.Text(string(key.Namespace))
			}
		}),
		arrayParam(sqlstore.Text, func(a *array) {
			for _, key := range r.idempotency {
				a.Text(key.Key)
			}
		}),
	}
	var sc scanner
	t.send(idempotencyByKey, params, func(values [][]byte) error {
		r.foundKeys = append(r.foundKeys, scan(&sc, &sqlstore.Idempotency, values))
		return nil
	})
}

// Each time is the first of an index; least leaves out those that are not there.
var earliestDue = newStatement(func() string {
	times := []string{`(SELECT due_at_ms FROM ff_due ORDER BY due_at_ms, execution_id, partition_key LIMIT 1)`}
	for _, f := range families {
		if due := f.table.Due; due != "" {
			times = append(times, `(SELECT `+due+` FROM `+f.table.Name+` WHERE `+due+` IS NOT NULL ORDER BY `+due+` LIMIT 1)`)
		}
	}
	return `SELECT least(` + strings.Join(times, `, `) + `)`
}())

func (r *reads) sendNextDue(t *trip) {
	if !r.nextDue {
		return
	}
	t.send(earliestDue, nil, func(values [][]byte) error {
		r.foundDue = flowfabric.Timestamp(intOf(values[0]))
		return nil
	})
}
