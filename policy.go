package flowfabric

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Policy is how an execution wants to be treated. It is frozen when the execution is submitted. A nil Policy means: no
// retry, any worker, the default limits. Its JSON form is the wire form, which [ParsePolicy] reads; a field the engine
// does not honour is refused there, not ignored (chapter 10, W22).
type Policy struct {
	Retry *RetryPolicy `json:"retry_policy,omitzero"`
	// MaxReclaims bounds how often the execution may be taken back from workers that lost it. Default 100.
	MaxReclaims *uint32 `json:"max_reclaim_count,omitzero"`
	// MaxReplays bounds how often the finished execution may be replayed. Default 10.
	MaxReplays *uint32              `json:"max_replay_count,omitzero"`
	Routing    *RoutingRequirements `json:"routing_requirements,omitzero"`
	Timeouts   *TimeoutPolicy       `json:"timeout_policy,omitzero"`
	// RetentionMS is how long the finished execution is kept: 0 to [MaxSpanMS] milliseconds. Default: the engine's. A member
	// of a flow is kept as long as its flow besides, since others may read its result.
	RetentionMS *int64 `json:"retention_ms,omitzero"`
	// DedupWindowMS is how long the idempotency key is remembered, at most as long as the execution is kept: 1 to
	// [MaxSpanMS] milliseconds. Default [IdempotencyWindow].
	DedupWindowMS *int64            `json:"dedup_window_ms,omitzero"`
	Aging         *AgingPolicy      `json:"aging_policy,omitzero"`
	Suspension    *SuspensionPolicy `json:"suspension_policy,omitzero"`
	// MaxSignals bounds the signals the execution takes: 1 to [MaxSignals], which is the default.
	MaxSignals *uint32 `json:"max_signals_per_execution,omitzero"`
	// Limits are budgets and quotas the execution is under. On the wire a list budget_ids and a quota_policy_id say the same.
	Limits *Limits `json:"limits,omitzero"`
	// Stream bounds the streams of the execution.
	Stream *StreamPolicy `json:"stream_policy,omitzero"`
}

// SuspensionPolicy is what holds for a suspension that does not say otherwise (chapter 40, FIX-S32).
type SuspensionPolicy struct {
	DefaultTimeoutMS int64           `json:"default_timeout_ms,omitzero"` // 0 to [MaxSpanMS]; 0 for none
	TimeoutBehavior  TimeoutBehavior `json:"timeout_behavior,omitzero"`   // default [TimeoutFails]
}

// TimeoutPolicy bounds how long an attempt and the whole execution may take. Zero fields do not bound.
type TimeoutPolicy struct {
	// AttemptTimeoutMS bounds the time an attempt holds a lease, over all its leases: 0 to [MaxSpanMS]. Time during which
	// the attempt is paused (delayed, released, suspended) does not count.
	AttemptTimeoutMS int64 `json:"attempt_timeout_ms,omitzero"`
	// OnAttemptTimeout says what an attempt that ran too long leads to. Default [TimeoutExpires].
	OnAttemptTimeout TimeoutAction `json:"on_attempt_timeout,omitzero"`
	// ExecutionDeadlineMS bounds the time from submission to the end, in every state: 0 to [MaxSpanMS]. With
	// [Submit.Deadline], the earlier counts.
	ExecutionDeadlineMS int64 `json:"execution_deadline_ms,omitzero"`
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
	DefaultRetention   = 24 * time.Hour // of a finished execution, unless the engine is configured otherwise
)

