package postgres

import (
	"encoding/binary"
	"strings"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// scanner decodes rows of one result in binary form. It implements [sqlstore.Reader] for the column it stands on.
type scanner struct {
	kind sqlstore.Kind
	v    []byte
	text *string  // what the column held in the row before
	last []string // by column
}

// scan decodes the columns of t, which begin at values[0].
func scan[R any](sc *scanner, t *sqlstore.Table[R], values [][]byte) *R {
	if len(sc.last) < len(t.Columns) {
		sc.last = make([]string, len(t.Columns))
	}
	r := new(R)
	for i := range t.Columns {
		c := &t.Columns[i]
		sc.kind, sc.v, sc.text = c.Kind, values[i], &sc.last[i]
		c.Read(r, sc)
	}
	return r
}

// IsNull implements [sqlstore.Reader].
func (sc *scanner) IsNull() bool { return sc.v == nil }

// Int implements [sqlstore.Reader].
func (sc *scanner) Int() int64 { return intOf(sc.v) }

// Bool implements [sqlstore.Reader].
func (sc *scanner) Bool() bool { return len(sc.v) == 1 && sc.v[0] == 1 }

// Text implements [sqlstore.Reader]. Rows of one result mostly repeat each other, so a text that was there before is
// not made again.
func (sc *scanner) Text() string {
	switch sc.kind {
	case sqlstore.List:
		return joinTextArray(sc.v)
	case sqlstore.JSON, sqlstore.Merge:
		return sc.shared(sc.v[1:]) // behind the version
	default:
		return sc.shared(sc.v)
	}
}

func (sc *scanner) shared(b []byte) string {
	if string(b) != *sc.text {
		*sc.text = string(b)
	}
	return *sc.text
}

// UUID implements [sqlstore.Reader].
func (sc *scanner) UUID() [16]byte { return [16]byte(sc.v) }

// Blob implements [sqlstore.Reader].
func (sc *scanner) Blob() []byte { return append([]byte(nil), sc.v...) }

// intOf reads an integer of any width, 0 for NULL.
func intOf(v []byte) int64 {
	switch len(v) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(v)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v)))
	case 8:
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// joinTextArray joins the elements of a text[] by commas. NULL elements, written by hand, are left out.
func joinTextArray(v []byte) string {
	if len(v) < arrayHeader { // no dimension
		return ""
	}
	var b strings.Builder
	for v = v[arrayHeader:]; len(v) >= 4; {
		n := int32(binary.BigEndian.Uint32(v))
		v = v[4:]
		if n < 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.Write(v[:n])
		v = v[n:]
	}
	return b.String()
}
