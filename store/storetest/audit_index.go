package storetest

import (
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// indexViolations compares the indexes with the records they are derived from (I15): each has the entry of every
// execution that says so, and no more.
func indexViolations(d *store.Dump) []string {
	ready := make(map[store.ReadyEntry]int)
	due := make(map[store.DueEntry]int)
	retain := make(map[store.RetainEntry]int)
	slots := make(map[store.SlotEntry]int)
	for _, e := range d.Executions {
		if e.Ready {
			ready[readyEntryOf(e)]++
		}
		if e.DueAt != 0 {
			due[store.DueEntry{DueAt: e.DueAt, ExecutionID: e.ID}]++
		}
		if e.RetainUntil != 0 {
			retain[store.RetainEntry{RetainUntil: e.RetainUntil, ExecutionID: e.ID}]++
		}
		if e.Slot {
			slots[store.SlotEntry{Lane: e.Lane, ExecutionID: e.ID}]++
		}
	}
	return slices.Concat(
		compareEntries("ready", ready, d.Ready), compareEntries("due", due, d.Due),
		compareEntries("retention", retain, d.Retain), compareEntries("slot", slots, d.Slots),
	)
}

func readyEntryOf(e *record.Execution) store.ReadyEntry {
	return store.ReadyEntry{
		Lane: e.Lane, Route: e.Route, Priority: e.Priority + e.Boost, CreatedAt: e.CreatedAt, ExecutionID: e.ID,
	}
}

// compareEntries reports the entries that are too many and those that are missing.
func compareEntries[E comparable](index string, want map[E]int, have []E) []string {
	var found []string
	for _, entry := range have {
		if want[entry]--; want[entry] < 0 {
			found = append(found, fmt.Sprintf("I15: the %s index has an entry without reason: %+v", index, entry))
		}
	}
	for entry, n := range want {
		if n > 0 {
			found = append(found, fmt.Sprintf("I15: the %s index lacks %+v", index, entry))
		}
	}
	slices.Sort(found)
	return found
}
