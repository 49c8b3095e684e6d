package sqlite

import (
	"context"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
)

// Writers take turns, so places are in the order of commits. The last one handed out outlives the event.
const (
	sqlLastPlace  = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'ff_event'), 0)"
	sqlScanTo     = "SELECT min(?, (SELECT seq FROM ff_event WHERE seq > ? ORDER BY seq LIMIT 1) + ? - 1)"
	sqlGoneEvents = "SELECT coalesce(max(seq), 0) FROM ff_event_gone WHERE instr(?, ',' || family || ',')"
)

var sqlEvents = selectBy(&sqlstore.LoggedEvents, "seq > ? AND seq <= ? AND instr(?, ',' || family || ',') ORDER BY seq LIMIT 0 + ?")

// Events implements [store.Catalog].
func (s *Store) Events(ctx context.Context, q store.EventQuery) (page store.EventPage, err error) {
	err = s.read(ctx, "read events", func(db *driver.Conn) error {
		page, err = events(db, &q)
		return err
	})
	return page, err
}

func events(db *driver.Conn, q *store.EventQuery) (store.EventPage, error) {
	page := store.EventPage{Next: q.After}
	var last, to, gone, found *statement
	if err := prepareAll(db, []toPrepare{{&last, sqlLastPlace}, {&to, sqlScanTo}, {&gone, sqlGoneEvents}, {&found, sqlEvents}}); err != nil {
		return page, err
	}
	var families strings.Builder
	families.WriteByte(',')
	for _, f := range q.Families {
		families.WriteString(string(f) + ",")
	}
	n, err := last.number()
	if err != nil {
		return page, err
	}
	page.Last = uint64(n)
	gone.Text(families.String())
	if n, err = gone.number(); err != nil {
		return page, err
	}
	page.Gone = uint64(n)
	if q.After >= page.Last {
		return page, nil
	}
	to.Int(int64(page.Last))
	to.Int(int64(q.After))
	to.Int(int64(q.Scan))
	if n, err = to.number(); err != nil {
		return page, err
	}
	if page.Next = uint64(n); n == 0 { // nothing is left behind it
		page.Next = page.Last
	}
	found.Int(int64(q.After))
	found.Int(int64(page.Next))
	found.Text(families.String())
	found.Int(int64(q.Limit))
	list, err := all(found, &sqlstore.LoggedEvents)
	if err != nil {
		return page, err
	}
	page.Events = values(list)
	if len(list) == q.Limit {
		page.Next = list[q.Limit-1].Place
	}
	page.More = page.Next < page.Last
	return page, nil
}

// EventEnds implements [store.Catalog].
func (s *Store) EventEnds(ctx context.Context) (ends []store.EventEnd, err error) {
	err = s.read(ctx, "look for the end of the log", func(db *driver.Conn) error {
		last, err := prepare(db, sqlLastPlace)
		if err != nil {
			return err
		}
		n, err := last.number()
		ends = []store.EventEnd{{Readable: uint64(n), Now: uint64(n)}}
		return err
	})
	return ends, err
}
