package sqlstore

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

type execution = record.Execution

func executionID(e *execution) *flowfabric.ExecutionID { return &e.ID }

// Executions is ff_exec_core. Its first columns are the ones chapter 30.14 binds; the rest is ours. The index entries
// Ready, DueAt, RetainUntil and Slot stand for are kept in ff_ready, ff_due, ff_retention and ff_lane_slot; SQLite has
// indexes of the table instead.
var Executions = Table[execution]{Name: "ff_exec_core", Keys: 2, Columns: slices.Concat(
	fixed(
		partitionOf("partition_key", executionID),
		uuidOf("execution_id", executionID),
		text("lane_id", func(e *execution) *flowfabric.LaneID { return &e.Lane }),
		optionalText("namespace", "", func(e *execution) *flowfabric.Namespace { return &e.Namespace }),
		optionalText("execution_kind", "", func(e *execution) *string { return &e.Kind }),
		optionalText("creator_identity", "", func(e *execution) *string { return &e.Creator }),
		list("required_capabilities", List, func(e *execution) *[]string { return &e.Capabilities }),
		integer("route", Int64, func(e *execution) *int64 { return &e.Route }),
		sharedJSON("policy", func(e *execution) **flowfabric.Policy { return &e.Policy },
			func(p *flowfabric.Policy) bool { return p == nil }),
		optionalText("trace_parent", "", func(e *execution) *flowfabric.TraceParent { return &e.TraceParent }),
		integer("created_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.CreatedAt }),
	),
	[]Column[execution]{
		optionalBlob("payload", func(e *execution) *[]byte { return &e.Payload }),
		optionalText("payload_encoding", "", func(e *execution) *string { return &e.PayloadEncoding }),
		optionalUUID("flow_id", func(e *execution) *flowfabric.FlowID { return &e.FlowID }),
		integer("version", Int64, func(e *execution) *int64 { return &e.Version }),
		text("lifecycle_phase", func(e *execution) *flowfabric.Phase { return &e.State.Phase }),
		text("ownership_state", func(e *execution) *flowfabric.Ownership { return &e.State.Ownership }),
		text("eligibility_state", func(e *execution) *flowfabric.Eligibility { return &e.State.Eligibility }),
		optionalText("blocking_reason", flowfabric.ReasonNone, func(e *execution) *flowfabric.BlockingReason { return &e.State.BlockingReason }),
		optionalText("terminal_outcome", flowfabric.OutcomeNone, func(e *execution) *flowfabric.Outcome { return &e.State.Outcome }),
		text("attempt_state", func(e *execution) *flowfabric.AttemptState { return &e.State.AttemptState }),
		text("public_state", func(e *execution) *flowfabric.PublicState { return &e.Public }),
		boolean("ready", func(e *execution) *bool { return &e.Ready }),
		optionalInteger("due_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.DueAt }),
		integer("priority", Int32, func(e *execution) *int { return &e.Priority }),
		integer("priority_boost", Int32, func(e *execution) *int { return &e.Boost }),
		optionalInteger("delay_until_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.DelayUntil }),
		optionalInteger("deadline_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.DeadlineAt }),
		optionalInteger("attempt_ends_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.AttemptEndsAt }),
		optionalInteger("attempt_left_ms", Int64, func(e *execution) *int64 { return &e.AttemptLeftMS }),
		optionalInteger("retain_until_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.RetainUntil }),
		boolean("awaits_upstream", func(e *execution) *bool { return &e.AwaitsUpstream }),
		boolean("slot", func(e *execution) *bool { return &e.Slot }),
		updatable(
			jsonColumn("tags", func(e *execution) *map[string]string { return &e.Tags },
				func(m map[string]string) bool { return len(m) == 0 }),
			func(a, b *execution) bool { return !maps.Equal(a.Tags, b.Tags) }),
		optionalText("blocking_detail", "", func(e *execution) *string { return &e.BlockingDetail }),
		optionalInteger("started_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.StartedAt }),
		optionalInteger("terminal_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.CompletedAt }),
		optionalInteger("last_transition_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.LastTransitionAt }),
		optionalInteger("last_mutation_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.LastMutationAt }),
		integer("total_attempt_count", Int32, func(e *execution) *int { return &e.TotalAttempts }),
		integer("retry_count", Int32, func(e *execution) *int { return &e.RetryCount }),
		integer("lease_reclaim_count", Int32, func(e *execution) *int { return &e.ReclaimCount }),
		integer("attempt_index", Int32, func(e *execution) *int { return &e.AttemptIndex }),
		optionalUUID("attempt_id", func(e *execution) *flowfabric.AttemptID { return &e.AttemptID }),
		optionalText("attempt_type", "", func(e *execution) *flowfabric.AttemptType { return &e.AttemptType }),
		optionalInteger("attempt_started_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.AttemptStartedAt }),
		integer("lease_epoch", Int64, func(e *execution) *uint64 { return &e.Epoch }),
		optionalUUID("lease_id", func(e *execution) *flowfabric.LeaseID { return &e.LeaseID }),
		optionalText("worker_id", "", func(e *execution) *flowfabric.WorkerID { return &e.WorkerID }),
		optionalText("worker_instance_id", "", func(e *execution) *flowfabric.WorkerInstanceID { return &e.WorkerInstanceID }),
		optionalInteger("lease_acquired_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.LeaseAcquiredAt }),
		optionalInteger("lease_renewed_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.LeaseRenewedAt }),
		optionalInteger("lease_expires_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.LeaseExpiresAt }),
		optionalUUID("suspension_id", func(e *execution) *flowfabric.SuspensionID { return &e.SuspensionID }),
		optionalUUID("waitpoint_id", func(e *execution) *flowfabric.WaitpointID { return &e.WaitpointID }),
		optionalInteger("suspended_until_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.SuspendedUntil }),
		optionalText("suspension_timeout", "", func(e *execution) *flowfabric.TimeoutBehavior { return &e.SuspensionTimeout }),
		updatable(sharedJSON("limits", func(e *execution) **record.Limits { return &e.Limits },
			func(l *record.Limits) bool { return l == nil }),
			func(a, b *execution) bool { return a.Limits != b.Limits }),
		optionalBlob("result", func(e *execution) *[]byte { return &e.Result }),
		optionalText("result_encoding", "", func(e *execution) *string { return &e.ResultEncoding }),
		optionalText("failure_reason", "", func(e *execution) *string { return &e.FailureReason }),
		optionalText("failure_category", "", func(e *execution) *flowfabric.FailureCategory { return &e.FailureCategory }),
		optionalText("cancellation_reason", "", func(e *execution) *string { return &e.CancellationReason }),
		optionalText("cancelled_by", "", func(e *execution) *flowfabric.Source { return &e.CancelledBy }),
		optionalText("lease_revoke_reason", "", func(e *execution) *string { return &e.LeaseRevokeReason }),
		{
			Name: "progress_pct", Kind: Int32,
			Write: func(e *execution, w Writer) {
				if e.ProgressPercent == nil {
					w.Null()
				} else {
					w.Int(int64(*e.ProgressPercent))
				}
			},
			Read: func(e *execution, v Reader) {
				if !v.IsNull() {
					pct := int(v.Int())
					e.ProgressPercent = &pct
				}
			},
			Changed: func(a, b *execution) bool { return a.ProgressPercent != b.ProgressPercent },
		},
		optionalText("progress_message", "", func(e *execution) *string { return &e.ProgressMessage }),
		optionalBlob("progress_details", func(e *execution) *[]byte { return &e.ProgressDetails }),
		optionalInteger("progress_updated_at_ms", Int64, func(e *execution) *flowfabric.Timestamp { return &e.ProgressUpdatedAt }),
		rawFields,
	},
)}

// rawFields is the open JSON object of the row. Two of its keys are ours (chapter 30): replay_count, a number, and
// last_mutation_at, the instant in decimal as a string. Others that are found there stay.
var rawFields = Column[execution]{
	Name: "raw_fields", Kind: Merge,
	Write: func(e *execution, w Writer) {
		raw := map[string]any{}
		if e.ReplayCount > 0 {
			raw["replay_count"] = e.ReplayCount
		}
		if e.LastOperatorAt > 0 {
			raw["last_mutation_at"] = strconv.FormatInt(int64(e.LastOperatorAt), 10)
		}
		if len(raw) == 0 {
			w.Text("{}")
			return
		}
		b, _ := json.Marshal(raw) // a map of numbers and strings cannot fail
		w.Text(string(b))
	},
	Read: func(e *execution, v Reader) {
		s := v.Text()
		if s == "{}" {
			return
		}
		var raw struct {
			ReplayCount    int    `json:"replay_count"`
			LastMutationAt string `json:"last_mutation_at"`
		}
		_ = json.Unmarshal([]byte(s), &raw) // a key of another type, written by hand, counts as absent
		e.ReplayCount = raw.ReplayCount
		at, _ := strconv.ParseInt(raw.LastMutationAt, 10, 64)
		e.LastOperatorAt = flowfabric.Timestamp(at)
	},
	Changed: func(a, b *execution) bool {
		return a.ReplayCount != b.ReplayCount || a.LastOperatorAt != b.LastOperatorAt
	},
}
