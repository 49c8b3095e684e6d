package graph

import (
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// NotFound is the error of a flow that is not there.
func NotFound(id ff.FlowID) error { return &ff.Error{Code: ff.CodeFlowNotFound, Detail: id.String()} }

// Gone reports whether the retention of a flow is over. Its records may be removed, some of them before others, so nothing
// may bring it back. Engines whose clocks differ agree once [Removing] has left its time behind.
func Gone(f *record.Flow, now ff.Timestamp) bool {
	return f.RemoveAt != 0 && max(now, f.LastMutationAt) >= f.RemoveAt
}

// Removing is a flow that is gone and of which some records are removed now.
func Removing(f *record.Flow, now ff.Timestamp) *record.Flow {
	n := *f
	n.LastMutationAt = max(now, f.LastMutationAt)
	return &n
}

// Live fails unless the flow takes members and edges. f may be nil.
func Live(f *record.Flow, id ff.FlowID, now ff.Timestamp) error {
	switch {
	case f == nil || Gone(f, now):
		return NotFound(id)
	case f.State.Terminal():
		return &ff.Error{Code: ff.CodeFlowAlreadyTerminal, Detail: fmt.Sprintf("flow %s is %s", id, f.State)}
	default:
		return nil
	}
}

// Progress is what the counters of a flow say of its state: whether it was cancelled, or all members have ended.
func Progress(f *record.Flow) ff.FlowState {
	switch {
	case f.State.Terminal():
		return f.State
	case f.NodeCount == 0 || f.EndedCount < f.NodeCount:
		return ff.FlowOpen
	case f.BadCount > 0:
		return ff.FlowFailed
	default:
		return ff.FlowCompleted
	}
}

// Grow counts members and edges that were added. Each moves the revision on.
func Grow(f *record.Flow, nodes, edges int, now ff.Timestamp) *record.Flow {
	n := *f
	n.NodeCount += nodes
	n.EdgeCount += edges
	n.GraphRevision += uint64(nodes + edges)
	n.LastMutationAt = now
	if nodes > 0 && n.State != ff.FlowCancelled {
		n.TerminalAt, n.RemoveAt = 0, 0
	}
	return &n
}

// Tagged gives a flow, in any state, new tags. Its revision, which is the graph's, stays.
func Tagged(f *record.Flow, tags map[string]string, now ff.Timestamp) *record.Flow {
	n := *f
	n.Tags, n.LastMutationAt = tags, now
	return &n
}

func bad(o ff.Outcome) bool {
	return o == ff.OutcomeFailed || o == ff.OutcomeCancelled || o == ff.OutcomeExpired
}

// MemberEnded counts a member that has ended. With the last one the flow ends if it is sealed, and may be removed after
// retention.
func MemberEnded(f *record.Flow, outcome ff.Outcome, retention time.Duration, now ff.Timestamp) *record.Flow {
	n := *f
	n.EndedCount++
	if bad(outcome) {
		n.BadCount++
	}
	if n.EndedCount < n.NodeCount {
		return &n
	}
	if n.Sealed && !n.State.Terminal() {
		n.State = Progress(&n)
	}
	if n.TerminalAt == 0 {
		n.TerminalAt = now
	}
	n.RemoveAt = now.Add(retention)
	return &n
}

// MemberReplayed takes back that a member has ended. A cancelled flow refuses that, and one that is gone.
func MemberReplayed(f *record.Flow, outcome ff.Outcome, now ff.Timestamp) (*record.Flow, error) {
	if Gone(f, now) {
		return nil, &ff.Error{Code: ff.CodeFlowNotFound, Detail: fmt.Sprintf("flow %s is kept no longer; its members cannot be replayed", f.FlowID)}
	}
	if f.State == ff.FlowCancelled {
		return nil, &ff.Error{Code: ff.CodeFlowAlreadyTerminal, Detail: fmt.Sprintf("flow %s is cancelled; its members cannot be replayed", f.FlowID)}
	}
	n := *f
	n.EndedCount = max(n.EndedCount-1, 0)
	if bad(outcome) {
		n.BadCount = max(n.BadCount-1, 0)
	}
	if n.State.Terminal() {
		n.State = ff.FlowOpen
	}
	n.TerminalAt, n.RemoveAt, n.LastMutationAt = 0, 0, now
	return &n, nil
}

// Cancelled is a flow that ends now, whatever becomes of its members.
func Cancelled(f *record.Flow, policy ff.CancellationPolicy, reason string, retention time.Duration, now ff.Timestamp) *record.Flow {
	n := *f
	n.State, n.CancellationPolicy, n.CancelReason, n.LastMutationAt = ff.FlowCancelled, policy, &reason, now
	if n.TerminalAt == 0 {
		n.TerminalAt = now
	}
	if n.EndedCount >= n.NodeCount {
		n.RemoveAt = now.Add(retention)
	}
	return &n
}

// Spreads reports whether the end of a member of the flow still matters to other members: not when all of them are
// cancelled anyway. f may be nil.
func Spreads(f *record.Flow) bool {
	return f == nil || f.State != ff.FlowCancelled || f.CancellationPolicy != ff.CancelAll
}

// Targets reports whether the cancel of a flow ends a member.
func Targets(policy ff.CancellationPolicy, e *record.Execution) bool {
	switch policy {
	case ff.CancelAll:
		return !e.State.Finished()
	case ff.CancelPending:
		return e.State.Phase == ff.PhaseRunnable || e.State.Phase == ff.PhaseSubmitted
	default:
		return false
	}
}

// ParsePolicy reads a cancellation policy, an alias included.
func ParsePolicy(p ff.CancellationPolicy) (ff.CancellationPolicy, error) {
	switch p {
	case ff.CancelAll, ff.CancelPending, ff.FlowOnly:
		return p, nil
	case "cancel_flow_only":
		return ff.FlowOnly, nil
	default:
		return "", &ff.Error{
			Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("policy is %.40q; want cancel_all, cancel_pending or flow_only", p),
			Attrs: map[string]string{"field": "policy"},
		}
	}
}

// Derive is the state of a flow by what its members do (chapter 20, section 20.14).
func Derive(c ff.FlowCounts) ff.FlowState {
	ended := c.Completed + c.Failed + c.Cancelled + c.Expired + c.Skipped
	switch {
	case c.Total == 0:
		return ff.FlowOpen
	case ended == c.Total && c.Failed+c.Cancelled+c.Expired > 0:
		return ff.FlowFailed
	case ended == c.Total:
		return ff.FlowCompleted
	case c.Active > 0:
		return ff.FlowRunning
	case c.Suspended+c.Delayed+c.RateLimited+c.WaitingChildren > 0:
		return ff.FlowBlocked
	default:
		return ff.FlowOpen
	}
}
