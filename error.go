package flowfabric

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Code is the stable snake_case name of a failure (chapter 10, section 3.23).
type Code string

// ErrorFamily groups codes by what failed.
type ErrorFamily string

// Error families.
const (
	FamilyNotFound          ErrorFamily = "not_found"
	FamilyValidation        ErrorFamily = "validation"
	FamilyContention        ErrorFamily = "contention"
	FamilyConflict          ErrorFamily = "conflict"
	FamilyState             ErrorFamily = "state"
	FamilyBug               ErrorFamily = "bug"
	FamilyUnavailable       ErrorFamily = "unavailable"
	FamilyResourceExhausted ErrorFamily = "resource_exhausted"
	FamilyTimeout           ErrorFamily = "timeout"
	FamilyAuthority         ErrorFamily = "authority"
)

// ErrorClass says what a caller should do about a failure.
type ErrorClass string

// Error classes.
const (
	ClassTerminal      ErrorClass = "terminal"      // the same call will fail again
	ClassRetryable     ErrorClass = "retryable"     // the same call may succeed later
	ClassInformational ErrorClass = "informational" // nothing to do, or pick another execution
	ClassBug           ErrorClass = "bug"           // report it
)

// Codes.
const (
	CodeExecutionNotFound Code = "execution_not_found"

	CodeInvalidInput        Code = "invalid_input"
	CodeInvalidPolicy       Code = "invalid_policy_json"
	CodeInvalidCapabilities Code = "invalid_capabilities"
	CodeInvalidTagKey       Code = "invalid_tag_key"
	CodePayloadTooLarge     Code = "payload_too_large"
	CodeFenceRequired       Code = "fence_required"
	CodePartialFence        Code = "partial_fence_triple"
	CodeCorruption          Code = "corruption"

	CodeExecutionNotActive   Code = "execution_not_active"
	CodeExecutionNotEligible Code = "execution_not_eligible"
	CodeRetryExhausted       Code = "retry_exhausted"
	CodeLeaseConflict        Code = "lease_conflict"
	CodeLaneClosed           Code = "lane_closed"
	CodeInvalidBlockReason   Code = "invalid_blocking_reason"

	CodeIdempotencyConflict Code = "idempotency_conflict"

	CodeStaleLease           Code = "stale_lease"
	CodeLeaseExpired         Code = "lease_expired"
	CodeLeaseRevoked         Code = "lease_revoked"
	CodeExecutionNotTerminal Code = "execution_not_terminal"
	CodeMaxReplaysExhausted  Code = "max_replays_exhausted"

	CodeFlowNotFound            Code = "flow_not_found"
	CodeInvalidDependency       Code = "invalid_dependency"
	CodeStaleGraphRevision      Code = "stale_graph_revision"
	CodeCycleDetected           Code = "cycle_detected"
	CodeSelfReferencingEdge     Code = "self_referencing_edge"
	CodeDependencyAlreadyExists Code = "dependency_already_exists"
	CodeExecutionAlreadyInFlow  Code = "execution_already_in_flow"
	CodeFlowAlreadyTerminal     Code = "flow_already_terminal"
	CodeExecutionNotInFlow      Code = "execution_not_in_flow"

	CodeInvalidKid       Code = "invalid_kid"
	CodeInvalidSecretHex Code = "invalid_secret_hex"
	CodeInvalidGrace     Code = "invalid_grace_ms"
	CodeRotationConflict Code = "rotation_conflict"

	CodeWaitpointNotFound       Code = "waitpoint_not_found"
	CodeInvalidToken            Code = "invalid_token"
	CodeMissingToken            Code = "missing_token"
	CodeTokenExpired            Code = "token_expired"
	CodeSecretNotInitialized    Code = "hmac_secret_not_initialized"
	CodeUsePendingWithExtras    Code = "use_pending_with_extras_unsupported"
	CodeSignalLimitExceeded     Code = "signal_limit_exceeded"
	CodeExecutionNotSuspended   Code = "execution_not_suspended"
	CodeAlreadySuspended        Code = "already_suspended"
	CodeWaitpointClosed         Code = "waitpoint_closed"
	CodeWaitpointNotPending     Code = "waitpoint_not_pending"
	CodePendingWaitpointExpired Code = "pending_waitpoint_expired"
	CodeTargetNotSignalable     Code = "target_not_signalable"
	CodeWaitpointAlreadyExists  Code = "waitpoint_already_exists"

	CodeBudgetNotFound           Code = "budget_not_found"
	CodeQuotaNotFound            Code = "quota_not_found"
	CodeBudgetExceeded           Code = "budget_exceeded"
	CodeRateLimitExceeded        Code = "rate_limit_exceeded"
	CodeConcurrencyLimitExceeded Code = "concurrency_limit_exceeded"
	CodeInvalidBudgetScope       Code = "invalid_budget_scope"
	CodeInvalidQuotaSpec         Code = "invalid_quota_spec"
	CodeBudgetConflict           Code = "budget_attach_conflict"
	CodeQuotaConflict            Code = "quota_attach_conflict"

	CodeRetentionLimitExceeded Code = "retention_limit_exceeded"
	CodePatchDepthExceeded     Code = "patch_depth_exceeded"
	CodeEventGap               Code = "event_gap"
	CodeStreamClosed           Code = "stream_closed"
	CodeStaleOwner             Code = "stale_owner_cannot_append"

	CodeKeyNotFound  Code = "key_not_found"
	CodeUnauthorized Code = "unauthorized"
	CodeForbidden    Code = "forbidden"

	CodePartitionMismatch Code = "partition_mismatch"
	CodeBug               Code = "bug"
	CodeUnavailable       Code = "unavailable"
	CodeResourceExhausted Code = "resource_exhausted"
	CodeTimeout           Code = "timeout"
)

