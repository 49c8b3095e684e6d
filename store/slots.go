package store

import (
	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// slotCounts are how many slots of lanes are taken, as a batch sees them.
type slotCounts struct {
	stored  map[flowfabric.LaneID]int
	changed map[flowfabric.LaneID]int // by what the batch has written so far
}

// AddSlots adds how many slots of a lane are taken, as stored.
func (b *Batch) AddSlots(lane flowfabric.LaneID, n int) {
	if b.slots.stored == nil {
		b.slots.stored = make(map[flowfabric.LaneID]int)
	}
	if _, ok := b.slots.stored[lane]; !ok {
		b.slots.stored[lane] = n
	}
}

// count accounts for an execution that is written over before.
func (s *slotCounts) count(before, after *record.Execution) {
	had, has := slotEntry(before), slotEntry(after)
	if had == has {
		return
	}
	if s.changed == nil {
		s.changed = make(map[flowfabric.LaneID]int)
	}
	if had != (SlotEntry{}) {
		s.changed[had.Lane]--
	}
	if has != (SlotEntry{}) {
		s.changed[has.Lane]++
	}
}

// Slots returns how many slots of a lane named in the unit's Reads are taken on the shard. Slots that earlier units of
// the batch take or free are counted; the unit's own are not. It panics when the lane's slots were not read.
//
// Nothing guards the number: a unit that takes slots up to a bound also writes, or guards, a record that whoever takes
// slots of the lane writes.
func (tx *Tx) Slots(lane flowfabric.LaneID) int {
	n, ok := tx.batch.slots.stored[lane]
	if !ok {
		panic("store: slots of lane " + string(lane) + " were not named in Reads")
	}
	return n + tx.batch.slots.changed[lane]
}

// HasSlots reports whether the slots of a lane were read, so that Decide knows whether to ask for them with Need.
func (tx *Tx) HasSlots(lane flowfabric.LaneID) bool {
	_, ok := tx.batch.slots.stored[lane]
	return ok
}
