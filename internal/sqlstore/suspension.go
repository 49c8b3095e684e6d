package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyOfExecution are the first columns of a family whose records belong to an execution, and the first two of its key. They
// must stand in this order: reading the partition begins the id.
func keyOfExecution[R any](id func(*R) *flowfabric.ExecutionID, rest ...Column[R]) []Column[R] {
	return fixed(append([]Column[R]{partitionOf("partition_key", id), uuidOf("execution_id", id)}, rest...)...)
}

func suspensionOf(s *record.Suspension) *flowfabric.ExecutionID { return &s.ExecutionID }

// suspensions is ff_suspension_current. Columns up to condition are the ones chapter 40, section 14.1 binds, with matched in
// the place of satisfied_set and member_map.
var suspensions = Table[record.Suspension]{Name: "ff_suspension_current", Keys: 2, Columns: slices.Concat(
	keyOfExecution(suspensionOf),
	[]Column[record.Suspension]{
		integer("version", Int64, func(s *record.Suspension) *int64 { return &s.Version }),
		optionalUUID("suspension_id", func(s *record.Suspension) *flowfabric.SuspensionID { return &s.SuspensionID }),
		optionalInteger("suspended_at_ms", Int64, func(s *record.Suspension) *flowfabric.Timestamp { return &s.SuspendedAt }),
		optionalInteger("timeout_at_ms", Int64, func(s *record.Suspension) *flowfabric.Timestamp { return &s.TimeoutAt }),
		optionalText("timeout_behavior", "", func(s *record.Suspension) *flowfabric.TimeoutBehavior { return &s.TimeoutBehavior }),
		optionalText("reason_code", "", func(s *record.Suspension) *flowfabric.WaitReason { return &s.Reason }),
		updatable(jsonColumn("condition", func(s *record.Suspension) **flowfabric.Condition { return &s.Condition },
			func(c *flowfabric.Condition) bool { return c == nil }),
			func(a, b *record.Suspension) bool { return a.Condition != b.Condition }),
		updatable(jsonColumn("waitpoints", func(s *record.Suspension) *[]flowfabric.WaitpointID { return &s.Waitpoints }, none),
			func(a, b *record.Suspension) bool { return !slices.Equal(a.Waitpoints, b.Waitpoints) }),
		updatable(jsonColumn("matched", func(s *record.Suspension) *[]record.SignalRef { return &s.Matched }, none),
			func(a, b *record.Suspension) bool { return !slices.Equal(a.Matched, b.Matched) }),
		integer("attempt_index", Int32, func(s *record.Suspension) *int { return &s.AttemptIndex }),
		optionalText("requested_by", "", func(s *record.Suspension) *flowfabric.Requester { return &s.RequestedBy }),
		optionalInteger("resume_delay_ms", Int64, func(s *record.Suspension) *int64 { return &s.ResumeDelayMS }),
		optionalText("continuation_metadata_pointer", "", func(s *record.Suspension) *string { return &s.Continuation }),
		optionalInteger("last_signal_at_ms", Int64, func(s *record.Suspension) *flowfabric.Timestamp { return &s.LastSignalAt }),
		optionalInteger("closed_at_ms", Int64, func(s *record.Suspension) *flowfabric.Timestamp { return &s.ClosedAt }),
		optionalText("close_reason", "", func(s *record.Suspension) *string { return &s.CloseReason }),
		optionalUUID("closer_signal_id", func(s *record.Suspension) *flowfabric.SignalID { return &s.Closer }),
		optionalText("trigger_type", "", func(s *record.Suspension) *flowfabric.ResumeTrigger { return &s.Trigger }),
		optionalText("actor", "", func(s *record.Suspension) *string { return &s.Actor }),
		optionalText("detail", "", func(s *record.Suspension) *string { return &s.Detail }),
		integer("signal_count", Int32, func(s *record.Suspension) *int { return &s.SignalCount }),
		optionalInteger("last_hmac_validation_failed_at_ms", Int64, func(s *record.Suspension) *flowfabric.Timestamp { return &s.AuthFailedAt }),
	},
)}

