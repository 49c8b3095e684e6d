package memory

import (
	"iter"

	"github.com/google/btree"
)

// ascend walks an index over all shards, as if it were one tree, from behind after or from the beginning. Nothing may
// change meanwhile.
func ascend[E any](shards []*shard, tree func(*shard) *btree.BTreeG[E], compare func(x, y E) int, after *E) iter.Seq[E] {
	return func(yield func(E) bool) {
		heads := make([]*E, len(shards))
		for i, sh := range shards {
			heads[i] = following(tree(sh), compare, after)
		}
		for {
			first := -1
			for i, head := range heads {
				if head != nil && (first < 0 || compare(*head, *heads[first]) < 0) {
					first = i
				}
			}
			if first < 0 || !yield(*heads[first]) {
				return
			}
			heads[first] = following(tree(shards[first]), compare, heads[first])
		}
	}
}

// following returns the first entry behind after, nil at the end.
func following[E any](tree *btree.BTreeG[E], compare func(x, y E) int, after *E) *E {
	if after == nil {
		if entry, ok := tree.Min(); ok {
			return &entry
		}
		return nil
	}
	var next *E
	tree.AscendGreaterOrEqual(*after, func(entry E) bool {
		if compare(entry, *after) == 0 {
			return true
		}
		next = &entry
		return false
	})
	return next
}
