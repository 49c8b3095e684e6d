package flowfabric

import (
	"time"

	"github.com/google/uuid"
)

// EdgeID identifies a dependency between two members of a flow. The caller chooses it; it makes staging idempotent.
type EdgeID = UUID[edgeKind]

type edgeKind struct{}

// NewEdgeID mints a random edge id.
func NewEdgeID() EdgeID { return EdgeID(uuid.New()) }

// FlowState is the state of a flow (chapter 20, section 20.14).
type FlowState string

// Flow states. A flow that is cancelled, completed or failed takes no members and no edges.
const (
	FlowOpen      FlowState = "open"
	FlowRunning   FlowState = "running" // derived: a member is active
	FlowBlocked   FlowState = "blocked" // derived: members wait, none is active or claimable
	FlowCompleted FlowState = "completed"
	FlowFailed    FlowState = "failed" // every member ended, not all of them well
	FlowCancelled FlowState = "cancelled"
)

// Terminal reports whether the flow takes no members and edges any more.
func (s FlowState) Terminal() bool {
	return s == FlowCancelled || s == FlowCompleted || s == FlowFailed
}

// CancellationPolicy says which members the cancel of a flow ends.
type CancellationPolicy string

// Cancellation policies.
const (
	CancelAll     CancellationPolicy = "cancel_all"     // every member that has not ended
	CancelPending CancellationPolicy = "cancel_pending" // members nobody works on and that are not suspended
	FlowOnly      CancellationPolicy = "flow_only"      // none
)

// PolicyKind says when the inbound edges of a member are enough (chapter 20, section 20.10).
type PolicyKind string

// Policy kinds. AllEnded is our own beside the three of the chapter: it waits for the end of all upstreams, good or bad.
const (
	AllOf    PolicyKind = "all_of"
	AnyOf    PolicyKind = "any_of"
	Quorum   PolicyKind = "quorum"
	AllEnded PolicyKind = "all_ended"
)

// OnSatisfied says what becomes of the other upstreams once any_of or a quorum is decided.
type OnSatisfied string

// What becomes of the other upstreams.
const (
	CancelRemaining OnSatisfied = "cancel_remaining" // unfinished ones are cancelled, unless somebody else still needs them
	LetRun          OnSatisfied = "let_run"
)

// MaxQuorum bounds GroupPolicy.K.
const MaxQuorum = 1<<31 - 1

// GroupPolicy decides over the inbound edges of one member. The zero value is [AllOf].
type GroupPolicy struct {
	Kind PolicyKind `json:"kind,omitzero"`
	// K is how many successes a [Quorum] needs: 1 to [MaxQuorum]; 0 for the other kinds.
	K int `json:"k,omitzero"`
	// OnSatisfied is of [AnyOf] and [Quorum]; default [CancelRemaining].
	OnSatisfied OnSatisfied `json:"on_satisfied,omitzero"`
}

// GroupState is the state of the inbound edges of a member, taken together. It leaves pending once; only a replay of the
// member re-opens it.
type GroupState string

// Group states.
const (
	GroupPending    GroupState = "pending"
	GroupSatisfied  GroupState = "satisfied"
	GroupImpossible GroupState = "impossible"
)

// EdgeState is the state of an edge.
type EdgeState string

// Edge states.
const (
	EdgePending    EdgeState = "pending" // staged: it counts, but does not yet hold its downstream back
	EdgeApplied    EdgeState = "applied"
	EdgeSatisfied  EdgeState = "satisfied"
	EdgeImpossible EdgeState = "impossible"
)

// SuccessOnly is the only dependency kind.
const SuccessOnly = "success_only"

// Bounds of flows.
const (
	MaxFlowNodes    = 10_000 // of one SubmitFlow or WaitChildren; a flow may have any number
	MaxFlowEdges    = 50_000 // the same
	MaxNodeName     = 256    // bytes
	MaxDataRefBytes = 1024
	// MaxGraphSearch is how many members the search for a cycle visits; a stage that needs more is refused.
	MaxGraphSearch = 10_000
	// MaxCancelledMembers is how many members a reply of CancelFlow lists.
	MaxCancelledMembers = 1000
)

// TagNode is the tag that holds the name of a member that was made as a node.
const TagNode = "flow.node"

// FlowNode is one member of a flow that is submitted as a whole.
type FlowNode struct {
	// Name is unique in the flow: 1 to [MaxNodeName] bytes of UTF-8. The id of the execution follows from it: [NodeID].
	Name string `json:"name,omitzero"`
	// Submit is what to run. ID, IdempotencyKey and Namespace must be unset: the flow says them.
	Submit Submit `json:"submit,omitzero"`
	// After names the nodes that must end before this one starts, each once.
	After []string `json:"after,omitzero"`
	// Policy decides over After. Zero: all of them must succeed.
	Policy GroupPolicy `json:"policy,omitzero"`
	// Required are those of After that must succeed besides; Policy then decides over the others.
	Required []string `json:"required,omitzero"`
	// InputFrom, when set, is one of After: its result replaces the payload when this node starts.
	InputFrom string `json:"input_from,omitzero"`
}

