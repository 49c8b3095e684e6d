package schema

import (
	"reflect"
	"strings"
)

// Param is a parameter of a query.
type Param struct {
	Name   string
	Schema *Schema // of its value; an array is a list with commas
}

// Params are what [wire.SetQuery] gives to the members of a struct: all of its members that a text can stand for, and those of
// objects in it, as object.member.
func (s *Set) Params(t reflect.Type) []Param { return s.params(t, "") }

func (s *Set) params(t reflect.Type, prefix string) []Param {
	var all []Param
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case isText(inner):
			schema := s.of(inner)
			if text := texts[textName(t)+"."+name]; text != "" {
				schema.Description = strings.TrimPrefix(schema.Description+": "+text, ": ")
			}
			all = append(all, Param{prefix + name, schema})
		case f.Type.Kind() == reflect.Struct:
			all = append(all, s.params(f.Type, prefix+name+".")...)
		}
	}
	return all
}

// isText reports whether a value of a type can be read from a text.
func isText(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(unmarshalType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64:
		return true
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8 && t.Elem().Kind() != reflect.Slice && isText(t.Elem())
	default:
		return false
	}
}
