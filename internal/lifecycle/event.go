package lifecycle

import (
	"encoding/json"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Types of lease events (chapter 10, section 3.24).
const (
	eventAcquired  = "acquired"
	eventReleased  = "released"
	eventExpired   = "expired"
	eventRevoked   = "revoked"
	eventReclaimed = "reclaimed"
)

// Types of operator events (chapter 30, section 30.9).
const (
	eventPriorityChanged = "priority_changed"
	eventReplayed        = "replayed"
	eventCancelled       = "cancelled"
	eventLeaseRevoked    = "lease_revoked"
	eventClaimed         = "claimed"
	eventBlocked         = "blocked"
	eventUnblocked       = "unblocked"
	eventFlowCancel      = "flow_cancel_requested"
	eventResumed         = "resumed"
)

// instanceTag is the tag that event filters know.
const instanceTag = "cairn.instance_id"

func event(e *record.Execution, family record.EventFamily, typ string, now ff.Timestamp) record.Event {
	return record.Event{
		Family: family, Type: typ, ExecutionID: e.ID, FlowID: e.FlowID, Namespace: e.Namespace,
		InstanceTag: e.Tags[instanceTag], At: now,
	}
}

// leaseEvent reports on the lease e holds.
func leaseEvent(e *record.Execution, typ, reason string, now ff.Timestamp) record.Event {
	ev := event(e, record.FamilyLease, typ, now)
	ev.LeaseID, ev.Epoch, ev.AttemptID, ev.AttemptIndex = e.LeaseID, e.Epoch, e.AttemptID, e.AttemptIndex
	ev.Reason = reason
	if typ != eventReleased { // its holder knows
		ev.WorkerID, ev.WorkerInstanceID = e.WorkerID, e.WorkerInstanceID
	}
	return ev
}

// completionEvent reports that e, as it is after the change, has ended. Each terminal transition makes exactly one (I25).
func completionEvent(e *record.Execution, now ff.Timestamp) record.Event {
	ev := event(e, record.FamilyCompletion, string(e.State.Outcome), now)
	ev.Epoch, ev.AttemptIndex = e.Epoch, e.AttemptIndex
	return ev
}

// completionOfLease is the completion event of an execution that ended with its lease: its holder ended it, or it took too
// long. It names the lease and so is the release of that lease, too: the most frequent two events are one row in the log.
func completionOfLease(before, after *record.Execution, reason string, now ff.Timestamp) record.Event {
	ev := completionEvent(after, now)
	ev.LeaseID, ev.Epoch, ev.Reason = before.LeaseID, before.Epoch, reason
	return ev
}

// operatorEvent reports an operator's act. What is told must be something JSON can express.
func operatorEvent(e *record.Execution, typ string, told map[string]any, now ff.Timestamp) record.Event {
	ev := event(e, record.FamilyOperator, typ, now)
	ev.Details = details(told)
	return ev
}

// details is a JSON object of what is not empty.
func details(told map[string]any) []byte {
	for k, v := range told {
		if v == "" {
			delete(told, k)
		}
	}
	text, _ := json.Marshal(told) // numbers and strings only: cannot fail
	return text
}

// FlowCancelled reports the cancel of a flow; members is how many executions it ends. The subject is the flow.
func FlowCancelled(f *record.Flow, members int, actor string, now ff.Timestamp) record.Event {
	subject := &record.Execution{
		ID: ff.ExecutionIDFrom(f.Home.Index, [16]byte(f.FlowID)), FlowID: f.FlowID, Namespace: f.Namespace, Tags: f.Tags,
	}
	reason, _ := json.Marshal(*f.CancelReason) // a text: cannot fail. An empty one is told, too
	return operatorEvent(subject, eventFlowCancel, map[string]any{
		"flow_id": f.FlowID.String(), "cancellation_policy": string(f.CancellationPolicy), "member_count": members, "actor": actor,
		"reason": json.RawMessage(reason),
	}, now)
}
