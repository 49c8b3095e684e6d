// Package store is the contract between the engine and what keeps its records: SQLite, PostgreSQL, memory.
//
// A store loads records by key, answers a handful of ordered index queries, appends to the log and commits. It decides
// nothing. What may happen to a record is decided by pure functions that a [Unit] carries; [Execute] runs them between a
// store's load and its commit, the same way for every store. A new store implements [Session] on its transactions,
// calls Execute from Apply, and passes store/storetest.
//
// # For the implementor
//
// Apply and View are called from several goroutines at once. Apply may block as long as its context allows; it retries
// conflicts itself (Execute does) and reports anything else. Records it is given or gives are never changed afterwards by
// either side. Nothing of a batch may be reported before its commit is durable.
package store

import (
	"context"
	"errors"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Store persists records. Its methods are safe for concurrent use.
type Store interface {
	// Apply runs the units in order in one transaction of the shard they share and commits what they wrote. A unit's own
	// outcome is its Err; the other units of the batch commit without it. A returned error means that the batch as a whole
	// could not run and nothing is written, with one exception: [ErrUnknownOutcome]. All units must be of one shard.
	Apply(ctx context.Context, units []*Unit) error
	// View loads records outside any commit, as of now; only Tx's readers may be used on the result. Its reads may span
	// shards: routes and the next due time are those of all of them. Claimable and Due queries look without taking.
	View(ctx context.Context, r Reads) (*Tx, error)
	// Watch tells of changes other processes commit, until ctx ends. Wakes are hints: they may be late, repeated or lost.
	// The channel is closed when ctx ends. A store nobody else can write to may return a channel that never delivers; one
	// that cannot tell fails with [ErrNoWatch], and the engine polls more often.
	Watch(ctx context.Context) (<-chan Wake, error)
	// Shards returns one partition of each shard; two partitions are on the same shard when [Store.Shard] agrees.
	Shards() []flowfabric.Partition
	// Shard returns the number of the shard that holds a partition, from 0 to len(Shards())-1.
	Shard(p flowfabric.Partition) int
	// Lanes is how many batches of one shard Apply runs at once with profit. The engine routes work to so many queues.
	Lanes() int
	// Close waits for what runs and releases the store. Calls after it fail.
	Close() error
}

// Wake says that work may be claimable on a lane; on any lane, if Lane is empty.
type Wake struct {
	Lane flowfabric.LaneID
}

// Unit is one operation as a store sees it.
type Unit struct {
	// Partition places the unit: every record it reads or writes is on this partition's shard.
	Partition flowfabric.Partition
	// Order routes the unit: units of one Order are applied in the order they were submitted.
	Order uint64
	// Reads are loaded before Decide.
	Reads Reads
	// Assume, when not nil, may stand in for reading an execution: ok says that the caller believes e (nil: absent) is
	// what is stored. Every write is guarded by the version, so a wrong belief is found out and the unit runs again on
	// what was read. An outcome that no guard has confirmed, an error or no write, is not trusted but read again.
	Assume func(id flowfabric.ExecutionID) (e *record.Execution, ok bool)
	// Decide is pure: it looks at tx and its own command, and changes nothing but tx and the result it assigns. It may
	// run several times; the last run counts. On an error nothing it wrote is kept.
	Decide func(tx *Tx) error

	// Once: when the outcome of a commit is unknown, the unit must not be applied again; its caller is told so instead.
	Once bool

	// Err is the unit's own outcome, set by Apply.
	Err error
	// Wrote are the executions the unit wrote, set by Apply after the commit, with their new versions.
	Wrote []*record.Execution
}

// Catalog is what a store answers about many records at once, outside any commit and across shards. Its answers are of
// about now; every call is bounded.
type Catalog interface {
	// List returns executions in order of CreatedAt descending, then ID descending. Payload, Result and ProgressDetails are
	// left unset. It looks at no more than q.Scan executions; Next is where to go on, the zero ListCursor at the end.
	List(ctx context.Context, q ListQuery) (ListPage, error)
	// Leases returns executions under a lease, or whose lease has expired and that were not claimed since, ordered by
	// LeaseExpiresAt, then ID; without payloads as in List.
	Leases(ctx context.Context, q LeaseQuery) ([]*record.Execution, error)
	// CountLane counts a lane's index entries, each kind up to most.
	CountLane(ctx context.Context, lane flowfabric.LaneID, most int) (LaneCount, error)
	// Records returns the records of a keyed family in order of their keys, as Key.Parts orders them: bytewise.
	Records(ctx context.Context, q RecordQuery) ([]record.Keyed, error)
	// Trim removes what may be forgotten, at most t.Limit of each kind: executions whose RetainUntil is at or before now,
	// with their attempts and index entries; events at or before t.EventsBefore; idempotency records that expired at or
	// before now. It takes care not to stand in the way of commits, and may be called by several engines at once.
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
	// After, when not nil, is the key to go on behind.
	After record.Key
	// Prefix is how many parts of After's key must be equal: a list within what those parts name.
	Prefix int
	Limit  int // 1 to 1,000
}

// Trim says what [Catalog.Trim] may remove.
type Trim struct {
	EventsBefore flowfabric.Timestamp // 0: no events
	Limit        int                  // 1 to 10,000
}

// Trimmed says what [Catalog.Trim] removed. A count equal to the limit means that there may be more.
type Trimmed struct {
	Executions, Events, Keys int
}

// Reads names what to load. All of it is loaded as of one instant per round.
type Reads struct {
	Executions  []flowfabric.ExecutionID
	Records     []record.Key        // of keyed families
	Slots       []flowfabric.LaneID // how many slots of the lane are taken on the shard
	DueRecords  []DueRecordsQuery   // records of keyed families whose due time has come
	Attempts    []record.AttemptKey
	Idempotency []record.IdempotencyKey
	AttemptsOf  []AttemptsQuery
	Claimable   []ClaimQuery
	Due         []DueQuery
	Routes      []flowfabric.LaneID // all routes of the lane on the shard
	NextDue     bool                // the earliest due time of the shard, of executions and of keyed records
}

// ClaimQuery asks for ready executions of a lane over some routes, ordered by priority descending, created_at, id.
type ClaimQuery struct {
	Lane   flowfabric.LaneID
	Routes []int64
	Limit  int // 1 to 1,000
}

// DueRecordsQuery asks for records of a keyed family whose due time is at or before now, earliest first. Like the
// executions of a [DueQuery] they are taken.
type DueRecordsQuery struct {
	Family record.Family
	Limit  int // 1 to 1,000
}

// DueQuery asks for executions whose due time is at or before now, earliest first.
type DueQuery struct {
	Limit int // 1 to 1,000
}

// AttemptsQuery asks for stored attempts of an execution with Index >= From, ascending.
type AttemptsQuery struct {
	ExecutionID flowfabric.ExecutionID
	From        int
	Limit       int
}

// Clock tells the storage time. Stores take one for tests; by default each has its own.
type Clock func() flowfabric.Timestamp

// Sentinels of stores. They wrap the driver's error.
var (
	// ErrConflict: a record was not in the version the batch was decided on. Execute runs the batch again.
	ErrConflict = errors.New("store: conflict")
	// ErrTransient: the batch failed for a reason that has nothing to do with it (a lost connection, a deadlock, a server
	// that is starting). Nothing is written. The same batch may succeed later.
	ErrTransient = errors.New("store: transient failure")
	// ErrUnknownOutcome: the connection was lost while the commit was under way. The batch may be written.
	ErrUnknownOutcome = errors.New("store: outcome of the commit unknown")
	// ErrNoWatch: the store cannot tell of other processes' commits.
	ErrNoWatch = errors.New("store: no wake-ups from other processes")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
)

// Dumper is implemented by every store of this module: it reads everything, for audits in tests and for doctor. It is
// not meant for large stores.
type Dumper interface {
	Dump(ctx context.Context) (*Dump, error)
}

// Dump is the content of a store.
type Dump struct {
	Now         flowfabric.Timestamp
	Executions  []*record.Execution
	Attempts    []*record.Attempt
	Idempotency []*record.Idempotency
	Routes      []*record.Route
	Events      []record.Event // in log order per execution
	Records     []record.Keyed
	Ready       []ReadyEntry
	Due         []DueEntry
	Retain      []RetainEntry
	Slots       []SlotEntry
}

// RetainEntry is one entry of the retention index.
type RetainEntry struct {
	RetainUntil flowfabric.Timestamp
	ExecutionID flowfabric.ExecutionID
}

// SlotEntry is one slot of a lane that is taken.
type SlotEntry struct {
	Lane        flowfabric.LaneID
	ExecutionID flowfabric.ExecutionID
}

// ReadyEntry is one entry of the claim order.
type ReadyEntry struct {
	Lane        flowfabric.LaneID
	Route       int64
	Priority    int
	CreatedAt   flowfabric.Timestamp
	ExecutionID flowfabric.ExecutionID
}

// DueEntry is one entry of the due index.
type DueEntry struct {
	DueAt       flowfabric.Timestamp
	ExecutionID flowfabric.ExecutionID
}

// ReadyEntryOf returns the entry that belongs to a ready execution.
func ReadyEntryOf(e *record.Execution) ReadyEntry {
	return ReadyEntry{Lane: e.Lane, Route: e.Route, Priority: e.Priority + e.Boost, CreatedAt: e.CreatedAt, ExecutionID: e.ID}
}
