package flowfabric

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParsePolicy_ReadsTheWireForm(t *testing.T) {
	ref := func(n uint32) *uint32 { return &n }
	for _, tc := range []struct {
		text string
		want *Policy
	}{
		{`{}`, nil},
		{" {\n} ", nil},
		{`{"routing_requirements":{}}`, nil},
		{`{"timeout_policy":{}}`, nil},
		{`{"retry_policy":{}}`, &Policy{Retry: &RetryPolicy{}}},
		{`{"max_reclaim_count":0,"max_replay_count":4294967295}`, &Policy{MaxReclaims: ref(0), MaxReplays: ref(4294967295)}},
		{
			`{"retry_policy":{"max_retries":5,"backoff":{"type":"fixed","delay_ms":0,"jitter":true},"retryable_categories":["timeout"],"on_exhausted":"pause"}}`,
			&Policy{Retry: &RetryPolicy{MaxRetries: ref(5), Backoff: &Backoff{Type: "fixed", Jitter: true}, RetryableCategories: []string{"timeout"}, OnExhausted: "pause"}},
		},
		{
			`{"retry_policy":{"backoff":{"type":"exponential"}}}`,
			&Policy{Retry: &RetryPolicy{Backoff: &Backoff{Type: "exponential", InitialDelayMS: 1000, MaxDelayMS: 60000, Multiplier: 2}}},
		},
		{`{"retry_policy":{"backoff":{"type":"fixed"}}}`, &Policy{Retry: &RetryPolicy{Backoff: &Backoff{Type: "fixed", DelayMS: 1000}}}},
		{`{"routing_requirements":{"required_capabilities":["gpu","cuda","gpu"]}}`, &Policy{Routing: &RoutingRequirements{RequiredCapabilities: []string{"cuda", "gpu"}}}},
		{
			`{"timeout_policy":{"attempt_timeout_ms":1,"on_attempt_timeout":"retry","execution_deadline_ms":2},"aging_policy":{"every_ms":1000,"step":9000}}`,
			&Policy{Timeouts: &TimeoutPolicy{AttemptTimeoutMS: 1, OnAttemptTimeout: "retry", ExecutionDeadlineMS: 2}, Aging: &AgingPolicy{EveryMS: 1000, Step: 9000}},
		},
	} {
		got, err := ParsePolicy([]byte(tc.text))
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s gives %+v, %v", tc.text, got, err)
		}
	}
}

