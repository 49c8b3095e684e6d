package flowfabric

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The stored forms of chapter 40, section 14.1.
func TestCondition_JSON(t *testing.T) {
	named := OnCount(2, DistinctSources, "a", "b")
	named.SignalName = "ok"
	for text, want := range map[string]Condition{
		`"OperatorOnly"`: OnOperator(),
		`"TimeoutOnly"`:  OnTimeout(),
		`{"Single":{"waitpoint_key":"a","matcher":"Wildcard"}}`:                                                                OnSignal("a"),
		`{"Single":{"waitpoint_key":"a","matcher":{"ByName":"ok"}}}`:                                                           OnNamed("a", "ok"),
		`{"Composite":{"kind":"AllOf","members":[{"Single":{"waitpoint_key":"a","matcher":"Wildcard"}}]}}`:                     OnAll(OnSignal("a")),
		`{"Composite":{"kind":"Count","n":2,"count_kind":"DistinctSources","matcher":{"ByName":"ok"},"waitpoints":["a","b"]}}`: named,
		`{"Composite":{"kind":"Count","n":1,"count_kind":"DistinctWaitpoints","waitpoints":["a","b"]}}`:                        OnAny("a", "b"),
		`{"Composite":{"kind":"Count","n":3,"count_kind":"DistinctSignals","waitpoints":["a"]}}`:                               OnCount(3, DistinctSignals, "a"),
	} {
		got, err := json.Marshal(want)
		if string(got) != text || err != nil {
			t.Errorf("%+v is %s, %v; want %s", want, got, err, text)
		}
		var back Condition
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestCondition_UnmarshalRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{
		`"Never"`, `{}`, `null1`, `[]`, `{"Single":{"waitpoint_key":"a","matcher":"Any"}}`, `{"Single":{"waitpoint_key":"a","matcher":{"ByName":""}}}`,
		`{"Single":{"waitpoint_key":"a","matcher":"Wildcard"},"Composite":{"kind":"AllOf"}}`, `{"Composite":{"kind":"OneOf"}}`,
		`{"Composite":{"v":2,"kind":"AllOf","members":["OperatorOnly"]}}`, `{"Single":{"waitpoint_key":"a","matcher":"Wildcard","more":1}}`,
	} {
		var c Condition
		if err := json.Unmarshal([]byte(text), &c); err == nil {
			t.Errorf("%s is read as %+v", text, c)
		}
	}
	var c Condition // FIX-S9: version 1 may be said
	if err := json.Unmarshal([]byte(`{"Composite":{"v":1,"kind":"AllOf","members":[{"Single":{"waitpoint_key":"a","matcher":"Wildcard"}}]}}`), &c); err != nil {
		t.Error(err)
	}
}

// A condition of very many levels is refused before it is looked at: level by level it would take minutes.
func TestCondition_UnmarshalHasABound(t *testing.T) {
	open, end := `{"Composite":{"kind":"AllOf","members":[`, `]}}`
	for levels, want := range map[int]string{350: "depth 5 exceeds cap 4", 400: "condition_too_large: 17214 bytes; at most 16384 are read", 3_000: "condition_too_large"} {
		var c Condition
		err := json.Unmarshal([]byte(strings.Repeat(open, levels)+`"OperatorOnly"`+strings.Repeat(end, levels)), &c)
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d levels: %.200v, want %q", levels, err, want)
		}
	}
}

