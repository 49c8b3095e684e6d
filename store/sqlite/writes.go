package sqlite

import (
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// writes are the statements of the connection that writes.
type writes struct {
	executions  *guarded[record.Execution]
	idempotency *guarded[record.Idempotency]

	families map[record.Family]*keyedWrites

	held           *statement // is an execution still in a version?
	attempt, route *statement
	event, events  *statement // one, and manyEvents at once

	frame, oldFrame, trimFrames *statement
}

// manyEvents is how many events one statement inserts. AUTOINCREMENT writes its counter once per statement: one by one,
// events take nearly twice as long.
const manyEvents = 16

func prepareWrites(db *driver.Conn) (*writes, error) {
	w := &writes{}
	var err error
	w.executions, err = prepareGuarded(db, &sqlstore.Executions, func(e *record.Execution) int64 { return e.Version })
	if err != nil {
		return nil, err
	}
	w.idempotency, err = prepareGuarded(db, &sqlstore.Idempotency, func(r *record.Idempotency) int64 { return r.Version })
	if err != nil {
		return nil, err
	}
	if w.families, err = prepareKeyedWrites(db); err != nil {
		return nil, err
	}
	return w, prepareAll(db, []toPrepare{
		{&w.held, inVersion(&sqlstore.Executions)},
		{&w.attempt, insert(&sqlstore.Attempts) + orOverwrite(&sqlstore.Attempts)},
		{&w.route, insert(&sqlstore.Routes) + orNothing},
		{&w.event, insert(&sqlstore.Events)},
		{&w.frame, insert(&sqlstore.Frames)},
		{&w.oldFrame, sqlOldFrame},
		{&w.trimFrames, sqlTrimFrames},
		{&w.events, insertRows(&sqlstore.Events, manyEvents)},
	})
}

// apply writes the changes of a batch. It fails with [store.ErrConflict] at the first guard that does not hold; what was
// written before it must then be rolled back.
func (w *writes) apply(ch *store.Changes) error {
	for _, c := range ch.Executions {
		if err := w.executions.write(c); err != nil {
			return fmt.Errorf("write execution %s: %w", c.After.ID, err)
		}
	}
	for _, e := range ch.Held {
		writeKey(w.held, &sqlstore.Executions, e)
		w.held.Int(e.Version)
		if err := found(w.held); err != nil {
			return fmt.Errorf("look at execution %s: %w", e.ID, err)
		}
	}
	for _, r := range ch.Guarded {
		if err := w.families[r.Key().Family()].check(r); err != nil {
			return fmt.Errorf("look at %s %q: %w", r.Key().Family(), r.Key().Parts(), err)
		}
	}
	for _, c := range ch.Idempotency {
		if err := w.idempotency.write(c); err != nil {
			return fmt.Errorf("write idempotency key %q: %w", c.After.Key.Key, err)
		}
	}
	for _, a := range ch.Attempts {
		if err := writeOne(w.attempt, &sqlstore.Attempts, a); err != nil {
			return err
		}
	}
	for _, r := range ch.Routes {
		if err := writeOne(w.route, &sqlstore.Routes, r); err != nil {
			return err
		}
	}
	if err := w.keyed(ch.Records, ch.Registered); err != nil {
		return err
	}
	if err := w.writeFrames(ch); err != nil {
		return err
	}
	return w.append(ch.Events)
}

// found runs a query that looks for a row in its version. It fails with [store.ErrConflict] if there is none.
func found(s *statement) error {
	ok, err := s.step()
	switch {
	case err != nil:
		return err
	case !ok:
		return store.ErrConflict
	default:
		return s.reset()
	}
}

// append adds events to the log, in order.
func (w *writes) append(events []record.Event) error {
	for ; len(events) >= manyEvents; events = events[manyEvents:] {
		for i := range manyEvents {
			writeAll(w.events, &sqlstore.Events, &events[i])
		}
		if err := w.events.run(); err != nil {
			return fmt.Errorf("write %s: %w", sqlstore.Events.Name, err)
		}
	}
	return writeEach(w.event, &sqlstore.Events, events)
}

func writeEach[R any](s *statement, t *sqlstore.Table[R], list []R) error {
	for i := range list {
		if err := writeOne(s, t, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeOne runs s, whose parameters are all columns of t, for r.
func writeOne[R any](s *statement, t *sqlstore.Table[R], r *R) error {
	writeAll(s, t, r)
	if err := s.run(); err != nil {
		return fmt.Errorf("write %s: %w", t.Name, err)
	}
	return nil
}