// TestW22_ParsePolicyRefusesWhatItWouldNotHonour: the fields of the reference that nothing here acts on, and every other
// way of saying something that would not happen.
func TestW22_ParsePolicyRefusesWhatItWouldNotHonour(t *testing.T) {
	for text, field := range map[string]string{
		`{"priority":5}`:                                                               "priority",
		`{"delay_until":5}`:                                                            "delay_until",
		`{"Retry_Policy":{}}`:                                                          "Retry_Policy",
		`{"fallback_policy":{"tiers":[]}}`:                                             "fallback_policy",
		`{"suspension_policy":{"default_timeout_ms":-1}}`:                              "suspension_policy.default_timeout_ms",
		`{"suspension_policy":{"timeout_behavior":"explode"}}`:                         "suspension_policy.timeout_behavior",
		`{"suspension_policy":{"resume":1}}`:                                           "suspension_policy.resume",
		`{"stream_policy":{"durability_mode":"buffered"}}`:                             "stream_policy.durability_mode",
		`{"stream_policy":{"retention_ttl_ms":1}}`:                                     "stream_policy.retention_ttl_ms",
		`{"max_signals_per_execution":0}`:                                              "max_signals_per_execution",
		`{"max_signals_per_execution":10001}`:                                          "max_signals_per_execution",
		`{"timeout_policy":{"max_reclaim_count":3}}`:                                   "timeout_policy.max_reclaim_count",
		`{"routing_requirements":{"preferred_locality":"here"}}`:                       "routing_requirements.preferred_locality",
		`{"routing_requirements":{"isolation_level":"none"}}`:                          "routing_requirements.isolation_level",
		`{"retry_policy":{"backoff":{"type":"fixed","step":1}}}`:                       "retry_policy.backoff.step",
		`{"retry_policy":{"backoff":{"type":"linear"}}}`:                               "retry_policy.backoff.type",
		`{"retry_policy":{"backoff":{}}}`:                                              "retry_policy.backoff.type",
		`{"retry_policy":{"backoff":{"type":"fixed","multiplier":2}}}`:                 "retry_policy.backoff.type",
		`{"retry_policy":{"backoff":{"type":"exponential","delay_ms":2}}}`:             "retry_policy.backoff.delay_ms",
		`{"retry_policy":{"backoff":{"type":"exponential","max_delay_ms":0}}}`:         "retry_policy.backoff.max_delay_ms",
		`{"retry_policy":{"backoff":{"type":"exponential","initial_delay_ms":60001}}}`: "retry_policy.backoff.initial_delay_ms",
		`{"retry_policy":{"backoff":{"type":"exponential","multiplier":0.5}}}`:         "retry_policy.backoff.multiplier",
		`{"retry_policy":{"on_exhausted":"explode"}}`:                                  "retry_policy.on_exhausted",
		`{"timeout_policy":{"on_attempt_timeout":"explode"}}`:                          "timeout_policy.on_attempt_timeout",
		`{"timeout_policy":{"attempt_timeout_ms":-1}}`:                                 "timeout_policy.attempt_timeout_ms",
		`{"timeout_policy":{"execution_deadline_ms":3153600000001}}`:                   "timeout_policy.execution_deadline_ms",
		`{"retention_ms":-1}`:                                                          "retention_ms",
		`{"dedup_window_ms":0}`:                                                        "dedup_window_ms",
		`{"aging_policy":{"every_ms":999,"step":1}}`:                                   "aging_policy.every_ms",
		`{"aging_policy":{"every_ms":1000,"step":0}}`:                                  "aging_policy.step",
	} {
		p, err := ParsePolicy([]byte(text))
		var e *Error
		if p != nil || !errors.As(err, &e) || e.Code != CodeInvalidPolicy || e.Attrs["field"] != field || !strings.Contains(e.Detail, field) {
			t.Errorf("%s gives %+v, %v; want invalid_policy_json naming %s", text, p, err, field)
		}
	}
}

func TestParsePolicy_DetailsOfTheChapter(t *testing.T) {
	for text, want := range map[string]struct {
		code   Code
		detail string
	}{
		``:                                     {CodeInvalidPolicy, "malformed"},
		`{`:                                    {CodeInvalidPolicy, "malformed"},
		`{}{}`:                                 {CodeInvalidPolicy, "malformed"},
		`{} x`:                                 {CodeInvalidPolicy, "malformed"},
		`null`:                                 {CodeInvalidPolicy, "malformed"},
		`[]`:                                   {CodeInvalidPolicy, "malformed"},
		"{\"max_replay_count\":1\xff}":         {CodeInvalidPolicy, "malformed"},
		`{"max_replay_count":null}`:            {CodeInvalidPolicy, "malformed"},
		`{"max_replay_count":1.5}`:             {CodeInvalidPolicy, "malformed"},
		`{"max_replay_count":-1}`:              {CodeInvalidPolicy, "malformed"},
		`{"max_replay_count":4294967296}`:      {CodeInvalidPolicy, "malformed"},
		`{"max_replay_count":"1"}`:             {CodeInvalidPolicy, "malformed"},
		`{"retention_ms":1,"retention_ms":1}`:  {CodeInvalidPolicy, "malformed"},
		`{"retry_policy":[]}`:                  {CodeInvalidPolicy, "malformed"},
		`{"retry_policy":{"backoff":"fixed"}}`: {CodeInvalidPolicy, "malformed"},
		`{"retry_policy":{"retryable_categories":[null]}}`:           {CodeInvalidPolicy, "malformed"},
		`{"retry_policy":{"retryable_categories":"timeout"}}`:        {CodeInvalidPolicy, "malformed"},
		`{"routing_requirements":[]}`:                                {CodeInvalidPolicy, "routing_requirements:not_object"},
		`{"routing_requirements":null}`:                              {CodeInvalidPolicy, "routing_requirements:not_object"},
		`{"routing_requirements":{"required_capabilities":"gpu"}}`:   {CodeInvalidCapabilities, "required:not_array"},
		`{"routing_requirements":{"required_capabilities":null}}`:    {CodeInvalidCapabilities, "required:not_array"},
		`{"routing_requirements":{"required_capabilities":[1]}}`:     {CodeInvalidCapabilities, "required:non_string_token"},
		`{"routing_requirements":{"required_capabilities":[""]}}`:    {CodeInvalidCapabilities, "required:empty_token"},
		`{"routing_requirements":{"required_capabilities":["a,b"]}}`: {CodeInvalidCapabilities, "required:comma_in_token"},
		`{"routing_requirements":{"required_capabilities":["a b"]}}`: {CodeInvalidCapabilities, "required:control_or_whitespace"},
	} {
		p, err := ParsePolicy([]byte(text))
		var e *Error
		if p != nil || !errors.As(err, &e) || e.Code != want.code || e.Detail != want.detail {
			t.Errorf("%s gives %+v, %v; want %s, %q", text, p, err, want.code, want.detail)
		}
	}
}

