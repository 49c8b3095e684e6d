package postgres

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// family is a keyed family with the statements that read it.
type family struct {
	name  record.Family
	table *sqlstore.KeyedTable
	byKey *statement
	hold  *statement // byKey that locks, for a family whose records are contended; else nil
	seize *statement // hold that fails instead of waiting
	take  *statement // what is due, nil when nothing ever is
	peek  *statement
	list  []*statement // by the length of the prefix
}

// families are the keyed families in the order of [record.Families], in which they are written, too.
var families = func() []*family {
	list := make([]*family, len(record.Families))
	for i, name := range record.Families {
		list[i] = newFamily(name)
	}
	return list
}()

func newFamily(name record.Family) *family {
	table := sqlstore.Keyed[name]
	f := &family{name: name, table: table, byKey: newStatement(recordsByKeyText(table, ``))}
	if table.Contended {
		f.hold = newStatement(recordsByKeyText(table, ` FOR NO KEY UPDATE`))
		f.seize = newStatement(recordsByKeyText(table, ` FOR NO KEY UPDATE NOWAIT`))
	}
	if table.Due != "" {
		f.take = newStatement(dueRecordsText(table) + ` FOR NO KEY UPDATE SKIP LOCKED`)
		f.peek = newStatement(dueRecordsText(table))
	}
	for prefix := range table.Keys + 1 {
		f.list = append(f.list, newStatement(recordListText(table, prefix)))
	}
	return f
}

func familyOf(name record.Family) *family {
	for _, f := range families {
		if f.name == name {
			return f
		}
	}
	panic(fmt.Sprintf("postgres: the keyed family %q has no table", name))
}

// recordsByKeyText has an array for each part of the key.
func recordsByKeyText(t *sqlstore.KeyedTable, locked string) string {
	var arrays, names, match []string
	for i, c := range t.Columns[:t.Keys] {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, typeOf(c.Kind).name))
		names = append(names, c.Name)
		match = append(match, `r.`+c.Name+` = k.`+c.Name)
	}
	return `SELECT ` + t.Names("c.") + ` FROM unnest(` + strings.Join(arrays, `, `) + `) k(` + strings.Join(names, `, `) + `)
	CROSS JOIN LATERAL (SELECT * FROM ` + t.Name + ` r WHERE ` + strings.Join(match, ` AND `) + ` OFFSET 0` + locked + `) c`
}

// dueRecordsText takes the storage clock, NULL for the server's, and a limit. Served by an index that is this order.
func dueRecordsText(t *sqlstore.KeyedTable) string {
	return `SELECT ` + t.Names("") + ` FROM ` + t.Name + ` WHERE ` + t.Due + ` <= coalesce($1::bigint, ` + sqlNow + `)
	ORDER BY ` + t.Due + `, ` + joinNames(t.Columns[:t.Keys]) + ` LIMIT $2::bigint`
}

// recordListText takes a limit and the parts of the key to go on behind; the first ones, the prefix, must be equal.
func recordListText(t *sqlstore.KeyedTable, prefix int) string {
	var equal, after, values, order []string
	for i, c := range t.Columns[:t.Keys] {
		value := fmt.Sprintf("$%d::%s", i+2, typeOf(c.Kind).name)
		order = append(order, c.Name)
		if i < prefix {
			equal = append(equal, c.Name+` = `+value)
			continue
		}
		after, values = append(after, c.Name), append(values, value)
	}
	if len(after) > 0 {
		equal = append(equal, `(`+strings.Join(after, `, `)+`) > (`+strings.Join(values, `, `)+`)`)
	}
	return `SELECT ` + t.Names("") + ` FROM ` + t.Name + ` WHERE ` + strings.Join(equal, ` AND `) +
		` ORDER BY ` + strings.Join(order, `, `) + ` LIMIT $1::bigint`
}

// keyArrays are an array for each part of some keys of the family.
func (f *family) keyArrays(keys []record.Key) [][]byte {
	params := make([][]byte, f.table.Keys)
	for i := range params {
		c := &f.table.Columns[i]
		params[i] = arrayParam(c.Kind, func(a *array) {
			for _, key := range keys {
				r := f.table.Blank(key)
				c.Write(&r, a)
			}
		})
	}
	return params
}

// keyValues are the parts of a key, each as one value.
func (f *family) keyValues(key record.Key) [][]byte {
	r := f.table.Blank(key)
	values := make([][]byte, f.table.Keys)
	for i := range values {
		c := &f.table.Columns[i]
		var a array
		a.reset(c.Kind)
		c.Write(&r, &a)
		values[i] = a.one()
	}
	return values
}

