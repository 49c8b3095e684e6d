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
	Catalog
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
	// Kind says what kind of store it is.
	Kind() Kind
	// Lanes is how many batches of one shard Apply runs at once with profit. The engine routes work to so many queues.
	Lanes() int
	// Close waits for what runs and releases the store. Calls after it fail.
	Close() error
}

// Kind is the first byte of a cursor of events: one of another kind of store is refused (chapter 50, section 9).
type Kind byte

// Kinds of stores. The bytes before are those of other systems; a new store takes the next.
const (
	Memory   Kind = 0x03
	SQLite   Kind = 0x04
	Postgres Kind = 0x05
)

// String is the name of the kind, for messages.
func (k Kind) String() string {
	switch k {
	case Memory:
		return "memory"
	case SQLite:
		return "SQLite"
	case Postgres:
		return "Postgres"
	default:
		return "unknown"
	}
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
	// Absent, when not nil, may stand in for reading a keyed record: it says that the caller believes there is none, since its
	// key has just been made. It is trusted as far as Assume is: what the unit writes is guarded, anything else is read again.
	Absent func(key record.Key) bool
	// Beliefs, when not nil, may stand in for reading records of the families they are about; they are trusted likewise.
	// Units that write records which other units believe should have them, too. One Apply is about one Beliefs.
	Beliefs *Beliefs
	// Decide is pure: it looks at tx and its own command, and changes nothing but tx and the result it assigns. It may
	// run several times; the last run counts. On an error nothing it wrote is kept.
	Decide func(tx *Tx) error

	// Once: when the outcome of a commit is unknown, the unit must not be applied again; its caller is told so instead.
	Once bool

	// Err is the unit's own outcome, set by Apply.
	Err error
	// Wrote are the executions the unit wrote, set by Apply after the commit, with their new versions.
	Wrote []*record.Execution
	// Records are the keyed records the unit wrote, set by Apply after the commit.
	Records []record.Keyed
	// DueAt is the earliest due time among the keyed records the unit wrote, 0 for none, set by Apply after the commit.
	DueAt flowfabric.Timestamp
	// Attempts, Events and Registered are what else the unit wrote, set by Apply after the commit, for who observes it.
	Attempts   []*record.Attempt
	Events     []record.Event
	Registered []record.Keyed
	// Notes are what Decide noted with [Tx.Note], likewise.
	Notes []any
}

// Reads names what to load. All of it is loaded as of one instant per round; a store that cannot promise that reads
// Records before anything else, so that a guard on a record also holds what was read after it.
type Reads struct {
	Executions  []flowfabric.ExecutionID
	Records     []record.Key        // of keyed families
	Slots       []flowfabric.LaneID // how many slots of the lane are taken on the shard
	DueRecords  []DueRecordsQuery   // records of keyed families whose due time has come
	Edges       []EdgesQuery
	Members     []MembersQuery
	Attempts    []record.AttemptKey
	Idempotency []record.IdempotencyKey
	AttemptsOf  []AttemptsQuery
	Frames      []FramesQuery
	Claimable   []ClaimQuery
	Due         []DueQuery
	Routes      []flowfabric.LaneID // all routes of the lane on the shard
	ReadyRoutes []ReadyRoutesQuery
	NextDue     bool // the earliest due time of the shard, of executions and of keyed records
}

// ClaimQuery asks for ready executions of a lane over some routes, ordered by priority descending, created_at, id.
type ClaimQuery struct {
	Lane   flowfabric.LaneID
	Routes []int64
	Limit  int // 1 to 1,000
}

// ReadyRoutesQuery asks for the routes of a lane that have an entry in the claim order, ascending, each once. It takes
// nothing. Its cost follows the number of such routes, not of entries or of routes without any.
type ReadyRoutesQuery struct {
	Lane  flowfabric.LaneID
	From  int64 // the smallest route wanted
	Limit int   // 1 to 1,000
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

// EdgesQuery asks for edges of a flow that touch a member, in ascending order of edge id (bytes). Nothing is taken. It
// is comparable, and the answer belongs to the query, not to a unit.
type EdgesQuery struct {
	Flow     record.FlowKey
	Of       flowfabric.ExecutionID
	Incoming bool // edges that lead to Of; else those that lead from it
	After    flowfabric.EdgeID
	Limit    int // 1 to 10,000
	// Ahead says that the unit will next ask for the groups and executions the edges lead to. A store for which each Load
	// is a round trip loads them as well; others need not.
	Ahead bool
}

// MembersQuery asks for the ids of the executions of a flow, in ascending order of UUID (bytes). As with an [EdgesQuery].
type MembersQuery struct {
	Flow  record.FlowKey
	After flowfabric.ExecutionID
	Limit int // 1 to 10,000
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
	Frames      []*record.Frame // by stream, then id
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
