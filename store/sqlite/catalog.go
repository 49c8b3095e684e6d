package sqlite

import (
	"context"
	"math"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// read runs f on a connection that reads, as of one instant.
func (s *Store) read(ctx context.Context, doing string, f func(*driver.Conn) error) error {
	sn, err := s.beginRead(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	return classify(ctx, doing, f(sn.conn.db))
}

// Records implements [store.Catalog].
func (s *Store) Records(ctx context.Context, q store.RecordQuery) (list []record.Keyed, err error) {
	err = s.read(ctx, "list records", func(db *driver.Conn) error {
		list, err = recordsOf(db, q)
		return err
	})
	return list, err
}

var sqlLeases = selectBy(&summaries, `lease_expires_at_ms <= ?4
	AND (lease_expires_at_ms, execution_id, partition_key) > (?1, ?2, ?3)
	AND (?5 = '' OR namespace = ?5) AND (?6 = '' OR worker_instance_id = ?6)
	ORDER BY lease_expires_at_ms, execution_id, partition_key LIMIT 0 + ?7`)

// Leases implements [store.Catalog].
func (s *Store) Leases(ctx context.Context, q store.LeaseQuery) (list []*record.Execution, err error) {
	err = s.read(ctx, "list leases", func(db *driver.Conn) error {
		list, err = leases(db, q)
		return err
	})
	return list, err
}

func leases(db *driver.Conn, q store.LeaseQuery) ([]*record.Execution, error) {
	s, err := prepare(db, sqlLeases)
	if err != nil {
		return nil, err
	}
	s.Int(int64(q.After.ExpiresAt))
	s.UUID(q.After.ExecutionID.UUID())
	s.Int(int64(q.After.ExecutionID.Partition().Index))
	if q.ExpiresBy == 0 {
		q.ExpiresBy = math.MaxInt64
	}
	s.Int(int64(q.ExpiresBy))
	s.Text(string(q.Namespace))
	s.Text(string(q.WorkerInstanceID))
	s.Int(int64(q.Limit))
	return all(s, &summaries)
}

const sqlCountSignedBy = `SELECT count(*) FROM (SELECT 1 FROM ff_waitpoint_pending
	WHERE token_kid = ? AND state <> 'closed' LIMIT 0 + ?)`

// CountSignedBy implements [store.Catalog].
func (s *Store) CountSignedBy(ctx context.Context, kid string, most int) (n int, err error) {
	err = s.read(ctx, "count waitpoints", func(db *driver.Conn) error {
		c, err := prepare(db, sqlCountSignedBy)
		if err != nil {
			return err
		}
		c.Text(kid)
		c.Int(int64(most))
		_, err = c.step()
		n = int(c.stmt.ColumnInt64(0))
		return err
	})
	return n, err
}

// Counts of a lane, each up to a limit.
const (
	sqlCountReady  = "SELECT count(*) FROM (SELECT 1 FROM ff_exec_core WHERE ready = 1 AND lane_id = ? LIMIT 0 + ?)"
	sqlCountActive = `SELECT count(*) FROM (SELECT 1 FROM ff_exec_core INDEXED BY ff_exec_core_lease
		WHERE lease_expires_at_ms IS NOT NULL AND lane_id = ? LIMIT 0 + ?)`
	sqlCountDelayed = `SELECT count(*) FROM (SELECT 1 FROM ff_exec_core
		WHERE eligibility_state = 'not_eligible_until_time' AND lane_id = ? LIMIT 0 + ?)`
)

// CountLane implements [store.Catalog].
func (s *Store) CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (n store.LaneCount, err error) {
	err = s.read(ctx, "count a lane", func(db *driver.Conn) error {
		for _, count := range []struct {
			sql  string
			into *int
		}{{sqlCountReady, &n.Ready}, {sqlCountActive, &n.Active}, {sqlCountDelayed, &n.Delayed}} {
			c, err := prepare(db, count.sql)
			if err != nil {
				return err
			}
			c.Text(string(lane))
			c.Int(int64(most))
			found, err := c.number()
			if err != nil {
				return err
			}
			*count.into = int(found)
		}
		n.OldestAt, err = oldestReady(db, lane, most)
		return err
	})
	return n, err
}

// The first entry of the claim order with the next lower priority of a route, and of the next route.
const (
	readyHead = `SELECT lane_id, route, priority + priority_boost, created_at_ms, execution_id, partition_key
		FROM ff_exec_core WHERE ready = 1 AND lane_id = ?`
	readyOrder = ` ORDER BY route, priority + priority_boost DESC, created_at_ms, execution_id, partition_key LIMIT 1`

	sqlNextPriority = readyHead + ` AND route = ? AND priority + priority_boost < ?` + readyOrder
	sqlNextRoute    = readyHead + ` AND route > ?` + readyOrder
)

// oldestReady returns when the oldest ready execution of a lane was created, 0 for none. The oldest of one route and
// priority is the first, so it skips from one to the next; it looks at no more than most.
func oldestReady(db *driver.Conn, lane flowfabric.LaneID, most int) (oldest flowfabric.Timestamp, err error) {
	var next, below *statement
	if err := prepareAll(db, []toPrepare{{&next, sqlNextRoute}, {&below, sqlNextPriority}}); err != nil {
		return 0, err
	}
	next.Text(string(lane))
	next.Int(math.MinInt64)
	at, err := first(next, &sqlstore.Ready)
	for ; at != nil && err == nil && most > 0; most-- {
		if oldest == 0 || at.CreatedAt < oldest {
			oldest = at.CreatedAt
		}
		route := at.Route
		below.Text(string(lane))
		below.Int(route)
		below.Int(int64(at.Priority))
		if at, err = first(below, &sqlstore.Ready); at == nil && err == nil {
			next.Text(string(lane))
			next.Int(route)
			at, err = first(next, &sqlstore.Ready)
		}
	}
	return oldest, err
}
