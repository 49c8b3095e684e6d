package lifecycle

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// RevokeDead takes the lease cmd names from a holder that is dead (chapter 10, section 3.22). It does what [RevokeLease]
// does, but no operator had a part in it.
func RevokeDead(e *record.Execution, att *record.Attempt, cmd *ff.RevokeLease, now ff.Timestamp) (Change, error) {
	ch, _, err := RevokeLease(e, att, cmd, now)
	if err != nil || ch.Execution == nil {
		return Change{}, err
	}
	ch.Execution.LastOperatorAt = e.LastOperatorAt
	ch.Events = slices.DeleteFunc(ch.Events, func(ev record.Event) bool { return ev.Family == record.FamilyOperator })
	return ch, nil
}
