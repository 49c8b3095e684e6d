package postgres

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var routesOfLanes = newStatement(`SELECT ` + sqlstore.Routes.Names("c.") + ` FROM unnest($1::text[]) k(lane_id)
	CROSS JOIN LATERAL (SELECT * FROM ff_route r WHERE r.lane_id = k.lane_id ORDER BY r.route OFFSET 0) c`)

func (r *reads) sendRoutes(t *trip) {
	if len(r.lanes) == 0 {
		return
	}
	r.foundRoutes = make(map[flowfabric.LaneID][]*record.Route, len(r.lanes))
	var sc scanner
	t.send(routesOfLanes, laneParams(r.lanes), func(values [][]byte) error {
		route := scan(&sc, &sqlstore.Routes, values)
		r.foundRoutes[route.Lane] = append(r.foundRoutes[route.Lane], route)
		return nil
	})
}

// laneParams is an array of lanes, without repeats.
func laneParams(list []flowfabric.LaneID) [][]byte {
	lanes := slices.Compact(slices.Sorted(slices.Values(list)))
	return [][]byte{arrayParam(sqlstore.Text, func(a *array) {
		for _, lane := range lanes {
			a.Text(string(lane))
		}
	})}
}

var slotsOfLanes = newStatement(`SELECT k.lane_id, c.n FROM unnest($1::text[]) k(lane_id)
	CROSS JOIN LATERAL (SELECT count(*) AS n FROM ff_lane_slot r WHERE r.lane_id = k.lane_id OFFSET 0) c`)

func (r *reads) sendSlots(t *trip) {
	if len(r.slots) == 0 {
		return
	}
	r.foundSlots = make(map[flowfabric.LaneID]int)
	t.send(slotsOfLanes, laneParams(r.slots), func(values [][]byte) error {
		r.foundSlots[flowfabric.LaneID(values[0])] = int(intOf(values[1]))
		return nil
	})
}

// Parameters: the lane, the smallest route wanted, the limit. It goes from the first entry of one route to the first of the
// next.
var routesReady = newStatement(`WITH RECURSIVE r AS (
	(SELECT route FROM ff_ready WHERE lane_id = $1::text AND route >= $2::bigint ORDER BY route LIMIT 1)
	UNION ALL
	SELECT n.route FROM r CROSS JOIN LATERAL (SELECT f.route FROM ff_ready f
		WHERE f.lane_id = $1::text AND f.route > r.route ORDER BY f.route LIMIT 1) n)
SELECT route FROM r LIMIT $3::bigint`)

func readyRoutes(l *store.Load, asked store.ReadyRoutesQuery) *query {
	q := &query{}
	q.send = func(t *trip) {
		params := [][]byte{[]byte(asked.Lane), int64Param(asked.From), int64Param(int64(asked.Limit))}
		t.send(routesReady, params, func(values [][]byte) error {
			q.routes = append(q.routes, intOf(values[0]))
			return nil
		})
	}
	q.deliver = func(b *store.Batch) { b.AddReadyRoutes(l, q.routes) }
	return q
}
