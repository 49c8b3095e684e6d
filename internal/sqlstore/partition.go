package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// partitionCounts is ff_partition_config, of one row. Its key is a constant: what is read of it tells nothing.
var partitionCounts = Table[record.PartitionCount]{Name: "ff_partition_config", Keys: 1, Columns: slices.Concat(
	fixed(
		Column[record.PartitionCount]{
			Name: "name", Kind: Text,
			Write:   func(r *record.PartitionCount, w Writer) { w.Text(r.Name()) },
			Read:    func(_ *record.PartitionCount, v Reader) { _ = v.Text() },
			Changed: func(_, _ *record.PartitionCount) bool { return false },
		},
		home(func(c *record.PartitionCount) *flowfabric.Partition { return &c.Home }),
	),
	[]Column[record.PartitionCount]{
		integer("version", Int64, func(c *record.PartitionCount) *int64 { return &c.Version }),
		integer("num_flow_partitions", Int32, func(c *record.PartitionCount) *uint16 { return &c.Counts.Flow }),
		integer("num_budget_partitions", Int32, func(c *record.PartitionCount) *uint16 { return &c.Counts.Budget }),
		integer("num_quota_partitions", Int32, func(c *record.PartitionCount) *uint16 { return &c.Counts.Quota }),
		integer("set_at_ms", Int64, func(c *record.PartitionCount) *flowfabric.Timestamp { return &c.SetAt }),
	},
)}
