package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestIndexesOf_OnlyWhatMovesIsListed(t *testing.T) {
	ready := func(p int) *record.Execution {
		return &record.Execution{ID: id(1), Lane: "mail", Priority: p, Ready: true}
	}
	due := func(at flowfabric.Timestamp) *record.Execution { return &record.Execution{ID: id(1), DueAt: at} }
	entry := func(p int) []store.ReadyEntry {
		return []store.ReadyEntry{{Lane: "mail", Priority: p, ExecutionID: id(1)}}
	}
	at := func(at flowfabric.Timestamp) []store.DueEntry {
		return []store.DueEntry{{DueAt: at, ExecutionID: id(1)}}
	}
	retained := func(until flowfabric.Timestamp) *record.Execution {
		return &record.Execution{ID: id(1), RetainUntil: until}
	}
	slot := &record.Execution{ID: id(1), Lane: "mail", Slot: true}
	boosted := ready(1)
	boosted.Boost = 4
	until := func(until flowfabric.Timestamp) []store.RetainEntry {
		return []store.RetainEntry{{RetainUntil: until, ExecutionID: id(1)}}
	}
	taken := []store.SlotEntry{{Lane: "mail", ExecutionID: id(1)}}
	for _, c := range []struct {
		name          string
		before, after *record.Execution
		want          store.IndexChanges
	}{
		{"new and ready", nil, ready(1), store.IndexChanges{ReadyAdd: entry(1)}},
		{"new and due", nil, due(9), store.IndexChanges{DueAdd: at(9)}},
		{"new and neither", nil, due(0), store.IndexChanges{}},
		{"unmoved", ready(1), ready(1), store.IndexChanges{}},
		{"moved by priority", ready(1), ready(2), store.IndexChanges{ReadyRemove: entry(1), ReadyAdd: entry(2)}},
		{"moved in time", due(9), due(8), store.IndexChanges{DueRemove: at(9), DueAdd: at(8)}},
		{"moved by waiting", ready(1), boosted, store.IndexChanges{ReadyRemove: entry(1), ReadyAdd: entry(5)}},
		{"finished", due(9), retained(7), store.IndexChanges{DueRemove: at(9), RetainAdd: until(7)}},
		{"kept longer", retained(7), retained(8), store.IndexChanges{RetainRemove: until(7), RetainAdd: until(8)}},
		{"replayed", retained(7), due(9), store.IndexChanges{RetainRemove: until(7), DueAdd: at(9)}},
		{"takes a slot", ready(1), slot, store.IndexChanges{ReadyRemove: entry(1), SlotAdd: taken}},
		{"keeps its slot", slot, slot, store.IndexChanges{}},
		{"frees its slot", slot, ready(1), store.IndexChanges{SlotRemove: taken, ReadyAdd: entry(1)}},
		{"removed", retained(7), nil, store.IndexChanges{RetainRemove: until(7)}},
		{"ready no more, due now", ready(1), due(9), store.IndexChanges{ReadyRemove: entry(1), DueAdd: at(9)}},
		{"due no more, ready now", due(9), ready(1), store.IndexChanges{DueRemove: at(9), ReadyAdd: entry(1)}},
	} {
		got := store.IndexesOf([]store.Change[record.Execution]{{Before: c.before, After: c.after}})
		if diff := cmp.Diff(c.want, got, cmp.Comparer(func(x, y flowfabric.ExecutionID) bool { return x == y })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
