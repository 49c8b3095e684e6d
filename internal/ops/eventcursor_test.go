package ops

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

func TestEventCursor_IsReadAsItWasWritten(t *testing.T) { // J14
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOfN(rapid.Uint64(), 1, 255).Draw(t, "at")
		c := newEventCursor(store.Memory, ff.EventsSignal, at)
		got, err := readEventCursor(c, store.Memory, ff.EventsSignal, len(at))
		if err != nil || !gocmp.Equal(got, at) {
			t.Fatalf("got %v, %v; want %v", got, err, at)
		}
	})
}

func TestEventCursor_OrdersAsPlacesDo(t *testing.T) { // J14
	rapid.Check(t, func(t *rapid.T) {
		x, y := rapid.Uint64().Draw(t, "x"), rapid.Uint64().Draw(t, "y")
		text := func(place uint64) ff.EventCursor {
			return newEventCursor(store.Postgres, ff.EventsLease, []uint64{place})
		}
		if got, want := cmp.Compare(text(x), text(y)), cmp.Compare(x, y); got != want {
			t.Fatalf("%v against %v: texts compare as %d, places as %d", x, y, got, want)
		}
	})
}

func TestEventCursor_ForeignIsRefused(t *testing.T) { // J14
	for name, c := range map[string]struct {
		cursor ff.EventCursor
		detail string
	}{
		"store":   {newEventCursor(store.SQLite, ff.EventsCompletion, []uint64{7}), "stream_subscribe: cursor does not belong to the Postgres backend"},
		"family":  {newEventCursor(store.Postgres, ff.EventsLease, []uint64{7}), "does not belong to the family completion"},
		"shards":  {newEventCursor(store.Postgres, ff.EventsCompletion, []uint64{7, 8}), "another number of shards"},
		"garbage": {"!", "no cursor of events"},
		"empty":   {"", "no cursor of events"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readEventCursor(c.cursor, store.Postgres, ff.EventsCompletion, 1)
			if !errors.Is(err, ff.ErrInvalidInput) || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("got %v, want invalid_input: %s", err, c.detail)
			}
		})
	}
}

func FuzzReadEventCursor(f *testing.F) {
	f.Add("")
	f.Add(string(newEventCursor(store.SQLite, ff.EventsOperator, []uint64{1})))
	f.Fuzz(func(t *testing.T, text string) {
		at, err := readEventCursor(ff.EventCursor(text), store.SQLite, ff.EventsOperator, 1)
		if err == nil && string(newEventCursor(store.SQLite, ff.EventsOperator, at)) != text {
			t.Errorf("%q is a second text of %v", text, at)
		}
	})
}
