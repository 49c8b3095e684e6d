package ops

import (
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

const (
	eventCursorVersion = 1
	eventCursorHead    = 4 // store, version, family, number of shards
	eventPlaceBytes    = 8
	// maxEventShards is how many places a cursor can hold.
	maxEventShards = 255
)

// eventFamilies gives each family its byte, its index plus one. Append only: cursors outlive releases.
var eventFamilies = []ff.EventFamily{ff.EventsLease, ff.EventsCompletion, ff.EventsSignal, ff.EventsOperator}

// eventText keeps the order of bytes, which base64 does not (J14).
var eventText = base32.HexEncoding.WithPadding(base32.NoPadding)

// newEventCursor writes the place in the log of each shard, 1 to 255 of them, in a known family.
func newEventCursor(kind store.Kind, family ff.EventFamily, at []uint64) ff.EventCursor {
	b := []byte{byte(kind), eventCursorVersion, byte(slices.Index(eventFamilies, family) + 1), byte(len(at))}
	for _, place := range at {
		b = binary.BigEndian.AppendUint64(b, place)
	}
	return ff.EventCursor(eventText.EncodeToString(b))
}

// readEventCursor gives the places of a cursor of this kind of store, family and number of shards. Any other text fails with
// [ff.ErrInvalidInput].
func readEventCursor(c ff.EventCursor, kind store.Kind, family ff.EventFamily, shards int) ([]uint64, error) {
	refuse := func(problem string) error {
		return &ff.Error{Code: ff.CodeInvalidInput, Detail: "stream_subscribe: " + problem, Attrs: map[string]string{"field": "after"}}
	}
	const most = (eventCursorHead+maxEventShards*eventPlaceBytes)*8/5 + 1
	if len(c) > most || strings.ContainsAny(string(c), "\r\n") {
		return nil, refuse("this is no cursor of events")
	}
	b, err := eventText.DecodeString(string(c))
	// Unused bits of the last letter are ignored by the decoder; one place has one text.
	if err != nil || len(b) < eventCursorHead || eventText.EncodeToString(b) != string(c) {
		return nil, refuse("this is no cursor of events")
	}
	switch {
	case b[0] != byte(kind):
		return nil, refuse("cursor does not belong to the " + kind.String() + " backend")
	case b[1] != eventCursorVersion:
		return nil, refuse("the cursor has a version this release does not know")
	case int(b[2]) != slices.Index(eventFamilies, family)+1:
		return nil, refuse("the cursor does not belong to the family " + string(family))
	case int(b[3]) != shards || len(b) != eventCursorHead+shards*eventPlaceBytes:
		return nil, refuse("the cursor was made with another number of shards")
	}
	at := make([]uint64, shards)
	for i := range at {
		at[i] = binary.BigEndian.Uint64(b[eventCursorHead+i*eventPlaceBytes:])
	}
	return at, nil
}
