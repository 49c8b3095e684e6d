package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// inquire runs reads as of one instant, outside any session of a batch. send adds the statements.
func (st *Store) inquire(ctx context.Context, doing string, send func(t *trip)) error {
	if err := st.enter(); err != nil {
		return err
	}
	defer st.running.RUnlock()
	s := &session{st: st}
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	defer s.c.release()
	s.sendBegin(t, snapshotStatement, false)
	send(t)
	t.send(commitStatement, nil, nil)
	return classify(doing, t.run(), notSent)
}

var countSignedBy = newStatement(`SELECT count(*) FROM (SELECT 1 FROM ff_waitpoint_pending
	WHERE token_kid = $1::text AND state <> 'closed' LIMIT $2::bigint) w`)

// CountSignedBy implements [store.Catalog].
func (st *Store) CountSignedBy(ctx context.Context, kid string, most int) (n int, err error) {
	err = st.inquire(ctx, "count waitpoints", func(t *trip) {
		t.send(countSignedBy, [][]byte{[]byte(kid), int64Param(int64(most))}, func(values [][]byte) error {
			n = int(intOf(values[0]))
			return nil
		})
	})
	return n, err
}

// summaryColumns are the columns of an execution without the large ones.
func summaryColumns(prefix string) string {
	names := make([]string, len(sqlstore.Executions.Columns))
	for i, c := range sqlstore.Executions.Columns {
		names[i] = prefix + c.Name
		if c.Name == "payload" || c.Name == "result" || c.Name == "progress_details" {
			names[i] = `NULL::bytea`
		}
	}
	return strings.Join(names, `, `)
}

// Parameters: the bounds before which entries expire and after which the page begins, as expiry, id and partition; the
// namespace, the worker instance, the limit; and up to when due times are looked at.
//
// A lease that runs is found through the due time of its execution, which is at or before its expiry; entries of other
// kinds within that time are looked at, too.
var leasesStatement = newStatement(`SELECT ` + summaryColumns("c.") + ` FROM (
	SELECT d.execution_id, d.partition_key, 'leased' AS ownership FROM ff_due d WHERE d.due_at_ms <= $7::bigint
	UNION ALL
	SELECT x.execution_id, x.partition_key, 'lease_expired_reclaimable' FROM ff_expired_lease x WHERE x.lease_expires_at_ms <= $1::bigint
		AND (x.lease_expires_at_ms, x.execution_id, x.partition_key) > ($2::bigint, $3::uuid, $4::smallint)) k
	CROSS JOIN LATERAL (SELECT * FROM ff_exec_core r
		WHERE r.partition_key = k.partition_key AND r.execution_id = k.execution_id OFFSET 0) c
	WHERE c.ownership_state = k.ownership AND c.lease_expires_at_ms <= $1::bigint
		AND (c.lease_expires_at_ms, c.execution_id, c.partition_key) > ($2::bigint, $3::uuid, $4::smallint)
		AND ($5::text IS NULL OR c.namespace = $5::text) AND ($6::text IS NULL OR c.worker_instance_id = $6::text)
	ORDER BY c.lease_expires_at_ms, c.execution_id, c.partition_key LIMIT $8::bigint`)

// Leases implements [store.Catalog]. It finds what the engine has written; rows written by hand are not in its indexes.
func (st *Store) Leases(ctx context.Context, q store.LeaseQuery) (list []*record.Execution, err error) {
	expiresBy, dueBy := q.ExpiresBy, q.ExpiresBy
	if expiresBy == 0 {
		expiresBy = flowfabric.MaxTimestamp
		// No lease expires later than this, but for what the clock is late; a delay may end in years.
		dueBy = (&session{st: st}).Now().Add(2 * flowfabric.MaxLeaseTTL)
	}
	after := q.After.ExecutionID.UUID()
	err = st.inquire(ctx, "list leases", func(t *trip) {
		var sc scanner
		t.send(leasesStatement, [][]byte{
			int64Param(int64(expiresBy)), int64Param(int64(q.After.ExpiresAt)), after[:],
			int16Param(q.After.ExecutionID.Partition().Index), optionalText(string(q.Namespace)),
			optionalText(string(q.WorkerInstanceID)), int64Param(int64(dueBy)), int64Param(int64(q.Limit)),
		}, func(values [][]byte) error {
			list = append(list, scan(&sc, &sqlstore.Executions, values))
			return nil
		})
	})
	return list, err
}

