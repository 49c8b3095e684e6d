package schema

import (
	"encoding"
	stdjson "encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Schema is a JSON schema, as far as types of Go need it. The empty one takes anything.
type Schema struct {
	Ref                  string     `json:"$ref,omitzero"`
	Description          string     `json:"description,omitzero"`
	Type                 any        `json:"type,omitzero"` // a word or a list of words
	Format               string     `json:"format,omitzero"`
	Pattern              string     `json:"pattern,omitzero"`
	ContentEncoding      string     `json:"contentEncoding,omitzero"`
	Const                string     `json:"const,omitzero"`
	Enum                 []string   `json:"enum,omitzero"`
	Examples             []string   `json:"examples,omitzero"`
	Minimum              *int64     `json:"minimum,omitzero"`
	MaxItems             int        `json:"maxItems,omitzero"`
	Items                *Schema    `json:"items,omitzero"`
	Properties           Properties `json:"properties,omitzero"`
	Required             []string   `json:"required,omitzero"`
	AdditionalProperties *Schema    `json:"additionalProperties,omitzero"`
	OneOf                []*Schema  `json:"oneOf,omitzero"`
	AnyOf                []*Schema  `json:"anyOf,omitzero"`

	of reflect.Type // what Ref will lead to
}

// Properties are members in the order of the struct.
type Properties []Property

// Property is a member.
type Property struct {
	Name   string
	Schema *Schema
}

// MarshalJSONTo writes an object.
func (p Properties) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, member := range p {
		if err := enc.WriteToken(jsontext.String(member.Name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, member.Schema); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// Set is the schemas of types that refer to each other. Ask for all of them with Of, then for Named.
type Set struct {
	path  string // before the name of a schema in a reference
	seen  map[reflect.Type]*Schema
	order []reflect.Type
	refs  []*Schema
	given map[reflect.Type]bool // what callers send: no member of theirs is always there
}

// NewSet returns a set whose references begin with path.
func NewSet(path string) *Set {
	return &Set{path: path, seen: map[reflect.Type]*Schema{}, given: map[reflect.Type]bool{}}
}

// Of returns the schema of a type. sent: callers send it, and may leave out any member. A struct is a reference.
func (s *Set) Of(t reflect.Type, sent bool) *Schema {
	schema := s.of(t)
	if sent {
		s.give(t)
	}
	return schema
}

// give notes what is sent as part of t.
func (s *Set) give(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		s.give(t.Elem())
	case reflect.Struct:
		if s.given[t] || s.seen[t] == nil {
			return
		}
		s.given[t] = true
		for _, f := range fields(t) {
			s.give(f.Type)
		}
	default:
	}
}

// Named returns the schemas that are referred to, and completes the references.
func (s *Set) Named() Properties {
	names, taken := map[reflect.Type]string{}, map[string]bool{}

	for _, root := range []bool{true, false} { // the vocabulary has its names, others what is left
		for _, t := range s.order {
			if (t.PkgPath() == rootPackage) != root {
				continue
			}
			name := nameOf(t)
			if taken[name] {
				name = packageOf(t) + "." + name
			}
			names[t], taken[name] = name, true
		}
	}
	for _, ref := range s.refs {
		ref.Ref = s.path + names[ref.of]
	}
	named := make(Properties, 0, len(s.order))
	for _, t := range s.order {
		if s.given[t] {
			s.seen[t].Required = nil
		}
		named = append(named, Property{names[t], s.seen[t]})
	}
	slices.SortFunc(named, func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
	return named
}

// nameOf is the name of a type, with that of its argument.
func nameOf(t reflect.Type) string {
	name, arg, generic := strings.Cut(t.Name(), "[")
	if generic {
		name += "Of" + arg[strings.LastIndexByte(arg, '.')+1:len(arg)-1]
	}
	return name
}

func packageOf(t reflect.Type) string { return t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] }

var (
	spanType      = reflect.TypeFor[time.Duration]()
	errorType     = reflect.TypeFor[error]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshalType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType      = reflect.TypeFor[stdjson.Marshaler]()
	rawType       = reflect.TypeFor[stdjson.RawMessage]()
	bodyType      = reflect.TypeFor[wire.ErrorBody]()
)

const uuidPattern = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

func (s *Set) of(t reflect.Type) *Schema {
	switch {
	case t == reflect.TypeFor[flowfabric.Backoff]():
		return s.refer(t, backoff)
	case t == reflect.TypeFor[flowfabric.Condition]():
		return s.refer(t, condition)
	case t == errorType:
		return s.of(bodyType)
	case t == rawType, t.Kind() == reflect.Interface:
		return &Schema{}
	case t == spanType:
		return &Schema{Type: "number", Description: "milliseconds"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t == reflect.TypeFor[flowfabric.ExecutionID]():
		return &Schema{Type: "string", Pattern: `^\{fp:[0-9]{1,5}\}:` + uuidPattern + "$"}
	case t == reflect.TypeFor[flowfabric.FrameID]():
		return &Schema{Type: "string", Pattern: "^[0-9]+(-[0-9]+)?$", Description: "<ms>-<seq>"}
	case strings.HasPrefix(t.Name(), "UUID[") && t.Implements(textType):
		return &Schema{Type: "string", Format: "uuid", Pattern: "^" + uuidPattern + "$"}
	case t.Implements(textType):
		return &Schema{Type: "string"}
	case t.Implements(jsonType) || reflect.PointerTo(t).Implements(jsonType):
		return &Schema{Description: t.Name()}
	}
	switch t.Kind() {
	case reflect.String:
		return stringOf(t)
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Float64, reflect.Float32:
		return &Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", ContentEncoding: "base64"}
		}
		return &Schema{Type: "array", Items: s.of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", AdditionalProperties: s.of(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" || t.NumField() == 0 {
			return &Schema{Type: "object"}
		}
		return s.refer(t, (*Set).object)
	default:
		return integerOf(t)
	}
}

// refer returns a reference to the schema of a type, which is built once.
func (s *Set) refer(t reflect.Type, build func(*Set, reflect.Type) *Schema) *Schema {
	if s.seen[t] == nil {
		s.seen[t] = &Schema{} // it may refer to itself
		s.order = append(s.order, t)
		*s.seen[t] = *build(s, t)
	}
	ref := &Schema{of: t}
	s.refs = append(s.refs, ref)
	return ref
}

// open are string types that may say more than their words.
var open = map[string]bool{
	"Code": true, "EventCursor": true, "FailureCategory": true, "Namespace": true, "SignalEffect": true, "Source": true, "WaitReason": true,
}

// also are words that are read as one of the others.
var also = map[string][]string{"CancellationPolicy": {"cancel_flow_only"}}

func stringOf(t reflect.Type) *Schema {
	schema := &Schema{Type: "string"}
	if t.PkgPath() != rootPackage {
		return schema
	}
	for _, word := range words[t.Name()] {
		if word != "" {
			schema.Enum = append(schema.Enum, word)
		}
	}
	schema.Enum = append(schema.Enum, also[t.Name()]...)
	if open[t.Name()] {
		schema.Examples, schema.Enum = schema.Enum, nil
	}
	return schema
}

var rootPackage = reflect.TypeFor[flowfabric.Error]().PkgPath()

func integerOf(t reflect.Type) *Schema {
	schema := &Schema{Type: "integer"}
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		schema.Minimum = new(int64)
	case reflect.Int64:
		schema.Format = "int64"
		if t == reflect.TypeFor[flowfabric.Timestamp]() {
			schema.Description = "Unix time in milliseconds"
		}
	case reflect.Int32:
		schema.Format = "int32"
	default:
	}
	return schema
}

// object is the schema of a struct.
func (s *Set) object(t reflect.Type) *Schema {
	name := textName(t)
	schema := &Schema{Type: "object", Description: texts[name]}
	for _, f := range fields(t) {
		member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member == "" {
			member = f.Name
		}
		always := !strings.Contains(options, "omitzero") && !strings.Contains(options, "omitempty")
		of := s.of(f.Type)
		if text := texts[name+"."+member]; text != "" {
			of.Description = strings.TrimPrefix(of.Description+": "+text, ": ")
		}
		if always && f.Type.Kind() == reflect.Pointer {
			of = &Schema{AnyOf: []*Schema{of, {Type: "null"}}}
		} else if always {
			schema.Required = append(schema.Required, member)
		}
		schema.Properties = append(schema.Properties, Property{member, of})
	}
	return schema
}

// textName is what a type is called among the texts.
func textName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	switch t.PkgPath() {
	case rootPackage:
		return name
	case bodyType.PkgPath():
		return "wire." + name
	default:
		return packageOf(t) + "." + name
	}
}

// fields are the members of a struct in JSON, those of embedded structs among them.
func fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for f := range t.Fields() {
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && f.Tag.Get("json") == "" && f.Type.Kind() == reflect.Struct:
			all = append(all, fields(f.Type)...)
		case f.IsExported():
			all = append(all, f)
		}
	}
	return all
}