// first are the parts of a key before all others.
func (f *family) first() [][]byte {
	values := make([][]byte, f.table.Keys)
	for i := range values {
		values[i] = []byte{}
		if f.table.Columns[i].Kind == sqlstore.UUID {
			values[i] = make([]byte, 16)
		}
	}
	return values
}

// keyedReads is what the loads of a round trip ask of the keyed families, and the answers.
type keyedReads struct {
	peek  bool
	turns *turns // nil: wait in any order
	keys  []record.Key
	found []record.Keyed
}

// byFamily drops repeats, which the loads of one batch may well bring.
func (r *keyedReads) byFamily() map[*family][]record.Key {
	if len(r.keys) == 0 {
		return nil
	}
	keys := make(map[*family][]record.Key)
	seen := make(map[record.Key]struct{}, len(r.keys))
	for _, key := range r.keys {
		if _, again := seen[key]; !again {
			seen[key] = struct{}{}
			f := familyOf(key.Family())
			keys[f] = append(keys[f], key)
		}
	}
	return keys
}

func (r *keyedReads) send(t *trip) {
	keys := r.byFamily()
	for _, f := range families {
		if f.hold == nil || r.peek {
			r.sendOf(t, f, f.byKey, keys[f])
			continue
		}
		coming, passed := r.turns.split(keys[f])
		r.sendOf(t, f, f.hold, coming)
		r.sendOf(t, f, f.seize, passed)
	}
}

func (r *keyedReads) sendOf(t *trip, f *family, st *statement, keys []record.Key) {
	if len(keys) == 0 {
		return
	}
	var sc scanner
	t.send(st, f.keyArrays(keys), func(values [][]byte) error {
		r.found = append(r.found, *scan(&sc, &f.table.Table, values))
		return nil
	})
}

func (r *keyedReads) deliver(b *store.Batch) {
	for _, rec := range r.found {
		b.AddRecord(rec.Key(), rec)
	}
	for _, key := range r.keys {
		b.AddRecord(key, nil)
	}
}

// dueRecords answers a DueRecordsQuery. What earlier queries of the session have taken it finds again, since they lock rows
// and leave them where they are; so it asks for as many more as they may have.
func (s *session) dueRecords(l *store.Load, asked store.DueRecordsQuery) *query {
	f := familyOf(asked.Family)
	q := &query{}
	q.send = func(t *trip) {
		st := f.take
		if l.Peek {
			st = f.peek
		}
		if st == nil {
			return
		}
		var now []byte
		if s.st.cfg.Clock != nil {
			now = int64Param(int64(s.st.cfg.Clock()))
		}
		s.taken.mayHave += asked.Limit
		var sc scanner
		t.send(st, [][]byte{now, int64Param(int64(s.taken.mayHave))}, func(values [][]byte) error {
			r := *scan(&sc, &f.table.Table, values)
			if _, again := s.taken.records[r.Key()]; again || len(q.keyed) == asked.Limit {
				return nil
			}
			q.keyed = append(q.keyed, r)
			if !l.Peek {
				s.taken.addRecord(r.Key())
				if f.hold != nil {
					s.turns.hold(r.Key())
				}
			}
			return nil
		})
	}
	q.deliver = func(b *store.Batch) {
		slices.SortFunc(q.keyed, func(x, y record.Keyed) int {
			return cmp.Or(cmp.Compare(x.DueTime(), y.DueTime()), record.CompareKeys(x.Key(), y.Key()))
		})
		b.AddDueRecords(l, q.keyed)
	}
	return q
}

// sendKeyed writes what a batch changes and registers of keyed families that are not believed, and checks what it is guarded by.
func sendKeyed(t *trip, sh *shapes, ch *store.Changes) {
	if len(ch.Records)+len(ch.Registered)+len(ch.Guarded) == 0 {
		return
	}
	for _, f := range families {
		if f.hold != nil && !f.name.Believed() {
			sendRows(t, sh, lock, &f.table.Table, f.own(ch.Guarded), keyColumns(&f.table.Table))
		}
	}
	sendLocks(t, ch, false)
	for _, f := range families {
		if f.name.Believed() {
			continue
		}
		table := &f.table.Table
		changes, gone := f.changes(ch.Records)
		if f.hold == nil {
			sendRows(t, sh, check, table, f.own(ch.Guarded), keyColumns(table))
		}
		sendRows(t, sh, erase, table, gone, keyColumns(table))
		sendGuarded(t, sh, update, table, changes)
		sendRows(t, sh, ensure, table, f.own(ch.Registered), allColumns(table))
	}
}

