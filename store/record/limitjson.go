package record

import (
	"encoding/json"
	"strconv"

	"github.com/flowfabric/flowfabric"
)

// AppendJSON appends what [json.Marshal] makes of the limits.
func (l *Limits) AppendJSON(b []byte) []byte {
	if l == nil {
		return append(b, "null"...)
	}
	o := object{b: append(b, '{')}
	if len(l.Budgets) > 0 {
		o.list("b", len(l.Budgets), func(b []byte, i int) []byte { return l.Budgets[i].appendJSON(b) })
	}
	if len(l.Quotas) > 0 {
		o.list("q", len(l.Quotas), func(b []byte, i int) []byte {
			q := object{b: append(b, '{')}
			q.text("quota_id", l.Quotas[i].ID.String())
			if key := l.Quotas[i].Key; key != "" {
				q.text("key", key)
			}
			return append(q.b, '}')
		})
	}
	if l.Admitted {
		o.b = append(o.name("a"), "true"...)
	}
	if l.Since != 0 {
		o.b = strconv.AppendUint(o.name("s"), l.Since, 10)
	}
	if l.Gate != "" {
		o.text("g", l.Gate)
	}
	if l.Pass {
		o.b = append(o.name("p"), "true"...)
	}
	return append(o.b, '}')
}

func (u *BudgetUse) appendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.text("id", u.ID.String())
	o.amounts("e", u.Estimate)
	o.amounts("r", u.Reserved)
	return append(o.b, '}')
}

// object is a JSON object that is being written.
type object struct {
	b    []byte
	more bool
}

// name appends the name of a member.
func (o *object) name(name string) []byte {
	if o.more {
		o.b = append(o.b, ',')
	}
	o.more = true
	return append(appendText(o.b, name), ':')
}

func (o *object) text(name, text string) { o.b = appendText(o.name(name), text) }

func (o *object) list(name string, n int, element func(b []byte, i int) []byte) {
	b := append(o.name(name), '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = element(b, i)
	}
	o.b = append(b, ']')
}

func (o *object) amounts(name string, a flowfabric.Amounts) {
	if len(a) == 0 {
		return
	}
	in := object{b: append(o.name(name), '{')}
	for _, d := range a.Dimensions() {
		in.b = strconv.AppendInt(in.name(d), a[d], 10)
	}
	o.b = append(in.b, '}')
}

// appendText appends a string. What needs to be escaped is left to the library.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string: cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
