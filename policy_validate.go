package flowfabric

import (
	"fmt"
	"math"
)

// Validate checks every bound of the policy. It fails with [ErrInvalidPolicy] or [ErrInvalidCapabilities], naming the
// field by its path on the wire.
func (p *Policy) Validate() error {
	if p == nil {
		return nil
	}
	for _, check := range []func() error{
		p.Retry.validate, p.Timeouts.validate, p.Aging.validate, p.Suspension.validate, p.Limits.validate, p.Stream.validate, p.validateKeeping,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	_, err := NormalizeCapabilities("required", p.Capabilities())
	return err
}

func invalidPolicy(field, problem string) error {
	return &Error{Code: CodeInvalidPolicy, Detail: field + " " + problem, Attrs: map[string]string{"field": field}}
}

// checkPolicySpan checks a number of milliseconds.
func checkPolicySpan(field string, ms, least int64) error {
	if ms < least || ms > MaxSpanMS {
		return invalidPolicy(field, fmt.Sprintf("is %d; it must be between %d and %d", ms, least, MaxSpanMS))
	}
	return nil
}

func (p *Policy) validateKeeping() error {
	if p.RetentionMS != nil {
		if err := checkPolicySpan("retention_ms", *p.RetentionMS, 0); err != nil {
			return err
		}
	}
	if p.MaxSignals != nil && (*p.MaxSignals == 0 || *p.MaxSignals > MaxSignals) {
		return invalidPolicy("max_signals_per_execution", fmt.Sprintf("is %d; it must be between 1 and %d", *p.MaxSignals, MaxSignals))
	}
	if p.DedupWindowMS != nil {
		return checkPolicySpan("dedup_window_ms", *p.DedupWindowMS, 1)
	}
	return nil
}

func (s *SuspensionPolicy) validate() error {
	if s == nil {
		return nil
	}
	if !s.TimeoutBehavior.known() {
		return invalidPolicy("suspension_policy.timeout_behavior", fmt.Sprintf("is %q; it is not known", clip(string(s.TimeoutBehavior))))
	}
	return checkPolicySpan("suspension_policy.default_timeout_ms", s.DefaultTimeoutMS, 0)
}

func (s *StreamPolicy) validate() error {
	const most, mostBytes = 10 * MaxStreamFrames, 64 * MaxStreamBytes
	switch {
	case s == nil:
		return nil
	case s.MaxFrames < 0 || s.MaxFrames > most:
		return invalidPolicy("stream_policy.retention_maxlen", fmt.Sprintf("is %d; it must be between 1 and %d", s.MaxFrames, most))
	case s.MaxBytes < 0 || s.MaxBytes > mostBytes:
		return invalidPolicy("stream_policy.max_bytes", fmt.Sprintf("is %d; it must be between 1 and %d", s.MaxBytes, mostBytes))
	}
	return nil
}

func (r *RetryPolicy) validate() error {
	const categories = "retry_policy.retryable_categories"
	if r == nil {
		return nil
	}
	if len(r.RetryableCategories) > MaxRetryableCategories {
		return invalidPolicy(categories, fmt.Sprintf("has %d entries; at most %d are allowed", len(r.RetryableCategories), MaxRetryableCategories))
	}
	for _, c := range r.RetryableCategories {
		if err := validateText(categories, c, 1, MaxNameBytes); err != nil {
			return invalidPolicy(categories, "holds an entry that is empty, too long or not UTF-8")
		}
	}
	switch r.OnExhausted {
	case "", ExhaustedFails, ExhaustedPauses:
	default:
		return invalidPolicy("retry_policy.on_exhausted", fmt.Sprintf("is %q; want fail or pause", clip(string(r.OnExhausted))))
	}
	return r.Backoff.validate()
}

func (b *Backoff) validate() error {
	const path = "retry_policy.backoff."
	if b == nil {
		return nil
	}
	if err := b.validateType(path); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		ms   int64
	}{{"delay_ms", b.DelayMS}, {"initial_delay_ms", b.InitialDelayMS}, {"max_delay_ms", b.MaxDelayMS}} {
		if err := checkPolicySpan(path+f.name, f.ms, 0); err != nil {
			return err
		}
	}
	if b.Type == BackoffFixed {
		return nil
	}
	switch {
	case b.MaxDelayMS == 0:
		return invalidPolicy(path+"max_delay_ms", "is 0; set it to the longest pause, in milliseconds")
	case b.InitialDelayMS > b.MaxDelayMS:
		return invalidPolicy(path+"initial_delay_ms", fmt.Sprintf("is %d, more than max_delay_ms, %d", b.InitialDelayMS, b.MaxDelayMS))
	case math.IsNaN(b.Multiplier) || b.Multiplier < 1 || b.Multiplier > 1000:
		return invalidPolicy(path+"multiplier", "must be between 1 and 1000")
	}
	return nil
}

// validateType refuses an unknown type and fields that its type would ignore.
func (b *Backoff) validateType(path string) error {
	switch b.Type {
	case BackoffFixed:
		if b.InitialDelayMS != 0 || b.MaxDelayMS != 0 || b.Multiplier != 0 {
			return invalidPolicy(path+"type", "is fixed, which takes delay_ms alone; initial_delay_ms, max_delay_ms and multiplier are of exponential")
		}
	case BackoffExponential:
		if b.DelayMS != 0 {
			return invalidPolicy(path+"delay_ms", "is of type fixed; exponential takes initial_delay_ms, max_delay_ms and multiplier")
		}
	default:
		return invalidPolicy(path+"type", fmt.Sprintf("is %q; want fixed or exponential", clip(string(b.Type))))
	}
	return nil
}

func (t *TimeoutPolicy) validate() error {
	if t == nil {
		return nil
	}
	if err := checkPolicySpan("timeout_policy.attempt_timeout_ms", t.AttemptTimeoutMS, 0); err != nil {
		return err
	}
	switch t.OnAttemptTimeout {
	case "", TimeoutExpires, TimeoutRetries:
	default:
		return invalidPolicy("timeout_policy.on_attempt_timeout", fmt.Sprintf("is %q; want expire or retry", clip(string(t.OnAttemptTimeout))))
	}
	return checkPolicySpan("timeout_policy.execution_deadline_ms", t.ExecutionDeadlineMS, 0)
}

func (a *AgingPolicy) validate() error {
	if a == nil {
		return nil
	}
	if a.Step < 1 || a.Step > MaxPriority {
		return invalidPolicy("aging_policy.step", fmt.Sprintf("is %d; it must be between 1 and %d", a.Step, MaxPriority))
	}
	return checkPolicySpan("aging_policy.every_ms", a.EveryMS, 1000)
}
