package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Attempts is ff_attempt. A row is written when its attempt ends, and rewritten by a replay.
var Attempts = Table[record.Attempt]{Name: "ff_attempt", Keys: 3, Columns: slices.Concat(
	fixed(
		partitionOf("partition_key", func(a *record.Attempt) *flowfabric.ExecutionID { return &a.ExecutionID }),
		uuidOf("execution_id", func(a *record.Attempt) *flowfabric.ExecutionID { return &a.ExecutionID }),
		integer("attempt_index", Int32, func(a *record.Attempt) *int { return &a.Index }),
	),
	[]Column[record.Attempt]{
		integer("lease_epoch", Int64, func(a *record.Attempt) *uint64 { return &a.LeaseEpoch }),
		optionalText("outcome", "", func(a *record.Attempt) *record.AttemptOutcome { return &a.Outcome }),
		optionalText("worker_id", "", func(a *record.Attempt) *flowfabric.WorkerID { return &a.WorkerID }),
		optionalText("worker_instance_id", "", func(a *record.Attempt) *flowfabric.WorkerInstanceID { return &a.WorkerInstanceID }),
		optionalInteger("lease_expires_at_ms", Int64, func(a *record.Attempt) *flowfabric.Timestamp { return &a.LeaseExpiresAt }),
		optionalInteger("started_at_ms", Int64, func(a *record.Attempt) *flowfabric.Timestamp { return &a.StartedAt }),
		optionalInteger("terminal_at_ms", Int64, func(a *record.Attempt) *flowfabric.Timestamp { return &a.EndedAt }),
		optionalUUID("attempt_id", func(a *record.Attempt) *flowfabric.AttemptID { return &a.AttemptID }),
		optionalText("attempt_type", "", func(a *record.Attempt) *flowfabric.AttemptType { return &a.Type }),
		optionalText("attempt_state", "", func(a *record.Attempt) *flowfabric.AttemptLifecycle { return &a.State }),
		optionalText("failure_reason", "", func(a *record.Attempt) *string { return &a.FailureReason }),
		optionalText("failure_category", "", func(a *record.Attempt) *flowfabric.FailureCategory { return &a.FailureCategory }),
	},
)}

// Idempotency is ff_idempotency.
var Idempotency = Table[record.Idempotency]{Name: "ff_idempotency", Keys: 2, Columns: slices.Concat(
	fixed(
		text("namespace", func(r *record.Idempotency) *flowfabric.Namespace { return &r.Key.Namespace }),
		text("idempotency_key", func(r *record.Idempotency) *string { return &r.Key.Key }),
		home(func(r *record.Idempotency) *flowfabric.Partition { return &r.Partition }),
	),
	[]Column[record.Idempotency]{
		integer("version", Int64, func(r *record.Idempotency) *int64 { return &r.Version }),
		partitionOf("execution_partition", func(r *record.Idempotency) *flowfabric.ExecutionID { return &r.ExecutionID }),
		uuidOf("execution_id", func(r *record.Idempotency) *flowfabric.ExecutionID { return &r.ExecutionID }),
		{
			Name: "digest", Kind: Blob,
			Write:   func(r *record.Idempotency, w Writer) { w.Blob(r.Digest[:]) },
			Read:    func(r *record.Idempotency, v Reader) { copy(r.Digest[:], v.Blob()) },
			Changed: func(a, b *record.Idempotency) bool { return a.Digest != b.Digest },
		},
		integer("expires_at_ms", Int64, func(r *record.Idempotency) *flowfabric.Timestamp { return &r.ExpiresAt }),
	},
)}

// Routes is ff_route.
var Routes = Table[record.Route]{Name: "ff_route", Keys: 2, Columns: fixed(
	text("lane_id", func(r *record.Route) *flowfabric.LaneID { return &r.Lane }),
	integer("route", Int64, func(r *record.Route) *int64 { return &r.ID }),
	list("capabilities", List, func(r *record.Route) *[]string { return &r.Capabilities }),
	home(func(r *record.Route) *flowfabric.Partition { return &r.Partition }),
	integer("seen_at_ms", Int64, func(r *record.Route) *flowfabric.Timestamp { return &r.SeenAt }),
)}

