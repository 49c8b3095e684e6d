package postgres

import (
	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// sheet holds the parameters of one set-based statement: an array for each column of its table.
type sheet struct {
	arrays []array
	params [][]byte
}

// manyRows is from where on it pays to send what all rows share as one value: each array costs the server 0.2 µs a row,
// but few rows share values by chance and would make ever new shapes.
const manyRows = 16

// sendRows adds one set-based statement to a trip. The set must contain the keys and, for an update, the version.
func sendRows[R any](t *trip, s *shapes, v verb, table *sqlstore.Table[R], rows []*R, set sqlstore.ColumnSet) {
	if len(rows) == 0 {
		return
	}
	sh := shape{verb: v, table: table.Name}
	page := &t.c.sheet
	fill(page, table, rows, set)
	for i := range table.Columns {
		if !set.Has(i) || (!v.guarded() && page.arrays[i].isNull()) {
			continue
		}
		sh.set.Add(i)
		key := v.guarded() && i < table.Keys // see shapeWriter.update
		if !page.arrays[i].varied && (len(rows) == 1 || len(rows) >= manyRows && !key) {
			sh.uniform.Add(i)
		}
	}
	if len(rows) > 1 && sh.uniform == sh.set {
		for i := range sh.uniform.All() {
			sh.uniform.Remove(i) // one array has to say how many rows there are
			break
		}
	}
	st := statementFor(s, table, sh, false)
	if st == nil {
		sh.set, sh.uniform = fallback(v, table), sqlstore.ColumnSet{}
		fill(page, table, rows, sh.set)
		st = statementFor(s, table, sh, true)
	}
	t.send(st, page.bind(sh, len(rows)), nil)
}

// fill writes the columns of the set, one after the other.
func fill[R any](page *sheet, table *sqlstore.Table[R], rows []*R, set sqlstore.ColumnSet) {
	for len(page.arrays) < len(table.Columns) {
		page.arrays = append(page.arrays, array{})
	}
	for i := range table.Columns {
		if !set.Has(i) {
			continue
		}
		c, a := &table.Columns[i], &page.arrays[i]
		a.reset(c.Kind)
		for _, r := range rows {
			c.Write(r, a)
		}
	}
}

// bind lists the parameters of a shape.
func (page *sheet) bind(sh shape, rows int) [][]byte {
	page.params = page.params[:0]
	for i := range page.arrays {
		switch {
		case sh.uniform.Has(i):
			page.params = append(page.params, page.arrays[i].one())
		case sh.set.Has(i):
			page.params = append(page.params, page.arrays[i].all())
		}
	}
	if sh.verb.guarded() {
		page.params = append(page.params, int64Param(int64(rows)))
	}
	return page.params
}

// allColumns is the set of all columns of a table.
func allColumns[R any](t *sqlstore.Table[R]) sqlstore.ColumnSet {
	return sqlstore.FirstColumns(len(t.Columns))
}

// keyColumns is what every update must carry: the keys and the version.
func keyColumns[R any](t *sqlstore.Table[R]) sqlstore.ColumnSet {
	set := sqlstore.FirstColumns(t.Keys)
	for i := range t.Columns {
		if t.Columns[i].Name == "version" {
			set.Add(i)
		}
	}
	return set
}

// fallback is the set that serves any rows.
func fallback[R any](v verb, t *sqlstore.Table[R]) sqlstore.ColumnSet {
	if !v.guarded() {
		return allColumns(t)
	}
	set := keyColumns(t)
	if v != update && v != rewrite {
		return set
	}
	for i := range t.Columns {
		if t.Columns[i].Changed != nil {
			set.Add(i)
		}
	}
	return set
}
