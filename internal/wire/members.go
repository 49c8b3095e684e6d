package wire

import (
	"bytes"
	"encoding"
	"errors"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
)

// DecodeMembers reads a command in the way of the reference's routes (chapter 70, section 2): a member nobody knows is passed
// over at every depth. into points to a struct whose tags say what may be left out:
//
//	Name string  `json:"name"`          // must be there, and not null
//	Tags tags    `json:"tags,omitzero"` // may be left out, and may not be null
//	Key  *string `json:"key,omitzero"`  // may be left out, and null says the same
//
// With strict, a member nobody knows is refused with [flowfabric.ErrInvalidInput], which names it by its path. Any other error is
// a [*BadJSON].
func DecodeMembers(text []byte, into any, strict bool) error {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	value, err := dec.ReadValue()
	if err == nil {
		value = value.Clone()
		if _, more := dec.ReadToken(); !errors.Is(more, io.EOF) {
			return &BadJSON{Syntax: true, Detail: "something follows the body's JSON value"}
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return &BadJSON{Syntax: true, Detail: "the body is empty"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &BadJSON{Detail: "a member is given twice"}
	case err != nil:
		return badJSON(err, "")
	}
	return decodeMembers(value, reflect.ValueOf(into).Elem(), "", strict)
}

func decodeMembers(text jsontext.Value, into reflect.Value, at string, strict bool) error {
	if text.Kind() != '{' {
		return &BadJSON{Field: at, Detail: "want an object, not a JSON " + text.Kind().String()}
	}
	known := membersOf(into.Type())
	seen := make([]bool, len(known))
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if _, err := dec.ReadToken(); err != nil {
		return badJSON(err, at)
	}
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return badJSON(err, at)
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return badJSON(err, at)
		}
		path := at + "/" + name
		switch i := slices.IndexFunc(known, func(m memberInfo) bool { return m.name == name }); {
		case i >= 0:
			if err := decodeMember(value, into.Field(known[i].index), path, strict); err != nil {
				return err
			}
			seen[i] = true
		case strict:
			dotted := strings.ReplaceAll(path[1:], "/", ".")
			return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: "unknown field " + dotted, Attrs: map[string]string{"field": path}}
		}
	}
	for i, m := range known {
		if m.required && !seen[i] {
			return &BadJSON{Field: at + "/" + m.name, Detail: "is missing; want " + kindOf(into.Type().Field(m.index).Type)}
		}
	}
	return nil
}

func decodeMember(text jsontext.Value, into reflect.Value, at string, strict bool) error {
	switch optional := into.Kind() == reflect.Pointer; {
	case text.Kind() == 'n' && optional:
		return nil
	case text.Kind() == 'n':
		return &BadJSON{Field: at, Detail: "want " + kindOf(into.Type()) + ", not null"}
	case optional:
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if into.Kind() == reflect.Struct && !readsItself(into.Type()) {
		return decodeMembers(text, into, at, strict)
	}
	if err := json.Unmarshal(text, into.Addr().Interface(), lenient); err != nil {
		return badJSON(err, at)
	}
	return nil
}

// readsItself reports whether a type has a JSON form of its own.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || p.Implements(reflect.TypeFor[json.UnmarshalerFrom]())
}

// memberInfo is what a struct says of one of its members.
type memberInfo struct {
	name     string // in JSON
	index    int
	required bool
}

var memberCache sync.Map // reflect.Type to []memberInfo

// membersOf are the members of a struct that JSON knows, in their order.
func membersOf(t reflect.Type) []memberInfo {
	if known, ok := memberCache.Load(t); ok {
		return known.([]memberInfo)
	}
	var known []memberInfo
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known = append(known, memberInfo{name: name, index: i, required: !strings.Contains(options, "omitzero")})
		}
	}
	memberCache.Store(t, known)
	return known
}

// SetMembers gives a struct what a query says, as [DecodeMembers] does with a body: parameters nobody knows are passed over, and
// those that may not be left out must be there, once. Its error is a [*BadJSON].
func SetMembers(into any, query url.Values) error {
	v := reflect.ValueOf(into).Elem()
	for _, m := range membersOf(v.Type()) {
		texts, field := query[m.name], v.Field(m.index)
		switch {
		case len(texts) > 1:
			return &BadJSON{Field: "/" + m.name, Detail: "duplicate field"}
		case len(texts) == 0 && m.required:
			return &BadJSON{Field: "/" + m.name, Detail: "missing field"}
		case len(texts) == 1:
			if err := setText(field, texts[0]); err != nil {
				return &BadJSON{Field: "/" + m.name, Detail: "want " + kindOf(field.Type()) + " that is valid"}
			}
		}
	}
	return nil
}
