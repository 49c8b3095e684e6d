package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Commit implements [store.Session]. Rows are locked in one order: queue entries, then executions by UUID, then the rest
// by key.
func (s *session) Commit(ctx context.Context, ch *store.Changes) error {
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	_, age := s.st.clock.estimate()
	s.sendBegin(t, beginStatement, age > maxClockAge)
	ix := store.IndexesOf(ch.Executions)
	rest := s.taken.settle(ix)
	s.sendChanges(t, ch, rest)
	t.send(commitStatement, nil, nil)
	if err := t.run(); err != nil {
		return classify("commit", err, commitSent)
	}
	s.open = false
	s.st.notifier.notify(lanesOf(ix.ReadyAdd))
	s.st.sweeper.removed(len(s.taken.ready)+len(rest.ReadyRemove), len(s.taken.due)+len(rest.DueRemove))
	return nil
}

func (s *session) sendChanges(t *trip, ch *store.Changes, ix store.IndexChanges) {
	sh := &s.st.shapes
	add := insert
	if s.careful {
		add = ensure
	}
	ended, rerun := s.split(ch.Attempts)
	sendRows(t, sh, remove, &sqlstore.Ready, pointers(ix.ReadyRemove), allColumns(&sqlstore.Ready))
	sendRows(t, sh, remove, &sqlstore.Due, pointers(ix.DueRemove), allColumns(&sqlstore.Due))
	sendGuarded(t, sh, &sqlstore.Executions, ch.Executions)
	sendRows(t, sh, insert, &sqlstore.Attempts, ended, allColumns(&sqlstore.Attempts))
	sendRows(t, sh, replace, &sqlstore.Attempts, rerun, allColumns(&sqlstore.Attempts))
	sendGuarded(t, sh, &sqlstore.Idempotency, ch.Idempotency)
	sendRows(t, sh, ensure, &sqlstore.Routes, uniqueRoutes(ch.Routes), allColumns(&sqlstore.Routes))
	sendRows(t, sh, add, &sqlstore.Ready, pointers(ix.ReadyAdd), allColumns(&sqlstore.Ready))
	sendRows(t, sh, add, &sqlstore.Due, pointers(ix.DueAdd), allColumns(&sqlstore.Due))
	sendRows(t, sh, insert, &sqlstore.Events, pointers(ch.Events), allColumns(&sqlstore.Events))
}

// split tells attempts that end for the first time, which have no row yet, from those that may have one: a replay's, or
// one written by hand.
func (s *session) split(attempts []*record.Attempt) (ended, rerun []*record.Attempt) {
	for _, a := range attempts {
		if s.careful || a.EndedAt == 0 || a.Type == flowfabric.AttemptReplay || a.Type == "" {
			rerun = append(rerun, a)
		} else {
			ended = append(ended, a)
		}
	}
	return ended, rerun
}

// sendGuarded writes changes of records that carry a version: the updates in one statement over all columns that differ
// in any of them, then the inserts.
func sendGuarded[R any](t *trip, s *shapes, table *sqlstore.Table[R], changes []store.Change[R]) {
	set := keyColumns(table)
	var updates, inserts []*R
	for _, c := range changes {
		if c.Before == nil {
			inserts = append(inserts, c.After)
			continue
		}
		updates = append(updates, c.After)
		set |= table.Changed(c.Before, c.After)
	}
	sendRows(t, s, update, table, updates, set)
	sendRows(t, s, insert, table, inserts, allColumns(table))
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
