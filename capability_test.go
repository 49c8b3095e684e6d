package flowfabric

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

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
