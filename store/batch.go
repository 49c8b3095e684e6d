package store

import (
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Batch holds what the sessions of one Apply have loaded and decided.
type Batch struct {
	now         flowfabric.Timestamp
	latest      flowfabric.Timestamp // when an execution that was loaded was last written
	executions  map[flowfabric.ExecutionID]*entry[record.Execution]
	held        map[flowfabric.ExecutionID]struct{} // must not have changed
	attempts    map[record.AttemptKey]*entry[record.Attempt]
	idempotency map[record.IdempotencyKey]*entry[record.Idempotency]
	keyed       keyedRecords
	graph       graph
	slots       slotCounts
	routes      map[flowfabric.LaneID][]*record.Route
	newRoutes   []*record.Route
	events      []record.Event
	frames      []record.Frame
	trims       []record.FrameTrim
	nextDue     flowfabric.Timestamp
	scouts      int             // how often units were run ahead of their turn
	after       <-chan struct{} // see Changes.After
	loaded      bool            // something was, and may be locked
}

// entry is a record of the batch: as it was stored, and as it is now.
type entry[R any] struct {
	stored  *R
	current *R
	assumed bool // stored is a belief
}

func newBatch() *Batch {
	return &Batch{
		executions:  make(map[flowfabric.ExecutionID]*entry[record.Execution]),
		held:        make(map[flowfabric.ExecutionID]struct{}),
		attempts:    make(map[record.AttemptKey]*entry[record.Attempt]),
		idempotency: make(map[record.IdempotencyKey]*entry[record.Idempotency]),
		keyed:       newKeyedRecords(),
		routes:      make(map[flowfabric.LaneID][]*record.Route),
	}
}

// SetNow sets the batch's clock; the first call counts.
func (b *Batch) SetNow(t flowfabric.Timestamp) {
	if b.now == 0 {
		b.now = t
	}
}

// maxSkew is by how much the clocks of two processes may differ that estimate the clock of one storage.
const maxSkew = time.Second

// time is the batch's clock. It is not behind what another process, whose estimate of the storage clock is better, has
// already done to an execution: nothing ends before it began.
func (b *Batch) time() flowfabric.Timestamp {
	if ahead := b.latest.Sub(b.now); ahead > 0 && ahead <= maxSkew {
		return b.latest
	}
	return b.now
}

// AddExecution adds a loaded execution; e is nil when there is none. What the batch already holds stays.
func (b *Batch) AddExecution(id flowfabric.ExecutionID, e *record.Execution) {
	b.heardOf(e)
	add(b.executions, id, e)
}

// heardOf keeps the batch's clock from being behind an execution that was read, or is believed.
func (b *Batch) heardOf(e *record.Execution) {
	if e != nil {
		b.latest = max(b.latest, e.LastMutationAt)
	}
}

// AddAttempt adds a loaded attempt; a is nil when there is none.
func (b *Batch) AddAttempt(key record.AttemptKey, a *record.Attempt) { add(b.attempts, key, a) }

// AddIdempotency adds a remembered submission; r is nil when there is none.
func (b *Batch) AddIdempotency(key record.IdempotencyKey, r *record.Idempotency) {
	add(b.idempotency, key, r)
}

// AddReadyRoutes adds the ordered answer to the load's next ReadyRoutesQuery.
func (b *Batch) AddReadyRoutes(l *Load, routes []int64) {
	l.unit.readyRoutes = append(l.unit.readyRoutes, routes)
}

// AddRoutes adds the routes of a lane.
func (b *Batch) AddRoutes(lane flowfabric.LaneID, routes []*record.Route) { b.routes[lane] = routes }

// AddNextDue adds the earliest due time of the shard, 0 for none.
func (b *Batch) AddNextDue(t flowfabric.Timestamp) { b.nextDue = t }

// AddClaimable adds the ordered answer to the load's next ClaimQuery.
func (b *Batch) AddClaimable(l *Load, list []*record.Execution) {
	l.unit.claimable = append(l.unit.claimable, b.addList(list))
}

// AddDue adds the ordered answer to the load's next DueQuery.
func (b *Batch) AddDue(l *Load, list []*record.Execution) {
	l.unit.due = append(l.unit.due, b.addList(list))
}

// AddAttemptsOf adds the ordered answer to the load's next AttemptsQuery.
func (b *Batch) AddAttemptsOf(l *Load, list []*record.Attempt) {
	l.unit.attempts = append(l.unit.attempts, list)
}

func (b *Batch) addList(list []*record.Execution) loadedList {
	ids := make(loadedList, len(list))
	for i, e := range list {
		ids[i] = e.ID
		b.AddExecution(e.ID, e)
	}
	return ids
}

func add[K comparable, R any](m map[K]*entry[R], key K, r *R) {
	if ent, ok := m[key]; ok {
		if ent.assumed && ent.stored == ent.current {
			*ent = entry[R]{stored: r, current: r} // what was read replaces what was believed
		}
		return
	}
	m[key] = &entry[R]{stored: r, current: r}
}

// merge makes what a unit wrote visible to the later ones.
func (b *Batch) merge(st *unitState) {
	for _, e := range st.executions.list {
		b.slots.count(put(b.executions, e.ID, e), e)
	}
	for _, a := range st.attemptPuts.list {
		put(b.attempts, a.Key(), a)
	}
	for _, r := range st.idempotency.list {
		put(b.idempotency, r.Key, r)
	}
	b.keyed.merge(st)
	for _, r := range st.keyed {
		if e, ok := r.(*record.Edge); ok {
			b.graph.written.note(e)
		}
	}
	for _, id := range st.held {
		b.held[id] = struct{}{}
	}
	b.newRoutes = append(b.newRoutes, st.routes...)
	b.events = append(b.events, st.events...)
	b.frames = append(b.frames, st.frames...)
	b.trims = append(b.trims, st.trims...)
}

// put writes a record and returns the one it replaces.
func put[K comparable, R any](m map[K]*entry[R], key K, r *R) *R {
	ent, ok := m[key]
	if !ok {
		ent = &entry[R]{}
		m[key] = ent
	}
	before := ent.current
	ent.current = r
	return before
}
