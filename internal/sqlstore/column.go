// Package sqlstore says once, for both SQL stores, which column of which table holds which field of a record. A store
// generates its statements from these lists and moves values through [Writer] and [Reader]; it adds only what its
// dialect and its driver need: DDL, set-based or row-by-row writes, locks.
//
// It imports the vocabulary and the records, no driver.
package sqlstore

import (
	"strings"

	"github.com/flowfabric/flowfabric"
)

// Kind is the type of a column. A value is NULL where its Write says so.
type Kind uint8

// Kinds of columns: Postgres type, SQLite type.
const (
	Int64 Kind = iota // bigint, INTEGER
	Int32             // integer, INTEGER
	Int16             // smallint, INTEGER
	Bool              // boolean, INTEGER
	Text              // text, TEXT
	UUID              // uuid, BLOB of 16 bytes
	Blob              // bytea, BLOB
	JSON              // jsonb, TEXT; moved as text
	List              // text[], TEXT; moved as text joined by commas, NULL never, empty for none
	Merge             // jsonb, TEXT; as JSON, but an update merges its keys into what is stored
)

// Writer takes the value of one column of one row. Exactly one of its methods is called for each column.
type Writer interface {
	Null()
	Int(v int64) // Int64, Int32, Int16
	Bool(v bool)
	Text(v string) // Text, JSON, List, Merge
	UUID(v [16]byte)
	Blob(v []byte) // the writer copies
}

// Reader gives the value of one column of one row.
type Reader interface {
	IsNull() bool
	Int() int64
	Bool() bool
	Text() string
	UUID() [16]byte
	Blob() []byte // a copy
}

// Column maps a field, or a few, of record R to a column.
type Column[R any] struct {
	Name  string
	Kind  Kind
	Write func(r *R, w Writer)
	Read  func(r *R, v Reader)
	// Changed reports whether the column must be updated when a becomes b. Nil for columns that are only inserted.
	Changed func(a, b *R) bool
}

// Table is a table and its columns. The first Keys columns are its primary key.
type Table[R any] struct {
	Name    string
	Keys    int
	Columns []Column[R]
}

// Names lists the column names, each behind prefix, joined by ", ".
func (t *Table[R]) Names(prefix string) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = prefix + c.Name
	}
	return strings.Join(names, ", ")
}

// Changed returns the columns to update when a becomes b.
func (t *Table[R]) Changed(a, b *R) ColumnSet {
	var set ColumnSet
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Changed != nil && c.Changed(a, b) {
			set.Add(i)
		}
	}
	return set
}

// integers are the field types an integer column may have.
type integers interface {
	~int | ~int32 | ~int64 | ~uint16 | ~uint64
}

// integer maps a field to a column that is never NULL.
func integer[R any, T integers](name string, kind Kind, field func(*R) *T) Column[R] {
	return Column[R]{
		Name: name, Kind: kind,
		Write:   func(r *R, w Writer) { w.Int(int64(*field(r))) },
		Read:    func(r *R, v Reader) { *field(r) = T(v.Int()) },
		Changed: func(a, b *R) bool { return *field(a) != *field(b) },
	}
}

// optionalInteger maps a field whose zero is NULL.
func optionalInteger[R any, T integers](name string, kind Kind, field func(*R) *T) Column[R] {
	c := integer(name, kind, field)
	c.Write = func(r *R, w Writer) {
		if v := *field(r); v != 0 {
			w.Int(int64(v))
		} else {
			w.Null()
		}
	}
	c.Read = func(r *R, v Reader) {
		if !v.IsNull() {
			*field(r) = T(v.Int())
		}
	}
	return c
}

// text maps a field to a column that is never NULL.
func text[R any, T ~string](name string, field func(*R) *T) Column[R] {
	return Column[R]{
		Name: name, Kind: Text,
		Write:   func(r *R, w Writer) { w.Text(string(*field(r))) },
		Read:    func(r *R, v Reader) { *field(r) = T(v.Text()) },
		Changed: func(a, b *R) bool { return *field(a) != *field(b) },
	}
}

