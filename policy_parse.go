package flowfabric

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxPolicyBytes bounds the wire form of a policy.
const MaxPolicyBytes = 64 << 10

// ParsePolicy reads the wire form of a policy strictly: what the engine does not know or would not honour is refused by
// its path, so are null, a field given twice and a number out of its bounds (chapter 10, section 3.1, step 3 and W22).
// What an exponential backoff leaves out is as in [DefaultBackoff]; a fixed one without delay_ms waits a second. The
// result is valid and in the form of [Policy.Normalized]; an empty object gives nil.
//
// It fails with [ErrInvalidPolicy] or [ErrInvalidCapabilities]. The Detail of the first is "malformed",
// "routing_requirements:not_object" or says which field is wrong, that of the second begins with "required:".
func ParsePolicy(data []byte) (*Policy, error) {
	switch {
	case len(data) > MaxPolicyBytes:
		return nil, invalidPolicy("policy", fmt.Sprintf("has %d bytes; at most %d are allowed", len(data), MaxPolicyBytes))
	case !utf8.Valid(data):
		return nil, malformed(errors.New("the policy is not valid UTF-8"))
	}
	var p Policy
	if err := parseObject("", data, fields{
		"retry_policy":         func(path string, raw json.RawMessage) error { return parseRetry(path, raw, &p) },
		"max_reclaim_count":    scalar(&p.MaxReclaims),
		"max_replay_count":     scalar(&p.MaxReplays),
		"routing_requirements": func(path string, raw json.RawMessage) error { return parseRouting(path, raw, &p) },
		"timeout_policy":       func(path string, raw json.RawMessage) error { return parseTimeouts(path, raw, &p) },
		"retention_ms":         scalar(&p.RetentionMS),
		"dedup_window_ms":      scalar(&p.DedupWindowMS),
		"aging_policy":         func(path string, raw json.RawMessage) error { return parseAging(path, raw, &p) },
		"suspension_policy":    func(path string, raw json.RawMessage) error { return parseSuspension(path, raw, &p) },

		"max_signals_per_execution": scalar(&p.MaxSignals),

		"limits":          func(path string, raw json.RawMessage) error { return parseLimits(path, raw, &p) },
		"budget_ids":      func(path string, raw json.RawMessage) error { return parseBudgetIDs(path, raw, &p) },
		"quota_policy_id": func(path string, raw json.RawMessage) error { return parseQuotaID(path, raw, &p) },
		"stream_policy":   func(path string, raw json.RawMessage) error { return parseStream(path, raw, &p) },
	}); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p.Normalized(), nil
}

// fields says how each field of an object is read.
type fields map[string]func(path string, raw json.RawMessage) error

// parseObject reads an object field by field. at is its path, empty for the policy itself.
func parseObject(at string, data []byte, known fields) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return malformed(fmt.Errorf("%s is not an object", orPolicy(at)))
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := token.(string) // a key is a string, or Token has failed
		path := name
		if at != "" {
			path = at + "." + name
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return malformed(fmt.Errorf("%s: %w", clip(path), err))
		}
		read, ok := known[name]
		switch {
		case !ok:
			return invalidPolicy(clip(path), "is not a field that is honoured here; leave it out")
		case seen[name]:
			return malformed(fmt.Errorf("%s is given twice", path))
		}
		seen[name] = true
		if err := read(path, raw); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	if dec.More() || dec.InputOffset() < int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return malformed(fmt.Errorf("something follows %s", orPolicy(at)))
	}
	return nil
}

func orPolicy(path string) string {
	if path == "" {
		return "the policy"
	}
	return path
}

func malformed(cause error) error {
	return &Error{Code: CodeInvalidPolicy, Detail: "malformed", Err: cause}
}

// scalar reads a value into what target points to.
func scalar[T any](target *T) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		if string(raw) == "null" {
			return malformed(fmt.Errorf("%s is null; leave it out", path))
		}
		if err := json.Unmarshal(raw, target); err != nil {
			return malformed(fmt.Errorf("%s: %w", path, err))
		}
		return nil
	}
}

