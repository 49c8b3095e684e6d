package schema_test

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/schema"
	"github.com/flowfabric/flowfabric/internal/wire"
)

type inner struct {
	Text string `json:"text"`
}

type embedded struct {
	Deep int `json:"deep,omitzero"`
}

type all struct {
	embedded
	ID     flowfabric.ExecutionID `json:"id,omitzero"`
	Flow   flowfabric.FlowID      `json:"flow,omitzero"`
	At     flowfabric.Timestamp   `json:"at"`
	Span   time.Duration          `json:"span_ms,omitzero"`
	Bytes  []byte                 `json:"bytes,omitzero"`
	Word   flowfabric.FrameKind   `json:"word,omitzero"`
	Source flowfabric.Source      `json:"source,omitzero"`
	Maybe  *inner                 `json:"maybe"`
	Many   []inner                `json:"many,omitzero"`
	Named  map[string]uint32      `json:"named,omitzero"`
	Err    error                  `json:"err,omitzero"`
	Hidden string                 `json:"-"`
}

func TestSet_SaysWhatTypesAreInJSON(t *testing.T) {
	set := schema.NewSet("#/$defs/")
	root := set.Of(reflect.TypeFor[all](), false)
	named := set.Named()
	text, err := wire.Marshal(named)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := wire.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	uuid := "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
	object := map[string]any{
		"type": "object", "required": []any{"at"},
		"properties": map[string]any{
			"deep":    map[string]any{"type": "integer"},
			"id":      map[string]any{"type": "string", "pattern": `^\{fp:[0-9]{1,5}\}:` + uuid + "$"},
			"flow":    map[string]any{"type": "string", "format": "uuid", "pattern": "^" + uuid + "$"},
			"at":      map[string]any{"type": "integer", "format": "int64", "description": "Unix time in milliseconds"},
			"span_ms": map[string]any{"type": "number", "description": "milliseconds"},
			"bytes":   map[string]any{"type": "string", "contentEncoding": "base64"},
			"word":    map[string]any{"type": "string", "enum": []any{"event", "stdout", "stderr", "blob"}},
			"source": map[string]any{"type": "string", "examples": []any{
				"operator_override", "lease_holder", "worker", "flow_cascade", "system_timeout", "engine", "cancel_flow", "cancel_flow_header",
			}},
			"maybe": map[string]any{"anyOf": []any{map[string]any{"$ref": "#/$defs/inner"}, map[string]any{"type": "null"}}},
			"many":  map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/inner"}},
			"named": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "integer", "minimum": float64(0)}},
			"err":   map[string]any{"$ref": "#/$defs/ErrorBody"},
		},
	}
	if diff := cmp.Diff(object, got["all"]); diff != "" || root.Ref != "#/$defs/all" {
		t.Errorf("%s (-want +got):\n%s", root.Ref, diff)
	}
	want := map[string]any{"type": "object", "required": []any{"text"}, "properties": map[string]any{"text": map[string]any{"type": "string"}}}
	if diff := cmp.Diff(want, got["inner"]); diff != "" {
		t.Errorf("inner (-want +got):\n%s", diff)
	}
}

func TestSet_WhatIsSentNeedNotBeWhole(t *testing.T) {
	set := schema.NewSet("#/")
	set.Of(reflect.TypeFor[[]inner](), true)
	if got := set.Named()[0].Schema.Required; got != nil {
		t.Errorf("required %v", got)
	}
}

// TestSet_KnowsEveryTypeOfTheAPI: a type with a JSON form of its own needs a schema of its own, too.
func TestSet_KnowsEveryTypeOfTheAPI(t *testing.T) {
	set := schema.NewSet("#/")
	for _, op := range wire.Ops {
		set.Of(op.In, true)
		set.Of(op.Out, false)
	}
	names := map[string]bool{}
	for _, p := range set.Named() {
		if names[p.Name] {
			t.Errorf("two types are called %s", p.Name)
		}
		names[p.Name] = true
		for _, m := range p.Schema.Properties {
			s := m.Schema
			if s.Ref == "" && s.Type == nil && s.AnyOf == nil && s.OneOf == nil && p.Name+"."+m.Name != "Event.details" && p.Name+"."+m.Name != "StreamSummary.document" {
				t.Errorf("%s.%s may be anything", p.Name, m.Name)
			}
		}
	}
	for _, want := range []string{"Submit", "Claimed", "wire.Claimed", "PageOfLaneSnapshot", "Backoff", "Condition", "ErrorBody"} {
		if !names[want] {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestParams_AreWhatAQueryMaySay(t *testing.T) {
	sample := map[string]string{"integer": "1", "number": "1.5", "boolean": "true", "string": "a", "array": "a,a"}
	for _, res := range wire.Resources {
		if !res.InQuery() {
			continue
		}
		for _, p := range schema.NewSet("").Params(res.Op.In) {
			kind, _ := p.Schema.Type.(string)
			text := sample[kind]
			switch {
			case len(p.Schema.Enum) > 0:
				text = p.Schema.Enum[0]
			case p.Schema.Format == "uuid":
				text = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
			case kind == "string" && p.Schema.Pattern != "" && p.Schema.Description == "":
				text = "{fp:7}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"
			case kind == "string" && p.Schema.Pattern != "":
				text = "1-2"
			}
			if err := wire.SetQuery(res.Op.New(), url.Values{p.Name: {text}}); err != nil {
				t.Errorf("%s: %s=%q: %v", res.Path, p.Name, text, err)
			}
		}
	}
	var names []string
	for _, p := range schema.NewSet("").Params(reflect.TypeFor[flowfabric.ReadEvents]()) {
		names = append(names, p.Name)
	}
	want := []string{
		"family", "after", "filter.types", "filter.namespace", "filter.execution_id", "filter.flow_id", "filter.lane", "filter.kind",
		"filter.tag_key", "filter.tag_value", "limit", "wait_ms",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("parameters of events (-want +got):\n%s", diff)
	}
}