// optionalText maps a field one value of which, usually the empty text, is NULL.
func optionalText[R any, T ~string](name string, null T, field func(*R) *T) Column[R] {
	c := text(name, field)
	c.Write = func(r *R, w Writer) {
		if v := *field(r); v != null {
			w.Text(string(v))
		} else {
			w.Null()
		}
	}
	c.Read = func(r *R, v Reader) {
		*field(r) = null
		if !v.IsNull() {
			*field(r) = T(v.Text())
		}
	}
	return c
}

// optionalUUID maps a field whose zero is NULL.
func optionalUUID[R any, T ~[16]byte](name string, field func(*R) *T) Column[R] {
	return Column[R]{
		Name: name, Kind: UUID,
		Write: func(r *R, w Writer) {
			if v := [16]byte(*field(r)); v != [16]byte{} {
				w.UUID(v)
			} else {
				w.Null()
			}
		},
		Read: func(r *R, v Reader) {
			if !v.IsNull() {
				*field(r) = T(v.UUID())
			}
		},
		Changed: func(a, b *R) bool { return [16]byte(*field(a)) != [16]byte(*field(b)) },
	}
}

// optionalBlob maps bytes whose emptiness is NULL.
func optionalBlob[R any](name string, field func(*R) *[]byte) Column[R] {
	return Column[R]{
		Name: name, Kind: Blob,
		Write: func(r *R, w Writer) {
			if v := *field(r); len(v) > 0 {
				w.Blob(v)
			} else {
				w.Null()
			}
		},
		Read: func(r *R, v Reader) {
			if !v.IsNull() {
				*field(r) = v.Blob()
			}
		},
		// Cheap for the bytes of most updates, which are the same ones: only two of the same length and another place are looked at.
		Changed: func(a, b *R) bool { return string(*field(a)) != string(*field(b)) },
	}
}

// boolean maps a field to a column that is never NULL.
func boolean[R any](name string, field func(*R) *bool) Column[R] {
	return Column[R]{
		Name: name, Kind: Bool,
		Write:   func(r *R, w Writer) { w.Bool(*field(r)) },
		Read:    func(r *R, v Reader) { *field(r) = v.Bool() },
		Changed: func(a, b *R) bool { return *field(a) != *field(b) },
	}
}

// uuidOf maps the bare UUID of an execution's id. An event that is of no execution has the nil UUID.
func uuidOf[R any](name string, field func(*R) *flowfabric.ExecutionID) Column[R] {
	return Column[R]{
		Name: name, Kind: UUID,
		Write: func(r *R, w Writer) { w.UUID(field(r).UUID()) },
		Read: func(r *R, v Reader) {
			id := field(r)
			*id = flowfabric.ExecutionIDFrom(id.Partition().Index, v.UUID())
		},
		Changed: func(a, b *R) bool { return field(a).UUID() != field(b).UUID() },
	}
}

// partitionOf maps the partition of an execution's id.
func partitionOf[R any](name string, field func(*R) *flowfabric.ExecutionID) Column[R] {
	return Column[R]{
		Name: name, Kind: Int16,
		Write: func(r *R, w Writer) { w.Int(int64(field(r).Partition().Index)) },
		Read: func(r *R, v Reader) {
			id := field(r)
			*id = flowfabric.ExecutionIDFrom(uint16(v.Int()), id.UUID())
		},
		Changed: func(a, b *R) bool { return field(a).Partition() != field(b).Partition() },
	}
}

// home maps the partition a record lives on, for records that are not of an execution.
func home[R any](field func(*R) *flowfabric.Partition) Column[R] {
	return Column[R]{
		Name: "partition_key", Kind: Int16,
		Write: func(r *R, w Writer) { w.Int(int64(field(r).Index)) },
		Read: func(r *R, v Reader) {
			*field(r) = flowfabric.Partition{Family: flowfabric.FamilyFlow, Index: uint16(v.Int())}
		},
	}
}

// fixed marks columns that are written once, with the row.
func fixed[R any](cols ...Column[R]) []Column[R] {
	for i := range cols {
		cols[i].Changed = nil
	}
	return cols
}

// updatable marks a column that is only inserted as one that is written again when changed says so.
func updatable[R any](c Column[R], changed func(a, b *R) bool) Column[R] {
	c.Changed = changed
	return c
}
