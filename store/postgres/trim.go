package postgres

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// trimBatch is how many rows one transaction of Trim removes at most: it is over in some tens of milliseconds.
const trimBatch = 500

// trimFrameBatch is how many frames one transaction of Trim removes.
const trimFrameBatch = 5000

// Each removes what another engine does not remove just now, oldest first, and counts it. Parameters: the storage clock,
// NULL for the server's, and the limit.
var (
	// The entry is locked before the execution, as by a commit, which removes the entry when it moves the execution on. The
	// execution is found by its key, so that it goes even if a commit that leaves the entry alone has just written it. For
	// the form of the conditions see shapeWriter.update.
	trimExecutions = newStatement(`WITH d AS MATERIALIZED (
		SELECT ctid AS row_at, retain_until_ms, execution_id, partition_key FROM ff_retention
		WHERE retain_until_ms <= coalesce($1::bigint, ` + sqlNow + `)
		ORDER BY retain_until_ms, execution_id, partition_key LIMIT $2::bigint FOR UPDATE SKIP LOCKED),
	e AS (DELETE FROM ff_exec_core c USING d WHERE c.partition_key = ANY (ARRAY[d.partition_key])
		AND c.execution_id = d.execution_id AND c.retain_until_ms = d.retain_until_ms RETURNING c.*),
	a AS (DELETE FROM ff_attempt c USING e WHERE c.partition_key = ANY (ARRAY[e.partition_key])
		AND c.execution_id = e.execution_id),
	f AS (DELETE FROM ff_stream_frame c USING e WHERE c.partition_key = ANY (ARRAY[e.partition_key])
		AND c.execution_id = e.execution_id),
	` + trimOfExecutions() + `
	r AS (DELETE FROM ff_ready c USING e WHERE e.ready AND c.lane_id = ANY (ARRAY[e.lane_id]) AND c.route = e.route
		AND c.priority = e.priority + e.priority_boost AND c.created_at_ms = e.created_at_ms
		AND c.execution_id = e.execution_id AND c.partition_key = e.partition_key),
	u AS (DELETE FROM ff_due c USING e WHERE c.due_at_ms = ANY (ARRAY[e.due_at_ms])
		AND c.execution_id = e.execution_id AND c.partition_key = e.partition_key),
	s AS (DELETE FROM ff_lane_slot c USING e WHERE e.slot AND c.lane_id = ANY (ARRAY[e.lane_id])
		AND c.execution_id = e.execution_id AND c.partition_key = e.partition_key),
	l AS (DELETE FROM ff_expired_lease c USING e WHERE c.lease_expires_at_ms = ANY (ARRAY[e.lease_expires_at_ms])
		AND c.execution_id = e.execution_id AND c.partition_key = e.partition_key),
	x AS (DELETE FROM ff_retention WHERE ctid = ANY (ARRAY(SELECT row_at FROM d)))
	SELECT count(*) FROM d`)

	// Frames of the executions that trimExecutions will find go before them: an execution may have very many. What is read
	// through the entry is past its time, so that nobody misses it if the execution is spared after all.
	trimExpiredFrames = newStatement(`WITH d AS (DELETE FROM ff_stream_frame WHERE ctid = ANY (ARRAY(
		SELECT f.ctid FROM (SELECT execution_id, partition_key FROM ff_retention
			WHERE retain_until_ms <= coalesce($1::bigint, ` + sqlNow + `)
			ORDER BY retain_until_ms, execution_id, partition_key LIMIT $2::bigint) q
		CROSS JOIN LATERAL (SELECT ctid FROM ff_stream_frame c
			WHERE c.partition_key = q.partition_key AND c.execution_id = q.execution_id LIMIT ` + strconv.Itoa(trimFrameBatch) + `) f
		LIMIT ` + strconv.Itoa(trimFrameBatch) + `)) RETURNING 1)
	SELECT count(*) FROM d`)

	trimKeys = newStatement(`WITH d AS (DELETE FROM ff_idempotency WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM ff_idempotency WHERE expires_at_ms <= coalesce($1::bigint, ` + sqlNow + `)
		ORDER BY expires_at_ms LIMIT $2::bigint FOR UPDATE SKIP LOCKED)) RETURNING 1)
	SELECT count(*) FROM d`)

	// Events are in order of time but for some seconds, so it is enough to look at the front of the log, a little further
	// than the limit. The first parameter is the time up to which they go, the third how many places are kept.
	trimEvents = newStatement(`WITH d AS (DELETE FROM ff_event WHERE ctid = ANY (ARRAY(
		SELECT q.row_at FROM (SELECT f.ctid AS row_at, f.occurred_at_ms, f.seq FROM ff_event f ORDER BY f.seq LIMIT $2::bigint + 1000) q
		WHERE q.occurred_at_ms <= $1::bigint OR q.seq <= (SELECT last_value FROM ff_event_place) - $3::bigint
		LIMIT $2::bigint)) RETURNING family, seq),
	g AS (INSERT INTO ff_event_gone AS o (family, seq) SELECT family, max(seq) FROM d GROUP BY family ORDER BY family
		ON CONFLICT (family) DO UPDATE SET seq = greatest(o.seq, EXCLUDED.seq))
	SELECT count(*) FROM d`)

	// A route with work is put at the end of the line, so that each is looked at once in a while. The last parameter is the
	// storage clock. Nobody who submits waits for the lock: what is registered already is not written.
	trimRoutes = newStatement(`WITH d AS MATERIALIZED (
		SELECT r.lane_id, r.route, EXISTS (SELECT 1 FROM ff_ready q WHERE q.lane_id = r.lane_id AND q.route = r.route OFFSET 0) AS used
		FROM ff_route r WHERE r.seen_at_ms <= least($1::bigint, coalesce($3::bigint, ` + sqlNow + `) - 1) ORDER BY r.seen_at_ms LIMIT $2::bigint
		FOR UPDATE SKIP LOCKED),
	u AS (UPDATE ff_route r SET seen_at_ms = coalesce($3::bigint, ` + sqlNow + `) FROM d
		WHERE d.used AND r.lane_id = ANY (ARRAY[d.lane_id]) AND r.route = d.route),
	x AS (DELETE FROM ff_route r USING d WHERE NOT d.used AND r.lane_id = ANY (ARRAY[d.lane_id]) AND r.route = d.route)
	SELECT count(*) FROM d`)

	// What is removed a second time after a crash is no loss, so nobody waits for the disk.
	trimSettings = newStatement(`SELECT set_config('synchronous_commit', 'off', true)`)
)

