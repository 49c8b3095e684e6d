package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// MaxConflicts is how often Execute runs a batch again after conflicts before it gives up with [ErrTransient].
const MaxConflicts = 8

// Execute runs units the way [Store.Apply] promises, over sessions that begin opens.
func Execute(ctx context.Context, units []*Unit, begin func(context.Context) (Session, error)) error {
	var err error
	beliefs := beliefsOf(units)
	for range MaxConflicts {
		if err = executeOnce(ctx, units, begin, beliefs); !errors.Is(err, ErrConflict) {
			return err
		}
		for _, u := range units {
			u.Assume, u.Absent, u.Beliefs = nil, nil, nil // a belief may have been the cause
		}
	}
	return fmt.Errorf("%w: %d conflicts in a row: %w", ErrTransient, MaxConflicts, err)
}

func executeOnce(ctx context.Context, units []*Unit, begin func(context.Context) (Session, error), beliefs *Beliefs) (err error) {
	b := newBatch()
	decided := func() {}
	var ended chan struct{} // what the next batch waits for
	if beliefs != nil {
		// Who holds the turn may wait for what others have locked, so it is taken before anything is.
		beliefs.turn.Lock()
		decided = sync.OnceFunc(beliefs.turn.Unlock)
		b.after = beliefs.last
		defer func() { // when the session is closed
			decided()
			beliefs.settle(&b.keyed, err == nil)
			if ended != nil {
				if b.after != nil {
					<-b.after // for the next batch may rely on all before it
				}
				close(ended)
			}
		}()
	}
	s, err := begin(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	states := make([]*unitState, len(units))
	var loads []*Load
	for i, u := range units {
		states[i] = &unitState{}
		if r := b.remaining(u); !r.empty() {
			loads = append(loads, &Load{Reads: r, unit: states[i]})
		}
	}
	if len(loads) > 0 {
		if err := b.load(ctx, s, loads...); err != nil {
			return err
		}
	}
	b.SetNow(s.Now())
	for i := range units {
		if err := b.run(ctx, s, units[i:], states[i:]); err != nil {
			return err
		}
	}
	ch := b.changes()
	if beliefs != nil {
		beliefs.expect(&b.keyed)
		if ch.believed() {
			ended = make(chan struct{})
			ch.After, beliefs.last = b.after, ended
		}
		decided()
		if ch.onlyBelieved() { // there is nothing to write meanwhile
			if err := b.behind(ctx); err != nil {
				return err
			}
		}
	}
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
		u.Records, u.DueAt = states[i].records(), states[i].dueAt()
		u.Attempts, u.Events, u.Registered = states[i].attemptPuts.list, states[i].events, states[i].registered
		u.Notes = states[i].notes
	}
	return nil
}

// load is [Session].Load. Records that are believed are read when those have ended who will have written them.
func (b *Batch) load(ctx context.Context, s Session, loads ...*Load) error {
	if slices.ContainsFunc(loads, func(l *Load) bool { return l.Reads.believed() }) {
		if err := b.behind(ctx); err != nil {
			return err
		}
	}
	b.loaded = true
	return s.Load(ctx, b, loads)
}

// behind waits for the batch before, for long only if nothing is locked that it may wait for.
func (b *Batch) behind(ctx context.Context) error {
	if b.loaded || b.after == nil {
		return Behind(ctx, b.after)
	}
	select {
	case <-b.after:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("store: wait for the batch before: %w", ctx.Err())
	}
}

// believed reports whether r asks for records of believed families.
func (r *Reads) believed() bool {
	return slices.ContainsFunc(r.Records, func(key record.Key) bool { return key.Family().Believed() }) ||
		slices.ContainsFunc(r.DueRecords, func(q DueRecordsQuery) bool { return q.Family.Believed() })
}

// patience bounds the wait of [Behind].
const patience = 100 * time.Millisecond

// Behind waits for the batch before ([Changes].After). That one may wait for what the caller has locked: so who waits for long gives
// up with [ErrConflict], and runs again.
func Behind(ctx context.Context, after <-chan struct{}) error {
	if after == nil {
		return nil
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-after:
		return nil
	case <-patient.Done():
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: wait for the batch before: %w", err)
	}
	return fmt.Errorf("store: the batch before does not end: %w", ErrConflict)
}

// unread returns those of the records a unit asks for that no belief answers, adding the beliefs to the batch.
func (b *Batch) unread(u *Unit, keys []record.Key) []record.Key {
	if u.Absent != nil {
		keys = b.keyed.believe(keys, u.Absent)
	}
	if u.Beliefs != nil {
		keys = b.keyed.trust(keys, u.Beliefs)
	}
	return keys
}

// remaining returns the reads of u that no belief answers, adding the beliefs to the batch.
func (b *Batch) remaining(u *Unit) Reads {
	r := u.Reads
	r.Records = b.unread(u, r.Records)
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
			b.heardOf(e)
		}
	}
	return r
}

