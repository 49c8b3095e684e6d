package flowfabric

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Policy is how an execution wants to be treated. It is frozen when the execution is submitted. A nil Policy means: no
// retry, any worker, the default limits. Its JSON form is the wire form; a field the engine does not honour is refused
// where the policy is decoded, not ignored (chapter 10, W22).
type Policy struct {
	Retry *RetryPolicy `json:"retry_policy,omitempty"`
	// MaxReclaims bounds how often the execution may be taken back from workers that lost it. Default 100.
	MaxReclaims *uint32 `json:"max_reclaim_count,omitempty"`
	// MaxReplays bounds how often the finished execution may be replayed. Default 10.
	MaxReplays *uint32              `json:"max_replay_count,omitempty"`
	Routing    *RoutingRequirements `json:"routing_requirements,omitempty"`
	Timeouts   *TimeoutPolicy       `json:"timeout_policy,omitempty"`
	// RetentionMS is how long the finished execution is kept: 0 to [MaxSpanMS] milliseconds. Default: the engine's.
	RetentionMS *int64 `json:"retention_ms,omitempty"`
	// DedupWindowMS is how long the idempotency key is remembered, at most as long as the execution is kept: 1 to
	// [MaxSpanMS] milliseconds. Default [IdempotencyWindow].
	DedupWindowMS *int64       `json:"dedup_window_ms,omitempty"`
	Aging         *AgingPolicy `json:"aging_policy,omitempty"`
}

// TimeoutPolicy bounds how long an attempt and the whole execution may take. Zero fields do not bound.
type TimeoutPolicy struct {
	// AttemptTimeoutMS bounds the time an attempt holds a lease, over all its leases: 0 to [MaxSpanMS]. Time during which
	// the attempt is paused (delayed, released, suspended) does not count.
	AttemptTimeoutMS int64 `json:"attempt_timeout_ms,omitempty"`
	// OnAttemptTimeout says what an attempt that ran too long leads to. Default [TimeoutExpires].
	OnAttemptTimeout TimeoutAction `json:"on_attempt_timeout,omitempty"`
	// ExecutionDeadlineMS bounds the time from submission to the end, in every state: 0 to [MaxSpanMS]. With
	// [Submit.Deadline], the earlier counts.
	ExecutionDeadlineMS int64 `json:"execution_deadline_ms,omitempty"`
}

// TimeoutAction is what follows an attempt that ran too long.
type TimeoutAction string

// Timeout actions.
const (
	TimeoutExpires TimeoutAction = "expire" // the execution ends, outcome expired
	TimeoutRetries TimeoutAction = "retry"  // the attempt failed with category timeout; the retry policy decides
)

// AgingPolicy raises the place of an execution in its lane while it waits: by Step for every EveryMS of waiting, at most
// to [MaxPriority]. The priority itself stays. Without it, low priorities may wait for ever behind higher ones.
type AgingPolicy struct {
	EveryMS int64 `json:"every_ms"` // 1,000 to [MaxSpanMS]
	Step    int   `json:"step"`     // 1 to [MaxPriority]
}

// Defaults of [Policy] and of its parts.
const (
	DefaultMaxReclaims = 100
	DefaultMaxReplays  = 10
	DefaultMaxRetries  = 3
)

// RetryPolicy says whether and when a failed attempt is followed by another.
type RetryPolicy struct {
	// MaxRetries bounds the retries; the execution has at most MaxRetries+1 attempts that failed. Default 3.
	MaxRetries *uint32 `json:"max_retries,omitempty"`
	// Backoff is the pause before a retry. Default: exponential, 1 s doubling to 60 s, no jitter.
	Backoff *Backoff `json:"backoff,omitempty"`
	// RetryableCategories, when not empty, names the failure categories that are retried. Permanent and cancelled
	// failures never are.
	RetryableCategories []string `json:"retryable_categories,omitempty"`
	// OnExhausted says what follows when no retry is left for a failure that would be retried. Default [ExhaustedFails].
	OnExhausted ExhaustedAction `json:"on_exhausted,omitempty"`
}

// ExhaustedAction is what follows when the retries are used up.
type ExhaustedAction string

// Exhausted actions.
const (
	ExhaustedFails ExhaustedAction = "fail"
	// ExhaustedPauses blocks the execution ([PausedByOperator]) until an operator unblocks it, which grants one more
	// attempt, or cancels it.
	ExhaustedPauses ExhaustedAction = "pause"
)

// BackoffType is the shape of a backoff.
type BackoffType string

// Backoff types.
const (
	BackoffFixed       BackoffType = "fixed"
	BackoffExponential BackoffType = "exponential"
)

// Backoff is the pause before a retry. Fixed uses DelayMS; exponential uses the others: the nth retry (from 0) waits
// min(InitialDelayMS·Multiplier^n, MaxDelayMS). With Jitter the pause is spread over its upper half.
type Backoff struct {
	Type           BackoffType `json:"type"`
	DelayMS        int64       `json:"delay_ms,omitempty"`
	InitialDelayMS int64       `json:"initial_delay_ms,omitempty"`
	MaxDelayMS     int64       `json:"max_delay_ms,omitempty"`
	Multiplier     float64     `json:"multiplier,omitempty"`
	Jitter         bool        `json:"jitter,omitempty"`
}