// trimOfExecutions removes the records of keyed families that belong to executions.
func trimOfExecutions() string {
	var b strings.Builder
	for i, family := range record.OfExecution {
		fmt.Fprintf(&b, "k%d AS (DELETE FROM %s c USING e WHERE c.partition_key = ANY (ARRAY[e.partition_key]) AND c.execution_id = e.execution_id),\n",
			i, sqlstore.Keyed[family].Name)
	}
	return b.String()
}

// Trim implements [store.Catalog]. It removes in transactions of at most 500 rows, oldest first, and takes what nobody else
// has locked. When an error keeps it from going on, what it has removed before stays removed, and is told.
func (st *Store) Trim(ctx context.Context, what store.Trim) (done store.Trimmed, err error) {
	if err := st.enter(); err != nil {
		return done, err
	}
	defer st.running.RUnlock()
	s := &session{st: st}
	var now []byte
	if st.cfg.Clock != nil {
		now = int64Param(int64(st.cfg.Clock()))
	}
	if done.Executions, err = s.trim(ctx, trimExecutions, now, what.Limit); err != nil {
		return done, classify("trim executions", err, notSent)
	}
	if done.Keys, err = s.trim(ctx, trimKeys, now, what.Limit); err != nil {
		return done, classify("trim idempotency keys", err, notSent)
	}
	if what.RoutesBefore != 0 {
		if done.Routes, err = s.trim(ctx, trimRoutes, int64Param(int64(what.RoutesBefore)), what.Limit, now); err != nil {
			return done, classify("trim routes", err, notSent)
		}
	}
	if what.EventsBefore != 0 || what.EventsKept != 0 {
		kept := int64(math.MaxInt64)
		if what.EventsKept != 0 {
			kept = int64(what.EventsKept)
		}
		done.Events, err = s.trim(ctx, trimEvents, int64Param(int64(what.EventsBefore)), store.EventsPerTrim*what.Limit, int64Param(kept))
	}
	return done, classify("trim events", err, notSent)
}

// trim runs one of the statements until it finds less than it may remove. The connection is given back in between, for
// commits come first.
func (s *session) trim(ctx context.Context, st *statement, first []byte, limit int, more ...[]byte) (removed int, err error) {
	for removed < limit {
		batch := min(trimBatch, limit-removed)
		if st == trimExecutions {
			if err := s.trimFrames(ctx, first, batch); err != nil {
				return removed, err
			}
		}
		n, err := s.trimOnce(ctx, st, first, batch, more...)
		removed += n
		if err != nil || n < batch {
			return removed, err
		}
	}
	return removed, nil
}

// trimFrames removes the frames of as many executions as the next batch removes.
func (s *session) trimFrames(ctx context.Context, now []byte, executions int) error {
	for {
		n, err := s.trimOnce(ctx, trimExpiredFrames, now, executions)
		if err != nil || n < trimFrameBatch {
			return err
		}
	}
}

func (s *session) trimOnce(ctx context.Context, st *statement, first []byte, batch int, more ...[]byte) (n int, err error) {
	t, err := s.startTrip(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		s.c.release()
		s.c = nil
	}()
	t.send(beginStatement, nil, nil)
	s.sendSettings(t)
	t.send(trimSettings, nil, nil)
	t.send(st, append([][]byte{first, int64Param(int64(batch))}, more...), func(values [][]byte) error {
		n = int(intOf(values[0]))
		return nil
	})
	t.send(commitStatement, nil, nil)
	if err := t.run(); err != nil {
		return 0, err
	}
	return n, nil
}
