package sqlite

import (
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
)

// guarded writes the versioned records of one table: inserts that must not find a row, updates that must find the
// version. An update writes only the columns that changed; each set of columns has its statement.
type guarded[R any] struct {
	db      *driver.Conn
	table   *sqlstore.Table[R]
	version func(*R) int64
	insert  *statement
	updates map[sqlstore.ColumnSet]*statement
	every   sqlstore.ColumnSet // all columns an update may write
}

// maxUpdates bounds the statements a table keeps; updates beyond it write every column.
const maxUpdates = 64

func prepareGuarded[R any](db *driver.Conn, t *sqlstore.Table[R], version func(*R) int64) (*guarded[R], error) {
	ins, err := prepare(db, insert(t)+orNothing)
	if err != nil {
		return nil, err
	}
	g := &guarded[R]{db: db, table: t, version: version, insert: ins, updates: make(map[sqlstore.ColumnSet]*statement)}
	for i, c := range t.Columns {
		if c.Changed != nil {
			g.every.Add(i)
		}
	}
	return g, nil
}

// write writes one change. It fails with [store.ErrConflict] when the guard does not hold.
func (g *guarded[R]) write(c store.Change[R]) error {
	if c.Before == nil {
		writeAll(g.insert, g.table, c.After)
		return g.insert.execOne(store.ErrConflict)
	}
	set, update, err := g.update(g.table.Changed(c.Before, c.After))
	if err != nil {
		return err
	}
	for i := range set.All() {
		g.table.Columns[i].Write(c.After, update)
	}
	writeKey(update, g.table, c.After)
	update.Int(g.version(c.Before))
	return update.execOne(store.ErrConflict)
}

// update returns a statement that updates at least the columns of set, and what it updates.
func (g *guarded[R]) update(set sqlstore.ColumnSet) (sqlstore.ColumnSet, *statement, error) {
	if s, ok := g.updates[set]; ok {
		return set, s, nil
	}
	if len(g.updates) >= maxUpdates && set != g.every {
		return g.update(g.every)
	}
	s, err := prepare(g.db, updateSet(g.table, set))
	if err != nil {
		return set, nil, fmt.Errorf("prepare an update of %s: %w", g.table.Name, err)
	}
	g.updates[set] = s
	return set, s, nil
}
