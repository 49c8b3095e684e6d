package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Commit implements [store.Session]. Rows are locked in one order: keyed records by family and key, as reads that lock have
// done already, then queue entries, then executions kind by kind of change, each by UUID, then the rest by key.
//
// Records of believed families come last: everybody under one budget writes the same, and the batch before may still be about
// to ([store.Changes].After). What else there is to write is written meanwhile, in a round trip of its own.
func (s *session) Commit(ctx context.Context, ch *store.Changes) error {
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	ix := store.IndexesOf(ch.Executions)
	rest := s.taken.settle(ix)
	ahead := underWay(ch.After) // everything but what is believed
	if ahead {
		s.sendBegin(t, beginStatement, s.clockIsOld())
		sendChanges(t, &s.st.shapes, s.careful, ch, rest)
		if err := t.run(); err != nil {
			return classify("write", err, notSent)
		}
		if err := store.Behind(ctx, ch.After); err != nil {
			return err
		}
		t = s.c.startTrip(ctx)
	}
	alone := s.beginCommit(t)
	if !ahead {
		sendChanges(t, &s.st.shapes, s.careful, ch, rest)
	}
	sendBelieved(t, &s.st.shapes, ch)
	if !alone {
		t.send(commitStatement, nil, nil)
	}
	switch err := t.run(); {
	case codeOf(err) == codeLockTimeout: // somebody has what was believed
		return fmt.Errorf("postgres: commit: %w: %w", store.ErrConflict, err)
	case err != nil:
		return classify("commit", err, commitSent)
	}
	s.open = false
	s.st.floors.committed(s.looks, rest.ReadyAdd, s.Now())
	s.st.notifier.notify(lanesOf(ix.ReadyAdd))
	s.st.sweeper.removed(removals{
		readyQueue: len(s.taken.ready) + len(rest.ReadyRemove), dueQueue: len(s.taken.due) + len(rest.DueRemove),
		slotSet: len(rest.SlotRemove),
	})
	return nil
}

// beginCommit opens the transaction unless it is open. A trip on a connection of our own that nothing went before needs
// neither BEGIN nor COMMIT: what is sent up to one Sync is a transaction by itself (alone), and two statements less are
// felt by a caller who commits one execution at a time.
func (s *session) beginCommit(t *trip) (alone bool) {
	readClock := s.clockIsOld()
	if s.open || s.st.borrowed || s.st.cfg.Pooler {
		s.sendBegin(t, beginStatement, readClock)
		return false
	}
	if readClock {
		s.sendClock(t)
	}
	return true
}

func (s *session) clockIsOld() bool {
	_, age := s.st.clock.estimate()
	return age > maxClockAge
}

