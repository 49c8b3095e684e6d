package record

import "github.com/flowfabric/flowfabric"

// EventCursorKey names a reader of events.
type EventCursorKey struct {
	Home flowfabric.Partition
	Name string
}

// Family implements [Key].
func (EventCursorKey) Family() Family { return EventCursors }

// Partition implements [Key].
func (k EventCursorKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k EventCursorKey) Parts() []string { return []string{k.Name} }

// EventCursor is where a reader of events goes on (ff_event_cursor).
type EventCursor struct {
	EventCursorKey
	Version   int64
	Family    flowfabric.EventFamily
	Cursor    flowfabric.EventCursor
	UpdatedAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (c *EventCursor) Key() Key { return c.EventCursorKey }

// VersionField implements [Keyed].
func (c *EventCursor) VersionField() *int64 { return &c.Version }

// DueTime implements [Keyed].
func (c *EventCursor) DueTime() flowfabric.Timestamp { return 0 }
