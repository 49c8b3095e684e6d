package sqlite

import (
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// statement is a prepared statement of one connection. It is the [sqlstore.Writer] of its parameters, which are bound in
// order from 1, and its row is the [sqlstore.Reader] of its columns.
//
// Parameters stay bound between runs, and most of a batch is alike (lane, states, worker): a value that is bound already
// is not bound again.
type statement struct {
	db    *driver.Conn
	stmt  *driver.Stmt
	next  int // how many parameters were written
	bound []value
	row   row
}

// value is what a parameter is bound to.
type value struct {
	kind valueKind
	n    int64
	text string
}

type valueKind uint8

const (
	isNull valueKind = iota // as every parameter begins
	isInt
	isText
	isOther // bound, not remembered
)

// maxRemembered bounds the text kept for comparison; longer ones hardly repeat.
const maxRemembered = 64

func prepare(db *driver.Conn, sql string) (*statement, error) {
	stmt, err := db.Prepare(sql)
	if err != nil {
		return nil, err
	}
	return &statement{db: db, stmt: stmt, bound: make([]value, stmt.BindParamCount()), row: row{stmt: stmt}}, nil
}

// toPrepare is a statement to prepare and where it goes.
type toPrepare struct {
	at  **statement
	sql string
}

func prepareAll(db *driver.Conn, list []toPrepare) error {
	for _, p := range list {
		var err error
		if *p.at, err = prepare(db, p.sql); err != nil {
			return err
		}
	}
	return nil
}

// param moves on to the next parameter and returns its place and number.
func (s *statement) param() (*value, int) {
	v := &s.bound[s.next]
	s.next++
	return v, s.next
}

// Null implements [sqlstore.Writer].
func (s *statement) Null() {
	if v, i := s.param(); v.kind != isNull {
		*v = value{}
		s.stmt.BindNull(i)
	}
}

// Int implements [sqlstore.Writer].
func (s *statement) Int(n int64) {
	if v, i := s.param(); v.kind != isInt || v.n != n {
		*v = value{kind: isInt, n: n}
		s.stmt.BindInt64(i, n)
	}
}

// Bool implements [sqlstore.Writer].
func (s *statement) Bool(b bool) {
	if b {
		s.Int(1)
	} else {
		s.Int(0)
	}
}

// Text implements [sqlstore.Writer].
func (s *statement) Text(text string) {
	v, i := s.param()
	if v.kind == isText && v.text == text {
		return
	}
	*v = value{kind: isOther}
	if len(text) <= maxRemembered {
		*v = value{kind: isText, text: text}
	}
	s.stmt.BindText(i, text)
}

// UUID implements [sqlstore.Writer].
func (s *statement) UUID(id [16]byte) { s.Blob(id[:]) }

// Blob implements [sqlstore.Writer].
func (s *statement) Blob(b []byte) {
	v, i := s.param()
	*v = value{kind: isOther}
	s.stmt.BindBytes(i, b)
}

// step runs the statement to its next row, which it reports, or to its end. At the end, and on an error, the statement is
// ready to be bound and run again; a caller that stops earlier calls reset.
func (s *statement) step() (bool, error) {
	s.next = 0
	more, err := s.stmt.Step()
	if err != nil {
		_ = s.stmt.ClearBindings() // one of them may be the reason; fails only when interrupted
		for i := range s.bound {
			s.bound[i] = value{kind: isOther}
		}
		return false, err
	}
	if !more {
		return false, s.stmt.Reset()
	}
	return true, nil
}

func (s *statement) reset() error { return s.stmt.Reset() }

// run runs a statement that answers no rows.
func (s *statement) run() error {
	_, err := s.step()
	return err
}

// execOne runs a statement that must write one row; conflict is the error if it wrote none.
func (s *statement) execOne(conflict error) error {
	if err := s.run(); err != nil {
		return err
	}
	if s.db.Changes() != 1 {
		return conflict
	}
	return nil
}

// writeAll binds all columns of r.
func writeAll[R any](s *statement, t *sqlstore.Table[R], r *R) {
	for i := range t.Columns {
		t.Columns[i].Write(r, s)
	}
}

// writeKey binds the primary key of r.
func writeKey[R any](s *statement, t *sqlstore.Table[R], r *R) {
	for i := range t.Keys {
		t.Columns[i].Write(r, s)
	}
}

// scan reads the current row, whose columns are all those of t.
func scan[R any](s *statement, t *sqlstore.Table[R]) *R {
	r := new(R)
	for i := range t.Columns {
		s.row.col = i
		t.Columns[i].Read(r, &s.row)
	}
	return r
}

// first returns the first row, nil when there is none.
func first[R any](s *statement, t *sqlstore.Table[R]) (*R, error) {
	found, err := s.step()
	if err != nil || !found {
		return nil, err
	}
	r := scan(s, t)
	return r, s.reset()
}

// all returns all rows.
func all[R any](s *statement, t *sqlstore.Table[R]) ([]*R, error) {
	var list []*R
	for {
		found, err := s.step()
		if err != nil || !found {
			return list, err
		}
		list = append(list, scan(s, t))
	}
}

// indexed is an entry of an ordered index together with the rowid of its execution.
type indexed[E any] struct {
	entry E
	rowid int64
}

// allIndexed returns all rows, whose columns are those of t and the rowid.
func allIndexed[E any](s *statement, t *sqlstore.Table[E]) ([]*indexed[E], error) {
	var list []*indexed[E]
	for {
		found, err := s.step()
		if err != nil || !found {
			return list, err
		}
		list = append(list, &indexed[E]{entry: *scan(s, t), rowid: s.stmt.ColumnInt64(len(t.Columns))})
	}
}

// number returns the one number that a query answers; 0 for NULL and for no row.
func (s *statement) number() (int64, error) {
	found, err := s.step()
	if err != nil || !found {
		return 0, err
	}
	n := s.stmt.ColumnInt64(0)
	return n, s.reset()
}

// row is the current row of a statement.
type row struct {
	stmt *driver.Stmt
	col  int
}

// IsNull implements [sqlstore.Reader].
func (r *row) IsNull() bool { return r.stmt.ColumnIsNull(r.col) }

// Int implements [sqlstore.Reader].
func (r *row) Int() int64 { return r.stmt.ColumnInt64(r.col) }

// Bool implements [sqlstore.Reader].
func (r *row) Bool() bool { return r.stmt.ColumnInt64(r.col) != 0 }

// Text implements [sqlstore.Reader].
func (r *row) Text() string { return r.stmt.ColumnText(r.col) }

// UUID implements [sqlstore.Reader].
func (r *row) UUID() (id [16]byte) {
	r.stmt.ColumnBytes(r.col, id[:])
	return id
}

// Blob implements [sqlstore.Reader].
func (r *row) Blob() []byte {
	b := make([]byte, r.stmt.ColumnLen(r.col))
	r.stmt.ColumnBytes(r.col, b)
	return b
}

// run executes a statement once that needs no parameters and whose rows, if any, do not matter.
func run(db *driver.Conn, sql string) error {
	stmt, _, err := db.PrepareTransient(sql)
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	defer stmt.Finalize()
	for {
		more, err := stmt.Step()
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		if !more {
			return nil
		}
	}
}
