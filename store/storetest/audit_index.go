package storetest

import (
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// indexViolations compares the two indexes with the records they are derived from (I15): the ready index has the entry
// of every execution that is ready, the due index one for every execution that has a due time, and neither has more.
func indexViolations(d *store.Dump) []string {
	ready := make(map[store.ReadyEntry]int)
	due := make(map[store.DueEntry]int)
	for _, e := range d.Executions {
		if e.Ready {
			ready[readyEntryOf(e)]++
		}
		if e.DueAt != 0 {
			due[store.DueEntry{DueAt: e.DueAt, ExecutionID: e.ID}]++
		}
	}
	return append(compareEntries("ready", ready, d.Ready), compareEntries("due", due, d.Due)...)
}

func readyEntryOf(e *record.Execution) store.ReadyEntry {
	return store.ReadyEntry{Lane: e.Lane, Route: e.Route, Priority: e.Priority, CreatedAt: e.CreatedAt, ExecutionID: e.ID}
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
