package flowfabric

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// MaxEventScan is how many places of the log one call of ReadEvents looks at.
const MaxEventScan = 10_000

// EventFamily is one feed of the log of events (chapter 50, section 7).
type EventFamily string

// Event families that can be read.
const (
	EventsLease      EventFamily = "lease_history"
	EventsCompletion EventFamily = "completion" // one for each time an execution ends
	EventsSignal     EventFamily = "signal_delivery"
	EventsOperator   EventFamily = "operator"
)

// Types of events of family [EventsLease].
const (
	LeaseAcquired  = "acquired"
	LeaseReclaimed = "reclaimed" // acquired, after the lease of another ran out
	LeaseReleased  = "released"  // by its holder; Reason says with what
	LeaseExpired   = "expired"
	LeaseTaken     = "revoked" // by an operator, a cancel or the engine
)

// Types of events of family [EventsSignal]. Any other is the [SignalEffect] itself.
const (
	SignalSatisfied = "satisfied"
	SignalBuffered  = "buffered"
)

// EventCursor is a place in one family of one store. Keep it as it is and hand it back: the events behind it follow. Its
// texts compare as the places do on a store of one shard. The empty one stands for now.
type EventCursor string

// EventsFromOldest is the cursor before everything that is still kept.
const EventsFromOldest EventCursor = "oldest"

// Event is one entry of the log, committed together with the change it reports.
type Event struct {
	Cursor      EventCursor `json:"cursor,omitzero"` // to go on behind it
	Family      EventFamily `json:"family,omitzero"`
	Type        string      `json:"type,omitzero"` // of a completion: the [Outcome]; of an operator's act: its name, as in chapter 30, section 30.9
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	FlowID      FlowID      `json:"flow_id,omitzero"`
	Namespace   Namespace   `json:"namespace,omitzero"`
	At          Timestamp   `json:"at,omitzero"`

	// The lease, if the event is about one. The worker is told where somebody else than it acted.
	LeaseID          LeaseID          `json:"lease_id,omitzero"`
	LeaseEpoch       uint64           `json:"lease_epoch,omitzero"`
	AttemptIndex     int              `json:"attempt_index,omitzero"`
	WorkerID         WorkerID         `json:"worker_id,omitzero"`
	WorkerInstanceID WorkerInstanceID `json:"worker_instance_id,omitzero"`
	Reason           string           `json:"reason,omitzero"`

	// Details is a JSON object, nil for none: what an operator's act changed and who acted; signal_id, waitpoint_id and
	// source_identity of a signal.
	Details json.RawMessage `json:"details,omitzero"`
}

// EventFilter says which events are wanted. What is not set does not filter; all that is set must hold.
type EventFilter struct {
	Types       []string    `json:"types,omitzero"` // at most 16
	Namespace   Namespace   `json:"namespace,omitzero"`
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	FlowID      FlowID      `json:"flow_id,omitzero"`
	// Lane, Kind and the tag are those of the execution when the event is read. An event whose execution is kept no longer,
	// or that is of none, does not match. TagValue counts if TagKey is set.
	Lane     LaneID `json:"lane,omitzero"`
	Kind     string `json:"kind,omitzero"`
	TagKey   string `json:"tag_key,omitzero"`
	TagValue string `json:"tag_value,omitzero"`
}

// ReadEvents asks for events of a family behind a place.
type ReadEvents struct {
	Family EventFamily   `json:"family,omitzero"`
	After  EventCursor   `json:"after,omitzero"` // exclusive; empty: from now on; [EventsFromOldest]
	Filter EventFilter   `json:"filter,omitzero"`
	Limit  int           `json:"limit,omitzero"`   // 1 to [MaxPage]; default [DefaultPage]
	Wait   time.Duration `json:"wait_ms,omitzero"` // 0 to [MaxClaimWait]
}

// EventPage are events in the order of the log, which is one for the executions of a shard.
type EventPage struct {
	Events []Event     `json:"events,omitzero"`
	Next   EventCursor `json:"next,omitzero"` // where to go on; behind events that did not match, too
	// More says that there may be more already. A page looks at [MaxEventScan] places at most: it may have more and no event.
	More bool `json:"more,omitzero"`
}

// AckEvents keeps a cursor under a name.
type AckEvents struct {
	Name   string      `json:"name,omitzero"` // of whoever reads: 1 to [MaxNameBytes] bytes
	Family EventFamily `json:"family,omitzero"`
	Cursor EventCursor `json:"cursor,omitzero"` // of an event or a page of this family
	// Rewind lets the kept cursor go back. Otherwise each call moves it on or leaves it where it is, so calls may overtake
	// each other.
	Rewind bool `json:"rewind,omitzero"`
}

// EventReader is a cursor that is kept.
type EventReader struct {
	Name      string      `json:"name,omitzero"`
	Family    EventFamily `json:"family,omitzero"`
	Cursor    EventCursor `json:"cursor,omitzero"`
	UpdatedAt Timestamp   `json:"updated_at,omitzero"`
}

// ListEventReaders asks for kept cursors in the order of their names.
type ListEventReaders struct {
	After string `json:"after,omitzero"` // the Next of the last page
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// Subscribe reads events until the loop ends. It waits for new ones as long as ctx lasts; q.Wait says how long one call
// does, by default a minute. An error, the end of ctx among them, is the last item: subscribe again behind the last event.
//
//	for event, err := range flowfabric.Subscribe(ctx, svc, flowfabric.ReadEvents{Family: flowfabric.EventsCompletion}) {
func Subscribe(ctx context.Context, svc interface {
	ReadEvents(ctx context.Context, q ReadEvents) (EventPage, error)
}, q ReadEvents,
) iter.Seq2[Event, error] {
	if q.Wait == 0 {
		q.Wait = MaxClaimWait
	}
	return func(yield func(Event, error) bool) {
		for {
			page, err := svc.ReadEvents(ctx, q)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			q.After = page.Next
		}
	}
}