// optionalText is NULL for what is empty.
func optionalText(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// Parameters of all: the lane and where to stop.
var (
	countReady = newStatement(`SELECT count(*) FROM (SELECT 1 FROM ff_ready WHERE lane_id = $1::text LIMIT $2::bigint) c`)

	// What is due soonest is looked at first: running leases, then delays.
	countDue = newStatement(`SELECT count(*) FILTER (WHERE c.ownership_state = 'leased'),
		count(*) FILTER (WHERE c.eligibility_state = 'not_eligible_until_time')
	FROM (SELECT execution_id, partition_key FROM ff_due ORDER BY due_at_ms, execution_id, partition_key LIMIT $2::bigint) d
	CROSS JOIN LATERAL (SELECT r.lane_id, r.ownership_state, r.eligibility_state FROM ff_exec_core r
		WHERE r.partition_key = d.partition_key AND r.execution_id = d.execution_id OFFSET 0) c
	WHERE c.lane_id = $1::text`)

	countExpired = newStatement(`SELECT count(*)
	FROM (SELECT execution_id, partition_key FROM ff_expired_lease
		ORDER BY lease_expires_at_ms, execution_id, partition_key LIMIT $2::bigint) x
	CROSS JOIN LATERAL (SELECT r.lane_id, r.ownership_state FROM ff_exec_core r
		WHERE r.partition_key = x.partition_key AND r.execution_id = x.execution_id OFFSET 0) c
	WHERE c.lane_id = $1::text AND c.ownership_state = 'lease_expired_reclaimable'`)

	// The oldest entry of a route and a priority is its first, so this goes from the first of one to the first of the next.
	oldestReady = newStatement(`WITH RECURSIVE first AS (
		(SELECT route, priority, created_at_ms FROM ff_ready WHERE lane_id = $1::text
			ORDER BY route, priority DESC, created_at_ms LIMIT 1)
		UNION ALL
		SELECT n.route, n.priority, n.created_at_ms FROM first f CROSS JOIN LATERAL (
			SELECT * FROM (SELECT route, priority, created_at_ms FROM ff_ready
				WHERE lane_id = $1::text AND route = f.route AND priority < f.priority
				ORDER BY priority DESC, created_at_ms LIMIT 1) p
			UNION ALL
			SELECT * FROM (SELECT route, priority, created_at_ms FROM ff_ready WHERE lane_id = $1::text AND route > f.route
				ORDER BY route, priority DESC, created_at_ms LIMIT 1) r
			LIMIT 1) n)
	SELECT min(created_at_ms) FROM (SELECT created_at_ms FROM first LIMIT $2::bigint) l`)
)

// dueLooks is how many due times are looked at for each execution that is counted: they are of all lanes.
const dueLooks = 10

// CountLane implements [store.Catalog]. Of the due times, by which it finds what runs and what is delayed, it looks at the
// first ten times most, so that with more of them on other lanes it may count too few. The oldest entry is that of the
// first most pairs of route and priority.
func (st *Store) CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (n store.LaneCount, err error) {
	err = st.inquire(ctx, "count a lane", func(t *trip) {
		params := func(limit int) [][]byte { return [][]byte{[]byte(lane), int64Param(int64(limit))} }
		t.send(countReady, params(most), func(values [][]byte) error {
			n.Ready = int(intOf(values[0]))
			return nil
		})
		t.send(countDue, params(most*dueLooks), func(values [][]byte) error {
			n.Active, n.Delayed = int(intOf(values[0])), int(intOf(values[1]))
			return nil
		})
		t.send(countExpired, params(most*dueLooks), func(values [][]byte) error {
			n.Active += int(intOf(values[0]))
			return nil
		})
		t.send(oldestReady, params(most), func(values [][]byte) error {
			n.OldestAt = flowfabric.Timestamp(intOf(values[0]))
			return nil
		})
	})
	n.Active, n.Delayed = min(n.Active, most), min(n.Delayed, most)
	return n, err
}

// Records implements [store.Catalog].
func (st *Store) Records(ctx context.Context, q store.RecordQuery) (list []record.Keyed, err error) {
	f := familyOf(q.Family)
	after := f.first()
	if q.After != nil {
		after = f.keyValues(q.After)
	}
	err = st.inquire(ctx, "list records", func(t *trip) {
		var sc scanner
		t.send(f.list[q.Prefix], slices.Concat([][]byte{int64Param(int64(q.Limit))}, after), func(values [][]byte) error {
			list = append(list, *scan(&sc, &f.table.Table, values))
			return nil
		})
	})
	return list, err
}
