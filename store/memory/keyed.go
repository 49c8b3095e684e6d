package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/btree"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyedRecords are the records of keyed families on one shard.
type keyedRecords struct {
	byKey map[record.Key]record.Keyed
	order *btree.BTreeG[record.Key] // of all families
	due   *btree.BTreeG[dueRecord]  // of all families
}

// dueRecord is an entry of the index of due times.
type dueRecord struct {
	at  flowfabric.Timestamp
	key record.Key
}

func newKeyedRecords() keyedRecords {
	return keyedRecords{
		byKey: make(map[record.Key]record.Keyed),
		order: newTree(record.CompareKeys),
		due:   newTree(compareDueRecords),
	}
}

// compareDueRecords orders by family first: queries are for one.
func compareDueRecords(x, y dueRecord) int {
	if x.key.Family() != y.key.Family() {
		return cmp.Compare(x.key.Family(), y.key.Family())
	}
	return cmp.Or(cmp.Compare(x.at, y.at), record.CompareKeys(x.key, y.key))
}

// check fails with [store.ErrConflict] when a record is not in the version its change was made from, or that it was
// guarded in.
func (k *keyedRecords) check(ch *store.Changes) error {
	for _, c := range ch.Records {
		if !sameVersion(k.byKey[c.Key()], c.Before) {
			return fmt.Errorf("%s %q was changed: %w", c.Key().Family(), c.Key().Parts(), store.ErrConflict)
		}
	}
	for _, r := range ch.Guarded {
		if !sameVersion(k.byKey[r.Key()], r) {
			return fmt.Errorf("%s %q was changed: %w", r.Key().Family(), r.Key().Parts(), store.ErrConflict)
		}
	}
	return nil
}

func sameVersion(x, y record.Keyed) bool {
	if x == nil || y == nil {
		return x == nil && y == nil
	}
	return *x.VersionField() == *y.VersionField()
}

func (k *keyedRecords) write(ch *store.Changes, g *graphs) {
	for _, c := range ch.Records {
		k.put(c.Key(), c.After)
		g.note(c.Before, c.After)
	}
	for _, r := range ch.Registered {
		if key := r.Key(); k.byKey[key] == nil {
			k.put(key, r)
		}
	}
}

// put writes a record, or removes it when r is nil.
func (k *keyedRecords) put(key record.Key, r record.Keyed) {
	before := k.byKey[key]
	if before != nil && before.DueTime() != 0 {
		k.due.Delete(dueRecord{before.DueTime(), key})
	}
	if r == nil {
		delete(k.byKey, key)
		k.order.Delete(key)
		return
	}
	k.byKey[key] = r
	if before == nil {
		k.order.ReplaceOrInsert(key)
	}
	if at := r.DueTime(); at != 0 {
		k.due.ReplaceOrInsert(dueRecord{at, key})
	}
}

// forget removes the records that belong to an execution.
func (k *keyedRecords) forget(id flowfabric.ExecutionID) {
	var gone []record.Key
	for _, family := range record.OfExecution {
		first := ofExecution{family, id}
		k.order.AscendGreaterOrEqual(first, func(key record.Key) bool {
			belongs := key.Family() == family && slices.Equal(key.Parts()[:2], first.Parts())
			if belongs {
				gone = append(gone, key)
			}
			return belongs
		})
	}
	for _, key := range gone {
		k.put(key, nil)
	}
}

// ofExecution is before all keys of a family that belong to an execution.
type ofExecution struct {
	family record.Family
	id     flowfabric.ExecutionID
}

// Family implements [record.Key].
func (f ofExecution) Family() record.Family { return f.family }

// Partition implements [record.Key].
func (ofExecution) Partition() flowfabric.Partition { return flowfabric.Partition{} }

// Parts implements [record.Key].
func (f ofExecution) Parts() []string { return record.SuspensionKey{ExecutionID: f.id}.Parts() }

// earliestDue returns the earliest due time, 0 for none.
func (k *keyedRecords) earliestDue() flowfabric.Timestamp {
	var earliest flowfabric.Timestamp
	for _, family := range record.Families {
		k.due.AscendGreaterOrEqual(dueRecord{key: firstOf(family)}, func(entry dueRecord) bool {
			if entry.key.Family() == family && (earliest == 0 || entry.at < earliest) {
				earliest = entry.at
			}
			return false
		})
	}
	return earliest
}

// dueRecords answers q: the first records of the family up to now that are left.
func (s *session) dueRecords(q store.DueRecordsQuery, peek bool) []record.Keyed {
	var found []dueRecord
	for _, sh := range s.held {
		left := q.Limit
		sh.keyed.due.AscendGreaterOrEqual(dueRecord{key: firstOf(q.Family)}, func(entry dueRecord) bool {
			if left == 0 || entry.key.Family() != q.Family || entry.at > s.now {
				return false
			}
			if _, taken := s.takenRecords[entry.key]; !taken {
				found = append(found, entry)
				left--
			}
			return true
		})
	}
	slices.SortFunc(found, compareDueRecords)
	found = found[:min(q.Limit, len(found))]
	out := make([]record.Keyed, len(found))
	for i, entry := range found {
		out[i] = s.record(entry.key)
		if !peek {
			s.takeRecord(entry.key)
		}
	}
	return out
}

// record returns the record of an index entry.
func (s *session) record(key record.Key) record.Keyed {
	return s.held[s.store.Shard(key.Partition())-s.first].keyed.byKey[key]
}

func (s *session) takeRecord(key record.Key) {
	if s.takenRecords == nil {
		s.takenRecords = make(map[record.Key]struct{})
	}
	s.takenRecords[key] = struct{}{}
}

// firstOf is before all keys of a family.
type firstOf record.Family

// Family implements [record.Key].
func (f firstOf) Family() record.Family { return record.Family(f) }

// Partition implements [record.Key].
func (firstOf) Partition() flowfabric.Partition { return flowfabric.Partition{} }

// Parts implements [record.Key].
func (firstOf) Parts() []string { return nil }

// CountSignedBy implements [store.Catalog].
func (s *Store) CountSignedBy(ctx context.Context, kid string, most int) (n int, err error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return 0, err
	}
	defer ses.Close()
	for _, sh := range ses.held {
		sh.keyed.order.AscendGreaterOrEqual(firstOf(record.Waitpoints), func(key record.Key) bool {
			w, ok := sh.keyed.byKey[key].(*record.Waitpoint)
			if ok && w.Open() {
				if signedBy, _ := w.Token.Fingerprint(); signedBy == kid {
					n++
				}
			}
			return ok && n < most
		})
	}
	return min(n, most), nil
}