func backoff(s *Set, t reflect.Type) *Schema {
	all := s.object(t)
	pick := func(kind flowfabric.BackoffType, names ...string) *Schema {
		one := &Schema{Type: "object", Required: []string{"type"}}
		for _, p := range all.Properties {
			if p.Name == "type" {
				p.Schema = &Schema{Const: string(kind)}
			} else if !slices.Contains(names, p.Name) {
				continue
			}
			one.Properties = append(one.Properties, p)
		}
		return one
	}
	return &Schema{Description: all.Description, OneOf: []*Schema{
		pick(flowfabric.BackoffFixed, "delay_ms", "jitter"),
		pick(flowfabric.BackoffExponential, "initial_delay_ms", "max_delay_ms", "multiplier", "jitter"),
	}}
}

func condition(s *Set, t reflect.Type) *Schema {
	object := func(required []string, members ...Property) *Schema {
		return &Schema{Type: "object", Properties: members, Required: required}
	}
	text := &Schema{Type: "string"}
	word := func(word string) *Schema { return &Schema{Const: word} }
	matcher := &Schema{Description: "which signals count: any, or those of a name", OneOf: []*Schema{
		word("Wildcard"), object([]string{"ByName"}, Property{"ByName", text}),
	}}
	version := Property{"v", &Schema{Type: "integer"}}
	list := func(of *Schema) *Schema { return &Schema{Type: "array", Items: of} }
	all := object([]string{"kind", "members"}, version, Property{"kind", word("AllOf")}, Property{"members", list(s.of(t))})
	count := object([]string{"kind", "n", "count_kind", "waitpoints"}, version, Property{"kind", word("Count")},
		Property{"n", &Schema{Type: "integer", Description: "1 to " + strconv.Itoa(flowfabric.MaxCount)}},
		Property{"count_kind", s.of(reflect.TypeFor[flowfabric.CountKind]())},
		Property{"matcher", matcher}, Property{"waitpoints", list(text)})
	return &Schema{Description: "Which signals resume a suspended execution.", OneOf: []*Schema{
		word("OperatorOnly"), word("TimeoutOnly"),
		object([]string{"Single"}, Property{"Single", object([]string{"waitpoint_key", "matcher"}, Property{"waitpoint_key", text}, Property{"matcher", matcher})}),
		object([]string{"Composite"}, Property{"Composite", &Schema{OneOf: []*Schema{all, count}}}),
	}}
}

// Codes are the codes an error may have.
func Codes() []flowfabric.Code {
	var codes []flowfabric.Code
	for _, word := range words[reflect.TypeFor[flowfabric.Code]().Name()] {
		codes = append(codes, flowfabric.Code(word))
	}
	return codes
}
