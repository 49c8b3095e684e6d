package sqlite

import (
	"fmt"
	"math/bits"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// writes are the statements of the connection that writes. Those of executions and idempotency keys are guarded: they
// fail with [store.ErrConflict] unless they write their row.
type writes struct {
	executions  *guarded[record.Execution]
	idempotency *guarded[record.Idempotency]

	attempt, route                           *statement
	event, events                            *statement // one, and manyEvents at once
	addReady, removeReady, addDue, removeDue *statement
}

func prepareWrites(db *driver.Conn) (*writes, error) {
	w := &writes{}
	var err error
	if w.executions, err = prepareGuarded(db, &sqlstore.Executions); err != nil {
		return nil, err
	}
	if w.idempotency, err = prepareGuarded(db, &sqlstore.Idempotency); err != nil {
		return nil, err
	}
	return w, prepareAll(db, []toPrepare{
		{&w.attempt, insert(&sqlstore.Attempts) + overwrite(&sqlstore.Attempts)},
		{&w.route, insert(&sqlstore.Routes) + orNothing},
		{&w.event, insert(&sqlstore.Events)},
		{&w.events, insertRows(&sqlstore.Events, manyEvents)},
		{&w.addReady, insert(&sqlstore.Ready) + orNothing},
		{&w.removeReady, deleteBy(&sqlstore.Ready)},
		{&w.addDue, insert(&sqlstore.Due) + orNothing},
		{&w.removeDue, deleteBy(&sqlstore.Due)},
	})
}

const orNothing = " ON CONFLICT DO NOTHING"

func insert[R any](t *sqlstore.Table[R]) string { return insertRows(t, 1) }

func insertRows[R any](t *sqlstore.Table[R], n int) string {
	row := "(?" + strings.Repeat(", ?", len(t.Columns)-1) + ")"
	return "INSERT INTO " + t.Name + " (" + t.Names("") + ") VALUES " + row + strings.Repeat(", "+row, n-1)
}

// overwrite is the clause that makes an insert replace all but the key of a row that exists.
func overwrite[R any](t *sqlstore.Table[R]) string {
	var set []string
	for _, c := range t.Columns[t.Keys:] {
		set = append(set, c.Name+" = excluded."+c.Name)
	}
	return " ON CONFLICT (" + keyNames(t, "", ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

func deleteBy[R any](t *sqlstore.Table[R]) string {
	return "DELETE FROM " + t.Name + " WHERE " + keyNames(t, " = ?", " AND ")
}

// updateSet updates the columns of set under the guard of the version; parameters are the columns, the key, the version.
func updateSet[R any](t *sqlstore.Table[R], set sqlstore.ColumnSet) string {
	var assign []string
	for i, c := range t.Columns {
		switch {
		case !set.Has(i):
		case c.Kind == sqlstore.Merge: // what is no JSON was written by hand, and counts as empty
			assign = append(assign, c.Name+" = json_patch(CASE WHEN json_valid("+c.Name+") THEN "+c.Name+" ELSE '{}' END, ?)")
		default:
			assign = append(assign, c.Name+" = ?")
		}
	}
	return "UPDATE " + t.Name + " SET " + strings.Join(assign, ", ") + " WHERE " + keyNames(t, " = ?", " AND ") + " AND version = ?"
}

func keyNames[R any](t *sqlstore.Table[R], suffix, separator string) string {
	var names []string
	for _, c := range t.Columns[:t.Keys] {
		names = append(names, c.Name+suffix)
	}
	return strings.Join(names, separator)
}

// guarded writes the versioned records of one table: inserts that must not find a row, updates that must find the
// version. An update writes only the columns that changed; each set of columns has its statement.
type guarded[R any] struct {
	db       *driver.Conn
	table    *sqlstore.Table[R]
	insert   *statement
	updates  map[sqlstore.ColumnSet]*statement
	everySet sqlstore.ColumnSet
}

// maxUpdates bounds the statements kept per table; beyond it, updates write every column.
const maxUpdates = 64

func prepareGuarded[R any](db *driver.Conn, t *sqlstore.Table[R]) (*guarded[R], error) {
	ins, err := prepare(db, insert(t)+orNothing)
	if err != nil {
		return nil, err
	}
	g := &guarded[R]{db: db, table: t, insert: ins, updates: make(map[sqlstore.ColumnSet]*statement)}
	for i, c := range t.Columns {
		if c.Changed != nil {
			g.everySet |= 1 << i
		}
	}
	return g, nil
}

// write writes one change, whose version before is given.
func (g *guarded[R]) write(c store.Change[R], before int64) error {
	if c.Before == nil {
		writeAll(g.insert, g.table, c.After)
		return g.insert.execOne(store.ErrConflict)
	}
	set, update, err := g.update(g.table.Changed(c.Before, c.After))
	if err != nil {
		return err
	}
	for rest := uint64(set); rest != 0; rest &= rest - 1 {
		g.table.Columns[bits.TrailingZeros64(rest)].Write(c.After, update)
	}
	writeKey(update, g.table, c.After)
	update.Int(before)
	return update.execOne(store.ErrConflict)
}

// update returns a statement that updates at least the columns of set, and what it updates.
func (g *guarded[R]) update(set sqlstore.ColumnSet) (sqlstore.ColumnSet, *statement, error) {
	if s, ok := g.updates[set]; ok {
		return set, s, nil
	}
	if len(g.updates) >= maxUpdates && set != g.everySet {
		return g.update(g.everySet)
	}
	s, err := prepare(g.db, updateSet(g.table, set))
	if err != nil {
		return 0, nil, fmt.Errorf("prepare an update of %s: %w", g.table.Name, err)
	}
	g.updates[set] = s
	return set, s, nil
}

// apply writes the changes of a batch.
func (w *writes) apply(ch *store.Changes) error {
	for _, c := range ch.Executions {
		if err := w.executions.write(c, versionOf(c.Before)); err != nil {
			return fmt.Errorf("write execution %s: %w", c.After.ID, err)
		}
	}
	for _, c := range ch.Idempotency {
		var before int64
		if c.Before != nil {
			before = c.Before.Version
		}
		if err := w.idempotency.write(c, before); err != nil {
			return fmt.Errorf("write idempotency key %q: %w", c.After.Key.Key, err)
		}
	}
	if err := writeEach(w.attempt, &sqlstore.Attempts, ch.Attempts); err != nil {
		return err
	}
	if err := writeEach(w.route, &sqlstore.Routes, ch.Routes); err != nil {
		return err
	}
	if err := w.append(ch.Events); err != nil {
		return err
	}
	return w.index(store.IndexesOf(ch.Executions))
}

// manyEvents is how many events one statement inserts. AUTOINCREMENT costs a write of its counter per statement: one by
// one, events take nearly twice as long.
const manyEvents = 16

// append adds events to the log, in order.
func (w *writes) append(events []record.Event) error {
	for ; len(events) >= manyEvents; events = events[manyEvents:] {
		for i := range manyEvents {
			writeAll(w.events, &sqlstore.Events, &events[i])
		}
		if err := w.events.run(); err != nil {
			return fmt.Errorf("write %d events: %w", manyEvents, err)
		}
	}
	for i := range events {
		if err := writeOne(w.event, &sqlstore.Events, &events[i]); err != nil {
			return err
		}
	}
	return nil
}

func versionOf(e *record.Execution) int64 {
	if e == nil {
		return 0
	}
	return e.Version
}

// index moves the entries of the two indexes. An entry to remove may be missing, one to add may exist: rows written by
// hand have whatever entries they were given.
func (w *writes) index(ix store.IndexChanges) error {
	for i := range ix.ReadyRemove {
		if err := writeOne(w.removeReady, &sqlstore.Ready, &ix.ReadyRemove[i]); err != nil {
			return err
		}
	}
	for i := range ix.DueRemove {
		if err := writeOne(w.removeDue, &sqlstore.Due, &ix.DueRemove[i]); err != nil {
			return err
		}
	}
	for i := range ix.ReadyAdd {
		if err := writeOne(w.addReady, &sqlstore.Ready, &ix.ReadyAdd[i]); err != nil {
			return err
		}
	}
	for i := range ix.DueAdd {
		if err := writeOne(w.addDue, &sqlstore.Due, &ix.DueAdd[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeEach[R any](s *statement, t *sqlstore.Table[R], list []*R) error {
	for _, r := range list {
		if err := writeOne(s, t, r); err != nil {
			return err
		}
	}
	return nil
}

// writeOne runs s with all columns of r.
func writeOne[R any](s *statement, t *sqlstore.Table[R], r *R) error {
	writeAll(s, t, r)
	if _, err := s.exec(); err != nil {
		return fmt.Errorf("write %s: %w", t.Name, err)
	}
	return nil
}
