package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// eventLog is the log of a shard. The place of an event is its number, from 1.
type eventLog struct {
	batches [][]record.Event // of one commit after the other, without those that were removed
	gone    uint64           // how many were removed, all at the front
	last    uint64           // how many there ever were
	lost    map[record.EventFamily]uint64
}

func (l *eventLog) append(events []record.Event) {
	if len(events) == 0 {
		return
	}
	own := slices.Clone(events)
	for i := range own {
		l.last++
		own[i].Place = l.last
	}
	l.batches = append(l.batches, own)
}

// all are the events as they were written.
func (l *eventLog) all() []record.Event {
	list := slices.Concat(l.batches...)
	for i := range list {
		list[i].Place = 0
	}
	return list
}

// trim removes events from the front.
func (l *eventLog) trim(t *store.Trim, limit int) (removed int) {
	whole := 0
	for i, batch := range l.batches {
		n := 0
		for n < len(batch) && removed < limit && (batch[n].At <= t.EventsBefore || t.EventsKept > 0 && l.last-l.gone > t.EventsKept) {
			if l.lost == nil {
				l.lost = make(map[record.EventFamily]uint64)
			}
			l.lost[batch[n].Family] = batch[n].Place
			l.gone++
			removed++
			n++
		}
		if n < len(batch) {
			if n > 0 {
				l.batches[i] = slices.Clone(batch[n:])
			}
			break
		}
		whole++
	}
	l.batches = slices.Delete(l.batches, 0, whole)
	return removed
}

func (l *eventLog) read(q *store.EventQuery) store.EventPage {
	page := store.EventPage{Next: q.After, Last: l.last}
	for _, family := range q.Families {
		page.Gone = max(page.Gone, l.lost[family])
	}
	if q.After >= l.last {
		return page
	}
	page.Next = min(l.last, max(q.After, l.gone)+uint64(q.Scan))
	first, _ := slices.BinarySearchFunc(l.batches, q.After, func(batch []record.Event, after uint64) int {
		return cmp.Compare(batch[len(batch)-1].Place, after+1)
	})
	for _, batch := range l.batches[first:] {
		for i := range batch {
			e := &batch[i]
			if e.Place > page.Next || len(page.Events) == q.Limit {
				break
			}
			if e.Place > q.After && slices.Contains(q.Families, e.Family) {
				page.Events = append(page.Events, *e)
			}
		}
	}
	if len(page.Events) == q.Limit {
		page.Next = page.Events[q.Limit-1].Place
	}
	page.More = page.Next < l.last
	return page
}

// Events implements [store.Catalog].
func (s *Store) Events(ctx context.Context, q store.EventQuery) (store.EventPage, error) {
	ses, err := s.begin(ctx, q.Shard, q.Shard+1)
	if err != nil {
		return store.EventPage{}, err
	}
	defer ses.Close()
	return s.shards[q.Shard].log.read(&q), nil
}

// EventEnds implements [store.Catalog].
func (s *Store) EventEnds(ctx context.Context) ([]store.EventEnd, error) {
	ses, err := s.begin(ctx, 0, len(s.shards))
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	ends := make([]store.EventEnd, len(s.shards))
	for i, sh := range s.shards {
		ends[i] = store.EventEnd{Readable: sh.log.last, Now: sh.log.last}
	}
	return ends, nil
}
