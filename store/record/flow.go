package record

import (
	"github.com/flowfabric/flowfabric"
)

// Keyed families of flows (chapter 20). All records of a flow live on its partition, with its members.
const (
	Flows          Family = "flow"
	Edges          Family = "edge"
	Groups         Family = "edge_group"
	Errands        Family = "errand"
	Backlogs       Family = "cancel_backlog"
	BacklogMembers Family = "cancel_backlog_member"
)

// FlowKey names a flow.
type FlowKey struct {
	Home   flowfabric.Partition
	FlowID flowfabric.FlowID
}

// Family implements [Key].
func (FlowKey) Family() Family { return Flows }

// Partition implements [Key].
func (k FlowKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k FlowKey) Parts() []string { return []string{k.FlowID.String()} }

// Flow is a flow (ff_flow_core). Its members are the executions that name it.
type Flow struct {
	FlowKey
	Version       int64
	GraphRevision uint64 // +1 for each member added and each edge staged
	State         flowfabric.FlowState
	Kind          string
	Namespace     flowfabric.Namespace
	Tags          map[string]string
	// Sealed: the flow was submitted as a whole, so that it ends with its last member.
	Sealed    bool
	NodeCount int
	EdgeCount int
	// EndedCount members have ended, BadCount of them as failed, cancelled or expired.
	EndedCount     int
	BadCount       int
	CreatedAt      flowfabric.Timestamp
	LastMutationAt flowfabric.Timestamp
	// TerminalAt is when it was cancelled or its last member ended, 0 while neither is so.
	TerminalAt         flowfabric.Timestamp
	CancellationPolicy flowfabric.CancellationPolicy
	CancelReason       *string
	// RemoveAt is when the graph may be removed; 0 while the flow has not ended.
	RemoveAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (f *Flow) Key() Key { return f.FlowKey }

// VersionField implements [Keyed].
func (f *Flow) VersionField() *int64 { return &f.Version }

// DueTime implements [Keyed].
func (f *Flow) DueTime() flowfabric.Timestamp { return f.RemoveAt }

// EdgeKey names an edge.
type EdgeKey struct {
	Home   flowfabric.Partition
	FlowID flowfabric.FlowID
	EdgeID flowfabric.EdgeID
}

// Family implements [Key].
func (EdgeKey) Family() Family { return Edges }

// Partition implements [Key].
func (k EdgeKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k EdgeKey) Parts() []string { return []string{k.FlowID.String(), k.EdgeID.String()} }

// Edge is a dependency (ff_edge). A store finds edges by their key and by either end ([store.EdgesQuery]).
type Edge struct {
	EdgeKey
	Version        int64
	Upstream       flowfabric.ExecutionID
	Downstream     flowfabric.ExecutionID
	DependencyKind string
	// Required: the upstream must succeed, whatever the group's policy says of the other edges.
	Required       bool
	DataPassingRef string
	State          flowfabric.EdgeState
	CreatedAt      flowfabric.Timestamp
	CreatedBy      string
	// Applied: the edge holds its downstream back. AppliedAt is unset for rows written by hand, which count as applied.
	Applied   bool
	AppliedAt flowfabric.Timestamp
	// ResolvedAt is when the upstream's end was counted, as Outcome, in the Round the group was in then.
	ResolvedAt flowfabric.Timestamp
	Outcome    flowfabric.Outcome
	Round      int
	// Wave is the wave of the group the edge belongs to. Edges of earlier ones do not count.
	Wave int
}

// Key implements [Keyed].
func (e *Edge) Key() Key { return e.EdgeKey }

// VersionField implements [Keyed].
func (e *Edge) VersionField() *int64 { return &e.Version }

// DueTime implements [Keyed].
func (e *Edge) DueTime() flowfabric.Timestamp { return 0 }

// GroupKey names the inbound edges of a member.
type GroupKey struct {
	Home       flowfabric.Partition
	FlowID     flowfabric.FlowID
	Downstream flowfabric.ExecutionID
}

// Family implements [Key].
func (GroupKey) Family() Family { return Groups }

// Partition implements [Key].
func (k GroupKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k GroupKey) Parts() []string { return []string{k.FlowID.String(), k.Downstream.UUID().String()} }

// Group is the inbound edges of a member, taken together (ff_edge_group).
type Group struct {
	GroupKey
	Version int64
	Policy  flowfabric.GroupPolicy
	Success int
	Fail    int
	Skip    int
	Running int // applied and not resolved
	// Total is the number of edges; 0 in rows written by hand, whose edges must be counted.
	Total int
	// Required of the edges must succeed besides what the policy says of the others; RequiredSuccess have.
	Required        int
	RequiredSuccess int
	State           flowfabric.GroupState
	// Round counts how often the group was re-opened. An edge that was resolved in an earlier round, and not as a success,
	// is unresolved.
	Round int
	// Wave counts how often the member has waited for children of its own. Counters are of the edges of this wave.
	Wave        int
	SatisfiedAt flowfabric.Timestamp
	// SiblingsPending: the cancel of unfinished upstreams is under way, for SiblingsReason; an [Errand] does it.
	SiblingsPending bool
	SiblingsReason  string
	// DataEdge and DataFrom are the satisfied edge with the highest id that passes data, and its upstream.
	DataEdge flowfabric.EdgeID
	DataFrom flowfabric.ExecutionID
}

// Key implements [Keyed].
func (g *Group) Key() Key { return g.GroupKey }

// VersionField implements [Keyed].
func (g *Group) VersionField() *int64 { return &g.Version }

// DueTime implements [Keyed].
func (g *Group) DueTime() flowfabric.Timestamp { return 0 }

// ErrandKind says what an [Errand] carries on.
type ErrandKind string

// Errands, each on the member ExecutionID.
const (
	// Resolve the outgoing edges of a member that has ended.
	Resolve ErrandKind = "resolve"
	// Recount the inbound edges of a member whose group was re-opened: upstreams that succeeded meanwhile.
	Recount ErrandKind = "recount"
	// CancelSiblings cancels the unfinished upstreams of a member whose group is decided.
	CancelSiblings ErrandKind = "cancel_siblings"
)

// ErrandKey names an errand.
type ErrandKey struct {
	Home        flowfabric.Partition
	FlowID      flowfabric.FlowID
	ExecutionID flowfabric.ExecutionID
	Kind        ErrandKind
}

// Family implements [Key].
func (ErrandKey) Family() Family { return Errands }

// Partition implements [Key].
func (k ErrandKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k ErrandKey) Parts() []string {
	return []string{k.FlowID.String(), k.ExecutionID.UUID().String(), string(k.Kind)}
}

// Errand is work on the edges of a member that was too much for the commit that caused it (ff_errand). It is due from the
// start and gone when it is done; a crash leaves it to whoever looks next.
type Errand struct {
	ErrandKey
	Version int64
	// After is the last edge that is done.
	After      flowfabric.EdgeID
	EnqueuedAt flowfabric.Timestamp
}

// Key implements [Keyed].
func (e *Errand) Key() Key { return e.ErrandKey }

// VersionField implements [Keyed].
func (e *Errand) VersionField() *int64 { return &e.Version }

// DueTime implements [Keyed].
func (e *Errand) DueTime() flowfabric.Timestamp { return e.EnqueuedAt }

// BacklogKey names the cancel backlog of a flow.
type BacklogKey struct {
	Home   flowfabric.Partition
	FlowID flowfabric.FlowID
}

// Family implements [Key].
func (BacklogKey) Family() Family { return Backlogs }

// Partition implements [Key].
func (k BacklogKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k BacklogKey) Parts() []string { return []string{k.FlowID.String()} }

// Backlog is the cancel of a flow while it is under way or waits for acknowledgements (ff_cancel_backlog). It exists
// while members are still to be cancelled or acknowledged.
type Backlog struct {
	BacklogKey
	Version     int64
	RequestedAt flowfabric.Timestamp
	Requester   string
	Reason      string
	// GraceUntil is from when on the engine acknowledges by itself.
	GraceUntil flowfabric.Timestamp
	Policy     flowfabric.CancellationPolicy
	// CancelledBy is recorded with the members.
	CancelledBy flowfabric.Source
	// Spreading: members behind After are still to be cancelled.
	Spreading bool
	After     flowfabric.ExecutionID
	// Acked: members are acknowledged one by one; Outstanding are not.
	Acked       bool
	Outstanding int
}

// Key implements [Keyed].
func (b *Backlog) Key() Key { return b.BacklogKey }

// VersionField implements [Keyed].
func (b *Backlog) VersionField() *int64 { return &b.Version }

// DueTime implements [Keyed].
func (b *Backlog) DueTime() flowfabric.Timestamp {
	if b.Spreading {
		return b.RequestedAt
	}
	return b.GraceUntil
}

// BacklogMemberKey names a member that was cancelled and not acknowledged.
type BacklogMemberKey struct {
	Home        flowfabric.Partition
	FlowID      flowfabric.FlowID
	ExecutionID flowfabric.ExecutionID
}

// Family implements [Key].
func (BacklogMemberKey) Family() Family { return BacklogMembers }

// Partition implements [Key].
func (k BacklogMemberKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k BacklogMemberKey) Parts() []string {
	return []string{k.FlowID.String(), k.ExecutionID.String()}
}

// BacklogMember is a member that was cancelled and not acknowledged (ff_cancel_backlog_member).
type BacklogMember struct {
	BacklogMemberKey
	Version int64
}

// Key implements [Keyed].
func (m *BacklogMember) Key() Key { return m.BacklogMemberKey }

// VersionField implements [Keyed].
func (m *BacklogMember) VersionField() *int64 { return &m.Version }

// DueTime implements [Keyed].
func (m *BacklogMember) DueTime() flowfabric.Timestamp { return 0 }