// SubmitFlow submits a whole flow: all of it in one commit, or nothing.
type SubmitFlow struct {
	// FlowID of the new flow. Unset: the engine mints one. A caller that mints it may repeat the call; the repeat changes
	// nothing, whatever it says.
	FlowID    FlowID            `json:"flow_id,omitzero"`
	Kind      string            `json:"kind,omitzero"` // free text, at most [MaxNameBytes]
	Namespace Namespace         `json:"namespace,omitzero"`
	Tags      map[string]string `json:"tags,omitzero"`
	Nodes     []FlowNode        `json:"nodes,omitzero"` // 1 to [MaxFlowNodes], with at most [MaxFlowEdges] names in After
}

// FlowPlan is what can be submitted as a flow: [SubmitFlow] itself, or what package flow builds.
type FlowPlan interface {
	// Plan returns the flow, or what was wrong with it.
	Plan() (SubmitFlow, error)
}

// Plan implements [FlowPlan].
func (s SubmitFlow) Plan() (SubmitFlow, error) { return s, nil }

// NodeID is the id of the member of a flow that was made as the node with this name: a UUID of version 5.
func NodeID(flow FlowID, name string, cfg PartitionConfig) ExecutionID {
	return NodeIDOn(cfg.OfFlow(flow), flow, name)
}

// NodeIDOn is [NodeID] for who knows the partition of the flow, which is that of each of its members.
func NodeIDOn(p Partition, flow FlowID, name string) ExecutionID {
	return ExecutionIDFrom(p.Index, uuid.NewSHA1(uuid.UUID(flow), []byte("node\x00"+name)))
}

// NodeEdgeID is the id of the edge between two nodes of a flow that was submitted as a whole.
func NodeEdgeID(flow FlowID, upstream, downstream string) EdgeID {
	return EdgeID(uuid.NewSHA1(uuid.UUID(flow), []byte("edge\x00"+upstream+"\x00"+downstream)))
}

// CreateFlow makes an empty flow, to which members and edges are added one by one.
type CreateFlow struct {
	FlowID    FlowID            `json:"flow_id,omitzero"` // unset: the engine mints one
	Kind      string            `json:"kind,omitzero"`    // free text, at most [MaxNameBytes]
	Namespace Namespace         `json:"namespace,omitzero"`
	Tags      map[string]string `json:"tags,omitzero"`
}

// CreateFlowResult answers a [CreateFlow]. Differs: the flow existed with another kind or namespace, which stay.
type CreateFlowResult struct {
	FlowID  FlowID `json:"flow_id,omitzero"`
	Created bool   `json:"created,omitzero"`
	Differs bool   `json:"differs,omitzero"`
}

// AddMember makes an execution a member of a flow. Its id must name the flow's partition: mint it with [FlowExecutionID].
type AddMember struct {
	FlowID      FlowID      `json:"flow_id,omitzero"`
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
}

// AddMemberResult answers an [AddMember]. Not Added: it was a member before.
type AddMemberResult struct {
	Added         bool   `json:"added,omitzero"`
	NodeCount     int    `json:"node_count,omitzero"`
	GraphRevision uint64 `json:"graph_revision,omitzero"`
}

// StageEdge records a dependency between two members.
type StageEdge struct {
	FlowID         FlowID      `json:"flow_id,omitzero"`
	EdgeID         EdgeID      `json:"edge_id,omitzero"`
	Upstream       ExecutionID `json:"upstream,omitzero"`
	Downstream     ExecutionID `json:"downstream,omitzero"`
	DependencyKind string      `json:"dependency_kind,omitzero"` // default, and only value, [SuccessOnly]
	// DataPassingRef, when set, makes the upstream's result the downstream's payload: at most [MaxDataRefBytes].
	DataPassingRef string `json:"data_passing_ref,omitzero"`
	// ExpectedRevision must be the flow's graph revision.
	ExpectedRevision uint64 `json:"expected_revision,omitzero"`
	// Apply: the edge holds its downstream back at once, as if [ApplyEdge] had followed in the same commit.
	Apply bool `json:"apply,omitzero"`
}

// StageEdgeResult answers a [StageEdge].
type StageEdgeResult struct {
	EdgeID        EdgeID `json:"edge_id,omitzero"`
	GraphRevision uint64 `json:"graph_revision,omitzero"`
	// Unsatisfied, if the edge was applied, is as in [ApplyEdgeResult].
	Unsatisfied int `json:"unsatisfied,omitzero"`
}

