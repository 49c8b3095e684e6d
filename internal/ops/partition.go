package ops

import (
	"context"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func (r Rules) partitionCountsKey() record.PartitionCountsKey {
	return record.PartitionCountsKey{Home: r.home(ff.Partition{Family: ff.FamilyFlow})}
}

// PartitionCounts returns how many partitions a store was made for; the zero value for one that no engine has opened yet.
func (r Rules) PartitionCounts(ctx context.Context, st store.Store) (ff.PartitionConfig, error) {
	key := r.partitionCountsKey()
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key}})
	if err != nil {
		return ff.PartitionConfig{}, err
	}
	if kept := store.Get[*record.PartitionCount](tx, key); kept != nil {
		return kept.Counts, nil
	}
	return ff.PartitionConfig{}, nil
}

// KeepPartitions has the store remember counts, unless it does others already; out gets what it remembers.
func (r Rules) KeepPartitions(counts ff.PartitionConfig, out *ff.PartitionConfig) *Op {
	key := r.partitionCountsKey()
	op := &Op{name: "keep the partition counts"}
	op.Partition, op.Reads.Records = key.Home, []record.Key{key}
	op.Decide = func(tx *store.Tx) error {
		if kept := store.Get[*record.PartitionCount](tx, key); kept != nil {
			*out = kept.Counts
			return nil
		}
		tx.Put(&record.PartitionCount{PartitionCountsKey: key, Counts: counts, SetAt: tx.Now()})
		*out = counts
		return nil
	}
	return op
}

// SamePartitions fails with [ff.ErrPartitionMismatch] if a store was made for other counts than it is opened with: executions,
// lanes and flows are placed by them, and would not be found again (chapter 70, H27).
func SamePartitions(stored, asked ff.PartitionConfig) error {
	if stored == asked {
		return nil
	}
	return &ff.Error{Code: ff.CodePartitionMismatch, Detail: fmt.Sprintf(
		"the store was made for %d flow, %d budget and %d quota partitions and cannot be opened with %d, %d and %d: "+
			"set FF_FLOW_PARTITIONS, FF_BUDGET_PARTITIONS and FF_QUOTA_PARTITIONS, or Config.Partitions, to what it was made for",
		stored.Flow, stored.Budget, stored.Quota, asked.Flow, asked.Budget, asked.Quota,
	)}
}
