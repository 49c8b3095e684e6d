package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is a variable and what it comes to.
type Setting struct{ Name, Value string }

// Effective lists all settings with what they come to, secrets masked.
func (s *Server) Effective() []Setting {
	v := reflect.ValueOf(*s)
	settings := make([]Setting, v.NumField())
	for i := range settings {
		settings[i] = Setting{v.Type().Field(i).Tag.Get("env"), text(v.Field(i))}
	}
	return settings
}

func text(v reflect.Value) string {
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(parts, ",")
}

// Variable is a variable of the environment.
type Variable struct {
	Name    string
	Default string
	Help    string
}

// Variables lists those of [Server].
func Variables() []Variable {
	t := reflect.TypeFor[Server]()
	vars := make([]Variable, t.NumField())
	for i := range vars {
		tag := t.Field(i).Tag
		vars[i] = Variable{tag.Get("env"), tag.Get("envDefault"), tag.Get("help")}
	}
	return vars
}
