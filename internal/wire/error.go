package wire

import (
	"cmp"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
)

// ErrorBody is the JSON form of an error (chapter 70, section 5.1). Error, Kind and Retryable are as the reference has them:
// clients branch on the absence of the latter two, so Code is the word to match.
type ErrorBody struct {
	Error        string            `json:"error"`
	Kind         string            `json:"kind,omitzero"`
	Retryable    *bool             `json:"retryable,omitzero"`
	Code         flowfabric.Code   `json:"code,omitzero"`
	Op           string            `json:"op,omitzero"`
	Detail       string            `json:"detail,omitzero"`
	Field        string            `json:"field,omitzero"` // JSON pointer to what could not be read
	Attrs        map[string]string `json:"attrs,omitzero"`
	RetryAfterMS int64             `json:"retry_after_ms,omitzero"`
	RequestID    string            `json:"request_id,omitzero"`
	LimitBytes   int64             `json:"limit_bytes,omitzero"`
	Route        string            `json:"route,omitzero"`
}

// retryAfter is what an answer asks a client to wait when nothing better is known.
const retryAfter = 100 * time.Millisecond

// BodyOf returns the form of an error. One without a code is a bug of ours: its text stays inside.
func BodyOf(err error) ErrorBody {
	var e *flowfabric.Error
	if !errors.As(err, &e) {
		no := false
		return ErrorBody{Error: "internal error", Code: flowfabric.CodeBug, Retryable: &no}
	}
	body := ErrorBody{Code: e.Code, Op: e.Op, Detail: e.Detail, Attrs: maps.Clone(e.Attrs)}
	if around, ok := strings.CutSuffix(err.Error(), e.Error()); ok { // "command 3: "
		body.Op = around + e.Op
	}
	body.Kind, body.Retryable = kindOfError(e)
	body.Error = textOf(e, body.Kind)
	if e.Class() == flowfabric.ClassRetryable {
		body.RetryAfterMS = retryAfter.Milliseconds()
		if ms, err := strconv.ParseInt(e.Attrs["retry_after_ms"], 10, 64); err == nil && ms > 0 {
			body.RetryAfterMS = ms
		}
	}
	return body
}

// Err returns the error a body tells of.
func (b ErrorBody) Err() error {
	code := b.Code
	if code == "" {
		code = flowfabric.CodeBug
	}
	detail := b.Detail
	if detail == "" && b.Op == "" {
		detail = b.Error
	}
	return &flowfabric.Error{Code: code, Op: b.Op, Detail: detail, Attrs: b.Attrs}
}

// StatusOf returns the status an error is answered with.
func StatusOf(err error) int {
	var e *flowfabric.Error
	if !errors.As(err, &e) {
		return flowfabric.CodeBug.Lookup().HTTP
	}
	return e.Code.Lookup().HTTP
}

// kindOfError answers as the reference does (chapter 70, section 5.4): nothing for what was not found or is not valid.
func kindOfError(e *flowfabric.Error) (kind string, retryable *bool) {
	again := e.Class() == flowfabric.ClassRetryable
	switch e.Family() {
	case flowfabric.FamilyNotFound, flowfabric.FamilyValidation:
		return "", nil
	case flowfabric.FamilyAuthority:
		if e.Code == flowfabric.CodeUnauthorized {
			return "", nil
		}
		kind = string(e.Code)
	case flowfabric.FamilyContention:
		switch e.Code {
		case flowfabric.CodeRetryExhausted, flowfabric.CodeRateLimitExceeded, flowfabric.CodeConcurrencyLimitExceeded:
			kind = string(e.Code)
		case flowfabric.CodeExecutionNotActive: // it will not be again: who is told to repeat the call would do so for ever
			kind, again = "state_conflict", false
		default:
			kind, again = "contention", true
		}
	case flowfabric.FamilyConflict:
		kind, again = string(e.Code), false
	case flowfabric.FamilyState:
		kind, again = stateKind(e.Code), false
	case flowfabric.FamilyResourceExhausted:
		kind = string(e.Family())
	case flowfabric.FamilyUnavailable: // of a store that does not answer it is worth a try, of an operation that is not to be had it is not
		kind, again = string(e.Family()), e.Err != nil
	default: // timeout, bug
		again = e.Family() == flowfabric.FamilyTimeout
	}
	return kind, &again
}

func stateKind(code flowfabric.Code) string {
	switch code {
	case flowfabric.CodeExecutionNotTerminal, flowfabric.CodeMaxReplaysExhausted, flowfabric.CodeFlowAlreadyTerminal,
		flowfabric.CodeBudgetExceeded:
		return string(code)
	case flowfabric.CodeLeaseExpired, flowfabric.CodeLeaseRevoked:
		return "already_satisfied"
	default:
		return "state_conflict"
	}
}

// validationWord is the word of the reference for a refusal of input. It has one for what it has no word for.
func validationWord(code flowfabric.Code) string {
	switch code {
	case flowfabric.CodeExecutionNotInFlow:
		return string(flowfabric.CodeInvalidDependency)
	case flowfabric.CodeMissingToken, flowfabric.CodeTokenExpired:
		return string(flowfabric.CodeInvalidToken)
	case flowfabric.CodeFenceRequired, flowfabric.CodePartialFence:
		return string(flowfabric.CodeInvalidInput)
	case flowfabric.CodeCorruption, flowfabric.CodeUsePendingWithExtras, flowfabric.CodePatchDepthExceeded:
		return "validation_error"
	default:
		return string(code)
	}
}

// textOf is what the reference says; what is behind the colon of a refusal of input is free text.
func textOf(e *flowfabric.Error, kind string) string {
	switch e.Family() {
	case flowfabric.FamilyNotFound:
		return "not found: " + entityOf(e.Code)
	case flowfabric.FamilyValidation:
		return strings.TrimSuffix(validationWord(e.Code)+": "+e.Detail, ": ")
	case flowfabric.FamilyAuthority:
		if e.Code == flowfabric.CodeUnauthorized {
			return "missing or invalid Authorization header"
		}
		return string(e.Code)
	case flowfabric.FamilyResourceExhausted:
		most := ""
		if n := e.Attrs["max"]; n != "" {
			most = " (server max: " + n + ")"
		}
		return "too many concurrent " + cmp.Or(e.Attrs["pool"], e.Op) + " calls" + most + "; retry with backoff"
	case flowfabric.FamilyUnavailable:
		return strings.TrimSuffix("backend op unavailable: "+e.Op, ": ")
	case flowfabric.FamilyContention, flowfabric.FamilyConflict, flowfabric.FamilyState:
		return kind + ": " + camel(e.Code)
	default:
		return "engine: " + strings.TrimPrefix(e.Op+": ", ": ") + string(e.Code)
	}
}

// entityOf is what was not found.
func entityOf(code flowfabric.Code) string {
	if code == flowfabric.CodeQuotaNotFound {
		return "quota_policy"
	}
	return strings.TrimSuffix(string(code), "_not_found")
}

func camel(code flowfabric.Code) string {
	var b strings.Builder
	for word := range strings.SplitSeq(string(code), "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