// none reports an empty list, which is NULL.
func none[T any](list []T) bool { return len(list) == 0 }

// waitpoints is ff_waitpoint_pending.
var waitpoints = Table[record.Waitpoint]{Name: "ff_waitpoint_pending", Keys: 3, Columns: slices.Concat(
	keyOfExecution(func(p *record.Waitpoint) *flowfabric.ExecutionID { return &p.ExecutionID },
		uuidKey("waitpoint_id", func(p *record.Waitpoint) *flowfabric.WaitpointID { return &p.WaitpointID })),
	[]Column[record.Waitpoint]{
		text("waitpoint_key", func(p *record.Waitpoint) *string { return &p.Name }),
		text("token", func(p *record.Waitpoint) *flowfabric.WaitpointToken { return &p.Token }),
		{
			Name: "token_kid", Kind: Text,
			Write: func(p *record.Waitpoint, w Writer) {
				kid, _ := p.Token.Fingerprint()
				w.Text(kid)
			},
			Read:    func(*record.Waitpoint, Reader) {}, // the token says it
			Changed: func(a, b *record.Waitpoint) bool { return a.Token != b.Token },
		},
		integer("attempt_index", Int32, func(p *record.Waitpoint) *int { return &p.AttemptIndex }),
		integer("created_at_ms", Int64, func(p *record.Waitpoint) *flowfabric.Timestamp { return &p.CreatedAt }),
		integer("version", Int64, func(p *record.Waitpoint) *int64 { return &p.Version }),
		text("state", func(p *record.Waitpoint) *flowfabric.WaitpointState { return &p.State }),
		optionalUUID("suspension_id", func(p *record.Waitpoint) *flowfabric.SuspensionID { return &p.SuspensionID }),
		updatable(jsonColumn("required_signal_names", func(p *record.Waitpoint) *[]string { return &p.RequiredNames }, none),
			func(a, b *record.Waitpoint) bool { return !slices.Equal(a.RequiredNames, b.RequiredNames) }),
		optionalInteger("activated_at_ms", Int64, func(p *record.Waitpoint) *flowfabric.Timestamp { return &p.ActivatedAt }),
		optionalInteger("expires_at_ms", Int64, func(p *record.Waitpoint) *flowfabric.Timestamp { return &p.ExpiresAt }),
		optionalInteger("closed_at_ms", Int64, func(p *record.Waitpoint) *flowfabric.Timestamp { return &p.ClosedAt }),
		optionalText("close_reason", "", func(p *record.Waitpoint) *string { return &p.CloseReason }),
		integer("signal_count", Int32, func(p *record.Waitpoint) *int { return &p.SignalCount }),
		integer("matched_signal_count", Int32, func(p *record.Waitpoint) *int { return &p.MatchedCount }),
		optionalInteger("last_signal_at_ms", Int64, func(p *record.Waitpoint) *flowfabric.Timestamp { return &p.LastSignalAt }),
		updatable(jsonColumn("signals", func(p *record.Waitpoint) *[]record.SignalRef { return &p.Signals }, none),
			func(a, b *record.Waitpoint) bool { return !slices.Equal(a.Signals, b.Signals) }),
		{
			Name: "due_at_ms", Kind: Int64,
			Write: func(p *record.Waitpoint, w Writer) {
				if at := p.DueTime(); at != 0 {
					w.Int(int64(at))
				} else {
					w.Null()
				}
			},
			Read:    func(*record.Waitpoint, Reader) {}, // state and expiry say it
			Changed: func(a, b *record.Waitpoint) bool { return a.DueTime() != b.DueTime() },
		},
	},
)}

