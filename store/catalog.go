package store

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Catalog is what a store answers about many records at once, outside any commit and across shards. Its answers are of
// about now; every call is bounded.
type Catalog interface {
	// List returns executions in order of CreatedAt descending, then ID descending. Payload, Result and ProgressDetails are
	// left unset. It looks at no more than q.Scan executions; Next is where to go on, the zero ListCursor at the end.
	List(ctx context.Context, q ListQuery) (ListPage, error)
	// ListPartition returns the ids of a partition's executions in ascending order.
	ListPartition(ctx context.Context, q PartitionQuery) ([]flowfabric.ExecutionID, error)
	// Leases returns executions under a lease, or whose lease has expired and that were not claimed since, ordered by
	// LeaseExpiresAt, then ID; without payloads as in List.
	Leases(ctx context.Context, q LeaseQuery) ([]*record.Execution, error)
	// CountLane counts a lane's index entries, each kind up to most. OldestAt is of those counted.
	CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (LaneCount, error)
	// CountMembers counts the executions of a flow by public state.
	CountMembers(ctx context.Context, flow record.FlowKey) (map[flowfabric.PublicState]int, error)
	// CountSignedBy counts the waitpoints that are pending or active and whose token was signed under a name, up to most. It
	// may read the whole table: it is for a call an operator makes now and then.
	CountSignedBy(ctx context.Context, kid string, most int) (int, error)
	// Records returns the records of a keyed family in order of their keys, as Key.Parts orders them: bytewise. Of copies
	// on several shards, whose keys differ in their partition alone, it returns one.
	Records(ctx context.Context, q RecordQuery) ([]record.Keyed, error)
	// Events returns events of one shard in the order of its log, which is one in which an event never stands before one that
	// its writer had seen committed. Nothing appears afterwards at or before the place an answer ends at, however
	// transactions overlap.
	Events(ctx context.Context, q EventQuery) (EventPage, error)
	// EventEnds tells where the log of each shard ends.
	EventEnds(ctx context.Context) ([]EventEnd, error)
	// Trim removes what may be forgotten, at most t.Limit of each kind: executions whose RetainUntil is at or before now,
	// with their attempts and index entries; events at or before t.EventsBefore, or more than t.EventsKept places from the
	// end of their log; idempotency records that expired at or before now; routes that were seen at or before t.RoutesBefore and
	// have no entry in the claim order. A route that has one is seen now. One that goes may be missed by an execution that is
	// submitted at the same moment, or that is not ready yet: whoever claims must not rely on it. Trim takes care not to stand in the way of commits,
	// and may be called by several engines at once.
	Trim(ctx context.Context, t Trim) (Trimmed, error)
}

// ListQuery asks [Catalog.List] for executions. Zero fields do not filter.
type ListQuery struct {
	Lane                       flowfabric.LaneID
	Namespace                  flowfabric.Namespace
	Kind                       string
	States                     []flowfabric.PublicState
	TagKey, TagValue           string
	CreatedFrom, CreatedBefore flowfabric.Timestamp
	After                      ListCursor // exclusive
	Limit                      int        // 1 to 1,000
	Scan                       int        // at least Limit
}

// ListCursor is a position in the order of [Catalog.List].
type ListCursor struct {
	CreatedAt   flowfabric.Timestamp
	ExecutionID flowfabric.ExecutionID
}

// ListPage is a page of executions.
type ListPage struct {
	Executions []*record.Execution
	Next       ListCursor
}

// PartitionQuery asks [Catalog.ListPartition] for executions.
type PartitionQuery struct {
	From  flowfabric.ExecutionID // of the partition; inclusive, and need not exist
	Limit int                    // 1 to 1,001
}

// LeaseQuery asks [Catalog.Leases] for leases. Zero fields do not filter.
type LeaseQuery struct {
	ExpiresBy        flowfabric.Timestamp // at or before; 0: any
	Namespace        flowfabric.Namespace
	WorkerInstanceID flowfabric.WorkerInstanceID
	After            LeaseCursor // exclusive
	Limit            int         // 1 to 1,000
}

// LeaseCursor is a position in the order of [Catalog.Leases].
type LeaseCursor struct {
	ExpiresAt   flowfabric.Timestamp
	ExecutionID flowfabric.ExecutionID
}

// LaneCount is the answer of [Catalog.CountLane].
type LaneCount struct {
	Ready    int                  // entries of the claim order
	Active   int                  // leased, or expired and not claimed again
	Delayed  int                  // not eligible until a time
	OldestAt flowfabric.Timestamp // CreatedAt of the oldest ready entry; 0 for none
}

// RecordQuery asks [Catalog.Records] for records of a keyed family.
type RecordQuery struct {
	Family record.Family
	// After, when not nil, is the key whose parts to go on behind; it need not exist.
	After record.Key
	// Prefix is how many parts of After's key must be equal: a list within what those parts name. To begin one, the other
	// parts of After are empty.
	Prefix int
	Limit  int // 1 to 1,000
}

// EventQuery asks [Catalog.Events] for events.
type EventQuery struct {
	Shard    int
	After    uint64 // exclusive
	Families []record.EventFamily
	Limit    int // of events: 1 to 1,000
	Scan     int // of places looked at, from the first that has an event: at least 1
}

// EventPage are events in the order of the log.
type EventPage struct {
	Events []record.Event
	Next   uint64 // nothing more will appear at or before this place
	More   bool   // the answer ends here for its limits alone
	Last   uint64 // the last place that was given out, whether or not it can be read yet
	Gone   uint64 // the last place at which an event of these families was removed by [Catalog.Trim]; 0 for none
}

// EventEnd is where a log ends.
type EventEnd struct {
	Readable uint64 // up to where it can be read now
	Now      uint64 // events behind this place are of now or later
}

// Trim says what [Catalog.Trim] may remove.
type Trim struct {
	EventsBefore flowfabric.Timestamp // 0: none for its age
	EventsKept   uint64               // how many places of a log are kept; 0: any number
	RoutesBefore flowfabric.Timestamp // 0: none; what is seen now is left alone, whatever it says
	// Limit is how many executions, how many keys and how many routes, 1 to 10,000; of events [EventsPerTrim] times as many, since an
	// execution leaves several.
	Limit int
}

// EventsPerTrim is how many times the limit of [Trim] events may be removed.
const EventsPerTrim = 4

// Trimmed says what [Catalog.Trim] removed.
type Trimmed struct {
	Executions, Events, Keys int
	Routes                   int // that were removed, or found to have work
}

// Full reports whether there may be more than a limit allowed to remove.
func (t Trimmed) Full(limit int) bool {
	return max(t.Executions, t.Keys, t.Routes) >= limit || t.Events >= EventsPerTrim*limit
}
