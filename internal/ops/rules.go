package ops

import (
	"cmp"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// Rules makes the operations of one deployment.
type Rules struct {
	Partitions ff.PartitionConfig
	// Retention is how long a finished execution is kept if its policy does not say. Default [ff.DefaultRetention].
	Retention time.Duration
	// Limits bound what one commit does for a flow. Fields that are 0 have the defaults.
	Limits Limits
	// Home returns the partition that stands for the shard a partition is on, one of [store.Store.Shards]. Nil: the first,
	// for a store of one shard.
	Home func(ff.Partition) ff.Partition
	// Beliefs are about budgets and quotas; nil for none. Operations in a transaction of the caller have none.
	Beliefs *store.Beliefs
	// OneShard says that the store has one, and with it budgets and quotas.
	OneShard bool
}

// Limits bound commits of flows. What is more is left to other commits, which the due loop makes.
type Limits struct {
	Edges       int // resolved by the commit that ends a member. Default 128
	Errands     int // carried on by one commit. Default 8
	ErrandEdges int // of one errand in one commit. Default 500
	Members     int // looked at by one commit of a flow's cancel. Default 1,000
}

func (r Rules) limits() Limits {
	return Limits{
		Edges: cmp.Or(r.Limits.Edges, 128), Errands: cmp.Or(r.Limits.Errands, 8), ErrandEdges: cmp.Or(r.Limits.ErrandEdges, 500),
		Members: cmp.Or(r.Limits.Members, 1000),
	}
}

func (r Rules) home(p ff.Partition) ff.Partition {
	if r.Home == nil {
		return ff.Partition{Family: ff.FamilyFlow}
	}
	return r.Home(p)
}

func (r Rules) retention() time.Duration { return cmp.Or(r.Retention, ff.DefaultRetention) }
