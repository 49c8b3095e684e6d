package flowfabric

// Verdict says in one word why an execution does not run, or that it does.
type Verdict string

// Verdicts.
const (
	VerdictEnded     Verdict = "ended"     // it has ended
	VerdictRunning   Verdict = "running"   // somebody holds a lease on it
	VerdictClaimable Verdict = "claimable" // it could run at once: the next claim that asks for it and may have it gets it
	VerdictHeld      Verdict = "held"      // at least one gate is closed
)

// GateCode is the stable name of a kind of gate. The constants are in the order in which [Explanation] lists gates, that in
// which an execution gets past them; the statuses of chapter 20, section 20.13 are a sub-order of it.
type GateCode string

// Gates.
const (
	GateEnded     GateCode = "ended"
	GateSuspended GateCode = "suspended"
	// A lease that is held is no problem, and one that ended without its attempt does not hold the execution back: the next
	// claim reclaims it.
	GateLeaseHeld    GateCode = "lease_held"
	GateLeaseExpired GateCode = "lease_expired"
	GateLeaseRevoked GateCode = "lease_revoked"
	GateIllegalState GateCode = "illegal_state" // of a row written by hand; the engine leaves it alone

	GateFlowCancel             GateCode = "flow_cancel" // the cancel of its flow has yet to reach it
	GateDependenciesImpossible GateCode = "dependencies_impossible"
	GateUnknownPolicy          GateCode = "unknown_policy" // over its edges, in a row written by hand
	GateDependencies           GateCode = "dependencies"

	GateRetryBackoff GateCode = "retry_backoff"
	GateDelay        GateCode = "delay"

	// Blocks (chapter 10, section 2.4), each the eligibility of that name.
	GateOperator GateCode = "blocked_by_operator"
	GatePolicy   GateCode = "blocked_by_lane_state"
	GateBudget   GateCode = "blocked_by_budget"
	GateQuota    GateCode = "blocked_by_quota"
	GateRoute    GateCode = "blocked_by_route"

	GateLanePaused   GateCode = "lane_paused"
	GateLaneDisabled GateCode = "lane_disabled"
	GateLaneDraining GateCode = "lane_draining" // open: what the lane has is handed out
	GateLaneFull     GateCode = "lane_full"     // as many leases as its concurrency allows

	// That no worker is known is never certain: workers need not register.
	GateNoWorker        GateCode = "no_worker"         // of the lane
	GateNoCapableWorker GateCode = "no_capable_worker" // of the lane, that offers all it requires

	GateNotQueued      GateCode = "not_queued" // it may be claimed, and claims do not find it yet
	GateQueue          GateCode = "queue"      // it waits for a claim
	GateAttemptTimeout GateCode = "attempt_timeout"
	GateDeadline       GateCode = "deadline"
)

// GateState says whether a gate keeps an execution from running.
type GateState string

// Gate states.
const (
	GateClosed GateState = "closed"
	// GatePossible gates may be closed, and nobody can tell: workers need not register.
	GatePossible GateState = "possible"
	GateOpen     GateState = "open" // told because it helps to understand, or because it may close
)

// Gate is one thing an execution has to get past before it runs.
type Gate struct {
	Code  GateCode  `json:"code,omitzero"`
	State GateState `json:"state,omitzero"`
	// Detail is a sentence for people. Its wording may change.
	Detail string `json:"detail,omitzero"`
	// Since is when the gate closed, as far as is recorded; 0: that is not recorded.
	Since Timestamp `json:"since,omitzero"`
	// Release says what opens the gate; empty when nothing does, or nothing has to.
	Release string `json:"release,omitzero"`
	// At is when time alone opens the gate or, of a lease, a timeout and a deadline, when it strikes; 0: time alone does
	// nothing.
	At Timestamp `json:"at,omitzero"`

	// Reason is of the gates of a block: what [Unblock] wants to be told.
	Reason BlockingReason `json:"reason,omitzero"`
	// Group is of the gates of dependencies; nil when no edge leads to the execution.
	Group *GroupSnapshot `json:"group,omitzero"`
	// Dependencies are the first [MaxExplained] of the edges that are open or, where they are decided against the
	// execution, of those that failed; in order of their ids. More says how many there are besides.
	Dependencies []Dependency `json:"dependencies,omitzero"`
	More         int          `json:"more,omitzero"`
	// Lease is of the gates of a lease.
	Lease *LeaseSnapshot `json:"lease,omitzero"`
	// Missing are the required capabilities that no registered worker of the lane offers.
	Missing []string `json:"missing,omitzero"`
}

