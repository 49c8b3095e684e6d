package sqlite

import (
	"fmt"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyedReads are the queries of one keyed family.
type keyedReads struct {
	table *sqlstore.KeyedTable
	one   *statement
	due   *statement // nil if no record of the family is ever due
}

func prepareKeyedReads(db *driver.Conn) (map[record.Family]*keyedReads, error) {
	all := make(map[record.Family]*keyedReads)
	for family, t := range sqlstore.Keyed {
		r := &keyedReads{table: t}
		list := []toPrepare{{&r.one, keyedBy(t)}}
		if t.Due != "" {
			list = append(list, toPrepare{&r.due, keyedDue(t)})
		}
		if err := prepareAll(db, list); err != nil {
			return nil, err
		}
		all[family] = r
	}
	return all, nil
}

func keyedBy(t *sqlstore.KeyedTable) string {
	return selectBy(&t.Table, keyNames(&t.Table, " = ?", " AND "))
}

func keyedDue(t *sqlstore.KeyedTable) string {
	return selectBy(&t.Table, t.Due+" <= ? ORDER BY "+t.Due+", "+keyNames(&t.Table, "", ", ")+" LIMIT 0 + ? OFFSET ?")
}

// by returns the record with a key, a nil interface when there is none.
func (r *keyedReads) by(key record.Key) (record.Keyed, error) {
	blank := r.table.Blank(key)
	writeKey(r.one, &r.table.Table, &blank)
	found, err := first(r.one, &r.table.Table)
	if err != nil || found == nil {
		return nil, err
	}
	return *found, nil
}

// dueBefore returns records that are due at or before now, earliest first.
func (r *keyedReads) dueBefore(now flowfabric.Timestamp, limit, offset int) ([]*record.Keyed, error) {
	if r.due == nil {
		return nil, nil
	}
	r.due.Int(int64(now))
	r.due.Int(int64(limit))
	r.due.Int(int64(offset))
	return all(r.due, &r.table.Table)
}

// dueRecords answers q. What one query takes, no later one of the session returns.
func (ix *index) dueRecords(r *reads, now flowfabric.Timestamp, q store.DueRecordsQuery, peek bool) ([]record.Keyed, error) {
	from := ix.records[q.Family]
	if from == nil || peek {
		from = &queue[record.Keyed]{fetch: func(limit, offset int) ([]*record.Keyed, error) {
			return r.keyed[q.Family].dueBefore(now, limit, offset)
		}}
	}
	if ix.records == nil {
		ix.records = make(map[record.Family]*queue[record.Keyed])
	}
	if !peek {
		ix.records[q.Family] = from
	}
	var list []record.Keyed
	for len(list) < q.Limit {
		if rec, err := from.head(q.Limit - len(list)); err != nil || rec == nil {
			return list, err
		}
		list = append(list, *from.pop())
	}
	return list, nil
}

// keyedWrites are the statements that write one keyed family.
type keyedWrites struct {
	*guarded[record.Keyed]
	remove *statement
	same   *statement // nil if records of the family are never believed
}

func prepareKeyedWrites(db *driver.Conn) (map[record.Family]*keyedWrites, error) {
	all := make(map[record.Family]*keyedWrites)
	for family, t := range sqlstore.Keyed {
		g, err := prepareGuarded(db, &t.Table, func(r *record.Keyed) int64 { return *(*r).VersionField() })
		if err != nil {
			return nil, err
		}
		w := &keyedWrites{guarded: g}
		list := []toPrepare{{&w.remove, deleteBy(&t.Table) + " AND version = ?"}}
		if family.Believed() {
			list = append(list, toPrepare{&w.same, inVersion(&t.Table)})
		}
		if err := prepareAll(db, list); err != nil {
			return nil, err
		}
		all[family] = w
	}
	return all, nil
}

// change writes one change. It fails with [store.ErrConflict] when the guard does not hold.
func (w *keyedWrites) change(c store.RecordChange) error {
	if c.After == nil {
		writeKey(w.remove, w.table, &c.Before)
		w.remove.Int(w.version(&c.Before))
		return w.remove.execOne(store.ErrConflict)
	}
	change := store.Change[record.Keyed]{After: &c.After}
	if c.Before != nil {
		change.Before = &c.Before
	}
	return w.write(change)
}

// check fails with [store.ErrConflict] if a record that may only have been believed is not in its version. What was read cannot
// have changed since: nobody else writes.
func (w *keyedWrites) check(r record.Keyed) error {
	if w.same == nil {
		return nil
	}
	writeKey(w.same, w.table, &r)
	w.same.Int(w.version(&r))
	return found(w.same)
}

// register writes a record unless there is one with its key.
func (w *keyedWrites) register(r record.Keyed) error {
	writeAll(w.insert, w.table, &r)
	return w.insert.run()
}

// keyed writes what changed in the keyed families.
func (w *writes) keyed(changes []store.RecordChange, registered []record.Keyed) error {
	for _, c := range changes {
		if err := w.families[c.Key().Family()].change(c); err != nil {
			return fmt.Errorf("write %s %q: %w", c.Key().Family(), c.Key().Parts(), err)
		}
	}
	for _, r := range registered {
		if err := w.families[r.Key().Family()].register(r); err != nil {
			return fmt.Errorf("register %s %q: %w", r.Key().Family(), r.Key().Parts(), err)
		}
	}
	return nil
}

// recordsOf returns records of a family in the order of their keys.
func recordsOf(db *driver.Conn, q store.RecordQuery) ([]record.Keyed, error) {
	t := sqlstore.Keyed[q.Family]
	s, err := prepare(db, recordsAfter(t, q))
	if err != nil {
		return nil, err
	}
	if q.After != nil {
		after := t.Blank(q.After)
		writeKey(s, &t.Table, &after)
	}
	s.Int(int64(q.Limit))
	list, err := all(s, &t.Table)
	return values(list), err
}

// recordsAfter is the query of recordsOf. Its parameters are the parts of the key to go on behind, if there is one, and
// the limit.
func recordsAfter(t *sqlstore.KeyedTable, q store.RecordQuery) string {
	where := "true"
	if q.After != nil {
		head := sqlstore.Table[record.Keyed]{Keys: q.Prefix, Columns: t.Columns}
		rest := sqlstore.Table[record.Keyed]{Keys: t.Keys - q.Prefix, Columns: t.Columns[q.Prefix:]}
		if q.Prefix > 0 {
			where = keyNames(&head, " = ?", " AND ")
		}
		where += " AND (" + keyNames(&rest, "", ", ") + ") > (" + strings.Repeat("?, ", rest.Keys-1) + "?)"
	}
	return selectBy(&t.Table, where+" ORDER BY "+keyNames(&t.Table, "", ", ")+" LIMIT 0 + ?")
}
