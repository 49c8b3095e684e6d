package ops

import (
	"cmp"
	"context"
	"hash/fnv"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// readerKey names a reader. All readers live on one shard.
func (r Rules) readerKey(name string) record.EventCursorKey {
	return record.EventCursorKey{Home: r.home(ff.Partition{Family: ff.FamilyFlow}), Name: name}
}

func (r Rules) readerOp(op, name string, decide func(tx *store.Tx, key record.EventCursorKey) error) *Op {
	key := r.readerKey(name)
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	o := &Op{name: op}
	o.Partition, o.Order, o.Reads.Records = key.Home, h.Sum64(), []record.Key{key}
	o.Decide = func(tx *store.Tx) error { return decide(tx, key) }
	return o
}

// AckEvents keeps a cursor of st; out gets what is kept then.
func (r Rules) AckEvents(st store.Store, cmd ff.AckEvents, out *ff.EventReader) (*Op, error) {
	const op = "ack events"
	shards := len(st.Shards())
	if err := firstError(ff.ValidateName("name", cmd.Name), checkEventFamily(cmd.Family)); err != nil {
		return nil, named(op, err)
	}
	at, err := readEventCursor(cmd.Cursor, st.Kind(), cmd.Family, shards)
	if err != nil {
		return nil, named(op, err)
	}
	return r.readerOp(op, cmd.Name, func(tx *store.Tx, key record.EventCursorKey) error {
		n := &record.EventCursor{EventCursorKey: key, Family: cmd.Family, Cursor: cmd.Cursor, UpdatedAt: tx.Now()}
		old := store.Get[*record.EventCursor](tx, key)
		if old != nil {
			n.Version = old.Version
			if old.Family != cmd.Family {
				return invalid("name", "reads "+string(old.Family)+"; use another, or forget it first")
			}
			// One that cannot be read any more is of a store this was copied from, and worth nothing here.
			if kept, err := readEventCursor(old.Cursor, st.Kind(), cmd.Family, shards); err == nil && !cmd.Rewind {
				n.Cursor = newEventCursor(st.Kind(), cmd.Family, furthest(at, kept))
			}
		}
		if old == nil || old.Cursor != n.Cursor {
			tx.Put(n)
			old = n
		}
		*out = readerOf(old)
		return nil
	}), nil
}

// furthest is the later of two places, shard by shard.
func furthest(x, y []uint64) []uint64 {
	n := make([]uint64, len(x))
	for i := range n {
		n[i] = max(x[i], y[i])
	}
	return n
}

func readerOf(c *record.EventCursor) ff.EventReader {
	return ff.EventReader{Name: c.Name, Family: c.Family, Cursor: c.Cursor, UpdatedAt: c.UpdatedAt}
}

// EventReader tells what is kept under a name.
func (r Rules) EventReader(ctx context.Context, st store.Store, name string) (ff.EventReader, error) {
	const op = "event reader"
	if err := ff.ValidateName("name", name); err != nil {
		return ff.EventReader{}, named(op, err)
	}
	key := r.readerKey(name)
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key}})
	if err != nil {
		return ff.EventReader{}, named(op, err)
	}
	if c := store.Get[*record.EventCursor](tx, key); c != nil {
		return readerOf(c), nil
	}
	return ff.EventReader{Name: name}, nil
}

// ListEventReaders lists what is kept.
func (r Rules) ListEventReaders(ctx context.Context, st store.Store, q ff.ListEventReaders) (ff.Page[ff.EventReader], error) {
	const op = "list event readers"
	var page ff.Page[ff.EventReader]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(checkLimit(limit), ff.ValidateText("after", q.After, ff.MaxNameBytes)); err != nil {
		return page, named(op, err)
	}
	found, err := st.Records(ctx, recordsPage(record.EventCursors, q.After != "", r.readerKey(q.After), limit))
	if err != nil {
		return page, named(op, err)
	}
	for _, rec := range found {
		page.Items = append(page.Items, readerOf(rec.(*record.EventCursor)))
	}
	if len(found) == limit {
		page.Next = page.Items[limit-1].Name
	}
	return page, nil
}

// ForgetEventReader removes what is kept under a name.
func (r Rules) ForgetEventReader(name string) (*Op, error) {
	const op = "forget event reader"
	if err := ff.ValidateName("name", name); err != nil {
		return nil, named(op, err)
	}
	return r.readerOp(op, name, func(tx *store.Tx, key record.EventCursorKey) error {
		if store.Get[*record.EventCursor](tx, key) != nil {
			tx.Delete(key)
		}
		return nil
	}), nil
}