// signals is ff_signal.
var signals = Table[record.Signal]{Name: "ff_signal", Keys: 3, Columns: slices.Concat(
	keyOfExecution(func(s *record.Signal) *flowfabric.ExecutionID { return &s.ExecutionID },
		uuidKey("signal_id", func(s *record.Signal) *flowfabric.SignalID { return &s.SignalID })),
	[]Column[record.Signal]{
		optionalUUID("waitpoint_id", func(s *record.Signal) *flowfabric.WaitpointID { return &s.WaitpointID }),
		text("signal_name", func(s *record.Signal) *string { return &s.Name }),
		text("signal_category", func(s *record.Signal) *string { return &s.Category }),
		text("source_type", func(s *record.Signal) *string { return &s.SourceType }),
		text("source_identity", func(s *record.Signal) *string { return &s.SourceIdentity }),
		optionalText("correlation_id", "", func(s *record.Signal) *string { return &s.CorrelationID }),
		optionalText("idempotency_key", "", func(s *record.Signal) *string { return &s.IdempotencyKey }),
		text("target_scope", func(s *record.Signal) *string { return &s.TargetScope }),
		integer("created_at_ms", Int64, func(s *record.Signal) *flowfabric.Timestamp { return &s.CreatedAt }),
		integer("accepted_at_ms", Int64, func(s *record.Signal) *flowfabric.Timestamp { return &s.AcceptedAt }),
		text("observed_effect", func(s *record.Signal) *flowfabric.SignalEffect { return &s.Effect }),
		optionalBlob("payload", func(s *record.Signal) *[]byte { return &s.Payload }),
		text("payload_encoding", func(s *record.Signal) *string { return &s.Encoding }),
		integer("version", Int64, func(s *record.Signal) *int64 { return &s.Version }),
	},
)}

// replies is ff_suspend_dedup.
var replies = Table[record.Reply]{Name: "ff_suspend_dedup", Keys: 4, Columns: slices.Concat(
	keyOfExecution(func(r *record.Reply) *flowfabric.ExecutionID { return &r.ExecutionID },
		text("scope", func(r *record.Reply) *string { return &r.Scope }),
		text("idempotency_key", func(r *record.Reply) *string { return &r.ReplyKey.Key })),
	[]Column[record.Reply]{
		integer("version", Int64, func(r *record.Reply) *int64 { return &r.Version }),
		optionalBlob("body_hash", func(r *record.Reply) *[]byte { return &r.Digest }),
		optionalBlob("outcome_json", func(r *record.Reply) *[]byte { return &r.Outcome }),
		integer("created_at_ms", Int64, func(r *record.Reply) *flowfabric.Timestamp { return &r.CreatedAt }),
		optionalInteger("expires_at_ms", Int64, func(r *record.Reply) *flowfabric.Timestamp { return &r.ExpiresAt }),
	},
)}

// steps is ff_step.
var steps = Table[record.Step]{Name: "ff_step", Keys: 4, Columns: slices.Concat(
	keyOfExecution(func(s *record.Step) *flowfabric.ExecutionID { return &s.ExecutionID },
		text("step_name", func(s *record.Step) *string { return &s.Name }),
		text("occurrence", func(s *record.Step) *string { return &s.Occurrence })),
	[]Column[record.Step]{
		integer("version", Int64, func(s *record.Step) *int64 { return &s.Version }),
		integer("step_position", Int32, func(s *record.Step) *int { return &s.Position }),
		optionalBlob("result", func(s *record.Step) *[]byte { return &s.Result }),
		optionalText("result_encoding", "", func(s *record.Step) *string { return &s.Encoding }),
		optionalText("error", "", func(s *record.Step) *string { return &s.Error }),
		optionalText("error_category", "", func(s *record.Step) *flowfabric.FailureCategory { return &s.Category }),
		integer("attempt_index", Int32, func(s *record.Step) *int { return &s.AttemptIndex }),
		integer("lease_epoch", Int64, func(s *record.Step) *uint64 { return &s.Epoch }),
		integer("retry_count", Int32, func(s *record.Step) *int { return &s.Retries }),
		integer("replay_count", Int32, func(s *record.Step) *int { return &s.Replays }),
		integer("recorded_at_ms", Int64, func(s *record.Step) *flowfabric.Timestamp { return &s.RecordedAt }),
		optionalInteger("until_ms", Int64, func(s *record.Step) *flowfabric.Timestamp { return &s.Until }),
	},
)}
