package postgres

import (
	"fmt"
	"strings"
	"sync"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// verb is what a set-based statement does with its rows.
type verb uint8

const (
	insert  verb = iota // fails with codeUnique on a row that exists
	ensure              // inserts, leaving alone what exists
	replace             // inserts or overwrites
	update              // overwrites, each row guarded by its version
	remove              // deletes by the whole row; what is absent is no error
	erase               // deletes, each row guarded by its version
	check               // looks whether each row is still there in its version
	hold                // as check, and keeps it so until the commit
	lock                // as check, of the row as it is when everybody before has committed, and keeps it so against all others
	seize               // as lock, and fails with codeLockTimeout where it would wait
	rewrite             // overwrites rows that were locked, with the version they are given
)

// guarded reports whether a statement says how many rows it must reach.
func (v verb) guarded() bool { return v >= update && v != remove }

// shape is all that decides the text of a set-based statement.
type shape struct {
	verb    verb
	table   string
	set     sqlstore.ColumnSet // columns that are sent
	uniform sqlstore.ColumnSet // of these, columns sent as one value, because all rows share it
}

// maxShapes bounds the statements a connection has to keep. Real work has a few dozen shapes; beyond the bound all
// columns are sent as arrays, which costs more and needs one shape for each verb and table.
const maxShapes = 256

// shapes holds the statements made so far.
type shapes struct {
	mu     sync.RWMutex
	byWhat map[shape]*statement
}

// statementFor returns the statement for a shape of t, nil when there are too many to add another.
func statementFor[R any](s *shapes, t *sqlstore.Table[R], sh shape, isLast bool) *statement {
	s.mu.RLock()
	st := s.byWhat[sh]
	s.mu.RUnlock()
	if st != nil {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byWhat) >= maxShapes && !isLast {
		return nil
	}
	if s.byWhat == nil {
		s.byWhat = make(map[shape]*statement)
	}
	st = newStatement(textOf(t, sh))
	s.byWhat[sh] = st
	return st
}

// textOf writes the statement. Parameters are the columns of the set in order and, for an update, the number of rows.
func textOf[R any](t *sqlstore.Table[R], sh shape) string {
	w := shapeWriter{sh: sh}
	for i := range t.Columns {
		if sh.set.Has(i) {
			w.column(t.Columns[i].Name, t.Columns[i].Kind, i < t.Keys, sh.uniform.Has(i))
		}
	}
	switch sh.verb {
	case update, rewrite:
		return w.update()
	case remove:
		return w.remove()
	case erase:
		return w.erase()
	case check:
		return w.check(``)
	case hold:
		return w.check(` FOR SHARE OF c`)
	case lock:
		return w.lock(``)
	case seize:
		return w.lock(` NOWAIT`)
	case ensure:
		return w.insert() + ` ON CONFLICT DO NOTHING`
	case replace:
		var set []string
		for _, c := range t.Columns[t.Keys:] {
			set = append(set, c.Name+` = excluded.`+c.Name) // the default, NULL, where a column was not sent
		}
		return w.insert() + ` ON CONFLICT (` + joinNames(t.Columns[:t.Keys]) + `) DO UPDATE SET ` + strings.Join(set, `, `)
	default:
		return w.insert()
	}
}

func joinNames[R any](columns []sqlstore.Column[R]) string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return strings.Join(names, `, `)
}

// shapeWriter collects the parts of a statement.
type shapeWriter struct {
	sh       shape
	params   int
	names    []string // of all columns
	values   []string // of all columns, over u
	keys     []string // conditions on the row, which a guarded verb calls c and a removal r
	set      []string // assignments to c, over u
	arrays   []string // parameters to unnest
	unnested []string // names of these
	was      string   // the version of a row that is locked
}

func (w *shapeWriter) guarded() bool { return w.sh.verb.guarded() }

func (w *shapeWriter) column(name string, kind sqlstore.Kind, isKey, isUniform bool) {
	w.params++
	param := fmt.Sprintf("$%d::%s", w.params, typeOf(kind).name)
	value := param
	if !isUniform {
		w.arrays = append(w.arrays, param+"[]")
		w.unnested = append(w.unnested, name)
		value = "u." + name
	}
	if kind == sqlstore.List {
		value = `string_to_array(` + value + `, ',')`
	}
	w.names = append(w.names, name)
	w.values = append(w.values, value)
	switch {
	case isKey && w.guarded() && !isUniform && len(w.keys) == 0:
		w.keys = append(w.keys, `c.`+name+` = ANY (ARRAY[`+value+`])`) // see update
	case isKey && w.guarded():
		w.keys = append(w.keys, `c.`+name+` = `+value)
	case isKey:
		w.keys = append(w.keys, `r.`+name+` = `+value)
	case name == "version" && w.sh.verb == update:
		w.keys = append(w.keys, `c.version = `+value+` - 1`)
		w.set = append(w.set, `version = c.version + 1`)
	case name == "version" && (w.sh.verb == lock || w.sh.verb == seize):
		w.was = value
	case name == "version" && w.guarded() && w.sh.verb != rewrite:
		w.keys = append(w.keys, `c.version = `+value)
	case kind == sqlstore.Merge:
		// terminal_outcome is what a row written by hand may carry; a column of its own has replaced it.
		w.set = append(w.set, name+` = (c.`+name+` - 'terminal_outcome') || `+value)
	default:
		w.set = append(w.set, name+` = `+value)
	}
}

