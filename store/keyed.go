package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric/store/record"
)

// keyedRecords are the records of keyed families in a batch.
type keyedRecords struct {
	known      map[record.Key]*keyedEntry
	registered map[record.Key]record.Keyed // to write unless there is one; none is in known
	guards     map[record.Key]struct{}
}

// keyedEntry is a record of a keyed family: as it was stored, and as it is now. A nil interface is none.
type keyedEntry struct {
	stored, current record.Keyed
	assumed         bool // stored is a belief
	relied          bool // a unit was decided on the belief, and guards it
}

// doubtful reports whether what a reader finds is a belief that no write of the batch will check.
func (e *keyedEntry) doubtful() bool { return e.assumed && e.current == e.stored }

func newKeyedRecords() keyedRecords {
	return keyedRecords{
		known:      make(map[record.Key]*keyedEntry),
		registered: make(map[record.Key]record.Keyed),
		guards:     make(map[record.Key]struct{}),
	}
}

// AddRecord adds a loaded record of a keyed family; r is a nil interface when there is none. What the batch already holds
// stays.
func (b *Batch) AddRecord(key record.Key, r record.Keyed) {
	k := &b.keyed
	if ent, ok := k.known[key]; ok {
		if ent.doubtful() && !ent.relied { // else the guard will find out
			*ent = keyedEntry{stored: r, current: r} // what was read replaces what was believed
		}
		return
	}
	ent := &keyedEntry{stored: r, current: r}
	if r == nil {
		ent.current = k.registered[key] // by an earlier unit of the batch; from now on its insert is guarded
	}
	delete(k.registered, key)
	k.known[key] = ent
}

// believe takes those of keys that are believed to be absent for read, and returns the others.
func (k *keyedRecords) believe(keys []record.Key, absent func(record.Key) bool) (unread []record.Key) {
	for _, key := range keys {
		switch {
		case !absent(key):
			unread = append(unread, key)
		case k.known[key] == nil:
			k.known[key] = &keyedEntry{current: k.registered[key], assumed: k.registered[key] == nil}
			delete(k.registered, key)
		}
	}
	return unread
}

// Holds reports whether the batch has read a record of a keyed family, or its absence, so that it need not be loaded again.
func (b *Batch) Holds(key record.Key) bool {
	ent := b.keyed.known[key]
	return ent != nil && !ent.doubtful()
}

// trust takes those of keys that something is believed of for read, and returns the others.
func (k *keyedRecords) trust(keys []record.Key, beliefs *Beliefs) (unread []record.Key) {
	for _, key := range keys {
		if k.known[key] != nil {
			continue
		}
		if r, ok := beliefs.lookup(key); ok && k.registered[key] == nil {
			k.known[key] = &keyedEntry{stored: r, current: r, assumed: true}
		} else {
			unread = append(unread, key)
		}
	}
	return unread
}

// AddDueRecords adds the ordered answer to the load's next DueRecordsQuery.
func (b *Batch) AddDueRecords(l *Load, list []record.Keyed) {
	keys := make([]record.Key, len(list))
	for i, r := range list {
		keys[i] = r.Key()
		b.AddRecord(keys[i], r)
	}
	l.unit.dueRecords = append(l.unit.dueRecords, keys)
}

// Get returns a record of a keyed family named in the unit's Reads, nil when there is none. It panics when key was not
// read.
func Get[R record.Keyed](tx *Tx, key record.Key) R {
	r, _ := tx.Record(key).(R)
	return r
}

// Record is [Get] for a record of any family: a nil interface when there is none.
func (tx *Tx) Record(key record.Key) record.Keyed {
	if r, ok := tx.unit.keyed[key]; ok {
		return r
	}
	ent, ok := tx.batch.keyed.known[key]
	if !ok {
		panic(fmt.Sprintf("store: record %v was not named in Reads", key))
	}
	if ent.doubtful() {
		tx.unit.believed = append(tx.unit.believed, key)
	}
	return ent.current
}

