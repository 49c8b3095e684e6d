package postgres

import (
	"context"
	"math"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// listStatements are the statements of List with or without a lane.
type listStatements struct {
	page *statement // the executions that match, among those that are looked at
	last *statement // the last that is looked at, and the one behind it
}

// Parameters of both: the position to go on behind, as time, id and partition; the earliest time; how many to look at;
// and, with a lane, the lane. Parameters of a page, further: how many to return and the filters, NULL for none.
//
// Both orders are indexes. What does not match is looked at, too, so the bound is on what is looked at.
func newListStatements(withLane bool) listStatements {
	lane := ``
	if withLane {
		lane = `lane_id = $6::text AND `
	}
	from := ` FROM ff_exec_core WHERE ` + lane + `(created_at_ms, execution_id, partition_key) < ($1::bigint, $2::uuid, $3::smallint)
		AND created_at_ms >= $4::bigint AND created_at_ms >= 0
		ORDER BY created_at_ms DESC, execution_id DESC, partition_key DESC`
	return listStatements{
		page: newStatement(`SELECT ` + summaryColumns("c.") + ` FROM (SELECT *` + from + ` LIMIT $5::bigint) c
	WHERE ($6::text IS NULL OR c.lane_id = $6::text) AND ($8::text IS NULL OR c.namespace = $8::text)
		AND ($9::text IS NULL OR c.execution_kind = $9::text) AND ($10::text[] IS NULL OR c.public_state = ANY ($10::text[]))
		AND ($11::text IS NULL OR c.tags ->> $11::text = $12::text)
	ORDER BY c.created_at_ms DESC, c.execution_id DESC, c.partition_key DESC LIMIT $7::bigint`),
		last: newStatement(`SELECT created_at_ms, execution_id, partition_key` + from + ` OFFSET $5::bigint - 1 LIMIT 2`),
	}
}

var (
	listAll    = newListStatements(false)
	listOfLane = newListStatements(true)
)

// List implements [store.Catalog].
func (st *Store) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	statements, bounds := listAll, listBounds(q)
	if q.Lane != "" {
		statements = listOfLane
		bounds = append(bounds, []byte(q.Lane))
	}
	var found []*record.Execution
	var last []store.ListCursor
	err := st.inquire(ctx, "list executions", func(t *trip) {
		var sc scanner
		t.send(statements.page, append(bounds[:5:5], listFilters(q)...), func(values [][]byte) error {
			found = append(found, scan(&sc, &sqlstore.Executions, values))
			return nil
		})
		t.send(statements.last, bounds, func(values [][]byte) error {
			last = append(last, store.ListCursor{
				CreatedAt:   flowfabric.Timestamp(intOf(values[0])),
				ExecutionID: flowfabric.ExecutionIDFrom(uint16(intOf(values[2])), [16]byte(values[1])),
			})
			return nil
		})
	})
	if err != nil {
		return store.ListPage{}, err
	}
	page := store.ListPage{Executions: found}
	switch {
	case len(found) > q.Limit:
		page.Executions = found[:q.Limit]
		e := page.Executions[q.Limit-1]
		page.Next = store.ListCursor{CreatedAt: e.CreatedAt, ExecutionID: e.ID}
	case len(last) == 2:
		page.Next = last[0]
	}
	return page, nil
}

// listBounds are the first five parameters. The page begins behind After and before CreatedBefore, whichever is less.
func listBounds(q store.ListQuery) [][]byte {
	at, id := flowfabric.Timestamp(math.MaxInt64), [16]byte{}
	partition := []byte{0x80, 0} // before all
	if q.CreatedBefore != 0 {
		at = q.CreatedBefore
	}
	if a := q.After; a != (store.ListCursor{}) && a.CreatedAt < at {
		at, id, partition = a.CreatedAt, a.ExecutionID.UUID(), int16Param(a.ExecutionID.Partition().Index)
	}
	return [][]byte{int64Param(int64(at)), id[:], partition, int64Param(int64(q.CreatedFrom)), int64Param(int64(q.Scan))}
}

// listFilters are the parameters of a page from the sixth. One more than is wanted tells whether there are more.
func listFilters(q store.ListQuery) [][]byte {
	var states, value []byte
	if len(q.States) > 0 {
		states = arrayParam(sqlstore.Text, func(a *array) {
			for _, s := range q.States {
				a.Text(string(s))
			}
		})
	}
	if q.TagKey != "" {
		value = append([]byte{}, q.TagValue...)
	}
	return [][]byte{
		optionalText(string(q.Lane)), int64Param(int64(q.Limit) + 1), optionalText(string(q.Namespace)), optionalText(q.Kind),
		states, optionalText(q.TagKey), value,
	}
}

var listOfPartition = newStatement(`SELECT execution_id FROM ff_exec_core
	WHERE partition_key = $1::smallint AND execution_id >= $2::uuid ORDER BY execution_id LIMIT $3::bigint`)

// ListPartition implements [store.Catalog].
func (st *Store) ListPartition(ctx context.Context, q store.PartitionQuery) (list []flowfabric.ExecutionID, err error) {
	partition, from := q.From.Partition().Index, q.From.UUID()
	err = st.inquire(ctx, "list a partition", func(t *trip) {
		t.send(listOfPartition, [][]byte{int16Param(partition), from[:], int64Param(int64(q.Limit))}, func(values [][]byte) error {
			list = append(list, flowfabric.ExecutionIDFrom(partition, [16]byte(values[0])))
			return nil
		})
	})
	return list, err
}
