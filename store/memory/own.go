package memory

import (
	"bytes"
	"maps"

	"github.com/flowfabric/flowfabric/store/record"
)

// own returns e with bytes and tags of its own, e itself when it has none. What an engine hands to its callers is then
// not what the store keeps, as with stores that write to disk.
func own(e *record.Execution) *record.Execution {
	if e == nil || e.Payload == nil && e.Result == nil && e.ProgressDetails == nil && e.Tags == nil {
		return e
	}
	n := *e
	n.Payload, n.Result, n.ProgressDetails = bytes.Clone(e.Payload), bytes.Clone(e.Result), bytes.Clone(e.ProgressDetails)
	n.Tags = maps.Clone(e.Tags)
	return &n
}