// ApplyEdge makes a staged edge hold its downstream back.
type ApplyEdge struct {
	FlowID     FlowID      `json:"flow_id,omitzero"`
	EdgeID     EdgeID      `json:"edge_id,omitzero"`
	Upstream   ExecutionID `json:"upstream,omitzero"`
	Downstream ExecutionID `json:"downstream,omitzero"`
}

// ApplyEdgeResult answers an [ApplyEdge]. Not Applied: it was before.
type ApplyEdgeResult struct {
	Applied     bool `json:"applied,omitzero"`
	Unsatisfied int  `json:"unsatisfied,omitzero"` // edges of the downstream that are applied and not resolved
}

// SetGroupPolicy sets what decides over the inbound edges of a member, before the first of them is staged.
type SetGroupPolicy struct {
	FlowID     FlowID      `json:"flow_id,omitzero"`
	Downstream ExecutionID `json:"downstream,omitzero"`
	Policy     GroupPolicy `json:"policy,omitzero"`
}

// SetFlowTags adds tags to a flow and overwrites those it has; what is not named stays.
type SetFlowTags struct {
	FlowID FlowID            `json:"flow_id,omitzero"`
	Tags   map[string]string `json:"tags,omitzero"` // at least one; after the call the flow has at most [MaxTags]
}

// WaitChildren gives the lease back until children have ended, or what Policy says of them; the same attempt continues
// then. Children that do not exist are made, as nodes of the flow, in the same commit. The execution must be a member of
// a flow.
type WaitChildren struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	// Children may name each other in After. Those that exist already stay as they are.
	Children []FlowNode  `json:"children,omitzero"`
	Policy   GroupPolicy `json:"policy,omitzero"` // default [AllEnded]
}

// CancelFlow ends a flow.
type CancelFlow struct {
	FlowID FlowID             `json:"flow_id,omitzero"`
	Policy CancellationPolicy `json:"policy,omitzero"` // default [CancelAll]
	Reason string             `json:"reason,omitzero"` // at most [MaxReasonBytes]; default "flow_cancelled"
	// Wait is how long to wait until every member the policy names has ended: 0 to [MaxFlowWait]. If that is too short
	// the call fails with [ErrTimeout]; the cancel goes on.
	Wait  time.Duration `json:"wait_ms,omitzero"`
	Actor string        `json:"actor,omitzero"` // recorded with the event, at most [MaxNameBytes]
}

// MaxFlowWait bounds CancelFlow.Wait.
const MaxFlowWait = 300 * time.Second

// CancelFlowResult answers a [CancelFlow]. Of a flow that had ended, Policy is that of its cancel, if it was one.
type CancelFlowResult struct {
	AlreadyTerminal bool               `json:"already_terminal,omitzero"` // the flow had ended; nothing was written
	Policy          CancellationPolicy `json:"policy,omitzero"`
	// Count is how many members were, or are to be, cancelled; while others are left to the engine, about.
	Count int `json:"count,omitzero"`
	// Members that were, or are to be, cancelled, up to [MaxCancelledMembers]; of a flow that had ended, all members up to
	// the same bound.
	Members []ExecutionID `json:"members,omitzero"`
}

// CancelFlowHeader ends a flow and tells every member it has cancelled, which the caller then acknowledges one by one
// (chapter 30, section 30.7).
type CancelFlowHeader struct {
	FlowID FlowID             `json:"flow_id,omitzero"`
	Reason string             `json:"reason,omitzero"` // at most [MaxReasonBytes]
	Policy CancellationPolicy `json:"policy,omitzero"`
	Actor  string             `json:"actor,omitzero"`
}

// CancelFlowHeaderResult answers a [CancelFlowHeader].
type CancelFlowHeaderResult struct {
	// AlreadyTerminal: the flow had ended; nothing was written. The stored fields are nil where nothing is stored.
	AlreadyTerminal bool               `json:"already_terminal,omitzero"`
	StoredPolicy    *string            `json:"stored_policy,omitzero"`
	StoredReason    *string            `json:"stored_reason,omitzero"`
	Policy          CancellationPolicy `json:"policy,omitzero"`  // of this call, unless AlreadyTerminal
	Members         []ExecutionID      `json:"members,omitzero"` // ascending
}

// AckCancelMember says that a caller has dealt with a member a [CancelFlowHeader] told of.
type AckCancelMember struct {
	FlowID      FlowID      `json:"flow_id,omitzero"`
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
}

