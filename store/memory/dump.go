package memory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Dump implements [store.Dumper]. It covers all shards, as of one instant; records come in order of their keys.
func (s *Store) Dump(ctx context.Context) (*store.Dump, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	d := &store.Dump{Now: ses.now}
	for _, sh := range ses.held {
		sh.dump(d)
	}
	slices.SortFunc(d.Executions, func(x, y *record.Execution) int { return x.ID.Compare(y.ID) })
	slices.SortFunc(d.Attempts, func(x, y *record.Attempt) int {
		return cmp.Or(x.ExecutionID.Compare(y.ExecutionID), cmp.Compare(x.Index, y.Index))
	})
	slices.SortFunc(d.Idempotency, func(x, y *record.Idempotency) int {
		return cmp.Or(cmp.Compare(x.Key.Namespace, y.Key.Namespace), cmp.Compare(x.Key.Key, y.Key.Key))
	})
	slices.SortFunc(d.Routes, func(x, y *record.Route) int {
		return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Partition.Index, y.Partition.Index))
	})
	slices.SortFunc(d.Ready, compareReady)
	slices.SortFunc(d.Due, compareDue)
	slices.SortFunc(d.Retain, compareRetain)
	slices.SortFunc(d.Slots, func(x, y store.SlotEntry) int {
		return cmp.Or(cmp.Compare(x.Lane, y.Lane), x.ExecutionID.Compare(y.ExecutionID))
	})
	sortByKey(d.Records)
	slices.SortFunc(d.Frames, compareFrames)
	return d, nil
}

// spelled is a key that knows its parts: to sort by them they are asked for again and again.
type spelled struct {
	record.Key
	parts []string
	of    record.Keyed
}

// Parts implements [record.Key].
func (s *spelled) Parts() []string { return s.parts }

func sortByKey(list []record.Keyed) {
	keys := make([]*spelled, len(list))
	for i, rec := range list {
		keys[i] = &spelled{rec.Key(), rec.Key().Parts(), rec}
	}
	slices.SortFunc(keys, func(x, y *spelled) int { return record.CompareKeys(x, y) })
	for i, k := range keys {
		list[i] = k.of
	}
}

func (sh *shard) dump(d *store.Dump) {
	d.Executions = slices.AppendSeq(d.Executions, maps.Values(sh.executions))
	for _, list := range sh.attempts {
		d.Attempts = append(d.Attempts, list...)
	}
	d.Idempotency = slices.AppendSeq(d.Idempotency, maps.Values(sh.idempotency))
	for _, list := range sh.routes {
		d.Routes = append(d.Routes, list...)
	}
	d.Events = append(d.Events, sh.log.all()...)
	d.Ready = slices.AppendSeq(d.Ready, entries(sh.ready))
	d.Due = slices.AppendSeq(d.Due, entries(sh.due))
	d.Retain = slices.AppendSeq(d.Retain, entries(sh.retain))
	for lane, of := range sh.slots {
		for id := range of {
			d.Slots = append(d.Slots, store.SlotEntry{Lane: lane, ExecutionID: id})
		}
	}
	d.Records = slices.AppendSeq(d.Records, maps.Values(sh.keyed.byKey))
	d.Frames = append(d.Frames, sh.frames.all()...)
}

func entries[E any](tree *btree.BTreeG[E]) iter.Seq[E] {
	return func(yield func(E) bool) { tree.Ascend(yield) }
}