// Dependency is an edge as seen from its downstream.
type Dependency struct {
	EdgeID   EdgeID      `json:"edge_id,omitzero"`
	State    EdgeState   `json:"state,omitzero"`
	Required bool        `json:"required,omitzero"`
	Upstream ExecutionID `json:"upstream,omitzero"`
	Node     string      `json:"node,omitzero"` // name of the upstream, if it was made as a node
	// PublicState of the upstream; empty when it does not exist any more.
	PublicState PublicState `json:"public_state,omitzero"`
}

// Bounds of an explanation.
const (
	// MaxExplained is how many edges, and members of a kind, an explanation lists.
	MaxExplained = 20
	// MaxExplainedEdges is how many edges of a member an explanation looks at to find those.
	MaxExplainedEdges = 10_000
	// MaxExplainedMembers is how many members ExplainFlow looks at.
	MaxExplainedMembers = 10_000
	// MaxExplainedWorkers is how many registrations of a namespace an explanation looks at.
	MaxExplainedWorkers = 10_000
)

// Explanation says why an execution does not run, as of about now. What time alone has done to the execution counts,
// whether or not anything has noticed.
type Explanation struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	FlowID      FlowID      `json:"flow_id,omitzero"`
	Node        string      `json:"node,omitzero"` // its name, if it was made as a node
	AsOf        Timestamp   `json:"as_of,omitzero"`
	Verdict     Verdict     `json:"verdict,omitzero"`
	State       StateVector `json:"state,omitzero"`
	PublicState PublicState `json:"public_state,omitzero"`
	// Gates are what the execution has to get past, in the order in which it does. Each stands for itself: when one opens
	// the next may be closed.
	Gates []Gate `json:"gates,omitzero"`
	// Replayable: it has ended and [Operator] Replay would run it again.
	Replayable bool `json:"replayable,omitzero"`
}

// First is the gate that matters most: the first that is closed, else the first that may be, else the first with a Release.
// It is the zero Gate when there is none.
func (x *Explanation) First() Gate {
	var possible, open Gate
	for _, g := range x.Gates {
		switch {
		case g.State == GateClosed:
			return g
		case g.State == GatePossible && possible.Code == "":
			possible = g
		case g.State == GateOpen && open.Code == "" && g.Release != "":
			open = g
		}
	}
	if possible.Code != "" {
		return possible
	}
	return open
}

// FlowExplanation says what a flow waits for, as of about now.
type FlowExplanation struct {
	FlowSummary
	AsOf Timestamp `json:"as_of,omitzero"`
	// Cancel is set while the cancel of the flow is under way.
	Cancel *FlowCancelProgress `json:"cancel,omitzero"`
	// Counts are of the members that were looked at, the first [MaxExplainedMembers] by id. Complete: that is all of them.
	Counts   FlowCounts `json:"counts,omitzero"`
	Complete bool       `json:"complete,omitzero"`
	// Holding are the members that hold the flow up: those that have not ended and wait for no other member. They are
	// grouped by [Explanation.First], in the order of [GateCode]. When not one was among the members looked at, it is the
	// one that a member which waits is waiting for, found along the edges.
	Holding []Holding `json:"holding,omitzero"`
}

// FlowCancelProgress tells of the cancel of a flow that is not over.
type FlowCancelProgress struct {
	Policy      CancellationPolicy `json:"policy,omitzero"`
	Reason      string             `json:"reason,omitzero"`
	RequestedAt Timestamp          `json:"requested_at,omitzero"`
	Spreading   bool               `json:"spreading,omitzero"` // members are still to be cancelled
	// Outstanding members were cancelled and not acknowledged. At GraceUntil the engine does that by itself.
	Outstanding int       `json:"outstanding,omitzero"`
	GraceUntil  Timestamp `json:"grace_until,omitzero"`
}

// Holding is members of a flow that hold it up for the same reason.
type Holding struct {
	Code    GateCode        `json:"code,omitzero"`
	State   GateState       `json:"state,omitzero"`
	Count   int             `json:"count,omitzero"` // of the members looked at
	Members []HoldingMember `json:"members,omitzero"`
}

// HoldingMember is one of the first [MaxExplained] of its kind.
type HoldingMember struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Node        string      `json:"node,omitzero"`
	PublicState PublicState `json:"public_state,omitzero"`
	Detail      string      `json:"detail,omitzero"`
	Since       Timestamp   `json:"since,omitzero"`
	Release     string      `json:"release,omitzero"`
	At          Timestamp   `json:"at,omitzero"`
}
