package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Tx is what one run of Decide sees: the records that were loaded, with the changes of the batch's earlier units on
// top, and a place for its own. It is valid only during the call.
type Tx struct {
	batch *Batch
	unit  *unitState
}

// unitState is what one run of one unit has loaded and written.
type unitState struct {
	claimable []loadedList
	due       []loadedList
	attempts  [][]*record.Attempt

	loadedFrames [][]*record.Frame

	executions  puts[flowfabric.ExecutionID, record.Execution]
	attemptPuts puts[record.AttemptKey, record.Attempt]
	idempotency puts[record.IdempotencyKey, record.Idempotency]
	keyed       map[record.Key]record.Keyed // nil value: deleted
	edges       ends                        // of edges in keyed
	registered  []record.Keyed
	dueRecords  [][]record.Key
	readyRoutes [][]int64
	guards      []record.Key
	held        []flowfabric.ExecutionID
	routes      []*record.Route
	events      []record.Event
	frames      []record.Frame
	trims       []record.FrameTrim
	assumed     []flowfabric.ExecutionID // read by Decide, on belief only
	believed    []record.Key             // likewise
	notes       []any
}

// puts are the records of one kind a unit has written, in order; a later write of a key hides an earlier one.
type puts[K comparable, R any] struct {
	keys  []K
	list  []*R
	byKey map[K]*R // once there are many
}

// few is up to how many records are scanned rather than indexed.
const few = 8

func (p *puts[K, R]) add(key K, r *R) {
	p.keys, p.list = append(p.keys, key), append(p.list, r)
	if p.byKey != nil {
		p.byKey[key] = r
	} else if len(p.list) > few {
		p.byKey = make(map[K]*R, 4*len(p.list))
		for i, k := range p.keys {
			p.byKey[k] = p.list[i]
		}
	}
}

func (p *puts[K, R]) get(key K) *R {
	if p.byKey != nil {
		return p.byKey[key]
	}
	for i, k := range slices.Backward(p.keys) {
		if k == key {
			return p.list[i]
		}
	}
	return nil
}

type loadedList []flowfabric.ExecutionID

// Now returns the storage clock, read once for the batch.
func (tx *Tx) Now() flowfabric.Timestamp { return tx.batch.time() }

// Execution returns an execution named in the unit's Reads, nil when there is none. It panics when id was not read.
func (tx *Tx) Execution(id flowfabric.ExecutionID) *record.Execution {
	if e := tx.unit.executions.get(id); e != nil {
		return e
	}
	ent, ok := tx.batch.executions[id]
	if !ok {
		panic(fmt.Sprintf("store: execution %s was not named in Reads", id))
	}
	if ent.assumed {
		tx.unit.assumed = append(tx.unit.assumed, id)
	}
	return ent.current
}

// Attempt returns an attempt named in the unit's Reads, nil when there is none. It panics when key was not read.
func (tx *Tx) Attempt(key record.AttemptKey) *record.Attempt {
	if a := tx.unit.attemptPuts.get(key); a != nil {
		return a
	}
	ent, ok := tx.batch.attempts[key]
	if !ok {
		panic(fmt.Sprintf("store: attempt %d of %s was not named in Reads", key.Index, key.ExecutionID))
	}
	return ent.current
}

// HasAttempt reports whether an attempt was read, so that Decide knows whether to ask for it with Need.
func (tx *Tx) HasAttempt(key record.AttemptKey) bool {
	_, ok := tx.batch.attempts[key]
	return ok
}

// Idempotency returns a remembered submission named in the unit's Reads, nil when there is none. It panics when key was
// not read.
func (tx *Tx) Idempotency(key record.IdempotencyKey) *record.Idempotency {
	if r := tx.unit.idempotency.get(key); r != nil {
		return r
	}
	ent, ok := tx.batch.idempotency[key]
	if !ok {
		panic(fmt.Sprintf("store: idempotency key %q was not named in Reads", key.Key))
	}
	return ent.current
}

// Claimable returns the answer to the unit's i-th ClaimQuery, counted over its Reads and its Needs. An execution may
// have been changed by an earlier unit of the batch: the caller checks that it is still ready.
func (tx *Tx) Claimable(i int) []*record.Execution { return tx.resolve(tx.unit.claimable[i]) }

// ClaimQueries is the number of ClaimQueries answered so far, over the unit's Reads and its Needs.
func (tx *Tx) ClaimQueries() int { return len(tx.unit.claimable) }

// Due returns the answer to the unit's i-th DueQuery, under the same caveat.
func (tx *Tx) Due(i int) []*record.Execution { return tx.resolve(tx.unit.due[i]) }

func (tx *Tx) resolve(ids loadedList) []*record.Execution {
	out := make([]*record.Execution, 0, len(ids))
	for _, id := range ids {
		out = append(out, tx.Execution(id))
	}
	return out
}

// AttemptsOf returns the answer to the unit's i-th AttemptsQuery.
func (tx *Tx) AttemptsOf(i int) []*record.Attempt { return tx.unit.attempts[i] }

// Routes returns the routes of a lane named in the unit's Reads.
func (tx *Tx) Routes(lane flowfabric.LaneID) []*record.Route { return tx.batch.routes[lane] }

// ReadyRoutes returns the answer to the unit's i-th ReadyRoutesQuery.
func (tx *Tx) ReadyRoutes(i int) []int64 { return tx.unit.readyRoutes[i] }

// NextDue returns the earliest due time of the shard, 0 for none. The unit's Reads must have asked for it.
func (tx *Tx) NextDue() flowfabric.Timestamp { return tx.batch.nextDue }

// Note leaves a word for who observes the commit, in [Unit.Notes]. It is not stored.
func (tx *Tx) Note(note any) { tx.unit.notes = append(tx.unit.notes, note) }

// PutExecution writes e over the version it was made from. The execution must have been read.
func (tx *Tx) PutExecution(e *record.Execution) { tx.unit.executions.add(e.ID, e) }

// GuardExecution is [Tx.Guard] for an execution that was read and is there.
func (tx *Tx) GuardExecution(id flowfabric.ExecutionID) { tx.unit.held = append(tx.unit.held, id) }

// PutAttempt writes an attempt, new or over what is stored. The unit must also put the attempt's execution, whose version
// guards both.
func (tx *Tx) PutAttempt(a *record.Attempt) { tx.unit.attemptPuts.add(a.Key(), a) }

// PutIdempotency writes r over the version it was made from. The key must have been read.
func (tx *Tx) PutIdempotency(r *record.Idempotency) { tx.unit.idempotency.add(r.Key, r) }

// PutRoute registers a route; one that exists is left alone.
func (tx *Tx) PutRoute(r *record.Route) { tx.unit.routes = append(tx.unit.routes, r) }

// Append adds events to the log, in order.
func (tx *Tx) Append(events ...record.Event) { tx.unit.events = append(tx.unit.events, events...) }

// Need is what Decide returns to have more loaded in the same transaction; it is then run again. Queries added by Need
// are numbered behind those of Reads.
func (tx *Tx) Need(r Reads) error { return &needError{r} }

type needError struct{ reads Reads }

func (*needError) Error() string { return "store: the unit needs more records" }

// IsNeed reports whether err is what [Tx.Need] returned.
func IsNeed(err error) bool {
	_, ok := asNeed(err)
	return ok
}

func asNeed(err error) (Reads, bool) {
	if n, ok := errors.AsType[*needError](err); ok {
		return n.reads, true
	}
	return Reads{}, false
}
