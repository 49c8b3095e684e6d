package sqlite

import (
	"context"
	"fmt"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// trimStep is how much one transaction removes of a kind. It takes about a millisecond, and then it is the turn of the
// commits that wait.
const trimStep = 100

// trimFrameStep is how many frames one transaction removes.
const trimFrameStep = 2000

// What may be forgotten. Events are in order of their numbers, and nearly in order of time: only the oldest are looked at.
const (
	sqlExpired = `SELECT retain_until_ms, execution_id, partition_key, rowid FROM ff_exec_core WHERE retain_until_ms <= ?
		ORDER BY retain_until_ms, execution_id, partition_key LIMIT 0 + ?`
	sqlForget = "DELETE FROM ff_exec_core WHERE rowid = ?"
	// Frames go first: an execution may have very many.
	sqlForgetFrames = `DELETE FROM ff_stream_frame WHERE (partition_key, execution_id, attempt_index, mode, ts_ms, seq) IN (
		SELECT f.partition_key, f.execution_id, f.attempt_index, f.mode, f.ts_ms, f.seq
		FROM (SELECT partition_key, execution_id FROM ff_exec_core WHERE retain_until_ms <= ?
			ORDER BY retain_until_ms, execution_id, partition_key LIMIT 0 + ?) e
		CROSS JOIN ff_stream_frame f ON f.partition_key = e.partition_key AND f.execution_id = e.execution_id LIMIT 0 + ?)`
	sqlForgetRest = " WHERE partition_key = ? AND execution_id = ?" // of tables of what belongs to an execution
	// The last events of each family are noted before they go. Parameters: the time up to which they go, the place up to
	// which they go whatever their time, and the limit.
	sqlNoteGone = `INSERT INTO ff_event_gone (family, seq)
		SELECT family, max(seq) FROM ff_event` + sqlOldEvents + ` GROUP BY family
		ON CONFLICT (family) DO UPDATE SET seq = max(seq, excluded.seq)`
	sqlForgetEvents = "DELETE FROM ff_event" + sqlOldEvents
	sqlOldEvents    = ` WHERE (occurred_at_ms <= ? OR seq <= ?) AND seq IN (SELECT seq FROM ff_event ORDER BY seq LIMIT 0 + ?)`
	sqlForgetKeys   = `DELETE FROM ff_idempotency WHERE (namespace, idempotency_key) IN
		(SELECT namespace, idempotency_key FROM ff_idempotency WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT 0 + ?)`
	// Of the routes that were not seen for long those without work go; what is left of them is seen now.
	sqlForgetRoutes = "DELETE FROM ff_route WHERE (lane_id, route) IN (" + sqlOldRoutes + `) AND NOT EXISTS
		(SELECT 1 FROM ff_exec_core e WHERE e.ready = 1 AND e.lane_id = ff_route.lane_id AND e.route = ff_route.route)`
	sqlSeeRoutes = "UPDATE ff_route SET seen_at_ms = ?3 WHERE (lane_id, route) IN (" + sqlOldRoutes + ")"
	sqlOldRoutes = "SELECT lane_id, route FROM ff_route WHERE seen_at_ms <= ?1 ORDER BY seen_at_ms, lane_id, route LIMIT 0 + ?2"
)

// Trim implements [store.Catalog], in many short transactions. Pages that become empty are used again; the file does not
// shrink.
func (s *Store) Trim(ctx context.Context, t store.Trim) (store.Trimmed, error) {
	var done store.Trimmed
	for _, kind := range []struct {
		limit  int
		before func(ctx context.Context, most int) error
		remove func(sn *session, most int) (int, error)
		count  *int
	}{
		{limit: t.Limit, before: s.trimFrames, remove: (*session).trimExecutions, count: &done.Executions},
		{limit: t.Limit, remove: (*session).trimKeys, count: &done.Keys},
		{limit: t.Limit, count: &done.Routes, remove: func(sn *session, most int) (int, error) {
			return sn.trimRoutes(&t, most)
		}},
		{limit: store.EventsPerTrim * t.Limit, count: &done.Events, remove: func(sn *session, most int) (int, error) {
			return sn.trimEvents(&t, most)
		}},
	} {
		for *kind.count < kind.limit {
			most := min(trimStep, kind.limit-*kind.count)
			if kind.before != nil {
				if err := kind.before(ctx, most); err != nil {
					return done, err
				}
			}
			n, err := s.trim(ctx, most, kind.remove)
			*kind.count += n
			if err != nil {
				return done, err
			}
			if n == 0 {
				break
			}
		}
	}
	return done, nil
}

// trimFrames removes the frames of as many executions as the next step removes, in transactions of their own.
func (s *Store) trimFrames(ctx context.Context, executions int) error {
	for {
		n, err := s.trim(ctx, executions, func(sn *session, most int) (int, error) {
			return sn.removed(sqlForgetFrames, int64(sn.now), int64(most), trimFrameStep)
		})
		if err != nil || n < trimFrameStep {
			return err
		}
	}
}

// trim runs one step in a transaction of its own.
func (s *Store) trim(ctx context.Context, most int, remove func(sn *session, most int) (int, error)) (int, error) {
	sn, err := s.beginWrite(ctx)
	if err != nil {
		return 0, err
	}
	defer sn.Close()
	n, err := remove(sn, most)
	if err != nil {
		return 0, classify(ctx, "trim", err)
	}
	if n == 0 {
		return 0, nil
	}
	if err := sn.commit(ctx); err != nil {
		return 0, err
	}
	return n, nil
}

func (sn *session) trimExecutions(most int) (int, error) {
	var expired, forget *statement
	rest := make([]*statement, 2+len(record.OfExecution))
	list := []toPrepare{
		{&expired, sqlExpired},
		{&forget, sqlForget},
		{&rest[0], "DELETE FROM ff_attempt" + sqlForgetRest},
		{&rest[1], "DELETE FROM ff_stream_frame" + sqlForgetRest},
	}
	for i, family := range record.OfExecution {
		list = append(list, toPrepare{&rest[i+2], "DELETE FROM " + sqlstore.Keyed[family].Name + sqlForgetRest})
	}
	if err := prepareAll(sn.conn.db, list); err != nil {
		return 0, err
	}
	expired.Int(int64(sn.now))
	expired.Int(int64(most))
	gone, err := allIndexed(expired, &sqlstore.Retain)
	if err != nil {
		return 0, err
	}
	for _, at := range gone {
		forget.Int(at.rowid)
		if err := forget.run(); err != nil {
			return 0, fmt.Errorf("remove %s: %w", at.entry.ExecutionID, err)
		}
		for _, of := range rest {
			of.Int(int64(at.entry.ExecutionID.Partition().Index))
			of.UUID(at.entry.ExecutionID.UUID())
			if err := of.run(); err != nil {
				return 0, fmt.Errorf("remove what belongs to %s: %w", at.entry.ExecutionID, err)
			}
		}
		sn.conn.cache.drop(at.entry.ExecutionID)
	}
	return len(gone), nil
}

func (sn *session) trimKeys(most int) (int, error) {
	return sn.removed(sqlForgetKeys, int64(sn.now), int64(most))
}

func (sn *session) trimRoutes(t *store.Trim, most int) (int, error) {
	if t.RoutesBefore == 0 {
		return 0, nil
	}
	before := int64(min(t.RoutesBefore, sn.now-1))
	gone, err := sn.removed(sqlForgetRoutes, before, int64(most))
	if err != nil || gone == most {
		return gone, err
	}
	seen, err := sn.removed(sqlSeeRoutes, before, int64(most-gone), int64(sn.now))
	return gone + seen, err
}

func (sn *session) trimEvents(t *store.Trim, most int) (int, error) {
	var kept int64
	if t.EventsKept > 0 {
		last, err := prepare(sn.conn.db, sqlLastPlace)
		if err != nil {
			return 0, err
		}
		n, err := last.number()
		if err != nil {
			return 0, err
		}
		kept = n - int64(t.EventsKept)
	}
	if _, err := sn.removed(sqlNoteGone, int64(t.EventsBefore), kept, int64(most)); err != nil {
		return 0, err
	}
	return sn.removed(sqlForgetEvents, int64(t.EventsBefore), kept, int64(most))
}

// removed runs a statement and returns how many rows it removed or changed.
func (sn *session) removed(sql string, args ...int64) (int, error) {
	s, err := prepare(sn.conn.db, sql)
	if err != nil {
		return 0, err
	}
	for _, arg := range args {
		s.Int(arg)
	}
	err = s.run()
	return sn.conn.db.Changes(), err
}