// RetryPolicy says whether and when a failed attempt is followed by another.
type RetryPolicy struct {
	// MaxRetries bounds the retries; the execution has at most MaxRetries+1 attempts that failed. Default 3.
	MaxRetries *uint32 `json:"max_retries,omitzero"`
	// Backoff is the pause before a retry. Default: exponential, 1 s doubling to 60 s, no jitter.
	Backoff *Backoff `json:"backoff,omitzero"`
	// RetryableCategories, when not empty, names the failure categories that are retried. Permanent and cancelled
	// failures never are.
	RetryableCategories []string `json:"retryable_categories,omitzero"`
	// OnExhausted says what follows when no retry is left for a failure that would be retried. Default [ExhaustedFails].
	OnExhausted ExhaustedAction `json:"on_exhausted,omitzero"`
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

// Backoff is the pause before a retry, in milliseconds of 0 to [MaxSpanMS]. Fixed uses DelayMS; exponential uses the
// others: the nth retry (from 0) waits min(InitialDelayMS·Multiplier^n, MaxDelayMS), with a MaxDelayMS that is at least 1
// and InitialDelayMS, and a Multiplier of 1 to 1000. With Jitter the pause is spread over its upper half. A field of the
// other type must be unset.
type Backoff struct {
	Type           BackoffType `json:"type"`
	DelayMS        int64       `json:"delay_ms"`
	InitialDelayMS int64       `json:"initial_delay_ms"`
	MaxDelayMS     int64       `json:"max_delay_ms"`
	Multiplier     float64     `json:"multiplier"`
	Jitter         bool        `json:"jitter"`
}

// MarshalJSON writes the fields of b's type, and those always: where the wire form is read, an absent number is a
// default, which 0 is not.
func (b Backoff) MarshalJSON() ([]byte, error) {
	if b.Type == BackoffExponential {
		return json.Marshal(struct {
			Type           BackoffType `json:"type"`
			InitialDelayMS int64       `json:"initial_delay_ms"`
			MaxDelayMS     int64       `json:"max_delay_ms"`
			Multiplier     float64     `json:"multiplier"`
			Jitter         bool        `json:"jitter,omitzero"`
		}{b.Type, b.InitialDelayMS, b.MaxDelayMS, b.Multiplier, b.Jitter})
	}
	return json.Marshal(struct {
		Type    BackoffType `json:"type"`
		DelayMS int64       `json:"delay_ms"`
		Jitter  bool        `json:"jitter,omitzero"`
	}{b.Type, b.DelayMS, b.Jitter})
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
	RequiredCapabilities []string `json:"required_capabilities,omitzero"`
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

// AttemptTimeout returns how long an attempt may hold leases, 0 for no bound.
func (p *Policy) AttemptTimeout() time.Duration {
	if p == nil || p.Timeouts == nil {
		return 0
	}
	return time.Duration(p.Timeouts.AttemptTimeoutMS) * time.Millisecond
}

// ExecutionDeadline returns how long after its submission the execution ends at the latest, 0 for no bound.
func (p *Policy) ExecutionDeadline() time.Duration {
	if p == nil || p.Timeouts == nil {
		return 0
	}
	return time.Duration(p.Timeouts.ExecutionDeadlineMS) * time.Millisecond
}

// OnAttemptTimeoutOrDefault returns what follows an attempt that ran too long.
func (p *Policy) OnAttemptTimeoutOrDefault() TimeoutAction {
	if p == nil || p.Timeouts == nil {
		return TimeoutExpires
	}
	return cmp.Or(p.Timeouts.OnAttemptTimeout, TimeoutExpires)
}

// OnExhaustedOrDefault returns what follows a failure for which no retry is left.
func (p *Policy) OnExhaustedOrDefault() ExhaustedAction {
	if p == nil || p.Retry == nil {
		return ExhaustedFails
	}
	return cmp.Or(p.Retry.OnExhausted, ExhaustedFails)
}

// RetentionOr returns how long the finished execution is kept; engine is what the engine keeps by default.
func (p *Policy) RetentionOr(engine time.Duration) time.Duration {
	if p == nil || p.RetentionMS == nil {
		return engine
	}
	return time.Duration(*p.RetentionMS) * time.Millisecond
}

// DedupWindowOrDefault returns how long the policy wants the idempotency key to be remembered.
func (p *Policy) DedupWindowOrDefault() time.Duration {
	if p == nil || p.DedupWindowMS == nil {
		return IdempotencyWindow
	}
	return time.Duration(*p.DedupWindowMS) * time.Millisecond
}

// SuspensionTimeout returns how long a suspension may last that sets no deadline, 0 for no bound, and what follows then.
func (p *Policy) SuspensionTimeout() (time.Duration, TimeoutBehavior) {
	if p == nil || p.Suspension == nil {
		return 0, TimeoutFails
	}
	return time.Duration(p.Suspension.DefaultTimeoutMS) * time.Millisecond, cmp.Or(p.Suspension.TimeoutBehavior, TimeoutFails)
}

// MaxSignalsOrDefault returns how many signals the execution takes.
func (p *Policy) MaxSignalsOrDefault() int {
	if p == nil || p.MaxSignals == nil {
		return MaxSignals
	}
	return int(*p.MaxSignals)
}

// StreamOrDefault returns the bounds of the execution's streams.
func (p *Policy) StreamOrDefault() StreamPolicy {
	s := StreamPolicy{}
	if p != nil && p.Stream != nil {
		s = *p.Stream
	}
	return StreamPolicy{MaxFrames: cmp.Or(s.MaxFrames, MaxStreamFrames), MaxBytes: cmp.Or(s.MaxBytes, MaxStreamBytes)}
}

// Normalized returns a copy of p that shares no memory with it, in the one form of all policies that mean the same: nil
// rather than an empty policy, no empty parts, capabilities sorted and without repeats. p must be valid.
func (p *Policy) Normalized() *Policy {
	if p == nil {
		return nil
	}
	n := Policy{
		MaxReclaims: copied(p.MaxReclaims), MaxReplays: copied(p.MaxReplays), Timeouts: copied(p.Timeouts),
		RetentionMS: copied(p.RetentionMS), DedupWindowMS: copied(p.DedupWindowMS), Aging: copied(p.Aging), Retry: copied(p.Retry),
		Suspension: copied(p.Suspension), MaxSignals: copied(p.MaxSignals), Limits: p.Limits.normalized(), Stream: copied(p.Stream),
	}
	if n.Retry != nil {
		n.Retry.MaxRetries, n.Retry.Backoff = copied(n.Retry.MaxRetries), copied(n.Retry.Backoff)
		n.Retry.RetryableCategories = slices.Clone(n.Retry.RetryableCategories)
	}
	if sorted, _ := NormalizeCapabilities("required", p.Capabilities()); len(sorted) > 0 {
		n.Routing = &RoutingRequirements{RequiredCapabilities: sorted}
	}
	if n.Timeouts != nil && *n.Timeouts == (TimeoutPolicy{}) {
		n.Timeouts = nil
	}
	if n.Suspension != nil && *n.Suspension == (SuspensionPolicy{}) {
		n.Suspension = nil
	}
	if n.Stream != nil && *n.Stream == (StreamPolicy{}) {
		n.Stream = nil
	}
	if n == (Policy{}) {
		return nil
	}
	return &n
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
