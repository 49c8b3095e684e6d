package record

import "github.com/flowfabric/flowfabric"

// PartitionCountsKey names the partition counts of the store. There is one record, on the shard of the first partition.
type PartitionCountsKey struct {
	Home flowfabric.Partition
}

// partitionCountsName is the one key of ff_partition_config.
const partitionCountsName = "partitions"

// Family implements [Key].
func (PartitionCountsKey) Family() Family { return PartitionCounts }

// Partition implements [Key].
func (k PartitionCountsKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (PartitionCountsKey) Parts() []string { return []string{partitionCountsName} }

// Name is the part of the key that is stored.
func (PartitionCountsKey) Name() string { return partitionCountsName }

// PartitionCount is how many partitions the store was made for (ff_partition_config): ids and lanes are placed by it, so it
// never changes.
type PartitionCount struct {
	PartitionCountsKey
	Version int64
	Counts  flowfabric.PartitionConfig
	SetAt   flowfabric.Timestamp
}

// Key implements [Keyed].
func (c *PartitionCount) Key() Key { return c.PartitionCountsKey }

// VersionField implements [Keyed].
func (c *PartitionCount) VersionField() *int64 { return &c.Version }

// DueTime implements [Keyed].
func (c *PartitionCount) DueTime() flowfabric.Timestamp { return 0 }
