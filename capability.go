package flowfabric

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// NormalizeCapabilities checks a capability set and returns it sorted and without repeats. side, "required" or
// "worker", goes into the detail of the error, which matches [ErrInvalidCapabilities] (chapter 10, section 3.1, step 3).
func NormalizeCapabilities(side string, tokens []string) ([]string, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	bad := func(problem string) ([]string, error) {
		return nil, &Error{Code: CodeInvalidCapabilities, Detail: side + ":" + problem}
	}
	for _, t := range tokens {
		switch {
		case t == "":
			return bad("empty_token")
		case !utf8.ValidString(t):
			return bad("not_utf8")
		}
		for i := range len(t) {
			switch {
			case t[i] == ',':
				return bad("comma_in_token")
			case t[i] <= 0x20 || t[i] == 0x7f:
				return bad("control_or_whitespace")
			}
		}
	}
	set := slices.Clone(tokens)
	slices.Sort(set)
	set = slices.Compact(set)
	if len(set) > MaxCapabilities {
		return bad("too_many_tokens")
	}
	if len(strings.Join(set, ",")) > MaxCapabilitiesBytes {
		return bad("too_many_bytes")
	}
	return set, nil
}