// underWay reports whether a batch has not ended.
func underWay(ended <-chan struct{}) bool {
	if ended == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// sendChanges writes a batch with the index changes that are left of it, but for what sendBelieved does. A careful one inserts
// nothing that may be there.
func sendChanges(t *trip, sh *shapes, careful bool, ch *store.Changes, ix store.IndexChanges) {
	add := insert
	if careful {
		add = ensure
	}
	ended, rerun := split(ch.Attempts, careful)
	expired := expiredChangesOf(ch.Executions)
	sendKeyed(t, sh, ch)
	sendEntries(t, sh, remove, &sqlstore.Ready, ix.ReadyRemove)
	sendEntries(t, sh, remove, &sqlstore.Due, ix.DueRemove)
	sendEntries(t, sh, remove, &sqlstore.Retain, ix.RetainRemove)
	sendEntries(t, sh, remove, &sqlstore.Slots, ix.SlotRemove)
	sendEntries(t, sh, remove, &expiredLeases, expired.remove)
	sendGuarded(t, sh, update, &sqlstore.Executions, ch.Executions)
	sendRows(t, sh, hold, &sqlstore.Executions, ch.Held, keyColumns(&sqlstore.Executions))
	sendRows(t, sh, insert, &sqlstore.Attempts, ended, allColumns(&sqlstore.Attempts))
	sendRows(t, sh, replace, &sqlstore.Attempts, rerun, allColumns(&sqlstore.Attempts))
	sendGuarded(t, sh, update, &sqlstore.Idempotency, ch.Idempotency)
	sendRows(t, sh, ensure, &sqlstore.Routes, uniqueRoutes(ch.Routes), allColumns(&sqlstore.Routes))
	sendFrames(t, sh, ch)
	sendEntries(t, sh, add, &sqlstore.Ready, ix.ReadyAdd)
	sendEntries(t, sh, add, &sqlstore.Due, ix.DueAdd)
	sendEntries(t, sh, add, &sqlstore.Retain, ix.RetainAdd)
	sendEntries(t, sh, add, &sqlstore.Slots, ix.SlotAdd)
	sendEntries(t, sh, add, &expiredLeases, expired.add)
	sendEntries(t, sh, insert, &sqlstore.Events, ch.Events)
}

func sendEntries[R any](t *trip, sh *shapes, v verb, table *sqlstore.Table[R], entries []R) {
	sendRows(t, sh, v, table, pointers(entries), allColumns(table))
}

// split tells attempts that end for the first time, which have no row yet, from those that may have one: a replay's, or
// one written by hand.
func split(attempts []*record.Attempt, careful bool) (ended, rerun []*record.Attempt) {
	for _, a := range attempts {
		if careful || a.EndedAt == 0 || a.Type == flowfabric.AttemptReplay || a.Type == "" {
			rerun = append(rerun, a)
		} else {
			ended = append(ended, a)
		}
	}
	return ended, rerun
}

// sendGuarded writes changes of records that carry a version: the updates, by the verb, then the inserts.
func sendGuarded[R any](t *trip, s *shapes, v verb, table *sqlstore.Table[R], changes []store.Change[R]) {
	var inserts []*R
	updates := make(map[sqlstore.ColumnSet][]*R)
	for _, c := range changes {
		if c.Before == nil {
			inserts = append(inserts, c.After)
			continue
		}
		set := table.Changed(c.Before, c.After)
		updates[set] = append(updates[set], c.After)
	}
	sendUpdates(t, s, v, table, updates)
	sendRows(t, s, insert, table, inserts, allColumns(table))
}

// sendUpdates writes rows, given by which of their columns have changed. Rows alike in that are one statement if they are
// many: what claims have in common, and what completions have in common, goes as single values; together they would have
// little in common. The few others are one statement over all the columns that differ in any of them.
func sendUpdates[R any](t *trip, s *shapes, v verb, table *sqlstore.Table[R], byColumns map[sqlstore.ColumnSet][]*R) {
	var others []*R
	set := keyColumns(table)
	for _, columns := range slices.SortedFunc(maps.Keys(byColumns), sqlstore.ColumnSet.Compare) {
		rows := byColumns[columns]
		if len(rows) >= manyRows {
			sendRows(t, s, v, table, rows, columns.Union(keyColumns(table)))
			continue
		}
		others = append(others, rows...)
		set = set.Union(columns)
	}
	sendRows(t, s, v, table, others, set)
}

// settle turns the index changes of a batch into what is left to do: entries that were taken are gone already, and those
// of them that the batch did not remove must come back.
func (t *taken) settle(ix store.IndexChanges) store.IndexChanges {
	ix.ReadyRemove, ix.ReadyAdd = settle(t.ready, ix.ReadyRemove, ix.ReadyAdd)
	ix.DueRemove, ix.DueAdd = settle(t.due, ix.DueRemove, ix.DueAdd)
	return ix
}

func settle[E comparable](taken map[E]struct{}, removed, added []E) (remove, add []E) {
	if len(taken) == 0 {
		return removed, added
	}
	back := maps.Clone(taken)
	for _, entry := range removed {
		if _, gone := taken[entry]; gone {
			delete(back, entry)
		} else {
			remove = append(remove, entry)
		}
	}
	return remove, slices.AppendSeq(slices.Clip(added), maps.Keys(back))
}

// uniqueRoutes drops repeats, which the units of one batch may well bring.
func uniqueRoutes(routes []*record.Route) []*record.Route {
	type key struct {
		lane flowfabric.LaneID
		id   int64
	}
	seen := make(map[key]struct{}, len(routes))
	return slices.DeleteFunc(slices.Clone(routes), func(r *record.Route) bool {
		k := key{r.Lane, r.ID}
		_, again := seen[k]
		seen[k] = struct{}{}
		return again
	})
}

func lanesOf(entries []store.ReadyEntry) []flowfabric.LaneID {
	var lanes []flowfabric.LaneID
	for i := range entries {
		if lane := entries[i].Lane; len(lanes) == 0 || lanes[len(lanes)-1] != lane {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

func pointers[R any](rows []R) []*R {
	if len(rows) == 0 {
		return nil
	}
	out := make([]*R, len(rows))
	for i := range rows {
		out[i] = &rows[i]
	}
	return out
}
