package flowfabric

import (
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// Bounds of a submission.
const (
	MaxPayloadBytes  = 1 << 20 // of a payload, and of a result
	MaxTags          = 64
	MaxTagKeyBytes   = 128
	MaxTagValueBytes = 1024
	MaxReasonBytes   = 4096 // of failure reasons, cancel reasons and progress messages
	MinPriority      = 0
	MaxPriority      = 9000
)

var tagKey = regexp.MustCompile(`^[a-z][a-z0-9_]*\.[a-z0-9_][a-z0-9_.]*$`)

// ValidateTags checks tags against chapter 10, section 3.20: at most [MaxTags], keys like "team.name". It fails with
// [ErrInvalidTagKey] or [ErrInvalidInput].
func ValidateTags(tags map[string]string) error {
	return validateTags(tags, "want at most 128 bytes of the form area.name in lower case", func(key string) bool {
		return len(key) <= MaxTagKeyBytes && tagKey.MatchString(key)
	})
}

// ValidateAnyTags is [ValidateTags] for keys of any form: 1 to [MaxTagKeyBytes] bytes of UTF-8 without NUL.
func ValidateAnyTags(tags map[string]string) error {
	return validateTags(tags, "want 1 to 128 bytes of UTF-8", func(key string) bool {
		return validateText("tag key", key, 1, MaxTagKeyBytes) == nil
	})
}

func validateTags(tags map[string]string, want string, valid func(key string) bool) error {
	if len(tags) > MaxTags {
		return invalid("tags", fmt.Sprintf("has %d entries; at most %d are allowed", len(tags), MaxTags))
	}
	for k, v := range tags {
		if !valid(k) {
			return &Error{Code: CodeInvalidTagKey, Detail: fmt.Sprintf("tag key %q: %s", clip(k), want), Attrs: map[string]string{"key": clip(k)}}
		}
		if err := validateText("tag "+k, v, 0, MaxTagValueBytes); err != nil {
			return err
		}
	}
	return nil
}

// validateName checks an identity: 1 to [MaxNameBytes] bytes of UTF-8 without white space or control characters.
func validateName(field, s string) error {
	if err := validateText(field, s, 1, MaxNameBytes); err != nil {
		return err
	}
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return invalid(field, "contains white space or a control character")
		}
	}
	return nil
}

// validateText checks free text: UTF-8 of least to most bytes without NUL, which Postgres cannot store.
func validateText(field, s string, least, most int) error {
	switch {
	case len(s) < least:
		return invalid(field, "is empty")
	case len(s) > most:
		return invalid(field, fmt.Sprintf("has %d bytes; at most %d are allowed", len(s), most))
	case !utf8.ValidString(s):
		return invalid(field, "is not valid UTF-8")
	}
	for i := range len(s) {
		if s[i] == 0 {
			return invalid(field, "contains a NUL byte")
		}
	}
	return nil
}

// ValidateText checks free text that enters the engine: UTF-8 of at most most bytes, without NUL. It fails with
// [ErrInvalidInput] naming field.
func ValidateText(field, s string, most int) error { return validateText(field, s, 0, most) }

// ValidateName checks a required name such as a kind or a creator: 1 to [MaxNameBytes] bytes of UTF-8. White space is
// allowed. It fails with [ErrInvalidInput] naming field.
func ValidateName(field, s string) error { return validateText(field, s, 1, MaxNameBytes) }
