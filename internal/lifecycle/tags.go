package lifecycle

import (
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// SetTags adds tags, or overwrites them (chapter 10, section 3.20). It writes nothing if they are there already, or if
// there would be too many.
func SetTags(e *record.Execution, cmd *ff.SetTags, now ff.Timestamp) (Change, error) {
	merged := make(map[string]string, len(e.Tags)+len(cmd.Tags))
	maps.Copy(merged, e.Tags)
	maps.Copy(merged, cmd.Tags)
	if maps.Equal(merged, e.Tags) {
		return Change{}, nil
	}
	if err := ff.ValidateTags(merged); err != nil {
		return Change{}, err
	}
	n := *e
	n.Tags, n.LastMutationAt = merged, now
	settle(&n, now)
	return Change{Execution: &n}, nil
}
