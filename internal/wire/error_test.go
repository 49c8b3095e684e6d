package wire_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// TestBodyOf_IsTheTableOfTheReference restates chapter 70, section 5.4 and the mapping of section 5.5, row by row.
func TestBodyOf_IsTheTableOfTheReference(t *testing.T) {
	again, final := "true", "false"
	const none = "" // no kind, or no retryable
	for _, c := range []struct {
		err                    *flowfabric.Error
		status                 int
		kind, retryable, error string
	}{
		{
			&flowfabric.Error{Code: "resource_exhausted", Attrs: map[string]string{"pool": "stream_ops", "max": "64"}},
			429, "resource_exhausted", again, "too many concurrent stream_ops calls (server max: 64); retry with backoff",
		},
		{&flowfabric.Error{Code: "resource_exhausted", Op: "create budget"}, 429, "resource_exhausted", again, "too many concurrent create budget calls; retry with backoff"},
		{&flowfabric.Error{Code: "unavailable", Op: "stream_ops"}, 503, "unavailable", final, "backend op unavailable: stream_ops"},
		{&flowfabric.Error{Code: "unavailable", Op: "submit", Err: errors.New("down")}, 503, "unavailable", again, "backend op unavailable: submit"},
		{&flowfabric.Error{Code: "hmac_secret_not_initialized", Op: "suspend"}, 503, "unavailable", final, "backend op unavailable: suspend"},

		{&flowfabric.Error{Code: "execution_not_found", Detail: "{fp:1}:x"}, 404, none, none, "not found: execution"},
		{&flowfabric.Error{Code: "flow_not_found"}, 404, none, none, "not found: flow"},
		{&flowfabric.Error{Code: "budget_not_found"}, 404, none, none, "not found: budget"},
		{&flowfabric.Error{Code: "quota_not_found"}, 404, none, none, "not found: quota_policy"},

		{&flowfabric.Error{Code: "invalid_input", Detail: "kind is empty"}, 400, none, none, "invalid_input: kind is empty"},
		{&flowfabric.Error{Code: "invalid_input"}, 400, none, none, "invalid_input"},
		{&flowfabric.Error{Code: "invalid_capabilities", Detail: "worker:empty_token"}, 400, none, none, "invalid_capabilities: worker:empty_token"},
		{&flowfabric.Error{Code: "invalid_policy_json", Detail: "malformed"}, 400, none, none, "invalid_policy_json: malformed"},
		{&flowfabric.Error{Code: "payload_too_large"}, 400, none, none, "payload_too_large"},
		{&flowfabric.Error{Code: "signal_limit_exceeded"}, 400, none, none, "signal_limit_exceeded"},
		{&flowfabric.Error{Code: "invalid_token"}, 400, none, none, "invalid_token"},
		{&flowfabric.Error{Code: "missing_token"}, 400, none, none, "invalid_token"},
		{&flowfabric.Error{Code: "token_expired"}, 400, none, none, "invalid_token"},
		{&flowfabric.Error{Code: "retention_limit_exceeded"}, 400, none, none, "retention_limit_exceeded"},
		{&flowfabric.Error{Code: "invalid_dependency"}, 400, none, none, "invalid_dependency"},
		{&flowfabric.Error{Code: "execution_not_in_flow"}, 400, none, none, "invalid_dependency"},
		{&flowfabric.Error{Code: "invalid_blocking_reason"}, 400, none, none, "invalid_blocking_reason"},
		{&flowfabric.Error{Code: "invalid_budget_scope"}, 400, none, none, "invalid_budget_scope"},
		{&flowfabric.Error{Code: "invalid_quota_spec"}, 400, none, none, "invalid_quota_spec"},
		{&flowfabric.Error{Code: "invalid_kid"}, 400, none, none, "invalid_kid"},
		{&flowfabric.Error{Code: "invalid_secret_hex"}, 400, none, none, "invalid_secret_hex"},
		{&flowfabric.Error{Code: "invalid_grace_ms"}, 400, none, none, "invalid_grace_ms"},
		{&flowfabric.Error{Code: "invalid_tag_key"}, 400, none, none, "invalid_tag_key"},
		{&flowfabric.Error{Code: "fence_required"}, 400, none, none, "invalid_input"},
		{&flowfabric.Error{Code: "partial_fence_triple"}, 400, none, none, "invalid_input"},
		{&flowfabric.Error{Code: "corruption", Detail: "edited"}, 400, none, none, "validation_error: edited"},
		{&flowfabric.Error{Code: "patch_depth_exceeded"}, 400, none, none, "validation_error"},
		{&flowfabric.Error{Code: "use_pending_with_extras_unsupported"}, 400, none, none, "validation_error"},

		{&flowfabric.Error{Code: "dependency_already_exists"}, 409, "dependency_already_exists", final, "dependency_already_exists: DependencyAlreadyExists"},
		{&flowfabric.Error{Code: "cycle_detected", Detail: "a"}, 409, "cycle_detected", final, "cycle_detected: CycleDetected"},
		{&flowfabric.Error{Code: "self_referencing_edge"}, 409, "self_referencing_edge", final, "self_referencing_edge: SelfReferencingEdge"},
		{&flowfabric.Error{Code: "execution_already_in_flow"}, 409, "execution_already_in_flow", final, "execution_already_in_flow: ExecutionAlreadyInFlow"},
		{&flowfabric.Error{Code: "waitpoint_already_exists"}, 409, "waitpoint_already_exists", final, "waitpoint_already_exists: WaitpointAlreadyExists"},
		{&flowfabric.Error{Code: "budget_attach_conflict"}, 409, "budget_attach_conflict", final, "budget_attach_conflict: BudgetAttachConflict"},
		{&flowfabric.Error{Code: "quota_attach_conflict"}, 409, "quota_attach_conflict", final, "quota_attach_conflict: QuotaAttachConflict"},
		{&flowfabric.Error{Code: "rotation_conflict"}, 409, "rotation_conflict", final, "rotation_conflict: RotationConflict"},
		{&flowfabric.Error{Code: "idempotency_conflict"}, 409, "idempotency_conflict", final, "idempotency_conflict: IdempotencyConflict"}, // chapter 10, section 3.1

		{&flowfabric.Error{Code: "retry_exhausted"}, 503, "retry_exhausted", again, "retry_exhausted: RetryExhausted"},
		{&flowfabric.Error{Code: "rate_limit_exceeded"}, 429, "rate_limit_exceeded", again, "rate_limit_exceeded: RateLimitExceeded"},
		{&flowfabric.Error{Code: "concurrency_limit_exceeded"}, 429, "concurrency_limit_exceeded", again, "concurrency_limit_exceeded: ConcurrencyLimitExceeded"},
		{&flowfabric.Error{Code: "execution_not_eligible"}, 409, "contention", again, "contention: ExecutionNotEligible"},
		{&flowfabric.Error{Code: "stale_graph_revision"}, 409, "contention", again, "contention: StaleGraphRevision"},
		{&flowfabric.Error{Code: "lease_conflict"}, 409, "contention", again, "contention: LeaseConflict"},
		{&flowfabric.Error{Code: "lane_closed"}, 409, "contention", again, "contention: LaneClosed"},
		{&flowfabric.Error{Code: "waitpoint_not_found"}, 409, "contention", again, "contention: WaitpointNotFound"},

		{&flowfabric.Error{Code: "execution_not_terminal"}, 409, "execution_not_terminal", final, "execution_not_terminal: ExecutionNotTerminal"},
		{&flowfabric.Error{Code: "max_replays_exhausted"}, 409, "max_replays_exhausted", final, "max_replays_exhausted: MaxReplaysExhausted"},
		{&flowfabric.Error{Code: "flow_already_terminal"}, 409, "flow_already_terminal", final, "flow_already_terminal: FlowAlreadyTerminal"},
		{&flowfabric.Error{Code: "budget_exceeded"}, 409, "budget_exceeded", final, "budget_exceeded: BudgetExceeded"},
		{&flowfabric.Error{Code: "lease_expired"}, 409, "already_satisfied", final, "already_satisfied: LeaseExpired"},
		{&flowfabric.Error{Code: "lease_revoked"}, 409, "already_satisfied", final, "already_satisfied: LeaseRevoked"},
		{&flowfabric.Error{Code: "stale_lease"}, 409, "state_conflict", final, "state_conflict: StaleLease"},
		{&flowfabric.Error{Code: "execution_not_active"}, 409, "state_conflict", final, "state_conflict: ExecutionNotActive"},
		{&flowfabric.Error{Code: "stream_closed"}, 409, "state_conflict", final, "state_conflict: StreamClosed"},
		{&flowfabric.Error{Code: "waitpoint_closed"}, 409, "state_conflict", final, "state_conflict: WaitpointClosed"},
		{&flowfabric.Error{Code: "target_not_signalable"}, 409, "state_conflict", final, "state_conflict: TargetNotSignalable"},
		{&flowfabric.Error{Code: "event_gap"}, 410, "state_conflict", final, "state_conflict: EventGap"},

		{&flowfabric.Error{Code: "timeout", Op: "wait"}, 504, none, again, "engine: wait: timeout"},
		{&flowfabric.Error{Code: "bug", Detail: "a secret"}, 500, none, final, "engine: bug"},
	} {
		t.Run(string(c.err.Code), func(t *testing.T) {
			err := fmt.Errorf("around: %w", c.err)
			body := wire.BodyOf(err)
			retryable := ""
			if body.Retryable != nil {
				retryable = fmt.Sprint(*body.Retryable)
			}
			got := []any{wire.StatusOf(err), body.Kind, retryable, body.Error, body.Code}
			if diff := cmp.Diff([]any{c.status, c.kind, c.retryable, c.error, c.err.Code}, got); diff != "" {
				t.Errorf("status, kind, retryable, error, code (-want +got):\n%s", diff)
			}
			if limited := c.status == 429 || c.status == 503; limited && body.RetryAfterMS < 1 {
				t.Error("it does not say when to come again")
			}
		})
	}
}

func TestBodyOf_AnErrorWithoutACodeTellsNothing(t *testing.T) {
	body := wire.BodyOf(errors.New("a secret"))
	if body.Error != "internal error" || body.Code != "bug" || body.Kind != "" || *body.Retryable || wire.StatusOf(errors.New("x")) != 500 {
		t.Errorf("%+v", body)
	}
}