// rows is the FROM clause over the arrays; a single row of single values needs none.
func (w *shapeWriter) rows() string {
	if len(w.arrays) == 0 {
		return ``
	}
	return `unnest(` + strings.Join(w.arrays, `, `) + `) u(` + strings.Join(w.unnested, `, `) + `)`
}

func (w *shapeWriter) insert() string {
	sql := `INSERT INTO ` + w.sh.table + ` (` + strings.Join(w.names, `, `) + `) SELECT ` + strings.Join(w.values, `, `)
	if rows := w.rows(); rows != `` {
		sql += ` FROM ` + rows
	}
	return sql
}

// find looks the rows up by key, in a LATERAL behind OFFSET 0, which the planner cannot turn round: whatever it believes
// about the size of the table, the rows lead and the index follows.
func (w *shapeWriter) find() string {
	return `(SELECT r.ctid FROM ` + w.sh.table + ` r WHERE ` + strings.Join(w.keys, ` AND `) + ` OFFSET 0)`
}

// update fails with codeGuard unless it reaches as many rows as the last parameter says.
//
// Only one plan is left for several rows: to lead with them and find each by the primary key. Scans are switched off; the
// keys are arrays (sendRows sees to that), so no condition is on the table alone; and the first key is compared by "= ANY",
// which means the same but is no equality that sorted inputs could be merged by, for which a planner that believes the
// table to be empty would read the whole index.
func (w *shapeWriter) update() string {
	sql := `WITH w AS (UPDATE ` + w.sh.table + ` c SET ` + strings.Join(w.set, `, `)
	if rows := w.rows(); rows != `` {
		sql += ` FROM ` + rows
	}
	return sql + ` WHERE ` + strings.Join(w.keys, ` AND `) + ` RETURNING 1)` + w.guard()
}

// erase fails like update.
func (w *shapeWriter) erase() string {
	sql := `WITH w AS (DELETE FROM ` + w.sh.table + ` c`
	if rows := w.rows(); rows != `` {
		sql += ` USING ` + rows
	}
	return sql + ` WHERE ` + strings.Join(w.keys, ` AND `) + ` RETURNING 1)` + w.guard()
}

// check fails like update.
func (w *shapeWriter) check(lock string) string {
	sql := `WITH w AS (SELECT 1 FROM ` + w.sh.table + ` c`
	if rows := w.rows(); rows != `` {
		sql += `, ` + rows
	}
	return sql + ` WHERE ` + strings.Join(w.keys, ` AND `) + lock + `)` + w.guard()
}

// lock fails like update. The version is no condition on the rows: those would be looked for in the snapshot of the statement,
// where a row that somebody is about to commit still has its old version, and nobody would be waited for.
func (w *shapeWriter) lock(nowait string) string {
	sql := `WITH l AS (SELECT c.version AS have, ` + w.was + ` AS want FROM ` + w.sh.table + ` c`
	if rows := w.rows(); rows != `` {
		sql += `, ` + rows
	}
	return sql + ` WHERE ` + strings.Join(w.keys, ` AND `) + ` FOR NO KEY UPDATE OF c` + nowait + `), w AS (SELECT 1 FROM l WHERE have = want)` + w.guard()
}

// guard counts the rows that were reached, w, against the last parameter.
func (w *shapeWriter) guard() string {
	return fmt.Sprintf(` SELECT ff_guard(count(*), $%d::bigint) FROM w`, w.params+1)
}

func (w *shapeWriter) remove() string {
	sql := `DELETE FROM ` + w.sh.table + ` WHERE ctid = ANY (ARRAY(`
	if rows := w.rows(); rows != `` {
		return sql + `SELECT f.ctid FROM ` + rows + ` CROSS JOIN LATERAL ` + w.find() + ` f))`
	}
	return sql + w.find()[1:len(w.find())-1] + `))`
}
