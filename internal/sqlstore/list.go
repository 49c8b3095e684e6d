package sqlstore

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
)

// list maps texts without commas to a column of kind List, or of kind Text that holds them joined by commas.
func list[R any](name string, kind Kind, field func(*R) *[]string) Column[R] {
	return Column[R]{
		Name: name, Kind: kind,
		Write:   func(r *R, w Writer) { w.Text(strings.Join(*field(r), ",")) },
		Read:    func(r *R, v Reader) { *field(r) = splitList(v.Text()) },
		Changed: func(a, b *R) bool { return !slices.Equal(*field(a), *field(b)) },
	}
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// jsonColumn maps a field to JSON text, NULL when isNull, that is only inserted. What cannot be decoded is left zero.
func jsonColumn[R any, T any](name string, field func(*R) *T, isNull func(T) bool) Column[R] {
	return Column[R]{
		Name: name, Kind: JSON,
		Write: func(r *R, w Writer) {
			if v := *field(r); isNull(v) {
				w.Null()
			} else {
				writeJSON(w, v)
			}
		},
		Read: func(r *R, v Reader) {
			if !v.IsNull() {
				_ = json.Unmarshal([]byte(v.Text()), field(r))
			}
		},
	}
}

// sharedJSON is a jsonColumn whose records share the value if they have the same text as the record that was read before: many
// executions have one policy. Nobody may change it, nor hand it out.
func sharedJSON[R any, T any](name string, field func(*R) *T, isNull func(T) bool) Column[R] {
	type decoded struct {
		text  string
		value T
	}
	var last atomic.Pointer[decoded]
	c := jsonColumn(name, field, isNull)
	c.Read = func(r *R, v Reader) {
		if v.IsNull() {
			return
		}
		text := v.Text()
		d := last.Load()
		if d == nil || d.text != text {
			d = &decoded{text: text}
			_ = json.Unmarshal([]byte(text), &d.value)
			last.Store(d)
		}
		*field(r) = d.value
	}
	return c
}

// writeJSON writes a value, which was validated on entry, as JSON. One that is written for every execution appends itself: that
// takes a tenth of the time.
func writeJSON(w Writer, v any) {
	if a, ok := v.(interface{ AppendJSON(b []byte) []byte }); ok {
		w.Text(string(a.AppendJSON(make([]byte, 0, 256))))
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("sqlstore: a record holds what JSON cannot express: " + err.Error())
	}
	w.Text(string(b))
}
