package memory

import (
	"cmp"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// indexes are the orders of the executions on one shard.
type indexes struct {
	ready  *btree.BTreeG[store.ReadyEntry]
	due    *btree.BTreeG[store.DueEntry]
	retain *btree.BTreeG[store.RetainEntry]
	slots  map[flowfabric.LaneID]map[flowfabric.ExecutionID]struct{}

	created *btree.BTreeG[store.ListCursor]       // all, newest first
	ids     *btree.BTreeG[flowfabric.ExecutionID] // all, by partition
	leases  *btree.BTreeG[store.LeaseCursor]      // leased, or expired and not claimed since
	lanes   map[flowfabric.LaneID]laneCounts
}

// laneCounts are how many executions of a lane are in a state.
type laneCounts struct{ active, delayed int }

func newIndexes() indexes {
	return indexes{
		ready:   newTree(compareReady),
		due:     newTree(compareDue),
		retain:  newTree(compareRetain),
		slots:   make(map[flowfabric.LaneID]map[flowfabric.ExecutionID]struct{}),
		created: newTree(compareCreated),
		ids:     newTree(compareIDs),
		leases:  newTree(compareLeases),
		lanes:   make(map[flowfabric.LaneID]laneCounts),
	}
}

func newTree[E any](compare func(x, y E) int) *btree.BTreeG[E] {
	const degree = 32
	return btree.NewG(degree, func(x, y E) bool { return compare(x, y) < 0 })
}

// compareReady is the order of the ready index: queue by queue, each in claim order.
func compareReady(x, y store.ReadyEntry) int {
	return cmp.Or(cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Route, y.Route), compareClaims(x, y))
}

// compareClaims is the claim order: priority descending, created_at, id.
func compareClaims(x, y store.ReadyEntry) int {
	return cmp.Or(cmp.Compare(y.Priority, x.Priority), cmp.Compare(x.CreatedAt, y.CreatedAt), x.ExecutionID.Compare(y.ExecutionID))
}

func compareDue(x, y store.DueEntry) int {
	return cmp.Or(cmp.Compare(x.DueAt, y.DueAt), x.ExecutionID.Compare(y.ExecutionID))
}

func compareRetain(x, y store.RetainEntry) int {
	return cmp.Or(cmp.Compare(x.RetainUntil, y.RetainUntil), x.ExecutionID.Compare(y.ExecutionID))
}

func compareCreated(x, y store.ListCursor) int {
	return cmp.Or(cmp.Compare(y.CreatedAt, x.CreatedAt), y.ExecutionID.Compare(x.ExecutionID))
}

// compareIDs is the order of ids within their partitions.
func compareIDs(x, y flowfabric.ExecutionID) int {
	return cmp.Or(cmp.Compare(x.Partition().Index, y.Partition().Index), x.Compare(y))
}

func compareLeases(x, y store.LeaseCursor) int {
	return cmp.Or(cmp.Compare(x.ExpiresAt, y.ExpiresAt), x.ExecutionID.Compare(y.ExecutionID))
}

// write follows changes of executions. An After of nil is a removal.
func (ix *indexes) write(changes []store.Change[record.Execution]) {
	moved := store.IndexesOf(changes)
	move(ix.ready, moved.ReadyRemove, moved.ReadyAdd)
	move(ix.due, moved.DueRemove, moved.DueAdd)
	move(ix.retain, moved.RetainRemove, moved.RetainAdd)
	for _, slot := range moved.SlotRemove {
		ix.freeSlot(slot)
	}
	for _, slot := range moved.SlotAdd {
		ix.takeSlot(slot)
	}
	for _, c := range changes {
		ix.writeCatalog(c.Before, c.After)
	}
}

func move[E any](tree *btree.BTreeG[E], remove, add []E) {
	for _, entry := range remove {
		tree.Delete(entry)
	}
	for _, entry := range add {
		tree.ReplaceOrInsert(entry)
	}
}

func (ix *indexes) takeSlot(slot store.SlotEntry) {
	of := ix.slots[slot.Lane]
	if of == nil {
		of = make(map[flowfabric.ExecutionID]struct{})
		ix.slots[slot.Lane] = of
	}
	of[slot.ExecutionID] = struct{}{}
}

func (ix *indexes) freeSlot(slot store.SlotEntry) {
	of := ix.slots[slot.Lane]
	if delete(of, slot.ExecutionID); len(of) == 0 {
		delete(ix.slots, slot.Lane)
	}
}

// writeCatalog keeps what lists and counts ask for. Both records may be nil.
func (ix *indexes) writeCatalog(before, after *record.Execution) {
	switch {
	case before == nil:
		ix.created.ReplaceOrInsert(createdEntry(after))
		ix.ids.ReplaceOrInsert(after.ID)
	case after == nil:
		ix.created.Delete(createdEntry(before))
		ix.ids.Delete(before.ID)
	}
	had, has := leaseEntry(before), leaseEntry(after)
	if had != has {
		if had != (store.LeaseCursor{}) {
			ix.leases.Delete(had)
		}
		if has != (store.LeaseCursor{}) {
			ix.leases.ReplaceOrInsert(has)
		}
	}
	ix.count(before, -1)
	ix.count(after, 1)
}

func (ix *indexes) count(e *record.Execution, by int) {
	if e == nil {
		return
	}
	n := ix.lanes[e.Lane]
	switch {
	case isActive(e):
		n.active += by
	case e.State.Eligibility == flowfabric.NotEligibleUntilTime:
		n.delayed += by
	default:
		return
	}
	if n == (laneCounts{}) {
		delete(ix.lanes, e.Lane)
		return
	}
	ix.lanes[e.Lane] = n
}

func createdEntry(e *record.Execution) store.ListCursor {
	return store.ListCursor{CreatedAt: e.CreatedAt, ExecutionID: e.ID}
}

// leaseEntry is the zero entry for an execution that is absent or not active.
func leaseEntry(e *record.Execution) store.LeaseCursor {
	if e == nil || !isActive(e) {
		return store.LeaseCursor{}
	}
	return store.LeaseCursor{ExpiresAt: e.LeaseExpiresAt, ExecutionID: e.ID}
}

// isActive reports whether an execution is leased, or its lease has expired and it was not claimed since.
func isActive(e *record.Execution) bool {
	return e.State.Ownership == flowfabric.Leased || e.State.Ownership == flowfabric.LeaseExpiredReclaimable
}
