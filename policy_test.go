package flowfabric

import (
	"errors"
	"fmt"
	"math"
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
		{"multiplier 1", backoff(Backoff{Type: BackoffExponential, Multiplier: 1}), nil},
		{"multiplier below 1", backoff(Backoff{Type: BackoffExponential, Multiplier: 0.99}), ErrInvalidPolicy},
		{"multiplier NaN", backoff(Backoff{Type: BackoffExponential, Multiplier: math.NaN()}), ErrInvalidPolicy},
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

func TestNormalizeCapabilities(t *testing.T) {
	many := make([]string, MaxCapabilities)
	for i := range many {
		many[i] = fmt.Sprintf("c%03d", i)
	}
	long := []string{strings.Repeat("a", 2048), strings.Repeat("b", 2047)} // 4,096 bytes with the comma
	for _, tc := range []struct {
		name   string
		in     []string
		want   []string
		detail string
	}{
		{"none", nil, nil, ""},
		{"sorted, no repeats", []string{"gpu", "cuda", "gpu"}, []string{"cuda", "gpu"}, ""},
		{"UTF-8 is legal", []string{"ü"}, []string{"ü"}, ""},
		{"256", many, many, ""},
		{"257", append(slices.Clone(many), "x"), nil, "required:too_many_tokens"},
		{"4,096 bytes", long, long, ""},
		{"4,097 bytes", []string{long[0] + "a", long[1]}, nil, "required:too_many_bytes"},
		{"empty", []string{""}, nil, "required:empty_token"},
		{"comma", []string{"a,b"}, nil, "required:comma_in_token"},
		{"space", []string{"a b"}, nil, "required:control_or_whitespace"},
		{"DEL", []string{"a\x7f"}, nil, "required:control_or_whitespace"},
	} {
		got, err := NormalizeCapabilities("required", tc.in)
		if tc.detail == "" {
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %v, %v", tc.name, got, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeInvalidCapabilities || e.Detail != tc.detail {
			t.Errorf("%s: got %v, want detail %s", tc.name, err, tc.detail)
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
