package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Session is one transaction of a store on one shard, as [Execute] drives it: any number of Loads, then one Commit, then
// Close. It is used by one goroutine.
type Session interface {
	// Load answers each of reads into b through b's Add methods and sets b's clock (SetNow). Executions a claim or due
	// query returns are taken: no other session, and no later query of this one, may return them until this session ends.
	// If the transaction commits, index entries of taken executions that were not written stay, or come back.
	Load(ctx context.Context, b *Batch, reads []*Load) error
	// Now is the storage clock, for a batch that loads nothing. It may be an estimate, good to some milliseconds, if the
	// store lives in another process.
	Now() flowfabric.Timestamp
	// Commit writes the changes, each guarded by its Before version, and commits durably. It fails with [ErrConflict],
	// having written nothing, when a guard does not hold.
	Commit(ctx context.Context, ch *Changes) error
	// Close ends the session, rolling back what was not committed. It is called exactly once.
	Close()
}

// Load is one set of reads together with the place for its ordered answers.
type Load struct {
	Reads Reads
	// Peek: claim and due queries look without taking.
	Peek bool
	unit *unitState
}

// Batch holds what the sessions of one Apply have loaded and decided.
type Batch struct {
	now         flowfabric.Timestamp
	executions  map[flowfabric.ExecutionID]*entry[record.Execution]
	attempts    map[record.AttemptKey]*entry[record.Attempt]
	idempotency map[record.IdempotencyKey]*entry[record.Idempotency]
	keyed       map[record.Key]*keyedEntry
	registered  []record.Keyed
	slots       map[flowfabric.LaneID]int // as stored
	routes      map[flowfabric.LaneID][]*record.Route
	newRoutes   []*record.Route
	events      []record.Event
	nextDue     flowfabric.Timestamp
}

// entry is a record of the batch: as it was stored, and as it is now.
type entry[R any] struct {
	stored  *R
	current *R
	assumed bool // stored is a belief
}

// keyedEntry is a record of a keyed family in the batch; nil for none.
type keyedEntry struct {
	stored, current record.Keyed
}

func newBatch() *Batch {
	return &Batch{
		executions:  make(map[flowfabric.ExecutionID]*entry[record.Execution]),
		attempts:    make(map[record.AttemptKey]*entry[record.Attempt]),
		idempotency: make(map[record.IdempotencyKey]*entry[record.Idempotency]),
		keyed:       make(map[record.Key]*keyedEntry),
		slots:       make(map[flowfabric.LaneID]int),
		routes:      make(map[flowfabric.LaneID][]*record.Route),
	}
}

// SetNow sets the batch's clock; the first call counts.
func (b *Batch) SetNow(t flowfabric.Timestamp) {
	if b.now == 0 {
		b.now = t
	}
}

// AddExecution adds a loaded execution; e is nil when there is none. What the batch already holds stays.
func (b *Batch) AddExecution(id flowfabric.ExecutionID, e *record.Execution) {
	add(b.executions, id, e)
}

// AddAttempt adds a loaded attempt; a is nil when there is none.
func (b *Batch) AddAttempt(key record.AttemptKey, a *record.Attempt) { add(b.attempts, key, a) }

// AddIdempotency adds a remembered submission; r is nil when there is none.
func (b *Batch) AddIdempotency(key record.IdempotencyKey, r *record.Idempotency) {
	add(b.idempotency, key, r)
}

// AddRecord adds a loaded record of a keyed family; r is a nil interface when there is none.
func (b *Batch) AddRecord(key record.Key, r record.Keyed) {
	if _, ok := b.keyed[key]; !ok {
		b.keyed[key] = &keyedEntry{stored: r, current: r}
	}
}

// AddSlots adds how many slots of a lane are taken.
func (b *Batch) AddSlots(lane flowfabric.LaneID, n int) {
	if _, ok := b.slots[lane]; !ok {
		b.slots[lane] = n
	}
}

// AddDueRecords adds the ordered answer to the load's next DueRecordsQuery.
func (b *Batch) AddDueRecords(l *Load, list []record.Keyed) {
	keys := make([]record.Key, len(list))
	for i, r := range list {
		keys[i] = r.Key()
		b.AddRecord(keys[i], r)
	}
	l.unit.dueRecords = append(l.unit.dueRecords, keys)
}