// DefaultBackoff is the backoff of a [RetryPolicy] that names none.
func DefaultBackoff() Backoff {
	return Backoff{Type: BackoffExponential, InitialDelayMS: 1000, MaxDelayMS: 60000, Multiplier: 2}
}

// FixedBackoff waits d before every retry.
func FixedBackoff(d time.Duration) *Backoff {
	return &Backoff{Type: BackoffFixed, DelayMS: d.Milliseconds()}
}

// ExponentialBackoff waits initial before the first retry and multiplier times longer before each next one, at most max.
func ExponentialBackoff(initial, maximum time.Duration, multiplier float64) *Backoff {
	return &Backoff{
		Type: BackoffExponential, InitialDelayMS: initial.Milliseconds(), MaxDelayMS: maximum.Milliseconds(), Multiplier: multiplier,
	}
}

// Retry is the short form of a policy that retries up to maxRetries times.
func Retry(maxRetries uint32, b *Backoff) *Policy {
	return &Policy{Retry: &RetryPolicy{MaxRetries: &maxRetries, Backoff: b}}
}

// RoutingRequirements says which workers may run an execution.
type RoutingRequirements struct {
	// RequiredCapabilities must all be offered by the worker. Tokens are opaque and case-sensitive.
	RequiredCapabilities []string `json:"required_capabilities,omitempty"`
}

// Bounds of policies and capabilities.
const (
	MaxCapabilities        = 256
	MaxCapabilitiesBytes   = 4096
	MaxRetryableCategories = 64
	// MaxSpanMS bounds every span of time a policy or a command may name: 100 years.
	MaxSpanMS = 100 * 365 * 24 * int64(time.Hour/time.Millisecond)
)

// MaxRetriesOrDefault returns the bound of retries the policy sets; no retry policy means none.
func (p *Policy) MaxRetriesOrDefault() uint32 {
	if p == nil || p.Retry == nil {
		return 0
	}
	if p.Retry.MaxRetries == nil {
		return DefaultMaxRetries
	}
	return *p.Retry.MaxRetries
}

// MaxReclaimsOrDefault returns the bound of reclaims the policy sets.
func (p *Policy) MaxReclaimsOrDefault() uint32 {
	if p == nil || p.MaxReclaims == nil {
		return DefaultMaxReclaims
	}
	return *p.MaxReclaims
}

// MaxReplaysOrDefault returns the bound of replays the policy sets.
func (p *Policy) MaxReplaysOrDefault() uint32 {
	if p == nil || p.MaxReplays == nil {
		return DefaultMaxReplays
	}
	return *p.MaxReplays
}

// Capabilities returns the required capabilities, which may be none.
func (p *Policy) Capabilities() []string {
	if p == nil || p.Routing == nil {
		return nil
	}
	return p.Routing.RequiredCapabilities
}

// Validate checks every bound of the policy. It fails with [ErrInvalidPolicy] or [ErrInvalidCapabilities], naming the
// field.
func (p *Policy) Validate() error {
	if p == nil {
		return nil
	}
	bad := func(field, problem string) error {
		return &Error{Code: CodeInvalidPolicy, Detail: field + " " + problem, Attrs: map[string]string{"field": field}}
	}
	if p.Retry != nil {
		if len(p.Retry.RetryableCategories) > MaxRetryableCategories {
			return bad("retry_policy.retryable_categories", fmt.Sprintf("has %d entries; at most %d are allowed", len(p.Retry.RetryableCategories), MaxRetryableCategories))
		}
		for _, c := range p.Retry.RetryableCategories {
			if err := validateText("retry_policy.retryable_categories", c, 1, MaxNameBytes); err != nil {
				return bad("retry_policy.retryable_categories", "holds an entry that is empty, too long or not UTF-8")
			}
		}
		if b := p.Retry.Backoff; b != nil {
			span := func(name string, ms int64) error {
				if ms < 0 || ms > MaxSpanMS {
					return bad("retry_policy.backoff."+name, fmt.Sprintf("is %d; it must be between 0 and %d", ms, MaxSpanMS))
				}
				return nil
			}
			switch b.Type {
			case BackoffFixed:
				if err := span("delay_ms", b.DelayMS); err != nil {
					return err
				}
			case BackoffExponential:
				if err := span("initial_delay_ms", b.InitialDelayMS); err != nil {
					return err
				}
				if err := span("max_delay_ms", b.MaxDelayMS); err != nil {
					return err
				}
				if math.IsNaN(b.Multiplier) || b.Multiplier < 1 || b.Multiplier > 1000 {
					return bad("retry_policy.backoff.multiplier", "must be between 1 and 1000")
				}
			default:
				return bad("retry_policy.backoff.type", fmt.Sprintf("is %q; want fixed or exponential", clip(string(b.Type))))
			}
		}
	}
	if p.Routing != nil {
		if _, err := NormalizeCapabilities("required", p.Routing.RequiredCapabilities); err != nil {
			return err
		}
	}
	return nil
}

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