// Events is ff_event, the one log behind the four event feeds, as it is written: the store gives the place.
var Events = Table[record.Event]{Name: "ff_event", Columns: fixed(
	text("family", func(e *record.Event) *record.EventFamily { return &e.Family }),
	text("event_type", func(e *record.Event) *string { return &e.Type }),
	partitionOf("partition_key", func(e *record.Event) *flowfabric.ExecutionID { return &e.ExecutionID }),
	uuidOf("execution_id", func(e *record.Event) *flowfabric.ExecutionID { return &e.ExecutionID }),
	optionalUUID("flow_id", func(e *record.Event) *flowfabric.FlowID { return &e.FlowID }),
	optionalText("namespace", "", func(e *record.Event) *flowfabric.Namespace { return &e.Namespace }),
	optionalText("instance_tag", "", func(e *record.Event) *string { return &e.InstanceTag }),
	integer("occurred_at_ms", Int64, func(e *record.Event) *flowfabric.Timestamp { return &e.At }),
	optionalUUID("lease_id", func(e *record.Event) *flowfabric.LeaseID { return &e.LeaseID }),
	optionalInteger("lease_epoch", Int64, func(e *record.Event) *uint64 { return &e.Epoch }),
	optionalUUID("attempt_id", func(e *record.Event) *flowfabric.AttemptID { return &e.AttemptID }),
	integer("attempt_index", Int32, func(e *record.Event) *int { return &e.AttemptIndex }),
	optionalText("worker_id", "", func(e *record.Event) *flowfabric.WorkerID { return &e.WorkerID }),
	optionalText("worker_instance_id", "", func(e *record.Event) *flowfabric.WorkerInstanceID { return &e.WorkerInstanceID }),
	optionalText("reason", "", func(e *record.Event) *string { return &e.Reason }),
	Column[record.Event]{
		Name: "details", Kind: JSON,
		Write: func(e *record.Event, w Writer) {
			if e.Details == nil {
				w.Null()
			} else {
				w.Text(string(e.Details))
			}
		},
		Read: func(e *record.Event, v Reader) {
			if !v.IsNull() {
				e.Details = []byte(v.Text())
			}
		},
	},
)}

// LoggedEvents is ff_event as it is read.
var LoggedEvents = Table[record.Event]{
	Name:    Events.Name,
	Columns: append(fixed(integer("seq", Int64, func(e *record.Event) *uint64 { return &e.Place })), Events.Columns...),
}

// Ready is ff_ready: the claim order. Its key is the whole entry.
var Ready = Table[store.ReadyEntry]{Name: "ff_ready", Keys: 6, Columns: fixed(
	text("lane_id", func(r *store.ReadyEntry) *flowfabric.LaneID { return &r.Lane }),
	integer("route", Int64, func(r *store.ReadyEntry) *int64 { return &r.Route }),
	integer("priority", Int32, func(r *store.ReadyEntry) *int { return &r.Priority }),
	integer("created_at_ms", Int64, func(r *store.ReadyEntry) *flowfabric.Timestamp { return &r.CreatedAt }),
	uuidOf("execution_id", func(r *store.ReadyEntry) *flowfabric.ExecutionID { return &r.ExecutionID }),
	partitionOf("partition_key", func(r *store.ReadyEntry) *flowfabric.ExecutionID { return &r.ExecutionID }),
)}

// Due is ff_due: the due times. Its key is the whole entry.
var Due = Table[store.DueEntry]{Name: "ff_due", Keys: 3, Columns: fixed(
	integer("due_at_ms", Int64, func(d *store.DueEntry) *flowfabric.Timestamp { return &d.DueAt }),
	uuidOf("execution_id", func(d *store.DueEntry) *flowfabric.ExecutionID { return &d.ExecutionID }),
	partitionOf("partition_key", func(d *store.DueEntry) *flowfabric.ExecutionID { return &d.ExecutionID }),
)}

// Retain is ff_retention: until when finished executions are kept. Its key is the whole entry.
var Retain = Table[store.RetainEntry]{Name: "ff_retention", Keys: 3, Columns: fixed(
	integer("retain_until_ms", Int64, func(r *store.RetainEntry) *flowfabric.Timestamp { return &r.RetainUntil }),
	uuidOf("execution_id", func(r *store.RetainEntry) *flowfabric.ExecutionID { return &r.ExecutionID }),
	partitionOf("partition_key", func(r *store.RetainEntry) *flowfabric.ExecutionID { return &r.ExecutionID }),
)}

// Slots is ff_lane_slot: the slots of lanes that are taken. Its key is the whole entry.
var Slots = Table[store.SlotEntry]{Name: "ff_lane_slot", Keys: 3, Columns: fixed(
	text("lane_id", func(s *store.SlotEntry) *flowfabric.LaneID { return &s.Lane }),
	uuidOf("execution_id", func(s *store.SlotEntry) *flowfabric.ExecutionID { return &s.ExecutionID }),
	partitionOf("partition_key", func(s *store.SlotEntry) *flowfabric.ExecutionID { return &s.ExecutionID }),
)}