func TestParsePolicy_IsBounded(t *testing.T) {
	text := `{"retry_policy":{}}`
	if _, err := ParsePolicy([]byte(text + strings.Repeat(" ", MaxPolicyBytes-len(text)))); err != nil {
		t.Errorf("a policy of the most bytes is refused: %v", err)
	}
	if _, err := ParsePolicy([]byte(text + strings.Repeat(" ", MaxPolicyBytes+1-len(text)))); !errors.Is(err, ErrInvalidPolicy) {
		t.Errorf("a policy of one byte more gives %v", err)
	}
	if _, err := ParsePolicy([]byte(strings.Repeat(`{"retry_policy":`, 3000))); !errors.Is(err, ErrInvalidPolicy) {
		t.Errorf("a deep one gives %v", err)
	}
}

// FuzzParsePolicy: whatever comes in, the answer is a coded error, or a valid policy that survives its own wire form.
func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"retry_policy":{"max_retries":5,"backoff":{"type":"exponential","jitter":true}}}`, `{"retention_ms":0,"dedup_window_ms":1}`,
		`{"routing_requirements":{"required_capabilities":["gpu","cuda"]}}`, `{"timeout_policy":{"attempt_timeout_ms":1e3}}`,
		`{"aging_policy":{"every_ms":1000,"step":1}} `, `{"a":{"b":[null,1,"\ud800"]}}`,
		`{"retry_policy":{"backoff":{"type":"fixed","delay_ms":0}}}`, `{"retry_policy":{"backoff":{"type":"exponential","initial_delay_ms":0}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			if p != nil || !errors.Is(err, ErrInvalidPolicy) && !errors.Is(err, ErrInvalidCapabilities) {
				t.Fatalf("gives %+v, %v", p, err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("gives a policy that is refused: %v", err)
		}
		if p == nil {
			return
		}
		wire, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePolicy(wire); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v goes over the wire as %s and comes back as %+v, %v", p, wire, again, err)
		}
	})
}

func TestParsePolicy_Suspension(t *testing.T) {
	p, err := ParsePolicy([]byte(`{"suspension_policy":{"default_timeout_ms":5000,"timeout_behavior":"escalate"},"max_signals_per_execution":10000}`))
	if err != nil {
		t.Fatal(err)
	}
	if span, behavior := p.SuspensionTimeout(); span != 5*time.Second || behavior != "escalate" || p.MaxSignalsOrDefault() != 10000 {
		t.Errorf("%s, %s, %d signals", span, behavior, p.MaxSignalsOrDefault())
	}
	var none *Policy
	if span, behavior := none.SuspensionTimeout(); span != 0 || behavior != "fail" || none.MaxSignalsOrDefault() != 10000 {
		t.Errorf("of no policy: %s, %s, %d signals", span, behavior, none.MaxSignalsOrDefault())
	}
	if p, err := ParsePolicy([]byte(`{"suspension_policy":{}}`)); p != nil || err != nil {
		t.Errorf("of an empty one: %+v, %v", p, err)
	}
}