// The rules and texts of chapter 40, section 2.3, with those of FIX-S7, S8, S10 and S11.
func TestCondition_Validate(t *testing.T) {
	nested := func(depth int) Condition {
		c := OnSignal("a")
		for range depth {
			c = OnAll(c)
		}
		return c
	}
	many := func(n int) Condition {
		c := OnAll()
		for i := range n {
			c.Members = append(c.Members, OnSignal(fmt.Sprintf("%03d", i)))
		}
		return c
	}
	for name, tc := range map[string]struct {
		c    Condition
		want string // of the detail; empty for valid
	}{
		"single":                  {OnSignal("a"), ""},
		"count":                   {OnCount(2, DistinctWaitpoints, "a", "b"), ""},
		"as many as may be":       {OnCount(1000, DistinctSignals, "a"), ""},
		"one more":                {OnCount(1001, DistinctSignals, "a"), "count_n_too_large: n=1001 > 1000 at path <root>"},
		"no members":              {OnAll(OnSignal("a"), OnAll()), "allof_empty_members at path members[1]"},
		"no members at the root":  {OnAll(), "allof_empty_members at path <root>"},
		"n is zero":               {OnCount(0, DistinctSignals, "a"), "count_n_zero at path <root>"},
		"no waitpoints":           {OnAll(OnCount(1, DistinctSignals)), "count_waitpoints_empty at path members[0]"},
		"n above the waitpoints":  {OnCount(3, DistinctWaitpoints, "a", "b"), "count_exceeds_waitpoint_set: n=3 > waitpoints.len()=2 at path <root>"},
		"more signals than keys":  {OnCount(3, DistinctSignals, "a", "b"), ""},
		"four levels":             {nested(4), ""},
		"five levels":             {nested(5), "depth 5 exceeds cap 4 at path members[0].members[0].members[0].members[0]"},
		"a key twice":             {OnCount(1, DistinctSignals, "a", "a"), "count_waitpoints_repeated at path <root>"},
		"an empty key":            {OnAll(OnSignal("")), "empty_waitpoint_key at path members[0]"},
		"operator in a composite": {OnAll(OnSignal("a"), OnOperator()), "operator_only_in_composite at path members[1]"},
		"timeout in a composite":  {OnAll(OnTimeout()), "timeout_only_in_composite at path members[0]"},
		"operator":                {OnOperator(), ""},
		"reserved name":           {OnNamed("a", "__operator_only__"), "reserved_signal_name __operator_only__ at path <root>"},
		"unknown kind":            {Condition{Kind: "none_of"}, `unknown_condition "none_of" at path <root>`},
		"unknown count kind":      {OnCount(1, "DistinctDays", "a"), `unknown_count_kind "DistinctDays" at path <root>`},
		"many":                    {many(143), ""},
		"more":                    {many(200), "condition_too_large: 11"},
	} {
		err := tc.c.Validate()
		var e *Error
		switch {
		case tc.want == "" && err != nil, tc.want != "" && !errors.As(err, &e):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		case tc.want != "" && (e.Code != CodeInvalidInput || !strings.HasPrefix(e.Detail, tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// FIX-S11: the bound is on the JSON form.
func TestCondition_HasABoundInBytes(t *testing.T) {
	of := func(size int) Condition {
		c := OnAll()
		for len(mustJSON(t, c)) < size-200 {
			c.Members = append(c.Members, OnSignal(fmt.Sprintf("%03d", len(c.Members))))
		}
		last := OnSignal("x")
		with := c
		with.Members = append(slices.Clone(c.Members), last)
		last.Waitpoints[0] = strings.Repeat("x", 1+size-len(mustJSON(t, with)))
		with.Members[len(c.Members)] = last
		return with
	}
	for size, ok := range map[int]bool{8192: true, 8193: false} {
		c := of(size)
		if got := len(mustJSON(t, c)); got != size {
			t.Fatalf("the condition has %d bytes, want %d", got, size)
		}
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func mustJSON(t *testing.T, c Condition) []byte {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCondition_KeysAndNames(t *testing.T) {
	c := OnAll(OnNamed("b", "ok"), OnCount(1, DistinctSignals, "c", "a"), OnSignal("b"))
	if got := c.Keys(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("keys %q", got)
	}
	for want, c := range map[string]Condition{"": c, "ok": OnNamed("a", "ok"), "__operator_only__": OnOperator(), "__timeout_only__": OnTimeout()} {
		if got := strings.Join(c.RequiredNames(), ","); got != want {
			t.Errorf("%+v: names %q, want %q", c, got, want)
		}
	}
}

func FuzzCondition(f *testing.F) {
	f.Add(`{"Composite":{"kind":"Count","n":2,"count_kind":"DistinctSources","matcher":{"ByName":"ok"},"waitpoints":["a","b"]}}`)
	f.Add(`"TimeoutOnly"`)
	f.Fuzz(func(t *testing.T, text string) {
		var c, back Condition
		if json.Unmarshal([]byte(text), &c) != nil || c.Validate() != nil {
			return
		}
		stored, err := json.Marshal(c)
		if err == nil {
			err = json.Unmarshal(stored, &back)
		}
		if diff := cmp.Diff(c, back); diff != "" || err != nil {
			t.Errorf("%s comes back otherwise: %v\n%s", text, err, diff)
		}
	})
}
