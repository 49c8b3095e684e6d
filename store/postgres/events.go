package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
)

// horizon knows up to where the log can be read. Places are handed out while transactions run, so they become visible out
// of their order, and a reader that follows them alone would pass by those of a transaction that commits late.
//
// It takes notes. A note says that at some instant the last place was so and so, and names a transaction begun after it.
// Whoever begins later has a larger id and, as places are handed out after the id (see the default of ff_event.seq), larger
// places. So once every transaction of a smaller id than the note's has ended, all places up to the note's are settled:
// what is there is visible, and what is not there was rolled back. Places are in the order in which transactions saw each
// other's commits, which ids are not.
type horizon struct {
	turn    chan struct{} // holds the fields below while it is taken
	settled uint64        // the place of the latest note that has come true
	last    uint64        // the last place handed out, at the latest look
	notes   []note        // that have not come true, oldest first
}

type note struct {
	place uint64
	xid   uint64
}

// maxNotes bounds the notes; while an old transaction keeps all of them from coming true the newest takes the last's room.
const maxNotes = 64

func newHorizon() *horizon { return &horizon{turn: make(chan struct{}, 1)} }

var (
	lastPlace = newStatement(`SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ff_event_place`)
	ownXid    = newStatement(`SELECT pg_current_xact_id()::text::bigint`)
	oldestXid = newStatement(`SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint`)
)

// look moves the horizon on. It returns up to where the log can be read; the last place handed out; and the place behind
// which events are of now or later. That is the end, but while nothing is settled, which takes until the transactions have
// ended that ran when the store was opened, it is the place of the first note.
func (h *horizon) look(ctx context.Context, st *Store) (end, last, now uint64, err error) {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, 0, 0, classify("wait for the end of the log", ctx.Err(), notSent)
	}
	defer func() { <-h.turn }()
	if err := h.ask(ctx, st, false); err != nil {
		return 0, 0, 0, err
	}
	if h.last != h.settled || len(h.notes) > 0 {
		if err := h.ask(ctx, st, true); err != nil {
			return 0, 0, 0, err
		}
	}
	if h.settled == 0 && len(h.notes) > 0 {
		return 0, h.last, h.notes[0].place, nil
	}
	return h.settled, h.last, h.settled, nil
}

// ask reads the last place; with a note, which takes a transaction id, it takes one and finds out which have come true.
func (h *horizon) ask(ctx context.Context, st *Store, noting bool) error {
	s := &session{st: st}
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	var own, oldest uint64
	s.sendBegin(t, beginStatement, false) // each statement sees what was committed before it
	t.send(lastPlace, nil, placeInto(&h.last))
	if noting {
		t.send(ownXid, nil, placeInto(&own))
		t.send(oldestXid, nil, placeInto(&oldest))
	}
	t.send(commitStatement, nil, nil)
	if err := t.run(); err != nil {
		return classify("look for the end of the log", err, notSent)
	}
	s.open = false
	if noting {
		h.take(note{place: h.last, xid: own}, oldest)
	}
	return nil
}

// take adds a note and settles what has come true: oldest is the smallest id of a transaction that runs.
func (h *horizon) take(n note, oldest uint64) {
	if len(h.notes) == maxNotes {
		h.notes = h.notes[:maxNotes-1]
	}
	h.notes = append(h.notes, n)
	for len(h.notes) > 0 && h.notes[0].xid <= oldest {
		h.settled = h.notes[0].place
		h.notes = slices.Delete(h.notes, 0, 1)
	}
}

// Parameters: the place to go on behind, the last that can be read, and how many to look at, from the first that is filled;
// further, the families, joined by commas, and how many events to return.
var (
	scanTo = `least($2::bigint, (SELECT f.seq FROM ff_event f WHERE f.seq > $1::bigint ORDER BY f.seq LIMIT 1) + $3::bigint - 1)`

	scannedEvents = newStatement(`SELECT ` + scanTo)
	readEvents    = newStatement(`SELECT ` + sqlstore.LoggedEvents.Names("") + ` FROM ff_event
	WHERE seq > $1::bigint AND seq <= ` + scanTo + ` AND family = ANY (string_to_array($4::text, ',')) ORDER BY seq LIMIT $5::bigint`)

	goneEvents = newStatement(`SELECT coalesce(max(seq), 0) FROM ff_event_gone WHERE family = ANY (string_to_array($1::text, ','))`)
)

// Events implements [store.Catalog]. What transactions that began before an event have still to write may come before it, so
// it can be read when they have ended: a transaction that stays open, in whatever database of the server, holds it back.
func (st *Store) Events(ctx context.Context, q store.EventQuery) (store.EventPage, error) {
	page := store.EventPage{Next: q.After}
	end, last, _, err := st.lookForEvents(ctx)
	if err != nil {
		return page, err
	}
	page.Last = last
	families := make([]string, len(q.Families))
	for i, f := range q.Families {
		families[i] = string(f)
	}
	joined := []byte(strings.Join(families, ","))
	err = st.inquire(ctx, "read events", func(t *trip) {
		t.send(goneEvents, [][]byte{joined}, placeInto(&page.Gone))
		if end <= q.After {
			return
		}
		var sc scanner
		bounds := [][]byte{int64Param(int64(q.After)), int64Param(int64(end)), int64Param(int64(q.Scan))}
		t.send(scannedEvents, bounds, placeInto(&page.Next))
		t.send(readEvents, append(bounds, joined, int64Param(int64(q.Limit))), func(values [][]byte) error {
			page.Events = append(page.Events, *scan(&sc, &sqlstore.LoggedEvents, values))
			return nil
		})
	})
	if err != nil || end <= q.After {
		return page, err
	}
	if len(page.Events) == q.Limit {
		page.Next = page.Events[q.Limit-1].Place
	}
	page.More = page.Next < end
	return page, nil
}

// EventEnds implements [store.Catalog].
func (st *Store) EventEnds(ctx context.Context) ([]store.EventEnd, error) {
	end, _, now, err := st.lookForEvents(ctx)
	if err != nil {
		return nil, err
	}
	return []store.EventEnd{{Readable: end, Now: now}}, nil
}

func (st *Store) lookForEvents(ctx context.Context) (end, last, now uint64, err error) {
	if err := st.enter(); err != nil {
		return 0, 0, 0, err
	}
	defer st.running.RUnlock()
	return st.horizon.look(ctx, st)
}

// placeInto reads a number.
func placeInto(n *uint64) func(values [][]byte) error {
	return func(values [][]byte) error {
		*n = uint64(intOf(values[0]))
		return nil
	}
}