// FlowSnapshot is what DescribeFlow tells.
type FlowSnapshot struct {
	FlowID    FlowID    `json:"flow_id,omitzero"`
	Kind      string    `json:"kind,omitzero"`
	Namespace Namespace `json:"namespace,omitzero"`
	// State is what is stored: open until the flow is cancelled, or, if it was submitted as a whole, until all members
	// have ended.
	State FlowState `json:"state,omitzero"`
	// Progress is derived from the members as of now (chapter 20, section 20.14).
	Progress           FlowState          `json:"progress,omitzero"`
	Counts             FlowCounts         `json:"counts,omitzero"`
	GraphRevision      uint64             `json:"graph_revision,omitzero"`
	NodeCount          int                `json:"node_count,omitzero"`
	EdgeCount          int                `json:"edge_count,omitzero"`
	CreatedAt          Timestamp          `json:"created_at,omitzero"`
	LastMutationAt     Timestamp          `json:"last_mutation_at,omitzero"`
	EndedAt            Timestamp          `json:"ended_at,omitzero"` // 0: not all members have ended, and it was not cancelled
	CancelReason       string             `json:"cancel_reason,omitzero"`
	CancellationPolicy CancellationPolicy `json:"cancellation_policy,omitzero"`
	Tags               map[string]string  `json:"tags,omitzero"`
}

// FlowCounts counts the members of a flow by public state.
type FlowCounts struct {
	Total           int `json:"total,omitzero"`
	Completed       int `json:"completed,omitzero"`
	Failed          int `json:"failed,omitzero"`
	Cancelled       int `json:"cancelled,omitzero"`
	Expired         int `json:"expired,omitzero"`
	Skipped         int `json:"skipped,omitzero"`
	Active          int `json:"active,omitzero"`
	Suspended       int `json:"suspended,omitzero"`
	Waiting         int `json:"waiting,omitzero"`
	Delayed         int `json:"delayed,omitzero"`
	RateLimited     int `json:"rate_limited,omitzero"`
	WaitingChildren int `json:"waiting_children,omitzero"`
}

// FlowSummary is one line of a list of flows. State is completed or failed when all members have ended.
type FlowSummary struct {
	FlowID    FlowID    `json:"flow_id,omitzero"`
	Kind      string    `json:"kind,omitzero"`
	Namespace Namespace `json:"namespace,omitzero"`
	State     FlowState `json:"state,omitzero"`
	NodeCount int       `json:"node_count,omitzero"`
	Ended     int       `json:"ended,omitzero"` // members that have ended
	CreatedAt Timestamp `json:"created_at,omitzero"`
}

// ListFlows asks for flows in ascending order of id.
type ListFlows struct {
	After string `json:"after,omitzero"` // cursor of the previous page
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// ListNodes asks for the members of a flow in ascending order of id.
type ListNodes struct {
	FlowID FlowID `json:"flow_id,omitzero"`
	After  string `json:"after,omitzero"` // cursor of the previous page
	Limit  int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// NodeSnapshot is a member of a flow. Group is nil without inbound edges.
type NodeSnapshot struct {
	ExecutionSummary
	Node  string         `json:"node,omitzero"` // its name, if it was made as a node
	Group *GroupSnapshot `json:"group,omitzero"`
}

// GroupSnapshot tells how far the inbound edges of a member are.
type GroupSnapshot struct {
	Downstream  ExecutionID `json:"downstream,omitzero"`
	Policy      GroupPolicy `json:"policy,omitzero"`
	State       GroupState  `json:"state,omitzero"`
	Total       int         `json:"total,omitzero"`
	Satisfied   int         `json:"satisfied,omitzero"`
	Failed      int         `json:"failed,omitzero"`
	Skipped     int         `json:"skipped,omitzero"`
	Running     int         `json:"running,omitzero"` // applied, not resolved
	SatisfiedAt Timestamp   `json:"satisfied_at,omitzero"`
}

// ListEdges asks for the edges of a flow from or to one member, in ascending order of edge id. Exactly one of From and To
// is set.
type ListEdges struct {
	FlowID FlowID      `json:"flow_id,omitzero"`
	From   ExecutionID `json:"from,omitzero"`
	To     ExecutionID `json:"to,omitzero"`
	After  string      `json:"after,omitzero"` // cursor of the previous page
	Limit  int         `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}

// EdgeSnapshot is an edge.
type EdgeSnapshot struct {
	EdgeID         EdgeID      `json:"edge_id,omitzero"`
	FlowID         FlowID      `json:"flow_id,omitzero"`
	Upstream       ExecutionID `json:"upstream,omitzero"`
	Downstream     ExecutionID `json:"downstream,omitzero"`
	DependencyKind string      `json:"dependency_kind,omitzero"`
	Required       bool        `json:"required,omitzero"` // it must succeed besides what the group's policy says of the others
	DataPassingRef string      `json:"data_passing_ref,omitzero"`
	State          EdgeState   `json:"state,omitzero"`
	CreatedAt      Timestamp   `json:"created_at,omitzero"`
	AppliedAt      Timestamp   `json:"applied_at,omitzero"`
	ResolvedAt     Timestamp   `json:"resolved_at,omitzero"`
	Outcome        Outcome     `json:"outcome,omitzero"` // of the upstream, once resolved
}
