package lifecycle

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// retryable reports whether the policy of e wants failures of this category to be followed by another attempt.
func retryable(e *record.Execution, category ff.FailureCategory) bool {
	final := category == ff.FailurePermanent || category == ff.FailureCancelled || category == ff.FailureBudget
	if final || e.Policy == nil || e.Policy.Retry == nil {
		return false
	}
	only := e.Policy.Retry.RetryableCategories
	return len(only) == 0 || slices.Contains(only, string(category))
}

// backoffOf is the pause before the next retry of e. It is a function of the execution and its retry count, jitter
// included, so that a rule that runs again decides the same.
func backoffOf(e *record.Execution) time.Duration {
	b := ff.DefaultBackoff()
	if e.Policy != nil && e.Policy.Retry != nil && e.Policy.Retry.Backoff != nil {
		b = *e.Policy.Retry.Backoff
	}
	ms := b.DelayMS
	if b.Type == ff.BackoffExponential {
		ms = exponential(b, e.RetryCount)
	}
	if b.Jitter {
		half := ms / 2
		ms = half + int64(spread(e)*float64(ms-half))
	}
	return time.Duration(ms) * time.Millisecond
}

// exponential is min(initial·multiplier^retries, max), rounded down to whole milliseconds.
func exponential(b ff.Backoff, retries int) int64 {
	if b.InitialDelayMS == 0 {
		return 0 // times an infinite power would be no number
	}
	ms := float64(b.InitialDelayMS) * math.Pow(b.Multiplier, float64(retries))
	if ms < float64(b.MaxDelayMS) {
		return int64(ms)
	}
	return b.MaxDelayMS
}

// spread is a number in [0, 1] that looks random from one execution and retry to the next.
func spread(e *record.Execution) float64 {
	h := fnv.New64a()
	id := e.ID.UUID()
	_, _ = h.Write(id[:]) // never fails
	_ = binary.Write(h, binary.LittleEndian, int64(e.RetryCount))
	x := h.Sum64()
	x ^= x >> 33 // FNV leaves the high bits of similar inputs alike: mix as MurmurHash3 does at its end
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / float64(1<<53)
}
