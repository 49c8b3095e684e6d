package flowfabric

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPolicy_Validate(t *testing.T) {
	backoff := func(b Backoff) *Policy { return Retry(1, &b) }
	for _, tc := range []struct {
		name string
		p    *Policy
		want *Error
	}{
		{"nil", nil, nil},
		{"empty", &Policy{}, nil},
		{"fixed", Retry(3, FixedBackoff(time.Second)), nil},
		{"exponential", Retry(3, ExponentialBackoff(time.Second, time.Minute, 2)), nil},
		{"longest delay", backoff(Backoff{Type: BackoffFixed, DelayMS: MaxSpanMS}), nil},
		{"delay one over", backoff(Backoff{Type: BackoffFixed, DelayMS: MaxSpanMS + 1}), ErrInvalidPolicy},
		{"negative delay", backoff(Backoff{Type: BackoffFixed, DelayMS: -1}), ErrInvalidPolicy},
		{"negative maximum", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: -1, Multiplier: 2}), ErrInvalidPolicy},
		{"no maximum", backoff(Backoff{Type: BackoffExponential, Multiplier: 1}), ErrInvalidPolicy},
		{"least maximum", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: 1, Multiplier: 1}), nil},
		{"initial is the maximum", backoff(Backoff{Type: BackoffExponential, InitialDelayMS: 5, MaxDelayMS: 5, Multiplier: 1}), nil},
		{"initial above the maximum", backoff(Backoff{Type: BackoffExponential, InitialDelayMS: 6, MaxDelayMS: 5, Multiplier: 1}), ErrInvalidPolicy},
		{"multiplier 1000", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: 1, Multiplier: 1000}), nil},
		{"multiplier above 1000", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: 1, Multiplier: 1000.1}), ErrInvalidPolicy},
		{"multiplier below 1", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: 1, Multiplier: 0.99}), ErrInvalidPolicy},
		{"multiplier NaN", backoff(Backoff{Type: BackoffExponential, MaxDelayMS: 1, Multiplier: math.NaN()}), ErrInvalidPolicy},
		{"fixed with fields of exponential", backoff(Backoff{Type: BackoffFixed, MaxDelayMS: 1}), ErrInvalidPolicy},
		{"exponential with a field of fixed", backoff(Backoff{Type: BackoffExponential, DelayMS: 1, MaxDelayMS: 1, Multiplier: 1}), ErrInvalidPolicy},
		{"pause when exhausted", &Policy{Retry: &RetryPolicy{OnExhausted: ExhaustedPauses}}, nil},
		{"unknown when exhausted", &Policy{Retry: &RetryPolicy{OnExhausted: "ask"}}, ErrInvalidPolicy},
		{"longest timeouts", &Policy{Timeouts: &TimeoutPolicy{AttemptTimeoutMS: MaxSpanMS, ExecutionDeadlineMS: MaxSpanMS}}, nil},
		{"attempt timeout one over", &Policy{Timeouts: &TimeoutPolicy{AttemptTimeoutMS: MaxSpanMS + 1}}, ErrInvalidPolicy},
		{"negative attempt timeout", &Policy{Timeouts: &TimeoutPolicy{AttemptTimeoutMS: -1}}, ErrInvalidPolicy},
		{"deadline one over", &Policy{Timeouts: &TimeoutPolicy{ExecutionDeadlineMS: MaxSpanMS + 1}}, ErrInvalidPolicy},
		{"unknown timeout action", &Policy{Timeouts: &TimeoutPolicy{OnAttemptTimeout: "ask"}}, ErrInvalidPolicy},
		{"no retention", &Policy{RetentionMS: new(int64)}, nil},
		{"longest retention", &Policy{RetentionMS: new(MaxSpanMS)}, nil},
		{"retention one over", &Policy{RetentionMS: new(MaxSpanMS + 1)}, ErrInvalidPolicy},
		{"shortest dedup window", &Policy{DedupWindowMS: new(int64(1))}, nil},
		{"no dedup window", &Policy{DedupWindowMS: new(int64)}, ErrInvalidPolicy},
		{"dedup window one over", &Policy{DedupWindowMS: new(MaxSpanMS + 1)}, ErrInvalidPolicy},
		{"aging at its least", &Policy{Aging: &AgingPolicy{EveryMS: 1000, Step: 1}}, nil},
		{"aging at its most", &Policy{Aging: &AgingPolicy{EveryMS: MaxSpanMS, Step: 9000}}, nil},
		{"aging too often", &Policy{Aging: &AgingPolicy{EveryMS: 999, Step: 1}}, ErrInvalidPolicy},
		{"aging without a step", &Policy{Aging: &AgingPolicy{EveryMS: 1000}}, ErrInvalidPolicy},
		{"aging by too much", &Policy{Aging: &AgingPolicy{EveryMS: 1000, Step: 9001}}, ErrInvalidPolicy},
		{"unknown backoff", backoff(Backoff{Type: "linear"}), ErrInvalidPolicy},
		{"category not UTF-8", &Policy{Retry: &RetryPolicy{RetryableCategories: []string{"\xff"}}}, ErrInvalidPolicy},
		{"65 categories", &Policy{Retry: &RetryPolicy{RetryableCategories: slices.Repeat([]string{"x"}, 65)}}, ErrInvalidPolicy},
		{"bad capability", &Policy{Routing: &RoutingRequirements{RequiredCapabilities: []string{"a,b"}}}, ErrInvalidCapabilities},
	} {
		if err := tc.p.Validate(); tc.want == nil && err != nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestValidateTags(t *testing.T) {
	tags := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("a.k%d", i)] = "v"
		}
		return m
	}
	for _, tc := range []struct {
		name string
		tags map[string]string
		want *Error
	}{
		{"64", tags(64), nil},
		{"65", tags(65), ErrInvalidInput},
		{"dotted", map[string]string{"cairn.instance_id": "x", "a.b.c": ""}, nil},
		{"no dot", map[string]string{"team": "x"}, ErrInvalidTagKey},
		{"upper case", map[string]string{"Team.name": "x"}, ErrInvalidTagKey},
		{"starts with digit", map[string]string{"1a.b": "x"}, ErrInvalidTagKey},
		{"ends with dot", map[string]string{"a.": "x"}, ErrInvalidTagKey},
		{"key of 128", map[string]string{"a." + strings.Repeat("k", 126): "x"}, nil},
		{"key of 129", map[string]string{"a." + strings.Repeat("k", 127): "x"}, ErrInvalidTagKey},
		{"value of 1024", map[string]string{"a.b": strings.Repeat("v", 1024)}, nil},
		{"value of 1025", map[string]string{"a.b": strings.Repeat("v", 1025)}, ErrInvalidInput},
		{"value not UTF-8", map[string]string{"a.b": "\xff"}, ErrInvalidInput},
	} {
		if err := ValidateTags(tc.tags); tc.want == nil && err != nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestPolicy_NormalizedIsOneFormThatSharesNothing(t *testing.T) {
	for _, empty := range []*Policy{nil, {}, {Routing: &RoutingRequirements{}}, {Timeouts: &TimeoutPolicy{}}} {
		if got := empty.Normalized(); got != nil {
			t.Errorf("%+v normalized is %+v", empty, got)
		}
	}
	p := &Policy{
		Retry:   &RetryPolicy{MaxRetries: new(uint32(1)), Backoff: FixedBackoff(time.Second), RetryableCategories: []string{"timeout"}},
		Routing: &RoutingRequirements{RequiredCapabilities: []string{"gpu", "cuda", "gpu"}}, RetentionMS: new(int64(5)),
	}
	n := p.Normalized()
	*p.Retry.MaxRetries, p.Retry.Backoff.DelayMS, p.Retry.RetryableCategories[0] = 9, 9, "changed"
	*p.RetentionMS, p.Routing.RequiredCapabilities[0] = 9, "changed"
	want := &Policy{
		Retry:   &RetryPolicy{MaxRetries: new(uint32(1)), Backoff: FixedBackoff(time.Second), RetryableCategories: []string{"timeout"}},
		Routing: &RoutingRequirements{RequiredCapabilities: []string{"cuda", "gpu"}}, RetentionMS: new(int64(5)),
	}
	if !reflect.DeepEqual(n, want) {
		t.Errorf("normalized is %+v", n)
	}
}
