package flowfabric

import (
	"fmt"
	"strconv"
	"strings"
)

// Family groups partitions by what they own.
type Family string

// Partition families. Executions live on flow partitions.
const (
	FamilyFlow   Family = "fp"
	FamilyBudget Family = "b"
	FamilyQuota  Family = "q"
)

// Partition is a logical slice of the data. A store maps partitions to shards; every record of an execution lives on
// the partition its id names (I30).
type Partition struct {
	Family Family
	Index  uint16
}

// String returns the partition key, for example "{fp:7}".
func (p Partition) String() string {
	return "{" + string(p.Family) + ":" + strconv.Itoa(int(p.Index)) + "}"
}

// ParsePartition reads a partition key. It fails with [ErrInvalidInput].
func ParsePartition(s string) (Partition, error) {
	refuse := func(detail string) (Partition, error) {
		return Partition{}, &Error{Code: CodeInvalidInput, Op: "parse partition key", Detail: fmt.Sprintf("%q: %s", clip(s), detail)}
	}
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return refuse("missing braces")
	}
	family, index, ok := strings.Cut(s[1:len(s)-1], ":")
	if !ok {
		return refuse("malformed body; want {family:N}")
	}
	switch Family(family) {
	case FamilyFlow, FamilyBudget, FamilyQuota:
	default:
		return refuse("unknown family prefix")
	}
	n, err := parseIndex(index)
	if err != nil {
		return refuse("the index is not a number from 0 to 65535")
	}
	return Partition{Family: Family(family), Index: n}, nil
}

// PartitionConfig is the number of partitions of each family. It is fixed when a deployment is created.
type PartitionConfig struct {
	Flow   uint16 // FF_FLOW_PARTITIONS; default 256
	Budget uint16 // FF_BUDGET_PARTITIONS; default 32
	Quota  uint16 // FF_QUOTA_PARTITIONS; default 32
}

// DefaultPartitions is the partition configuration used where none is given.
func DefaultPartitions() PartitionConfig { return PartitionConfig{Flow: 256, Budget: 32, Quota: 32} }

// OfLane returns the partition of the solo executions of a lane.
func (c PartitionConfig) OfLane(lane LaneID) Partition {
	return Partition{Family: FamilyFlow, Index: crc16([]byte(lane)) % c.Flow}
}

// OfFlow returns the partition of a flow and of all its members.
func (c PartitionConfig) OfFlow(flow FlowID) Partition {
	return Partition{Family: FamilyFlow, Index: crc16(flow[:]) % c.Flow}
}

// OfKey returns the flow-family partition that owns an idempotency key.
func (c PartitionConfig) OfKey(ns Namespace, key string) Partition {
	return Partition{Family: FamilyFlow, Index: crc16([]byte(string(ns)+"\x00"+key)) % c.Flow}
}

// crc16 is CRC-16/XMODEM: polynomial 0x1021, initial value 0, no reflection, no final xor.
func crc16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// parseIndex reads a decimal u16 as the reference prints it: digits only.
func parseIndex(s string) (uint16, error) {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}
