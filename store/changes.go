package store

import (
	"cmp"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Changes is what a batch writes. Executions come in ascending order of UUID bytes, the others in order of key, so that
// transactions that lock row by row lock in one order.
type Changes struct {
	Now         flowfabric.Timestamp
	Executions  []Change[record.Execution]
	Attempts    []*record.Attempt // insert or overwrite; guarded by the change of their execution
	Idempotency []Change[record.Idempotency]
	Routes      []*record.Route     // register unless they exist
	Records     []RecordChange      // of keyed families, by family, then key
	Registered  []record.Keyed      // of keyed families, by family, then key: insert unless they exist; none is in Records
	Guarded     []record.Keyed      // of keyed families, by family, then key: must still be in these versions; none is in Records
	Held        []*record.Execution // must still be in these versions; none is in Executions
	Events      []record.Event
	Frames      []record.Frame     // append; guarded by the changes of their streams
	FrameTrims  []record.FrameTrim // after the frames were appended; each stream and mode once
	// After is closed when the batch has ended on whose records this one was decided; nil for none. A store that runs several
	// batches at once writes the records of believed families ([record.Family.Believed]) behind it, and the others meanwhile.
	After <-chan struct{}
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
	return len(c.Executions)+len(c.Attempts)+len(c.Idempotency)+len(c.Routes)+len(c.Records)+len(c.Registered)+len(c.Events)+
		len(c.Frames)+len(c.FrameTrims) == 0
}

// believed reports whether records of believed families are written or relied on.
func (c *Changes) believed() bool {
	is := func(r record.Keyed) bool { return r.Key().Family().Believed() }
	return slices.ContainsFunc(c.Records, func(c RecordChange) bool { return c.Key().Family().Believed() }) ||
		slices.ContainsFunc(c.Registered, is) || slices.ContainsFunc(c.Guarded, is)
}

// onlyBelieved reports whether all that is written are records of believed families.
func (c *Changes) onlyBelieved() bool {
	rest := *c
	rest.Records = nil
	return rest.Empty() && len(c.Records) > 0 &&
		!slices.ContainsFunc(c.Records, func(c RecordChange) bool { return !c.Key().Family().Believed() })
}

// changes collects what was written, in order of key, and numbers the new versions.
func (b *Batch) changes() *Changes {
	ch := &Changes{Now: b.time(), Routes: b.newRoutes, Events: b.events, Frames: b.frames, FrameTrims: trimmed(b.trims)}
	ch.Records, ch.Registered, ch.Guarded = b.keyed.changes(), b.keyed.insertions(), b.keyed.guarded()
	ch.Executions = collect(b.executions, func(e *record.Execution) *int64 { return &e.Version })
	ch.Idempotency = collect(b.idempotency, func(r *record.Idempotency) *int64 { return &r.Version })
	for _, ent := range b.attempts {
		if ent.current != ent.stored {
			ch.Attempts = append(ch.Attempts, ent.current)
		}
	}
	ch.Held = b.heldExecutions()
	slices.SortFunc(ch.Executions, func(x, y Change[record.Execution]) int { return x.After.ID.Compare(y.After.ID) })
	slices.SortFunc(ch.Attempts, func(x, y *record.Attempt) int {
		return cmp.Or(x.ExecutionID.Compare(y.ExecutionID), cmp.Compare(x.Index, y.Index))
	})
	slices.SortFunc(ch.Idempotency, func(x, y Change[record.Idempotency]) int {
		return cmp.Or(cmp.Compare(x.After.Key.Namespace, y.After.Key.Namespace), cmp.Compare(x.After.Key.Key, y.After.Key.Key))
	})
	return ch
}

// heldExecutions collects the executions that must not have changed. One that the batch writes is guarded by that.
func (b *Batch) heldExecutions() []*record.Execution {
	var out []*record.Execution
	for id := range b.held {
		if ent := b.executions[id]; ent.current == ent.stored {
			out = append(out, ent.stored)
		}
	}
	slices.SortFunc(out, func(x, y *record.Execution) int { return x.ID.Compare(y.ID) })
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
