package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// pgType is a type as statements name it and as parameters carry it.
type pgType struct {
	name string
	oid  uint32
}

// typeOf is the type in which a column's values are sent. A list travels as text joined by commas.
func typeOf(k sqlstore.Kind) pgType {
	switch k {
	case sqlstore.Int64:
		return pgType{"bigint", 20}
	case sqlstore.Int32:
		return pgType{"integer", 23}
	case sqlstore.Int16:
		return pgType{"smallint", 21}
	case sqlstore.Bool:
		return pgType{"boolean", 16}
	case sqlstore.UUID:
		return pgType{"uuid", 2950}
	case sqlstore.Blob:
		return pgType{"bytea", 17}
	case sqlstore.JSON, sqlstore.Merge:
		return pgType{"jsonb", 3802}
	default:
		return pgType{"text", 25}
	}
}

// jsonbVersion precedes the text of a jsonb value.
const jsonbVersion = 1

// array collects the values of one column in the binary form of a Postgres array. As long as all are equal it holds only
// the first, so that a column which is the same in every row can be sent as one value. It implements [sqlstore.Writer].
type array struct {
	kind   sqlstore.Kind
	count  int
	varied bool   // not all values are equal
	first  int    // bytes of the first element, with its length
	buf    []byte // room for the header, then the elements, each behind its length
}

// arrayHeader is dimensions, null flag, element type, length and lower bound.
const arrayHeader = 20

func (a *array) reset(kind sqlstore.Kind) {
	var header [arrayHeader]byte
	*a = array{kind: kind, buf: append(a.buf[:0], header[:]...)}
}

// isNull reports whether every value is NULL.
func (a *array) isNull() bool { return !a.varied && a.first == 4 && a.buf[arrayHeader] == 0xff }

// one returns the value all rows share, nil for NULL.
func (a *array) one() []byte {
	if a.isNull() {
		return nil
	}
	return a.buf[arrayHeader+4 : arrayHeader+a.first]
}

// all returns the array. It is valid until the next reset.
func (a *array) all() []byte {
	if a.count > 0 && !a.varied {
		a.spread(a.count - 1)
	}
	oid := typeOf(a.kind).oid
	if a.count == 0 { // has no dimension
		binary.BigEndian.PutUint32(a.buf[8:], oid)
		return a.buf[:12]
	}
	binary.BigEndian.PutUint32(a.buf[0:], 1)
	binary.BigEndian.PutUint32(a.buf[4:], 1) // there may be NULLs; the server looks for itself
	binary.BigEndian.PutUint32(a.buf[8:], oid)
	binary.BigEndian.PutUint32(a.buf[12:], uint32(a.count))
	binary.BigEndian.PutUint32(a.buf[16:], 1)
	return a.buf
}

// spread repeats the first element n times behind itself.
func (a *array) spread(n int) {
	a.varied = true
	if n > 0 {
		end := arrayHeader + a.first
		a.buf = slices.Insert(a.buf, end, bytes.Repeat(a.buf[arrayHeader:end], n)...)
	}
}

// added accounts for the element that begins at start.
func (a *array) added(start int) {
	a.count++
	switch {
	case a.varied:
	case a.count == 1:
		a.first = len(a.buf) - start
	case bytes.Equal(a.buf[start:], a.buf[arrayHeader:arrayHeader+a.first]):
		a.buf = a.buf[:start]
	default:
		a.spread(a.count - 2)
	}
}

// Null implements [sqlstore.Writer].
func (a *array) Null() {
	start := len(a.buf)
	a.buf = append(a.buf, 0xff, 0xff, 0xff, 0xff)
	a.added(start)
}

// Int implements [sqlstore.Writer].
func (a *array) Int(v int64) {
	start := len(a.buf)
	switch a.kind {
	case sqlstore.Int16:
		a.buf = binary.BigEndian.AppendUint16(append(a.buf, 0, 0, 0, 2), uint16(v))
	case sqlstore.Int32:
		a.buf = binary.BigEndian.AppendUint32(append(a.buf, 0, 0, 0, 4), uint32(v))
	default:
		a.buf = binary.BigEndian.AppendUint64(append(a.buf, 0, 0, 0, 8), uint64(v))
	}
	a.added(start)
}

// Bool implements [sqlstore.Writer].
func (a *array) Bool(v bool) {
	start := len(a.buf)
	a.buf = append(a.buf, 0, 0, 0, 1, 0)
	if v {
		a.buf[len(a.buf)-1] = 1
	}
	a.added(start)
}

// Text implements [sqlstore.Writer].
func (a *array) Text(v string) {
	start := len(a.buf)
	if a.kind == sqlstore.JSON || a.kind == sqlstore.Merge {
		a.buf = append(binary.BigEndian.AppendUint32(a.buf, uint32(len(v)+1)), jsonbVersion)
	} else {
		a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(v)))
	}
	a.buf = append(a.buf, v...)
	a.added(start)
}

// UUID implements [sqlstore.Writer].
func (a *array) UUID(v [16]byte) {
	start := len(a.buf)
	a.buf = append(append(a.buf, 0, 0, 0, 16), v[:]...)
	a.added(start)
}

// Blob implements [sqlstore.Writer].
func (a *array) Blob(v []byte) {
	start := len(a.buf)
	a.buf = append(binary.BigEndian.AppendUint32(a.buf, uint32(len(v))), v...)
	a.added(start)
}

// int64Param is a bigint.
func int64Param(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

// int16Param is a smallint.
func int16Param(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// arrayParam is an array of the elements that write adds.
func arrayParam(kind sqlstore.Kind, write func(a *array)) []byte {
	var a array
	a.reset(kind)
	write(&a)
	return a.all()
}
