package postgres

import (
	"bytes"
	"math"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// Parameters: lane, limit; stretches of one priority: route, priority, from when and id, to when and id; stretches of
// whole priorities: route, least and most. Served by ff_ready_order.
const readyOfStretches = ` FROM (
		SELECT q.* FROM unnest($3::bigint[], $4::integer[], $5::bigint[], $6::uuid[], $7::bigint[], $8::uuid[])
				k(route, priority, created_from, id_from, created_to, id_to)
			CROSS JOIN LATERAL (SELECT r.ctid AS row_at, r.* FROM ff_ready r
				WHERE r.lane_id = $1::text AND r.route = k.route AND r.priority = k.priority
					AND (r.created_at_ms, r.execution_id) >= (k.created_from, k.id_from)
					AND (r.created_at_ms, r.execution_id) <= (k.created_to, k.id_to)
				ORDER BY r.priority DESC, r.created_at_ms, r.execution_id LIMIT 2 * $2::bigint + 64) q
		UNION ALL
		SELECT q.* FROM unnest($9::bigint[], $10::integer[], $11::integer[]) k(route, least, most)
			CROSS JOIN LATERAL (SELECT r.ctid AS row_at, r.* FROM ff_ready r
				WHERE r.lane_id = $1::text AND r.route = k.route AND r.priority BETWEEN k.least AND k.most
				ORDER BY r.priority DESC, r.created_at_ms, r.execution_id LIMIT 2 * $2::bigint + 64) q
	) q`

var takeReadyOfStretches = newStatement(`WITH d AS (
		DELETE FROM ff_ready WHERE ctid = ANY (ARRAY(
			SELECT f.ctid FROM (SELECT q.*` + readyOfStretches + ` ORDER BY q.priority DESC, q.created_at_ms, q.execution_id OFFSET 0) q
			JOIN ff_ready f ON f.ctid = q.row_at
			ORDER BY q.priority DESC, q.created_at_ms, q.execution_id LIMIT $2::bigint FOR UPDATE OF f SKIP LOCKED))
		RETURNING partition_key, execution_id, route, priority, created_at_ms)
	SELECT ` + readyColumns + ` FROM d` + joinExecution)

// params are the parameters of takeReadyOfStretches.
func (l *look) params(limit int) [][]byte {
	var s stretches
	for i := range l.routes {
		s.add(&l.routes[i])
	}
	return append([][]byte{[]byte(l.lane), int64Param(int64(limit))}, s.params()...)
}

// stretches are what a look covers, column by column.
type stretches struct {
	routes, priorities, createdFrom, createdTo []int64
	idFrom, idTo                               [][16]byte
	wholeRoutes, least, most                   []int64
}

func (s *stretches) add(rl *routeLook) {
	for _, p := range rl.below {
		s.addPart(rl.route, p, p)
	}
	most := int64(math.MaxInt32)
	for _, p := range rl.ranks {
		s.addWhole(rl.route, int64(p.priority)+1, most)
		s.addPart(rl.route, p, position{created: math.MaxInt64, id: lastID})
		most = int64(p.priority) - 1
	}
	s.addWhole(rl.route, math.MinInt32, most)
}

var lastID = [16]byte(bytes.Repeat([]byte{0xff}, 16))

// addPart adds what a priority has from one position to another.
func (s *stretches) addPart(route int64, from, to position) {
	s.routes, s.priorities = append(s.routes, route), append(s.priorities, int64(from.priority))
	s.createdFrom, s.idFrom = append(s.createdFrom, int64(from.created)), append(s.idFrom, from.id)
	s.createdTo, s.idTo = append(s.createdTo, int64(to.created)), append(s.idTo, to.id)
}

// addWhole adds all that some priorities have.
func (s *stretches) addWhole(route, least, most int64) {
	if least <= most {
		s.wholeRoutes, s.least, s.most = append(s.wholeRoutes, route), append(s.least, least), append(s.most, most)
	}
}

func (s *stretches) params() [][]byte {
	return [][]byte{
		intsParam(sqlstore.Int64, s.routes), intsParam(sqlstore.Int32, s.priorities),
		intsParam(sqlstore.Int64, s.createdFrom), uuidsParam(s.idFrom),
		intsParam(sqlstore.Int64, s.createdTo), uuidsParam(s.idTo),
		intsParam(sqlstore.Int64, s.wholeRoutes), intsParam(sqlstore.Int32, s.least), intsParam(sqlstore.Int32, s.most),
	}
}

func intsParam(kind sqlstore.Kind, values []int64) []byte {
	return arrayParam(kind, func(a *array) {
		for _, v := range values {
			a.Int(v)
		}
	})
}

func uuidsParam(values [][16]byte) []byte {
	return arrayParam(sqlstore.UUID, func(a *array) {
		for _, v := range values {
			a.UUID(v)
		}
	})
}