// sendBelieved is sendKeyed for the believed families. Their versions are drawn, and tell nothing of the one before: a row is locked
// in the version it was believed to be in, and then overwritten. Another process that has it will change it, most likely, or has
// locked it to wait for what this batch has written: so the lock is not waited for, but taken at once or a conflict.
func sendBelieved(t *trip, sh *shapes, ch *store.Changes) {
	if len(ch.Records)+len(ch.Registered)+len(ch.Guarded) == 0 {
		return
	}
	sendLocks(t, ch, true)
	for _, f := range families {
		if !f.name.Believed() {
			continue
		}
		table := &f.table.Table
		changes, gone := f.changes(ch.Records)
		if f.hold != nil {
			sendRows(t, sh, seize, table, append(befores(changes), f.own(ch.Guarded)...), keyColumns(table))
		} else {
			sendRows(t, sh, lock, table, befores(changes), keyColumns(table))
			sendRows(t, sh, check, table, f.own(ch.Guarded), keyColumns(table))
		}
		sendRows(t, sh, erase, table, gone, keyColumns(table))
		sendGuarded(t, sh, rewrite, table, changes)
		sendRows(t, sh, ensure, table, f.own(ch.Registered), allColumns(table))
	}
}

// changes returns what is written and what is deleted of the family.
func (f *family) changes(all []store.RecordChange) (written []store.Change[record.Keyed], gone []*record.Keyed) {
	for i := range all {
		switch c := &all[i]; {
		case c.Key().Family() != f.name:
		case c.After == nil:
			gone = append(gone, &c.Before)
		case c.Before == nil:
			written = append(written, store.Change[record.Keyed]{After: &c.After})
		default:
			written = append(written, store.Change[record.Keyed]{Before: &c.Before, After: &c.After})
		}
	}
	return written, gone
}

// befores are the records that changes were made from.
func befores(changes []store.Change[record.Keyed]) []*record.Keyed {
	var list []*record.Keyed
	for _, c := range changes {
		if c.Before != nil {
			list = append(list, c.Before)
		}
	}
	return list
}

// own returns the records that are of the family.
func (f *family) own(all []record.Keyed) []*record.Keyed {
	var list []*record.Keyed
	for i := range all {
		if all[i].Key().Family() == f.name {
			list = append(list, &all[i])
		}
	}
	return list
}

// lockClass keeps our advisory locks apart from others'.
const lockClass = "1179020386"

// Parameters: what to lock, in ascending order, and whether against all others or only against those who write. It is a
// statement of its own, since the next one must see what the one waited for has committed.
var lockStatement = newStatement(`SELECT CASE WHEN alone THEN pg_advisory_xact_lock(` + lockClass + `, what)
	ELSE pg_advisory_xact_lock_shared(` + lockClass + `, what) END
	FROM unnest($1::integer[], $2::boolean[]) k(what, alone)`)

// sendLocks makes what is guarded stay as it is until the commit: those who write a record of a keyed family wait for those
// who have checked it, and the other way round. Sharing the row's own lock would do the same, but every claim guards its
// lane, and a row shared by many at a time costs the server a new multixact for each of them. Families whose rows are locked
// when they are read go by their rows' locks alone: to take another before one would end in a deadlock.
func sendLocks(t *trip, ch *store.Changes, believed bool) {
	alone := make(map[int32]bool)
	for _, r := range ch.Guarded {
		if key := r.Key(); guardedByLock(key.Family(), believed) {
			alone[lockOf(key)] = false
		}
	}
	for _, c := range ch.Records {
		if key := c.Key(); c.Before != nil && guardedByLock(key.Family(), believed) { // a new record has nobody who has checked it
			alone[lockOf(key)] = true
		}
	}
	if len(alone) == 0 {
		return
	}
	locks := slices.Sorted(maps.Keys(alone))
	t.send(lockStatement, [][]byte{
		arrayParam(sqlstore.Int32, func(a *array) {
			for _, lock := range locks {
				a.Int(int64(lock))
			}
		}),
		arrayParam(sqlstore.Bool, func(a *array) {
			for _, lock := range locks {
				a.Bool(alone[lock])
			}
		}),
	}, nil)
}

// guardedByLock reports whether a family is written with those that are believed, or those that are not, and a lock stands for its
// records, whose rows are not locked.
func guardedByLock(name record.Family, believed bool) bool {
	return familyOf(name).hold == nil && name.Believed() == believed
}

// lockOf is what stands for a key among the locks. Two keys that share one wait for each other without need.
func lockOf(key record.Key) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key.Family())) // never fails
	for _, part := range key.Parts() {
		_, _ = h.Write([]byte{0})
		_, _ = h.Write([]byte(part))
	}
	return int32(h.Sum32())
}
