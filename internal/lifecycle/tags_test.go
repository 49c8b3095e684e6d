package lifecycle

import (
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestSetTags_AddsAndOverwrites(t *testing.T) {
	for _, state := range []string{
		"active leased not_applicable none none running_attempt", "terminal unowned not_applicable none success attempt_terminal",
	} {
		e := inState(t, state)
		e.Tags = map[string]string{"a.a": "1", "a.b": "2"}
		ch, err := SetTags(e, &ff.SetTags{Tags: map[string]string{"a.b": "3", "a.c": "4"}}, t0+9_000)
		noError(t, err)
		equal(t, state, ch.Execution, changed(e, func(n *record.Execution) {
			n.Tags, n.LastMutationAt = map[string]string{"a.a": "1", "a.b": "3", "a.c": "4"}, t0+9_000
		}))
		equal(t, "events", len(ch.Events), 0)
		again, err := SetTags(ch.Execution, &ff.SetTags{Tags: map[string]string{"a.c": "4"}}, t0+9_001)
		noError(t, err)
		equal(t, "repeated", again, Change{})
	}
}
