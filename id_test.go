package flowfabric

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const someUUID = "550e8400-e29b-41d4-a716-446655440000"

func TestParseExecutionID(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		reason         ErrorReason
	}{
		{name: "version 4", in: "{fp:86}:" + someUUID, want: "{fp:86}:" + someUUID},
		{name: "nil uuid", in: "{fp:1}:00000000-0000-0000-0000-000000000000", want: "{fp:1}:00000000-0000-0000-0000-000000000000"},
		{name: "upper case is lowered", in: "{fp:0}:" + strings.ToUpper(someUUID), want: "{fp:0}:" + someUUID},
		{name: "largest partition", in: "{fp:65535}:" + someUUID, want: "{fp:65535}:" + someUUID},
		{name: "bare uuid", in: someUUID, reason: ReasonMissingTag},
		{name: "empty", in: "", reason: ReasonMissingTag},
		{name: "no separator", in: "{fp:1}" + someUUID, reason: ReasonMissingTag},
		{name: "old tag", in: "{p:1}:" + someUUID, reason: ReasonMissingTag},
		{name: "letters", in: "{fp:xx}:" + someUUID, reason: ReasonInvalidPartitionIndex},
		{name: "no index", in: "{fp:}:" + someUUID, reason: ReasonInvalidPartitionIndex},
		{name: "index one over", in: "{fp:65536}:" + someUUID, reason: ReasonInvalidPartitionIndex},
		{name: "no uuid", in: "{fp:1}:", reason: ReasonInvalidUUID},
		{name: "unhyphenated", in: "{fp:1}:550e8400e29b41d4a716446655440000", reason: ReasonInvalidUUID},
		{name: "urn", in: "{fp:1}:urn:uuid:" + someUUID, reason: ReasonInvalidUUID},
		{name: "braced", in: "{fp:1}:{" + someUUID + "}", reason: ReasonInvalidUUID},
		{name: "trailing space", in: "{fp:1}:" + someUUID + " ", reason: ReasonInvalidUUID},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseExecutionID(tc.in)
			if tc.reason == "" {
				if err != nil || got.String() != tc.want {
					t.Fatalf("got %q, %v; want %q", got, err, tc.want)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeInvalidInput || e.Attrs["reason"] != string(tc.reason) {
				t.Fatalf("got %v, want invalid_input with reason %s", err, tc.reason)
			}
		})
	}
}

func TestExecutionID_ConstructorsPlaceIt(t *testing.T) {
	cfg := DefaultPartitions()
	if got := SoloExecutionID("default", cfg).Partition(); got != (Partition{FamilyFlow, 86}) {
		t.Errorf("solo on default lies on %s, want {fp:86}", got)
	}
	flow := FlowID(uuid.MustParse(someUUID))
	if got := FlowExecutionID(flow, cfg).Partition(); got != (Partition{FamilyFlow, 24}) {
		t.Errorf("member lies on %s, want {fp:24}", got)
	}
	u := uuid.MustParse(someUUID)
	if got := SoloExecutionIDWith("a", cfg, u).String(); got != "{fp:135}:"+someUUID {
		t.Errorf("got %s", got)
	}
	if a, b := SoloExecutionID("a", cfg), SoloExecutionID("a", cfg); a.Compare(b) >= 0 {
		t.Errorf("ids minted in order do not sort in order: %s, %s", a, b)
	}
}

func TestExecutionID_JSON(t *testing.T) {
	var in struct{ ID ExecutionID }
	if err := json.Unmarshal([]byte(`{"ID":"{fp:3}:`+someUUID+`"}`), &in); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(in)
	if err != nil || string(out) != `{"ID":"{fp:3}:`+someUUID+`"}` {
		t.Fatalf("got %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"ID":"nonsense"}`), &in); !errors.Is(err, ErrInvalidInput) {
		t.Fatalf("got %v, want invalid_input", err)
	}
}

func FuzzParseExecutionID(f *testing.F) {
	for _, s := range []string{"", "{fp:86}:" + someUUID, "{fp:65536}:" + someUUID, "{fp:1}:" + strings.ToUpper(someUUID), "{fp:01}:" + someUUID} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseExecutionID(s)
		if err != nil {
			if !errors.Is(err, ErrInvalidInput) {
				t.Fatalf("uncoded error %v", err)
			}
			return
		}
		again, err := ParseExecutionID(id.String())
		if err != nil || again != id {
			t.Fatalf("%q reads as %q, which reads as %q, %v", s, id, again, err)
		}
	})
}

func TestNames_Bounds(t *testing.T) {
	long := strings.Repeat("x", MaxNameBytes)
	for _, tc := range []struct {
		name string
		err  error
		ok   bool
	}{
		{"lane of 64", LaneID(strings.Repeat("x", 64)).Validate(), true},
		{"lane of 65", LaneID(strings.Repeat("x", 65)).Validate(), false},
		{"lane with space", LaneID("a b").Validate(), true},
		{"empty lane", LaneID("").Validate(), false},
		{"lane with DEL", LaneID("a\x7f").Validate(), false},
		{"lane with UTF-8", LaneID("ä").Validate(), false},
		{"worker of 256", WorkerID(long).Validate(), true},
		{"worker of 257", WorkerID(long + "x").Validate(), false},
		{"empty worker", WorkerID("").Validate(), false},
		{"worker with space", WorkerInstanceID("a b").Validate(), false},
		{"worker with control", WorkerInstanceID("a\x01").Validate(), false},
		{"namespace not UTF-8", Namespace("a\xff").Validate(), false},
		{"namespace", Namespace("tenant-ü").Validate(), true},
	} {
		if (tc.err == nil) != tc.ok || tc.err != nil && !errors.Is(tc.err, ErrInvalidInput) {
			t.Errorf("%s: got %v, want ok=%v", tc.name, tc.err, tc.ok)
		}
	}
}