// CodeInfo is what the one table of codes says of a code.
type CodeInfo struct {
	Family ErrorFamily
	Class  ErrorClass
	HTTP   int
}

// codes is the one table of chapter 10, section 3.23, in its decided ("Go") column, and of chapter 70, section 5.5.
var codes = map[Code]CodeInfo{
	CodeExecutionNotFound: {FamilyNotFound, ClassTerminal, http.StatusNotFound},

	CodeInvalidInput:        {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidPolicy:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidCapabilities: {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidTagKey:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodePayloadTooLarge:     {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeFenceRequired:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodePartialFence:        {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeCorruption:          {FamilyValidation, ClassTerminal, http.StatusBadRequest},

	CodeExecutionNotActive:   {FamilyContention, ClassTerminal, http.StatusConflict},
	CodeExecutionNotEligible: {FamilyContention, ClassInformational, http.StatusConflict},
	CodeRetryExhausted:       {FamilyContention, ClassRetryable, http.StatusServiceUnavailable},
	CodeLeaseConflict:        {FamilyContention, ClassRetryable, http.StatusConflict},
	CodeLaneClosed:           {FamilyContention, ClassRetryable, http.StatusConflict},
	CodeInvalidBlockReason:   {FamilyValidation, ClassTerminal, http.StatusBadRequest},

	CodeIdempotencyConflict: {FamilyConflict, ClassTerminal, http.StatusConflict},

	CodeStaleLease:           {FamilyState, ClassTerminal, http.StatusConflict},
	CodeLeaseExpired:         {FamilyState, ClassTerminal, http.StatusConflict},
	CodeLeaseRevoked:         {FamilyState, ClassTerminal, http.StatusConflict},
	CodeExecutionNotTerminal: {FamilyState, ClassTerminal, http.StatusConflict},
	CodeMaxReplaysExhausted:  {FamilyState, ClassTerminal, http.StatusConflict},

	CodeFlowNotFound:            {FamilyNotFound, ClassTerminal, http.StatusNotFound},
	CodeInvalidDependency:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeStaleGraphRevision:      {FamilyContention, ClassRetryable, http.StatusConflict},
	CodeCycleDetected:           {FamilyConflict, ClassTerminal, http.StatusConflict},
	CodeSelfReferencingEdge:     {FamilyConflict, ClassTerminal, http.StatusConflict},
	CodeDependencyAlreadyExists: {FamilyConflict, ClassTerminal, http.StatusConflict},
	CodeExecutionAlreadyInFlow:  {FamilyConflict, ClassTerminal, http.StatusConflict},
	CodeFlowAlreadyTerminal:     {FamilyState, ClassTerminal, http.StatusConflict},
	CodeExecutionNotInFlow:      {FamilyValidation, ClassTerminal, http.StatusBadRequest},

	CodeInvalidKid:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidSecretHex: {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidGrace:     {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeRotationConflict: {FamilyConflict, ClassTerminal, http.StatusConflict},

	CodeWaitpointNotFound:       {FamilyContention, ClassRetryable, http.StatusConflict},
	CodeInvalidToken:            {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeMissingToken:            {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeTokenExpired:            {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeSecretNotInitialized:    {FamilyUnavailable, ClassRetryable, http.StatusServiceUnavailable},
	CodeUsePendingWithExtras:    {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeSignalLimitExceeded:     {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeExecutionNotSuspended:   {FamilyState, ClassInformational, http.StatusConflict},
	CodeAlreadySuspended:        {FamilyState, ClassInformational, http.StatusConflict},
	CodeWaitpointClosed:         {FamilyState, ClassInformational, http.StatusConflict},
	CodeWaitpointNotPending:     {FamilyState, ClassInformational, http.StatusConflict},
	CodePendingWaitpointExpired: {FamilyState, ClassInformational, http.StatusConflict},
	CodeTargetNotSignalable:     {FamilyState, ClassTerminal, http.StatusConflict},
	CodeWaitpointAlreadyExists:  {FamilyConflict, ClassTerminal, http.StatusConflict},

	CodeBudgetNotFound:           {FamilyNotFound, ClassTerminal, http.StatusNotFound},
	CodeQuotaNotFound:            {FamilyNotFound, ClassTerminal, http.StatusNotFound},
	CodeBudgetExceeded:           {FamilyState, ClassTerminal, http.StatusConflict},
	CodeRateLimitExceeded:        {FamilyContention, ClassRetryable, http.StatusTooManyRequests},
	CodeConcurrencyLimitExceeded: {FamilyContention, ClassRetryable, http.StatusTooManyRequests},
	CodeInvalidBudgetScope:       {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeInvalidQuotaSpec:         {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeBudgetConflict:           {FamilyConflict, ClassTerminal, http.StatusConflict},
	CodeQuotaConflict:            {FamilyConflict, ClassTerminal, http.StatusConflict},

	CodeRetentionLimitExceeded: {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodePatchDepthExceeded:     {FamilyValidation, ClassTerminal, http.StatusBadRequest},
	CodeEventGap:               {FamilyState, ClassTerminal, http.StatusGone},
	CodeStreamClosed:           {FamilyState, ClassTerminal, http.StatusConflict},
	CodeStaleOwner:             {FamilyState, ClassTerminal, http.StatusConflict},

	CodeKeyNotFound:  {FamilyNotFound, ClassTerminal, http.StatusNotFound},
	CodeUnauthorized: {FamilyAuthority, ClassTerminal, http.StatusUnauthorized},
	CodeForbidden:    {FamilyAuthority, ClassTerminal, http.StatusForbidden},

	CodePartitionMismatch: {FamilyConflict, ClassTerminal, http.StatusInternalServerError},
	CodeBug:               {FamilyBug, ClassBug, http.StatusInternalServerError},
	CodeUnavailable:       {FamilyUnavailable, ClassRetryable, http.StatusServiceUnavailable},
	CodeResourceExhausted: {FamilyResourceExhausted, ClassRetryable, http.StatusTooManyRequests},
	CodeTimeout:           {FamilyTimeout, ClassTerminal, http.StatusGatewayTimeout},
}

// Lookup returns what the table says of a code; an unknown code is a bug.
func (c Code) Lookup() CodeInfo {
	if info, ok := codes[c]; ok {
		return info
	}
	return codes[CodeBug]
}

// Error is the one error type of the engine. Match it by code, errors.Is(err, ErrStaleLease); reach its fields with
// errors.As. Op is the operation that failed, Detail says what was wrong and what to do, Attrs carries data a program
// may need, Err is the cause, if any.
type Error struct {
	Code   Code
	Op     string
	Detail string
	Attrs  map[string]string
	Err    error
}

// Error renders "op: code: detail: cause", leaving out what is empty.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, p := range []string{e.Op, string(e.Code), e.Detail} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches another *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Family returns the family of the error's code.
func (e *Error) Family() ErrorFamily { return e.Code.Lookup().Family }

// Class returns the class of the error's code.
func (e *Error) Class() ErrorClass { return e.Code.Lookup().Class }

// Retryable reports whether err is an [Error] whose call may succeed when it is made again.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class() == ClassRetryable
}

// Sentinels, matched by code.
var (
	ErrExecutionNotFound = &Error{Code: CodeExecutionNotFound}

	ErrInvalidInput        = &Error{Code: CodeInvalidInput}
	ErrInvalidPolicy       = &Error{Code: CodeInvalidPolicy}
	ErrInvalidCapabilities = &Error{Code: CodeInvalidCapabilities}
	ErrInvalidTagKey       = &Error{Code: CodeInvalidTagKey}
	ErrPayloadTooLarge     = &Error{Code: CodePayloadTooLarge}
	ErrFenceRequired       = &Error{Code: CodeFenceRequired}
	ErrPartialFence        = &Error{Code: CodePartialFence}
	ErrCorruption          = &Error{Code: CodeCorruption}

	ErrExecutionNotActive   = &Error{Code: CodeExecutionNotActive}
	ErrExecutionNotEligible = &Error{Code: CodeExecutionNotEligible}
	ErrRetryExhausted       = &Error{Code: CodeRetryExhausted}
	ErrLeaseConflict        = &Error{Code: CodeLeaseConflict}
	ErrLaneClosed           = &Error{Code: CodeLaneClosed}
	ErrInvalidBlockReason   = &Error{Code: CodeInvalidBlockReason}

	ErrIdempotencyConflict = &Error{Code: CodeIdempotencyConflict}

	ErrStaleLease           = &Error{Code: CodeStaleLease}
	ErrLeaseExpired         = &Error{Code: CodeLeaseExpired}
	ErrLeaseRevoked         = &Error{Code: CodeLeaseRevoked}
	ErrExecutionNotTerminal = &Error{Code: CodeExecutionNotTerminal}
	ErrMaxReplaysExhausted  = &Error{Code: CodeMaxReplaysExhausted}

	ErrFlowNotFound            = &Error{Code: CodeFlowNotFound}
	ErrInvalidDependency       = &Error{Code: CodeInvalidDependency}
	ErrStaleGraphRevision      = &Error{Code: CodeStaleGraphRevision}
	ErrCycleDetected           = &Error{Code: CodeCycleDetected}
	ErrSelfReferencingEdge     = &Error{Code: CodeSelfReferencingEdge}
	ErrDependencyAlreadyExists = &Error{Code: CodeDependencyAlreadyExists}
	ErrExecutionAlreadyInFlow  = &Error{Code: CodeExecutionAlreadyInFlow}
	ErrFlowAlreadyTerminal     = &Error{Code: CodeFlowAlreadyTerminal}
	ErrExecutionNotInFlow      = &Error{Code: CodeExecutionNotInFlow}

	ErrInvalidKid       = &Error{Code: CodeInvalidKid}
	ErrInvalidSecretHex = &Error{Code: CodeInvalidSecretHex}
	ErrInvalidGrace     = &Error{Code: CodeInvalidGrace}
	ErrRotationConflict = &Error{Code: CodeRotationConflict}

	ErrWaitpointNotFound       = &Error{Code: CodeWaitpointNotFound}
	ErrInvalidToken            = &Error{Code: CodeInvalidToken}
	ErrMissingToken            = &Error{Code: CodeMissingToken}
	ErrTokenExpired            = &Error{Code: CodeTokenExpired}
	ErrSecretNotInitialized    = &Error{Code: CodeSecretNotInitialized}
	ErrUsePendingWithExtras    = &Error{Code: CodeUsePendingWithExtras}
	ErrSignalLimitExceeded     = &Error{Code: CodeSignalLimitExceeded}
	ErrExecutionNotSuspended   = &Error{Code: CodeExecutionNotSuspended}
	ErrAlreadySuspended        = &Error{Code: CodeAlreadySuspended}
	ErrWaitpointClosed         = &Error{Code: CodeWaitpointClosed}
	ErrWaitpointNotPending     = &Error{Code: CodeWaitpointNotPending}
	ErrPendingWaitpointExpired = &Error{Code: CodePendingWaitpointExpired}
	ErrTargetNotSignalable     = &Error{Code: CodeTargetNotSignalable}
	ErrWaitpointAlreadyExists  = &Error{Code: CodeWaitpointAlreadyExists}

	ErrBudgetNotFound           = &Error{Code: CodeBudgetNotFound}
	ErrQuotaNotFound            = &Error{Code: CodeQuotaNotFound}
	ErrBudgetExceeded           = &Error{Code: CodeBudgetExceeded}
	ErrRateLimitExceeded        = &Error{Code: CodeRateLimitExceeded}
	ErrConcurrencyLimitExceeded = &Error{Code: CodeConcurrencyLimitExceeded}
	ErrInvalidBudgetScope       = &Error{Code: CodeInvalidBudgetScope}
	ErrInvalidQuotaSpec         = &Error{Code: CodeInvalidQuotaSpec}
	ErrBudgetConflict           = &Error{Code: CodeBudgetConflict}
	ErrQuotaConflict            = &Error{Code: CodeQuotaConflict}

	ErrRetentionLimitExceeded = &Error{Code: CodeRetentionLimitExceeded}
	ErrPatchDepthExceeded     = &Error{Code: CodePatchDepthExceeded}
	ErrEventGap               = &Error{Code: CodeEventGap}
	ErrStreamClosed           = &Error{Code: CodeStreamClosed}
	ErrStaleOwner             = &Error{Code: CodeStaleOwner}

	ErrKeyNotFound  = &Error{Code: CodeKeyNotFound}
	ErrUnauthorized = &Error{Code: CodeUnauthorized}
	ErrForbidden    = &Error{Code: CodeForbidden}

	ErrPartitionMismatch = &Error{Code: CodePartitionMismatch}
	ErrBug               = &Error{Code: CodeBug}
	ErrUnavailable       = &Error{Code: CodeUnavailable}
	ErrResourceExhausted = &Error{Code: CodeResourceExhausted}
	ErrTimeout           = &Error{Code: CodeTimeout}
)

// invalid builds the error of a field that breaks its rule.
func invalid(field, problem string) *Error {
	return &Error{Code: CodeInvalidInput, Detail: field + " " + problem, Attrs: map[string]string{"field": field}}
}

// clip shortens outside text before it enters an error.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}