// run decides the first of the units that are left. The error it returns is the batch's; the unit's own goes to its Err.
func (b *Batch) run(ctx context.Context, s Session, units []*Unit, states []*unitState) error {
	const maxRounds = 20_000 // a search through a graph asks once for each step
	u, st := units[0], states[0]
	for range maxRounds {
		st.reset()
		u.Err = u.Decide(&Tx{batch: b, unit: st})
		if more, ok := asNeed(u.Err); ok {
			if more.Records = b.unread(u, more.Records); more.empty() {
				continue
			}
			if err := b.load(ctx, s, append(b.scout(more, units[1:], states[1:]), &Load{Reads: more, unit: st})...); err != nil {
				return err
			}
			continue
		}
		if doubtful := b.unconfirmed(st, u.Err); !doubtful.empty() {
			if err := b.load(ctx, s, &Load{Reads: doubtful, unit: st}); err != nil {
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

// maxScouts bounds how often the units of a batch are run ahead of their turn.
const maxScouts = 8

// scout runs the units behind one that needs more, to find out what they will need, so that all of it is loaded in one
// round trip. What they decide is dropped: their turn comes. Queries that take something are left to the unit's turn.
func (b *Batch) scout(more Reads, units []*Unit, states []*unitState) []*Load {
	if b.scouts >= maxScouts || !more.scoutable() {
		return nil
	}
	b.scouts++
	var loads []*Load
	for i, u := range units {
		if next, ok := asNeed(u.Decide(&Tx{batch: b, unit: states[i]})); ok && next.scoutable() {
			if next.Records = b.unread(u, next.Records); !next.empty() {
				loads = append(loads, &Load{Reads: next, unit: states[i]})
			}
		}
		states[i].reset()
	}
	return loads
}

// scoutable reports whether the answer to r is the same whoever asks first.
func (r *Reads) scoutable() bool {
	return len(r.Claimable)+len(r.Due)+len(r.DueRecords)+len(r.Slots)+len(r.AttemptsOf)+len(r.ReadyRoutes)+len(r.Routes)+len(r.Frames) == 0
}

// records are the keyed records a unit has written, without those it has deleted.
func (st *unitState) records() []record.Keyed {
	var list []record.Keyed
	for _, r := range st.keyed {
		if r != nil {
			list = append(list, r)
		}
	}
	return list
}

// dueAt is the earliest due time among the keyed records a unit has written, 0 for none.
func (st *unitState) dueAt() flowfabric.Timestamp {
	var earliest flowfabric.Timestamp
	note := func(r record.Keyed) {
		if at := r.DueTime(); at != 0 && (earliest == 0 || at < earliest) {
			earliest = at
		}
	}
	for _, r := range st.keyed {
		if r != nil {
			note(r)
		}
	}
	for _, r := range st.registered {
		note(r)
	}
	return earliest
}

func (st *unitState) reset() {
	*st = unitState{
		claimable: st.claimable, due: st.due, attempts: st.attempts, dueRecords: st.dueRecords, readyRoutes: st.readyRoutes,
		loadedFrames: st.loadedFrames,
	}
}

// unconfirmed returns what was believed and nothing the unit writes will check. A keyed record that was believed to be there is
// guarded instead, if the unit writes others.
func (b *Batch) unconfirmed(st *unitState, err error) (r Reads) {
	if err != nil {
		return Reads{Executions: st.assumed, Records: st.believed}
	}
	for _, id := range st.assumed {
		if st.executions.get(id) == nil && !slices.Contains(st.held, id) {
			r.Executions = append(r.Executions, id)
		}
	}
	for _, key := range st.believed {
		there := b.keyed.known[key].stored != nil
		written, ok := st.keyed[key]
		switch {
		case written != nil || ok && there:
		case there && len(st.keyed)+len(st.executions.list) > 0:
			st.guards = append(st.guards, key)
			b.keyed.known[key].relied = true
		default:
			r.Records = append(r.Records, key)
		}
	}
	return r
}

// settle marks records as read, also those an earlier unit of the batch has already written: their write is guarded.
func (b *Batch) settle(r Reads) {
	for _, id := range r.Executions {
		b.executions[id].assumed = false
	}
	for _, key := range r.Records {
		b.keyed.known[key].assumed = false
	}
}

func (r *Reads) empty() bool {
	return len(r.Executions)+len(r.Attempts)+len(r.Idempotency)+len(r.AttemptsOf)+len(r.Claimable)+len(r.Due)+len(r.Routes)+
		len(r.Records)+len(r.Edges)+len(r.Members)+len(r.Slots)+len(r.DueRecords)+len(r.ReadyRoutes)+len(r.Frames) == 0 && !r.NextDue
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
