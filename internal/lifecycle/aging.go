package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// aging is what waiting has added to the place of e in the claim order, and when it will add more, 0 for never (W35). It
// adds nothing unless e is ready, and nothing beyond the highest priority.
func aging(e *record.Execution, now ff.Timestamp) (boost int, next ff.Timestamp) {
	if !e.Ready || e.Policy == nil || e.Policy.Aging == nil {
		return 0, 0
	}
	a, room := e.Policy.Aging, ff.MaxPriority-e.Priority
	since := max(e.LastTransitionAt, e.LeaseExpiresAt) // one whose worker was lost has waited since its lease ran out
	steps := max(int64(now-since), 0) / a.EveryMS
	if most := (room + a.Step - 1) / a.Step; steps >= int64(most) {
		return room, 0
	}
	return int(steps) * a.Step, since + ff.Timestamp((steps+1)*a.EveryMS)
}
