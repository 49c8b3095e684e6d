package record

import (
	"cmp"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
)

// Keyed is a record of one of the families that are read and written by key: lanes, workers, secrets, flows and what belongs to them. A store keeps
// all of them the same way; a new family is a type here, a list of columns in internal/sqlstore and a table.
type Keyed interface {
	Key() Key
	// VersionField guards writes, as [Execution.Version] does. The store sets it when it writes.
	VersionField() *int64
	// DueTime is when the record next needs attention, 0 for never.
	DueTime() flowfabric.Timestamp
}

// Key names a record of a keyed family. Its dynamic types are comparable.
type Key interface {
	Family() Family
	// Partition is where the record lives, of [flowfabric.FamilyFlow]. It follows from the parts of the key and the shard:
	// no two keys of a family on one shard differ in it alone.
	Partition() flowfabric.Partition
	// Parts are the parts of the key that name the record within its family, and their byte order is the order of lists.
	Parts() []string
}

// Family names a keyed family.
type Family string

// Keyed families.
const (
	Lanes   Family = "lane"
	Workers Family = "worker"
	Secrets Family = "secret"
	// EventCursors are the positions readers of events had kept for them.
	EventCursors Family = "event_cursor"
	// APIKeys are what callers of the HTTP API present.
	APIKeys Family = "api_key"
	// PartitionCounts is how many partitions there are.
	PartitionCounts Family = "partition_config"
)

// Families lists the keyed families.
var Families = []Family{
	Lanes, Workers, Secrets, Flows, Edges, Groups, Errands, Backlogs, BacklogMembers, Suspensions, Waitpoints, Signals, Replies, Steps,
	Streams, Summaries, Budgets, UsageKeys, Ledgers, Quotas, QuotaUses, Parkings, LimitScopes, EventCursors, APIKeys, PartitionCounts,
}

// Believed says that engines take records of the family as they saw them last, and find out by the version when they are wrong.
// A version of such a family is drawn, so that it never stands for two contents: not for what a commit that failed would have
// written, and not for a record that was made again under its key.
func (f Family) Believed() bool { return f == Budgets || f == Quotas || f == QuotaUses }

// CompareKeys orders keys by family, then bytewise by their parts, then by partition.
func CompareKeys(x, y Key) int {
	return cmp.Or(
		cmp.Compare(x.Family(), y.Family()), slices.Compare(x.Parts(), y.Parts()), cmp.Compare(x.Partition().Index, y.Partition().Index),
	)
}

// LaneKey names the settings of a lane. Each shard has its own copy, so that a claim reads it in its transaction.
type LaneKey struct {
	Home flowfabric.Partition
	Lane flowfabric.LaneID
}

// Family implements [Key].
func (LaneKey) Family() Family { return Lanes }

// Partition implements [Key].
func (k LaneKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k LaneKey) Parts() []string { return []string{string(k.Lane)} }

// Lane is what is set for a lane (ff_lane_registry). A lane without a record has the defaults.
type Lane struct {
	LaneKey
	Version        int64
	State          flowfabric.LaneState
	Weight         int
	MaxConcurrency int // 0 for no bound
	RegisteredAt   flowfabric.Timestamp
	RegisteredBy   string // who first used or set it up
	UpdatedAt      flowfabric.Timestamp
}

// Key implements [Keyed].
func (l *Lane) Key() Key { return l.LaneKey }

// VersionField implements [Keyed].
func (l *Lane) VersionField() *int64 { return &l.Version }

// DueTime implements [Keyed].
func (l *Lane) DueTime() flowfabric.Timestamp { return 0 }

// WorkerKey names a registered worker instance.
type WorkerKey struct {
	Home             flowfabric.Partition
	Namespace        flowfabric.Namespace
	WorkerInstanceID flowfabric.WorkerInstanceID
}

// Family implements [Key].
func (WorkerKey) Family() Family { return Workers }

// Partition implements [Key].
func (k WorkerKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k WorkerKey) Parts() []string { return []string{string(k.Namespace), string(k.WorkerInstanceID)} }

// Worker is a registered worker instance (ff_worker_registry). It is due when it counts as dead.
type Worker struct {
	WorkerKey
	Version         int64
	WorkerID        flowfabric.WorkerID
	Lanes           []flowfabric.LaneID // sorted
	Capabilities    []string            // sorted
	LivenessTTL     time.Duration
	RegisteredAt    flowfabric.Timestamp
	LastHeartbeatAt flowfabric.Timestamp
	ExpiresAt       flowfabric.Timestamp
}

// Key implements [Keyed].
func (w *Worker) Key() Key { return w.WorkerKey }

// VersionField implements [Keyed].
func (w *Worker) VersionField() *int64 { return &w.Version }

// DueTime implements [Keyed].
func (w *Worker) DueTime() flowfabric.Timestamp { return w.ExpiresAt }

// SecretKey names a signing secret.
type SecretKey struct {
	Home flowfabric.Partition
	Kid  string
}

// Family implements [Key].
func (SecretKey) Family() Family { return Secrets }

// Partition implements [Key].
func (k SecretKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k SecretKey) Parts() []string { return []string{k.Kid} }

// Secret signs what leaves the engine and comes back: handles, tokens (ff_waitpoint_hmac). One is active; the others
// still verify until they expire.
type Secret struct {
	SecretKey
	Version   int64
	Secret    []byte
	Active    bool
	RotatedAt flowfabric.Timestamp
	ExpiresAt flowfabric.Timestamp // 0 for never
}

// Key implements [Keyed].
func (s *Secret) Key() Key { return s.SecretKey }

// VersionField implements [Keyed].
func (s *Secret) VersionField() *int64 { return &s.Version }

// DueTime implements [Keyed]: an expired secret is found out at its use, and removed when the next one is made.
func (s *Secret) DueTime() flowfabric.Timestamp { return 0 }
