package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flowfabric/flowfabric"
)

// Causes with which the context of a running handler ends; see [context.Cause].
var (
	// ErrLeaseLost: the lease was taken away, or ran out before it could be renewed. Another worker may be running the
	// execution by now; whatever the handler returns is dropped.
	ErrLeaseLost = errors.New("lease lost")
	// ErrCancelled: the execution was cancelled. Whatever the handler returns is dropped.
	ErrCancelled = errors.New("execution cancelled")
	// ErrShutdown: the worker stops and DrainTimeout has passed. A handler that answers with its context's error gives
	// the execution back, and another worker continues the same attempt.
	ErrShutdown = errors.New("worker shutting down")
)

// FailurePanic is the failure category of a handler that panicked. It is retried as the policy says.
const FailurePanic flowfabric.FailureCategory = "panic"

// failure is an error with a category of its own.
type failure struct {
	category flowfabric.FailureCategory
	err      error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Permanent marks err as one no retry can help: the execution fails at once. Permanent(nil) is nil.
func Permanent(err error) error { return FailWith(flowfabric.FailurePermanent, err) }

// FailWith gives err a failure category, by which the retry policy may tell it from others. FailWith(c, nil) is nil.
func FailWith(category flowfabric.FailureCategory, err error) error {
	if err == nil {
		return nil
	}
	return &failure{category: category, err: err}
}

type delayed struct {
	d     time.Duration
	until flowfabric.Timestamp // if it is known; then d is about what is left
}

func (e *delayed) Error() string { return fmt.Sprintf("delayed for %s", e.d) }

// Is makes one of a [Sleep] match [ErrParked].
func (e *delayed) Is(target error) bool { return e.until != 0 && target == ErrParked }

// Delay makes the error by which a handler ends its run without ending the attempt: after d the execution is claimable
// again, and the same attempt continues. It uses up no retry. With d ≤ 0 that is at once. To wait in the midst of a handler,
// see [Sleep].
func Delay(d time.Duration) error { return &delayed{d: d} }

type cancelled struct{ reason string }

func (e *cancelled) Error() string { return "cancelled: " + e.reason }

// Cancel makes the error by which a handler ends the execution as cancelled, by source [flowfabric.SourceWorker].
func Cancel(reason string) error { return &cancelled{reason: reason} }

// categoryOf is the category of an error of a handler or a step.
func categoryOf(err error) flowfabric.FailureCategory {
	var f *failure
	if errors.As(err, &f) && f.category != "" {
		return f.category
	}
	return flowfabric.FailureTransient
}

// lossOf tells whether an answer of the engine means that the lease is gone, and returns the cause for the handler;
// nil otherwise.
func lossOf(err error) error {
	if err == nil {
		return nil
	}
	var e *flowfabric.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code {
	case flowfabric.CodeExecutionNotActive:
		if e.Attrs["terminal_outcome"] == string(flowfabric.OutcomeCancelled) ||
			e.Attrs["lifecycle_phase"] == string(flowfabric.PhaseCancelled) {
			return fmt.Errorf("%w: %w", ErrCancelled, err)
		}
	case flowfabric.CodeStreamClosed, flowfabric.CodeStaleOwner: // of an append, whose inner error says more
		if loss := lossOf(e.Err); loss != nil {
			return loss
		}
	case flowfabric.CodeStaleLease, flowfabric.CodeLeaseExpired, flowfabric.CodeLeaseRevoked, flowfabric.CodeExecutionNotFound,
		flowfabric.CodeAlreadySuspended: // under this very lease, which that has ended
	default:
		return nil
	}
	return fmt.Errorf("%w: %w", ErrLeaseLost, err)
}

// mayRepeat reports whether a failed call is worth repeating: it may succeed later, or its outcome is unknown. An error
// without a code comes from underway, so nothing is known about the outcome either.
func mayRepeat(err error) bool {
	var e *flowfabric.Error
	return !errors.As(err, &e) || e.Class() == flowfabric.ClassRetryable || e.Code == flowfabric.CodeTimeout
}

// refused reports whether the engine will never accept the call as it is.
func refused(err error) bool {
	var e *flowfabric.Error
	return errors.As(err, &e) && e.Family() == flowfabric.FamilyValidation
}

// clip makes any text fit for the engine: at most most bytes of UTF-8 without NUL.
func clip(s string, most int) string {
	if len(s) <= most && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	s = s[:min(len(s), most)]
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}
