package lifecycle

import (
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// SetTags adds tags, or overwrites them (chapter 10, section 3.20). It writes nothing if they are there already, or if
// there would be too many.
func SetTags(e *record.Execution, cmd *ff.SetTags, now ff.Timestamp) (Change, error) {
	merged, changed, err := MergeTags(e.Tags, cmd.Tags)
	if err != nil || !changed {
		return Change{}, err
	}
	n := *e
	n.Tags, n.LastMutationAt = merged, now
	settle(&n, now)
	return Change{Execution: &n}, nil
}

// MergeTags returns the tags something has after more were set, and whether that is a change.
func MergeTags(tags, set map[string]string) (merged map[string]string, changed bool, err error) {
	merged = make(map[string]string, len(tags)+len(set))
	maps.Copy(merged, tags)
	maps.Copy(merged, set)
	if maps.Equal(merged, tags) {
		return tags, false, nil
	}
	return merged, true, ff.ValidateAnyTags(merged) // of what is new the form was checked before
}
