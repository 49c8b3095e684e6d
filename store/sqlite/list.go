package sqlite

import (
	"context"
	"math"
	"slices"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// summaries are executions without what lists leave out.
var summaries = sqlstore.Table[record.Execution]{
	Name: sqlstore.Executions.Name, Keys: sqlstore.Executions.Keys,
	Columns: slices.DeleteFunc(slices.Clone(sqlstore.Executions.Columns), func(c sqlstore.Column[record.Execution]) bool {
		return c.Name == "payload" || c.Name == "result" || c.Name == "progress_details"
	}),
}

// position is a place in an order that begins with a time.
var position = sqlstore.Due

// A list is a range of an index of columns that never change, read backwards. An empty parameter does not filter. A tag is
// looked for with json_each, since a path of JSON cannot name every key.
const (
	listRange = `(created_at_ms, execution_id, partition_key) < (?1, ?2, ?3)
		AND (created_at_ms, execution_id, partition_key) >= (?4, ?5, ?6)`
	listAll    = ` AND ?7 = ''`
	listLane   = ` AND lane_id = ?7`
	listFilter = ` AND (?8 = '' OR namespace = ?8) AND (?9 = '' OR execution_kind = ?9)
		AND (?10 = '' OR instr(?10, ',' || public_state || ',')) AND (?11 = '' OR CASE WHEN json_valid(tags)
		THEN EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ?11 AND value = ?12) END)`
	listOrder = ` ORDER BY created_at_ms DESC, execution_id DESC, partition_key DESC LIMIT `
)

var (
	sqlList       = selectBy(&summaries, listRange+listAll+listFilter+listOrder+"0 + ?13")
	sqlListOfLane = selectBy(&summaries, listRange+listLane+listFilter+listOrder+"0 + ?13")
)

const (
	sqlScanned = `SELECT created_at_ms, execution_id, partition_key FROM ff_exec_core WHERE ` + listRange + listAll + listOrder +
		`2 OFFSET ?8`
	sqlScannedOfLane = `SELECT created_at_ms, execution_id, partition_key FROM ff_exec_core WHERE ` + listRange + listLane +
		listOrder + `2 OFFSET ?8`
)

// List implements [store.Catalog].
func (s *Store) List(ctx context.Context, q store.ListQuery) (page store.ListPage, err error) {
	err = s.read(ctx, "list", func(db *driver.Conn) error {
		page, err = list(db, q)
		return err
	})
	return page, err
}

func list(db *driver.Conn, q store.ListQuery) (store.ListPage, error) {
	from, before := listBounds(q)
	var page store.ListPage
	if q.Namespace != "" || q.Kind != "" || len(q.States) > 0 || q.TagKey != "" {
		last, more, err := scanned(db, q, from, before)
		if err != nil {
			return page, err
		}
		if more {
			from, page.Next = last, last
		}
	}
	found, err := listed(db, q, from, before)
	if err != nil {
		return page, err
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
		last := found[q.Limit-1]
		page.Next = store.ListCursor{CreatedAt: last.CreatedAt, ExecutionID: last.ID}
	}
	page.Executions = found
	return page, nil
}

// listBounds returns the first position of the range, and the first one behind it, in ascending order.
func listBounds(q store.ListQuery) (from, before store.ListCursor) {
	from.CreatedAt, before.CreatedAt = q.CreatedFrom, math.MaxInt64
	if q.CreatedBefore != 0 {
		before.CreatedAt = q.CreatedBefore
	}
	if after := q.After; after != (store.ListCursor{}) && after.CreatedAt < before.CreatedAt {
		before = after
	}
	return from, before
}

// scanned returns the position at which a list has looked at q.Scan executions, and whether there are others behind it.
func scanned(db *driver.Conn, q store.ListQuery, from, before store.ListCursor) (last store.ListCursor, more bool, err error) {
	s, err := prepare(db, ofLane(q, sqlScanned, sqlScannedOfLane))
	if err != nil {
		return last, false, err
	}
	bindRange(s, q, from, before)
	s.Int(int64(q.Scan - 1))
	found, err := all(s, &position)
	if err != nil || len(found) < 2 {
		return last, false, err
	}
	return store.ListCursor{CreatedAt: found[0].DueAt, ExecutionID: found[0].ExecutionID}, true, nil
}

// listed returns the executions of a range that pass the filters, one more than the page takes if there are so many.
func listed(db *driver.Conn, q store.ListQuery, from, before store.ListCursor) ([]*record.Execution, error) {
	s, err := prepare(db, ofLane(q, sqlList, sqlListOfLane))
	if err != nil {
		return nil, err
	}
	bindRange(s, q, from, before)
	s.Text(string(q.Namespace))
	s.Text(q.Kind)
	s.Text(stateList(q.States))
	s.Text(q.TagKey)
	s.Text(q.TagValue)
	s.Int(int64(q.Limit + 1))
	return all(s, &summaries)
}

func bindRange(s *statement, q store.ListQuery, from, before store.ListCursor) {
	for _, at := range []store.ListCursor{before, from} {
		s.Int(int64(at.CreatedAt))
		s.UUID(at.ExecutionID.UUID())
		s.Int(int64(at.ExecutionID.Partition().Index))
	}
	s.Text(string(q.Lane))
}

func ofLane(q store.ListQuery, any, one string) string {
	if q.Lane == "" {
		return any
	}
	return one
}

// stateList lists states so that each stands between commas; empty for none.
func stateList(states []flowfabric.PublicState) string {
	if len(states) == 0 {
		return ""
	}
	var b strings.Builder
	for _, state := range states {
		b.WriteString("," + string(state))
	}
	return b.String() + ","
}

const sqlPartition = `SELECT execution_id FROM ff_exec_core WHERE partition_key = ? AND execution_id >= ? ORDER BY execution_id LIMIT 0 + ?`

// ListPartition implements [store.Catalog].
func (s *Store) ListPartition(ctx context.Context, q store.PartitionQuery) (list []flowfabric.ExecutionID, err error) {
	partition := q.From.Partition().Index
	err = s.read(ctx, "list a partition", func(db *driver.Conn) error {
		st, err := prepare(db, sqlPartition)
		if err != nil {
			return err
		}
		st.Int(int64(partition))
		st.UUID(q.From.UUID())
		st.Int(int64(q.Limit))
		for {
			more, err := st.step()
			if err != nil || !more {
				return err
			}
			var id [16]byte
			st.stmt.ColumnBytes(0, id[:])
			list = append(list, flowfabric.ExecutionIDFrom(partition, id))
		}
	})
	return list, err
}