func parseRetry(path string, raw json.RawMessage, p *Policy) error {
	p.Retry = &RetryPolicy{}
	return parseObject(path, raw, fields{
		"max_retries":          scalar(&p.Retry.MaxRetries),
		"backoff":              func(path string, raw json.RawMessage) error { return parseBackoff(path, raw, p.Retry) },
		"retryable_categories": func(path string, raw json.RawMessage) error { return parseCategories(path, raw, p.Retry) },
		"on_exhausted":         scalar(&p.Retry.OnExhausted),
	})
}

// parseCategories reads a list of strings, in which null would pass for "".
func parseCategories(path string, raw json.RawMessage, r *RetryPolicy) error {
	var list []*string
	if err := scalar(&list)(path, raw); err != nil {
		return err
	}
	for _, c := range list {
		if c == nil {
			return malformed(fmt.Errorf("%s holds null", path))
		}
		r.RetryableCategories = append(r.RetryableCategories, *c)
	}
	return nil
}

func parseBackoff(path string, raw json.RawMessage, r *RetryPolicy) error {
	var given struct {
		delay, initial, longest *int64
		multiplier              *float64
	}
	b := &Backoff{}
	r.Backoff = b
	if err := parseObject(path, raw, fields{
		"type": scalar(&b.Type), "delay_ms": scalar(&given.delay), "initial_delay_ms": scalar(&given.initial),
		"max_delay_ms": scalar(&given.longest), "multiplier": scalar(&given.multiplier), "jitter": scalar(&b.Jitter),
	}); err != nil {
		return err
	}
	var absent Backoff
	switch b.Type {
	case BackoffFixed:
		absent.DelayMS = 1000
	case BackoffExponential:
		absent = DefaultBackoff()
	}
	b.DelayMS, b.InitialDelayMS = orElse(given.delay, absent.DelayMS), orElse(given.initial, absent.InitialDelayMS)
	b.MaxDelayMS, b.Multiplier = orElse(given.longest, absent.MaxDelayMS), orElse(given.multiplier, absent.Multiplier)
	return nil
}

func orElse[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}

func parseRouting(path string, raw json.RawMessage, p *Policy) error {
	if raw[0] != '{' {
		return &Error{Code: CodeInvalidPolicy, Detail: "routing_requirements:not_object", Attrs: map[string]string{"field": path}}
	}
	return parseObject(path, raw, fields{"required_capabilities": func(_ string, raw json.RawMessage) error {
		tokens, err := parseTokens(raw)
		p.Routing = &RoutingRequirements{RequiredCapabilities: tokens}
		return err
	}})
}

func parseTokens(raw json.RawMessage) ([]string, error) {
	var list []any
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, &Error{Code: CodeInvalidCapabilities, Detail: "required:not_array"}
	}
	tokens := make([]string, len(list))
	for i, v := range list {
		token, ok := v.(string)
		if !ok {
			return nil, &Error{Code: CodeInvalidCapabilities, Detail: "required:non_string_token"}
		}
		tokens[i] = token
	}
	return tokens, nil
}

func parseTimeouts(path string, raw json.RawMessage, p *Policy) error {
	p.Timeouts = &TimeoutPolicy{}
	return parseObject(path, raw, fields{
		"attempt_timeout_ms": scalar(&p.Timeouts.AttemptTimeoutMS), "on_attempt_timeout": scalar(&p.Timeouts.OnAttemptTimeout),
		"execution_deadline_ms": scalar(&p.Timeouts.ExecutionDeadlineMS),
	})
}

func parseAging(path string, raw json.RawMessage, p *Policy) error {
	p.Aging = &AgingPolicy{}
	return parseObject(path, raw, fields{"every_ms": scalar(&p.Aging.EveryMS), "step": scalar(&p.Aging.Step)})
}

func parseSuspension(path string, raw json.RawMessage, p *Policy) error {
	p.Suspension = &SuspensionPolicy{}
	return parseObject(path, raw, fields{
		"default_timeout_ms": scalar(&p.Suspension.DefaultTimeoutMS),
		"timeout_behavior":   scalar(&p.Suspension.TimeoutBehavior),
	})
}

func parseStream(path string, raw json.RawMessage, p *Policy) error {
	p.Stream = &StreamPolicy{}
	return parseObject(path, raw, fields{"retention_maxlen": scalar(&p.Stream.MaxFrames), "max_bytes": scalar(&p.Stream.MaxBytes)})
}
