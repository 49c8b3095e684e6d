package store

import (
	"github.com/flowfabric/flowfabric/store/record"
)

// IndexChanges are the entries of the four indexes that the changes of a batch add and remove.
type IndexChanges struct {
	ReadyAdd, ReadyRemove   []ReadyEntry
	DueAdd, DueRemove       []DueEntry
	RetainAdd, RetainRemove []RetainEntry
	SlotAdd, SlotRemove     []SlotEntry
}

// IndexesOf derives the index changes of a batch from its executions. An entry that stays as it is is in no list.
func IndexesOf(changes []Change[record.Execution]) IndexChanges {
	var ix IndexChanges
	for _, c := range changes {
		if before, after := readyEntry(c.Before), readyEntry(c.After); before != after {
			ix.ReadyRemove = appendSet(ix.ReadyRemove, before)
			ix.ReadyAdd = appendSet(ix.ReadyAdd, after)
		}
		if before, after := dueEntry(c.Before), dueEntry(c.After); before != after {
			ix.DueRemove = appendSet(ix.DueRemove, before)
			ix.DueAdd = appendSet(ix.DueAdd, after)
		}
		if before, after := retainEntry(c.Before), retainEntry(c.After); before != after {
			ix.RetainRemove = appendSet(ix.RetainRemove, before)
			ix.RetainAdd = appendSet(ix.RetainAdd, after)
		}
		if before, after := slotEntry(c.Before), slotEntry(c.After); before != after {
			ix.SlotRemove = appendSet(ix.SlotRemove, before)
			ix.SlotAdd = appendSet(ix.SlotAdd, after)
		}
	}
	return ix
}

// retainEntry is the zero entry for an execution that is absent or has not ended.
func retainEntry(e *record.Execution) RetainEntry {
	if e == nil || e.RetainUntil == 0 {
		return RetainEntry{}
	}
	return RetainEntry{RetainUntil: e.RetainUntil, ExecutionID: e.ID}
}

// slotEntry is the zero entry for an execution that is absent or takes no slot.
func slotEntry(e *record.Execution) SlotEntry {
	if e == nil || !e.Slot {
		return SlotEntry{}
	}
	return SlotEntry{Lane: e.Lane, ExecutionID: e.ID}
}

// readyEntry is the zero entry for an execution that is absent or not ready.
func readyEntry(e *record.Execution) ReadyEntry {
	if e == nil || !e.Ready {
		return ReadyEntry{}
	}
	return ReadyEntryOf(e)
}

// dueEntry is the zero entry for an execution that is absent or never due.
func dueEntry(e *record.Execution) DueEntry {
	if e == nil || e.DueAt == 0 {
		return DueEntry{}
	}
	return DueEntry{DueAt: e.DueAt, ExecutionID: e.ID}
}

func appendSet[E comparable](list []E, entry E) []E {
	var unset E
	if entry == unset {
		return list
	}
	return append(list, entry)
}
