package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// eventCursors is ff_event_cursor.
var eventCursors = Table[record.EventCursor]{Name: "ff_event_cursor", Keys: 1, Columns: slices.Concat(
	fixed(
		text("name", func(c *record.EventCursor) *string { return &c.Name }),
		home(func(c *record.EventCursor) *flowfabric.Partition { return &c.Home }),
	),
	[]Column[record.EventCursor]{
		integer("version", Int64, func(c *record.EventCursor) *int64 { return &c.Version }),
		text("family", func(c *record.EventCursor) *flowfabric.EventFamily { return &c.Family }),
		text("cursor", func(c *record.EventCursor) *flowfabric.EventCursor { return &c.Cursor }),
		integer("updated_at_ms", Int64, func(c *record.EventCursor) *flowfabric.Timestamp { return &c.UpdatedAt }),
	},
)}
