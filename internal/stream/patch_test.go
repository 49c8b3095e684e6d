package stream

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestMerge_RFC7396 is appendix A of the RFC.
func TestMerge_RFC7396(t *testing.T) {
	for _, tc := range []struct{ original, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		if got := text(t, merge(value(t, tc.original), value(t, tc.patch))); got != tc.want {
			t.Errorf("%s merged with %s is %s, want %s", tc.original, tc.patch, got, tc.want)
		}
	}
}

// TestSummary_CornerCases is the table of FIX-E7, and the sentinel.
func TestSummary_CornerCases(t *testing.T) {
	for _, tc := range []struct{ name, doc, patch, want string }{
		{"an empty object changes nothing", `{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":1}}`},
		{"an empty array stays one", `{"a":1}`, `{"a":[]}`, `{"a":[]}`},
		{"integers beyond 2^53", `{}`, `{"a":9007199254740993}`, `{"a":9007199254740993}`},
		{"long decimals", `{"a":0.10000000000000000001e5}`, `{"b":1.50}`, `{"a":0.10000000000000000001e5,"b":1.50}`},
		{"the sentinel", `{}`, `{"a":"__ff_null__"}`, `{"a":null}`},
		{"the sentinel in an array", `{}`, `{"a":[1,["__ff_null__"],{"b":"__ff_null__"}]}`, `{"a":[1,[null],{"b":null}]}`},
		{"a key is not a value", `{}`, `{"__ff_null__":1}`, `{"__ff_null__":1}`},
		{"text that only holds it", `{}`, `{"a":"__ff_null__ "}`, `{"a":"__ff_null__ "}`},
		{"what HTML would escape", `{}`, `{"a":"<&>"}`, `{"a":"<&>"}`},
		{"null deletes what null is", `{"a":null}`, `{"a":null}`, `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, err := fold(&record.Summary{Document: []byte(tc.doc), Patches: 4}, tc.patch)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{tc.want, int64(5)}, []any{string(n.Document), n.Patches}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSummary_DepthIsBounded(t *testing.T) {
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "{}" + strings.Repeat("}", n) }
	arrays := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for _, tc := range []struct {
		name, patch string
		want        ff.Code
	}{
		{"16 levels below the root", objects(16), ""},
		{"17 levels below the root", objects(17), ff.CodePatchDepthExceeded},
		{"32 arrays", arrays(32), ""},
		{"33 arrays", arrays(33), ff.CodePatchDepthExceeded},
	} {
		if _, err := fold(nil, tc.patch); codeOf(err) != tc.want {
			t.Errorf("%s: error %v, want code %q", tc.name, err, tc.want)
		}
	}
}

func TestSummary_BadPatchesAreRefused(t *testing.T) {
	for patch, want := range map[string]string{
		``:                 "patch payload is not valid JSON",
		`{`:                "patch payload is not valid JSON",
		`{} {}`:            "patch payload is not valid JSON",
		"{\"a\":\"\xff\"}": "patch payload is not valid JSON",
		`[]`:               "patch must be a JSON object",
		`null`:             "patch must be a JSON object",
		`"__ff_null__"`:    "patch must be a JSON object",
	} {
		_, err := fold(nil, patch)
		if e, ok := err.(*ff.Error); !ok || e.Code != ff.CodeInvalidInput || e.Detail != want { //nolint:errorlint // made by the rule itself
			t.Errorf("%q: error %v, want invalid_input, %s", patch, err, want)
		}
	}
}

func TestSummary_UnreadableDocumentIsCorruption(t *testing.T) {
	for _, doc := range []string{``, `{`, `[]`} {
		if _, err := fold(&record.Summary{Document: []byte(doc)}, `{}`); codeOf(err) != ff.CodeCorruption {
			t.Errorf("document %q: error %v, want corruption", doc, err)
		}
	}
}

// J8, J9: whatever the patches, the document holds no sentinel, and an untouched key keeps its value.
func TestSummary_J9_NoSentinelIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum *record.Summary
		model := any(map[string]any{})
		patches := rapid.SliceOfN(drawObject(3), 1, 6).Draw(t, "patches")
		for _, p := range patches {
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if sum, err = fold(sum, string(data)); err != nil {
				t.Fatal(err)
			}
			model = foldModel(model, p)
		}
		var got any
		if err := json.Unmarshal(sum.Document, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, model) || sum.Patches != int64(len(patches)) {
			t.Fatalf("document %s of version %d, want %v of version %d", sum.Document, sum.Patches, model, len(patches))
		}
		if strings.Contains(string(sum.Document), `:"__ff_null__"`) {
			t.Fatalf("J9: %s", sum.Document)
		}
	})
}

// foldModel says in one pass what merging and the sentinel come to, on copies.
func foldModel(target, patch any) any {
	switch p := patch.(type) {
	case string:
		if p == "__ff_null__" {
			return nil
		}
		return p
	case []any:
		list := make([]any, len(p))
		for i, v := range p {
			list[i] = foldModel(nil, v)
			if m, ok := v.(map[string]any); ok { // an object in an array is a value: its nulls stay
				list[i] = literal(m)
			}
		}
		return list
	case map[string]any:
		n := map[string]any{}
		if old, ok := target.(map[string]any); ok {
			maps.Copy(n, old)
		}
		for k, v := range p {
			if v == nil {
				delete(n, k)
			} else {
				n[k] = foldModel(n[k], v)
			}
		}
		return n
	default:
		return patch
	}
}

func literal(v any) any {
	switch v := v.(type) {
	case string:
		return foldModel(nil, v)
	case []any:
		return foldModel(nil, v)
	case map[string]any:
		n := map[string]any{}
		for k, of := range v {
			n[k] = literal(of)
		}
		return n
	default:
		return v
	}
}

func drawObject(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "__ff_null__"}), drawValue(depth), 0, 3).Draw(t, "object")
	})
}

func drawValue(depth int) *rapid.Generator[any] {
	leaves := []any{nil, true, 1.5, "x", "__ff_null__", []any{}}
	if depth == 0 {
		return rapid.SampledFrom(leaves)
	}
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return drawObject(depth-1).Draw(t, "in")
		case 1:
			return rapid.SliceOfN(drawValue(depth-1), 0, 3).Draw(t, "list")
		default:
			return rapid.SampledFrom(leaves).Draw(t, "leaf")
		}
	})
}

func FuzzPatch(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"b":["__ff_null__"]}}`, `[1]`, `{"a":1e999}`, "\xff"} {
		f.Add(`{"a":1}`, seed)
	}
	f.Fuzz(func(t *testing.T, doc, patch string) {
		n, err := fold(&record.Summary{Document: []byte(doc)}, patch)
		if err != nil {
			return
		}
		again, err := fold(n, `{}`)
		if err != nil || string(again.Document) != string(n.Document) {
			t.Fatalf("%s folded with nothing is %s, error %v", n.Document, again.Document, err)
		}
	})
}

func fold(stored *record.Summary, patch string) (*record.Summary, error) {
	s, err := open(stored)
	if err != nil {
		return nil, err
	}
	if err := s.apply([]byte(patch)); err != nil {
		return nil, err
	}
	return s.close(record.SummaryKey{}, 1)
}

func value(t *testing.T, s string) any {
	t.Helper()
	v, err := parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func codeOf(err error) ff.Code {
	if e, ok := err.(*ff.Error); ok { //nolint:errorlint // made by the rule itself
		return e.Code
	}
	return ""
}
