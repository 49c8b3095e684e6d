package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// fill gives every exported member of v a value that is not zero.
func fill(t *testing.T, v reflect.Value, depth int) {
	t.Helper()
	switch v.Addr().Interface().(type) {
	case *flowfabric.ExecutionID:
		v.Set(reflect.ValueOf(flowfabric.ExecutionIDFrom(24, uuid.UUID{15: 7})))
		return
	case *flowfabric.Condition:
		v.Set(reflect.ValueOf(flowfabric.OnCount(2, flowfabric.DistinctSources, "a", "b")))
		return
	case *flowfabric.Backoff:
		v.Set(reflect.ValueOf(flowfabric.Backoff{Type: flowfabric.BackoffFixed, DelayMS: 50}))
		return
	case *time.Duration:
		v.SetInt(int64(1500 * time.Millisecond))
		return
	case *error:
		v.Set(reflect.ValueOf(&flowfabric.Error{Code: flowfabric.CodeStaleLease, Op: "op", Detail: "d", Attrs: map[string]string{"a": "b"}}))
		return
	case *json.RawMessage:
		v.SetBytes([]byte(`{"a":1}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(9)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), depth)
		}
	case reflect.Slice:
		if depth > 12 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, depth+1)
		fill(t, value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		if depth > 12 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i), depth+1)
			}
		}
	default:
		t.Fatalf("a member of type %s has no JSON form", v.Type())
	}
}

// exported has ids compared by what is inside.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

var snake = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func TestOps_EveryCommandAndAnswerIsReadAsItWasWritten(t *testing.T) {
	for name, op := range wire.Ops {
		if !snake.MatchString(name) {
			t.Errorf("operation %q is not in snake_case", name)
		}
		if op.Summary == "" || op.Tag == "" || strings.HasSuffix(op.Summary, ".") {
			t.Errorf("operation %q is about %q: %q; want a line in summary.go, without a full stop", name, op.Tag, op.Summary)
		}
		for _, typ := range []reflect.Type{op.In, op.Out} {
			for _, full := range []bool{false, true} {
				in := reflect.New(typ)
				if full {
					fill(t, in.Elem(), 0)
				}
				text, err := wire.Marshal(in.Interface())
				if err != nil {
					t.Errorf("%s: %s: %v", name, typ, err)
					continue
				}
				out := reflect.New(typ)
				if err := wire.Decode(text, out.Interface()); err != nil {
					t.Errorf("%s: %s: %v\n%s", name, typ, err, text)
					continue
				}
				if diff := cmp.Diff(in.Elem().Interface(), out.Elem().Interface(), exported, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s differs after a round trip (-wrote +read):\n%s", name, typ, diff)
				}
			}
		}
	}
}

// methods records which method of a service is called.
type methods struct {
	flowfabric.Service
}

func TestOps_EveryMethodOfTheServiceIsAnOperation(t *testing.T) {
	service := reflect.TypeFor[flowfabric.Service]()
	if got, want := len(wire.Ops), service.NumMethod(); got != want {
		t.Errorf("%d operations for %d methods", got, want)
	}
	for name, op := range wire.Ops {
		func() {
			defer func() { // the service has no methods: the call panics, but for the right reason
				if r := recover(); r == nil {
					t.Errorf("%s calls nothing", name)
				}
			}()
			_, _ = op.Invoke(context.Background(), methods{}, op.New())
		}()
	}
}

func TestDecode_SaysWhichFieldIsWrongAndNotWhatItSaid(t *testing.T) {
	for _, c := range []struct {
		name, text, field, detail string
		syntax                    bool
	}{
		{"no JSON", `{"lane":`, "", "the body is not valid JSON, at byte 8", true},
		{"unknown", `{"lane":"a","secret":1}`, "/secret", "unknown field", false},
		{"nested unknown", `{"policy":{"timeout_policy":{"secret":1}}}`, "/policy/timeout_policy/secret", "unknown field", false},
		{"wrong type", `{"priority":"secret"}`, "/priority", "want an integer, not a JSON string", false},
		{"text for a span", `{"delay_ms":"1h"}`, "/delay_ms", "want a number, in milliseconds, not a JSON string", false},
		{"a long span", `{"delay_ms":1e30}`, "/delay_ms", "want a number, in milliseconds, that is valid", false},
		{"a span with a huge exponent", `{"delay_ms":1e999999999}`, "/delay_ms", "want a number, in milliseconds, that is valid", false},
		{"bad id", `{"id":"secret"}`, "/id", "is not valid", false},
		{"not base64", `{"payload":"secret!"}`, "/payload", "want a base64 string, not a JSON string", false},
		{"nothing", ` null `, "", "want an object, not a JSON null", false},
		{"no object", `[]`, "", "want an object, not a JSON [", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var cmd flowfabric.Submit
			err := wire.Decode([]byte(c.text), &cmd)
			var bad *wire.BadJSON
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, want a BadJSON", err)
			}
			if diff := cmp.Diff(wire.BadJSON{Syntax: c.syntax, Field: c.field, Detail: c.detail}, *bad); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResources_PathsNameMembersOfTheirCommands(t *testing.T) {
	for _, res := range wire.Resources {
		for _, name := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(res.Path, -1) {
			err := wire.Set(res.Op.New(), name[1], "a")
			var bad *wire.BadJSON
			if errors.As(err, &bad) && bad.Detail == "unknown parameter" {
				t.Errorf("%s %s: the command has no member %s", res.Method, res.Path, name[1])
			}
		}
	}
}

func TestSpan_IsExact(t *testing.T) {
	for span, want := range map[time.Duration]string{
		0: "0", 1: "0.000001", -1: "-0.000001", time.Millisecond: "1", time.Millisecond + 500*time.Microsecond: "1.5",
		-(2*time.Second + 7): "-2000.000007", time.Hour: "3600000",
	} {
		text, err := wire.Marshal(span)
		if err != nil || string(text) != want {
			t.Errorf("%d ns is %s, %v; want %s", span, text, err, want)
		}
		var again time.Duration
		if err := wire.Unmarshal(text, &again); err != nil || again != span {
			t.Errorf("%s is read as %d, %v; want %d", text, again, err, span)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"lane":"a","delay_ms":1e3,"payload":"AA==","policy":{"limits":{"budgets":[]}}}`)
	f.Add(`{"delay_ms":1e999999}`)
	f.Add(`{"delay_ms":-9223372036854.775808}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, op := range wire.Ops {
			err := wire.Decode([]byte(text), op.New())
			var bad *wire.BadJSON
			if err != nil && !errors.As(err, &bad) {
				t.Errorf("%s: %v is no BadJSON", op.Name, err)
			}
		}
	})
}