// slotsTaken counts a lane's slots, with what the batch has changed so far.
func (b *Batch) slotsTaken(lane flowfabric.LaneID) int {
	n := b.slots[lane]
	for _, ent := range b.executions {
		if ent.stored == ent.current {
			continue
		}
		if before := slotEntry(ent.stored); before.Lane == lane {
			n--
		}
		if after := slotEntry(ent.current); after.Lane == lane {
			n++
		}
	}
	return n
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

// Changes is what a batch writes. Executions come in ascending order of UUID bytes, the others in order of key, so that
// transactions that lock row by row lock in one order.
type Changes struct {
	Now         flowfabric.Timestamp
	Executions  []Change[record.Execution]
	Attempts    []*record.Attempt // insert or overwrite; guarded by the change of their execution
	Idempotency []Change[record.Idempotency]
	Routes      []*record.Route // register unless they exist
	Records     []RecordChange  // of keyed families, by family, then key
	Registered  []record.Keyed  // of keyed families: insert unless they exist
	Events      []record.Event
}

// RecordChange is the write of one record of a keyed family: as [Change], and a deletion when After is nil. Before and
// After are not both nil.
type RecordChange struct {
	Before, After record.Keyed
}

// Key returns the key of the record.
func (c RecordChange) Key() record.Key {
	if c.After != nil {
		return c.After.Key()
	}
	return c.Before.Key()
}

// Change is the write of one record: an insert when Before is nil, else an update that holds only if the stored version
// is Before's. After carries the new version.
type Change[R any] struct {
	Before *R
	After  *R
}

// Empty reports whether there is nothing to write.
func (c *Changes) Empty() bool {
	return len(c.Executions)+len(c.Attempts)+len(c.Idempotency)+len(c.Routes)+len(c.Records)+len(c.Registered)+len(c.Events) == 0
}

// MaxConflicts is how often Execute runs a batch again after conflicts before it gives up with [ErrTransient].
const MaxConflicts = 8

// Execute runs units the way [Store.Apply] promises, over sessions that begin opens.
func Execute(ctx context.Context, units []*Unit, begin func(context.Context) (Session, error)) error {
	var err error
	for range MaxConflicts {
		if err = executeOnce(ctx, units, begin); !errors.Is(err, ErrConflict) {
			return err
		}
		for _, u := range units {
			u.Assume = nil // a belief may have been the cause
		}
	}
	return fmt.Errorf("%w: %d conflicts in a row: %w", ErrTransient, MaxConflicts, err)
}

func executeOnce(ctx context.Context, units []*Unit, begin func(context.Context) (Session, error)) error {
	s, err := begin(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	b := newBatch()
	states := make([]*unitState, len(units))
	var loads []*Load
	for i, u := range units {
		states[i] = &unitState{}
		if r := b.remaining(u); !r.empty() {
			loads = append(loads, &Load{Reads: r, unit: states[i]})
		}
	}
	if len(loads) > 0 {
		if err := s.Load(ctx, b, loads); err != nil {
			return err
		}
	}
	b.SetNow(s.Now())
	for i, u := range units {
		if err := b.run(ctx, s, u, states[i]); err != nil {
			return err
		}
	}
	ch := b.changes()
	if !ch.Empty() {
		if err := s.Commit(ctx, ch); err != nil {
			return err
		}
	}
	for i, u := range units {
		u.Wrote = states[i].executions.list
		for j, e := range u.Wrote {
			u.Wrote[j] = b.executions[e.ID].current // a later unit may have written it again
		}
	}
	return nil
}

// remaining returns the reads of u that no belief answers, adding the beliefs to the batch.
func (b *Batch) remaining(u *Unit) Reads {
	r := u.Reads
	if u.Assume == nil {
		return r
	}
	r.Executions = nil
	for _, id := range u.Reads.Executions {
		e, ok := u.Assume(id)
		if !ok {
			r.Executions = append(r.Executions, id)
			continue
		}
		if _, known := b.executions[id]; !known {
			b.executions[id] = &entry[record.Execution]{stored: e, current: e, assumed: true}
		}
	}
	return r
}

// run decides one unit. The error it returns is the batch's; the unit's own goes to u.Err.
func (b *Batch) run(ctx context.Context, s Session, u *Unit, st *unitState) error {
	const maxRounds = 100
	for range maxRounds {
		st.reset()
		u.Err = u.Decide(&Tx{batch: b, unit: st})
		if more, ok := asNeed(u.Err); ok {
			if err := s.Load(ctx, b, []*Load{{Reads: more, unit: st}}); err != nil {
				return err
			}
			continue
		}
		if doubtful := st.unconfirmed(u.Err); len(doubtful) > 0 {
			if err := s.Load(ctx, b, []*Load{{Reads: Reads{Executions: doubtful}, unit: st}}); err != nil {
				return err
			}
			b.settle(doubtful)
			continue
		}
		if u.Err != nil {
			st.reset()
			return nil //nolint:nilerr // it is the unit's own outcome; the batch goes on
		}
		b.merge(st)
		return nil
	}
	return fmt.Errorf("store: a unit asked for more records %d times", maxRounds)
}

func (st *unitState) reset() {
	*st = unitState{claimable: st.claimable, due: st.due, attempts: st.attempts, dueRecords: st.dueRecords}
}

// unconfirmed returns the believed executions whose version no write of the unit will check.
func (st *unitState) unconfirmed(err error) []flowfabric.ExecutionID {
	if err != nil {
		return st.assumed
	}
	var out []flowfabric.ExecutionID
	for _, id := range st.assumed {
		if st.executions.get(id) == nil {
			out = append(out, id)
		}
	}
	return out
}

// settle marks executions as read, also those an earlier unit of the batch has already written: their write is guarded.
func (b *Batch) settle(ids []flowfabric.ExecutionID) {
	for _, id := range ids {
		b.executions[id].assumed = false
	}
}

// merge makes what a unit wrote visible to the later ones.
func (b *Batch) merge(st *unitState) {
	for _, e := range st.executions.list {
		put(b.executions, e.ID, e)
	}
	for _, a := range st.attemptPuts.list {
		put(b.attempts, a.Key(), a)
	}
	for _, r := range st.idempotency.list {
		put(b.idempotency, r.Key, r)
	}
	for key, r := range st.keyed {
		ent, ok := b.keyed[key]
		if !ok {
			ent = &keyedEntry{}
			b.keyed[key] = ent
		}
		ent.current = r
	}
	b.registered = append(b.registered, st.registered...)
	b.newRoutes = append(b.newRoutes, st.routes...)
	b.events = append(b.events, st.events...)
}

func put[K comparable, R any](m map[K]*entry[R], key K, r *R) {
	ent, ok := m[key]
	if !ok {
		ent = &entry[R]{}
		m[key] = ent
	}
	ent.current = r
}

// changes collects what was written, in order of key, and numbers the new versions.
func (b *Batch) changes() *Changes {
	ch := &Changes{Now: b.now, Routes: b.newRoutes, Registered: b.registered, Events: b.events}
	ch.Records = b.recordChanges()
	ch.Executions = collect(b.executions, func(e *record.Execution) *int64 { return &e.Version })
	ch.Idempotency = collect(b.idempotency, func(r *record.Idempotency) *int64 { return &r.Version })
	for _, ent := range b.attempts {
		if ent.current != ent.stored {
			ch.Attempts = append(ch.Attempts, ent.current)
		}
	}
	slices.SortFunc(ch.Executions, func(x, y Change[record.Execution]) int { return x.After.ID.Compare(y.After.ID) })
	slices.SortFunc(ch.Attempts, func(x, y *record.Attempt) int {
		return cmp.Or(x.ExecutionID.Compare(y.ExecutionID), cmp.Compare(x.Index, y.Index))
	})
	slices.SortFunc(ch.Idempotency, func(x, y Change[record.Idempotency]) int {
		return cmp.Or(cmp.Compare(x.After.Key.Namespace, y.After.Key.Namespace), cmp.Compare(x.After.Key.Key, y.After.Key.Key))
	})
	return ch
}

// recordChanges collects what was written of keyed families.
func (b *Batch) recordChanges() []RecordChange {
	var out []RecordChange
	for _, ent := range b.keyed {
		if ent.current == ent.stored {
			continue
		}
		if ent.current != nil {
			*ent.current.VersionField() = 1
			if ent.stored != nil {
				*ent.current.VersionField() = *ent.stored.VersionField() + 1
			}
		}
		out = append(out, RecordChange{Before: ent.stored, After: ent.current})
	}
	slices.SortFunc(out, func(x, y RecordChange) int { return record.CompareKeys(x.Key(), y.Key()) })
	return out
}

// collect returns the records of m that were written, with version, a record's version field, raised by one.
func collect[K comparable, R any](m map[K]*entry[R], version func(*R) *int64) []Change[R] {
	var out []Change[R]
	for _, ent := range m {
		if ent.current == ent.stored {
			continue
		}
		*version(ent.current) = 1
		if ent.stored != nil {
			*version(ent.current) = *version(ent.stored) + 1
		}
		out = append(out, Change[R]{Before: ent.stored, After: ent.current})
	}
	return out
}

func (r *Reads) empty() bool {
	return len(r.Executions)+len(r.Attempts)+len(r.Idempotency)+len(r.AttemptsOf)+len(r.Claimable)+len(r.Due)+len(r.Routes)+
		len(r.Records)+len(r.Slots)+len(r.DueRecords) == 0 && !r.NextDue
}

// ViewWith answers a [Store.View] over a session.
func ViewWith(ctx context.Context, s Session, r Reads) (*Tx, error) {
	b := newBatch()
	st := &unitState{}
	if err := s.Load(ctx, b, []*Load{{Reads: r, Peek: true, unit: st}}); err != nil {
		return nil, err
	}
	b.SetNow(s.Now())
	return &Tx{batch: b, unit: st}, nil
}
