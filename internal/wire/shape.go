package wire

import (
	"encoding"
	"reflect"
	"time"
)

var (
	spanType = reflect.TypeFor[time.Duration]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// kindOf names what a member of a type looks like in JSON.
func kindOf(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == spanType:
		return "a number, in milliseconds"
	case t.Implements(textType) || t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a base64 string"
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return "an array"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "an object"
	case t.Kind() == reflect.Bool:
		return "a boolean"
	case t.Kind() == reflect.Float64:
		return "a number"
	default:
		return "an integer"
	}
}
