package ops

import (
	"cmp"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// Rules makes the operations of one deployment.
type Rules struct {
	Partitions ff.PartitionConfig
	// Retention is how long a finished execution is kept if its policy does not say. Default [ff.DefaultRetention].
	Retention time.Duration
	// Home returns the partition that stands for the shard a partition is on, one of [store.Store.Shards]. Nil: the first,
	// for a store of one shard.
	Home func(ff.Partition) ff.Partition
}

func (r Rules) home(p ff.Partition) ff.Partition {
	if r.Home == nil {
		return ff.Partition{Family: ff.FamilyFlow}
	}
	return r.Home(p)
}

func (r Rules) retention() time.Duration { return cmp.Or(r.Retention, ff.DefaultRetention) }