// DueRecords returns the answer to the unit's i-th DueRecordsQuery. A record may have been changed by an earlier unit of
// the batch, or be gone; one that is gone is left out.
func (tx *Tx) DueRecords(i int) []record.Keyed {
	var out []record.Keyed
	for _, key := range tx.unit.dueRecords[i] {
		if r := tx.Record(key); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// Put writes a record of a keyed family over the version it was made from. Its key must have been read.
func (tx *Tx) Put(r record.Keyed) { tx.unit.putKeyed(r.Key(), r) }

// Delete removes a record of a keyed family. Its key must have been read.
func (tx *Tx) Delete(key record.Key) { tx.unit.putKeyed(key, nil) }

// Register writes a record of a keyed family unless there is one with its key; then that stays as it is. It need not
// have been read, and then it is not seen by readers of the unit, and the commit does not tell which of the two it was.
func (tx *Tx) Register(r record.Keyed) {
	key := r.Key()
	_, written := tx.unit.keyed[key]
	_, known := tx.batch.keyed.known[key]
	switch {
	case !written && !known:
		tx.unit.registered = append(tx.unit.registered, r)
	case tx.Record(key) == nil:
		tx.Put(r)
	}
}

// Guard makes the commit depend on a record of a keyed family that was read: it fails with [ErrConflict], and the batch
// runs again, if the record has changed since, and the record cannot change between the check and the commit. What the
// unit decided is thus what whoever changes the record next finds done. A record that is absent is not guarded.
func (tx *Tx) Guard(key record.Key) { tx.unit.guards = append(tx.unit.guards, key) }

func (st *unitState) putKeyed(key record.Key, r record.Keyed) {
	if st.keyed == nil {
		st.keyed = make(map[record.Key]record.Keyed)
	}
	st.keyed[key] = r
	if e, ok := r.(*record.Edge); ok {
		st.edges.note(e)
	}
}

// merge makes what a unit wrote visible to the later ones.
func (k *keyedRecords) merge(st *unitState) {
	for key, r := range st.keyed {
		ent, ok := k.known[key]
		if !ok {
			ent = &keyedEntry{}
			k.known[key] = ent
		}
		ent.current = r
	}
	for _, r := range st.registered {
		key := r.Key()
		if k.known[key] == nil && k.registered[key] == nil {
			k.registered[key] = r
		}
	}
	for _, key := range st.guards {
		k.guards[key] = struct{}{}
	}
}

// changes collects what was written, in order of key, and numbers the new versions.
func (k *keyedRecords) changes() []RecordChange {
	var out []RecordChange
	for _, ent := range k.known {
		if ent.current == ent.stored {
			continue
		}
		if ent.current != nil {
			*ent.current.VersionField() = nextVersion(ent.current.Key().Family(), ent.stored)
		}
		out = append(out, RecordChange{Before: ent.stored, After: ent.current})
	}
	return sortedByKey(out, RecordChange.Key)
}

// insertions collects what is to be registered, in order of key.
func (k *keyedRecords) insertions() []record.Keyed {
	for key, r := range k.registered {
		*r.VersionField() = nextVersion(key.Family(), nil)
	}
	return sortedByKey(slices.Collect(maps.Values(k.registered)), record.Keyed.Key)
}

// guarded collects the records that must not have changed. One that the batch writes is guarded by that.
func (k *keyedRecords) guarded() []record.Keyed {
	var out []record.Keyed
	for key := range k.guards {
		if ent := k.known[key]; ent != nil && ent.stored != nil && ent.current == ent.stored {
			out = append(out, ent.stored)
		}
	}
	return sortedByKey(out, record.Keyed.Key)
}

// sortedByKey sorts as [record.CompareKeys] does, but makes the parts of each key only once: a flow may bring thousands.
func sortedByKey[T any](list []T, keyOf func(T) record.Key) []T {
	type keyed struct {
		family record.Family
		parts  []string
		home   uint16
		of     T
	}
	all := make([]keyed, len(list))
	for i, r := range list {
		key := keyOf(r)
		all[i] = keyed{key.Family(), key.Parts(), key.Partition().Index, r}
	}
	slices.SortFunc(all, func(x, y keyed) int {
		return cmp.Or(cmp.Compare(x.family, y.family), slices.Compare(x.parts, y.parts), cmp.Compare(x.home, y.home))
	})
	for i := range all {
		list[i] = all[i].of
	}
	return list
}
