package flowfabric

import (
	"errors"
	"fmt"
	"testing"
)

func TestError_MatchesByCodeThroughWrapping(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("command 3: %w", &Error{Code: CodeUnavailable, Op: "submit", Detail: "the store cannot be used now", Err: cause})
	if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrTimeout) || !errors.Is(err, cause) {
		t.Errorf("%v does not match by code and cause", err)
	}
	if got, want := err.Error(), "command 3: submit: unavailable: the store cannot be used now: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !Retryable(err) || Retryable(ErrStaleLease) || Retryable(cause) {
		t.Error("only unavailable, of these, is worth a retry")
	}
}

// Statuses and classes are restated from chapter 10, section 3.23 and chapter 30, section 30.10.
func TestCodes_Table(t *testing.T) {
	for _, tc := range []struct {
		err    *Error
		family ErrorFamily
		class  ErrorClass
		http   int
	}{
		{ErrExecutionNotFound, FamilyNotFound, ClassTerminal, 404},
		{ErrInvalidInput, FamilyValidation, ClassTerminal, 400},
		{ErrFenceRequired, FamilyValidation, ClassTerminal, 400},
		{ErrPartialFence, FamilyValidation, ClassTerminal, 400},
		{ErrExecutionNotActive, FamilyContention, ClassTerminal, 409},
		{ErrExecutionNotEligible, FamilyContention, ClassInformational, 409},
		{ErrLeaseConflict, FamilyContention, ClassRetryable, 409},
		{ErrInvalidBlockReason, FamilyValidation, ClassTerminal, 400},
		{ErrIdempotencyConflict, FamilyConflict, ClassTerminal, 409},
		{ErrStaleLease, FamilyState, ClassTerminal, 409},
		{ErrLeaseExpired, FamilyState, ClassTerminal, 409},
		{ErrLeaseRevoked, FamilyState, ClassTerminal, 409},
		{ErrExecutionNotTerminal, FamilyState, ClassTerminal, 409},
		{ErrMaxReplaysExhausted, FamilyState, ClassTerminal, 409},
		{ErrInvalidToken, FamilyValidation, ClassTerminal, 400},
		{ErrMissingToken, FamilyValidation, ClassTerminal, 400},
		{ErrTokenExpired, FamilyValidation, ClassTerminal, 400},
		{ErrSignalLimitExceeded, FamilyValidation, ClassTerminal, 400},
		{ErrWaitpointNotFound, FamilyContention, ClassRetryable, 409},
		{ErrExecutionNotSuspended, FamilyState, ClassInformational, 409},
		{ErrAlreadySuspended, FamilyState, ClassInformational, 409},
		{ErrWaitpointClosed, FamilyState, ClassInformational, 409},
		{ErrWaitpointNotPending, FamilyState, ClassInformational, 409},
		{ErrPendingWaitpointExpired, FamilyState, ClassInformational, 409},
		{ErrTargetNotSignalable, FamilyState, ClassTerminal, 409},
		{ErrWaitpointAlreadyExists, FamilyConflict, ClassTerminal, 409},
		{ErrPartitionMismatch, FamilyConflict, ClassTerminal, 500},
		{ErrSecretNotInitialized, FamilyUnavailable, ClassRetryable, 503},
		{ErrKeyNotFound, FamilyNotFound, ClassTerminal, 404},
		{ErrUnauthorized, FamilyAuthority, ClassTerminal, 401},
		{ErrForbidden, FamilyAuthority, ClassTerminal, 403},
		{ErrResourceExhausted, FamilyResourceExhausted, ClassRetryable, 429},
		{&Error{Code: "no_such_code"}, FamilyBug, ClassBug, 500},
	} {
		if tc.err.Family() != tc.family || tc.err.Class() != tc.class || tc.err.Code.Lookup().HTTP != tc.http {
			t.Errorf("%s: got %+v", tc.err.Code, tc.err.Code.Lookup())
		}
	}
}
